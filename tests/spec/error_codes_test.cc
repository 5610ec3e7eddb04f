// SPDX-License-Identifier: Apache-2.0
//
// docs/operate/errors.md has every code of cairn/error.h, and no other.
#include <gtest/gtest.h>

#include <fstream>
#include <map>
#include <regex>
#include <string>

#include <cairn/error.h>

namespace cairn {
namespace {

using Codes = std::map<int, std::string>;

Codes codes_of_header() {
  std::ifstream in(CAIRN_SOURCE_DIR "/engine/include/cairn/error.h");
  const std::regex entry("  ([a-z_]+) = ([0-9]+),");
  Codes codes;
  std::smatch found;
  for (std::string line; std::getline(in, line);) {
    if (std::regex_match(line, found, entry)) codes[std::stoi(found[2])] = found[1];
  }
  return codes;
}

TEST(ErrorCodes, EachHasAMeaningAndAnActionInTheDocuments) {
  std::ifstream in(CAIRN_SOURCE_DIR "/docs/operate/errors.md");
  const std::regex row(R"(\| ([0-9]+) \| `([a-z_]+)` \| ([^|]{10,}) \| ([^|]{10,}) \|)");
  Codes documented;
  std::smatch found;
  for (std::string line; std::getline(in, line);) {
    if (std::regex_match(line, found, row)) documented[std::stoi(found[1])] = found[2];
  }
  EXPECT_GT(documented.size(), 20u);
  EXPECT_EQ(documented, codes_of_header());
}

TEST(ErrorCodes, NamesAreThoseOfTheHeader) {
  for (const auto& [number, name] : codes_of_header()) {
    EXPECT_EQ(error_name(static_cast<ErrorCode>(number)), name);
  }
}

}  // namespace
}  // namespace cairn
