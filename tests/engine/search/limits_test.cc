// SPDX-License-Identifier: Apache-2.0
//
// Searches end at their limits, with what they have found.
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <vector>

#include <cairn/cairn.h>

#include "tests/support/vectors.h"

namespace cairn {
namespace {

using test::Vectors;
using Clock = std::chrono::steady_clock;

Index index_of(const Vectors& vectors) {
  IndexParams params;
  params.dimensions = vectors.dims;
  params.metric = Metric::l2sq;
  return test::built(params, vectors);
}

TEST(Limits, NoMoreDistancesThanAllowed) {
  const Vectors vectors = test::random_vectors(2000, 16, 1);
  const Index index = index_of(vectors);
  for (const Plan plan : {Plan::walk, Plan::exact}) {
    SearchReport report;
    SearchParams params{.plan = plan, .report = &report};
    ASSERT_TRUE(index.search(vectors.vector(0), params));
    const std::uint64_t all = report.distances;
    std::size_t last = 0;
    for (const std::uint64_t most : {std::uint64_t{1}, all / 10, all / 2, all - 1, all, all + 1}) {
      params.max_distances = most;
      const auto found = index.search(vectors.vector(0), params).value();
      EXPECT_EQ(report.distances, std::min(most, all));
      EXPECT_EQ(report.complete, most >= all);
      EXPECT_GE(found.size(), std::min<std::uint64_t>(most, 1));
      EXPECT_GE(found.size(), last);
      last = found.size();
    }
    EXPECT_EQ(last, 10u);
  }
}

TEST(Limits, ADistanceBudgetGivesTheSameAnswerEachTime) {
  const Vectors vectors = test::random_vectors(2000, 16, 1);
  const Index index = index_of(vectors);
  std::vector<Match> first(200);
  std::vector<Match> second(200);
  std::vector<std::size_t> counts(20);
  Vectors queries = test::random_vectors(20, 16, 2);
  const SearchParams params{.max_distances = 300};
  ASSERT_TRUE(index.search_batch(queries.matrix(), params, first, counts, 1));
  ASSERT_TRUE(index.search_batch(queries.matrix(), params, second, counts, 4));
  for (std::size_t i = 0; i < 200; ++i) EXPECT_EQ(first[i].key, second[i].key);
}

TEST(Limits, APassedDeadlineIsAnErrorOfItsOwn) {
  const Vectors vectors = test::random_vectors(500, 16, 1);
  const Index index = index_of(vectors);
  for (const Plan plan : {Plan::walk, Plan::exact}) {
    SearchParams params{.plan = plan, .deadline = Clock::now() - std::chrono::seconds(1)};
    const auto found = index.search(vectors.vector(0), params);
    ASSERT_FALSE(found);
    EXPECT_EQ(found.error().code(), ErrorCode::deadline_exceeded);
    std::vector<Match> out(5000);
    std::vector<std::size_t> counts(500, 99);
    const auto batch = index.search_batch(vectors.matrix(), params, out, counts, 2);
    ASSERT_FALSE(batch);
    EXPECT_EQ(batch.error().code(), ErrorCode::deadline_exceeded);
  }
}

TEST(Limits, ADeadlineThatIsFarChangesNothing) {
  const Vectors vectors = test::random_vectors(2000, 16, 1);
  const Index index = index_of(vectors);
  for (const Plan plan : {Plan::walk, Plan::exact}) {
    SearchReport report;
    SearchParams params{.plan = plan, .report = &report};
    const auto usual = index.search(vectors.vector(7), params).value();
    params.deadline = Clock::now() + std::chrono::hours(1);
    const auto limited = index.search(vectors.vector(7), params).value();
    EXPECT_TRUE(report.complete);
    ASSERT_EQ(usual.size(), limited.size());
    for (std::size_t i = 0; i < usual.size(); ++i) EXPECT_EQ(usual[i].key, limited[i].key);
  }
}

TEST(Limits, AStoppedSearchIsCancelled) {
  const Vectors vectors = test::random_vectors(500, 16, 1);
  const Index index = index_of(vectors);
  std::atomic<bool> stop{true};
  SearchParams params{.stop = &stop};
  EXPECT_EQ(index.search(vectors.vector(0), params).error().code(), ErrorCode::cancelled);
  stop = false;
  EXPECT_TRUE(index.search(vectors.vector(0), params));
}

TEST(Limits, AnEmptyIndexIsCompleteAtOnce) {
  IndexParams index_params;
  index_params.dimensions = 4;
  const Index index = Index::create(index_params).value();
  SearchReport report;
  report.complete = false;
  const std::vector<float> query(4, 1.0f);
  for (const Plan plan : {Plan::automatic, Plan::walk, Plan::exact}) {
    EXPECT_TRUE(index.search(query, {.plan = plan, .report = &report}).value().empty());
    EXPECT_TRUE(report.complete);
  }
}

TEST(Limits, AnUnknownPlanIsInvalid) {
  const Vectors vectors = test::random_vectors(5, 4, 1);
  const Index index = index_of(vectors);
  EXPECT_EQ(index.search(vectors.vector(0), {.plan = static_cast<Plan>(3)}).error().code(),
            ErrorCode::invalid_argument);
}

}  // namespace
}  // namespace cairn
