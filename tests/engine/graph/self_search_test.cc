// SPDX-License-Identifier: Apache-2.0
#include "engine/graph/self_search.h"

#include <gtest/gtest.h>

#include <cstddef>
#include <vector>

#include <cairn/cairn.h>

#include "tests/engine/graph/tiny_graph.h"
#include "tests/support/file_image.h"
#include "tests/support/nodes.h"
#include "tests/support/temporary_directory.h"
#include "tests/support/vectors.h"

namespace cairn {
namespace {

using test::TinyGraph;
using test::Vectors;

Stray looked_for(const TinyGraph& graph, NodeId node) {
  SearchScratch scratch;
  return search_for_itself(graph.space(), node, scratch);
}

std::vector<NodeId> links_of(const TinyGraph& graph, NodeId node) {
  std::vector<NodeId> ids;
  copy(graph.space().view().links(node), ids);
  return ids;
}

// 20 points of a line, and one above the sixth that links to it and that nothing links to.
class SelfSearch : public testing::Test {
 protected:
  SelfSearch() {
    graph_.add_line(20);
    alone_ = graph_.add(5, 0.25f);
    graph_.link(alone_, 5_n);
  }

  static void lead(TinyGraph& graph, const Stray& stray) {
    Linker linker(graph.store());
    std::vector<NodeId> list;
    link_stray(stray, graph.space().view(), linker, list);
  }
  void lead(const Stray& stray) { lead(graph_, stray); }
  static void fill(TinyGraph& graph, NodeId node, NodeId with) {
    while (links_of(graph, node).size() < graph.store().parameters().m_max0) graph.link(node, with);
  }

  TinyGraph graph_;
  NodeId alone_;
};

TEST_F(SelfSearch, MeetsWhatIsLinked) {
  for (const NodeId node : nodes_below(20)) EXPECT_EQ(looked_for(graph_, node).size, 0u) << node;
}

TEST_F(SelfSearch, EndsAtTheNearestIfNothingLeadsThere) {
  const Stray stray = looked_for(graph_, alone_);
  EXPECT_EQ(stray.node, alone_);
  EXPECT_EQ(stray.size, kSelfSearchWindow);
  EXPECT_EQ(stray.ends[0], 5_n);
}

TEST_F(SelfSearch, ALinkFromTheNearestWithRoomIsEnough) {
  fill(graph_, 5_n, 0_n);
  const Stray stray = looked_for(graph_, alone_);
  ASSERT_EQ(stray.ends[0], 5_n);
  lead(stray);
  EXPECT_FALSE(contains(links_of(graph_, 5_n), alone_));
  EXPECT_TRUE(contains(links_of(graph_, stray.ends[1]), alone_));
  EXPECT_EQ(looked_for(graph_, alone_).size, 0u);
}

TEST_F(SelfSearch, SoManyOfTheNearestLinkToIt) {
  fill(graph_, 5_n, 0_n);
  const Stray stray = looked_for(graph_, alone_);
  lead(stray);
  std::vector<NodeId> linking;
  for (const NodeId end : stray.ends) {
    if (contains(links_of(graph_, end), alone_)) linking.push_back(end);
  }
  EXPECT_EQ(linking,
            std::vector<NodeId>(stray.ends.begin() + 1, stray.ends.begin() + 1 + kLinksToStray));
}

TEST_F(SelfSearch, WithoutRoomALinkThatAnotherHasTooIsGivenUp) {
  for (const NodeId node : nodes_below(20)) fill(graph_, node, 0_n);
  const Stray stray = looked_for(graph_, alone_);
  ASSERT_EQ(stray.ends[0], 5_n);
  std::vector<NodeId> before = links_of(graph_, 5_n);
  lead(stray);
  EXPECT_EQ(before.back(), 0_n);  // which 4 and 6 link to, too
  before.back() = alone_;
  EXPECT_EQ(links_of(graph_, 5_n), before);
  EXPECT_EQ(looked_for(graph_, alone_).size, 0u);
}

TEST_F(SelfSearch, NoPathIsGivenUp) {
  TinyGraph two;
  two.add_line(2);
  fill(two, 0_n, 1_n);
  fill(two, 1_n, 0_n);
  const NodeId alone = two.add(0, 1);
  const Stray stray = looked_for(two, alone);
  ASSERT_EQ(stray.size, 2u);
  lead(two, stray);
  EXPECT_FALSE(contains(links_of(two, 0_n), alone));
  EXPECT_FALSE(contains(links_of(two, 1_n), alone));
}

TEST_F(SelfSearch, WhatDiedMeanwhileIsNeitherLinkedNorLinks) {
  const Stray stray = looked_for(graph_, alone_);
  graph_.store().set_deleted(5_n);
  lead(stray);
  EXPECT_FALSE(contains(links_of(graph_, 5_n), alone_));
  EXPECT_TRUE(contains(links_of(graph_, stray.ends[1]), alone_));

  const NodeId other = graph_.add(9, 0.25f);
  const Stray dead = looked_for(graph_, other);
  ASSERT_EQ(dead.node, other);
  graph_.store().set_deleted(other);
  lead(dead);
  for (const NodeId node : nodes_below(20)) EXPECT_FALSE(contains(links_of(graph_, node), other));
  EXPECT_EQ(looked_for(graph_, other).size, 0u);
}

TEST_F(SelfSearch, ACopyThatIsMetIsAsGood) {
  const NodeId copy = graph_.add(7, 0);
  EXPECT_EQ(looked_for(graph_, copy).size, 0u);
}

TEST(SelfSearchTurns, TakeOneAddedLatelyAndSomeOfARound) {
  SelfSearchTurns turns;
  for (const NodeId node : turns.next(0)) EXPECT_EQ(node, kNoNode);
  turns.added(70_n);
  turns.added(71_n);
  constexpr std::uint32_t kSlots = 3 * SelfSearchTurns::kFewest + 1;
  NodeId expected{0};
  for (int turn = 0; turn < 10; ++turn) {
    const auto nodes = turns.next(kSlots);
    EXPECT_EQ(nodes[0], turn == 0 ? 71_n : turn == 1 ? 70_n : kNoNode);
    for (std::size_t i = 1; i <= SelfSearchTurns::kFewest; ++i) {
      EXPECT_EQ(nodes[i], expected);
      expected = {(expected.index + 1) % kSlots};
    }
    for (std::size_t i = SelfSearchTurns::kFewest + 1; i < nodes.size(); ++i) {
      EXPECT_EQ(nodes[i], kNoNode);
    }
  }
  for (const NodeId node : turns.next(1)) EXPECT_TRUE(node == 0_n || node == kNoNode);
}

TEST(SelfSearchTurns, LookForMoreWhereManyAreStrays) {
  SelfSearchTurns turns;
  const auto look = [&](std::size_t nodes, std::size_t strays, int times) {
    for (int i = 0; i < times; ++i) turns.looked(nodes, strays);
    return turns.of_the_round();
  };
  EXPECT_EQ(look(100, 1, 100000), SelfSearchTurns::kFewest);
  const std::size_t more = look(100, 5, 500);
  EXPECT_GT(more, SelfSearchTurns::kFewest);
  EXPECT_LT(more, SelfSearchTurns::kMost);
  EXPECT_EQ(look(100, 5, 10000), SelfSearchTurns::kMost);
  EXPECT_NE(turns.next(1000).back(), kNoNode);
  EXPECT_EQ(look(100, 0, 10000), SelfSearchTurns::kFewest);
}

TEST(SelfSearchTurns, ForgetNodesThatAreRenumberedAndThoseTooMany) {
  SelfSearchTurns turns;
  turns.added(7_n);
  turns.clear();
  EXPECT_EQ(turns.next(2)[0], kNoNode);
  for (const NodeId node : nodes_below(1000)) turns.added(node);
  std::size_t kept = 0;
  while (turns.next(2)[0] != kNoNode) ++kept;
  EXPECT_GT(kept, 0u);
  EXPECT_LT(kept, 1000u);
}

// Narrow lists, many dimensions, and a small ef: without the searches that look for strays, 134 of
// these vectors are not found after a build, 100 after adding them, and 62 after two rounds of
// replacing them.
class Findable : public testing::Test {
 protected:
  static constexpr std::size_t kRows = 6000;
  static constexpr std::size_t kEf = 16;

  Findable() : vectors_(test::shuffled(test::clustered_vectors(kRows, 32, 300, 1, 2), 5)) {
    params_.dimensions = vectors_.dims;
    params_.metric = Metric::l2sq;
    params_.m = 4;
    params_.ef_construction = 20;
  }

  std::size_t not_found(const Index& index) const {
    std::size_t missed = 0;
    for (std::size_t i = 0; i < vectors_.rows(); ++i) {
      Match match[1];
      const auto n = index.search(vectors_.vector(i), {1, kEf}, match);
      if (!n || *n != 1 || match[0].key != vectors_.keys[i]) ++missed;
    }
    return missed;
  }

  Vectors vectors_;
  IndexParams params_;
};

TEST_F(Findable, NearlyAllVectorsOfABuild) {
  EXPECT_LE(not_found(test::built(params_, vectors_)), 10u);
}

TEST_F(Findable, NearlyAllThatWereAddedAndReplaced) {
  Index index = test::added(params_, vectors_);
  EXPECT_LE(not_found(index), 30u);
  for (int round = 0; round < 2; ++round) {
    for (std::size_t i = 0; i < kRows; ++i) {
      if (i % 2 == 0) {
        ASSERT_TRUE(index.upsert(vectors_.keys[i], vectors_.vector(i)));
      } else {
        ASSERT_TRUE(index.remove(vectors_.keys[i]));
        ASSERT_TRUE(index.add(vectors_.keys[i], vectors_.vector(i)));
      }
    }
  }
  EXPECT_LE(not_found(index), 6u);
}

// Whatever the number of threads, the same graph.
TEST_F(Findable, AllVectorsOnceCompacted) {
  const test::TemporaryDirectory folder;
  std::vector<test::Bytes> files;
  for (const unsigned threads : {1U, 3U}) {
    Index index = test::added(params_, vectors_);
    EXPECT_GT(not_found(index), 3u);
    BuildOptions options;
    options.threads = threads;
    ASSERT_TRUE(index.compact(options));
    EXPECT_LE(not_found(index), 1u);
    ASSERT_TRUE(index.save(folder / "index.cairn"));
    files.push_back(test::read_bytes(folder / "index.cairn"));
  }
  EXPECT_TRUE(files[0] == files[1]);
}

}  // namespace
}  // namespace cairn
