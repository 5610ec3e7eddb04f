// SPDX-License-Identifier: Apache-2.0
//
// An index whose vectors are all replaced, several times, stays as good as a fresh one.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <fstream>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <cairn/cairn.h>

#include "tests/support/vectors.h"

namespace cairn {
namespace {

using test::Vectors;

constexpr std::size_t kQueries = 300;

// The sample: half of it is indexed at any time, the last rows are queries.
struct Words {
  Vectors all;
  Vectors queries;

  Words() {
    std::ifstream in(CAIRN_SOURCE_DIR "/tests/data/words.fbin", std::ios::binary);
    std::uint32_t header[2] = {0, 0};
    in.read(reinterpret_cast<char*>(header), sizeof header);
    all.dims = queries.dims = header[1];
    std::vector<float> row(all.dims);
    for (std::size_t i = 0; i < header[0]; ++i) {
      in.read(reinterpret_cast<char*>(row.data()),
              static_cast<std::streamsize>(row.size() * sizeof(float)));
      (i + kQueries < header[0] ? all : queries).append(i, row);
    }
  }
};

IndexParams params_of(const Vectors& vectors) {
  IndexParams params;
  params.dimensions = vectors.dims;
  params.ef_construction = 100;
  return params;
}

Vectors part(const Vectors& all, std::size_t begin, std::size_t end) {
  Vectors some;
  some.dims = all.dims;
  for (std::size_t i = begin; i < end; ++i) some.append(all.keys[i], {all.row(i), all.dims});
  return some;
}

void expect_sound(const Index& index, std::size_t live) {
  const auto report = index.verify();
  ASSERT_TRUE(report);
  EXPECT_EQ(report->findings, std::vector<std::string>{});
  EXPECT_EQ(report->unreachable, 0u);
  EXPECT_EQ(index.size(), live);
}

TEST(Churn, ReplacingEverythingThreeTimesKeepsTheRecall) {
  const Words words;
  const std::size_t half = words.all.rows() / 2;
  const Vectors first = part(words.all, 0, half);
  const Vectors second = part(words.all, half, 2 * half);
  Index index = test::built(params_of(words.all), first);
  const double fresh_first = test::recall(index, first, words.queries, {10, 32});
  const double fresh_second =
      test::recall(test::added(params_of(words.all), second), second, words.queries, {10, 32});
  const Vectors* now = &first;
  const Vectors* next = &second;
  for (int round = 1; round <= 3; ++round) {
    for (std::size_t i = 0; i < half; ++i) {
      ASSERT_TRUE(index.remove(now->keys[i]));
      ASSERT_TRUE(index.add(next->keys[i], next->vector(i)));
    }
    std::swap(now, next);
    expect_sound(index, half);
    const double recall = test::recall(index, *now, words.queries, {10, 32});
    const double fresh = now == &first ? fresh_first : fresh_second;
    const Stats stats = index.stats();

    EXPECT_GE(recall, fresh - 0.01) << "round " << round;
    EXPECT_LE(stats.slots, half + half / 8) << "slots are used again";
  }
}

TEST(Churn, MovingEveryVectorThreeTimesKeepsTheRecall) {
  const Words words;
  const std::size_t rows = words.all.rows() / 2;
  Vectors now = part(words.all, 0, rows);
  Index index = test::built(params_of(words.all), now);
  const double fresh = test::recall(index, now, words.queries, {10, 32});
  for (int round = 1; round <= 3; ++round) {
    // Key i gets the vector of another one.
    Vectors moved = now;
    for (std::size_t i = 0; i < rows; ++i) {
      const float* from = now.row((i + 1777) % rows);
      std::copy_n(from, now.dims, moved.values.begin() + static_cast<std::ptrdiff_t>(i * now.dims));
    }
    for (std::size_t i = 0; i < rows; ++i) {
      ASSERT_TRUE(index.upsert(moved.keys[i], moved.vector(i)));
    }
    now = moved;
    expect_sound(index, rows);
    const double recall = test::recall(index, now, words.queries, {10, 32});
    EXPECT_GE(recall, fresh - 0.01) << "round " << round;
    std::size_t found = 0;
    for (std::size_t i = 0; i < rows; ++i) {
      const auto matches = index.search(now.vector(i), {1, 64});
      ASSERT_TRUE(matches);
      found += !matches->empty() && matches->front().key == now.keys[i];
    }
    EXPECT_GE(found, rows - rows / 500);
  }
}

// Two threads, each with its own keys: half of them are moved, half removed and added again.
TEST(Churn, ReplacingByTwoThreadsKeepsRecallAndLosesNobody) {
  const Words words;
  constexpr std::size_t kRows = 2000;
  const Vectors now = part(words.all, 0, kRows);
  Index index = test::built(params_of(words.all), now);
  const double fresh = test::recall(index, now, words.queries, {10, 32});
  Vectors moved = now;
  for (std::size_t i = 0; i < kRows; ++i) {
    std::copy_n(now.row((i + 777) % kRows), now.dims,
                moved.values.begin() + static_cast<std::ptrdiff_t>(i * now.dims));
  }
  const auto replace = [&](std::size_t begin, std::size_t end) {
    for (std::size_t i = begin; i < end; ++i) {
      if (i % 2 == 0) {
        EXPECT_TRUE(index.upsert(moved.keys[i], moved.vector(i)));
      } else {
        EXPECT_TRUE(index.remove(moved.keys[i]));
        EXPECT_TRUE(index.add(moved.keys[i], moved.vector(i)));
      }
    }
  };
  std::thread other(replace, 0, kRows / 2);
  replace(kRows / 2, kRows);
  other.join();
  expect_sound(index, kRows);
  EXPECT_GE(test::recall(index, moved, words.queries, {10, 32}), fresh - 0.01);
  std::size_t found = 0;
  for (std::size_t i = 0; i < kRows; ++i) {
    const auto matches = index.search(moved.vector(i), {1, 64});
    ASSERT_TRUE(matches);
    found += !matches->empty() && matches->front().key == moved.keys[i];
  }
  EXPECT_GE(found, kRows - kRows / 1000);
}

// Tombstones that fill the place where a query lies do not make a search blind.
// (What such a search costs is counted in search_layer_test.cc.)
TEST(Churn, QueriesInsideARemovedClusterFindWhatIsAroundIt) {
  constexpr std::size_t kClusters = 5;
  constexpr std::size_t kRows = 4000;
  constexpr std::size_t kGone = kRows / kClusters;
  const Vectors all = test::clustered_vectors(kRows, 16, kClusters, 1, 2);
  IndexParams params;
  params.dimensions = 16;
  params.metric = Metric::l2sq;
  params.ef_construction = 60;
  Index index = test::built(params, all);
  for (std::size_t i = 0; i < kGone; ++i) ASSERT_TRUE(index.remove(all.keys[i]));
  expect_sound(index, kRows - kGone);
  const Vectors left = part(all, kGone, kRows);
  const Vectors inside = part(all, 0, kGone);
  const double recall = test::recall(index, left, inside, {10, 64});
  const double fresh = test::recall(test::built(params, left), left, inside, {10, 64});
  EXPECT_GE(recall, fresh - 0.02);
  EXPECT_GE(recall, 0.9);
}

// A lap of the sweep takes one change for 32 slots, and no tombstone outlives two of them: not when
// all around it is removed, and by two threads, either.
TEST(Churn, ARemovedClusterLeavesNoTombstonesBehindTheSweep) {
  constexpr std::size_t kRows = 5000;
  constexpr std::size_t kGone = 1000;
  const Words words;
  const Vectors some = part(words.all, 0, kRows);
  Index index = test::built(params_of(some), some);
  const auto gone = test::scan(Metric::cosine, some, some.row(42), kGone);
  const auto remove = [&](std::size_t begin, std::size_t end, std::size_t step) {
    for (std::size_t i = begin; i < end; i += step) ASSERT_TRUE(index.remove(gone[i].key));
  };
  constexpr std::size_t kTogether = kGone - 100;
  std::thread other(remove, 1, kTogether, 2);
  remove(0, kTogether, 2);
  other.join();
  remove(kTogether, kGone, 1);  // and no search holds a slot back
  EXPECT_LE(index.stats().deleted, 2 * kRows / 32);
  expect_sound(index, kRows - kGone);
}

// Nor where vectors drift and the oldest are removed first, each the heir of the one before it.
TEST(Churn, ARemovedTailLeavesNoTombstonesBehindTheSweep) {
  constexpr std::size_t kRows = 10'000;
  constexpr std::size_t kGone = 4000;
  Vectors drift = test::random_vectors(kRows, 16, 1);
  for (std::size_t i = drift.dims; i < drift.values.size(); ++i) {
    drift.values[i] += drift.values[i - drift.dims];
  }
  IndexParams params = params_of(drift);
  params.metric = Metric::l2sq;
  Index index = test::built(params, drift);
  for (std::size_t i = 0; i < kGone; ++i) ASSERT_TRUE(index.remove(drift.keys[i]));
  EXPECT_LE(index.stats().deleted, 2 * kRows / 32);
  expect_sound(index, kRows - kGone);
  ASSERT_TRUE(index.compact());
  EXPECT_EQ(index.stats().slots, kRows - kGone);
  expect_sound(index, kRows - kGone);
}

}  // namespace
}  // namespace cairn
