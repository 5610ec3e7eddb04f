// SPDX-License-Identifier: Apache-2.0
//
// Metrics in the text exposition format of Prometheus, version 0.0.4, and which there are of an
// index: what programs and `cairn info --prometheus` have in common.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <cairn/params.h>

namespace cairn {

class PrometheusText {
 public:
  using Label = std::pair<std::string, std::string>;

  // `labels` stand on every sample, `prefix` before every name.
  PrometheusText(std::string prefix, std::span<const Label> labels)
      : prefix_(std::move(prefix)), labels_(labels.begin(), labels.end()) {}

  // `name` ends in its unit, if it has one: seconds, bytes. `help` is one line.
  void gauge(const char* name, const char* help, std::uint64_t value,
             std::span<const Label> more = {});
  void gauge_seconds(const char* name, const char* help, std::uint64_t nanoseconds);
  // `_total` is added to the name.
  void counter(const char* name, const char* help, std::uint64_t value);
  // With a bucket for each octave from a microsecond to 34 seconds.
  void histogram(const char* name, const char* help, const LatencyHistogram& times);

  const std::string& text() const { return text_; }

 private:
  void head(const std::string& name, const char* help, const char* type);
  void sample(const std::string& name, const std::string& value, std::span<const Label> more = {});

  std::string prefix_;
  std::vector<Label> labels_;
  std::string text_;
};

// What the index holds, whoever tells it. `more`: labels of cairn_info beside its parameters.
void add_contents(PrometheusText& text, const IndexParams& params, const Stats& stats,
                  std::span<const PrometheusText::Label> more = {});
// Its log.
void add_log(PrometheusText& text, std::uint64_t last_lsn, std::uint64_t frames,
             std::uint64_t bytes, std::uint64_t dirty_pages);
// What has been done with it since it was made or opened.
void add_activity(PrometheusText& text, const Stats& stats, const LatencyHistogram& latency);

// The value of a label as it stands between quotes. Bytes that are not UTF-8 become U+FFFD.
std::string escaped_label(const std::string& value);

}  // namespace cairn
