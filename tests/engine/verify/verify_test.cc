// SPDX-License-Identifier: Apache-2.0
//
// verify() names each defect of a file: pages that differ from their checksums, and structures that
// are wrong although the checksums are right.
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <functional>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "tests/engine/verify/damaged_file.h"

namespace cairn {
namespace {

using format::SectionId;
using test::DamagedFile;
using test::Vectors;

constexpr std::size_t kRows = 600;
constexpr std::size_t kDims = 6;

Index small_index(Traversal traversal = Traversal::code) {
  IndexParams params;
  params.dimensions = kDims;
  params.metric = Metric::l2sq;
  params.m = 4;  // a quarter of the nodes on level 1
  params.ef_construction = 30;
  params.traversal = traversal;
  return test::built(params, test::random_vectors(kRows, kDims, 1));
}

std::string text(std::uint64_t number) { return std::to_string(number); }

std::string joined(const std::vector<std::string>& lines) {
  std::string all;
  for (const std::string& line : lines) all += line + "\n";
  return all;
}

// Cut while it is mapped: a read says so, a touch of the mapping would be SIGBUS.
TEST(VerifyPages, WhatCannotBeReadIsAFindingAndTheGraphIsNotWalked) {
  DamagedFile file(small_index());
  const auto index = file.reopen();
  ASSERT_TRUE(index);
  const auto place = file.at(SectionId::hot, 4 * format::kPageSize) - file.bytes().data();
  std::filesystem::resize_file(file.path(), static_cast<std::uintmax_t>(place));
  const auto report = index->verify();
  ASSERT_TRUE(report) << report.error().message();
  EXPECT_FALSE(report->ok());
  EXPECT_EQ(report->nodes_checked, 0u);
  EXPECT_NE(joined(report->findings).find("the file ends there"), std::string::npos);
  EXPECT_NE(report->findings.back().find("the graph was not looked at"), std::string::npos);
}

class VerifyStructure : public testing::Test {
 protected:
  VerifyStructure() : file(small_index()) {}

  // verify() of the file as it is now, with right checksums, has a finding with these words in it.
  VerifyReport expect_finding(const std::string& words) {
    auto index = file.reopen();
    EXPECT_TRUE(index) << index.error().message();
    if (!index) return {};
    auto report = index->verify();
    EXPECT_TRUE(report) << report.error().message();
    if (!report) return {};
    const auto& findings = report->findings;
    EXPECT_TRUE(std::any_of(
        findings.begin(), findings.end(),
        [&](const std::string& finding) { return finding.find(words) != std::string::npos; }))
        << "no \"" << words << "\" in\n"
        << joined(findings);
    EXPECT_FALSE(report->ok());
    return *report;
  }

  // The same, and it is the only one.
  void expect_only_finding(const std::string& words) {
    const VerifyReport report = expect_finding(words);
    EXPECT_EQ(report.findings.size(), 1u) << joined(report.findings);
  }

  DamagedFile file;
};

TEST_F(VerifyStructure, ASavedFileHasNoFindings) {
  const auto report = file.reopen()->verify();
  ASSERT_TRUE(report);
  EXPECT_TRUE(report->ok()) << joined(report->findings);
  EXPECT_EQ(report->nodes_checked, kRows);
  EXPECT_EQ(report->unreachable, 0u);
  // 36 KiB of blocks, and all that follows the first 256 KiB.
  EXPECT_EQ(report->pages_checked, 9 + (file.bytes().size() - (256u << 10)) / 4096);
}

TEST_F(VerifyStructure, ALinkThatIsNoNode) {
  DamagedFile::store(file.link(77, 2), std::uint32_t{kRows});
  expect_only_finding("node 77, level 0: link 2 is " + text(kRows) + ", there are " + text(kRows));
}

TEST_F(VerifyStructure, ALinkToTheNodeItself) {
  DamagedFile::store(file.link(77, 0), std::uint32_t{77});
  expect_finding("node 77, level 0: link 0 points to the node itself");
}

TEST_F(VerifyStructure, TwoLinksToOneNode) {
  const auto first = DamagedFile::load<std::uint32_t>(file.link(77, 0));
  DamagedFile::store(file.link(77, 1), first);
  expect_finding("node 77, level 0: two links to node " + text(first));
}

TEST_F(VerifyStructure, ADegreeBeyondTheList) {
  const std::uint32_t capacity = file.parameters().m_max0;
  DamagedFile::store(file.node(77, format::hot::kDegree), capacity + 1);
  expect_finding("node 77, level 0: degree " + text(capacity + 1) + ", the list holds " +
                 text(capacity));
}

TEST_F(VerifyStructure, ALinkBehindTheUsedOnes) {
  std::uint32_t node = 0;
  while (file.degree(node) == file.parameters().m_max0) ++node;
  DamagedFile::store(file.link(node, file.degree(node)), std::uint32_t{1});
  expect_only_finding("node " + text(node) + ", level 0: unused link " + text(file.degree(node)));
}

TEST_F(VerifyStructure, ALevelThatIsNotThatOfTheKey) {
  const std::uint32_t node = file.node_of_level(2);
  DamagedFile::store(file.node(node, format::hot::kLevel), std::uint8_t{1});
  expect_finding("node " + text(node) + ": level 1, its key has level ");
}

TEST_F(VerifyStructure, UpperRecordsBeyondTheSection) {
  const std::uint32_t node = file.node_of_level(1);
  const auto used = static_cast<std::uint32_t>(file.counters().upper_used);
  DamagedFile::store(file.node(node, format::hot::kUpper), used);
  expect_finding("node " + text(node) + ": upper records at " + text(used) + ", there are " +
                 text(used));
}

TEST_F(VerifyStructure, UpperRecordsOfANodeOfLevelZero) {
  std::uint32_t node = 0;
  while (file.first_upper(node) != format::kNoNode) ++node;
  DamagedFile::store(file.node(node, format::hot::kUpper), std::uint32_t{0});
  expect_only_finding("node " + text(node) + ": upper records at 0");
}

TEST_F(VerifyStructure, TheUpperRecordOfAnotherNode) {
  const std::uint32_t node = file.node_of_level(1);
  DamagedFile::store(file.upper(file.first_upper(node), format::upper::kNode), std::uint32_t{5});
  expect_only_finding("upper record " + text(file.first_upper(node)) + " is that of node 5");
}

TEST_F(VerifyStructure, AnUpperRecordOfAnotherLevel) {
  const std::uint32_t node = file.node_of_level(2);
  const std::uint32_t second = file.first_upper(node) + 1;
  DamagedFile::store(file.upper(second, format::upper::kLevel), std::uint16_t{3});
  expect_only_finding("upper record " + text(second) + " is that of node " + text(node) +
                      ", level 3");
}

TEST_F(VerifyStructure, ADegreeBeyondTheListOfAnUpperLevel) {
  const std::uint32_t node = file.node_of_level(1);
  DamagedFile::store(file.upper(file.first_upper(node), format::upper::kDegree), std::uint16_t{5});
  expect_finding("node " + text(node) + ", level 1: degree 5, the list holds 4");
}

TEST_F(VerifyStructure, ALinkToANodeThatIsNotOnTheLevel) {
  const std::uint32_t node = file.node_of_level(1);
  std::uint32_t low = 0;
  while (file.first_upper(low) != format::kNoNode) ++low;
  DamagedFile::store(file.upper(file.first_upper(node), format::upper::kLinks), low);
  expect_only_finding("node " + text(node) + ", level 1: link 0 points to node " + text(low) +
                      " of level 0");
}

TEST_F(VerifyStructure, AnEntryPointOfALowLevel) {
  format::Counters counters = file.counters();
  counters.entry_point = 0;
  while (file.first_upper(counters.entry_point) != format::kNoNode) ++counters.entry_point;
  file.set_counters(counters);
  expect_finding("entry point " + text(counters.entry_point) + " of level 0");
}

TEST_F(VerifyStructure, AMaximumLevelThatIsWrong) {
  format::Counters counters = file.counters();
  ++counters.max_level;
  file.set_counters(counters);
  expect_only_finding("recorded " + text(counters.max_level));
}

TEST_F(VerifyStructure, ACodeThatDoesNotBelongToTheVector) {
  std::byte* code = file.code(300);
  DamagedFile::store(code, static_cast<std::int8_t>(DamagedFile::load<std::int8_t>(code) ^ 1));
  expect_only_finding("node 300: the code does not belong to the vector");
}

TEST_F(VerifyStructure, AVectorThatDoesNotBelongToTheCode) {
  DamagedFile::store(file.vector(300), 1234.5f);
  expect_finding("node 300: the code does not belong to the vector");
}

TEST_F(VerifyStructure, FactorsThatDoNotBelongToTheVector) {
  for (const std::size_t factor : {format::hot::kFactorA, format::hot::kFactorB}) {
    for (const float wrong : {-1.0f, 0.0f, std::numeric_limits<float>::quiet_NaN()}) {
      file.heal();
      DamagedFile::store(file.node(300, factor), wrong);
      expect_only_finding("node 300: the factors do not belong to the vector");
    }
  }
}

TEST_F(VerifyStructure, AVectorThatIsNotFinite) {
  for (const float bad :
       {std::numeric_limits<float>::quiet_NaN(), -std::numeric_limits<float>::infinity()}) {
    file.heal();
    DamagedFile::store(file.vector(300) + 8, bad);
    expect_only_finding("node 300: component 2 is not finite");
  }
}

TEST_F(VerifyStructure, FlagsThatContradictEachOther) {
  for (const int flags : {3, 9}) {
    file.heal();
    DamagedFile::store(file.node(9, format::hot::kFlags), static_cast<std::uint8_t>(flags));
    expect_finding("node 9: flags " + text(static_cast<std::uint64_t>(flags)));
  }
}

TEST_F(VerifyStructure, ANodeWithTheFlagsOfAFreeSlot) {
  DamagedFile::store(file.node(9, format::hot::kFlags), std::uint8_t{0});
  expect_finding("free slot 9 is not zero");
}

TEST_F(VerifyStructure, ANumberOfLiveNodesThatIsWrong) {
  format::Counters counters = file.counters();
  --counters.live;
  file.set_counters(counters);
  expect_finding("599 live nodes recorded, 600 counted");
}

// Bucket and position of a key table's entry.
std::uint64_t place_of_entry(DamagedFile& file, std::uint32_t node) {
  for (std::uint64_t bucket = 0; bucket < file.counters().hash_buckets; ++bucket) {
    for (std::uint64_t i = 0; i < format::bucket::kEntries; ++i) {
      const std::uint64_t at = bucket * format::bucket::kSize + format::bucket::kEntry + 4 * i;
      if (DamagedFile::load<std::uint32_t>(file.at(SectionId::hash, at)) == node + 1) return at;
    }
  }
  ADD_FAILURE() << "node " << node << " is not in a primary bucket";
  return 0;
}

TEST_F(VerifyStructure, AKeyThatIsMissingInTheTable) {
  DamagedFile::store(file.at(SectionId::hash, place_of_entry(file, 50)), std::uint32_t{0});
  expect_finding("node 50: key 1350 is not in the key table");
}

TEST_F(VerifyStructure, AKeyThatStandsInAnotherBucketThanItsOwn) {
  // The key of another node of level 0, whose place in the table is its own.
  std::uint32_t node = 50;
  while (file.first_upper(node) != format::kNoNode) ++node;
  std::uint32_t other = node + 1;
  while (file.first_upper(other) != format::kNoNode) ++other;
  const Key key = 1000 + 7 * other;
  std::memcpy(file.at(SectionId::key, 8 * node), &key, sizeof key);
  expect_only_finding("key " + text(key) + " of node " + text(node) + " belongs in bucket");
}

TEST_F(VerifyStructure, AnEntryForANodeThatIsNotThere) {
  DamagedFile::store(file.at(SectionId::hash, place_of_entry(file, 50)), std::uint32_t{kRows + 1});
  expect_finding("key table: bucket");
}

TEST_F(VerifyStructure, ALinkOfTheTableThatLeadsNowhere) {
  DamagedFile::store(file.at(SectionId::hash, format::bucket::kNext), std::uint32_t{0xFFFFFF});
  expect_finding("key table: bucket 0: link beyond the overflow buckets");
}

TEST_F(VerifyStructure, CountsTheNodesThatNothingReaches) {
  // Every link to node 42 is led to another node that its list does not hold.
  std::size_t changed = 0;
  for (std::uint32_t node = 0; node < kRows; ++node) {
    std::vector<std::uint32_t> links;
    for (std::uint32_t i = 0; i < file.degree(node); ++i) {
      links.push_back(DamagedFile::load<std::uint32_t>(file.link(node, i)));
    }
    const auto found = std::find(links.begin(), links.end(), 42u);
    if (found == links.end()) continue;
    std::uint32_t other = 100;
    while (other == node || std::find(links.begin(), links.end(), other) != links.end()) ++other;
    DamagedFile::store(file.link(node, static_cast<std::size_t>(found - links.begin())), other);
    ++changed;
  }
  ASSERT_GT(changed, 0u);
  const auto report = file.reopen()->verify();
  ASSERT_TRUE(report);
  EXPECT_TRUE(report->ok()) << joined(report->findings);
  EXPECT_EQ(report->unreachable, 1u);
}

TEST_F(VerifyStructure, ManyDefectsAreCutShort) {
  for (std::uint32_t node = 0; node < kRows; ++node) {
    for (std::uint32_t i = 0; i < 3; ++i) DamagedFile::store(file.link(node, i), ~std::uint32_t{0});
  }
  const auto report = file.reopen()->verify();
  ASSERT_TRUE(report);
  EXPECT_EQ(report->findings.size(), 1001u);
  EXPECT_NE(report->findings.back().find("more than 1000"), std::string::npos);
}

TEST(VerifyExact, DefectsOfVectorsAreFoundWithoutCodesToo) {
  DamagedFile file(small_index(Traversal::exact));
  EXPECT_TRUE(file.reopen()->verify()->ok());
  DamagedFile::store(file.vector(7) + 4, std::numeric_limits<float>::quiet_NaN());
  DamagedFile::store(file.node(8, format::hot::kFactorA), 2.0f);
  const auto report = file.reopen()->verify();
  ASSERT_EQ(report->findings.size(), 2u) << joined(report->findings);
  EXPECT_NE(joined(report->findings).find("node 7: component 1"), std::string::npos);
  EXPECT_NE(joined(report->findings).find("node 8: the factors"), std::string::npos);
}

TEST(VerifyPages, AFlippedBitIsFoundInEverySection) {
  IndexParams params;
  params.dimensions = kDims;
  params.m = 4;
  params.ef_construction = 10;
  DamagedFile file(test::built(params, test::random_vectors(3000, kDims, 2)));
  ASSERT_GT(file.counters().overflow_used, 0u);
  const std::pair<SectionId, const char*> sections[] = {
      {SectionId::hot, "HOT page 0"},
      {SectionId::exact, "EXACT page 0"},
      {SectionId::key, "KEY page 0"},
      {SectionId::upper, "UPPER page 0"},
      {SectionId::hash, "HASH page 0"},
      {SectionId::overflow, "OVERFLOW page 0"},
      {SectionId::checksum, "checksum tree of HOT"}};
  for (const auto& [section, name] : sections) {
    file.heal();
    *file.at(section, 3) ^= std::byte{0x10};
    const auto index = file.reopen_as_it_is();
    ASSERT_TRUE(index) << name;
    const auto report = index->verify();
    ASSERT_TRUE(report) << name;
    EXPECT_NE(joined(report->findings).find(name), std::string::npos) << name << ":\n"
                                                                      << joined(report->findings);
    EXPECT_NE(joined(report->findings).find("checksum"), std::string::npos);
  }
}

TEST(VerifyPages, ABrokenSuperblockSlotIsAFindingThoughTheOtherServes) {
  DamagedFile file(small_index());
  for (const std::size_t slot : {0u, 1u}) {
    file.heal();
    file.bytes()[format::kSuperblockOffsets[slot] + 300] ^= std::byte{1};
    const auto index = file.reopen_as_it_is();
    ASSERT_TRUE(index);
    EXPECT_EQ(index->size(), kRows);
    const auto report = index->verify();
    ASSERT_EQ(report->findings.size(), 1u) << joined(report->findings);
    EXPECT_NE(report->findings[0].find("superblock " + text(slot)), std::string::npos);
  }
}

TEST(Verify, ProgressGrowsToTheTotal) {
  DamagedFile file(small_index());
  const Index index = file.reopen().value();
  for (const unsigned threads : {1u, 4u}) {
    std::size_t last = 0;
    std::size_t total = 0;
    BuildOptions options;
    options.threads = threads;
    options.progress = [&](std::size_t done, std::size_t of) {
      EXPECT_GE(done, last);
      EXPECT_LE(done, of);
      last = done;
      total = of;
    };
    const auto report = index.verify(options);
    ASSERT_TRUE(report);
    EXPECT_EQ(last, total);
    EXPECT_EQ(total, report->pages_checked + report->nodes_checked);
  }
}

TEST(Verify, AFlagThatIsSetStopsIt) {
  DamagedFile file(small_index());
  const std::atomic<bool> stop{true};
  BuildOptions options;
  options.stop = &stop;
  for (const Index& index : {file.reopen().value(), small_index()}) {
    const auto report = index.verify(options);
    ASSERT_FALSE(report);
    EXPECT_EQ(report.error().code(), ErrorCode::cancelled);
  }
}

TEST(Verify, AFlagThatIsSetInTheMiddleStopsIt) {
  IndexParams params;
  params.dimensions = 2;
  params.m = 4;
  params.ef_construction = 8;
  const test::TemporaryDirectory directory;
  const Index in_memory = test::built(params, test::random_vectors(20000, 2, 2));
  ASSERT_TRUE(in_memory.save(directory / "a"));
  const Index opened = Index::open(directory / "a").value();
  // Among the pages, and among the nodes, which come behind them.
  for (const double part : {0.0, 0.5}) {
    for (const Index* index : {&in_memory, &opened}) {
      std::atomic<bool> stop{false};
      BuildOptions options;
      options.threads = 1;
      options.stop = &stop;
      options.progress = [&](std::size_t done, std::size_t total) {
        stop = static_cast<double>(done) >= part * static_cast<double>(total);
      };
      const auto report = index->verify(options);
      ASSERT_FALSE(report);
      EXPECT_EQ(report.error().code(), ErrorCode::cancelled);
    }
  }
  EXPECT_TRUE(opened.verify()->ok());
}

TEST(Verify, AnyNumberOfThreadsFindsTheSame) {
  DamagedFile file(small_index());
  for (std::uint32_t node = 0; node < 40; ++node) {
    DamagedFile::store(file.vector(node), std::numeric_limits<float>::infinity());
  }
  const Index index = file.reopen().value();
  std::vector<std::string> expected;
  for (const unsigned threads : {1u, 2u, 5u}) {
    BuildOptions options;
    options.threads = threads;
    std::vector<std::string> findings = index.verify(options)->findings;
    std::sort(findings.begin(), findings.end());
    if (threads == 1) expected = findings;
    EXPECT_EQ(findings, expected);
  }
  EXPECT_EQ(expected.size(), 40u);
}

}  // namespace
}  // namespace cairn
