// SPDX-License-Identifier: Apache-2.0
#include "engine/search/admission.h"

#include <gtest/gtest.h>

#include <vector>

#include "engine/search/search.h"
#include "tests/engine/graph/tiny_graph.h"
#include "tests/support/nodes.h"

namespace cairn {
namespace {

using test::TinyGraph;

// Ids in the pool after searching one level from `entry` with a window of ef.
std::vector<NodeId> searched(const TinyGraph& graph, std::vector<float> query, NodeId entry,
                             std::size_t ef, std::uint32_t level = 0) {
  SearchScratch scratch;
  const Space space = graph.space();
  const Query prepared = space.prepare(query, scratch.query);
  Nearest begin{entry, 0};
  space.distances(prepared, &entry, 1, &begin.distance);
  search_from(space, prepared, level, begin, ef, ef, AdmitLive{space.view(), ef}, scratch);
  std::vector<NodeId> ids;
  for (std::size_t i = 0; i < scratch.pool.size(); ++i) ids.push_back(scratch.pool.id(i));
  return ids;
}

std::vector<Key> found(const TinyGraph& graph, std::vector<float> query, SearchParams params) {
  SearchScratch scratch;
  std::vector<Match> out(params.k);
  out.resize(knn_search(graph.space(), query, params, scratch, out));
  std::vector<Key> keys;
  for (const Match& match : out) keys.push_back(match.key);
  return keys;
}

// 0 - 1 - 2 - 3 - 4 - 5 - 6 - 7 - 8 - 9
TEST(SearchLayer, WalksToTheNearest) {
  TinyGraph graph;
  graph.add_line(10);
  for (const NodeId entry : {0_n, 7_n, 9_n}) {
    EXPECT_EQ(searched(graph, {7.2f, 0}, entry, 3), (std::vector<NodeId>{7_n, 8_n, 6_n}));
    EXPECT_EQ(searched(graph, {-5, 3}, entry, 2), (std::vector<NodeId>{0_n, 1_n}));
  }
}

TEST(SearchLayer, AWindowOfOneIsGreedy) {
  TinyGraph graph;
  graph.add_line(10);
  EXPECT_EQ(searched(graph, {6.2f, 0}, 0_n, 1), (std::vector<NodeId>{6_n}));
}

// From 0 the way to 3 leads over 2, which is farther from the query than 0 is.
//
//   2 ------------ 3
//   |
//   1 - 0       q
TEST(SearchLayer, AWiderWindowGetsOutOfADeadEnd) {
  TinyGraph graph;
  graph.add(1, 0);
  graph.add(0, 0);
  graph.add(0, 2);
  graph.add(3, 1);
  graph.link_both(0_n, 1_n);
  graph.link_both(1_n, 2_n);
  graph.link_both(2_n, 3_n);
  EXPECT_EQ(searched(graph, {3, 0}, 0_n, 1), (std::vector<NodeId>{0_n}));
  EXPECT_EQ(searched(graph, {3, 0}, 0_n, 2), (std::vector<NodeId>{0_n, 1_n}));
  EXPECT_EQ(searched(graph, {3, 0}, 0_n, 3), (std::vector<NodeId>{3_n, 0_n, 1_n}));
}

TEST(SearchLayer, DoesNotFindWhatNothingLinksTo) {
  TinyGraph graph;
  graph.add_line(4);
  const NodeId island = graph.add(1.1f, 0);
  graph.link(island, 1_n);
  EXPECT_EQ(searched(graph, {1.1f, 0}, 3_n, 5), (std::vector<NodeId>{1_n, 2_n, 0_n, 3_n}));
  EXPECT_EQ(searched(graph, {1.1f, 0}, island, 5),
            (std::vector<NodeId>{island, 1_n, 2_n, 0_n, 3_n}));
}

// level 1:  0 - 3         The descent ends at 3, from which nothing is reached on level 0.
// level 0:  0 - 1 - 2 > 3
TEST(SearchLayer, FindsAllThoughTheDescentEndsWhereNothingGoesOn) {
  TinyGraph graph;
  graph.add(0, 0, 1);
  graph.add(1, 0);
  graph.add(2, 0);
  graph.add(3, 0, 1);
  graph.link_both(0_n, 3_n, 1);
  graph.link_both(0_n, 1_n);
  graph.link_both(1_n, 2_n);
  graph.link(2_n, 3_n);
  EXPECT_EQ(found(graph, {3, 0}, {2, 4}), (std::vector<Key>{103, 102}));
  EXPECT_EQ(found(graph, {3, 0}, {4, 4}), (std::vector<Key>{103, 102, 101, 100}));
  graph.store().set_deleted(1_n);
  EXPECT_EQ(found(graph, {3, 0}, {4, 4}), (std::vector<Key>{103, 102, 100}));
}

TEST(SearchLayer, PassesOverLinksThatAreNoNodes) {
  TinyGraph graph;
  graph.add_line(3);
  graph.link(0_n, 3_n);
  graph.link(1_n, kNoNode);
  graph.link(2_n, 0x80000001_n);
  EXPECT_EQ(searched(graph, {0, 0}, 0_n, 10), (std::vector<NodeId>{0_n, 1_n, 2_n}));
}

// level 2:  0 --------- 6
// level 1:  0 --- 3 --- 6 --- 9
// level 0:  0 1 2 3 4 5 6 7 8 9, linked to their neighbors
class Levels : public testing::Test {
 protected:
  Levels() {
    for (const NodeId i : nodes_below(10)) {
      graph.add(static_cast<float>(i.index), 0, i.index % 6 == 0 ? 2 : i.index % 3 == 0 ? 1 : 0);
    }
    for (const NodeId i : nodes_below(9)) graph.link_both(i, {i.index + 1});
    graph.link_both(0_n, 3_n, 1);
    graph.link_both(3_n, 6_n, 1);
    graph.link_both(6_n, 9_n, 1);
    graph.link_both(0_n, 6_n, 2);
  }

  NodeId descended(std::vector<float> query, std::uint32_t level) {
    SearchScratch scratch;
    const Space space = graph.space();
    return descend(space, space.prepare(query, scratch.query), level, scratch).node;
  }

  TinyGraph graph;
};

TEST_F(Levels, DescentEndsAtTheNearestNodeOfTheLevelAbove) {
  EXPECT_EQ(descended({9, 0}, 2), 0_n);  // nothing above level 2: the entry point
  EXPECT_EQ(descended({9, 0}, 1), 6_n);
  EXPECT_EQ(descended({9, 0}, 0), 9_n);
  EXPECT_EQ(descended({4, 0}, 1), 6_n);
  EXPECT_EQ(descended({4, 0}, 0), 3_n);
  EXPECT_EQ(descended({-1, 0}, 0), 0_n);
}

TEST_F(Levels, ALevelCanBeSearchedByItself) {
  EXPECT_EQ(searched(graph, {8, 0}, 0_n, 10, 1), (std::vector<NodeId>{9_n, 6_n, 3_n, 0_n}));
  EXPECT_EQ(searched(graph, {8, 0}, 0_n, 10, 2), (std::vector<NodeId>{6_n, 0_n}));
  EXPECT_EQ(searched(graph, {8, 0}, 0_n, 10, 3), (std::vector<NodeId>{0_n}));  // there is none
}

TEST_F(Levels, KnnSearchStartsAtTheTopAndSortsByDistanceThenKey) {
  EXPECT_EQ(found(graph, {7.9f, 0}, {3, 4}), (std::vector<Key>{108, 107, 109}));
  EXPECT_EQ(found(graph, {5, 0}, {5, 10}), (std::vector<Key>{105, 104, 106, 103, 107}));
  EXPECT_EQ(found(graph, {5, 0}, {50, 1}).size(), 10u);
}

TEST(KnnSearch, AnEmptyGraphHasNothing) { EXPECT_TRUE(found(TinyGraph(), {0, 0}, {5, 5}).empty()); }

TEST(KnnSearch, CodesAreRerankedOnTheVectors) {
  // Points that 8 bits cannot tell apart, on a circle of radius 1: only the exact distances order
  // them.
  TinyGraph graph(16, Traversal::code);
  for (int i = 0; i < 12; ++i) graph.add(1.0f, 0.0001f * static_cast<float>((i * 5) % 12));
  for (const NodeId a : nodes_below(12)) {
    for (const NodeId b : nodes_below(12)) {
      if (a != b) graph.link(a, b);
    }
  }
  EXPECT_EQ(found(graph, {1.0f, -0.001f}, {4, 12}), (std::vector<Key>{100, 105, 110, 103}));
}

// A square of 30 x 30, linked to the neighbors, entered at a corner.
TEST(SearchLayer, AnEfBelowKExpandsFewer) {
  constexpr std::uint32_t kSide = 30;
  TinyGraph graph;
  for (std::uint32_t i = 0; i < kSide * kSide; ++i) {
    graph.add(static_cast<float>(i % kSide), static_cast<float>(i / kSide));
  }
  for (std::uint32_t i = 0; i < kSide * kSide; ++i) {
    if (i % kSide + 1 < kSide) graph.link_both({i}, {i + 1});
    if (i / kSide + 1 < kSide) graph.link_both({i}, {i + kSide});
  }
  const auto lists_of = [&](std::size_t k, std::size_t ef) {
    SearchScratch scratch;
    std::vector<Match> out(k);
    EXPECT_EQ(knn_search(graph.space(), std::vector<float>{15, 15}, {k, ef}, scratch, out), k);
    return scratch.effort.lists();
  };
  EXPECT_LT(lists_of(20, 4), lists_of(20, 20));
  EXPECT_LT(lists_of(4, 1), lists_of(4, 4));
  // From 64 on, the usual one, it is no wish for fewer.
  EXPECT_EQ(lists_of(100, 64), lists_of(100, 100));
  EXPECT_LT(lists_of(100, 63), lists_of(100, 100));
}

// 0 - 1 - ... - 9, entered beside the query: a window of one meets three of them.
TEST(SearchLayer, AnEfBelowKFindsKAllTheSame) {
  TinyGraph graph;
  graph.add_line(10);
  EXPECT_EQ(found(graph, {0, 0}, {5, 1}), (std::vector<Key>{100, 101, 102, 103, 104}));
  EXPECT_EQ(found(graph, {0, 0}, {20, 1}).size(), 10u);
}

// 0 - 1 - ... - 9, of which 3 to 6 are removed but still linked.
TEST(SearchLayer, TombstonesArePassedAndTakeNoPlace) {
  TinyGraph graph;
  graph.add_line(10);
  for (const NodeId node : nodes_from(3, 7)) graph.store().set_deleted(node);
  EXPECT_EQ(found(graph, {4.9f, 0}, {2, 4}), (std::vector<Key>{107, 102}));
  EXPECT_EQ(found(graph, {4.1f, 0}, {2, 4}), (std::vector<Key>{102, 107}));
}

// However many tombstones lie around the query, no more than twice the window is expanded. The way
// there does not count: the search begins at the middle of an edge of the square.
TEST(SearchLayer, ARemovedClusterCostsNoMoreThanASecondSearch) {
  constexpr std::uint32_t kSide = 60;
  TinyGraph graph(4);
  for (std::uint32_t i = 0; i < kSide * kSide; ++i) {
    graph.add(static_cast<float>(i % kSide), static_cast<float>(i / kSide), i == kSide / 2 ? 1 : 0);
  }
  for (std::uint32_t i = 0; i < kSide * kSide; ++i) {
    if (i % kSide + 1 < kSide) graph.link_both({i}, {i + 1});
    if (i / kSide + 1 < kSide) graph.link_both({i}, {i + kSide});
  }
  // Only the border is left.
  for (std::uint32_t i = 0; i < kSide * kSide; ++i) {
    const std::uint32_t x = i % kSide;
    const std::uint32_t y = i / kSide;
    if (x > 0 && y > 0 && x + 1 < kSide && y + 1 < kSide) graph.store().set_deleted({i});
  }
  SearchScratch scratch;
  std::vector<Match> out(10);
  const std::vector<float> query = {30, 30};
  const std::size_t ef = 20;
  EXPECT_GT(knn_search(graph.space(), query, {10, ef}, scratch, out), 0u);
  EXPECT_LE(scratch.visited.met(), 1 + 2 * ef * 4);
}

// What a search sees of a list that another thread makes shorter: a zero behind its new end.
TEST(ChooseNeighbors, NodeZeroIsNotLinkedOnALevelThatItIsNotOn) {
  TinyGraph graph;
  const NodeId zero = graph.add(0, 0);
  const NodeId high = graph.add(1, 0, 1);
  const NodeId newcomer = graph.add(2, 0, 1);
  graph.link_both(zero, high);
  graph.link(high, zero, 1);
  Linker linker(graph.store());
  LinkScratch scratch;
  const Choice choice = linker.choose_neighbors(graph.space(), newcomer, 1, scratch);
  EXPECT_EQ(choice.neighbors[1], std::vector<NodeId>{high});
}

}  // namespace
}  // namespace cairn
