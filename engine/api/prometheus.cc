// SPDX-License-Identifier: Apache-2.0
#include "engine/api/prometheus.h"

#include <array>
#include <charconv>
#include <cstddef>
#include <exception>
#include <string_view>

#include <cairn/index.h>

#include "engine/vectors/components.h"

namespace cairn {

namespace {

// Bytes of the UTF-8 character at the beginning of `text`, which is not empty; 0 if there is none.
std::size_t character(std::string_view text) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned first = byte(0);
  if (first < 0x80) return 1;
  const std::size_t size = first >= 0xF5   ? 0
                           : first >= 0xF0 ? 4
                           : first >= 0xE0 ? 3
                           : first >= 0xC2 ? 2
                                           : 0;
  if (size == 0 || text.size() < size) return 0;
  for (std::size_t i = 1; i < size; ++i) {
    if ((byte(i) & 0xC0) != 0x80) return 0;
  }
  const unsigned second = byte(1);
  const bool too_long = (first == 0xE0 && second < 0xA0) || (first == 0xF0 && second < 0x90);
  const bool surrogate = first == 0xED && second >= 0xA0;
  const bool beyond = first == 0xF4 && second >= 0x90;
  return too_long || surrogate || beyond ? 0 : size;
}

std::string decimal(double value) {
  std::array<char, 32> text;
  return {text.data(), std::to_chars(text.data(), text.data() + text.size(), value).ptr};
}

std::string seconds(std::uint64_t nanoseconds) {
  return decimal(static_cast<double>(nanoseconds) / 1e9);
}

}  // namespace

std::string escaped_label(const std::string& value) {
  std::string escaped;
  for (std::string_view left = value; !left.empty();) {
    const std::size_t size = character(left);
    if (size == 0) {
      escaped += "\xEF\xBF\xBD";
      left.remove_prefix(1);
      continue;
    }
    switch (left[0]) {
      case '\\': escaped += "\\\\"; break;
      case '"': escaped += "\\\""; break;
      case '\n': escaped += "\\n"; break;
      default: escaped += left.substr(0, size);
    }
    left.remove_prefix(size);
  }
  return escaped;
}

void PrometheusText::gauge(const char* name, const char* help, std::uint64_t value,
                           std::span<const Label> more) {
  head(name, help, "gauge");
  sample(name, std::to_string(value), more);
}

void PrometheusText::gauge_seconds(const char* name, const char* help, std::uint64_t nanoseconds) {
  head(name, help, "gauge");
  sample(name, seconds(nanoseconds));
}

void PrometheusText::counter(const char* name, const char* help, std::uint64_t value) {
  const std::string full = std::string(name) + "_total";
  head(full, help, "counter");
  sample(full, std::to_string(value));
}

void PrometheusText::histogram(const char* name, const char* help, const LatencyHistogram& times) {
  constexpr unsigned kFirst = 10;  // powers of two, in nanoseconds
  constexpr unsigned kLast = 35;
  head(name, help, "histogram");
  const std::string bucket = std::string(name) + "_bucket";
  std::uint64_t sum = 0;
  std::size_t i = 0;
  for (unsigned power = kFirst; power <= kLast; ++power) {
    const std::uint64_t end = std::uint64_t{1} << power;
    for (; i < times.buckets.size() && LatencyHistogram::least_ns(i) < end; ++i) {
      sum += times.buckets[i];
    }
    const Label le{"le", seconds(end)};
    sample(bucket, std::to_string(sum), {&le, 1});
  }
  const Label all{"le", "+Inf"};
  sample(bucket, std::to_string(times.count), {&all, 1});
  sample(std::string(name) + "_sum", seconds(times.sum_ns));
  sample(std::string(name) + "_count", std::to_string(times.count));
}

void PrometheusText::head(const std::string& name, const char* help, const char* type) {
  text_.append("# HELP ").append(prefix_).append(name).append(" ").append(help).append("\n");
  text_.append("# TYPE ").append(prefix_).append(name).append(" ").append(type).append("\n");
}

void PrometheusText::sample(const std::string& name, const std::string& value,
                            std::span<const Label> more) {
  text_.append(prefix_).append(name);
  std::string labels;
  for (const std::span<const Label> some : {std::span<const Label>(labels_), more}) {
    for (const auto& [label, text] : some) {
      if (!labels.empty()) labels += ",";
      labels.append(label).append("=\"").append(escaped_label(text)).append("\"");
    }
  }
  if (!labels.empty()) text_.append("{").append(labels).append("}");
  text_.append(" ").append(value).append("\n");
}

void add_contents(PrometheusText& text, const IndexParams& params, const Stats& stats,
                  std::span<const PrometheusText::Label> more) {
  std::vector<PrometheusText::Label> made_with(more.begin(), more.end());
  made_with.emplace_back("metric", name_of(params.metric));
  made_with.emplace_back("scalar", name_of(params.scalar));
  made_with.emplace_back("traversal", name_of(params.traversal));
  text.gauge("info", "What the index was made with; always 1.", 1, made_with);
  text.gauge("vectors", "Vectors that can be found.", stats.live);
  text.gauge("dimensions", "Components of a vector.", stats.dimensions);
  text.gauge("deleted_vectors", "Removed vectors that lists may still lead to.", stats.deleted);
  text.gauge("free_slots", "Places for vectors that are free.",
             stats.slots - stats.live - stats.deleted);
  text.gauge("max_level", "Highest level of the graph.", stats.max_level);
  text.gauge("file_bytes", "Size of the file.", stats.file_bytes);
  text.gauge("hot_bytes", "What a search walks on.", stats.hot_bytes);
  text.gauge("exact_bytes", "The vectors as they were given.", stats.exact_bytes);
  text.gauge("generation", "Of the newer superblock.", stats.generation);
  text.gauge("advised_ef", "Size of the candidate list that is advised; 0: none.",
             stats.advised_ef);
  text.gauge_seconds("open_seconds", "Time that opening the file took.", stats.open_ns);
  text.gauge_seconds("recovery_seconds", "The part of it that went into the log.",
                     stats.recovery_ns);
}

void add_log(PrometheusText& text, std::uint64_t last_lsn, std::uint64_t frames,
             std::uint64_t bytes, std::uint64_t dirty_pages) {
  text.gauge("last_lsn", "Last log frame.", last_lsn);
  text.gauge("log_frames", "Log frames since the last checkpoint.", frames);
  text.gauge("log_bytes", "Log segments that hold them.", bytes);
  text.gauge("dirty_pages", "Pages of 4096 bytes that a checkpoint, or a recovery, would change.",
             dirty_pages);
}

void add_activity(PrometheusText& text, const Stats& stats, const LatencyHistogram& latency) {
  text.gauge("private_bytes", "Memory that the system cannot take back.", stats.private_bytes);
  text.gauge("durable_lsn", "Last log frame that is on disk.", stats.durable_lsn);
  text.gauge("poisoned", "1 if a write or sync has failed: nothing more is acknowledged.",
             stats.poisoned ? 1 : 0);
  text.gauge("recovered_frames", "Log frames that opening the file has applied.",
             stats.recovered_frames);
  text.gauge("lost_frames", "Log frames that a salvage has given up, at least.", stats.lost_frames);
  text.counter("searches", "Queries; each of a batch counts.", stats.searches);
  text.counter("adds", "Vectors that were added.", stats.adds);
  text.counter("upserts", "Vectors that were added or replaced.", stats.upserts);
  text.counter("removes", "Vectors that were removed.", stats.removes);
  text.counter("compactions", "Times that the index was compacted.", stats.compactions);
  text.counter("checkpoints", "Checkpoints since the file was opened.", stats.checkpoints);
  text.counter("failed_checkpoints", "Checkpoints that failed.", stats.failed_checkpoints);
  if (latency.buckets.empty()) return;
  text.histogram("search_seconds", "Time of the searches that were timed.", latency);
}

std::string prometheus_text(const Index& index,
                            std::span<const std::pair<std::string, std::string>> labels) {
  try {
    const Stats stats = index.stats();
    PrometheusText text("cairn_", labels);
    add_contents(text, index.params(), stats);
    add_log(text, stats.last_lsn, stats.log_frames, stats.log_bytes, stats.dirty_pages);
    add_activity(text, stats, index.latency());
    return text.text();
  } catch (const std::exception&) {
    return {};
  }
}

}  // namespace cairn
