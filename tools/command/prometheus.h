// SPDX-License-Identifier: Apache-2.0
//
// Gauges in the text exposition format of Prometheus, version 0.0.4.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace cairn::tools {

class PrometheusText {
 public:
  using Labels = std::vector<std::pair<std::string, std::string>>;

  // `labels` stand on every sample, `prefix` before every name.
  PrometheusText(std::string prefix, Labels labels)
      : prefix_(std::move(prefix)), labels_(std::move(labels)) {}

  // `name` ends in its unit, if it has one: seconds, bytes. `help` is one line.
  void gauge(const std::string& name, const std::string& help, std::uint64_t value,
             const Labels& more = {});
  void gauge_seconds(const std::string& name, const std::string& help, std::uint64_t nanoseconds);

  const std::string& text() const { return text_; }

 private:
  void sample(const std::string& name, const std::string& help, const std::string& value,
              const Labels& more);

  std::string prefix_;
  Labels labels_;
  std::string text_;
};

// The value of a label as it stands between quotes. Bytes that are not UTF-8 become U+FFFD.
std::string escaped_label(const std::string& value);

}  // namespace cairn::tools
