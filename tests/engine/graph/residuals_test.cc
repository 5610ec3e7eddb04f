// SPDX-License-Identifier: Apache-2.0
#include "engine/graph/residuals.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <numeric>
#include <span>
#include <vector>

#include "engine/graph/insert.h"
#include "engine/graph/select_neighbors.h"
#include "engine/store/node_store.h"
#include "tests/support/nodes.h"
#include "tests/support/unlinked_nodes.h"
#include "tests/support/vectors.h"

namespace cairn {
namespace {

using test::Vectors;

constexpr std::size_t kDims = 96;

Vectors near_copies(double spread) {
  const Vectors center = test::random_vectors(1, kDims, 91);
  Vectors vectors = test::random_vectors(200, kDims, 92);
  for (std::size_t i = 0; i < vectors.values.size(); ++i) {
    vectors.values[i] =
        static_cast<float>(center.values[i % kDims] + spread * double{vectors.values[i]});
  }
  return vectors;
}

// All nodes but node 0, from which the others differ.
std::vector<NodeId> others_of(const NodeStore& store) {
  const auto others = nodes_from(1, store.count());
  return {others.begin(), others.end()};
}

// Distances of the first of the others from all of them.
std::vector<float> residual_distances(const NodeStore& store) {
  const Space space = Space(store.parameters(), store.view()).on_vectors();
  const std::vector<NodeId> others = others_of(store);
  std::vector<std::uint32_t> places(others.size());
  std::iota(places.begin(), places.end(), 0u);
  Residuals residuals;
  residuals.assign(space, store.parameters(), 0_n, others);
  QueryBuffer buffer;
  std::vector<float> distances(others.size());
  residuals.distances(others, places, buffer, distances.data());
  return distances;
}

double exact_distance(const NodeStore& store, NodeId a, NodeId b) {
  const Space space(store.parameters(), store.view());
  QueryBuffer buffer;
  const Query query = space.prepare(a, buffer);
  double distance = 0;
  space.exact_distances(query, &b, 1, &distance);
  return distance;
}

TEST(Residuals, TellNearCopiesApartThatCodesDoNot) {
  for (const Metric metric : {Metric::l2sq, Metric::cosine}) {
    for (const double spread : {1e-2, 1e-3, 1e-4, 1e-5}) {
      const NodeStore store = test::unlinked_nodes(metric, near_copies(spread));
      const auto distances = residual_distances(store);
      EXPECT_EQ(distances[0], 0.0f);
      for (std::uint32_t i = 1; i < distances.size(); ++i) {
        const double exact = exact_distance(store, 1_n, NodeId{i + 1});
        EXPECT_NEAR(double{distances[i]}, exact, 0.05 * exact) << spread;
      }
    }
  }
}

// Two of them are so near to each other that not even these codes tell: their vectors do.
TEST(Residuals, LeaveWhatTheyDoNotTellToTheVectors) {
  for (const Metric metric : {Metric::l2sq, Metric::cosine}) {
    Vectors vectors = near_copies(1e-2);
    for (std::size_t j = 0; j < kDims; ++j) {
      vectors.values[2 * kDims + j] = vectors.row(1)[j] + 1e-5f * vectors.row(3)[j];
    }
    const NodeStore store = test::unlinked_nodes(metric, vectors);
    const double exact = exact_distance(store, 1_n, 2_n);
    EXPECT_NEAR(double{residual_distances(store)[1]}, exact, 0.01 * exact);
  }
}

TEST(Residuals, LeaveZeroAndHugeVectorsToTheVectors) {
  for (const Metric metric : {Metric::l2sq, Metric::cosine}) {
    for (const std::size_t changed : {0u, 1u, 2u}) {
      for (const float factor : {0.0f, 1e17f}) {
        Vectors vectors = near_copies(1e-3);
        for (std::size_t j = 0; j < kDims; ++j) vectors.values[changed * kDims + j] *= factor;
        const NodeStore store = test::unlinked_nodes(metric, vectors);
        const double exact = exact_distance(store, 1_n, 2_n);
        EXPECT_NEAR(double{residual_distances(store)[1]}, exact, 0.01 * exact) << changed;
      }
    }
  }
}

// Of the links that are selected on vectors nearly all are selected on residuals too.
TEST(SelectNearCopies, TakesWhatIsTakenOnVectors) {
  for (const Metric metric : {Metric::l2sq, Metric::cosine}) {
    const NodeStore store = test::unlinked_nodes(metric, near_copies(1e-2));
    const Space space = Space(store.parameters(), store.view()).on_vectors();
    SelectionScratch scratch;
    std::vector<Candidate> list;
    const auto ranked = [&] {
      return rank_by_distance(space, 0_n, others_of(store), list, scratch.distances);
    };
    const auto wanted = select_neighbors(space, 0_n, ranked(), 25, 1.05f, scratch);
    std::vector<NodeId> on_vectors(wanted.begin(), wanted.end());
    const auto chosen =
        select_near_copies(space, store.parameters(), 0_n, ranked(), 25, 1.05f, scratch);
    ASSERT_GE(on_vectors.size(), 5u);  // of which two are compared on vectors
    const auto same = std::count_if(chosen.begin(), chosen.end(), [&](NodeId node) {
      return std::find(on_vectors.begin(), on_vectors.end(), node) != on_vectors.end();
    });
    EXPECT_GE(static_cast<double>(same), 0.9 * static_cast<double>(on_vectors.size()));
  }
}

}  // namespace
}  // namespace cairn
