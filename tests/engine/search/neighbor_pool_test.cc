// SPDX-License-Identifier: Apache-2.0
#include "engine/search/neighbor_pool.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <random>
#include <vector>

#include "tests/support/nodes.h"

namespace cairn {
namespace {

struct Entry {
  std::uint32_t id;
  float distance;
};

void insert(NeighborPool& pool, const std::vector<Entry>& entries) {
  std::vector<NodeId> ids;
  std::vector<float> distances;
  for (const Entry& entry : entries) {
    ids.push_back({entry.id});
    distances.push_back(entry.distance);
  }
  pool.insert(simd::kernels(), ids.data(), distances.data(), ids.size());
}

std::vector<NodeId> ids_of(const NeighborPool& pool) {
  std::vector<NodeId> ids;
  for (std::size_t i = 0; i < pool.size(); ++i) ids.push_back(pool.id(i));
  return ids;
}

TEST(NeighborPool, KeepsTheNearestSorted) {
  NeighborPool pool;
  pool.reset(3, 3);
  insert(pool, {{1, 5.0f}, {2, 3.0f}, {3, 9.0f}, {4, 1.0f}});
  EXPECT_EQ(ids_of(pool), (std::vector<NodeId>{4_n, 2_n, 1_n}));
  EXPECT_EQ(pool.distance(0), 1.0f);
  EXPECT_EQ(pool.distance(2), 5.0f);
  insert(pool, {{5, 6.0f}});
  EXPECT_EQ(ids_of(pool), (std::vector<NodeId>{4_n, 2_n, 1_n}));
}

TEST(NeighborPool, EqualDistancesStayInOrderOfInsertion) {
  NeighborPool pool;
  pool.reset(4, 4);
  insert(pool, {{9, 1.0f}, {2, 1.0f}, {7, 1.0f}, {1, 0.5f}});
  EXPECT_EQ(ids_of(pool), (std::vector<NodeId>{1_n, 9_n, 2_n, 7_n}));
  insert(pool, {{3, 1.0f}});  // not nearer than the last
  EXPECT_EQ(ids_of(pool), (std::vector<NodeId>{1_n, 9_n, 2_n, 7_n}));
}

TEST(NeighborPool, InfinityHasAPlaceAndNaNHasNone) {
  const float infinity = std::numeric_limits<float>::infinity();
  NeighborPool pool;
  pool.reset(4, 4);
  insert(pool, {{1, infinity}, {2, std::numeric_limits<float>::quiet_NaN()}, {3, -infinity}});
  EXPECT_EQ(ids_of(pool), (std::vector<NodeId>{3_n, 1_n}));
}

TEST(NeighborPool, EveryEntryIsExpandedOnceNearestFirst) {
  NeighborPool pool;
  pool.reset(4, 4);
  insert(pool, {{30, 3.0f}, {10, 1.0f}, {20, 2.0f}});
  EXPECT_EQ(pool.peek(), 10_n);
  EXPECT_EQ(pool.pop(), 10_n);
  EXPECT_EQ(pool.peek(), 20_n);
  EXPECT_EQ(pool.pop(), 20_n);
  EXPECT_EQ(pool.pop(), 30_n);
  EXPECT_EQ(pool.pop(), kNoNode);
  EXPECT_EQ(ids_of(pool), (std::vector<NodeId>{10_n, 20_n, 30_n}));  // the marks do not show
}

TEST(NeighborPool, ANearerEntryIsExpandedNext) {
  NeighborPool pool;
  pool.reset(4, 4);
  insert(pool, {{10, 1.0f}, {20, 2.0f}});
  EXPECT_EQ(pool.pop(), 10_n);
  EXPECT_EQ(pool.pop(), 20_n);
  insert(pool, {{15, 1.5f}, {5, 0.5f}});
  EXPECT_EQ(pool.pop(), 5_n);
  EXPECT_EQ(pool.pop(), 15_n);
  EXPECT_EQ(pool.pop(), kNoNode);
}

TEST(NeighborPool, OnlyTheWindowIsExpanded) {
  NeighborPool pool;
  pool.reset(2, 5);
  insert(pool, {{1, 1.0f}, {2, 2.0f}, {3, 3.0f}, {4, 4.0f}});
  EXPECT_EQ(pool.pop(), 1_n);
  EXPECT_EQ(pool.pop(), 2_n);
  EXPECT_EQ(pool.pop(), kNoNode);
  EXPECT_EQ(pool.size(), 4u);  // the others are kept for reranking
  insert(pool, {{5, 1.5f}});   // pushes an expanded one out of the window
  EXPECT_EQ(pool.pop(), 5_n);
  EXPECT_EQ(pool.pop(), kNoNode);
}

TEST(NeighborPool, ResetForgets) {
  NeighborPool pool;
  pool.reset(2, 2);
  insert(pool, {{1, 1.0f}, {2, 2.0f}});
  EXPECT_EQ(pool.pop(), 1_n);
  pool.reset(1, 1);
  EXPECT_EQ(pool.size(), 0u);
  EXPECT_EQ(pool.pop(), kNoNode);
  insert(pool, {{3, 3.0f}, {4, 1.0f}});
  EXPECT_EQ(ids_of(pool), (std::vector<NodeId>{4_n}));
  EXPECT_EQ(pool.pop(), 4_n);
}

// The same operations on an array that is kept sorted by the letter of the comment.
TEST(NeighborPool, BehavesLikeASortedArray) {
  struct Model {
    Entry entry;
    bool expanded;
  };
  std::mt19937 random(1);
  NeighborPool pool;
  for (const std::size_t capacity : {1u, 2u, 7u, 16u, 33u, 100u}) {
    for (const std::size_t window : {std::size_t{1}, (capacity + 1) / 2, capacity}) {
      pool.reset(window, capacity);
      std::vector<Model> model;
      std::uint32_t next = 0;
      for (int step = 0; step < 60; ++step) {
        std::vector<Entry> entries;
        for (auto n = random() % 20; n > 0; --n) {
          entries.push_back({next++, static_cast<float>(random() % 50)});
        }
        insert(pool, entries);
        for (const Entry& entry : entries) {
          const auto place = std::upper_bound(
              model.begin(), model.end(), entry.distance,
              [](float distance, const Model& other) { return distance < other.entry.distance; });
          model.insert(place, {entry, false});
          if (model.size() > capacity) model.pop_back();
        }
        const auto end =
            model.begin() + static_cast<std::ptrdiff_t>(std::min(window, model.size()));
        const auto nearest =
            std::find_if(model.begin(), end, [](const Model& m) { return !m.expanded; });
        ASSERT_EQ(pool.pop(), nearest == end ? kNoNode : NodeId{nearest->entry.id});
        if (nearest != end) nearest->expanded = true;
        ASSERT_EQ(pool.size(), model.size());
        for (std::size_t i = 0; i < model.size(); ++i) {
          ASSERT_EQ(pool.id(i).index, model[i].entry.id);
          ASSERT_EQ(pool.distance(i), model[i].entry.distance);
        }
      }
    }
  }
}

}  // namespace
}  // namespace cairn
