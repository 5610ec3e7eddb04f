// SPDX-License-Identifier: Apache-2.0
//
// Random mixtures of what codes and floats find hard: walks on codes find what walks on the vectors
// of the same build parameters find, and results are ranked as a scan in double ranks them.
// CAIRN_TEST_SEEDS: how many mixtures (24).
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <random>
#include <string>
#include <vector>

#include <cairn/cairn.h>

#include "tests/support/mixtures.h"
#include "tests/support/vectors.h"

namespace cairn {
namespace {

using test::Mixture;
using test::mixture_of;
using test::Vectors;

std::size_t seeds() {
  const char* given = std::getenv("CAIRN_TEST_SEEDS");
  return given == nullptr ? 24 : static_cast<std::size_t>(std::atoi(given));
}

IndexParams params_of(const Mixture& mixture, std::uint64_t seed) {
  constexpr Metric kMetrics[] = {Metric::l2sq, Metric::cosine, Metric::inner_product};
  constexpr Scalar kScalars[] = {Scalar::f32, Scalar::f32, Scalar::f16, Scalar::bf16};
  IndexParams params;
  params.dimensions = static_cast<std::uint32_t>(mixture.vectors.dims);
  params.metric = kMetrics[seed % 3];
  params.scalar = kScalars[seed / 3 % 4];
  params.ef_construction = 60;
  return params;
}

enum class Made { built, added };

Index index_of(const IndexParams& params, const test::StoredVectors& rows, Made made) {
  Index index = Index::create(params).value();
  if (made == Made::built) {
    EXPECT_TRUE(index.build(rows.floats.keys, rows.matrix()));
    return index;
  }
  for (std::size_t i = 0; i < rows.floats.rows(); ++i) {
    EXPECT_TRUE(index.add(rows.floats.keys[i], rows.vector(i)));
  }
  return index;
}

TEST(Mixtures, AreFoundOnCodesAsOnVectors) {
  double gained = 0;
  double searched = 0;
  for (std::uint64_t seed = 0; seed < seeds(); ++seed) {
    const Mixture mixture = mixture_of(seed);
    IndexParams params = params_of(mixture, seed);
    const test::StoredVectors rows = test::stored(params.scalar, mixture.vectors);
    const auto made = [&](Traversal traversal) {
      params.traversal = traversal;
      return index_of(params, rows, seed % 5 == 4 ? Made::added : Made::built);
    };
    const Index on_codes = made(Traversal::code);
    const Index on_vectors = made(Traversal::exact);
    for (const std::size_t ef : {64u, 256u}) {
      SCOPED_TRACE("seed " + std::to_string(seed) + ", ef " + std::to_string(ef));
      const double codes = test::recall(on_codes, rows.floats, mixture.queries, {10, ef});
      const double vectors = test::recall(on_vectors, rows.floats, mixture.queries, {10, ef});
      EXPECT_GE(codes, vectors - 0.02);  // of 250 neighbors; two graphs of one kind differ as much
      gained += codes - vectors;
      searched += 1;
    }
  }
  EXPECT_GE(gained, -0.005 * searched);
}

TEST(Ranking, TellsNearlyParallelVectorsApart) {
  Vectors vectors{2, {}, {}};
  vectors.append(0, std::vector<float>{1, 2e-4f});
  vectors.append(1, std::vector<float>{1, 0});
  vectors.append(2, std::vector<float>{3, 0});
  for (const Traversal traversal : {Traversal::code, Traversal::exact}) {
    IndexParams params;
    params.dimensions = 2;
    params.traversal = traversal;
    const auto matches =
        test::added(params, vectors).search(std::vector<float>{7, 0}, {3, 64}).value();
    ASSERT_EQ(matches.size(), 3u);
    EXPECT_EQ(matches[0].key, 1u);  // parallel vectors are at distance 0: the key decides
    EXPECT_EQ(matches[0].distance, 0.0f);
    EXPECT_EQ(matches[1].key, 2u);
    EXPECT_EQ(matches[1].distance, 0.0f);
    EXPECT_EQ(matches[2].key, 0u);
    const double sine = 2e-4f;
    EXPECT_FLOAT_EQ(matches[2].distance, static_cast<float>(sine * sine / 2));
  }
}

TEST(Ranking, TellsSmallInnerProductsApart) {
  for (const Traversal traversal : {Traversal::code, Traversal::exact}) {
    Vectors vectors = test::random_vectors(200, 16, 5);
    for (float& value : vectors.values) value *= 1e-5f;
    IndexParams params;
    params.dimensions = 16;
    params.metric = Metric::inner_product;
    params.traversal = traversal;
    const Index index = test::added(params, vectors);
    for (std::size_t i = 0; i < 20; ++i) {
      const auto matches = index.search(vectors.vector(i), {5, 200}).value();
      ASSERT_EQ(matches.size(), 5u);
      std::vector<std::pair<double, Key>> truth;
      for (std::size_t row = 0; row < vectors.rows(); ++row) {
        double dot = 0;
        for (std::size_t j = 0; j < 16; ++j) {
          dot += double{vectors.row(i)[j]} * double{vectors.row(row)[j]};
        }
        truth.emplace_back(-dot, vectors.keys[row]);
      }
      std::sort(truth.begin(), truth.end());
      for (std::size_t rank = 0; rank < 5; ++rank) {
        EXPECT_EQ(matches[rank].key, truth[rank].second);
      }
    }
  }
}

// One component of 150 and a spread of 1 in all rows: codes cannot order their inner products, and
// say so by how near those lie to each other.
TEST(InnerProducts, ThatCodesCannotOrderAreFoundAsOnVectors) {
  for (const std::size_t dims : {8u, 64u}) {
    SCOPED_TRACE(std::to_string(dims) + " dimensions");
    Vectors vectors = test::random_vectors(1500, dims, 11);
    Vectors queries = test::random_vectors(50, dims, 12);
    for (Vectors* some : {&vectors, &queries}) {
      for (std::size_t i = 0; i < some->rows(); ++i) some->values[i * dims] += 150;
    }
    IndexParams params;
    params.dimensions = static_cast<std::uint32_t>(dims);
    params.metric = Metric::inner_product;
    params.traversal = Traversal::code;
    const Index on_codes = test::built(params, vectors);
    params.traversal = Traversal::exact;
    const Index on_vectors = test::built(params, vectors);
    EXPECT_GE(test::recall(on_codes, vectors, queries, {10, 64}),
              test::recall(on_vectors, vectors, queries, {10, 64}) - 0.005);
  }
}

// Groups of near copies in an arbitrary order, and queries among them.
struct NearCopies {
  Vectors vectors;
  Vectors members;
  Vectors strangers;
};

NearCopies near_copies(std::size_t dims, std::size_t groups, std::size_t size, std::uint64_t seed) {
  const Vectors centers = test::random_vectors(groups, dims, seed);
  const auto around = [&](std::size_t rows, std::uint64_t noise_seed) {
    Vectors made = test::random_vectors(rows, dims, noise_seed);
    for (std::size_t i = 0; i < made.values.size(); ++i) {
      made.values[i] = centers.row(i / dims % groups)[i % dims] + 1e-3f * made.values[i];
    }
    return made;
  };
  return {test::shuffled(around(groups * size, seed + 1), seed + 2), around(60, seed + 3),
          test::random_vectors(60, dims, seed + 4)};
}

IndexParams params_for(Metric metric, std::size_t dims, Traversal traversal) {
  IndexParams params;
  params.dimensions = static_cast<std::uint32_t>(dims);
  params.metric = metric;
  params.traversal = traversal;
  return params;
}

// Inner products of near copies with anything are nearly the same: what codes make of them must
// not decide which of them are linked.
TEST(InnerProducts, OfNearCopiesAreFoundAsOnVectors) {
  constexpr std::size_t kDims = 64;
  for (const std::size_t size : {20u, 100u, 300u, 1000u}) {
    const NearCopies copies = near_copies(kDims, 2000 / size, size, 31);
    const auto built = [&](Traversal traversal) {
      return test::built(params_for(Metric::inner_product, kDims, traversal), copies.vectors);
    };
    const Index on_codes = built(Traversal::code);
    const Index on_vectors = built(Traversal::exact);
    for (const std::size_t ef : {64u, 256u}) {
      SCOPED_TRACE(std::to_string(size) + " of each, ef " + std::to_string(ef));
      EXPECT_GE(test::recall(on_codes, copies.vectors, copies.members, {10, ef}),
                test::recall(on_vectors, copies.vectors, copies.members, {10, ef}) - 0.01);
    }
  }
}

// 200 near copies of each of ten vectors, as seen from elsewhere: codes tell the groups apart, and
// not their members, of which a window holds a few. A search that misses the nearest group misses
// all, so a graph must lead from any group to all others.
TEST(NearCopies, AreFoundFromAfarAsOnVectors) {
  constexpr std::size_t kDims = 32;
  constexpr int kSets = 4;
  for (const Metric metric : {Metric::l2sq, Metric::cosine}) {
    double on_codes = 0;
    double on_vectors = 0;
    for (std::uint64_t set = 0; set < kSets; ++set) {
      const NearCopies copies = near_copies(kDims, 10, 200, 40 + 10 * set);
      const auto found = [&](Traversal traversal) {
        const Index index = test::built(params_for(metric, kDims, traversal), copies.vectors);
        return test::recall(index, copies.vectors, copies.strangers, {10, 64}) / kSets;
      };
      on_codes += found(Traversal::code);
      on_vectors += found(Traversal::exact);
    }
    EXPECT_GE(on_codes, on_vectors - 0.01);
    EXPECT_GE(on_codes, 0.93);
  }
}

TEST(NearCopies, AreFoundNoLessWithALargerEfConstruction) {
  constexpr std::size_t kDims = 32;
  for (const Metric metric : {Metric::l2sq, Metric::cosine}) {
    double before = 0;
    for (const std::uint32_t ef_construction : {100u, 200u, 400u}) {
      double found = 0;
      for (std::uint64_t set = 0; set < 2; ++set) {
        const NearCopies copies = near_copies(kDims, 10, 200, 80 + 10 * set);
        IndexParams params = params_for(metric, kDims, Traversal::code);
        params.ef_construction = ef_construction;
        const Index index = test::built(params, copies.vectors);
        found += test::recall(index, copies.vectors, copies.strangers, {10, 64}) / 4 +
                 test::recall(index, copies.vectors, copies.members, {10, 64}) / 4;
      }
      EXPECT_GE(found, before - 0.005) << ef_construction;
      before = std::max(before, found);
    }
  }
}

// Differences of components tell near copies apart, and so does the graph that codes are walked on.
TEST(NearCopies, FinerThanACodesStepAreOrderedUnderSquaredDistance) {
  constexpr std::size_t kDims = 256;
  const Vectors center = test::random_vectors(1, kDims, 25);
  for (const float spread : {1e-4f, 1e-6f}) {
    Vectors vectors = test::random_vectors(600, kDims, 26);
    Vectors queries = test::random_vectors(40, kDims, 27);
    for (Vectors* some : {&vectors, &queries}) {
      for (std::size_t i = 0; i < some->values.size(); ++i) {
        some->values[i] = center.row(0)[i % kDims] + spread * some->values[i];
      }
    }
    IndexParams params;
    params.dimensions = kDims;
    params.metric = Metric::l2sq;
    params.traversal = Traversal::code;
    EXPECT_GE(test::recall(test::built(params, vectors), vectors, queries, {10, 64}), 0.98)
        << spread;
  }
}

TEST(Candidates, OfMarkedRowsDoNotHideNearerOnes) {
  Vectors vectors = test::random_vectors(24, 8, 183);
  for (std::size_t i = 0; i < vectors.rows(); ++i) vectors.values[i * 8] = 150;
  Vectors queries = test::random_vectors(50, 8, 184);
  for (std::size_t i = 0; i < queries.rows(); ++i) queries.values[i * 8] = 150;
  for (const Metric metric : {Metric::l2sq, Metric::cosine}) {
    IndexParams params;
    params.dimensions = 8;
    params.metric = metric;
    const Index index = test::added(params, vectors);
    for (std::size_t i = 0; i < queries.rows(); ++i) {
      const auto matches = index.search(queries.vector(i), {1, 64}).value();
      ASSERT_EQ(matches.size(), 1u);
      EXPECT_EQ(matches[0].key, test::scan(metric, vectors, queries.row(i), 1)[0].key);
    }
  }
}

}  // namespace
}  // namespace cairn
