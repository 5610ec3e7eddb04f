// SPDX-License-Identifier: Apache-2.0
//
// One defect each in a sound graph of nine points on a line.
#include "engine/verify/verify_graph.h"

#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "engine/store/key_table.h"
#include "engine/store/level_generator.h"
#include "tests/engine/graph/tiny_graph.h"
#include "tests/support/nodes.h"

namespace cairn {
namespace {

constexpr std::uint32_t kNodes = 9;

class VerifyGraph : public testing::Test {
 protected:
  explicit VerifyGraph(Traversal traversal = Traversal::exact) : graph_(4, traversal) {
    const LevelGenerator levels(store().parameters().m, store().parameters().seed);
    for (const NodeId node : nodes_below(kNodes)) {
      graph_.add(static_cast<float>(node.index), 0, levels.level(100 + node.index));
      insert(node);
    }
    for (std::uint32_t node = 0; node + 1 < kNodes; ++node) {
      graph_.link_both({node}, {node + 1});
    }
  }

  NodeStore& store() { return graph_.store(); }
  void insert(NodeId node) { EXPECT_TRUE(table_.insert(100 + node.index, node)); }
  std::byte* record(format::SectionId id, std::uint32_t number) {
    return store().section(id).data() + number * record_stride(store().parameters(), id);
  }
  std::byte* header(NodeId node) {
    return record(format::SectionId::hot, node.index) + store().parameters().hot_factor_offset;
  }
  void set_flags(NodeId node, std::uint8_t flags) {
    header(node)[format::hot::kFlags] = std::byte{flags};
  }

  VerifyReport report(std::uint64_t live = kNodes) {
    VerifyReport report;
    GraphVerifyOptions options;
    options.threads = 1;
    EXPECT_TRUE(verify_graph(store(), table_, live, options, report));
    return report;
  }
  std::vector<std::string> findings(std::uint64_t live = kNodes) { return report(live).findings; }

  static format::Region region() {
    return format::Region::reserve(4096, format::kHugePage).value();
  }

  using Findings = std::vector<std::string>;

  test::TinyGraph graph_;
  format::Region hash_ = region();
  format::Region overflow_ = region();
  KeyTable table_{&hash_, &overflow_, graph_.store().key_region(),
                  graph_.store().parameters().seed};
};

TEST_F(VerifyGraph, ASoundGraphHasNoFindings) {
  const VerifyReport sound = report();
  EXPECT_EQ(sound.findings, Findings{});
  EXPECT_EQ(sound.nodes_checked, kNodes);
  EXPECT_EQ(sound.unreachable, 0u);
}

TEST_F(VerifyGraph, ALiveNodeOutsideTheKeyTableIsFound) {
  ASSERT_TRUE(table_.erase(104, 4_n));
  EXPECT_EQ(findings(), (Findings{"node 4: key 104 is not in the key table"}));
}

TEST_F(VerifyGraph, ADeletedNodeInTheKeyTableIsFound) {
  store().set_deleted(4_n);
  EXPECT_EQ(findings(kNodes - 1),
            (Findings{"node 4: key 104 is in the key table, but the node is not live"}));
}

TEST_F(VerifyGraph, ATombstoneIsSound) {
  store().set_deleted(4_n);
  ASSERT_TRUE(table_.erase(104, 4_n));
  EXPECT_EQ(findings(kNodes - 1), Findings{});
}

TEST_F(VerifyGraph, AWrongNumberOfTombstonesIsFound) {
  ASSERT_TRUE(table_.erase(104, 4_n));
  set_flags(4_n, format::hot::kFlagDeleted);
  EXPECT_EQ(findings(kNodes - 1), (Findings{"0 deleted nodes recorded, 1 counted"}));
}

// Node 8 is at the end of the line: unlinked, its slot may become free.
TEST_F(VerifyGraph, AFreeSlotIsSoundAndALinkToItIsFound) {
  ASSERT_EQ(store().view().level(8_n), 0u);
  ASSERT_NE(store().view().entry_point, 8_n);
  ASSERT_TRUE(table_.erase(108, 8_n));
  store().set_deleted(8_n);
  store().set_links(7_n, 0, std::vector<NodeId>{6_n});
  store().release_deleted(8_n);
  EXPECT_EQ(findings(kNodes - 1), Findings{});
  store().append_link(7_n, 0, 8_n);
  EXPECT_EQ(findings(kNodes - 1), (Findings{"node 7, level 0: link 1 points to the free slot 8"}));
}

TEST_F(VerifyGraph, AFreeSlotThatIsNotChainedOrNotZeroIsFound) {
  ASSERT_TRUE(table_.erase(108, 8_n));
  store().set_links(7_n, 0, std::vector<NodeId>{6_n});
  store().set_deleted(8_n);
  store().release_deleted(8_n);
  header(8_n)[format::hot::kFactorA] = std::byte{1};
  EXPECT_EQ(findings(kNodes - 1), (Findings{"free slot 8 is not zero"}));
  header(8_n)[format::hot::kFactorA] = std::byte{0};
  format::store_u32(header(8_n) + format::hot::kUpper, 0, 8);  // a cycle
  EXPECT_EQ(findings(kNodes - 1), (Findings{"chain of free slots: 10 slots, there are 1"}));
  format::store_u32(header(8_n) + format::hot::kUpper, 0, 7);
  EXPECT_EQ(findings(kNodes - 1), (Findings{"chain of free slots: slot 7 is not free"}));
}

TEST_F(VerifyGraph, AFreeUpperBlockThatIsNotZeroIsFound) {
  const auto level = [&](NodeId node) { return store().view().level(node); };
  NodeId node{0};
  while (node < kNodes && level(node) == 0) ++node.index;
  ASSERT_LT(node, kNodes) << "none has a level above 0";
  NodeId highest = node == 0_n ? 1_n : 0_n;
  for (const NodeId other : nodes_below(kNodes)) {
    if (other != node && level(other) > level(highest)) highest = other;
    std::vector<NodeId> links;
    for (const NodeId neighbor : {NodeId{other.index - 1}, NodeId{other.index + 1}}) {
      if (neighbor < kNodes && neighbor != node) links.push_back(neighbor);
    }
    if (other != node) store().set_links(other, 0, links);
  }
  store().publish_entry(highest, level(highest));
  const std::uint32_t first = format::load_u32(header(node) + format::hot::kUpper, 0);
  ASSERT_TRUE(table_.erase(100 + node.index, node));
  store().set_deleted(node);
  store().release_deleted(node);
  EXPECT_EQ(findings(kNodes - 1), Findings{});
  record(format::SectionId::upper, first)[format::upper::kLinks + 4] = std::byte{1};
  EXPECT_EQ(findings(kNodes - 1),
            (Findings{"free upper block " + std::to_string(first) + ": it is not zero"}));
}

struct VerifyGraphOfCodes : VerifyGraph {
  VerifyGraphOfCodes() : VerifyGraph(Traversal::code) {}
};

TEST_F(VerifyGraphOfCodes, AFreeSlotThatHasKeptAVectorIsFound) {
  ASSERT_TRUE(table_.erase(108, 8_n));
  store().set_links(7_n, 0, std::vector<NodeId>{6_n});
  store().set_deleted(8_n);
  store().release_deleted(8_n);
  EXPECT_EQ(findings(kNodes - 1), Findings{});
  record(format::SectionId::exact, 8)[3] = std::byte{1};
  EXPECT_EQ(findings(kNodes - 1), (Findings{"free slot 8 is not zero"}));
}

TEST_F(VerifyGraph, UpperRecordsThatNobodyHasAreFound) {
  store().publish(kNodes, store().upper_count() + 1, kNodes);
  const std::uint32_t used = store().upper_count() - 1;
  EXPECT_EQ(findings(),
            (Findings{std::to_string(used) + " upper records in use or free, there are " +
                      std::to_string(used + 1)}));
}

TEST_F(VerifyGraph, AWrongNumberOfLiveNodesIsFound) {
  EXPECT_EQ(findings(kNodes + 1), (Findings{"10 live nodes recorded, 9 counted"}));
}

TEST_F(VerifyGraph, TheKeyTablesOwnDefectIsFound) {
  std::byte* tags = hash_.data() + format::bucket::kTag;
  format::store_u16(tags, 0, static_cast<std::uint16_t>(format::load_u16(tags) ^ 1));
  const Findings found = findings();
  ASSERT_EQ(found.size(), 1u);
  EXPECT_EQ(found[0].rfind("key table: bucket 0, entry 0: tag ", 0), 0u) << found[0];
}

TEST_F(VerifyGraph, ALinkBeyondTheNodesIsFound) {
  std::byte* links = header(4_n) + format::hot::kLinks;
  format::store_u32(links, 1, kNodes);
  const Findings found = findings();
  ASSERT_FALSE(found.empty());
  EXPECT_EQ(found[0].rfind("node 4, level 0: ", 0), 0u) << found[0];
}

TEST_F(VerifyGraph, ADegreeBeyondTheListIsFound) {
  format::store_u32(header(4_n) + format::hot::kDegree, 0, store().parameters().m_max0 + 1);
  const Findings found = findings();
  ASSERT_FALSE(found.empty());
  EXPECT_EQ(found[0].rfind("node 4, level 0: ", 0), 0u) << found[0];
}

TEST_F(VerifyGraph, ALevelThatIsNotTheKeysIsFound) {
  const auto level = static_cast<std::uint8_t>(store().view().level(4_n) + 1);
  header(4_n)[format::hot::kLevel] = std::byte{level};
  const Findings found = findings();
  ASSERT_FALSE(found.empty());
  EXPECT_EQ(found[0].rfind("node 4: level ", 0), 0u) << found[0];
}

TEST_F(VerifyGraph, UnreachableNodesAreCounted) {
  // The line is cut between 5 and 6, in both directions.
  const std::vector<NodeId> left = {4_n};
  const std::vector<NodeId> right = {7_n};
  store().set_links(5_n, 0, left);
  store().set_links(6_n, 0, right);
  const NodeId entry = store().view().entry_point;
  EXPECT_EQ(report().unreachable, entry <= 5_n ? 3u : 6u);
  EXPECT_EQ(findings(), Findings{});
}

}  // namespace
}  // namespace cairn
