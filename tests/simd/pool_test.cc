// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "simd/kernels.h"
#include "tests/simd/each_isa.h"
#include "tests/simd/guarded.h"

namespace cairn::simd {
namespace {

using Pool = EachIsa;
CAIRN_FOR_EACH_ISA(Pool);

constexpr float kInf = std::numeric_limits<float>::infinity();
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

// What kernels.h says of pool_insert, literally.
class Model {
 public:
  explicit Model(std::size_t capacity) : capacity_(capacity) {}

  std::size_t insert(const float* distance, const std::uint32_t* id, std::size_t n) {
    std::size_t lowest = capacity_;
    for (std::size_t i = 0; i < n; ++i) {
      if (std::isnan(distance[i])) continue;
      if (entries.size() == capacity_) {
        if (capacity_ == 0 || !(distance[i] < entries.back().first)) continue;
        entries.pop_back();
      }
      const auto at = std::upper_bound(entries.begin(), entries.end(), distance[i],
                                       [](float d, const auto& entry) { return d < entry.first; });
      lowest = std::min(lowest, static_cast<std::size_t>(at - entries.begin()));
      entries.insert(at, {distance[i], id[i]});
    }
    return lowest;
  }

  std::vector<std::pair<float, std::uint32_t>> entries;

 private:
  std::size_t capacity_;
};

// The kernel and the model side by side; the arrays end at a guard behind the slack.
class Both {
 public:
  Both(const KernelTable& kernels, std::size_t capacity)
      : kernels_(kernels),
        distance_(capacity + kPoolSlack),
        id_(capacity + kPoolSlack),
        view_{distance_.data(), id_.data(), 0, capacity},
        model_(capacity) {
    // What lies beyond the entries must not matter, however near it looks.
    std::fill(distance_.begin(), distance_.end(), -kInf);
  }

  void insert(const std::vector<float>& distances) {
    const Guarded<float> distance(distances.size());
    const Guarded<std::uint32_t> id(distances.size());
    std::copy(distances.begin(), distances.end(), distance.begin());
    for (auto& i : id) i = next_id_++;
    const std::size_t want = model_.insert(distance.data(), id.data(), id.size());
    EXPECT_EQ(kernels_.pool_insert(view_, distance.data(), id.data(), id.size()), want);
    ASSERT_EQ(view_.size, model_.entries.size());
    for (std::size_t i = 0; i < view_.size; ++i) {
      ASSERT_EQ(distance_[i], model_.entries[i].first) << "at " << i;
      ASSERT_EQ(id_[i], model_.entries[i].second) << "at " << i;
    }
  }

  std::vector<std::uint32_t> ids() const { return {id_.begin(), id_.begin() + view_.size}; }
  const PoolView& view() const { return view_; }

 private:
  const KernelTable& kernels_;
  Guarded<float> distance_;
  Guarded<std::uint32_t> id_;
  PoolView view_;
  Model model_;
  std::uint32_t next_id_ = 0;
};

TEST_P(Pool, EqualDistancesKeepTheOrderOfInsertion) {
  Both pool(kernels(), 8);
  pool.insert({2, 1, 2, 1, 2});
  EXPECT_EQ(pool.ids(), (std::vector<std::uint32_t>{1, 3, 0, 2, 4}));
}

TEST_P(Pool, FullPoolRefusesADistanceEqualToItsLast) {
  Both pool(kernels(), 3);
  pool.insert({1, 2, 3});
  pool.insert({3, 3, 3});
  EXPECT_EQ(pool.ids(), (std::vector<std::uint32_t>{0, 1, 2}));
}

TEST_P(Pool, FullPoolDropsItsLast) {
  Both pool(kernels(), 3);
  pool.insert({1, 2, 3});
  pool.insert({0.5F});
  EXPECT_EQ(pool.ids(), (std::vector<std::uint32_t>{3, 0, 1}));
}

TEST_P(Pool, CandidateThatAnEarlierOneOfTheSameCallExcludesStaysOut) {
  Both pool(kernels(), 2);
  pool.insert({5, 6});
  pool.insert({1, 2, 5.5F, 3});
  EXPECT_EQ(pool.ids(), (std::vector<std::uint32_t>{2, 3}));
}

TEST_P(Pool, NanIsNeverInserted) {
  Both pool(kernels(), 20);
  pool.insert({kNan, 1,    kNan, 2,    kNan, kNan, kNan, kNan, kNan, kNan,
               3,    kNan, kNan, kNan, kNan, kNan, kNan, kNan, 4,    kNan});
  EXPECT_EQ(pool.view().size, 4U);
  pool.insert({kNan});
  EXPECT_EQ(pool.view().size, 4U);
}

TEST_P(Pool, InfinityEntersAPoolThatIsNotFull) {
  Both pool(kernels(), 3);
  pool.insert({kInf, -kInf});
  EXPECT_EQ(pool.ids(), (std::vector<std::uint32_t>{1, 0}));
  pool.insert({kInf, kInf});
  EXPECT_EQ(pool.ids(), (std::vector<std::uint32_t>{1, 0, 2}));
}

TEST_P(Pool, NothingInsertedReturnsTheCapacity) {
  Both pool(kernels(), 2);
  pool.insert({});
  pool.insert({kNan});
  pool.insert({1, 2});
  pool.insert({3, 4, kNan});
  EXPECT_EQ(pool.ids(), (std::vector<std::uint32_t>{1, 2}));
}

TEST_P(Pool, EmptyCapacityTakesNothing) {
  Both pool(kernels(), 0);
  pool.insert({1, 2, kNan});
  EXPECT_EQ(pool.view().size, 0U);
}

TEST_P(Pool, EveryPositionOfEverySmallSizeIsRight) {
  for (std::size_t capacity = 1; capacity <= 40; ++capacity) {
    for (std::size_t size = 0; size <= capacity; ++size) {
      std::vector<float> sorted(size);
      for (std::size_t i = 0; i < size; ++i) sorted[i] = static_cast<float>(2 * i);
      for (std::size_t at = 0; at <= size; ++at) {
        Both pool(kernels(), capacity);
        pool.insert(sorted);
        pool.insert({2.0F * static_cast<float>(at) - 1.0F});
        if (HasFatalFailure()) return;
      }
    }
  }
}

TEST_P(Pool, DescendingAndAscendingDistancesFillLargePools) {
  for (const unsigned capacity : {200U, 1000U, 5000U}) {
    for (const float sign : {1.0F, -1.0F}) {
      Both pool(kernels(), capacity);
      std::vector<float> distances(33);
      for (std::size_t call = 0; call < capacity / 20; ++call) {
        for (std::size_t i = 0; i < distances.size(); ++i) {
          distances[i] = sign * static_cast<float>(call * distances.size() + i);
        }
        pool.insert(distances);
        if (HasFatalFailure()) return;
      }
    }
  }
}

TEST_P(Pool, RandomInsertionsFollowTheModel) {
  std::mt19937 random(1);
  for (const unsigned capacity : {1U, 2U, 3U, 10U, 15U, 16U, 17U, 31U, 32U, 33U, 64U, 100U, 127U,
                                  128U, 129U, 200U, 257U, 1000U, 3000U}) {
    for (const unsigned distinct : {3U, 50U, 1U << 20}) {
      SCOPED_TRACE(::testing::Message() << capacity << " " << distinct);
      Both pool(kernels(), capacity);
      const std::size_t calls = 2 * capacity / 20 + 30;
      for (std::size_t call = 0; call < calls; ++call) {
        std::vector<float> distances(random() % 45);
        for (auto& d : distances) {
          d = static_cast<float>(random() % distinct);
          if (random() % 50 == 0) d = kNan;
          if (random() % 50 == 0) d = kInf;
        }
        pool.insert(distances);
        if (HasFatalFailure()) return;
      }
    }
  }
}

// All within some bound, in ascending order; the k nearest among them, and few more.
TEST_P(Pool, NearestFewHoldTheNearestAndReadNothingOutside) {
  std::mt19937 random(11);
  std::uniform_real_distribution<float> any(0.0F, 1.0F);
  std::size_t more = 0;
  std::size_t turns = 0;
  for (std::size_t n = 0; n <= 300; n += n < 70 ? 1 : 23) {
    const Guarded<float> distance(n);
    for (float& d : distance) d = any(random);
    if (n > 2) distance[n / 2] = distance[0];  // equal ones
    if (n % 5 == 1) distance[n - 1] = kInf;
    const Guarded<std::uint32_t> places(n);
    std::vector<float> sorted(distance.begin(), distance.end());
    std::sort(sorted.begin(), sorted.end());
    for (std::size_t k = 1; k <= kMostFew; ++k) {
      SCOPED_TRACE(std::to_string(n) + ", " + std::to_string(k));
      const std::size_t count = kernels().nearest_few(distance.data(), n, k, places.data());
      ASSERT_LE(count, n);
      ASSERT_GE(count, std::min(k, n));
      std::vector<float> found;
      for (std::size_t i = 0; i < count; ++i) {
        if (i > 0) {
          ASSERT_LT(places[i - 1], places[i]);
        }
        ASSERT_LT(places[i], n);
        found.push_back(distance[places[i]]);
      }
      std::sort(found.begin(), found.end());
      ASSERT_TRUE(std::equal(found.begin(), found.end(), sorted.begin()));
      if (count < n) {
        ASSERT_LT(found.back(), sorted[count]);
      }
      if (n < 250 || k != 9) continue;
      more += count - k;
      ++turns;
    }
  }
  EXPECT_LT(more, 10 * turns);
}

// The first of the least that is left, once what lies too near to the last choice is struck out.
TEST_P(Pool, NextDiverseStrikesOutAndFindsTheLeast) {
  std::mt19937 random(12);
  std::uniform_int_distribution<int> any(0, 40);  // equal ones among them
  for (std::size_t n = 0; n <= 20 * kPanelColumns; n += kPanelColumns) {
    for (const float alpha : {1.0F, 1.1F, kInf}) {
      SCOPED_TRACE(std::to_string(n) + ", " + std::to_string(alpha));
      const Guarded<float> distance(n);
      const Guarded<float> from_kept(n);
      for (float& d : distance) d = any(random) == 0 ? kInf : static_cast<float>(any(random));
      for (float& d : from_kept) d = static_cast<float>(any(random));
      std::vector<float> expected(distance.begin(), distance.end());
      for (std::size_t i = 0; i < n; ++i) {
        if (alpha * from_kept[i] <= expected[i]) expected[i] = kInf;
      }
      const auto least = std::min_element(expected.begin(), expected.end());
      const bool is_left = least != expected.end() && *least < kInf;
      const auto place = is_left ? static_cast<std::size_t>(least - expected.begin()) : n;
      EXPECT_EQ(kernels().next_diverse(distance.data(), from_kept.data(), alpha, n), place);
      EXPECT_TRUE(std::equal(distance.begin(), distance.end(), expected.begin(), expected.end()));
    }
  }
}

}  // namespace
}  // namespace cairn::simd
