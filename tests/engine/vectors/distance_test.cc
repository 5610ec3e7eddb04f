// SPDX-License-Identifier: Apache-2.0
#include "engine/vectors/distance.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <utility>
#include <vector>

#include <cairn/cairn.h>

#include "engine/graph/insert.h"
#include "tests/support/unlinked_nodes.h"
#include "tests/support/vectors.h"

namespace cairn {
namespace {

using test::Vectors;

struct Errors {
  double mean_square;  // of error / the deviation that is expected
  double largest;
};

// What distances on codes are off by.
Errors errors_of(Metric metric, const Vectors& vectors, const Vectors& queries) {
  const NodeStore store = test::unlinked_nodes(metric, vectors);
  const Space space(store.parameters(), store.view());
  QueryBuffer buffer;
  const auto count = static_cast<std::uint32_t>(vectors.rows());
  Errors errors{0, 0};
  for (std::size_t q = 0; q < queries.rows(); ++q) {
    const Query query = space.prepare(queries.vector(q), buffer);
    EXPECT_EQ(query.kind, Query::Kind::code);
    for (const NodeId i : nodes_below(count)) {
      float walked = 0;
      double exact = 0;
      space.distances(query, &i, 1, &walked);
      space.exact_distances(query, &i, 1, &exact);
      const double error = double{walked} - exact;
      const double square = error * error / double{space.variance(query, i, walked)};
      errors.mean_square += square;
      errors.largest = std::max(errors.largest, std::sqrt(square));
    }
  }
  errors.mean_square /= static_cast<double>(vectors.rows() * queries.rows());
  return errors;
}

TEST(Distances, AreTheSameHoweverRowsAreAskedFor) {
  for (const std::size_t dims : {16u, 100u, 300u, 784u}) {
    const Vectors vectors = test::random_vectors(70, dims, 1);
    const Vectors queries = test::random_vectors(3, dims, 2);
    const NodeStore store = test::unlinked_nodes(Metric::l2sq, vectors);
    const Space space(store.parameters(), store.view());
    std::vector<NodeId> nodes;
    for (const NodeId i : nodes_below(70)) nodes.push_back(i);
    QueryBuffer buffer;
    for (std::size_t q = 0; q < queries.rows(); ++q) {
      const Query query = space.prepare(queries.vector(q), buffer);
      std::vector<float> alone(nodes.size());
      for (std::size_t i = 0; i < nodes.size(); ++i) {
        space.distances(query, &nodes[i], 1, &alone[i]);
      }
      for (const std::size_t coming : {0u, 1u, 30u}) {
        for (const auto asked : {Space::Asked::never, Space::Asked::as_coming}) {
          const std::size_t n = nodes.size() - coming;
          std::vector<float> found(n);
          space.distances(query, nodes.data(), n, found.data(), {nodes.data() + n, coming}, asked);
          EXPECT_TRUE(std::equal(found.begin(), found.end(), alone.begin())) << dims;
        }
      }
    }
  }
}

TEST(CodeVariance, IsThatOfDistancesBetweenCodes) {
  for (const std::size_t dims : {16u, 100u, 784u}) {
    const Vectors vectors = test::random_vectors(300, dims, 1);
    const Vectors queries = test::random_vectors(30, dims, 2);
    for (const Metric metric : {Metric::cosine, Metric::l2sq}) {
      const Errors errors = errors_of(metric, vectors, queries);
      EXPECT_GT(errors.mean_square, 0.7) << dims;
      EXPECT_LT(errors.mean_square, 1.1) << dims;
      EXPECT_LT(errors.largest, 6.0) << dims;
    }
    const Errors errors = errors_of(Metric::inner_product, vectors, queries);
    EXPECT_LT(errors.mean_square, 1.0) << dims;
    EXPECT_LT(errors.largest, 6.0) << dims;
  }
}

// Share of the pairs of normal rows whose components have such a mean, in deviations, that are
// alike.
double share_alike(Metric metric, std::size_t dims, float mean) {
  Vectors vectors = test::random_vectors(100, dims, 3);
  for (float& value : vectors.values) value += mean;
  const NodeStore store = test::unlinked_nodes(metric, vectors);
  const Space space(store.parameters(), store.view());
  std::size_t alike = 0;
  std::size_t pairs = 0;
  for (std::uint32_t i = 0; i < vectors.rows(); ++i) {
    for (std::uint32_t j = 0; j < i; ++j, ++pairs) alike += space.are_alike({i}, {j}) ? 1u : 0u;
  }
  return static_cast<double>(alike) / static_cast<double>(pairs);
}

// The table of docs/algorithms.md.
TEST(Codes, TellVectorsApartUpToAMeanOfFiftyDeviations) {
  for (const Metric metric : {Metric::cosine, Metric::l2sq, Metric::inner_product}) {
    for (const std::size_t dims : {128u, 768u}) {
      SCOPED_TRACE(dims);
      EXPECT_EQ(share_alike(metric, dims, 0), 0.0);
      EXPECT_EQ(share_alike(metric, dims, 20), 0.0);
      EXPECT_LT(share_alike(metric, dims, 40), 0.02);
      EXPECT_GT(share_alike(metric, dims, 60), 0.95);
      EXPECT_EQ(share_alike(metric, dims, 100), 1.0);
      EXPECT_EQ(share_alike(metric, dims, 1000), 1.0);
    }
  }
}

// Where vectors are nearer to each other than codes can tell.
TEST(CodeVariance, CoversWhatCodesCannotTellApart) {
  Vectors vectors = test::random_vectors(300, 64, 3);
  Vectors queries = test::random_vectors(30, 64, 4);
  for (Vectors* all : {&vectors, &queries}) {
    for (float& value : all->values) value = 1000 + value;
  }
  for (const Metric metric : {Metric::cosine, Metric::l2sq}) {
    EXPECT_LT(errors_of(metric, vectors, queries).largest, 6.0);
  }
}

// Beside 1 floats lose such distances; a walk knows them all the same, in whatever list they stand.
TEST(CosineDistances, OfNearCopiesFinerThanFloatsAreKnown) {
  for (const std::size_t dims : {16u, 32u, 100u, 768u}) {
    const Vectors center = test::random_vectors(1, dims, 61);
    Vectors vectors = test::random_vectors(40, dims, 62);
    for (std::size_t i = 0; i < vectors.values.size(); ++i) {
      vectors.values[i] = center.row(0)[i % dims] * (1 + 1e-6f * vectors.values[i]);
    }
    std::copy_n(vectors.row(3), dims, vectors.values.data() + 9 * dims);
    const NodeStore store = test::unlinked_nodes(Metric::cosine, vectors);
    const Space space(store.parameters(), store.view());
    QueryBuffer buffer;
    const auto all = nodes_below(store.count());
    const std::vector<NodeId> nodes(all.begin(), all.end());
    for (const Space& walked : {space, space.on_vectors()}) {
      const Query query = walked.prepare(NodeId{3}, buffer);
      std::vector<float> together(nodes.size());
      walked.distances(query, nodes.data(), nodes.size(), together.data());
      for (std::size_t i = 0; i < nodes.size(); ++i) {
        float alone = 0;
        double exact = 0;
        walked.distances(query, &nodes[i], 1, &alone);
        walked.exact_distances(query, &nodes[i], 1, &exact);
        EXPECT_EQ(together[i], alone);
        EXPECT_NEAR(double{alone}, exact, 0.01 * exact) << dims;
        const double deviation = std::sqrt(double{walked.variance(query, nodes[i], alone)});
        EXPECT_LE(std::fabs(double{alone} - exact), 6 * deviation + 1e-20) << dims;
      }
    }
  }
}

}  // namespace
}  // namespace cairn
