// SPDX-License-Identifier: Apache-2.0
//
// Many copies of few vectors must not cost more than vectors that all differ. What is compared is
// the number of distances: this program has a kernel table of its own, which counts them.
#include <gtest/gtest.h>

#include <atomic>
#include <cmath>
#include <cstdint>
#include <utility>
#include <vector>

#include <cairn/cairn.h>

#include "simd/kernels.h"
#include "simd/tables.h"
#include "tests/support/vectors.h"

namespace cairn {
namespace simd {
namespace {

std::atomic<std::uint64_t> distances{0};

template <auto Kernel, class Query, class... Rest>
void counted(Query query, Rows rows, const std::uint32_t* ids, std::size_t n,
             Rest... rest) noexcept {
  distances.fetch_add(n, std::memory_order_relaxed);
  (scalar_table()->*Kernel)(query, rows, ids, n, rest...);
}

void counted_tile(const std::byte* tile, std::size_t n, const RowFactors* factors,
                  const std::byte* panel, const PanelQueries& queries, std::size_t dim, float* out,
                  std::size_t stride, std::uint32_t* near) noexcept {
  distances.fetch_add(n * kPanelColumns, std::memory_order_relaxed);
  scalar_table()->score_tile(tile, n, factors, panel, queries, dim, out, stride, near);
}

const KernelTable& counting_table() {
  static const KernelTable table = [] {
    KernelTable made = *scalar_table();
    made.dot_f32_many = counted<&KernelTable::dot_f32_many, const float*, std::size_t, float*>;
    made.l2_f32_many = counted<&KernelTable::l2_f32_many, const float*, std::size_t, float*>;
    made.score_tile = counted_tile;
    made.score_codes = counted<&KernelTable::score_codes, const CodeQuery&, float*>;
    return made;
  }();
  return table;
}

}  // namespace

// In the place of simd/choice.cc.
const Active& active() noexcept {
  static const Active counting{&counting_table(), nullptr};
  return counting;
}
Choices choices() noexcept {
  static const Choice only{&counting_table(), true};
  return {&only, 1};
}

}  // namespace simd

namespace {

using test::Vectors;

constexpr std::size_t kDims = 16;

Vectors repeated(std::size_t distinct, std::size_t rows) {
  const Vectors few = test::random_vectors(distinct, kDims, 31);
  Vectors all{kDims, {}, {}};
  for (std::size_t i = 0; i < rows; ++i) all.append(i, {few.row(i % distinct), kDims});
  return all;
}

Index built_by_two(const IndexParams& params, const Vectors& vectors) {
  return test::built(params, vectors, 2);
}

struct Way {
  Index (*make)(const IndexParams&, const Vectors&);
  std::size_t rows;
};

struct Work {
  std::uint64_t distances;
  std::uint64_t unreachable;
};

Work work_of(const Way& way, Metric metric, std::size_t distinct) {
  IndexParams params;
  params.dimensions = kDims;
  params.metric = metric;
  params.ef_construction = 100;
  const Vectors vectors = repeated(distinct, way.rows);
  const std::uint64_t before = simd::distances;
  const Index index = way.make(params, vectors);
  const std::uint64_t done = simd::distances - before;
  return {done, index.verify()->unreachable};
}

class Copies : public testing::TestWithParam<Metric> {};

INSTANTIATE_TEST_SUITE_P(TwoMetrics, Copies, testing::Values(Metric::cosine, Metric::l2sq));

TEST_P(Copies, TakeNoMoreDistancesThanVectorsThatDiffer) {
  for (const Way& way : {Way{built_by_two, 20000}, Way{test::added, 5000}}) {
    const std::uint64_t usual = work_of(way, GetParam(), way.rows).distances;
    EXPECT_GT(usual, 100 * way.rows);  // they are counted
    for (const std::size_t distinct : {1u, 10u}) {
      const Work work = work_of(way, GetParam(), distinct);
      EXPECT_LE(work.distances, 2 * usual)
          << distinct << " distinct among " << way.rows << " vectors";
      EXPECT_EQ(work.unreachable, 0u) << distinct << " distinct among " << way.rows << " vectors";
    }
  }
}

// A vector times others that differ in length alone, or hardly.
Vectors parallel(std::size_t rows, bool scaled) {
  const Vectors one = test::random_vectors(1, kDims, 32);
  const Vectors noise = test::random_vectors(rows, kDims, 33);
  Vectors all{kDims, {}, {}};
  std::vector<float> row(kDims);
  for (std::size_t i = 0; i < rows; ++i) {
    const float length = scaled ? std::exp(noise.row(i)[0]) : 1.0f;
    const float spread = scaled ? 0.0f : 1e-4f;
    for (std::size_t j = 0; j < kDims; ++j) {
      row[j] = length * (one.row(0)[j] + spread * noise.row(i)[j]);
    }
    all.append(i, row);
  }
  return all;
}

TEST(NearlyParallelVectors, TakeNoMoreDistancesThanVectorsThatDiffer) {
  IndexParams params;
  params.dimensions = kDims;
  for (const Traversal traversal : {Traversal::code, Traversal::exact}) {
    params.traversal = traversal;
    const auto distances_of = [&](const Vectors& vectors) {
      const std::uint64_t before = simd::distances;
      (void)test::added(params, vectors);
      return simd::distances - before;
    };
    const std::uint64_t usual = distances_of(test::random_vectors(1500, kDims, 34));
    EXPECT_LE(distances_of(parallel(1500, true)), 2 * usual);
    EXPECT_LE(distances_of(parallel(1500, false)), 2 * usual);
  }
}

}  // namespace
}  // namespace cairn
