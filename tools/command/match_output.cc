// SPDX-License-Identifier: Apache-2.0
#include "tools/command/match_output.h"

#include <algorithm>
#include <cstdio>
#include <string>
#include <utility>

namespace cairn::tools {

Json matches_json(const std::vector<Match>& matches, const Names& names, bool with_names) {
  Json list = Json::array();
  for (std::size_t i = 0; i < matches.size(); ++i) {
    const Match& match = matches[i];
    Json entry = {{"rank", i + 1}, {"key", match.key}};
    if (with_names) {
      entry["name"] = nullptr;
      if (match.key < names.size()) entry["name"] = std::string(names[match.key]);
    }
    entry["distance"] = readable(match.distance);
    list.push_back(std::move(entry));
  }
  return list;
}

void print_matches(const std::vector<Match>& matches, const Names& names, bool with_names) {
  const auto name_of = [&](Key key) {
    return key < names.size() ? printable(names[key]) : std::string("-");
  };
  std::size_t key_width = 3;
  std::size_t name_width = 0;
  for (const Match& match : matches) {
    key_width = std::max(key_width, std::to_string(match.key).size());
    if (with_names) name_width = std::max(name_width, name_of(match.key).size());
  }
  for (std::size_t i = 0; i < matches.size(); ++i) {
    std::printf("%6zu  %*llu", i + 1, static_cast<int>(key_width),
                static_cast<unsigned long long>(matches[i].key));
    if (with_names)
      std::printf("  %-*s", static_cast<int>(name_width), name_of(matches[i].key).c_str());
    std::printf("  %.6f\n", static_cast<double>(matches[i].distance));
  }
}

}  // namespace cairn::tools
