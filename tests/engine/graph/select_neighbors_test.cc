// SPDX-License-Identifier: Apache-2.0
#include "engine/graph/select_neighbors.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <set>
#include <vector>

#include "tests/engine/graph/tiny_graph.h"
#include "tests/support/nodes.h"

namespace cairn {
namespace {

using test::TinyGraph;

// The neighbors that are selected for `node` among all the others.
std::vector<NodeId> selected_for(TinyGraph& graph, NodeId node, std::size_t max, float alpha) {
  const Space space = graph.space();
  std::vector<NodeId> others;
  for (const NodeId other : nodes_below(graph.store().count())) {
    if (other != node) others.push_back(other);
  }
  SelectionScratch scratch;
  std::vector<Candidate> list;
  const auto candidates = rank_by_distance(space, node, others, list, scratch.distances);
  const auto selected = select_neighbors(space, node, candidates, max, alpha, scratch);
  return {selected.begin(), selected.end()};
}

TEST(RankByDistance, IsNearestFirstAndOfEquallyNearTheFirstNode) {
  TinyGraph graph;
  const NodeId o = graph.add(0, 0);
  const NodeId far = graph.add(3, 0);
  const NodeId near = graph.add(0, 1);
  const NodeId as_near = graph.add(-1, 0);
  DistanceScratch scratch;
  std::vector<Candidate> list = {{far, 7}};  // what it held is forgotten
  const std::vector<NodeId> nodes = {far, as_near, near};
  const auto ranked = rank_by_distance(graph.space(), o, nodes, list, scratch);
  ASSERT_EQ(ranked.size(), 3u);
  EXPECT_EQ(ranked[0].node, near);
  EXPECT_EQ(ranked[1].node, as_near);
  EXPECT_EQ(ranked[1].distance, 1.0f);
  EXPECT_EQ(ranked[2].node, far);
  EXPECT_EQ(ranked[2].distance, 9.0f);
  EXPECT_EQ(nearest(graph.space(), o, nodes, scratch), 1u);  // in the order of `nodes`
  EXPECT_TRUE(rank_by_distance(graph.space(), o, {}, list, scratch).empty());
}

//          C
//
//               B
//   D      o  A       E
TEST(SelectNeighbors, DropsWhatIsNearerToANeighborThatWasKept) {
  for (const Traversal traversal : {Traversal::exact, Traversal::code}) {
    TinyGraph graph(4, traversal);
    const NodeId o = graph.add(0, 0);
    const NodeId a = graph.add(1, 0);
    graph.add(1.5f, 0.8f);  // B: in the direction of A
    const NodeId c = graph.add(0, 2);
    const NodeId d = graph.add(-2.5f, 0);
    graph.add(4, 0);  // E: behind A
    EXPECT_EQ(selected_for(graph, o, 10, 1.0f), (std::vector<NodeId>{a, c, d}));
  }
}

TEST(SelectNeighbors, KeepsNoMoreThanAsked) {
  TinyGraph graph;
  const NodeId o = graph.add(0, 0);
  const NodeId a = graph.add(1, 0);
  const NodeId c = graph.add(0, 2);
  const NodeId d = graph.add(-3, 0);
  EXPECT_EQ(selected_for(graph, o, 1, 1.0f), (std::vector<NodeId>{a}));
  EXPECT_EQ(selected_for(graph, o, 2, 1.0f), (std::vector<NodeId>{a, c}));
  EXPECT_EQ(selected_for(graph, o, 3, 1.0f), (std::vector<NodeId>{a, c, d}));
  EXPECT_EQ(selected_for(graph, o, 4, 1.0f), (std::vector<NodeId>{a, c, d}));
}

TEST(SelectNeighbors, AlphaKeepsWhatIsOnlyALittleNearerToANeighbor) {
  TinyGraph graph;
  const NodeId o = graph.add(0, 0);
  const NodeId a = graph.add(1, 0);
  const NodeId b = graph.add(0.6f, 2);  // 4.36 from o, 4.16 from a
  EXPECT_EQ(selected_for(graph, o, 10, 1.0f), (std::vector<NodeId>{a}));
  EXPECT_EQ(selected_for(graph, o, 10, 1.1f), (std::vector<NodeId>{a, b}));
}

TEST(SelectNeighbors, WhatIsAsNearToANeighborIsKept) {
  TinyGraph graph;
  const NodeId o = graph.add(0, 0);
  const NodeId a = graph.add(2, 0);
  const NodeId b = graph.add(1, 4);  // 17 from both
  EXPECT_EQ(selected_for(graph, o, 10, 1.0f), (std::vector<NodeId>{a, b}));
}

TEST(SelectNeighbors, OneCopyOfANeighborIsKept) {
  for (const Traversal traversal : {Traversal::exact, Traversal::code}) {
    TinyGraph graph(4, traversal);
    const NodeId o = graph.add(1, 1);
    for (int i = 0; i < 5; ++i) graph.add(3, 4);
    const NodeId far = graph.add(-30, -40);
    const std::vector<NodeId> selected = selected_for(graph, o, 10, 1.1f);
    ASSERT_EQ(selected.size(), 2u);
    EXPECT_LT(selected[0], far);
    EXPECT_EQ(selected[1], far);
  }
}

// Copies in the middle of a circle of nodes.
TEST(SelectNeighbors, DifferentNodesKeepDifferentCopies) {
  TinyGraph graph;
  for (int i = 0; i < 6; ++i) graph.add(0, 0);
  std::set<NodeId> kept;
  for (int i = 0; i < 6; ++i) {
    const auto angle = static_cast<float>(i) * 1.04f;
    const NodeId node = graph.add(10 * std::cos(angle), 10 * std::sin(angle));
    for (const NodeId at : selected_for(graph, node, 10, 1.0f)) {
      if (at < 6) kept.insert(at);
    }
  }
  EXPECT_GE(kept.size(), 3u);
}

// Or the group would fall apart.
TEST(SelectNeighbors, AQuarterMayBeCopiesOfTheNodeItself) {
  for (const Traversal traversal : {Traversal::exact, Traversal::code}) {
    TinyGraph graph(4, traversal);
    for (int i = 0; i < 9; ++i) graph.add(3, 4);
    const NodeId far = graph.add(-30, -40);
    const std::vector<NodeId> selected = selected_for(graph, {0}, 12, 1.1f);
    ASSERT_EQ(selected.size(), 4u);
    EXPECT_EQ(selected.back(), far);
    EXPECT_EQ(selected_for(graph, {0}, 2, 1.1f).size(), 2u);  // one copy at least
  }
}

TEST(SelectNeighbors, OfManyCopiesOfANeighborMoreAreKeptWhereThereIsRoom) {
  TinyGraph graph;
  const NodeId o = graph.add(1, 1);
  for (int i = 0; i < 16; ++i) graph.add(3, 4);
  const NodeId far = graph.add(-30, -40);
  const std::vector<NodeId> selected = selected_for(graph, o, 10, 1.1f);
  ASSERT_EQ(selected.size(), 4u);
  EXPECT_EQ(selected[1], far);
  EXPECT_EQ(selected_for(graph, o, 2, 1.1f), (std::vector<NodeId>{selected[0], far}));
}

TEST(SelectNeighbors, NoCandidatesNoNeighbors) {
  TinyGraph graph;
  graph.add(1, 1);
  EXPECT_TRUE(selected_for(graph, {0}, 10, 1.1f).empty());
}

}  // namespace
}  // namespace cairn
