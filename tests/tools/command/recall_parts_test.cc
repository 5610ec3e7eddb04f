// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <vector>

#include "tools/command/exact_scan.h"
#include "tools/command/search_run.h"
#include "tools/command/stored_rows.h"

namespace cairn::tools {
namespace {

std::vector<float> random_rows(std::size_t rows, std::size_t dims, unsigned seed) {
  std::mt19937 generator(seed);
  std::normal_distribution<float> normal;
  std::vector<float> values(rows * dims);
  for (float& value : values) value = normal(generator);
  return values;
}

// Sorts all distances: nothing to get wrong.
double kth_by_sorting(Metric metric, std::span<const float> rows, std::span<const float> query,
                      std::size_t k) {
  std::vector<double> all;
  for (std::size_t row = 0; row < rows.size() / query.size(); ++row) {
    all.push_back(exact_distance(metric, query, rows.subspan(row * query.size(), query.size())));
  }
  std::sort(all.begin(), all.end());
  return all[std::min(k, all.size()) - 1];
}

TEST(ExactDistance, FollowsTheDefinitions) {
  const std::vector<float> a = {3, 4};
  const std::vector<float> b = {4, 3};
  EXPECT_DOUBLE_EQ(exact_distance(Metric::l2sq, a, b), 2);
  EXPECT_DOUBLE_EQ(exact_distance(Metric::inner_product, a, b), 1 - 24.0);
  EXPECT_DOUBLE_EQ(exact_distance(Metric::cosine, a, b), 1 - 24.0 / 25.0);
  const std::vector<float> bits = {1, 0, 1};
  const std::vector<float> other_bits = {0, 0, 1};
  EXPECT_EQ(exact_distance(Metric::hamming, bits, other_bits), 1);
}

TEST(StoredRows, AreWhatTheyMean) {
  const VectorFile file{2, 3, {1, -2.5f, 0, 40, 80, 127}};
  const auto meaning = [&](Scalar scalar, Metric metric) {
    const auto rows =
        StoredRows::of(file, "v", {.dimensions = 3, .metric = metric, .scalar = scalar});
    return rows.value().floats().value().values;
  };
  EXPECT_EQ(meaning(Scalar::f32, Metric::cosine), file.values);
  EXPECT_EQ(meaning(Scalar::f16, Metric::cosine), file.values);
  EXPECT_EQ(meaning(Scalar::i8, Metric::l2sq), (std::vector<float>{1, -2, 0, 40, 80, 127}));
  EXPECT_EQ(meaning(Scalar::i8, Metric::cosine), (std::vector<float>{51, -127, 0, 40, 80, 127}));
  EXPECT_EQ(meaning(Scalar::b1, Metric::hamming), (std::vector<float>{1, 0, 0, 1, 1, 1}));
}

TEST(StoredRows, SmallestAndLargestVectorsAreStretchedUnderCosine) {
  const VectorFile file{3, 2, {1e-45f, 0, 3e38f, -3e38f, 0, 0}};
  const auto rows =
      StoredRows::of(file, "v", {.dimensions = 2, .metric = Metric::cosine, .scalar = Scalar::i8});
  ASSERT_TRUE(rows) << rows.error().message();
  EXPECT_EQ(rows->floats().value().values, (std::vector<float>{127, 0, 127, -127, 0, 0}));
}

TEST(ExactDistance, ZeroVectorIsAtCosineDistanceOne) {
  const std::vector<float> zero = {0, 0};
  const std::vector<float> other = {4, 3};
  EXPECT_EQ(exact_distance(Metric::cosine, zero, other), 1);
  EXPECT_EQ(exact_distance(Metric::cosine, zero, zero), 1);
}

TEST(KthDistances, AgreeWithSortingForEveryMetricAndThreadCount) {
  constexpr std::size_t kDims = 19;
  const auto rows = random_rows(500, kDims, 1);
  const auto queries = random_rows(21, kDims, 2);
  for (const Metric metric : {Metric::cosine, Metric::l2sq, Metric::inner_product}) {
    for (const unsigned threads : {1u, 3u}) {
      const auto kth = kth_distances(metric, rows, queries, kDims, 10, threads, {});
      ASSERT_EQ(kth.size(), 21u);
      for (std::size_t query = 0; query < kth.size(); ++query) {
        const std::span<const float> view(queries.data() + query * kDims, kDims);
        EXPECT_EQ(kth[query], kth_by_sorting(metric, rows, view, 10));
      }
    }
  }
}

TEST(KthDistances, FewerRowsThanWantedGiveTheFarthest) {
  const std::vector<float> rows = {0, 1, 5};
  const std::vector<float> query = {0};
  EXPECT_EQ(kth_distances(Metric::l2sq, rows, query, 1, 10, 1, {}), std::vector<double>{25});
}

TEST(KthDistances, ZeroRowsAndQueriesAreLegalUnderCosine) {
  const std::vector<float> rows = {0, 0, 1, 0, -1, 0};
  const std::vector<float> queries = {1, 0, 0, 0};
  EXPECT_EQ(kth_distances(Metric::cosine, rows, queries, 2, 2, 1, {}), (std::vector<double>{1, 1}));
}

TEST(KthDistances, ProgressEndsAtAllQueries) {
  const auto rows = random_rows(10, 2, 1);
  const auto queries = random_rows(33, 2, 2);
  std::vector<std::size_t> seen;
  const auto kth = kth_distances(Metric::l2sq, rows, queries, 2, 1, 2,
                                 [&](std::size_t done) { seen.push_back(done); });
  EXPECT_EQ(kth.size(), 33u);
  ASSERT_FALSE(seen.empty());
  EXPECT_EQ(seen.back(), 33u);
  EXPECT_TRUE(std::is_sorted(seen.begin(), seen.end()));
}

TEST(Percentile, IsTheNearestRank) {
  const std::vector<double> ten = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10};
  EXPECT_EQ(percentile(ten, 0.50), 5);
  EXPECT_EQ(percentile(ten, 0.99), 10);
  EXPECT_EQ(percentile(ten, 0), 1);
  EXPECT_EQ(percentile(std::vector<double>{7}, 0.50), 7);
}

TEST(RunSearches, MatchesOfEachQueryAreItsOwn) {
  auto index = Index::create({.dimensions = 2, .metric = Metric::l2sq});
  ASSERT_TRUE(index);
  VectorFile rows{5, 2, {0, 0, 10, 0, 20, 0, 30, 0, 40, 0}};
  const std::vector<Key> keys = {100, 101, 102, 103, 104};
  ASSERT_TRUE(index->build(keys, rows.view()));
  for (const unsigned threads : {1u, 2u}) {
    const auto run = run_searches(*index, rows.view(), {.k = 2, .ef = 10}, threads);
    ASSERT_TRUE(run) << run.error().message();
    for (std::size_t query = 0; query < 5; ++query) {
      ASSERT_EQ(run->matches_of(query).size(), 2u);
      EXPECT_EQ(run->matches_of(query)[0].key, keys[query]);
    }
    EXPECT_GT(run->timing.qps, 0);
    EXPECT_LE(run->timing.p50_us, run->timing.p99_us);
  }
}

TEST(RunSearches, FewerVectorsThanWantedGiveAllOfThem) {
  auto index = Index::create({.dimensions = 1, .metric = Metric::l2sq});
  ASSERT_TRUE(index);
  VectorFile rows{2, 1, {1, 2}};
  ASSERT_TRUE(index->build(std::vector<Key>{1, 2}, rows.view()));
  const auto run = run_searches(*index, rows.view(), {.k = 10, .ef = 10}, 1);
  ASSERT_TRUE(run) << run.error().message();
  EXPECT_EQ(run->matches_of(0).size(), 2u);
}

}  // namespace
}  // namespace cairn::tools
