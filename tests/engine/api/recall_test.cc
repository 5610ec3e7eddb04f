// SPDX-License-Identifier: Apache-2.0
//
// Recall as an index measures it, and the ef that reaches one.
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <limits>
#include <vector>

#include <cairn/cairn.h>

#include "tests/support/temporary_directory.h"
#include "tests/support/vectors.h"

namespace cairn {
namespace {

constexpr std::size_t kDims = 16;

IndexParams some_params() {
  IndexParams params;
  params.dimensions = kDims;
  params.metric = Metric::l2sq;
  params.m = 4;
  params.ef_construction = 30;
  return params;
}

const test::Vectors& rows() {
  static const test::Vectors all = test::random_vectors(3000, kDims, 1);
  return all;
}
const Index& some_index() {
  static const Index index = test::built(some_params(), rows());
  return index;
}

MatrixView some_of(const test::Vectors& vectors, std::size_t begin, std::size_t count) {
  return MatrixView::f32(vectors.row(begin), count, vectors.dims);
}

TEST(MeasureRecall, AgreesWithAScanInDouble) {
  const auto queries = test::random_vectors(300, kDims, 2);
  for (const std::size_t ef : {10u, 30u, 100u}) {
    for (const std::size_t k : {1u, 10u}) {
      const SearchParams params{.k = k, .ef = ef};
      const auto report = some_index().measure_recall(queries.matrix(), params);
      ASSERT_TRUE(report) << report.error().message();
      EXPECT_NEAR(report->recall, test::recall(some_index(), rows(), queries, params), 1e-9);
      EXPECT_EQ(report->queries, 300u);
      EXPECT_LE(0, report->lower);
      EXPECT_LE(report->lower, report->recall);
      EXPECT_LE(report->recall, report->upper);
      EXPECT_LE(report->upper, 1);
    }
  }
}

TEST(MeasureRecall, OfTheExactPlanIsPerfectAndItsIntervalTellsHowSureThatIs) {
  const auto queries = test::random_vectors(100, kDims, 2);
  const auto report = some_index().measure_recall(queries.matrix(), {.plan = Plan::exact});
  ASSERT_TRUE(report);
  EXPECT_EQ(report->recall, 1);
  EXPECT_EQ(report->upper, 1);
  EXPECT_NEAR(report->lower, 100 / (100 + 1.959964 * 1.959964), 1e-6);
}

// Of samples of 40 queries, drawn of many, nineteen of twenty have an interval with the recall of
// all in it; some less is allowed for here.
TEST(MeasureRecall, IntervalsOfSamplesHoldTheRecallOfAllQueries) {
  const auto queries = test::random_vectors(2400, kDims, 5);
  const SearchParams params{.k = 10, .ef = 20};
  const double all = some_index().measure_recall(queries.matrix(), params).value().recall;
  ASSERT_GT(all, 0.5);
  ASSERT_LT(all, 0.99);
  int held = 0;
  double width = 0;
  for (std::size_t i = 0; i < 60; ++i) {
    const auto sample = some_index().measure_recall(some_of(queries, 40 * i, 40), params).value();
    held += sample.lower <= all && all <= sample.upper ? 1 : 0;
    width += (sample.upper - sample.lower) / 60;
  }
  EXPECT_GE(held, 52);
  EXPECT_LT(width, 0.15);
}

TEST(MeasureRecall, TakesTheAdvisedEf) {
  Index index = test::built(some_params(), rows());
  const auto queries = test::random_vectors(100, kDims, 2);
  ASSERT_TRUE(index.set_advised_ef(11));
  const double advised = index.measure_recall(queries.matrix(), {.ef = 0}).value().recall;
  EXPECT_EQ(advised, index.measure_recall(queries.matrix(), {.ef = 11}).value().recall);
  EXPECT_LT(advised, index.measure_recall(queries.matrix(), {.ef = 64}).value().recall);
}

TEST(MeasureRecall, OfFewVectorsOrNoneIsPerfect) {
  const auto queries = test::random_vectors(5, kDims, 2);
  Index index = Index::create(some_params()).value();
  EXPECT_EQ(index.measure_recall(queries.matrix(), {}).value().recall, 1);
  EXPECT_TRUE(index.ef_for(0.9, queries.matrix(), 10));
  for (Key key = 0; key < 3; ++key) ASSERT_TRUE(index.add(key, rows().vector(key)));
  const auto report = index.measure_recall(queries.matrix(), {.k = 10}).value();
  EXPECT_EQ(report.recall, 1);
  EXPECT_EQ(index.ef_for(1, queries.matrix(), 10).value(), 10u);  // k at least
}

TEST(MeasureRecall, RefusesWhatCannotBeMeasured) {
  const auto queries = test::random_vectors(2, kDims, 2);
  const auto code = [&](MatrixView given, const SearchParams& params) {
    const auto report = some_index().measure_recall(given, params);
    return report ? ErrorCode::internal : report.error().code();
  };
  EXPECT_EQ(code(some_of(queries, 0, 0), {}), ErrorCode::invalid_argument);
  EXPECT_EQ(code(queries.matrix(), {.k = 0}), ErrorCode::invalid_argument);
  EXPECT_EQ(code(MatrixView::f32(queries.row(0), 2, kDims - 1), {}), ErrorCode::dimension_mismatch);
  const std::function<float(Key, VectorView)> own = [](Key, VectorView) { return 1.0f; };
  EXPECT_EQ(code(queries.matrix(), {.rerank = &own}), ErrorCode::invalid_argument);
  auto infinite = queries;
  infinite.values[3] = std::numeric_limits<float>::infinity();
  EXPECT_EQ(code(infinite.matrix(), {}), ErrorCode::not_finite);
}

TEST(EfFor, IsTheLeastThatReachesTheRecall) {
  const auto queries = test::random_vectors(200, kDims, 2);
  const auto recall_with = [&](std::size_t ef) {
    return some_index().measure_recall(queries.matrix(), {.k = 10, .ef = ef}).value().recall;
  };
  for (const double wanted : {0.97, 0.99, 0.9995}) {
    const auto ef = some_index().ef_for(wanted, queries.matrix(), 10);
    ASSERT_TRUE(ef) << ef.error().message();
    EXPECT_GE(recall_with(*ef), wanted);
    ASSERT_GT(*ef, 10u);
    const std::size_t step = std::max<std::size_t>(1, *ef / 64);
    bool less_is_too_little = false;
    for (std::size_t less = *ef - step; less < *ef; ++less) {
      less_is_too_little |= recall_with(less) < wanted;
    }
    EXPECT_TRUE(less_is_too_little) << wanted << ", ef " << *ef;
  }
  EXPECT_EQ(some_index().ef_for(0.01, queries.matrix(), 10).value(), 10u);
}

TEST(EfFor, RefusesWhatIsNoRecall) {
  const auto queries = test::random_vectors(2, kDims, 2);
  const auto code = [&](double recall, std::size_t k) {
    const auto ef = some_index().ef_for(recall, queries.matrix(), k);
    return ef ? ErrorCode::internal : ef.error().code();
  };
  for (const double recall : {0.0, -1.0, 1.01, std::numeric_limits<double>::quiet_NaN()}) {
    EXPECT_EQ(code(recall, 10), ErrorCode::invalid_argument) << recall;
  }
  EXPECT_EQ(code(0.9, 0), ErrorCode::invalid_argument);
}

TEST(EfFor, ShowsItsProgressAndCanBeStopped) {
  const auto queries = test::random_vectors(600, kDims, 2);
  std::size_t last = 0;
  std::atomic<bool> stop{false};
  BuildOptions options;
  options.stop = &stop;
  options.progress = [&](std::size_t done, std::size_t total) {
    EXPECT_GT(done, last);
    EXPECT_LE(done, total);
    last = done;
  };
  ASSERT_TRUE(some_index().measure_recall(queries.matrix(), {}, options));
  EXPECT_EQ(last, 1200u);
  last = 0;
  options.progress = [&](std::size_t done, std::size_t) { stop = done >= 600; };
  EXPECT_EQ(some_index().ef_for(0.9, queries.matrix(), 10, options).error().code(),
            ErrorCode::cancelled);
  EXPECT_EQ(some_index().measure_recall(queries.matrix(), {}, options).error().code(),
            ErrorCode::cancelled);
}

TEST(EfFor, WorksOnAFileThatIsOnlyRead) {
  const test::TemporaryDirectory directory;
  ASSERT_TRUE(some_index().save(directory / "index.cairn"));
  const Index reader = Index::open(directory / "index.cairn").value();
  const auto queries = test::random_vectors(100, kDims, 2);
  EXPECT_EQ(reader.ef_for(0.9, queries.matrix(), 10).value(),
            some_index().ef_for(0.9, queries.matrix(), 10).value());
}

}  // namespace
}  // namespace cairn
