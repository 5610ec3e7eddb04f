// SPDX-License-Identifier: Apache-2.0
//
// Vectors and parameters at the edge of what is legal.
#include <gtest/gtest.h>

#include <cmath>
#include <iterator>
#include <limits>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include <cairn/cairn.h>

#include "tests/support/temporary_directory.h"
#include "tests/support/vectors.h"

namespace cairn {
namespace {

using test::Vectors;

constexpr double kSmallest = double{std::numeric_limits<float>::denorm_min()};
constexpr Metric kMetrics[] = {Metric::cosine, Metric::l2sq, Metric::inner_product};
constexpr Traversal kTraversals[] = {Traversal::code, Traversal::exact};

IndexParams params_of(std::size_t dims, Metric metric, Traversal traversal = Traversal::code) {
  IndexParams params;
  params.dimensions = dims;
  params.metric = metric;
  params.traversal = traversal;
  params.ef_construction = 60;
  return params;
}

// Built, and added one by one.
std::vector<Index> both(const IndexParams& params, const Vectors& vectors) {
  std::vector<Index> indexes;
  indexes.push_back(test::built(params, vectors));
  indexes.push_back(test::added(params, vectors));
  return indexes;
}

void expect_sound(const Index& index) {
  const auto report = index.verify();
  ASSERT_TRUE(report);
  EXPECT_EQ(report->findings, std::vector<std::string>());
  EXPECT_EQ(report->unreachable, 0u) << "of " << index.size();
}

// Distances are those of the formula, in order, and `index` finds the nearest of a scan.
void expect_exact(const Index& index, const Vectors& vectors, const float* query, std::size_t k) {
  const Metric metric = index.params().metric;
  const std::size_t dims = vectors.dims;
  const auto matches = index.search(VectorView(query, dims), {k, 4 * k + 64});
  ASSERT_TRUE(matches);
  const auto truth = test::scan(metric, vectors, query, k);
  ASSERT_EQ(matches->size(), truth.size());
  for (std::size_t i = 0; i < truth.size(); ++i) {
    const Match match = (*matches)[i];
    ASSERT_FALSE(std::isnan(match.distance));
    if (i > 0) {
      EXPECT_LE((*matches)[i - 1].distance, match.distance);
    }
    std::size_t row = 0;
    while (vectors.keys[row] != match.key) ++row;
    const double exact = test::reference_distance(metric, query, vectors.row(row), dims);
    // Below the smallest float there is nothing but 0, above the largest infinity.
    const double off = test::tolerance(metric, query, vectors.row(row), dims) + kSmallest;
    if (std::isinf(static_cast<float>(exact))) {
      EXPECT_EQ(match.distance, static_cast<float>(exact));
      continue;
    }
    EXPECT_NEAR(double{match.distance}, exact, off);
    // As near as the true i-th.
    EXPECT_LE(exact, truth[i].distance + 2 * off + 1e-6 * std::fabs(truth[i].distance));
  }
}

TEST(ZeroVector, HasCosineDistanceOneToEverything) {
  for (const Traversal traversal : kTraversals) {
    Vectors vectors = test::random_vectors(100, 7, 1);
    vectors.append(1, std::vector<float>(7));
    vectors.append(2, std::vector<float>(7, -0.0f));
    for (const Index& index : both(params_of(7, Metric::cosine, traversal), vectors)) {
      expect_sound(index);
      const auto all = index.search(std::vector<float>(7), {200, 200});
      ASSERT_EQ(all->size(), 102u);
      Key last = 0;
      for (const Match& match : *all) {
        EXPECT_EQ(match.distance, 1.0f);
        EXPECT_GT(match.key, last);  // ties by key
        last = match.key;
      }
      const auto near = index.search(vectors.vector(0), {200, 200});
      ASSERT_EQ(near->size(), 102u);
      for (const Match& match : *near) {
        if (match.key <= 2) {
          EXPECT_EQ(match.distance, 1.0f);
        }
      }
      std::vector<float> out(7, 9.0f);
      ASSERT_TRUE(index.get(2, out));
      EXPECT_TRUE(std::signbit(out[0]));  // as it was given
    }
  }
}

TEST(ZeroVector, IsOrdinaryUnderTheOtherMetrics) {
  for (const Metric metric : {Metric::l2sq, Metric::inner_product}) {
    for (const Traversal traversal : kTraversals) {
      Vectors vectors = test::random_vectors(100, 7, 2);
      vectors.append(1, std::vector<float>(7));
      const Index index = test::added(params_of(7, metric, traversal), vectors);
      expect_sound(index);
      const std::vector<float> zero(7);
      expect_exact(index, vectors, zero.data(), 101);
      if (metric == Metric::l2sq) {
        EXPECT_EQ(index.search(zero, {1, 200})->front().key, 1u);
      }
    }
  }
}

TEST(ZeroVector, OnlyZeroVectorsAreAllFound) {
  for (const Metric metric : kMetrics) {
    Vectors vectors{5, {}, {}};
    for (Key key = 0; key < 40; ++key) vectors.append(key, std::vector<float>(5));
    for (const Index& index : both(params_of(5, metric), vectors)) {
      expect_sound(index);
      const auto all = index.search(std::vector<float>(5), {40, 40});
      ASSERT_EQ(all->size(), 40u);
      for (Key key = 0; key < 40; ++key) {
        EXPECT_EQ((*all)[key].key, key);
        EXPECT_EQ((*all)[key].distance, metric == Metric::l2sq ? 0.0f : 1.0f);
      }
    }
  }
}

// Rows of random direction whose norms are `scales`, in turn.
Vectors scaled(const std::vector<float>& scales, std::size_t rows, std::size_t dims) {
  Vectors vectors = test::random_vectors(rows, dims, 3);
  for (std::size_t i = 0; i < rows; ++i) {
    for (std::size_t j = 0; j < dims; ++j)
      vectors.values[i * dims + j] *= scales[i % scales.size()];
  }
  return vectors;
}

TEST(Norms, FromTheSmallestToTheLargestAreExact) {
  const std::vector<std::vector<float>> sets = {
      {1e-30f}, {1e30f}, {1e-40f}, {1e-30f, 1.0f, 1e30f}, {1e-15f, 1e15f}, {3e37f}};
  for (const auto& scales : sets) {
    const Vectors vectors = scaled(scales, 120, 9);
    for (const Metric metric : kMetrics) {
      for (const Traversal traversal : kTraversals) {
        SCOPED_TRACE("scale " + std::to_string(std::log10(scales[0])) + ", metric " +
                     std::to_string(static_cast<int>(metric)) + ", traversal " +
                     std::to_string(static_cast<int>(traversal)));
        for (const Index& index : both(params_of(9, metric, traversal), vectors)) {
          expect_sound(index);
          for (const std::size_t i : {0u, 1u, 2u})
            expect_exact(index, vectors, vectors.row(i), 120);
        }
      }
    }
  }
}

TEST(Norms, CosineDoesNotDependOnThem) {
  const Vectors plain = test::random_vectors(400, 12, 3);
  const Vectors wild = scaled({1e-38f, 1e-20f, 1.0f, 1e20f, 1e37f}, 400, 12);
  for (const Traversal traversal : kTraversals) {
    const Index index = test::built(params_of(12, Metric::cosine, traversal), wild);
    expect_sound(index);
    for (std::size_t i = 0; i < 400; ++i) {
      const auto matches = index.search(plain.vector(i), {1, 64});
      EXPECT_EQ(matches->front().key, plain.keys[i]);
      EXPECT_NEAR(double{matches->front().distance}, 0.0, 1e-6);
    }
  }
}

TEST(Norms, DenormalComponentsCount) {
  const float tiny = std::numeric_limits<float>::denorm_min();
  Vectors vectors{3, {}, {}};
  vectors.append(1, std::vector<float>{tiny, 0, 0});
  vectors.append(2, std::vector<float>{0, tiny, 0});
  vectors.append(3, std::vector<float>{0, 0, -tiny});
  vectors.append(4, std::vector<float>{1, tiny, 0});
  for (const Traversal traversal : kTraversals) {
    for (const Index& index : both(params_of(3, Metric::cosine, traversal), vectors)) {
      const auto matches = index.search(std::vector<float>{0, 1, 0}, {4, 4});
      ASSERT_EQ(matches->size(), 4u);
      EXPECT_EQ(matches->front().key, 2u);
      EXPECT_EQ(matches->front().distance, 0.0f);
      EXPECT_EQ((*matches)[1].distance, 1.0f);
    }
  }
}

// The code of such a vector is zero but for one component.
TEST(Components, OneHugeOneDoesNotHideTheOthers) {
  for (const Metric metric : {Metric::cosine, Metric::l2sq}) {
    Vectors vectors = test::random_vectors(500, 16, 4);
    for (std::size_t i = 0; i < vectors.rows(); ++i) vectors.values[i * 16 + 5] = 3000.0f;
    for (const Traversal traversal : kTraversals) {
      for (const Index& index : both(params_of(16, metric, traversal), vectors)) {
        expect_sound(index);
        std::size_t found = 0;
        for (std::size_t i = 0; i < vectors.rows(); ++i) {
          found += index.search(vectors.vector(i), {1, 64})->front().key == vectors.keys[i];
        }
        // Cosines of these vectors are equal to float's last digits.
        EXPECT_GE(found, metric == Metric::l2sq ? 500u : 1u);
        EXPECT_GE(test::recall(index, vectors, test::random_vectors(20, 16, 5), {10, 64}), 0.95);
      }
    }
  }
}

// What codes lose is measured against walks on the vectors themselves.
TEST(Recall, IsThatOfTheVectorsThoughCodesCannotHoldThem) {
  const auto with_peaks = [](float peak) {
    Vectors vectors = test::random_vectors(1500, 32, 16);
    for (std::size_t i = 0; i < vectors.rows(); ++i) vectors.values[i * 32 + i % 32] *= peak;
    return vectors;
  };
  struct Case {
    const char* name;
    Vectors vectors;
    std::vector<Metric> metrics;
  };
  const std::vector<Metric> all(std::begin(kMetrics), std::end(kMetrics));
  // Squared distances and inner products of smaller or larger vectors are not numbers that a float
  // can hold.
  const Case cases[] = {
      {"norms of 1e-30", scaled({1e-30f}, 1500, 32), {Metric::cosine}},
      {"norms of 1e30", scaled({1e30f}, 1500, 32), {Metric::cosine}},
      {"norms of both", scaled({1e-30f, 1e30f}, 1500, 32), {Metric::cosine}},
      {"denormals", scaled({1e-41f}, 1500, 32), {Metric::cosine}},
      {"norms of 1e-17", scaled({1e-17f}, 1500, 32), {Metric::l2sq}},
      {"norms of 1e17", scaled({1e17f}, 1500, 32), {Metric::l2sq, Metric::inner_product}},
      {"a component 30 times the others", with_peaks(30), all},
      {"a component 100 times the others", with_peaks(100), all},
      {"a component 1000 times the others", with_peaks(1000), all},
  };
  for (const Case& one : cases) {
    Vectors queries{32, {}, {}};
    for (std::size_t i = 0; i < 60; ++i) {
      std::vector<float> query(one.vectors.row(25 * i), one.vectors.row(25 * i) + 32);
      for (std::size_t j = 0; j < 32; ++j) query[j] *= j % 2 == 0 ? 1.05f : 0.95f;
      queries.append(i, query);
    }
    for (const Metric metric : one.metrics) {
      SCOPED_TRACE(std::string(one.name) + ", metric " + std::to_string(static_cast<int>(metric)));
      double recall[2];
      for (const Traversal traversal : kTraversals) {
        const Index index = test::built(params_of(32, metric, traversal), one.vectors);
        expect_sound(index);
        recall[traversal == Traversal::exact] = test::recall(index, one.vectors, queries, {10, 40});
      }
      EXPECT_GE(recall[0], recall[1] - 0.01);
    }
  }
}

TEST(EqualVectors, FiveThousandCopiesAreAllReached) {
  Vectors vectors{8, {}, {}};
  const Vectors one = test::random_vectors(1, 8, 6);
  for (Key key = 0; key < 5000; ++key) vectors.append(key, {one.row(0), 8});
  for (const Metric metric : kMetrics) {
    for (const Index& index : both(params_of(8, metric), vectors)) {
      expect_sound(index);
      const auto some = index.search(one.vector(0), {100, 100});
      ASSERT_EQ(some->size(), 100u);
      for (std::size_t i = 1; i < 100; ++i) {
        EXPECT_LT((*some)[i - 1].key, (*some)[i].key);
        EXPECT_EQ((*some)[i].distance, (*some)[0].distance);
      }
    }
  }
}

TEST(EqualVectors, EveryCopyIsFoundByAWideEnoughSearch) {
  Vectors vectors{4, {}, {}};
  for (Key key = 0; key < 1000; ++key) vectors.append(key, std::vector<float>{1, 2, 3, 4});
  for (const Index& index : both(params_of(4, Metric::l2sq), vectors)) {
    const auto all = index.search(vectors.vector(0), {1000, 1000});
    ASSERT_EQ(all->size(), 1000u);
    for (Key key = 0; key < 1000; ++key) EXPECT_EQ((*all)[key].key, key);
  }
}

TEST(EqualVectors, TenVectorsFiveHundredTimesEachAreAllReachedAndFound) {
  const Vectors ten = test::random_vectors(10, 8, 7);
  Vectors sorted{8, {}, {}};
  for (std::size_t i = 0; i < 5000; ++i) sorted.append(i, {ten.row(i / 500), 8});
  for (const Vectors& vectors : {sorted, test::shuffled(sorted, 8)}) {
    for (const Index& index : both(params_of(8, Metric::l2sq), vectors)) {
      expect_sound(index);
      for (std::size_t i = 0; i < 10; ++i) {
        const auto matches = index.search(ten.vector(i), {50, 64});
        ASSERT_EQ(matches->size(), 50u);
        for (const Match& match : *matches) {
          EXPECT_EQ(match.distance, 0.0f);
          EXPECT_EQ(match.key / 500, i);
        }
      }
    }
  }
}

TEST(EqualVectors, OneThatDiffersStaysReachableAmongCopiesWheneverItCame) {
  for (const std::size_t place : {0u, 1u, 2u, 30u, 61u, 500u, 1499u}) {
    Vectors vectors{2, {}, {}};
    for (std::size_t i = 0; i < 1500; ++i) {
      vectors.append(i, i == place ? std::vector<float>{-1, 0} : std::vector<float>{1, 0});
    }
    for (const Metric metric : kMetrics) {
      SCOPED_TRACE("place " + std::to_string(place) + ", metric " +
                   std::to_string(static_cast<int>(metric)));
      for (const Index& index : both(params_of(2, metric), vectors)) expect_sound(index);
    }
  }
}

// Two directions are all there is: a copy has hundreds of others at distance 0.
TEST(EqualVectors, TwoGroupsOfThemStayConnected) {
  for (const std::size_t period : {2u, 7u, 400u}) {
    Vectors vectors{1, {}, {}};
    for (std::size_t i = 0; i < 1500; ++i) {
      vectors.append(i, std::vector<float>{i % period < period / 2 ? 1.0f : -2.0f});
    }
    for (const Metric metric : kMetrics) {
      SCOPED_TRACE("period " + std::to_string(period) + ", metric " +
                   std::to_string(static_cast<int>(metric)));
      for (const Index& index : both(params_of(1, metric), vectors)) expect_sound(index);
    }
  }
}

TEST(Dimensions, OneTwoAndThree) {
  for (const std::size_t dims : {1u, 2u, 3u}) {
    const Vectors vectors = test::random_vectors(400, dims, 9);
    for (const Metric metric : kMetrics) {
      for (const Traversal traversal : kTraversals) {
        for (const Index& index : both(params_of(dims, metric, traversal), vectors)) {
          expect_sound(index);
          // Cosines in one dimension are 0 or 2, in two they differ by little.
          EXPECT_GE(test::recall(index, vectors, test::random_vectors(30, dims, 10), {10, 64}),
                    metric == Metric::cosine ? 0.9 : 0.99)
              << dims << " dimensions, metric " << static_cast<int>(metric) << ", traversal "
              << static_cast<int>(traversal);
        }
      }
    }
  }
}

// Degrees of latitude and longitude in one town.
TEST(Dimensions, TwoFarFromTheOriginAreToldApart) {
  Vectors vectors = test::random_vectors(5000, 2, 12);
  Vectors queries = test::random_vectors(50, 2, 13);
  for (Vectors* const all : {&vectors, &queries}) {
    for (std::size_t i = 0; i < all->values.size(); ++i) {
      all->values[i] = 0.05f * all->values[i] + (i % 2 == 0 ? 52.5f : 13.4f);
    }
  }
  const Index index = test::built(params_of(2, Metric::l2sq, Traversal::automatic), vectors);
  EXPECT_GE(test::recall(index, vectors, queries, {10, 64}), 0.99);
}

TEST(Dimensions, AsManyAsThereMayBe) {
  const test::TemporaryDirectory directory;
  const Vectors vectors = test::random_vectors(12, 65535, 11);
  for (const Metric metric : kMetrics) {
    for (const Traversal traversal : kTraversals) {
      const Index index = test::added(params_of(65535, metric, traversal), vectors);
      expect_sound(index);
      expect_exact(index, vectors, vectors.row(3), 12);
      ASSERT_TRUE(index.save(directory / "a"));
      const auto opened = Index::open(directory / "a");
      ASSERT_TRUE(opened) << opened.error().message();
      expect_exact(*opened, vectors, vectors.row(3), 12);
      expect_sound(*opened);
    }
  }
}

TEST(Dimensions, TheLargestComponentsOfTheLargestVectorStayInRange) {
  // Codes of +-127 throughout: the largest sums that the integer kernels meet.
  Vectors vectors{65535, {}, {}};
  vectors.append(1, std::vector<float>(65535, 1.0f));
  vectors.append(2, std::vector<float>(65535, -1.0f));
  for (const Metric metric : kMetrics) {
    const Index index = test::added(params_of(65535, metric), vectors);
    expect_sound(index);
    expect_exact(index, vectors, vectors.row(0), 2);
    EXPECT_EQ(index.search(vectors.vector(1), {1, 2})->front().key, 2u);
  }
}

TEST(Links, TwoAndTwoHundredFiftySixANode) {
  const Vectors vectors = test::random_vectors(600, 10, 12);
  for (const std::uint32_t m : {2u, 256u}) {
    for (const Metric metric : kMetrics) {
      IndexParams params = params_of(10, metric);
      params.m = m;
      for (const Index& index : both(params, vectors)) {
        expect_sound(index);
        const double recall =
            test::recall(index, vectors, test::random_vectors(30, 10, 13), {10, 64});
        EXPECT_GE(recall, m == 2 ? 0.85 : 0.97)
            << "m " << m << ", metric " << static_cast<int>(metric);
      }
    }
  }
}

TEST(EfConstruction, OneMakesASoundGraph) {
  const Vectors vectors = test::random_vectors(600, 10, 14);
  IndexParams params = params_of(10, Metric::l2sq);
  params.ef_construction = 1;
  for (const Index& index : both(params, vectors)) {
    expect_sound(index);
    EXPECT_GE(test::recall(index, vectors, test::random_vectors(30, 10, 15), {10, 300}), 0.5);
  }
}

}  // namespace
}  // namespace cairn
