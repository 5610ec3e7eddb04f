// SPDX-License-Identifier: Apache-2.0
#include "engine/search/bridge_pool.h"

#include <gtest/gtest.h>

#include <array>
#include <vector>

#include "engine/search/plan.h"
#include "tests/engine/graph/tiny_graph.h"
#include "tests/support/nodes.h"

namespace cairn {
namespace {

// Nodes 0 ... 39, of which the first twenty pass.
class Bridges : public testing::Test {
 protected:
  Bridges() {
    graph_.add_line(40);
    view_ = graph_.store().view();
    slots_.put_word(0, (std::uint64_t{1} << 20) - 1);
  }

  BridgePool<> pool(std::size_t window) { return pool(window, window); }
  BridgePool<> pool(std::size_t window, std::size_t bridges) {
    passing_.reset(window, window);
    bridges_.reset(bridges, bridges);
    return {view_, slots_, passing_, bridges_};
  }

  static void insert(BridgePool<>& pool, const std::vector<NodeId>& ids,
                     const std::vector<float>& distances) {
    pool.insert(simd::kernels(), ids.data(), distances.data(), ids.size());
  }

  test::TinyGraph graph_;
  GraphView view_{};
  const KeyRule rule_ = KeyRule::bits(std::array<std::uint64_t, 1>{}, 0);
  SlotSet slots_{rule_, 40};
  NeighborPool passing_, bridges_;
};

TEST_F(Bridges, EachKindGoesIntoItsPool) {
  BridgePool<> pool = this->pool(4);
  insert(pool, {20_n, 0_n, 21_n, 1_n}, {1, 4, 3, 2});
  ASSERT_EQ(passing_.size(), 2u);
  EXPECT_EQ(passing_.id(0), 1_n);
  EXPECT_EQ(passing_.id(1), 0_n);
  ASSERT_EQ(bridges_.size(), 2u);
  EXPECT_EQ(bridges_.id(0), 20_n);
  for (const NodeId next : {20_n, 1_n, 21_n, 0_n, kNoNode}) EXPECT_EQ(pool.pop(), next);
}

TEST_F(Bridges, WhatIsFartherThanAFullWindowIsNotKept) {
  BridgePool<> pool = this->pool(2, 4);
  insert(pool, {0_n, 1_n}, {1, 3});
  insert(pool, {20_n, 2_n, 21_n, 22_n}, {4, 2, 3, 2.5f});
  EXPECT_EQ(passing_.id(1), 2_n);
  // 21 was as far as the last that passed, and 20 farther.
  ASSERT_EQ(bridges_.size(), 2u);
  EXPECT_EQ(bridges_.id(0), 22_n);
  EXPECT_EQ(bridges_.id(1), 21_n);
}

TEST_F(Bridges, WindowsAreWiderWhereAllThatPassesIsFar) {
  BridgePool<> pool = this->pool(4);
  pool.widen_from_afar(6);
  insert(pool, {0_n, 1_n, 2_n, 3_n}, {11, 12, 13, 14});
  insert(pool, {20_n, 21_n, 22_n}, {1, 2, 3});
  EXPECT_EQ(passing_.window(), 4u);  // one bridge more might be farther
  insert(pool, {23_n}, {4});
  EXPECT_EQ(passing_.window(), 6u);
  EXPECT_EQ(bridges_.window(), 6u);
  insert(pool, {4_n, 5_n, 6_n}, {15, 10, 16});
  EXPECT_EQ(passing_.size(), 6u);
  for (const NodeId next : {20_n, 21_n, 22_n, 23_n, 5_n, 0_n, 1_n, 2_n, 3_n, 4_n, kNoNode}) {
    EXPECT_EQ(pool.pop(), next);
  }
}

TEST_F(Bridges, WindowsStayWhereWhatPassesIsAmongTheNearest) {
  BridgePool<> pool = this->pool(4);
  pool.widen_from_afar(6);
  // Half pass: by chance two would be met among the four bridges, and one of them is.
  insert(pool, {20_n, 0_n, 21_n, 1_n, 22_n, 2_n, 23_n, 3_n}, {1, 2, 3, 4, 5, 6, 7, 8});
  EXPECT_EQ(passing_.window(), 4u);
}

TEST_F(Bridges, QueriesAreFarWhereFewerThanThreeQuartersPassAsWouldByChance) {
  BridgePool<> pool = this->pool(8);
  pool.widen_from_afar(12);
  // Half pass: four would be met by chance among eight bridges, as here, and then three are.
  insert(pool, {20_n, 0_n, 21_n, 1_n, 22_n, 2_n, 23_n, 3_n, 24_n, 25_n, 26_n, 4_n, 5_n, 6_n, 7_n},
         {1, 2, 3, 4, 5, 6, 7, 8, 8.5f, 9, 10, 11, 12, 13, 14});
  EXPECT_EQ(passing_.window(), 8u);  // seven bridges: the pool has room
  insert(pool, {27_n}, {10.5f});
  EXPECT_EQ(passing_.window(), 8u);  // the fourth that passes is among them
  bridges_.reset(8, 8);
  passing_.reset(8, 8);
  insert(pool, {20_n, 0_n, 21_n, 1_n, 22_n, 2_n, 23_n, 24_n, 25_n, 26_n, 27_n},
         {1, 2, 3, 4, 5, 6, 7, 8, 8.5f, 9, 10});
  insert(pool, {3_n, 4_n, 5_n, 6_n, 7_n}, {11, 12, 13, 14, 15});
  EXPECT_EQ(passing_.window(), 12u);
}

TEST_F(Bridges, AWalkFromAfarEndsWhereAScanCostsLess) {
  Effort effort;
  effort.begin({});
  BridgePool<> pool = this->pool(4);
  pool.end_from_afar(effort);
  insert(pool, {0_n, 1_n, 2_n, 3_n}, {11, 12, 13, 14});
  insert(pool, {20_n, 21_n, 22_n}, {1, 2, 3});
  EXPECT_FALSE(effort.is_walked_out());
  insert(pool, {23_n}, {4});
  EXPECT_TRUE(effort.is_walked_out());
  EXPECT_FALSE(effort.is_over());
  EXPECT_EQ(passing_.window(), 4u);
}

TEST_F(Bridges, TheFewerPassTheWiderIsAWindowFromAfar) {
  EXPECT_EQ(window_from_afar(view_, slots_, 100), 125u);  // root of 2, in quarters
  slots_.put_word(0, 0xf);
  EXPECT_EQ(window_from_afar(view_, slots_, 100), 300u);  // of 10
  slots_.put_word(0, 1);
  EXPECT_EQ(window_from_afar(view_, slots_, 100), 400u);
  slots_.put_word(0, 0);
  EXPECT_EQ(window_from_afar(view_, slots_, 100), 400u);
}

}  // namespace
}  // namespace cairn
