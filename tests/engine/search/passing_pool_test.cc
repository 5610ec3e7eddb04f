// SPDX-License-Identifier: Apache-2.0
#include "engine/search/passing_pool.h"

#include <gtest/gtest.h>

#include <vector>

#include "tests/engine/graph/tiny_graph.h"

namespace cairn {
namespace {

// Nodes 0 ... 19, of which 10 ... 19 are tombstones.
class Passing : public testing::Test {
 protected:
  Passing() {
    graph_.add_line(20);
    for (NodeId node = 10; node < 20; ++node) graph_.store().set_deleted(node);
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
  insert(passing, {10, 0, 1, 11, 12, 2, 13}, {1, 5, 3, 2, 4, 6, 7});
  ASSERT_EQ(live_.size(), 3u);
  EXPECT_EQ(live_.id(0), 1u);
  EXPECT_EQ(live_.id(1), 0u);
  EXPECT_EQ(live_.id(2), 2u);
}

TEST_F(Passing, TheNearestOfBothIsNextAndIsExpandedOnce) {
  PassingPool<> passing = pool(3, 3);
  insert(passing, {0, 10, 1, 11}, {2, 1, 4, 3});
  for (const NodeId next : {10u, 0u, 11u, 1u, kNoNode}) {
    EXPECT_EQ(passing.peek(), next);
    EXPECT_EQ(passing.pop(), next);
  }
}

TEST_F(Passing, SoManyTombstonesAreExpandedAndNoMore) {
  PassingPool<> passing = pool(5, 2);
  insert(passing, {0, 10, 11, 12}, {9, 1, 2, 3});
  for (const NodeId next : {10u, 11u, 0u, kNoNode}) EXPECT_EQ(passing.pop(), next);
}

TEST_F(Passing, NoTombstoneIsExpandedBeyondAFullWindow) {
  PassingPool<> passing = pool(2, 2);
  insert(passing, {0, 10}, {1, 3});
  EXPECT_EQ(passing.pop(), 0u);
  EXPECT_EQ(passing.peek(), 10u);  // there is room
  insert(passing, {1}, {2});
  EXPECT_EQ(passing.pop(), 1u);
  EXPECT_EQ(passing.pop(), kNoNode);
}

TEST_F(Passing, OnlyALiveNodeOfAFullWindowIsExpandedEarly) {
  PassingPool<> passing = pool(2, 2);
  insert(passing, {0}, {3});
  EXPECT_EQ(passing.pop_early(), kNoNode);
  insert(passing, {1, 10}, {4, 1});
  EXPECT_EQ(passing.pop_early(), kNoNode);
  EXPECT_EQ(passing.pop(), 10u);
  EXPECT_EQ(passing.pop_early(), 0u);
}

TEST_F(Passing, ABoundIsMetByALiveNode) {
  PassingPool<> passing = pool(2, 2);
  EXPECT_FALSE(passing.has_within(9));
  insert(passing, {10}, {1});
  EXPECT_FALSE(passing.has_within(9));
  insert(passing, {0}, {2});
  EXPECT_FALSE(passing.has_within(1));
  EXPECT_TRUE(passing.has_within(2));
}

}  // namespace
}  // namespace cairn
