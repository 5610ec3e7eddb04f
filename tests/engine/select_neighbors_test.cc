// SPDX-License-Identifier: Apache-2.0
#include "engine/select_neighbors.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "tests/engine/tiny_graph.h"

namespace cairn {
namespace {

using test::TinyGraph;

// The neighbors that are selected for `node` among all the others.
std::vector<NodeId> selected_for(TinyGraph& graph, NodeId node, std::size_t max, float alpha) {
  const Space space = graph.space();
  Selection selection;
  for (NodeId other = 0; other < graph.store().count(); ++other) {
    if (other == node) continue;
    float distance;
    space.distances(space.prepare(node, selection.query), &other, 1, &distance);
    selection.candidates.push_back({other, distance});
  }
  std::sort(selection.candidates.begin(), selection.candidates.end());
  select_neighbors(space, max, alpha, selection);
  return selection.selected;
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

TEST(SelectNeighbors, OneCopyOfAVectorIsKept) {
  TinyGraph graph;
  for (int i = 0; i < 6; ++i) graph.add(3, 4);
  graph.add(-30, -40);
  EXPECT_EQ(selected_for(graph, 0, 10, 1.1f), (std::vector<NodeId>{1, 6}));
}

TEST(SelectNeighbors, NoCandidatesNoNeighbors) {
  TinyGraph graph;
  graph.add(1, 1);
  EXPECT_TRUE(selected_for(graph, 0, 10, 1.1f).empty());
}

}  // namespace
}  // namespace cairn
