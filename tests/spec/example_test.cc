// SPDX-License-Identifier: Apache-2.0
//
// The dump in docs/format.md is that of the golden file, byte for byte.
#include <gtest/gtest.h>

#include <algorithm>
#include <cctype>
#include <cstring>
#include <fstream>
#include <string>
#include <vector>

#include "tests/support/file_image.h"

namespace cairn {
namespace {

using test::Bytes;

std::vector<std::string> dump_lines() {
  std::ifstream in(CAIRN_SOURCE_DIR "/docs/format.md");
  std::vector<std::string> lines;
  enum { before, in_section, in_dump } state = before;
  for (std::string line; std::getline(in, line);) {
    if (state == before && line == "## An example") state = in_section;
    if (line != "```") {
      if (state == in_dump) lines.push_back(line);
    } else if (state == in_dump) {
      break;
    } else if (state == in_section) {
      state = in_dump;
    }
  }
  return lines;
}

bool is_hex(const std::string& text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](unsigned char c) {
    return std::isxdigit(c) != 0 && std::isupper(c) == 0;
  });
}

// Applies one line to the file; false if it says nothing about bytes.
bool apply(const std::string& line, Bytes& file) {
  if (line.size() < 11 || !is_hex(line.substr(0, 8))) return false;
  const std::size_t at = std::stoul(line.substr(0, 8), nullptr, 16);
  if (line.substr(8, 4) == "  = ") {
    const std::size_t size = std::stoul(line.substr(12, 8), nullptr, 16);
    const std::size_t from = std::stoul(line.substr(line.find(" at ") + 4, 8), nullptr, 16);
    std::memcpy(file.data() + at, file.data() + from, size);
    return true;
  }
  if (line.substr(8, 2) != "  ") return false;
  std::size_t i = 0;
  for (std::size_t column = 10; column + 2 <= line.size() && i < 16; column += 3, ++i) {
    const std::string byte = line.substr(column, 2);
    if (!is_hex(byte)) break;
    file.at(at + i) = static_cast<std::byte>(std::stoul(byte, nullptr, 16));
  }
  return i > 0;
}

TEST(FormatDocument, TheExampleIsTheGoldenFile) {
  const auto lines = dump_lines();
  ASSERT_GT(lines.size(), 50u);
  ASSERT_TRUE(lines[0].ends_with(" bytes in all"));
  Bytes file(std::stoul(lines[0].substr(0, 8), nullptr, 16));
  std::size_t used = 0;
  for (std::size_t i = 1; i < lines.size(); ++i) used += apply(lines[i], file) ? 1u : 0u;
  EXPECT_GT(used, 50u);
  const Bytes golden = test::read_bytes(CAIRN_SOURCE_DIR "/tests/golden/one_l2sq_d3.cairn");
  ASSERT_EQ(file.size(), golden.size());
  const auto differs = std::mismatch(file.begin(), file.end(), golden.begin());
  EXPECT_EQ(differs.first - file.begin(), static_cast<std::ptrdiff_t>(file.size()))
      << "first difference";
}

}  // namespace
}  // namespace cairn
