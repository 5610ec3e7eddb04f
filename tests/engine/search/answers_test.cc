// SPDX-License-Identifier: Apache-2.0
//
// Random mixtures of what codes and floats find hard: walks on codes find what walks on the vectors
// of the same build parameters find, and results are ranked as a scan in double ranks them.
// CAIRN_TEST_SEEDS: how many mixtures of scales (24); of each other family a third of that.
// CAIRN_TEST_FIRST_SEED: of each family (0).
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdlib>
#include <iterator>
#include <random>
#include <string>
#include <vector>

#include <cairn/cairn.h>

#include "tests/support/mixtures.h"
#include "tests/support/vectors.h"

namespace cairn {
namespace {

using test::Family;
using test::Mixture;
using test::mixture_of;
using test::Vectors;

std::size_t number_from(const char* name, std::size_t otherwise) {
  const char* given = std::getenv(name);
  return given == nullptr ? otherwise : static_cast<std::size_t>(std::atoi(given));
}

std::size_t seeds() { return number_from("CAIRN_TEST_SEEDS", 24); }
std::uint64_t first_seed() { return number_from("CAIRN_TEST_FIRST_SEED", 0); }

constexpr std::size_t kQueries = 100;

IndexParams params_of(const Vectors& vectors, Metric metric, Scalar scalar) {
  IndexParams params;
  params.dimensions = static_cast<std::uint32_t>(vectors.dims);
  params.metric = metric;
  params.scalar = scalar;
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

// The ten nearest of each query, and how far the last of them is.
std::vector<double> farthest_of_ten(Metric metric, const Vectors& vectors, const Vectors& queries) {
  // The squared distance of bits is how many differ.
  const Metric formula = metric == Metric::hamming ? Metric::l2sq : metric;
  std::vector<double> farthest;
  for (std::size_t i = 0; i < queries.rows(); ++i) {
    const double last = test::scan(formula, vectors, queries.row(i), 10).back().distance;
    farthest.push_back(last + 1e-5 * std::max(1e-3, std::fabs(last)));
  }
  return farthest;
}

// Share of them that each query finds.
std::vector<double> recalls(const Index& index, const test::StoredVectors& queries,
                            const std::vector<double>& farthest, std::size_t ef) {
  const std::size_t wanted = std::min<std::size_t>(10, index.size());
  const bool takes_floats = queries.scalar != Scalar::i8 && queries.scalar != Scalar::b1;
  std::vector<double> shares;
  for (std::size_t i = 0; i < farthest.size(); ++i) {
    const VectorView query = takes_floats ? queries.floats.vector(i) : queries.vector(i);
    const auto matches = index.search(query, {.k = 10, .ef = ef}).value();
    const auto found = std::count_if(matches.begin(), matches.end(), [&](const Match& match) {
      return double{match.distance} <= farthest[i];
    });
    shares.push_back(static_cast<double>(found) / static_cast<double>(wanted));
  }
  return shares;
}

// What one index finds beyond another, query by query.
class Gain {
 public:
  void add(double share) {
    sum_ += share;
    squares_ += share * share;
    queries_ += 1;
  }
  double mean() const { return sum_ / queries_; }
  // Of the mean, as the queries differ.
  double deviation() const {
    return std::sqrt(std::max(0.0, squares_ / queries_ - mean() * mean()) / queries_);
  }

 private:
  double sum_ = 0;
  double squares_ = 0;
  double queries_ = 0;
};

// Compares two indexes of each mixture; `most` may be lost on the average of all of them, and in
// one of them so much beside four deviations.
class Comparison {
 public:
  explicit Comparison(double most) : most_(most) {}

  void compare(const std::string& name, const Index& index, const Index& other,
               const Vectors& vectors, const test::StoredVectors& queries) {
    const auto farthest = farthest_of_ten(index.params().metric, vectors, queries.floats);
    for (std::size_t i = 0; i < kWindows.size(); ++i) {
      const auto found = recalls(index, queries, farthest, kWindows[i]);
      const auto by_other = recalls(other, queries, farthest, kWindows[i]);
      Gain gain;
      for (std::size_t query = 0; query < found.size(); ++query) {
        gain.add(found[query] - by_other[query]);
        pooled_[i].add(found[query] - by_other[query]);
      }
      EXPECT_GE(gain.mean(), -most_ - 4 * gain.deviation()) << name << ", ef " << kWindows[i];
    }
  }
  void expect_little_loss() const {
    for (std::size_t i = 0; i < kWindows.size(); ++i) {
      EXPECT_GE(pooled_[i].mean(), -most_) << "ef " << kWindows[i];
    }
  }

 private:
  static constexpr std::array<std::size_t, 2> kWindows = {64, 256};
  double most_;
  std::array<Gain, 2> pooled_;
};

class Mixtures : public testing::TestWithParam<Family> {
 protected:
  // Mixtures of scales have many more forms.
  static std::size_t count() { return GetParam() == Family::scales ? seeds() : (seeds() + 2) / 3; }
  static double most() { return GetParam() == Family::near_copies ? 0.01 : 0.005; }
};

INSTANTIATE_TEST_SUITE_P(Families, Mixtures,
                         testing::Values(Family::scales, Family::copies, Family::near_copies,
                                         Family::ties),
                         [](const auto& one) { return test::name_of(one.param); });

TEST_P(Mixtures, AreFoundOnCodesAsOnVectors) {
  constexpr Metric kMetrics[] = {Metric::l2sq, Metric::cosine, Metric::inner_product};
  constexpr Scalar kScalars[] = {Scalar::f32, Scalar::f32, Scalar::f16, Scalar::bf16};
  Comparison comparison(most());
  for (std::uint64_t seed = first_seed(); seed < first_seed() + count(); ++seed) {
    const Mixture mixture = mixture_of(GetParam(), seed, kQueries);
    const Vectors vectors = test::shuffled(mixture.vectors, seed);
    IndexParams params = params_of(vectors, kMetrics[seed % 3], kScalars[seed / 3 % 4]);
    const test::StoredVectors rows = test::stored(params.scalar, vectors);
    const auto made = [&](Traversal traversal) {
      params.traversal = traversal;
      return index_of(params, rows, seed % 5 == 4 ? Made::added : Made::built);
    };
    const Index on_codes = made(Traversal::code);
    const Index on_vectors = made(Traversal::exact);
    comparison.compare("seed " + std::to_string(seed), on_codes, on_vectors, rows.floats,
                       {params.scalar, {}, mixture.queries});
  }
  comparison.expect_little_loss();
}

// One by one, a group after the other, or all at once.
TEST_P(Mixtures, AreFoundInWhateverOrderTheyCame) {
  struct Kind {
    Metric metric;
    Scalar scalar;
  };
  constexpr Kind kKinds[] = {{Metric::cosine, Scalar::f32},  {Metric::l2sq, Scalar::i8},
                             {Metric::hamming, Scalar::b1},  {Metric::l2sq, Scalar::f32},
                             {Metric::cosine, Scalar::i8},   {Metric::inner_product, Scalar::f32},
                             {Metric::cosine, Scalar::bf16}, {Metric::l2sq, Scalar::f16}};
  Comparison comparison(0.005);
  for (std::uint64_t seed = first_seed(); seed < first_seed() + (seeds() + 2) / 3; ++seed) {
    const Mixture mixture = mixture_of(GetParam(), 1000 + seed, kQueries);
    const Kind kind = kKinds[seed % std::size(kKinds)];
    const IndexParams params = params_of(mixture.vectors, kind.metric, kind.scalar);
    const test::StoredVectors rows = test::stored(kind.scalar, mixture.vectors);
    const test::StoredVectors in_any_order =
        test::stored(kind.scalar, test::shuffled(mixture.vectors, seed));
    comparison.compare("seed " + std::to_string(1000 + seed), index_of(params, rows, Made::added),
                       index_of(params, in_any_order, Made::built), rows.floats,
                       test::stored(kind.scalar, mixture.queries));
  }
  comparison.expect_little_loss();
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

// Of a group's members, the longest along its center have the largest product with all others.
// Those that point elsewhere are the answers to other queries.
TEST(InnerProducts, OfNearCopiesAreFoundFromAfar) {
  constexpr std::size_t kDims = 32;
  double found = 0;
  for (std::uint64_t set = 0; set < 2; ++set) {
    const NearCopies copies = near_copies(kDims, 5, 300, 40 + 10 * set);
    const Index index =
        test::built(params_for(Metric::inner_product, kDims, Traversal::code), copies.vectors);
    found += test::recall(index, copies.vectors, copies.strangers, {10, 64}) / 2;
  }
  EXPECT_GE(found, 0.96);
}

// Rows of bf16 in another order, built, under inner products.
void expect_built_as_on_vectors(Family family, unsigned seed) {
  const Mixture mixture = mixture_of(family, seed, kQueries);
  const test::StoredVectors rows =
      test::stored(Scalar::bf16, test::shuffled(mixture.vectors, seed));
  IndexParams params = params_of(rows.floats, Metric::inner_product, Scalar::bf16);
  Comparison comparison(0.005);
  params.traversal = Traversal::code;
  const Index on_codes = index_of(params, rows, Made::built);
  params.traversal = Traversal::exact;
  comparison.compare("bf16", on_codes, index_of(params, rows, Made::built), rows.floats,
                     {Scalar::bf16, {}, mixture.queries});
  comparison.expect_little_loss();
}

// Most of 300 rows are equal once they are rounded to bf16, and the others stand behind them.
TEST(InnerProducts, OfNearCopiesBehindCopiesAreFoundAsOnVectors) {
  expect_built_as_on_vectors(Family::near_copies, 11);
}

// Components of few different numbers, all of them far from zero: what their codes are off by adds
// up, and is not that of numbers that do not depend on each other.
TEST(InnerProducts, ThatCodesAreOffByInOneDirectionAreFoundAsOnVectors) {
  expect_built_as_on_vectors(Family::scales, 47);
}

// Of 300 rows all but ten are equal once they are rounded to bf16, and codes tell none of the ten
// from these.
TEST(InnerProducts, OfAFewAmongCopiesWithTheSameCodeAreFoundAsOnVectors) {
  expect_built_as_on_vectors(Family::near_copies, 95);
}

// A thousand rows are copies of fourteen vectors, and codes have their groups in another order.
TEST(InnerProducts, OfGroupsOfCopiesThatCodesConfuseAreFoundAsOnVectors) {
  expect_built_as_on_vectors(Family::scales, 34);
}

// One group after the other: the lists of the first are full when the last ones come.
TEST(NearCopies, AreFoundFromAfarThoughTheyCameGroupByGroup) {
  constexpr std::size_t kDims = 32;
  constexpr std::size_t kGroups = 10;
  constexpr std::size_t kSize = 300;
  constexpr int kSets = 2;
  for (const Metric metric : {Metric::l2sq, Metric::cosine, Metric::inner_product}) {
    double found = 0;
    for (const std::uint64_t seed : {50u, 70u}) {
      const Vectors centers = test::random_vectors(kGroups, kDims, seed);
      Vectors vectors = test::random_vectors(kGroups * kSize, kDims, seed + 1);
      for (std::size_t i = 0; i < vectors.values.size(); ++i) {
        const std::size_t group = i / kDims / kSize;
        vectors.values[i] = centers.row(group)[i % kDims] + 1e-3f * vectors.values[i];
      }
      const Vectors strangers = test::random_vectors(100, kDims, seed + 4);
      const Index index = test::added(params_for(metric, kDims, Traversal::code), vectors);
      found += test::recall(index, vectors, strangers, {10, 64}) / kSets;
    }
    EXPECT_GE(found, 0.98) << static_cast<int>(metric);
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
    EXPECT_GE(on_codes, 0.98);
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

// Share of the ten nearest that are found, whatever little tells them from others.
double share_of_keys(const Index& index, const Vectors& vectors, const Vectors& queries) {
  std::size_t found = 0;
  for (std::size_t i = 0; i < queries.rows(); ++i) {
    const auto truth = test::scan(index.params().metric, vectors, queries.row(i), 10);
    for (const Match& match : index.search(queries.vector(i), {.k = 10, .ef = 64}).value()) {
      found += static_cast<std::size_t>(std::count_if(
          truth.begin(), truth.end(), [&](const auto& one) { return one.key == match.key; }));
    }
  }
  return static_cast<double>(found) / static_cast<double>(10 * queries.rows());
}

// Differences of components, or of directions, tell near copies apart, and so does the graph that
// codes are walked on.
void expect_near_copies_are_ordered(Metric metric, std::size_t rows) {
  constexpr std::size_t kDims = 64;
  const Vectors center = test::random_vectors(1, kDims, 25);
  for (const float spread : {1e-4f, 1e-6f}) {
    Vectors vectors = test::random_vectors(rows, kDims, 26);
    Vectors queries = test::random_vectors(40, kDims, 27);
    for (Vectors* some : {&vectors, &queries}) {
      for (std::size_t i = 0; i < some->values.size(); ++i) {
        some->values[i] = center.row(0)[i % kDims] + spread * some->values[i];
      }
    }
    IndexParams params;
    params.dimensions = kDims;
    params.metric = metric;
    params.traversal = Traversal::code;
    const Index index =
        spread == 1e-4f ? test::built(params, vectors) : test::added(params, vectors);
    EXPECT_GE(share_of_keys(index, vectors, queries), 0.97) << spread;
  }
}

TEST(NearCopies, FinerThanACodesStepAreOrderedUnderSquaredDistance) {
  expect_near_copies_are_ordered(Metric::l2sq, 1500);
}

TEST(NearCopies, FinerThanACodesStepAreOrderedUnderCosine) {
  expect_near_copies_are_ordered(Metric::cosine, 3000);
}

// Whole numbers with many zeros, like images: the errors of their codes depend on each other.
TEST(Images, AreWalkedOnce) {
  constexpr std::size_t kDims = 256;
  std::mt19937 random(185);
  const auto images = [&](std::size_t rows) {
    Vectors vectors = test::random_vectors(rows, kDims, 186);
    for (float& value : vectors.values) {
      const auto number = random();
      value = number % 10 < 3 ? static_cast<float>((number >> 8) % 4 * 60) : 0.0f;
    }
    for (std::size_t i = 0; i < rows; ++i) vectors.values[i * kDims] = 255;
    return vectors;
  };
  const Vectors vectors = images(3000);
  const Vectors queries = images(50);
  const auto distances_by = [&](Metric metric, Traversal traversal) {
    IndexParams params = params_of(vectors, metric, Scalar::f32);
    params.traversal = traversal;
    const Index index = test::built(params, vectors);
    std::uint64_t distances = 0;
    for (std::size_t i = 0; i < queries.rows(); ++i) {
      SearchReport report;
      SearchParams search{10, 16};
      search.plan = Plan::walk;
      search.report = &report;
      EXPECT_TRUE(index.search(queries.vector(i), search));
      distances += report.distances;
    }
    return static_cast<double>(distances);
  };
  for (const Metric metric : {Metric::l2sq, Metric::cosine}) {
    EXPECT_LT(distances_by(metric, Traversal::code), 1.5 * distances_by(metric, Traversal::exact));
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
