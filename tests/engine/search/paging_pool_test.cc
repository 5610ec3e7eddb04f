// SPDX-License-Identifier: Apache-2.0
#include "engine/search/paging_pool.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstddef>
#include <random>
#include <utility>
#include <vector>

namespace cairn {
namespace {

// A pool beside what it should hold: everything that came in and was not taken out.
class Paging {
 public:
  explicit Paging(std::size_t ahead) { pool.reset(ahead); }

  void insert(std::size_t n) {
    std::vector<NodeId> ids;
    std::vector<float> distances;
    for (std::size_t i = 0; i < n; ++i) {
      ids.push_back({next_++});
      distances.push_back(static_cast<float>(random() % 100'000));
      held.push_back({distances.back(), ids.back().index});
    }
    pool.insert(simd::kernels(), ids.data(), distances.data(), n);
  }

  void take_front(std::size_t n) {
    for (std::size_t i = 0; i < n; ++i) {
      const std::pair<float, std::uint32_t> one{pool.distance(i), pool.id(i).index};
      ASSERT_EQ(std::erase(held, one), 1u);
    }
    pool.take_front(n);
  }

  // The sorted part has the nearest of all, as many as are wanted at least.
  void expect_nearest(std::size_t wanted) {
    std::vector<float> right;
    for (const auto& one : held) right.push_back(one.first);
    std::sort(right.begin(), right.end());
    ASSERT_EQ(pool.all(), held.size());
    ASSERT_GE(pool.size(), std::min(wanted, held.size()));
    for (std::size_t i = 0; i < pool.size(); ++i) ASSERT_EQ(pool.distance(i), right[i]) << i;
  }

  PagingPool pool;
  std::vector<std::pair<float, std::uint32_t>> held;
  std::minstd_rand random{7};

 private:
  std::uint32_t next_ = 0;
};

TEST(PagingPool, ItsSortedPartHasTheNearestWhateverComesInOrIsTakenOut) {
  for (const std::size_t ahead : {PagingPool::kFewAhead, PagingPool::kAhead}) {
    Paging paging(ahead);
    paging.pool.widen(1);
    for (int round = 0; round < 300; ++round) {
      paging.insert(paging.random() % 100);
      const std::size_t window = 1 + paging.random() % (round % 50 == 49 ? 2000 : 90);
      paging.pool.widen(window);
      ASSERT_NO_FATAL_FAILURE(paging.expect_nearest(window));
      const std::size_t most = std::min(window, paging.pool.size());
      ASSERT_NO_FATAL_FAILURE(paging.take_front(paging.random() % (most + 1)));
      paging.insert(paging.random() % 30);
      ASSERT_NO_FATAL_FAILURE(paging.expect_nearest(0));
    }
  }
}

TEST(PagingPool, SortsAheadWhereThatIsNear) {
  Paging paging(PagingPool::kFewAhead);
  paging.pool.widen(64);
  paging.insert(3000);
  EXPECT_EQ(paging.pool.size(), 64 + PagingPool::kFewAhead);
  const float last = paging.pool.distance(paging.pool.size() - 1);
  paging.pool.sort_within(last - 1);  // all of that is there
  EXPECT_EQ(paging.pool.size(), 64 + PagingPool::kFewAhead);
  paging.pool.sort_within(100'000);
  paging.expect_nearest(64 + PagingPool::kFewAhead + 1);
  paging.pool.sort_all();
  paging.expect_nearest(3000);
}

// What is expanded stays so, wherever it waits.
TEST(PagingPool, ExpandedOnesAreGivenOnce) {
  Paging paging(PagingPool::kFewAhead);
  paging.pool.widen(500);
  paging.insert(600);
  std::size_t given = 0;
  while (paging.pool.pop() != kNoNode) ++given;
  EXPECT_EQ(given, 500u);
  paging.pool.widen(10);
  paging.insert(2000);  // many of those that were given wait now
  paging.pool.widen(2600);
  while (paging.pool.pop() != kNoNode) ++given;
  EXPECT_EQ(given, 2600u);
  paging.expect_nearest(2600);
}

}  // namespace
}  // namespace cairn
