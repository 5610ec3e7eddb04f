// SPDX-License-Identifier: Apache-2.0
#include "engine/graph/vicinity.h"

#include <gtest/gtest.h>

#include <vector>

#include "tests/engine/graph/tiny_graph.h"
#include "tests/support/nodes.h"

namespace cairn {
namespace {

using test::TinyGraph;

// 0 -> 1 -> 2 -> 3, and 4 -> 3.
class VicinityTest : public testing::Test {
 protected:
  VicinityTest() {
    for (int i = 0; i < 5; ++i) graph_.add(static_cast<float>(i), 0);
    for (const NodeId node : nodes_below(3)) graph_.link(node, {node.index + 1});
    graph_.link(4_n, 3_n);
    around_.begin(5);
  }

  GraphView view() const { return graph_.space().view(); }
  std::vector<NodeId> reached() const {
    return {around_.reached().begin(), around_.reached().end()};
  }

  TinyGraph graph_;
  Vicinity around_;
};

TEST_F(VicinityTest, MembersAreReachedThroughOthersInOrder) {
  for (const NodeId node : {3_n, 2_n, 1_n}) around_.add(node);
  around_.mark(0_n);
  around_.spread(view(), 0);
  EXPECT_EQ(reached(), (std::vector<NodeId>{0_n, 1_n, 2_n, 3_n}));
  EXPECT_EQ(around_.from(0), kNoNode);
  for (std::size_t at = 1; at < 4; ++at) EXPECT_EQ(around_.from(at).index, at - 1);
}

TEST_F(VicinityTest, NoPathGoesThroughWhatIsNoMember) {
  around_.add(1_n);
  around_.add(3_n);
  around_.mark(0_n);
  around_.spread(view(), 0);
  EXPECT_TRUE(around_.is_reached(1_n));
  EXPECT_FALSE(around_.is_reached(2_n));
  EXPECT_FALSE(around_.is_reached(3_n));
}

TEST_F(VicinityTest, SpreadsFromTheNewOnesOnly) {
  for (const NodeId node : {1_n, 2_n, 3_n}) around_.add(node);
  around_.mark(0_n);
  around_.mark(4_n);
  around_.spread(view(), 1);
  EXPECT_EQ(reached(), (std::vector<NodeId>{0_n, 4_n, 3_n}));
}

TEST_F(VicinityTest, ForgetsWhatWasBefore) {
  around_.add(1_n);
  around_.mark(0_n);
  around_.begin(5);
  around_.mark(4_n);
  around_.spread(view(), 0);
  EXPECT_EQ(reached(), std::vector<NodeId>{4_n});
  EXPECT_FALSE(around_.contains(1_n));
}

TEST_F(VicinityTest, NumbersThatAreNoNodeArePassedOver) {
  graph_.link(0_n, 70_n);
  around_.add(1_n);
  around_.add(70_n);
  around_.mark(70_n);
  around_.mark(0_n);
  around_.spread(view(), 0);
  EXPECT_EQ(reached(), (std::vector<NodeId>{0_n, 1_n}));
  EXPECT_FALSE(around_.contains(70_n));
  EXPECT_FALSE(around_.is_reached(70_n));
}

}  // namespace
}  // namespace cairn
