// SPDX-License-Identifier: Apache-2.0
//
// What a search finds, against a scan of all vectors. The floors are a little below what was
// measured on every instruction set; data and graphs are the same at every run.
#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include <cairn/cairn.h>

#include "tests/support/temporary_directory.h"
#include "tests/support/vectors.h"

namespace cairn {
namespace {

using test::Vectors;

constexpr std::size_t kRows = 5000;
constexpr std::size_t kDims = 32;
constexpr std::size_t kQueries = 200;

enum class Data { random, clustered };

struct Case {
  Metric metric;
  Data data;
  double floor;  // of recall@10 at ef 64
};

Vectors base_of(Data data) {
  return data == Data::random ? test::random_vectors(kRows, kDims, 1)
                              : test::clustered_vectors(kRows, kDims, 50, 1, 100);
}

Vectors queries_of(Data data) {
  return data == Data::random ? test::random_vectors(kQueries, kDims, 2)
                              : test::clustered_vectors(kQueries, kDims, 50, 2, 100);
}

IndexParams params_of(Metric metric, Traversal traversal) {
  IndexParams params;
  params.dimensions = kDims;
  params.metric = metric;
  params.ef_construction = 100;
  params.traversal = traversal;
  return params;
}

// Share of the vectors that a search for them finds.
double found_themselves(const Index& index, const Vectors& vectors) {
  std::size_t found = 0;
  std::vector<Match> out(10);
  for (std::size_t i = 0; i < vectors.rows(); ++i) {
    const std::size_t n = index.search(vectors.vector(i), {10, 64}, out).value();
    for (std::size_t j = 0; j < n; ++j) {
      if (out[j].key != vectors.keys[i]) continue;
      ++found;
      break;
    }
  }
  return static_cast<double>(found) / static_cast<double>(vectors.rows());
}

class Recall : public testing::TestWithParam<Case> {};

TEST_P(Recall, OfBulkBuiltAndAddedIndexesOnBothTraversals) {
  const auto [metric, data, floor] = GetParam();
  const Vectors vectors = base_of(data);
  const Vectors queries = queries_of(data);
  double of[2][2];  // traversal, how it was made
  for (const Traversal traversal : {Traversal::code, Traversal::exact}) {
    for (const bool bulk : {true, false}) {
      const IndexParams params = params_of(metric, traversal);
      const Index index =
          bulk ? test::built(params, vectors) : test::added(params, test::shuffled(vectors, 3));
      double& recall = of[traversal == Traversal::exact][bulk];
      recall = test::recall(index, vectors, queries, {10, 64});
      const std::string what = std::string(traversal == Traversal::code ? "code" : "exact") +
                               (bulk ? ", built" : ", added");
      EXPECT_GE(recall, floor) << what;
      RecordProperty(what, std::to_string(recall));
      if (metric != Metric::inner_product) {  // whose nearest is not the vector itself
        EXPECT_GE(found_themselves(index, vectors), 0.999) << what;
      }
      const auto report = index.verify();
      ASSERT_TRUE(report);
      EXPECT_EQ(report->findings, std::vector<std::string>()) << what;
      if (bulk) {
        EXPECT_EQ(report->unreachable, 0u) << what;
      }
    }
  }
  for (const bool bulk : {true, false}) {
    EXPECT_GE(of[0][bulk], of[1][bulk] - 0.005) << "codes cost more than half a point";
  }
}

std::string name_of(const testing::TestParamInfo<Case>& test) {
  const Metric metric = test.param.metric;
  const char* name = metric == Metric::cosine ? "Cosine"
                     : metric == Metric::l2sq ? "L2sq"
                                              : "InnerProduct";
  return std::string(name) + (test.param.data == Data::random ? "Random" : "Clustered");
}

INSTANTIATE_TEST_SUITE_P(AllMetrics, Recall,
                         testing::Values(Case{Metric::cosine, Data::random, 0.985},
                                         Case{Metric::l2sq, Data::random, 0.985},
                                         Case{Metric::inner_product, Data::random, 0.975},
                                         Case{Metric::cosine, Data::clustered, 0.99},
                                         Case{Metric::l2sq, Data::clustered, 0.99},
                                         Case{Metric::inner_product, Data::clustered, 0.99}),
                         name_of);

// The worst order for adding one by one: a whole cluster, then the next. Early links between
// clusters are crowded out by later ones inside them. build() spreads such input, see above.
TEST(RecallOfSortedAdds, LosesAFewPoints) {
  const Vectors vectors = base_of(Data::clustered);
  const Index index = test::added(params_of(Metric::cosine, Traversal::code), vectors);
  EXPECT_GE(test::recall(index, vectors, queries_of(Data::clustered), {10, 64}), 0.93);
  EXPECT_GE(found_themselves(index, vectors), 0.93);
  const auto report = index.verify();
  ASSERT_TRUE(report);
  EXPECT_EQ(report->findings, std::vector<std::string>());
}

// One component that says nothing takes most of the range of a code. Whatever may be among the
// nearest is reranked.
TEST(RecallOfCoarseCodes, IsThatOfAWalkOnVectors) {
  Vectors vectors = test::random_vectors(kRows, kDims, 1);
  Vectors queries = test::random_vectors(kQueries, kDims, 2);
  for (Vectors* all : {&vectors, &queries}) {
    for (std::size_t i = 0; i < all->rows(); ++i) all->values[i * kDims] = 40;
  }
  const Index codes = test::built(params_of(Metric::l2sq, Traversal::code), vectors);
  const Index exact = test::built(params_of(Metric::l2sq, Traversal::exact), vectors);
  EXPECT_GE(test::recall(codes, vectors, queries, {10, 200}),
            test::recall(exact, vectors, queries, {10, 200}) - 0.005);
}

TEST(RecallOfOneQuery, AWideSearchFindsWhatAScanFinds) {
  const Vectors vectors = test::random_vectors(1000, 16, 5);
  for (const Metric metric : {Metric::cosine, Metric::l2sq, Metric::inner_product}) {
    IndexParams params;
    params.dimensions = 16;
    params.metric = metric;
    const Index index = test::built(params, vectors);
    EXPECT_EQ(test::recall(index, vectors, test::random_vectors(20, 16, 6), {20, 1000}), 1.0);
  }
}

}  // namespace
}  // namespace cairn
