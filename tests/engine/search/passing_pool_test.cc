// SPDX-License-Identifier: Apache-2.0
#include "engine/search/passing_pool.h"

#include <gtest/gtest.h>

#include <vector>

#include "tests/engine/graph/tiny_graph.h"
#include "tests/support/nodes.h"

namespace cairn {
namespace {

// Nodes 0 ... 19, of which 10 ... 19 are tombstones.
class Passing : public testing::Test {
 protected:
  Passing() {
    graph_.add_line(20);
    for (const NodeId node : nodes_from(10, 20)) graph_.store().set_deleted(node);
    view_ = graph_.store().view();
  }

  PassingPool<> pool(std::size_t window, std::size_t most) {
    live_.reset(window, window);
    removed_.reset(window, window);
    return {view_, live_, removed_, most};
  }

  static void insert(PassingPool<>& pool, const std::vector<NodeId>& ids,
                     const std::vector<float>& distances) {
    pool.insert(simd::kernels(), ids.data(), distances.data(), ids.size());
  }

  test::TinyGraph graph_;
  GraphView view_{};
  NeighborPool live_, removed_;
};

TEST_F(Passing, TombstonesTakeNoPlaceAmongTheLive) {
  PassingPool<> passing = pool(3, 3);
  insert(passing, {10_n, 0_n, 1_n, 11_n, 12_n, 2_n, 13_n}, {1, 5, 3, 2, 4, 6, 7});
  ASSERT_EQ(live_.size(), 3u);
  EXPECT_EQ(live_.id(0), 1_n);
  EXPECT_EQ(live_.id(1), 0_n);
  EXPECT_EQ(live_.id(2), 2_n);
}

TEST_F(Passing, TheNearestOfBothIsNextAndIsExpandedOnce) {
  PassingPool<> passing = pool(3, 3);
  insert(passing, {0_n, 10_n, 1_n, 11_n}, {2, 1, 4, 3});
  for (const NodeId next : {10_n, 0_n, 11_n, 1_n, kNoNode}) {
    EXPECT_EQ(passing.peek(), next);
    EXPECT_EQ(passing.pop(), next);
  }
}

TEST_F(Passing, SoManyTombstonesAreExpandedAndNoMore) {
  PassingPool<> passing = pool(5, 2);
  insert(passing, {0_n, 10_n, 11_n, 12_n}, {9, 1, 2, 3});
  for (const NodeId next : {10_n, 11_n, 0_n, kNoNode}) EXPECT_EQ(passing.pop(), next);
}

TEST_F(Passing, NoTombstoneIsExpandedBeyondAFullWindow) {
  PassingPool<> passing = pool(2, 2);
  insert(passing, {0_n, 10_n}, {1, 3});
  EXPECT_EQ(passing.pop(), 0_n);
  EXPECT_EQ(passing.peek(), 10_n);  // there is room
  insert(passing, {1_n}, {2});
  EXPECT_EQ(passing.pop(), 1_n);
  EXPECT_EQ(passing.pop(), kNoNode);
}

TEST_F(Passing, OnlyALiveNodeOfAFullWindowIsExpandedEarly) {
  PassingPool<> passing = pool(2, 2);
  insert(passing, {0_n}, {3});
  EXPECT_EQ(passing.pop_early(), kNoNode);
  insert(passing, {1_n, 10_n}, {4, 1});
  EXPECT_EQ(passing.pop_early(), kNoNode);
  EXPECT_EQ(passing.pop(), 10_n);
  EXPECT_EQ(passing.pop_early(), 0_n);
}

TEST_F(Passing, ABoundIsMetByALiveNode) {
  PassingPool<> passing = pool(2, 2);
  EXPECT_FALSE(passing.has_within(9));
  insert(passing, {10_n}, {1});
  EXPECT_FALSE(passing.has_within(9));
  insert(passing, {0_n}, {2});
  EXPECT_FALSE(passing.has_within(1));
  EXPECT_TRUE(passing.has_within(2));
}

}  // namespace
}  // namespace cairn
