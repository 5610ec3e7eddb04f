// SPDX-License-Identifier: Apache-2.0
//
// The contract of the public class in memory: arguments, errors, results. Files: index_file_test.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include <cairn/cairn.h>

#include "tests/support/vectors.h"

namespace cairn {
namespace {

using test::Vectors;

constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();
constexpr float kInfinity = std::numeric_limits<float>::infinity();

IndexParams params_of(std::size_t dims, Metric metric = Metric::l2sq) {
  IndexParams params;
  params.dimensions = dims;
  params.metric = metric;
  return params;
}

Index empty_index(std::size_t dims, Metric metric = Metric::l2sq) {
  return Index::create(params_of(dims, metric)).value();
}

// Keys 10, 20, ... at (1, 0), (2, 0), ...
Index line_of(std::size_t n) {
  Index index = empty_index(2);
  for (std::size_t i = 1; i <= n; ++i) {
    EXPECT_TRUE(index.add(10 * i, std::vector<float>{static_cast<float>(i), 0.0f}));
  }
  return index;
}

std::vector<Key> keys_of(const std::vector<Match>& matches) {
  std::vector<Key> keys;
  for (const Match& match : matches) keys.push_back(match.key);
  return keys;
}

void expect_create_fails(const IndexParams& params, ErrorCode code, const std::string& words) {
  const auto index = Index::create(params);
  ASSERT_FALSE(index) << words;
  EXPECT_EQ(index.error().code(), code) << index.error().message();
  EXPECT_NE(index.error().message().find(words), std::string::npos) << index.error().message();
}

TEST(Create, AcceptsTheBoundsOfEveryParameter) {
  for (const std::size_t dims : {1u, 65535u}) EXPECT_TRUE(Index::create(params_of(dims)));
  for (const std::uint32_t m : {2u, 256u}) {
    IndexParams params = params_of(4);
    params.m = m;
    EXPECT_TRUE(Index::create(params));
  }
  for (const std::uint32_t ef : {1u, 65536u}) {
    IndexParams params = params_of(4);
    params.ef_construction = ef;
    EXPECT_TRUE(Index::create(params));
  }
  for (const Metric metric : {Metric::cosine, Metric::l2sq, Metric::inner_product}) {
    EXPECT_TRUE(Index::create(params_of(4, metric)));
  }
  for (const Traversal traversal : {Traversal::automatic, Traversal::code, Traversal::exact}) {
    IndexParams params = params_of(4);
    params.traversal = traversal;
    EXPECT_TRUE(Index::create(params));
  }
}

TEST(Create, NamesTheParameterThatIsOutOfRange) {
  expect_create_fails(params_of(0), ErrorCode::invalid_argument, "dimensions is 0");
  expect_create_fails(params_of(65536), ErrorCode::invalid_argument, "dimensions is 65536");
  IndexParams params = params_of(4);
  params.m = 1;
  expect_create_fails(params, ErrorCode::invalid_argument, "m is 1");
  params.m = 257;
  expect_create_fails(params, ErrorCode::invalid_argument, "m is 257");
  params = params_of(4);
  params.ef_construction = 0;
  expect_create_fails(params, ErrorCode::invalid_argument, "ef_construction is 0");
  params.ef_construction = 65537;
  expect_create_fails(params, ErrorCode::invalid_argument, "ef_construction is 65537");
  for (const int number : {0, 5, 255}) {
    expect_create_fails(params_of(4, static_cast<Metric>(number)), ErrorCode::invalid_argument,
                        "metric " + std::to_string(number));
  }
  for (const int number : {0, 6, 255}) {
    params = params_of(4);
    params.scalar = static_cast<Scalar>(number);
    expect_create_fails(params, ErrorCode::invalid_argument, "scalar " + std::to_string(number));
  }
  params = params_of(4);
  params.traversal = static_cast<Traversal>(3);
  expect_create_fails(params, ErrorCode::invalid_argument, "traversal 3");
}

TEST(Create, RefusesADurabilityThatThereIsNot) {
  CreateOptions options;
  options.durability = static_cast<Durability>(9);
  const auto in_memory = Index::create(params_of(4), options);
  ASSERT_FALSE(in_memory);
  EXPECT_EQ(in_memory.error().code(), ErrorCode::invalid_argument);
  const auto in_file = Index::create("never-made.cairn", params_of(4), options);
  ASSERT_FALSE(in_file);
  EXPECT_EQ(in_file.error().code(), ErrorCode::invalid_argument);
  EXPECT_NE(in_file.error().message().find("durability 9"), std::string::npos);
}

// Beyond the range of floats, where walks know ties alone.
TEST(Search, TheExactPlanRanksInnerProductsThatNoFloatHolds) {
  constexpr std::size_t kDims = 20;
  for (const float magnitude : {1e19f, 1e25f, 1e30f, 1e36f}) {
    for (const Traversal traversal : {Traversal::automatic, Traversal::exact}) {
      test::Vectors rows = test::random_vectors(200, kDims, 3);
      for (float& value : rows.values) value *= magnitude;
      IndexParams params = params_of(kDims, Metric::inner_product);
      params.traversal = traversal;
      const Index index = test::built(params, rows);
      for (std::size_t q = 0; q < 10; ++q) {
        std::vector<std::pair<double, Key>> truth;
        for (std::size_t i = 0; i < rows.rows(); ++i) {
          double product = 0;
          for (std::size_t d = 0; d < kDims; ++d) {
            product += double{rows.row(i)[d]} * double{rows.row(q)[d]};
          }
          truth.emplace_back(-product, rows.keys[i]);
        }
        std::sort(truth.begin(), truth.end());
        const auto found = index.search(rows.vector(q), {.k = 10, .plan = Plan::exact}).value();
        ASSERT_EQ(found.size(), 10u);
        for (std::size_t i = 0; i < 10; ++i) EXPECT_EQ(found[i].key, truth[i].second) << magnitude;
      }
    }
  }
}

TEST(Index, KeepsTheHostsLogPositionInMemory) {
  Index index = line_of(1);
  EXPECT_EQ(index.applied_up_to().value(), 0u);
  EXPECT_TRUE(index.set_applied_up_to(7));
  EXPECT_EQ(index.applied_up_to().value(), 7u);
}

TEST(Index, MaintenanceCallsDoNothingInMemory) {
  Index index = line_of(3);
  EXPECT_TRUE(index.sync());
  EXPECT_TRUE(index.checkpoint());
  EXPECT_TRUE(index.compact());
  EXPECT_TRUE(index.refresh());
  EXPECT_TRUE(index.warm());
  EXPECT_TRUE(index.release());
  EXPECT_EQ(index.size(), 3u);
}

TEST(Add, AnotherNumberOfDimensionsIsRefused) {
  Index index = empty_index(3);
  for (const std::size_t dims : {0u, 2u, 4u}) {
    const auto added = index.add(1, std::vector<float>(dims));
    ASSERT_FALSE(added);
    EXPECT_EQ(added.error().code(), ErrorCode::dimension_mismatch);
    EXPECT_NE(added.error().message().find("has " + std::to_string(dims)), std::string::npos);
  }
  EXPECT_EQ(index.size(), 0u);
}

TEST(Add, NamesTheComponentThatIsNotFinite) {
  Index index = empty_index(3);
  for (const float bad : {kNaN, kInfinity, -kInfinity}) {
    const auto added = index.add(1, std::vector<float>{0, bad, bad});
    ASSERT_FALSE(added);
    EXPECT_EQ(added.error().code(), ErrorCode::not_finite);
    EXPECT_NE(added.error().message().find("component 1 "), std::string::npos)
        << added.error().message();
  }
  EXPECT_FALSE(index.contains(1));
}

TEST(Add, AnotherScalarKindOrANullVectorIsInvalid) {
  Index index = empty_index(2);
  const std::vector<std::int8_t> bytes = {1, 2};
  EXPECT_EQ(index.add(1, VectorView::i8(bytes)).error().code(), ErrorCode::invalid_argument);
  EXPECT_EQ(index.add(1, VectorView(nullptr, 2)).error().code(), ErrorCode::invalid_argument);
  EXPECT_EQ(index.size(), 0u);
}

TEST(Add, AKeyThatIsThereIsRefusedAndKeepsItsVector) {
  Index index = line_of(3);
  const auto again = index.add(20, std::vector<float>{9, 9});
  ASSERT_FALSE(again);
  EXPECT_EQ(again.error().code(), ErrorCode::key_exists);
  EXPECT_NE(again.error().message().find("20"), std::string::npos);
  EXPECT_EQ(index.size(), 3u);
  std::vector<float> out(2);
  ASSERT_TRUE(index.get(20, out));
  EXPECT_EQ(out, (std::vector<float>{2, 0}));
}

TEST(Add, EveryKeyIsLegal) {
  Index index = empty_index(1);
  const std::vector<Key> keys = {0, 1, ~Key{0}, Key{1} << 63, 0xFFFFFFFFu, 0x100000000u};
  for (std::size_t i = 0; i < keys.size(); ++i) {
    ASSERT_TRUE(index.add(keys[i], std::vector<float>{static_cast<float>(i)}));
  }
  for (std::size_t i = 0; i < keys.size(); ++i) {
    const auto matches = index.search(std::vector<float>{static_cast<float>(i)}, {1, 16});
    ASSERT_TRUE(matches);
    ASSERT_EQ(matches->size(), 1u);
    EXPECT_EQ(matches->front().key, keys[i]);
    EXPECT_TRUE(index.contains(keys[i]));
  }
  EXPECT_FALSE(index.contains(2));
}

TEST(Get, ReturnsTheVectorAsItWasGiven) {
  for (const Traversal traversal : {Traversal::code, Traversal::exact}) {
    IndexParams params = params_of(33, Metric::cosine);
    params.traversal = traversal;
    const Vectors vectors = test::random_vectors(50, 33, 1);
    const Index index = test::added(params, vectors);
    std::vector<float> out(40, -1.0f);
    for (std::size_t i = 0; i < vectors.rows(); ++i) {
      const auto dims = index.get(vectors.keys[i], out);
      ASSERT_TRUE(dims);
      EXPECT_EQ(*dims, 33u);
      EXPECT_TRUE(std::equal(vectors.row(i), vectors.row(i) + 33, out.begin()));
    }
    EXPECT_EQ(out[33], -1.0f);  // what lies beyond is not touched
  }
}

TEST(Get, TellsAMissingKeyFromTooLittleRoom) {
  const Index index = line_of(2);
  std::vector<float> one(1);
  std::vector<float> two(2);
  EXPECT_EQ(index.get(10, one).error().code(), ErrorCode::dimension_mismatch);
  EXPECT_EQ(index.get(11, two).error().code(), ErrorCode::key_not_found);
  EXPECT_NE(index.get(11, two).error().message().find("11"), std::string::npos);
  EXPECT_TRUE(index.get(10, two));
}

TEST(Search, AnEmptyIndexGivesNothing) {
  for (const Metric metric : {Metric::cosine, Metric::l2sq, Metric::inner_product}) {
    const Index index = empty_index(2, metric);
    const auto matches = index.search(std::vector<float>{1, 2});
    ASSERT_TRUE(matches);
    EXPECT_TRUE(matches->empty());
    std::vector<Match> out(5);
    EXPECT_EQ(*index.search(std::vector<float>{1, 2}, {5, 5}, out), 0u);
    EXPECT_EQ(index.size(), 0u);
    EXPECT_FALSE(index.contains(0));
  }
}

TEST(Search, ZeroKIsInvalid) {
  const Index index = line_of(3);
  const std::vector<float> query = {0, 0};
  std::vector<Match> out(3);
  const SearchParams params{0, 10};
  EXPECT_EQ(index.search(query, params).error().code(), ErrorCode::invalid_argument);
  EXPECT_EQ(index.search(query, params, out).error().code(), ErrorCode::invalid_argument);
}

TEST(Search, WrongQueriesAreRefused) {
  const Index index = line_of(3);
  EXPECT_EQ(index.search(std::vector<float>{1}).error().code(), ErrorCode::dimension_mismatch);
  EXPECT_EQ(index.search(std::vector<float>{1, kNaN}).error().code(), ErrorCode::not_finite);
  EXPECT_EQ(index.search(std::vector<float>{kInfinity, 1}).error().code(), ErrorCode::not_finite);
  EXPECT_EQ(index.search(VectorView(nullptr, 2)).error().code(), ErrorCode::invalid_argument);
  // An empty index judges the query all the same.
  EXPECT_EQ(empty_index(2).search(std::vector<float>{1}).error().code(),
            ErrorCode::dimension_mismatch);
}

TEST(Search, KLargerThanTheIndexGivesAllOfIt) {
  const Index index = line_of(5);
  const std::vector<float> query = {0, 0};
  const std::vector<Key> all = {10, 20, 30, 40, 50};
  const auto few = index.search(query, {6, 1});
  ASSERT_TRUE(few);
  EXPECT_EQ(keys_of(*few), all);
  const std::size_t most = std::numeric_limits<std::size_t>::max();
  const auto many = index.search(query, {most, most});
  ASSERT_TRUE(many);
  EXPECT_EQ(keys_of(*many), all);
}

TEST(Search, GivesKResultsWithAnyEf) {
  const Vectors vectors = test::random_vectors(300, 8, 2);
  const Index index = test::built(params_of(8), vectors);
  for (std::size_t k : {1u, 7u, 100u, 300u}) {
    for (std::size_t ef : {1u, 5u, 64u}) {
      EXPECT_EQ(index.search(vectors.vector(0), {k, ef}).value().size(), k) << ef;
    }
  }
}

TEST(Search, EfIsRaisedToKUnlessItIsSmallerThanTheUsualOne) {
  const Vectors vectors = test::random_vectors(300, 8, 2);
  const Index index = test::built(params_of(8), vectors);
  for (std::size_t k : {100u, 300u}) {
    const auto equal = keys_of(index.search(vectors.vector(0), {k, k}).value());
    EXPECT_EQ(keys_of(index.search(vectors.vector(0), {k, 64}).value()), equal) << k;
    EXPECT_EQ(keys_of(index.search(vectors.vector(0), {k, 0}).value()), equal) << k;
  }
}

TEST(Search, FillsNoMoreThanTheRoomGiven) {
  const Index index = line_of(20);
  const std::vector<float> query = {0, 0};
  std::vector<Match> out(6, Match{77, -1.0f});
  EXPECT_EQ(*index.search(query, {10, 20}, std::span(out).first(4)), 4u);
  EXPECT_EQ(out[0].key, 10u);
  EXPECT_EQ(out[3].key, 40u);
  EXPECT_EQ(out[4].key, 77u);
  EXPECT_EQ(*index.search(query, {10, 20}, std::span<Match>()), 0u);
  // And no more than k.
  EXPECT_EQ(*index.search(query, {2, 20}, out), 2u);
}

TEST(Search, EqualDistancesComeInOrderOfTheirKeys) {
  Index index = empty_index(2);
  for (const Key key : {50u, 30u, 90u, 10u, 70u}) {
    ASSERT_TRUE(index.add(key, std::vector<float>{3, 4}));
  }
  ASSERT_TRUE(index.add(60, std::vector<float>{0, 1}));
  const auto matches = index.search(std::vector<float>{0, 0});
  ASSERT_TRUE(matches);
  EXPECT_EQ(keys_of(*matches), (std::vector<Key>{60, 10, 30, 50, 70, 90}));
  EXPECT_EQ(matches->front().distance, 1.0f);
  EXPECT_EQ(matches->back().distance, 25.0f);
}

TEST(Search, ItsResultCanBeGoneThroughWithoutAName) {
  Index index = empty_index(2);
  for (Key key = 0; key < 5; ++key) {
    ASSERT_TRUE(index.add(key, std::vector<float>{static_cast<float>(key), 0}));
  }
  Key next = 0;
  for (const auto& [key, distance] : *index.search(std::vector<float>{0, 0}, {.k = 5, .ef = 8})) {
    EXPECT_EQ(key, next++);
    EXPECT_FLOAT_EQ(distance, static_cast<float>(key * key));
  }
  EXPECT_EQ(next, 5u);
}

TEST(Search, BothFormsAgree) {
  const Vectors vectors = test::random_vectors(200, 12, 3);
  const Index index = test::built(params_of(12, Metric::cosine), vectors);
  std::vector<Match> out(15);
  for (std::size_t i = 0; i < 20; ++i) {
    const auto matches = index.search(vectors.vector(i), {15, 40});
    ASSERT_EQ(*index.search(vectors.vector(i), {15, 40}, out), matches->size());
    for (std::size_t j = 0; j < out.size(); ++j) {
      EXPECT_EQ(out[j].key, (*matches)[j].key);
      EXPECT_EQ(out[j].distance, (*matches)[j].distance);
    }
  }
}

TEST(SearchBatch, GivesWhatSearchGivesForEveryRow) {
  const Vectors vectors = test::random_vectors(400, 9, 4);
  const Vectors queries = test::random_vectors(50, 9, 5);
  const Index index = test::built(params_of(9), vectors);
  for (const unsigned threads : {0u, 1u, 3u, ~0u}) {
    std::vector<Match> out(50 * 7 + 1, Match{77, 0.0f});
    std::vector<std::size_t> counts(51, 77);
    ASSERT_TRUE(index.search_batch(queries.matrix(), {7, 30}, out, counts, threads));
    for (std::size_t i = 0; i < 50; ++i) {
      const auto matches = index.search(queries.vector(i), {7, 30});
      ASSERT_EQ(counts[i], matches->size());
      for (std::size_t j = 0; j < counts[i]; ++j) {
        EXPECT_EQ(out[i * 7 + j].key, (*matches)[j].key);
        EXPECT_EQ(out[i * 7 + j].distance, (*matches)[j].distance);
      }
    }
    EXPECT_EQ(out.back().key, 77u);  // what was not asked for stays
    EXPECT_EQ(counts.back(), 77u);
  }
}

TEST(SearchBatch, LeavesThePlacesOfMissingMatchesAsTheyAre) {
  const Index index = line_of(2);
  const std::vector<float> rows = {0, 0, 5, 0};
  std::vector<Match> out(8, Match{77, -1.0f});
  std::vector<std::size_t> counts(2, 77);
  ASSERT_TRUE(index.search_batch(MatrixView::f32(rows.data(), 2, 2), {4, 8}, out, counts, 2));
  EXPECT_EQ(counts, (std::vector<std::size_t>{2, 2}));
  for (const std::size_t i : {2u, 3u, 6u, 7u}) EXPECT_EQ(out[i].key, 77u);

  const auto empty = Index::create(params_of(2));
  ASSERT_TRUE(empty->search_batch(MatrixView::f32(rows.data(), 2, 2), {4, 8}, out, counts, 2));
  EXPECT_EQ(counts, (std::vector<std::size_t>{0, 0}));
  EXPECT_TRUE(empty->search_batch(MatrixView::f32(nullptr, 0, 2), {4, 8}, {}, {}, 2));
}

TEST(SearchBatch, RowsMayBeApart) {
  const Vectors vectors = test::random_vectors(60, 6, 4);
  const Index index = test::built(params_of(6), vectors);
  MatrixView every_other = vectors.matrix();
  every_other.rows = 30;
  every_other.stride_bytes *= 2;
  std::vector<Match> out(30);
  std::vector<std::size_t> counts(30);
  ASSERT_TRUE(index.search_batch(every_other, {1, 30}, out, counts, 2));
  for (std::size_t i = 0; i < 30; ++i) EXPECT_EQ(out[i].key, vectors.keys[2 * i]);
}

TEST(SearchBatch, FindsWrongInputBeforeItSearches) {
  const Index index = line_of(3);
  const std::vector<float> rows = {0, 0, 1, kNaN, 2, 0};
  const MatrixView queries = MatrixView::f32(rows.data(), 3, 2);
  std::vector<Match> out(6, Match{77, 0.0f});
  std::vector<std::size_t> counts(3, 77);
  const auto searched = index.search_batch(queries, {2, 8}, out, counts, 1);
  ASSERT_FALSE(searched);
  EXPECT_EQ(searched.error().code(), ErrorCode::not_finite);
  EXPECT_EQ(searched.error().message(), "search_batch: row 1: component 1 is not finite");
  EXPECT_EQ(out[0].key, 77u);
  EXPECT_EQ(counts[0], 77u);

  const MatrixView good = MatrixView::f32(rows.data(), 1, 2);
  const auto batch = [&](MatrixView view, SearchParams params, std::size_t room, std::size_t n) {
    return index.search_batch(view, params, std::span(out).first(room), std::span(counts).first(n),
                              1);
  };
  EXPECT_TRUE(batch(good, {6, 8}, 6, 1));
  EXPECT_EQ(counts[0], 3u);
  EXPECT_EQ(batch(good, {6, 8}, 5, 1).error().code(), ErrorCode::invalid_argument);
  EXPECT_EQ(batch(good, {6, 8}, 6, 0).error().code(), ErrorCode::invalid_argument);
  EXPECT_EQ(batch(good, {0, 8}, 6, 1).error().code(), ErrorCode::invalid_argument);
  EXPECT_EQ(batch(good, {~std::size_t{0}, 8}, 6, 1).error().code(), ErrorCode::invalid_argument);
  EXPECT_EQ(batch(MatrixView::f32(rows.data(), 2, 3), {1, 8}, 6, 3).error().code(),
            ErrorCode::dimension_mismatch);
  EXPECT_EQ(batch(good, {0, 8}, 6, 1).error().message(), "search_batch: k is 0");
  EXPECT_TRUE(batch(good, {1, 0}, 6, 1));
  EXPECT_EQ(batch(MatrixView::f32(nullptr, 1, 2), {1, 8}, 6, 1).error().code(),
            ErrorCode::invalid_argument);
  MatrixView narrow = good;
  narrow.stride_bytes = 4;
  EXPECT_EQ(batch(narrow, {1, 8}, 6, 1).error().code(), ErrorCode::invalid_argument);
  MatrixView other = good;
  other.scalar = Scalar::i8;
  EXPECT_EQ(batch(other, {1, 8}, 6, 1).error().code(), ErrorCode::invalid_argument);
}

// Every pair of metric and traversal.
class SearchDistances : public testing::TestWithParam<std::pair<Metric, Traversal>> {};

TEST_P(SearchDistances, AreExactAndSorted) {
  const auto [metric, traversal] = GetParam();
  IndexParams params = params_of(37, metric);
  params.traversal = traversal;
  const Vectors vectors = test::random_vectors(600, 37, 6);
  const Vectors queries = test::random_vectors(20, 37, 7);
  const Index index = test::added(params, vectors);
  for (std::size_t i = 0; i < queries.rows(); ++i) {
    const float* query = queries.row(i);
    const auto matches = index.search(queries.vector(i), {50, 100});
    ASSERT_TRUE(matches);
    ASSERT_EQ(matches->size(), 50u);
    std::set<Key> seen;
    for (std::size_t j = 0; j < matches->size(); ++j) {
      const Match match = (*matches)[j];
      EXPECT_TRUE(seen.insert(match.key).second) << "key " << match.key << " twice";
      const float* row = vectors.row((match.key - 1000) / 7);
      EXPECT_NEAR(double{match.distance}, test::reference_distance(metric, query, row, 37),
                  test::tolerance(metric, query, row, 37));
      if (j == 0) continue;
      const Match before = (*matches)[j - 1];
      EXPECT_TRUE(before.distance < match.distance ||
                  (before.distance == match.distance && before.key < match.key));
    }
  }
}

INSTANTIATE_TEST_SUITE_P(AllMetrics, SearchDistances,
                         testing::Values(std::pair(Metric::cosine, Traversal::code),
                                         std::pair(Metric::cosine, Traversal::exact),
                                         std::pair(Metric::l2sq, Traversal::code),
                                         std::pair(Metric::l2sq, Traversal::exact),
                                         std::pair(Metric::inner_product, Traversal::code),
                                         std::pair(Metric::inner_product, Traversal::exact)));

TEST(Index, ParametersAreThoseItWasMadeWith) {
  IndexParams params = params_of(5, Metric::inner_product);
  params.m = 9;
  params.ef_construction = 33;
  params.seed = 0xFEDCBA9876543210u;
  params.traversal = Traversal::exact;
  const auto index = Index::create(params);
  ASSERT_TRUE(index);
  EXPECT_EQ(index->params().dimensions, 5u);
  EXPECT_EQ(index->params().metric, Metric::inner_product);
  EXPECT_EQ(index->params().scalar, Scalar::f32);
  EXPECT_EQ(index->params().m, 9u);
  EXPECT_EQ(index->params().ef_construction, 33u);
  EXPECT_EQ(index->params().seed, 0xFEDCBA9876543210u);
  EXPECT_EQ(index->params().traversal, Traversal::exact);
}

TEST(Index, AutomaticTraversalIsResolvedWhenTheIndexIsMade) {
  EXPECT_EQ(empty_index(4).params().traversal, Traversal::code);
  EXPECT_EQ(empty_index(3).params().traversal, Traversal::exact);
}

TEST(Stats, CountWhatIsInMemory) {
  const Index empty = empty_index(8);
  EXPECT_EQ(empty.stats().live, 0u);
  EXPECT_EQ(empty.stats().max_level, 0u);
  EXPECT_EQ(empty.stats().hot_bytes, 0u);

  const Vectors vectors = test::random_vectors(1000, 8, 8);
  const Index index = test::built(params_of(8), vectors);
  const Stats stats = index.stats();
  EXPECT_EQ(stats.live, 1000u);
  EXPECT_EQ(stats.deleted, 0u);
  EXPECT_EQ(stats.dimensions, 8u);
  EXPECT_GE(stats.max_level, 1u);  // 1000 keys, M 16: about 62 of them are above level 0
  EXPECT_EQ(stats.exact_bytes, 1000u * 8 * 4);
  EXPECT_GE(stats.hot_bytes, 1000u * (8 + 20 + 16 * 3 * 4));
  EXPECT_GE(stats.private_bytes, stats.hot_bytes + stats.exact_bytes);
  EXPECT_EQ(stats.file_bytes, 0u);
  EXPECT_EQ(stats.generation, 0u);
  EXPECT_EQ(stats.open_ns, 0u);
  EXPECT_EQ(stats.simd, simd_info().active);
}

TEST(SimdInfo, WhatRunsIsAvailableAndCompiledIn) {
  const SimdInfo info = simd_info();
  const auto has = [](const std::vector<std::string>& names, const std::string& name) {
    return std::find(names.begin(), names.end(), name) != names.end();
  };
  EXPECT_TRUE(has(info.available, info.active));
  EXPECT_TRUE(has(info.available, "scalar"));
  for (const std::string& name : info.available) EXPECT_TRUE(has(info.compiled, name)) << name;
}

TEST(Index, MovingTakesEverythingAlong) {
  Index first = line_of(4);
  Index second = std::move(first);
  EXPECT_EQ(second.size(), 4u);
  Index third = empty_index(7);
  third = std::move(second);
  EXPECT_EQ(third.size(), 4u);
  EXPECT_EQ(third.params().dimensions, 2u);
  ASSERT_TRUE(third.add(50, std::vector<float>{5, 0}));
  const auto matches = third.search(std::vector<float>{5, 0}, {1, 8});
  ASSERT_TRUE(matches);
  EXPECT_EQ(keys_of(*matches), (std::vector<Key>{50}));
}

TEST(Index, TwoOfThemDoNotMeet) {
  Index one = line_of(3);
  Index other = empty_index(2, Metric::cosine);
  ASSERT_TRUE(other.add(10, std::vector<float>{0, 1}));
  EXPECT_EQ(one.size(), 3u);
  EXPECT_EQ(other.size(), 1u);
  EXPECT_FALSE(other.contains(20));
}

}  // namespace
}  // namespace cairn
