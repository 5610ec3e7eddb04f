// SPDX-License-Identifier: Apache-2.0
//
// Plan::exact gives what a scan in double gives, whatever the vectors are like.
// CAIRN_TEST_SEEDS: how many mixtures (24).
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <limits>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include <cairn/cairn.h>

#include "engine/api/index_impl.h"
#include "engine/api/index_parts.h"
#include "engine/search/search.h"
#include "tests/support/mixtures.h"
#include "tests/support/vectors.h"

namespace cairn {
namespace {

using test::StoredVectors;
using test::Vectors;

std::size_t seeds() {
  const char* given = std::getenv("CAIRN_TEST_SEEDS");
  return given == nullptr ? 24 : static_cast<std::size_t>(std::atoi(given));
}

// Distances that two formulas in double may tell apart differently.
bool is_tie(double a, double b) { return std::fabs(a - b) <= 1e-11 * (1 + std::fabs(a)); }

// That `matches` are the nearest of `rows`: each as near as the one that a scan has in its place,
// with the same key unless rounding in double may have exchanged it for another one.
void expect_nearest(std::span<const Match> matches, Metric metric, const Vectors& rows,
                    const float* query, std::size_t k) {
  if (metric == Metric::hamming) metric = Metric::l2sq;  // of zeros and ones the same
  const auto truth = test::scan(metric, rows, query, std::min(k + 1, rows.rows()));
  ASSERT_EQ(matches.size(), std::min(k, rows.rows()));
  for (std::size_t i = 0; i < matches.size(); ++i) {
    const double distance = truth[i].distance;
    ASSERT_NEAR(matches[i].distance, distance, 1e-6 * (1e-6 + std::fabs(distance))) << "rank " << i;
    const bool is_alone = (i == 0 || !is_tie(truth[i - 1].distance, distance)) &&
                          (i + 1 == truth.size() || !is_tie(truth[i + 1].distance, distance));
    if (!is_alone) continue;
    ASSERT_EQ(matches[i].key, truth[i].key) << "rank " << i;
  }
}

Index index_of(const IndexParams& params, const StoredVectors& rows) {
  Index index = Index::create(params).value();
  EXPECT_TRUE(index.build(rows.floats.keys, rows.matrix()));
  return index;
}

// Also the batch, whose rows are scanned together.
void expect_exact(const Index& index, const StoredVectors& rows, const StoredVectors& queries,
                  std::size_t k) {
  const Metric metric = index.params().metric;
  const std::size_t n = queries.floats.rows();
  std::vector<Match> all(n * k);
  std::vector<std::size_t> counts(n);
  const SearchParams params{.k = k, .plan = Plan::exact};
  ASSERT_TRUE(index.search_batch(queries.matrix(), params, all, counts, 2));
  for (std::size_t i = 0; i < n; ++i) {
    SCOPED_TRACE("query " + std::to_string(i) + ", k " + std::to_string(k));
    const auto one = index.search(queries.vector(i), params).value();
    expect_nearest(one, metric, rows.floats, queries.floats.row(i), k);
    ASSERT_EQ(counts[i], one.size());
    for (std::size_t j = 0; j < one.size(); ++j) {
      ASSERT_EQ(all[i * k + j].key, one[j].key);
      ASSERT_EQ(all[i * k + j].distance, one[j].distance);
    }
    if (testing::Test::HasFatalFailure()) return;
  }
}

TEST(ExactPlan, FindsWhatAScanInDoubleFindsInMixtures) {
  constexpr Metric kMetrics[] = {Metric::l2sq, Metric::cosine, Metric::inner_product};
  constexpr Scalar kScalars[] = {Scalar::f32, Scalar::f32, Scalar::f16, Scalar::bf16};
  constexpr std::uint64_t kRepeatedNumbers = 47;  // whose rounding errors go one way
  for (std::uint64_t turn = 0; turn <= seeds(); ++turn) {
    const std::uint64_t seed = turn == 0 ? kRepeatedNumbers : turn - 1;
    SCOPED_TRACE("seed " + std::to_string(seed));
    const test::Mixture mixture = test::mixture_of(seed);
    IndexParams params;
    params.dimensions = mixture.vectors.dims;
    params.metric = kMetrics[seed % 3];
    params.scalar = kScalars[seed / 3 % 4];
    params.ef_construction = 8;  // the graph has no part in it
    params.m = 4;
    const StoredVectors rows = test::stored(params.scalar, mixture.vectors);
    const StoredVectors queries = test::stored(params.scalar, mixture.queries);
    for (const Traversal traversal : {Traversal::code, Traversal::exact}) {
      params.traversal = traversal;
      const Index index = index_of(params, rows);
      for (const std::size_t k : {1u, 10u, 200u}) expect_exact(index, rows, queries, k);
      if (HasFatalFailure()) return;
    }
  }
}

TEST(ExactPlan, FindsBytesAndBitsWithTheirTies) {
  const Vectors vectors = test::random_vectors(700, 40, 3);
  const Vectors asked = test::random_vectors(20, 40, 4);
  for (const auto& [scalar, metric] :
       {std::pair{Scalar::b1, Metric::hamming}, std::pair{Scalar::i8, Metric::l2sq},
        std::pair{Scalar::i8, Metric::cosine}, std::pair{Scalar::i8, Metric::inner_product}}) {
    IndexParams params;
    params.dimensions = 40;
    params.metric = metric;
    params.scalar = scalar;
    params.ef_construction = 8;
    const StoredVectors rows = test::stored(scalar, vectors);
    const StoredVectors queries = test::stored(scalar, asked);
    const Index index = index_of(params, rows);
    expect_exact(index, rows, queries, 15);
    // Of bits distances are numbers, and ties go by key.
    if (scalar != Scalar::b1) continue;
    for (std::size_t i = 0; i < asked.rows(); ++i) {
      const auto truth = test::scan(Metric::l2sq, rows.floats, queries.floats.row(i), 15);
      const auto found = index.search(queries.vector(i), {.k = 15, .plan = Plan::exact}).value();
      for (std::size_t j = 0; j < 15; ++j) EXPECT_EQ(found[j].key, truth[j].key);
    }
  }
}

TEST(ExactPlan, OfEqualVectorsTakesTheLowestKeys) {
  Vectors vectors{16, {}, {}};
  const Vectors one = test::random_vectors(2, 16, 1);
  for (Key key = 0; key < 1000; ++key) vectors.append(999 - key, {one.row(0), 16});
  for (const Traversal traversal : {Traversal::code, Traversal::exact}) {
    IndexParams params;
    params.dimensions = 16;
    params.ef_construction = 8;
    params.traversal = traversal;
    const Index index = test::built(params, vectors);
    const auto found = index.search(one.vector(1), {.k = 20, .plan = Plan::exact}).value();
    ASSERT_EQ(found.size(), 20u);
    for (Key key = 0; key < 20; ++key) EXPECT_EQ(found[key].key, key);
  }
}

TEST(ExactPlan, SeesWhatWasAddedAndNotWhatWasRemoved) {
  const Vectors vectors = test::random_vectors(900, 12, 5);
  IndexParams params;
  params.dimensions = 12;
  params.metric = Metric::l2sq;
  params.ef_construction = 16;
  Index index = test::built(params, vectors);
  std::mt19937_64 random(1);
  Vectors left{12, {}, {}};
  for (std::size_t i = 0; i < vectors.rows(); ++i) {
    if (random() % 3 == 0) {
      ASSERT_TRUE(index.remove(vectors.keys[i]));
    } else {
      left.append(vectors.keys[i], {vectors.row(i), 12});
    }
  }
  const Vectors more = test::random_vectors(150, 12, 6);
  for (std::size_t i = 0; i < more.rows(); ++i) {
    ASSERT_TRUE(index.add(100000 + i, more.vector(i)));
    left.append(100000 + i, {more.row(i), 12});
  }
  const StoredVectors rows = test::stored(Scalar::f32, left);
  expect_exact(index, rows, test::stored(Scalar::f32, test::random_vectors(20, 12, 7)), 30);
  expect_exact(index, rows, test::stored(Scalar::f32, test::random_vectors(3, 12, 8)), 2000);
}

// Of batches of any size, whatever a filter lets pass.
TEST(ExactPlan, BatchesFindWhatSingleSearchesFind) {
  const Vectors vectors = test::random_vectors(3000, 24, 9);
  for (const Metric metric : {Metric::l2sq, Metric::cosine, Metric::inner_product}) {
    IndexParams params;
    params.dimensions = 24;
    params.metric = metric;
    params.ef_construction = 8;
    Index index = test::built(params, vectors);
    for (std::size_t i = 0; i < 500; ++i) ASSERT_TRUE(index.remove(vectors.keys[5 * i]));
    const Filter some = Filter::where(index, [](Key key) { return key % 3 != 0; }).value();
    for (const Filter* filter : {static_cast<const Filter*>(nullptr), &some}) {
      for (const std::size_t n : {2u, 7u, 33u, 100u, 300u}) {
        const Vectors queries = test::random_vectors(n, 24, static_cast<unsigned>(n));
        const SearchParams exact{.k = 10, .filter = filter, .plan = Plan::exact};
        std::vector<Match> all(n * 10);
        std::vector<std::size_t> counts(n);
        ASSERT_TRUE(index.search_batch(queries.matrix(), exact, all, counts, 1));
        for (std::size_t i = 0; i < n; ++i) {
          const auto one = index.search(queries.vector(i), exact).value();
          ASSERT_EQ(counts[i], one.size());
          for (std::size_t j = 0; j < one.size(); ++j) {
            ASSERT_EQ(all[i * 10 + j].key, one[j].key) << n << ", " << i;
            ASSERT_EQ(all[i * 10 + j].distance, one[j].distance);
          }
        }
      }
    }
  }
}

// Codes of long vectors are off by more than those of their neighbors in the file.
TEST(ExactPlan, BatchesFindTheNearestWhereAFewVectorsAreMuchLonger) {
  Vectors vectors = test::random_vectors(2000, 24, 9);
  for (std::size_t i = 0; i < vectors.rows(); i += 97) {
    const float longer = i % 2 == 0 ? 30.0f : 3000.0f;
    for (std::size_t j = 0; j < vectors.dims; ++j) vectors.values[i * vectors.dims + j] *= longer;
  }
  const StoredVectors rows = test::stored(Scalar::f32, vectors);
  const StoredVectors queries = test::stored(Scalar::f32, test::random_vectors(40, 24, 10));
  for (const Metric metric : {Metric::l2sq, Metric::cosine, Metric::inner_product}) {
    IndexParams params;
    params.dimensions = 24;
    params.metric = metric;
    params.ef_construction = 8;
    const Index index = index_of(params, rows);
    for (const std::size_t k : {10u, 300u}) expect_exact(index, rows, queries, k);
    if (HasFatalFailure()) return;
  }
}

// The longer the steps of a block, the more its distances may be off by.
TEST(ExactPlan, TheLimitOfABlockGrowsWithItsLargestStep) {
  IndexParams params;
  params.dimensions = 24;
  params.metric = Metric::l2sq;
  const Index index = test::built(params, test::random_vectors(40, 24, 9));
  const Vectors queries = test::random_vectors(1, 24, 10);
  const Space space = IndexParts::of(index).space();
  SearchScratch scratch;
  const Query query = space.for_scan(space.prepare(queries.vector(0), scratch.query));
  ScannedQuery scanned(space, query, 10, scratch);
  EXPECT_EQ(scanned.limit(query.step), std::numeric_limits<float>::infinity());
  std::vector<NodeId> nodes;
  for (std::uint32_t i = 0; i < 40; ++i) nodes.push_back({i});
  std::vector<float> distances(40);
  space.distances(query, nodes.data(), 40, distances.data());
  scanned.meet(nodes.data(), distances.data(), 40);
  const float few = scanned.limit(query.step);
  std::sort(distances.begin(), distances.end());
  EXPECT_GT(few, distances[9]);
  EXPECT_GT(scanned.limit(3 * query.step), few);
  EXPECT_EQ(scanned.limit(query.step), few);
}

// A scan that may look at so many vectors looks at the same ones in a batch and alone.
TEST(ExactPlan, BatchesEndWhereSingleSearchesEnd) {
  const Vectors vectors = test::random_vectors(1000, 24, 9);
  const Vectors queries = test::random_vectors(50, 24, 10);
  IndexParams params;
  params.dimensions = 24;
  const Index index = test::built(params, vectors);
  SearchReport report;
  for (const std::uint64_t most : {1u, 12u, 47u, 48u, 49u, 555u, 999u, 1000u}) {
    const SearchParams exact{.plan = Plan::exact, .max_distances = most, .report = &report};
    std::vector<Match> all(500);
    std::vector<std::size_t> counts(50);
    ASSERT_TRUE(index.search_batch(queries.matrix(), exact, all, counts, 1));
    EXPECT_EQ(report.distances, 50 * most);
    EXPECT_EQ(report.complete, most >= 1000);
    for (std::size_t i = 0; i < 50; ++i) {
      const auto one = index.search(queries.vector(i), exact).value();
      ASSERT_EQ(counts[i], one.size());
      for (std::size_t j = 0; j < one.size(); ++j) ASSERT_EQ(all[i * 10 + j].key, one[j].key);
    }
  }
}

// A batch without a filter is scanned where that costs less, for any number of threads alike.
TEST(BatchPlan, ManyQueriesOfFewVectorsAreScanned) {
  const Vectors vectors = test::random_vectors(2000, 24, 9);
  const Vectors queries = test::random_vectors(64, 24, 10);
  IndexParams params;
  params.dimensions = 24;
  params.metric = Metric::l2sq;
  const Index index = test::built(params, vectors);
  SearchReport report;
  std::vector<Match> found(640);
  std::vector<Match> exact(640);
  std::vector<std::size_t> counts(64);
  const auto plan_of = [&](SearchParams asked, std::size_t rows, unsigned threads) {
    asked.report = &report;
    const auto some = MatrixView::f32(queries.row(0), rows, 24);
    EXPECT_TRUE(index.search_batch(some, asked, found, counts, threads));
    return report.plan;
  };
  ASSERT_EQ(plan_of({.plan = Plan::exact}, 64, 1), Plan::exact);
  exact = found;
  for (const unsigned threads : {1u, 2u, 5u, 7u}) {
    ASSERT_EQ(plan_of({.ef = 100}, 64, threads), Plan::exact);
    EXPECT_EQ(report.distances, 64u * 2000);
    for (std::size_t i = 0; i < 640; ++i) EXPECT_EQ(found[i].key, exact[i].key);
  }
  EXPECT_EQ(plan_of({.ef = 10}, 64, 1), Plan::walk);
  EXPECT_EQ(plan_of({.ef = 16}, 8, 1), Plan::walk);
  EXPECT_EQ(plan_of({.ef = 100, .plan = Plan::walk}, 64, 1), Plan::walk);
  EXPECT_EQ(plan_of({.ef = 100, .max_distances = 1999}, 64, 1), Plan::walk);
}

// How a batch is cut has nothing to do with threads, and leaves work for several of them where it
// takes more than some milliseconds.
TEST(BatchPlan, GroupsThatAreScannedTogetherDependOnCountsAlone) {
  const Vectors vectors = test::random_vectors(300, 24, 9);
  for (const Traversal traversal : {Traversal::code, Traversal::exact}) {
    IndexParams params;
    params.dimensions = 24;
    params.traversal = traversal;
    const Index index = test::built(params, vectors);
    const bool has_codes = traversal == Traversal::code;
    const Space few = IndexParts::of(index).space();
    EXPECT_EQ(scanned_at_once(few, 100), has_codes ? GroupScratch::kMost : 8u);
    GraphView view = few.view();
    view.count = 1'000'000;
    const Space many(IndexParts::of(index).store.parameters(), view);
    EXPECT_EQ(scanned_at_once(many, 100), has_codes ? 32u : 8u);
    for (const Space& space : {few, many}) {
      EXPECT_EQ(scanned_at_once(space, 1), 4u);
      EXPECT_EQ(scanned_at_once(space, 15), 4u);
      EXPECT_EQ(scanned_at_once(space, 16), has_codes ? 32u : 4u);
      EXPECT_EQ(scanned_at_once(space, 1000), 64u);
      EXPECT_EQ(scanned_at_once(space, 1'000'000), GroupScratch::kMost);
    }
  }
}

// So is a single query of fewer vectors still, and its answer is exact.
TEST(QueryPlan, AQueryOfFewVectorsIsScanned) {
  const Vectors vectors = test::random_vectors(3000, 24, 9);
  const Vectors queries = test::random_vectors(20, 24, 10);
  IndexParams params;
  params.dimensions = 24;
  SearchReport report;
  const auto plan_of = [&](const Index& index, SearchParams asked) {
    asked.report = &report;
    EXPECT_TRUE(index.search(queries.vector(0), asked));
    return report.plan;
  };
  for (const Metric metric : {Metric::cosine, Metric::l2sq}) {
    params.metric = metric;
    const Index few = test::built(params, test::random_vectors(400, 24, 9));
    for (std::size_t i = 0; i < queries.rows(); ++i) {
      const auto found = few.search(queries.vector(i), {.report = &report}).value();
      EXPECT_EQ(report.plan, Plan::exact);
      EXPECT_EQ(report.distances, 400u);
      const auto exact = few.search(queries.vector(i), {.plan = Plan::exact}).value();
      ASSERT_EQ(found.size(), exact.size());
      for (std::size_t j = 0; j < found.size(); ++j) EXPECT_EQ(found[j].key, exact[j].key);
    }
    EXPECT_EQ(plan_of(few, {.plan = Plan::walk}), Plan::walk);
    EXPECT_EQ(plan_of(few, {.max_distances = 399}), Plan::walk);
    EXPECT_EQ(plan_of(few, {.max_distances = 400}), Plan::exact);
    const Index more = test::built(params, vectors);
    EXPECT_EQ(plan_of(more, {.ef = 16}), Plan::walk);
    EXPECT_EQ(plan_of(more, {.ef = 1000}), Plan::exact);
  }
  params.metric = Metric::inner_product;  // whose errors tell too little
  const Index products = test::built(params, test::random_vectors(400, 24, 9));
  EXPECT_EQ(plan_of(products, {}), Plan::walk);
}

TEST(ExactPlan, TellsWhatItDid) {
  const Vectors vectors = test::random_vectors(300, 8, 1);
  IndexParams params;
  params.dimensions = 8;
  const Index index = test::built(params, vectors);
  SearchReport report;
  SearchParams exact{.plan = Plan::exact, .report = &report};
  ASSERT_TRUE(index.search(vectors.vector(0), exact));
  EXPECT_EQ(report.plan, Plan::exact);
  EXPECT_TRUE(report.complete);
  EXPECT_EQ(report.distances, 300u);
  EXPECT_EQ(report.lists, 0u);
  std::vector<Match> out(3000);
  std::vector<std::size_t> counts(300);
  ASSERT_TRUE(index.search_batch(vectors.matrix(), exact, out, counts, 2));
  EXPECT_EQ(report.plan, Plan::exact);
  EXPECT_EQ(report.distances, 300u * 300u);
  ASSERT_TRUE(index.search(vectors.vector(0), {.plan = Plan::walk, .report = &report}));
  EXPECT_EQ(report.plan, Plan::walk);
  EXPECT_GT(report.lists, 0u);
}

TEST(Rerank, OrdersTheCandidatesByTheCallersMetric) {
  const Vectors vectors = test::random_vectors(500, 8, 1);
  const Vectors queries = test::random_vectors(10, 8, 2);
  IndexParams params;
  params.dimensions = 8;
  const Index index = test::built(params, vectors);
  for (const Plan plan : {Plan::walk, Plan::exact}) {
    for (std::size_t i = 0; i < queries.rows(); ++i) {
      const auto by_first = [](Key, VectorView vector) {
        return static_cast<const float*>(vector.data())[0];
      };
      const std::function<float(Key, VectorView)> metric = by_first;
      const SearchParams usual{.k = 60, .ef = 60, .plan = plan};
      auto expected = index.search(queries.vector(i), usual).value();
      for (Match& match : expected) {
        const std::size_t row = (match.key - 1000) / 7;
        match.distance = vectors.row(row)[0];
      }
      std::sort(expected.begin(), expected.end(),
                [](const Match& a, const Match& b) { return a.distance < b.distance; });
      SearchParams own{.k = 5, .ef = 60, .plan = plan, .rerank = &metric};
      const auto found = index.search(queries.vector(i), own).value();
      ASSERT_EQ(found.size(), 5u);
      for (std::size_t j = 0; j < 5; ++j) {
        EXPECT_EQ(found[j].key, expected[j].key);
        EXPECT_EQ(found[j].distance, expected[j].distance);
      }
    }
  }
}

TEST(Rerank, TakesNaNForInfinityAndHandsOnNoException) {
  const Vectors vectors = test::random_vectors(50, 8, 1);
  IndexParams params;
  params.dimensions = 8;
  const Index index = test::built(params, vectors);
  const std::function<float(Key, VectorView)> odd = [](Key key, VectorView) {
    return key % 2 == 0 ? NAN : static_cast<float>(key);
  };
  const auto found = index.search(vectors.vector(0), {.k = 50, .rerank = &odd}).value();
  ASSERT_EQ(found.size(), 50u);
  EXPECT_EQ(found.front().key, 1007u);
  EXPECT_EQ(found.back().distance, INFINITY);
  EXPECT_EQ(found.back().key, 1000u + 7 * 48);

  const std::function<float(Key, VectorView)> throwing = [](Key, VectorView) -> float {
    throw std::runtime_error("no such key");
  };
  const auto failed = index.search(vectors.vector(0), {.rerank = &throwing});
  ASSERT_FALSE(failed);
  EXPECT_EQ(failed.error().code(), ErrorCode::internal);
  EXPECT_EQ(failed.error().message(), "search: no such key");
  const std::function<float(Key, VectorView)> none;
  EXPECT_EQ(index.search(vectors.vector(0), {.rerank = &none}).error().code(),
            ErrorCode::invalid_argument);
}

}  // namespace
}  // namespace cairn
