// SPDX-License-Identifier: Apache-2.0
#include "engine/graph/vicinity.h"

#include <gtest/gtest.h>

#include <vector>

#include "tests/engine/graph/tiny_graph.h"

namespace cairn {
namespace {

using test::TinyGraph;

// 0 -> 1 -> 2 -> 3, and 4 -> 3.
class VicinityTest : public testing::Test {
 protected:
  VicinityTest() {
    for (int i = 0; i < 5; ++i) graph_.add(static_cast<float>(i), 0);
    for (NodeId node = 0; node < 3; ++node) graph_.link(node, node + 1);
    graph_.link(4, 3);
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
  for (const NodeId node : {3U, 2U, 1U}) around_.add(node);
  around_.mark(0);
  around_.spread(view(), 0);
  EXPECT_EQ(reached(), (std::vector<NodeId>{0, 1, 2, 3}));
  EXPECT_EQ(around_.from(0), kNoNode);
  for (std::size_t at = 1; at < 4; ++at) EXPECT_EQ(around_.from(at), at - 1);
}

TEST_F(VicinityTest, NoPathGoesThroughWhatIsNoMember) {
  around_.add(1);
  around_.add(3);
  around_.mark(0);
  around_.spread(view(), 0);
  EXPECT_TRUE(around_.is_reached(1));
  EXPECT_FALSE(around_.is_reached(2));
  EXPECT_FALSE(around_.is_reached(3));
}

TEST_F(VicinityTest, SpreadsFromTheNewOnesOnly) {
  for (const NodeId node : {1U, 2U, 3U}) around_.add(node);
  around_.mark(0);
  around_.mark(4);
  around_.spread(view(), 1);
  EXPECT_EQ(reached(), (std::vector<NodeId>{0, 4, 3}));
}

TEST_F(VicinityTest, ForgetsWhatWasBefore) {
  around_.add(1);
  around_.mark(0);
  around_.begin(5);
  around_.mark(4);
  around_.spread(view(), 0);
  EXPECT_EQ(reached(), std::vector<NodeId>{4});
  EXPECT_FALSE(around_.contains(1));
}

TEST_F(VicinityTest, NumbersThatAreNoNodeArePassedOver) {
  graph_.link(0, 70);
  around_.add(1);
  around_.add(70);
  around_.mark(70);
  around_.mark(0);
  around_.spread(view(), 0);
  EXPECT_EQ(reached(), (std::vector<NodeId>{0, 1}));
  EXPECT_FALSE(around_.contains(70));
  EXPECT_FALSE(around_.is_reached(70));
}

}  // namespace
}  // namespace cairn
