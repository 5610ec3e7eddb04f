// SPDX-License-Identifier: Apache-2.0
#include "format/bytes/extent_table.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "format/bytes/superblock_layout.h"
#include "format/pages/checksum_tree.h"

namespace cairn::format {
namespace {

constexpr std::uint64_t kFileSize = std::uint64_t{64} << 20;

// HOT in two runs, the second large; KEY in one; CHECKSUM in two.
std::vector<Extent> good_entries() {
  return {{1, 0, 0, 8192, 262144, 0, 11},
          {1, 0, 8192, 4 << 20, (8 << 20) + 8192, 4096, 12},
          {3, 0, 0, 4096, 278528, 4 * 4096, 13},
          {7, 0, 0, 12288, 299008, 0, 0},
          {7, 0, 12288, 16384, 315392, 0, 0}};
}

Result<ExtentTable> check(std::vector<Extent> entries) {
  return ExtentTable::check(std::move(entries), kFileSize, kSectionCount);
}

struct Damage {
  const char* part;
  void (*apply)(std::vector<Extent>&);
};

TEST(ExtentTable, AcceptsRunsInOrder) {
  const auto table = check(good_entries());
  ASSERT_TRUE(table) << table.error().message();
  EXPECT_EQ(table->section(SectionId::hot).size(), 2u);
  EXPECT_EQ(table->section(SectionId::exact).size(), 0u);
  EXPECT_EQ(table->section_bytes(SectionId::hot), 8192u + (4 << 20));
  EXPECT_EQ(table->section_bytes(SectionId::exact), 0u);
  EXPECT_EQ(table->section_bytes(SectionId::checksum), 28672u);
}

TEST(ExtentTable, FindsAByteOfASectionInTheFile) {
  const auto table = check(good_entries());
  ASSERT_TRUE(table);
  EXPECT_EQ(table->file_offset(SectionId::hot, 0), 262144u);
  EXPECT_EQ(table->file_offset(SectionId::hot, 8191), 262144u + 8191);
  EXPECT_EQ(table->file_offset(SectionId::hot, 8192), (8u << 20) + 8192);
  EXPECT_EQ(table->file_offset(SectionId::checksum, 12289), 315393u);
}

TEST(ExtentTable, AcceptsNone) { EXPECT_TRUE(check({})); }

TEST(ExtentTable, EveryRuleIsChecked) {
  const Damage cases[] = {
      {"extent 0: section 0", [](std::vector<Extent>& e) { e[0].section = 0; }},
      {"extent 4: section 8", [](std::vector<Extent>& e) { e[4].section = 8; }},
      {"extent 2: flags", [](std::vector<Extent>& e) { e[2].flags = 1; }},
      {"extent 0: length 0", [](std::vector<Extent>& e) { e[0].length = 0; }},
      {"extent 0: length 8191", [](std::vector<Extent>& e) { e[0].length = 8191; }},
      {"extent 0: run", [](std::vector<Extent>& e) { e[0].file_offset = 258048; }},
      {"extent 0: run", [](std::vector<Extent>& e) { e[0].file_offset += 1; }},
      {"extent 0: run", [](std::vector<Extent>& e) { e[0].file_offset = kFileSize - 4096; }},
      {"extent 0: run", [](std::vector<Extent>& e) { e[0].file_offset = UINT64_MAX - 4095; }},
      {"extent 0: run", [](std::vector<Extent>& e) { e[0].length = UINT64_MAX - 4095; }},
      {"modulo 2 MiB", [](std::vector<Extent>& e) { e[1].file_offset += 4096; }},
      {"overlaps", [](std::vector<Extent>& e) { e[2].file_offset = e[0].file_offset + 4096; }},
      {"overlaps", [](std::vector<Extent>& e) { e[4].file_offset = e[3].file_offset; }},
      {"goes on at 8192", [](std::vector<Extent>& e) { e[1].logical_offset = 8192 + (2 << 20); }},
      {"goes on at 0", [](std::vector<Extent>& e) { e[2].logical_offset = 4096; }},
      {"section 1 after section 3", [](std::vector<Extent>& e) { std::swap(e[0], e[2]); }},
      {"extent 0: logical offset",
       [](std::vector<Extent>& e) {
         std::swap(e[0].length, e[1].length);
         e[0].file_offset = 8 << 20;
         e[0].logical_offset = 0;
         e[1].file_offset = 262144;
         e[0].logical_offset = 2 << 20;
       }},
      {"extent 3: a run of CHECKSUM", [](std::vector<Extent>& e) { e[3].root = 1; }},
      {"extent 3: a run of CHECKSUM", [](std::vector<Extent>& e) { e[3].tree_offset = 4096; }},
      {"extent 0: checksum tree", [](std::vector<Extent>& e) { e[0].tree_offset = 1; }},
      {"extent 0: checksum tree", [](std::vector<Extent>& e) { e[0].tree_offset = 28672; }},
      {"extent 1: checksum tree", [](std::vector<Extent>& e) { e[1].tree_offset = 6 * 4096; }},
      {"extent 0: checksum tree", [](std::vector<Extent>& e) { e[0].tree_offset = 0 - 4096ull; }},
      {"checksum tree at", [](std::vector<Extent>& e) { e[2].tree_offset = 3 * 4096; }},
      {"extent 0: checksum tree", [](std::vector<Extent>& e) { e.resize(3); }},
  };
  for (const Damage& damage : cases) {
    std::vector<Extent> entries = good_entries();
    damage.apply(entries);
    const auto table = check(entries);
    ASSERT_FALSE(table) << damage.part;
    EXPECT_EQ(table.error().code(), ErrorCode::corrupt);
    EXPECT_NE(table.error().message().find(damage.part), std::string::npos)
        << "expected: " << damage.part << "\nmessage: " << table.error().message();
  }
}

TEST(ExtentTable, NeighborsMayTouch) {
  std::vector<Extent> entries = good_entries();
  entries[2].file_offset = entries[0].file_offset + entries[0].length;
  EXPECT_TRUE(check(entries));
}

TEST(ExtentTable, SectionsOfNewerVersionsAreCheckedLikeOthers) {
  std::vector<Extent> entries = good_entries();
  entries.push_back({8, 0, 0, 4096, 20 << 20, 5 * 4096, 5});
  EXPECT_FALSE(ExtentTable::check(entries, kFileSize, 7));
  EXPECT_TRUE(ExtentTable::check(entries, kFileSize, 8));
  entries.back().file_offset = entries[0].file_offset;
  EXPECT_FALSE(ExtentTable::check(entries, kFileSize, 8));
}

}  // namespace
}  // namespace cairn::format
