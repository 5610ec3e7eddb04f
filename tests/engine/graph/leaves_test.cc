// SPDX-License-Identifier: Apache-2.0
//
// Builds of many rows, whose lists of level 0 come from leaves (engine/graph/leaf_links.h).
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <fstream>
#include <iterator>
#include <numeric>
#include <random>
#include <string>
#include <vector>

#include <cairn/index.h>

#include "engine/graph/leaf_links.h"
#include "tests/support/temporary_directory.h"

namespace cairn {
namespace {

constexpr std::size_t kDims = 16;
constexpr std::size_t kRows = kFewestForLeaves;

// Rows around a center each, `per_center` of them.
std::vector<float> clustered(std::size_t rows, std::size_t per_center, float spread,
                             unsigned seed = 1) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal;
  std::vector<float> centers((rows / per_center + 1) * kDims);
  for (float& value : centers) value = normal(random);
  std::vector<std::size_t> order(rows);
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::shuffle(order.begin(), order.end(), random);
  std::vector<float> data(rows * kDims);
  for (std::size_t i = 0; i < rows; ++i) {
    for (std::size_t d = 0; d < kDims; ++d) {
      data[i * kDims + d] = centers[order[i] / per_center * kDims + d] + spread * normal(random);
    }
  }
  return data;
}

MatrixView matrix(const std::vector<float>& data, std::size_t rows) {
  return MatrixView::f32(data.data(), rows, kDims);
}

Index built(const std::vector<float>& data, std::size_t rows, unsigned threads = 2) {
  IndexParams params;
  params.dimensions = kDims;
  params.metric = Metric::l2sq;
  Index index = Index::create(params).value();
  std::vector<Key> keys(rows);
  std::iota(keys.begin(), keys.end(), Key{0});
  BuildOptions options;
  options.threads = threads;
  const auto ok = index.build(keys, matrix(data, rows), options);
  EXPECT_TRUE(ok.has_value()) << ok.error().message();
  return index;
}

// Of the ten nearest of each of 200 rows, how many are found at that ef; a key at the tenth
// distance is right, whichever of the copies it is.
double recall(const Index& index, const std::vector<float>& data, std::size_t ef) {
  std::size_t found = 0;
  constexpr std::size_t kQueries = 200;
  for (std::size_t q = 0; q < kQueries; ++q) {
    std::vector<float> query(data.begin() + static_cast<std::ptrdiff_t>(q * 37 * kDims),
                             data.begin() + static_cast<std::ptrdiff_t>((q * 37 + 1) * kDims));
    for (std::size_t d = 0; d < kDims; ++d) query[d] += 0.2f * static_cast<float>(d % 3) - 0.2f;
    SearchParams exact;
    exact.plan = Plan::exact;
    SearchParams walk;
    walk.plan = Plan::walk;
    walk.ef = ef;
    const auto truth = index.search(query, exact).value();
    for (const Match& match : index.search(query, walk).value()) {
      found += match.distance <= truth.back().distance ? 1u : 0u;
    }
  }
  return static_cast<double>(found) / (kQueries * 10);
}

std::string file_of(const Index& index) {
  const test::TemporaryDirectory folder;
  EXPECT_TRUE(index.save(folder / "x.cairn").has_value());
  std::ifstream file(folder / "x.cairn", std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

TEST(Leaves, BuildsOfManyRowsFindWhatBuildsOfFewerDo) {
  const auto data = clustered(kRows, 40, 0.5f);
  const Index by_batches = built(data, kRows - 1);
  const Index by_leaves = built(data, kRows);
  for (const std::size_t ef : {10u, 20u, 64u}) {
    EXPECT_GE(recall(by_leaves, data, ef), recall(by_batches, data, ef) - 0.01) << ef;
  }
  const auto report = by_leaves.verify();
  ASSERT_TRUE(report.has_value());
  EXPECT_TRUE(report->ok());
  EXPECT_EQ(report->unreachable, 0u);
}

// Groups that are leaves at once show a node too little of its surroundings (docs/decisions/0047).
TEST(Leaves, GroupsOfFewRowsAreCarvedTwice) {
  for (std::size_t rows = kFewestForLeaves; rows <= 2 * kFewestForLeaves; rows += 1000) {
    const std::size_t leaders = Carver::leaders_for(0, rows);
    EXPECT_GT(rows * Carver::fanout(0, leaders), leaders * kLargestLeaf) << rows;
  }
  for (const std::size_t rows : {50'000u, 100'000u, 1'000'000u}) {
    EXPECT_EQ(Carver::leaders_for(0, rows), 1000u) << rows;
    EXPECT_EQ(Carver::leaders_for(1, rows), 1000u) << rows;
  }
}

TEST(Leaves, GroupsOfCopiesAndNearCopiesKeepTheirMembers) {
  struct Case {
    std::size_t group;
    float spread;
  };
  for (const auto [group, spread] : {Case{10, 0.0f}, Case{300, 0.0f}, Case{10, 1e-3f}}) {
    const auto data = clustered(kRows, group, spread);
    const Index index = built(data, kRows);
    EXPECT_GE(recall(index, data, 64), 0.99) << group << " rows with a spread of " << spread;
    EXPECT_EQ(index.verify().value().unreachable, 0u);
  }
}

TEST(Leaves, TheNumberOfThreadsChangesNothing) {
  const auto data = clustered(kRows, 10, 0.3f);
  const auto one = file_of(built(data, kRows, 1));
  EXPECT_TRUE(one == file_of(built(data, kRows, 3)));
}

TEST(Leaves, ABuildStopsWhenItIsToldTo) {
  const auto data = clustered(kRows, 10, 0.3f);
  IndexParams params;
  params.dimensions = kDims;
  params.metric = Metric::l2sq;
  Index index = Index::create(params).value();
  std::vector<Key> keys(kRows);
  std::iota(keys.begin(), keys.end(), Key{0});
  std::atomic<bool> stop = false;
  std::size_t last = 0;
  BuildOptions options;
  options.stop = &stop;
  options.progress = [&](std::size_t done, std::size_t total) {
    EXPECT_EQ(total, kRows);
    EXPECT_GE(done, last);
    last = done;
    if (done > kRows / 2) stop = true;
  };
  const auto ok = index.build(keys, matrix(data, kRows), options);
  ASSERT_FALSE(ok.has_value());
  EXPECT_EQ(ok.error().code(), ErrorCode::cancelled);
  EXPECT_EQ(index.size(), 0u);
}

}  // namespace
}  // namespace cairn
