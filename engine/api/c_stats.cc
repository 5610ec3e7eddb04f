// SPDX-License-Identifier: Apache-2.0
//
// The C interface of what is known of an index: findings, numbers, times.
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <utility>

#include <cairn/c.h>
#include <cairn/cairn.h>

#include "engine/api/c_call.h"
#include "engine/api/c_options.h"

namespace cairn::c {

cairn_statistics to_c(const Stats& stats) {
  cairn_statistics all{};
  all.live = stats.live;
  all.deleted = stats.deleted;
  all.slots = stats.slots;
  all.dimensions = stats.dimensions;
  all.max_level = stats.max_level;
  all.generation = stats.generation;
  all.file_bytes = stats.file_bytes;
  all.hot_bytes = stats.hot_bytes;
  all.exact_bytes = stats.exact_bytes;
  all.private_bytes = stats.private_bytes;
  all.log_bytes = stats.log_bytes;
  all.log_frames = stats.log_frames;
  all.last_lsn = stats.last_lsn;
  all.durable_lsn = stats.durable_lsn;
  all.dirty_pages = stats.dirty_pages;
  all.checkpoints = stats.checkpoints;
  all.failed_checkpoints = stats.failed_checkpoints;
  all.poisoned = stats.poisoned ? 1 : 0;
  all.adds = stats.adds;
  all.upserts = stats.upserts;
  all.removes = stats.removes;
  all.searches = stats.searches;
  all.compactions = stats.compactions;
  all.open_ns = stats.open_ns;
  all.recovery_ns = stats.recovery_ns;
  all.recovered_frames = stats.recovered_frames;
  all.lost_frames = stats.lost_frames;
  all.first_lost_lsn = stats.first_lost_lsn;
  all.last_lost_lsn = stats.last_lost_lsn;
  all.live_before_loss = stats.live_before_loss;
  all.advised_ef = stats.advised_ef;
  all.timed_searches = stats.timed_searches;
  all.p50_ns = stats.p50_ns;
  all.p90_ns = stats.p90_ns;
  all.p99_ns = stats.p99_ns;
  all.p999_ns = stats.p999_ns;
  all.keys = stats.keys;
  return all;
}

}  // namespace cairn::c

extern "C" {

using cairn::Error;
using cairn::ErrorCode;
using cairn::Index;
using cairn::Result;
using cairn::c::null_argument;
using cairn::c::on_index;
using cairn::c::options_of;

int cairn_verify(const cairn_index* index, uint64_t* findings) {
  if (findings != nullptr) *findings = 0;
  return on_index("verify", index, [&](const Index& it) -> Result<void> {
    if (findings == nullptr) return null_argument("verify", "findings");
    auto report = it.verify();
    if (!report) return report.error();
    *findings = report->findings.size();
    if (report->ok()) return {};
    std::string text = "verify: " + report->findings.front();
    if (report->findings.size() > 1) {
      text += " (and " + std::to_string(report->findings.size() - 1) + " more)";
    }
    return Error(ErrorCode::corrupt, std::move(text));
  });
}

int cairn_verify_with(const cairn_index* index, const cairn_build_options* options,
                      cairn_verify_report** out) {
  if (out != nullptr) *out = nullptr;
  return on_index("verify", index, [&](const Index& it) -> Result<void> {
    if (out == nullptr) return null_argument("verify", "out");
    const auto wanted = options_of("verify", options);
    if (!wanted) return wanted.error();
    auto report = it.verify(*wanted);
    if (!report) return report.error();
    *out = new cairn_verify_report{std::move(*report)};
    return {};
  });
}

const char* cairn_verify_finding(const cairn_verify_report* report, size_t i) {
  if (report == nullptr || i >= report->report.findings.size()) return nullptr;
  return report->report.findings[i].c_str();
}

int cairn_verify_count(const cairn_verify_report* report, cairn_verify_numbers* out) {
  return cairn::c::guarded("verify_count", [&]() -> Result<void> {
    if (report == nullptr) return null_argument("verify_count", "report");
    cairn_verify_numbers all{};
    all.findings = report->report.findings.size();
    all.pages_checked = report->report.pages_checked;
    all.nodes_checked = report->report.nodes_checked;
    all.unreachable = report->report.unreachable;
    return cairn::c::fill_sized("verify_count", "out", out, &all, sizeof all);
  });
}

void cairn_verify_close(cairn_verify_report* report) { delete report; }

int cairn_stats(const cairn_index* index, cairn_statistics* out) {
  return on_index("stats", index, [&](const Index& it) {
    const cairn_statistics all = cairn::c::to_c(it.stats());
    return cairn::c::fill_sized("stats", "out", out, &all, sizeof all);
  });
}

int cairn_record_latency(cairn_index* index, int on) {
  return on_index("record_latency", index, [&](Index& it) -> Result<void> {
    it.record_latency(on != 0);
    return {};
  });
}

int cairn_latency(const cairn_index* index, const double* quantiles, size_t n, double* us,
                  uint64_t* count) {
  return on_index("latency", index, [&](const Index& it) -> Result<void> {
    if (n != 0 && quantiles == nullptr) return null_argument("latency", "quantiles");
    if (n != 0 && us == nullptr) return null_argument("latency", "us");
    const cairn::LatencyHistogram times = it.latency();
    for (std::size_t i = 0; i < n; ++i) us[i] = times.quantile_us(quantiles[i]);
    if (count != nullptr) *count = times.count;
    return {};
  });
}

int cairn_prometheus_text(const cairn_index* index, char* out, size_t capacity, size_t* needed) {
  return on_index("prometheus_text", index, [&](const Index& it) -> Result<void> {
    if (needed == nullptr) return null_argument("prometheus_text", "needed");
    if (out == nullptr && capacity != 0) return null_argument("prometheus_text", "out");
    const std::string text = cairn::prometheus_text(it);
    *needed = text.size() + 1;
    if (capacity >= *needed) std::memcpy(out, text.c_str(), *needed);
    return {};
  });
}

}  // extern "C"
