// SPDX-License-Identifier: Apache-2.0
#include "tools/command/prometheus.h"

#include <array>
#include <charconv>

#include "tools/command/command.h"

namespace cairn::tools {

std::string escaped_label(const std::string& value) {
  const std::string utf8 = Json::parse(json_text(value)).get<std::string>();
  std::string escaped;
  for (const char c : utf8) {
    switch (c) {
      case '\\': escaped += "\\\\"; break;
      case '"': escaped += "\\\""; break;
      case '\n': escaped += "\\n"; break;
      default: escaped += c;
    }
  }
  return escaped;
}

void PrometheusText::gauge(const std::string& name, const std::string& help, std::uint64_t value,
                           const Labels& more) {
  sample(name, help, std::to_string(value), more);
}

void PrometheusText::gauge_seconds(const std::string& name, const std::string& help,
                                   std::uint64_t nanoseconds) {
  std::array<char, 32> text;
  const double seconds = static_cast<double>(nanoseconds) / 1e9;
  const auto end = std::to_chars(text.data(), text.data() + text.size(), seconds).ptr;
  sample(name, help, std::string(text.data(), end), {});
}

void PrometheusText::sample(const std::string& name, const std::string& help,
                            const std::string& value, const Labels& more) {
  const std::string full = prefix_ + name;
  text_.append("# HELP ").append(full).append(" ").append(help).append("\n");
  text_.append("# TYPE ").append(full).append(" gauge\n").append(full);
  std::string labels;
  for (const Labels& some : {labels_, more}) {
    for (const auto& [label, text] : some) {
      if (!labels.empty()) labels += ",";
      labels.append(label).append("=\"").append(escaped_label(text)).append("\"");
    }
  }
  if (!labels.empty()) text_.append("{").append(labels).append("}");
  text_.append(" ").append(value).append("\n");
}

}  // namespace cairn::tools
