// SPDX-License-Identifier: Apache-2.0
//
// The byte tables of docs/format.md and the constants of format/bytes/*_layout.h are the same.
#include <gtest/gtest.h>

#include <bit>
#include <cctype>
#include <fstream>
#include <iterator>
#include <map>
#include <span>
#include <sstream>
#include <string>
#include <vector>

#include "format/bytes/features.h"
#include "format/bytes/header_layout.h"
#include "format/bytes/limits.h"
#include "format/bytes/log_layout.h"
#include "format/bytes/named_field.h"
#include "format/bytes/record_layout.h"
#include "format/bytes/superblock_layout.h"

namespace cairn::format {
namespace {

struct Row {
  std::string offset, size, type, name;
};

std::string trimmed(const std::string& text) {
  const auto begin = text.find_first_not_of(' ');
  if (begin == std::string::npos) return "";
  return text.substr(begin, text.find_last_not_of(' ') - begin + 1);
}

std::vector<std::string> cells_of(const std::string& line) {
  std::vector<std::string> cells;
  std::istringstream in(line.substr(1));
  for (std::string cell; std::getline(in, cell, '|');) cells.push_back(trimmed(cell));
  return cells;
}

// Heading -> rows of the table of fields under it.
std::map<std::string, std::vector<Row>> read_tables() {
  std::ifstream in(CAIRN_SOURCE_DIR "/docs/format.md");
  std::map<std::string, std::vector<Row>> tables;
  std::string heading;
  for (std::string line; std::getline(in, line);) {
    if (line.starts_with('#')) heading = trimmed(line.substr(line.find_first_not_of('#')));
    if (!line.starts_with("| ") || std::isdigit(static_cast<unsigned char>(line[2])) == 0) continue;
    const auto cells = cells_of(line);
    if (cells.size() == 6) tables[heading].push_back({cells[0], cells[1], cells[2], cells[3]});
  }
  return tables;
}

const std::map<std::string, std::vector<Row>>& tables() {
  static const auto read = read_tables();
  return read;
}

// Bytes of "u8", "u16[10]", "u8[120]", "f32".
std::size_t type_bytes(const std::string& type) {
  const std::size_t digits = type.find_first_of("0123456789");
  const std::size_t bytes = std::stoul(type.substr(digits)) / 8;
  const std::size_t bracket = type.find('[');
  return bracket == std::string::npos ? bytes : bytes * std::stoul(type.substr(bracket + 1));
}

// `open_ended`: the last row of the table is an array whose length depends on parameters, and it
// begins at `end`.
void expect_same(const std::string& heading, std::span<const NamedField> fields,
                 std::size_t open_ended_at = 0) {
  ASSERT_TRUE(tables().contains(heading)) << heading;
  std::vector<Row> rows = tables().at(heading);
  if (open_ended_at != 0) {
    EXPECT_EQ(rows.back().name, "links") << heading;
    EXPECT_EQ(rows.back().offset, std::to_string(open_ended_at)) << heading;
    rows.pop_back();
  }
  ASSERT_EQ(rows.size(), fields.size()) << heading;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    EXPECT_EQ(rows[i].name, fields[i].name) << heading;
    EXPECT_EQ(rows[i].offset, std::to_string(fields[i].field.offset)) << heading << rows[i].name;
    EXPECT_EQ(rows[i].size, std::to_string(fields[i].field.size)) << heading << rows[i].name;
    EXPECT_EQ(type_bytes(rows[i].type), fields[i].field.size) << heading << rows[i].name;
  }
}

TEST(FormatDocument, TablesAreThoseOfTheLayout) {
  expect_same("Static header", header_at::kFields);
  expect_same("Section entry", section_entry_at::kFields);
  expect_same("Superblock", superblock_at::kFields);
  expect_same("Runtime block", runtime_at::kFields);
  expect_same("Counters", counters_at::kFields);
  expect_same("Extent entry", extent_at::kFields);
  expect_same("Node header", hot::kFields, hot::kLinks);
  expect_same("UPPER record", upper::kFields, upper::kLinks);
  expect_same("Bucket", bucket::kFields);
  expect_same("Log segment", segment_at::kFields);
  expect_same("Unused page", unused_at::kFields);
  expect_same("Log frame", frame_at::kFields);
  expect_same("Log record", record_at::kFields);
  expect_same("Journal", journal_at::kFields);
  expect_same("Journal entry", journal_entry_at::kFields);
}

TEST(FormatDocument, HasNoTableOfFieldsThatIsNotCompared) { EXPECT_EQ(tables().size(), 15u); }

std::string document() {
  std::ifstream in(CAIRN_SOURCE_DIR "/docs/format.md");
  std::stringstream text;
  text << in.rdbuf();
  return text.str();
}

TEST(FormatDocument, NamesTheFeaturesOfTheLayout) {
  const std::string text = document();
  std::uint64_t incompat = 0;
  for (const Feature& feature : kFeatures) {
    std::ostringstream row;
    row << "| " << (feature.is_compat ? "compat" : "incompat") << " | "
        << std::countr_zero(feature.mask) << " | " << feature.name << " | ";
    EXPECT_NE(text.find(row.str()), std::string::npos) << row.str();
    if (!feature.is_compat) incompat |= feature.mask;
  }
  EXPECT_EQ(incompat, kKnownIncompat);
  std::size_t rows = 0;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with("| incompat | ") || line.starts_with("| compat | ")) ++rows;
  }
  EXPECT_EQ(rows, std::size(kFeatures));
}

TEST(FormatDocument, StatesTheNumbersOfTheLayout) {
  const std::string text = document();
  const auto states = [&](const std::string& phrase) {
    return text.find(phrase) != std::string::npos;
  };
  EXPECT_TRUE(states("Format version **" + std::to_string(kFormatMajor) + "." +
                     std::to_string(kFormatMinor) + "**"));
  const auto kib = [](std::uint64_t bytes) { return std::to_string(bytes >> 10) + " KiB"; };
  EXPECT_TRUE(states("| " + kib(kSuperblockOffsets[0]) + " | " + kib(superblock_at::kSize) +
                     " | superblock slot 0 |"));
  EXPECT_TRUE(states("| " + kib(kSuperblockOffsets[1]) + " | " + kib(superblock_at::kSize) +
                     " | superblock slot 1 |"));
  EXPECT_TRUE(states("| " + kib(kRuntimeOffset) + " | "));
  EXPECT_TRUE(states("| " + kib(kFirstRunOffset) + " | to the end | runs of pages"));
  EXPECT_TRUE(states("extent table: " + std::to_string(kMaxExtents) + " entries of " +
                     std::to_string(Extent::kEncodedSize) + " bytes"));
  EXPECT_TRUE(states("section table: " + std::to_string(section_entry_at::kCount) + " entries of " +
                     std::to_string(section_entry_at::kSize) + " bytes"));
  EXPECT_TRUE(states("1 ... " + std::to_string(kMaxDimensions)));
  EXPECT_TRUE(states(std::to_string(kMinM) + " ... " + std::to_string(kMaxM)));
  EXPECT_TRUE(states("1 ... " + std::to_string(kMaxEfConstruction)));
  for (const auto& magic : {kSuperblockMagic, kSegmentMagic, kJournalMagic}) {
    const std::string ascii(reinterpret_cast<const char*>(magic.data()), magic.size());
    EXPECT_TRUE(states("`" + ascii + "` in ASCII")) << ascii;
  }
  EXPECT_TRUE(states("| 0x4D524643 |"));
  EXPECT_EQ(kFrameMagic, 0x4D524643u);
  EXPECT_TRUE(states("64 ... 2^28"));
  EXPECT_EQ(kMaxFrame, std::uint64_t{1} << 28);
}

}  // namespace
}  // namespace cairn::format
