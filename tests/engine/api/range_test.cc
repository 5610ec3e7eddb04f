// SPDX-License-Identifier: Apache-2.0
//
// Searches for all within a distance, against a scan in double.
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cmath>
#include <functional>
#include <limits>
#include <random>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include <cairn/cairn.h>

#include "tests/support/sanitizers.h"
#include "tests/support/temporary_directory.h"
#include "tests/support/vectors.h"

namespace cairn {
namespace {

constexpr std::size_t kDims = 24;

IndexParams params_of(Metric metric, Traversal traversal = Traversal::automatic) {
  IndexParams params;
  params.dimensions = kDims;
  params.metric = metric;
  params.traversal = traversal;
  params.ef_construction = 60;
  return params;
}

const test::Vectors& rows() {
  static const test::Vectors all = test::clustered_vectors(4000, kDims, 40, 1, 7);
  return all;
}
const test::Vectors& queries() {
  static const test::Vectors all = test::clustered_vectors(20, kDims, 40, 2, 7);
  return all;
}
const Index& index_of(Metric metric) {
  static const Index l2sq = test::built(params_of(Metric::l2sq), rows());
  static const Index cosine = test::built(params_of(Metric::cosine), rows());
  static const Index product = test::built(params_of(Metric::inner_product), rows());
  return metric == Metric::l2sq ? l2sq : metric == Metric::cosine ? cosine : product;
}

// A radius within which `n` rows lie, halfway to the next.
float radius_for(Metric metric, const float* query, std::size_t n) {
  const auto near = test::scan(metric, rows(), query, n + 1);
  if (n == 0) return static_cast<float>(near[0].distance - std::abs(near[0].distance) / 2);
  return static_cast<float>((near[n - 1].distance + near[n].distance) / 2);
}

void expect_in_order(const std::vector<Match>& matches) {
  std::set<Key> keys;
  for (std::size_t i = 0; i < matches.size(); ++i) {
    EXPECT_TRUE(keys.insert(matches[i].key).second);
    if (i == 0) continue;
    EXPECT_LE(matches[i - 1].distance, matches[i].distance);
  }
}

TEST(SearchRange, FindsWhatIsWithinAndNothingElse) {
  for (const Metric metric : {Metric::l2sq, Metric::cosine, Metric::inner_product}) {
    for (const std::size_t n : {1u, 10u, 100u, 1000u}) {
      std::size_t found = 0;
      for (std::size_t q = 0; q < queries().rows(); ++q) {
        const float radius = radius_for(metric, queries().row(q), n);
        const auto matches = index_of(metric).search_range(queries().vector(q), radius);
        ASSERT_TRUE(matches) << matches.error().message();
        expect_in_order(*matches);
        for (const Match& match : *matches) EXPECT_LE(match.distance, radius);
        EXPECT_LE(matches->size(), n);
        found += matches->size();
      }
      const double recall = static_cast<double>(found) / static_cast<double>(n * queries().rows());
      EXPECT_GE(recall, 0.97) << "metric " << static_cast<int>(metric) << ", " << n << " within";
    }
  }
}

TEST(SearchRange, TheExactPlanMissesNothing) {
  for (const Metric metric : {Metric::l2sq, Metric::cosine, Metric::inner_product}) {
    for (const std::size_t n : {0u, 1u, 37u, 3500u}) {
      const float* query = queries().row(3);
      const float radius = radius_for(metric, query, n);
      RangeParams params;
      params.plan = Plan::exact;
      const auto matches = index_of(metric).search_range(queries().vector(3), radius, params);
      ASSERT_TRUE(matches);
      expect_in_order(*matches);
      ASSERT_EQ(matches->size(), n);
      const auto truth = test::scan(metric, rows(), query, n + 1);
      std::set<Key> keys;
      for (std::size_t i = 0; i < n; ++i) keys.insert(truth[i].key);
      for (const Match& match : *matches) EXPECT_EQ(keys.count(match.key), 1u);
    }
  }
}

TEST(SearchRange, WhereNothingIsWithinItCostsASearch) {
  for (std::size_t q = 0; q < queries().rows(); ++q) {
    const float radius = radius_for(Metric::l2sq, queries().row(q), 0);
    SearchReport of_range;
    SearchReport of_search;
    RangeParams params;
    params.report = &of_range;
    const auto matches = index_of(Metric::l2sq).search_range(queries().vector(q), radius, params);
    ASSERT_TRUE(matches);
    EXPECT_TRUE(matches->empty());
    ASSERT_TRUE(index_of(Metric::l2sq)
                    .search(queries().vector(q), {.k = 10, .ef = 64, .report = &of_search}));
    EXPECT_EQ(of_range.plan, Plan::walk);
    EXPECT_LE(of_range.distances, of_search.distances);
  }
}

TEST(SearchRange, BecomesAScanWhereManyAreWithin) {
  SearchReport report;
  RangeParams params;
  params.report = &report;
  const auto all =
      index_of(Metric::l2sq)
          .search_range(queries().vector(0), std::numeric_limits<float>::infinity(), params);
  ASSERT_TRUE(all);
  EXPECT_EQ(all->size(), rows().rows());
  EXPECT_EQ(report.plan, Plan::exact);
  EXPECT_LE(report.distances, 2 * rows().rows());
  params.plan = Plan::walk;
  const auto walked =
      index_of(Metric::l2sq)
          .search_range(queries().vector(0), std::numeric_limits<float>::infinity(), params);
  ASSERT_TRUE(walked);
  EXPECT_EQ(report.plan, Plan::walk);
  EXPECT_EQ(walked->size(), rows().rows());
}

TEST(SearchRange, MaxResultsAreTheNearestOfThem) {
  const float radius = radius_for(Metric::l2sq, queries().row(5), 400);
  for (const Plan plan : {Plan::walk, Plan::exact, Plan::automatic}) {
    RangeParams params;
    params.plan = plan;
    const auto all = index_of(Metric::l2sq).search_range(queries().vector(5), radius, params);
    params.max_results = 25;
    const auto some = index_of(Metric::l2sq).search_range(queries().vector(5), radius, params);
    ASSERT_TRUE(all && some);
    ASSERT_EQ(some->size(), 25u);
    for (std::size_t i = 0; i < 25; ++i) EXPECT_EQ((*some)[i].key, (*all)[i].key);
    const float little = radius_for(Metric::l2sq, queries().row(5), 3);
    EXPECT_EQ(index_of(Metric::l2sq).search_range(queries().vector(5), little, params)->size(), 3u);
  }
}

TEST(SearchRange, TheCallersMetricOrdersWhatIsWithin) {
  const float radius = radius_for(Metric::l2sq, queries().row(5), 120);
  const auto value_of = [](Key key) { return static_cast<float>(key * 2654435761u % 1000u); };
  std::size_t asked = 0;
  const std::function<float(Key, VectorView)> own = [&](Key key, VectorView) {
    ++asked;
    return value_of(key);
  };
  for (const Plan plan : {Plan::walk, Plan::exact}) {
    RangeParams params;
    params.plan = plan;
    const auto nearest = index_of(Metric::l2sq).search_range(queries().vector(5), radius, params);
    ASSERT_TRUE(nearest && nearest->size() == 120u);
    params.rerank = &own;
    asked = 0;
    const auto all = index_of(Metric::l2sq).search_range(queries().vector(5), radius, params);
    ASSERT_TRUE(all);
    EXPECT_EQ(asked, 120u);
    std::vector<float> values;
    for (const Match& match : *nearest) values.push_back(value_of(match.key));
    std::sort(values.begin(), values.end());
    ASSERT_EQ(all->size(), values.size());
    for (std::size_t i = 0; i < values.size(); ++i) EXPECT_EQ((*all)[i].distance, values[i]);
    // Of the max(max_results, ef) nearest those with the least values.
    params.max_results = 5;
    params.ef = 40;
    asked = 0;
    const auto few = index_of(Metric::l2sq).search_range(queries().vector(5), radius, params);
    ASSERT_TRUE(few && few->size() == 5u);
    EXPECT_EQ(asked, 40u);
    values.clear();
    for (std::size_t i = 0; i < 40; ++i) values.push_back(value_of((*nearest)[i].key));
    std::sort(values.begin(), values.end());
    for (std::size_t i = 0; i < 5; ++i) EXPECT_EQ((*few)[i].distance, values[i]);
  }
}

TEST(SearchRange, ACallbackGetsTheSameUntilItHasEnough) {
  const float radius = radius_for(Metric::l2sq, queries().row(2), 50);
  const auto all = index_of(Metric::l2sq).search_range(queries().vector(2), radius);
  std::set<Key> seen;
  const auto done =
      index_of(Metric::l2sq).search_range(queries().vector(2), radius, {}, [&](Match match) {
        return seen.insert(match.key).second;
      });
  ASSERT_TRUE(all && done);
  EXPECT_TRUE(*done);
  EXPECT_EQ(seen.size(), all->size());
  int calls = 0;
  const auto stopped =
      index_of(Metric::l2sq).search_range(queries().vector(2), radius, {}, [&](Match) {
        return ++calls < 7;
      });
  ASSERT_TRUE(stopped);
  EXPECT_FALSE(*stopped);
  EXPECT_EQ(calls, 7);
  EXPECT_EQ(index_of(Metric::l2sq)
                .search_range(queries().vector(2), radius, {}, std::function<bool(Match)>())
                .error()
                .code(),
            ErrorCode::invalid_argument);
}

TEST(SearchRange, KeepsToItsFilter) {
  const Index& index = index_of(Metric::l2sq);
  for (const std::size_t one_of : {2u, 10u, 200u}) {
    const auto filter =
        Filter::where(index, [&](Key key) { return (key - 1000) / 7 % one_of == 0; });
    ASSERT_TRUE(filter);
    std::size_t wanted = 0;
    std::size_t found = 0;
    for (std::size_t q = 0; q < queries().rows(); ++q) {
      const float radius = radius_for(Metric::l2sq, queries().row(q), 300);
      for (const auto& one : test::scan(Metric::l2sq, rows(), queries().row(q), 300)) {
        wanted += (one.key - 1000) / 7 % one_of == 0 ? 1 : 0;
      }
      RangeParams params;
      params.filter = &*filter;
      const auto matches = index.search_range(queries().vector(q), radius, params);
      ASSERT_TRUE(matches);
      expect_in_order(*matches);
      for (const Match& match : *matches) {
        EXPECT_EQ((match.key - 1000) / 7 % one_of, 0u);
        EXPECT_LE(match.distance, radius);
      }
      found += matches->size();
    }
    EXPECT_LE(found, wanted);
    EXPECT_GE(static_cast<double>(found), 0.97 * static_cast<double>(wanted)) << one_of;
  }
}

TEST(SearchRange, RefusesARadiusThatIsNone) {
  const Index& index = index_of(Metric::l2sq);
  const auto code = [](const auto& result) {
    return result ? ErrorCode::internal : result.error().code();
  };
  const VectorView query = queries().vector(0);
  EXPECT_EQ(code(index.search_range(query, std::numeric_limits<float>::quiet_NaN())),
            ErrorCode::invalid_argument);
  EXPECT_EQ(code(index.search_range(query, -0.5f)), ErrorCode::invalid_argument);
  EXPECT_TRUE(index.search_range(query, 0.0f));
  EXPECT_TRUE(index_of(Metric::inner_product).search_range(query, -2.0f));
  EXPECT_EQ(code(index.search_range(VectorView(queries().row(0), kDims - 1), 1)),
            ErrorCode::dimension_mismatch);
  RangeParams of_other;
  const auto filter = Filter::only(index_of(Metric::cosine), {});
  of_other.filter = &*filter;
  EXPECT_EQ(code(index.search_range(query, 1, of_other)), ErrorCode::invalid_argument);
  EXPECT_EQ(Index::create(params_of(Metric::l2sq)).value().search_range(query, 1)->size(), 0u);
}

TEST(SearchRange, RefusesAMetricThatIsNoFunctionWhateverLiesWithin) {
  const std::function<float(Key, VectorView)> none;
  RangeParams params;
  params.rerank = &none;
  for (const float radius : {0.0f, radius_for(Metric::l2sq, queries().row(0), 10)}) {
    const auto found = index_of(Metric::l2sq).search_range(queries().vector(0), radius, params);
    ASSERT_FALSE(found);
    EXPECT_EQ(found.error().code(), ErrorCode::invalid_argument);
    EXPECT_EQ(found.error().message(), "search_range: rerank is empty");
  }
}

TEST(SearchRange, LimitsEndItWithWhatWasFound) {
  const Index& index = index_of(Metric::l2sq);
  const float radius = radius_for(Metric::l2sq, queries().row(0), 500);
  SearchReport report;
  RangeParams params;
  params.report = &report;
  params.max_distances = 700;
  const auto some = index.search_range(queries().vector(0), radius, params);
  ASSERT_TRUE(some);
  EXPECT_FALSE(report.complete);
  EXPECT_LE(report.distances, 700u);
  EXPECT_LT(some->size(), 500u);
  params.max_distances = 0;
  params.deadline = std::chrono::steady_clock::now() - std::chrono::seconds(1);
  EXPECT_EQ(index.search_range(queries().vector(0), radius, params).error().code(),
            ErrorCode::deadline_exceeded);
  params.deadline = {};
  const std::atomic<bool> stop{true};
  params.stop = &stop;
  EXPECT_EQ(index.search_range(queries().vector(0), radius, params).error().code(),
            ErrorCode::cancelled);
}

TEST(SearchRange, FindsCopiesOfTheQueryAtDistanceNull) {
  Index index = Index::create(params_of(Metric::l2sq)).value();
  for (Key key = 0; key < 150; ++key) {
    ASSERT_TRUE(index.add(key, rows().vector(key < 50 ? 3 : key)));
  }
  const auto copies = index.search_range(rows().vector(3), 0.0f);
  ASSERT_TRUE(copies);
  EXPECT_EQ(copies->size(), 50u);
}

TEST(SearchRange, WorksForOtherScalarsAndTraversals) {
  const auto few = test::clustered_vectors(1500, kDims, 20, 1, 7);
  for (const Scalar scalar : {Scalar::f16, Scalar::bf16, Scalar::i8, Scalar::f32}) {
    IndexParams params = params_of(Metric::l2sq, Traversal::exact);
    if (scalar != Scalar::i8 && scalar != Scalar::f32) params.traversal = Traversal::code;
    params.scalar = scalar;
    const auto stored = test::stored(scalar, few);
    Index index = Index::create(params).value();
    ASSERT_TRUE(index.build(few.keys, stored.matrix()));
    for (std::size_t row = 0; row < 20; ++row) {
      const auto near = test::scan(Metric::l2sq, stored.floats, stored.floats.row(row), 21);
      const auto radius = static_cast<float>((near[19].distance + near[20].distance) / 2);
      const auto matches = index.search_range(stored.vector(row), radius);
      ASSERT_TRUE(matches);
      EXPECT_GE(matches->size(), 19u);
      EXPECT_LE(matches->size(), 20u);
    }
  }
}

// What stays within the radius is found beside a writer, whatever it does to the rest, and never
// twice.
TEST(SearchRange, BesideAWriterFindsWhatIsThereThroughout) {
  IndexParams params = params_of(Metric::l2sq);
  params.m = 8;
  params.ef_construction = 40;
  Index index = Index::create(params).value();
  constexpr Key kStay = CAIRN_TEST_SANITIZED ? 60 : 200;
  const auto stay = test::clustered_vectors(kStay, kDims, 1, 3, 9);
  for (Key key = 0; key < kStay; ++key) ASSERT_TRUE(index.add(key, stay.vector(key)));
  const float radius =
      static_cast<float>(test::scan(Metric::l2sq, stay, stay.row(0), kStay).back().distance * 1.01);
  std::atomic<bool> stop{false};
  std::thread writer([&] {
    std::mt19937 random(1);
    for (int i = 0; !stop; ++i) {
      const Key key = kStay + random() % 300;
      EXPECT_TRUE(index.upsert(key, rows().vector(random() % 4000)));
      EXPECT_TRUE(index.upsert(random() % kStay, stay.vector(random() % kStay)));
      if (i % 3 == 0) (void)index.remove(kStay + random() % 300).has_value();
      if (i % 500 == 499) {
        EXPECT_TRUE(index.compact());
      }
    }
  });
  for (int round = 0; round < (CAIRN_TEST_SANITIZED ? 30 : 300); ++round) {
    RangeParams range;
    range.plan = round % 2 == 0 ? Plan::walk : Plan::exact;
    const auto matches = index.search_range(stay.vector(0), radius, range);
    if (!matches) {
      ADD_FAILURE() << matches.error().message();
      break;
    }
    std::set<Key> keys;
    std::size_t stayed = 0;
    for (const Match& match : *matches) {
      EXPECT_TRUE(keys.insert(match.key).second) << match.key;
      EXPECT_LE(match.distance, radius);
      stayed += match.key < kStay ? 1 : 0;
    }
    EXPECT_EQ(stayed, kStay);
    if (HasFailure()) break;
  }
  stop = true;
  writer.join();
}

}  // namespace
}  // namespace cairn
