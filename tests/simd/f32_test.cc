// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <random>
#include <vector>

#include "simd/kernels.h"
#include "tests/simd/each_isa.h"
#include "tests/simd/guarded.h"

namespace cairn::simd {
namespace {

using F32 = EachIsa;
CAIRN_FOR_EACH_ISA(F32);

constexpr float kInf = std::numeric_limits<float>::infinity();
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

// Components of very different sizes and both signs.
void fill(float* v, std::size_t n, std::mt19937& random) {
  std::uniform_real_distribution<float> mantissa(-1.0F, 1.0F);
  std::uniform_int_distribution<int> exponent(-6, 6);
  for (std::size_t i = 0; i < n; ++i) v[i] = std::ldexp(mantissa(random), exponent(random));
}

// The exact value to double precision, and the error that simd/kernels.h allows.
struct Reference {
  double value = 0;
  double bound = 0;
};

double gamma(std::size_t m) {
  const double mu = static_cast<double>(m) * 0x1p-24;
  return mu / (1 - mu);
}

Reference reference_dot(const float* a, const float* b, std::size_t n) {
  Reference r;
  for (std::size_t i = 0; i < n; ++i) {
    const double term = static_cast<double>(a[i]) * static_cast<double>(b[i]);
    r.value += term;
    r.bound += std::abs(term);
  }
  r.bound *= gamma(n + 8);
  return r;
}

Reference reference_l2(const float* a, const float* b, std::size_t n) {
  Reference r;
  for (std::size_t i = 0; i < n; ++i) {
    const double d = static_cast<double>(a[i]) - static_cast<double>(b[i]);
    r.value += d * d;
  }
  r.bound = r.value * gamma(n + 8);
  return r;
}

void expect_near(float got, Reference want) {
  EXPECT_NEAR(static_cast<double>(got), want.value, want.bound);
}

TEST_P(F32, PairsOfEveryLengthAreWithinTheStatedErrorAndReadNothingOutside) {
  std::mt19937 random(1);
  for (const Flush flush : {Flush::kEnd, Flush::kBegin}) {
    for (const std::size_t n : lengths()) {
      SCOPED_TRACE(n);
      const Guarded<float> a(n, flush);
      const Guarded<float> b(n, flush);
      fill(a.data(), n, random);
      fill(b.data(), n, random);
      expect_near(kernels().dot_f32(a.data(), b.data(), n), reference_dot(a.data(), b.data(), n));
      expect_near(kernels().l2_f32(a.data(), b.data(), n), reference_l2(a.data(), b.data(), n));
    }
  }
}

TEST_P(F32, LongestVectorIsWithinTheStatedError) {
  constexpr std::size_t n = 65535;
  std::mt19937 random(2);
  const Guarded<float> a(n);
  const Guarded<float> b(n);
  fill(a.data(), n, random);
  fill(b.data(), n, random);
  expect_near(kernels().dot_f32(a.data(), b.data(), n), reference_dot(a.data(), b.data(), n));
  expect_near(kernels().l2_f32(a.data(), b.data(), n), reference_l2(a.data(), b.data(), n));
}

TEST_P(F32, AlignmentOfEitherVectorDoesNotChangeOneBit) {
  std::mt19937 random(3);
  for (const std::size_t n : {std::size_t{7}, std::size_t{100}, std::size_t{129}}) {
    std::vector<float> a(n);
    std::vector<float> b(n);
    fill(a.data(), n, random);
    fill(b.data(), n, random);
    const float dot = kernels().dot_f32(a.data(), b.data(), n);
    const float l2 = kernels().l2_f32(a.data(), b.data(), n);
    for (std::size_t at_a = 0; at_a < 16; ++at_a) {
      for (std::size_t at_b = 0; at_b < 16; ++at_b) {
        alignas(64) float space_a[160];
        alignas(64) float space_b[160];
        std::copy(a.begin(), a.end(), space_a + at_a);
        std::copy(b.begin(), b.end(), space_b + at_b);
        EXPECT_EQ(kernels().dot_f32(space_a + at_a, space_b + at_b, n), dot);
        EXPECT_EQ(kernels().l2_f32(space_a + at_a, space_b + at_b, n), l2);
      }
    }
  }
}

TEST_P(F32, EqualVectorsAreAtDistanceZero) {
  std::mt19937 random(4);
  for (const std::size_t n : lengths()) {
    std::vector<float> a(n);
    fill(a.data(), n, random);
    EXPECT_EQ(kernels().l2_f32(a.data(), a.data(), n), 0.0F);
  }
}

TEST_P(F32, NanAtAnyPlaceMakesTheResultNan) {
  for (const std::size_t n : lengths()) {
    if (n > 140) break;
    const std::vector<float> ones(n, 1.0F);
    for (std::size_t i = 0; i < n; ++i) {
      std::vector<float> a = ones;
      a[i] = kNan;
      EXPECT_TRUE(std::isnan(kernels().dot_f32(a.data(), ones.data(), n))) << n << " " << i;
      EXPECT_TRUE(std::isnan(kernels().dot_f32(ones.data(), a.data(), n))) << n << " " << i;
      EXPECT_TRUE(std::isnan(kernels().l2_f32(a.data(), ones.data(), n))) << n << " " << i;
      EXPECT_TRUE(std::isnan(kernels().l2_f32(ones.data(), a.data(), n))) << n << " " << i;
    }
  }
}

TEST_P(F32, InfinityAtAnyPlaceIsTheResult) {
  for (const std::size_t n : lengths()) {
    if (n > 140) break;
    const std::vector<float> ones(n, 1.0F);
    for (std::size_t i = 0; i < n; ++i) {
      std::vector<float> a = ones;
      a[i] = kInf;
      EXPECT_EQ(kernels().dot_f32(a.data(), ones.data(), n), kInf);
      EXPECT_EQ(kernels().l2_f32(ones.data(), a.data(), n), kInf);
      a[i] = -kInf;
      EXPECT_EQ(kernels().dot_f32(a.data(), ones.data(), n), -kInf);
      EXPECT_EQ(kernels().l2_f32(ones.data(), a.data(), n), kInf);
    }
  }
}

TEST_P(F32, InfinityTimesZeroIsNan) {
  const std::vector<float> zeros(37, 0.0F);
  std::vector<float> a(37, 1.0F);
  a[36] = kInf;
  EXPECT_TRUE(std::isnan(kernels().dot_f32(a.data(), zeros.data(), a.size())));
}

TEST_P(F32, ListsGiveTheBitsOfPairsInOrderOfIdsAndReadNothingOutside) {
  std::mt19937 random(5);
  constexpr std::size_t row_count = 9;
  for (const std::size_t dim : lengths()) {
    for (const std::size_t padding : {std::size_t{0}, std::size_t{3}}) {
      SCOPED_TRACE(dim);
      const std::size_t width = dim + padding;
      const Guarded<float> table(row_count * width - padding);
      const Guarded<float> query(dim);
      fill(table.data(), table.size(), random);
      fill(query.data(), dim, random);
      const Rows rows{static_cast<const std::byte*>(static_cast<const void*>(table.data())),
                      width * sizeof(float)};
      for (std::size_t n = 0; n <= 14; ++n) {
        const Guarded<std::uint32_t> ids(n);
        for (auto& id : ids) id = static_cast<std::uint32_t>(random() % row_count);
        if (n != 0) ids[n - 1] = row_count - 1;  // the one at the guard
        const Guarded<float> dot(n);
        const Guarded<float> l2(n);
        kernels().dot_f32_many(query.data(), rows, ids.data(), n, dim, dot.data());
        kernels().l2_f32_many(query.data(), rows, ids.data(), n, dim, l2.data());
        for (std::size_t i = 0; i < n; ++i) {
          const float* row = table.data() + ids[i] * width;
          EXPECT_EQ(std::bit_cast<std::uint32_t>(dot[i]),
                    std::bit_cast<std::uint32_t>(kernels().dot_f32(query.data(), row, dim)));
          EXPECT_EQ(std::bit_cast<std::uint32_t>(l2[i]),
                    std::bit_cast<std::uint32_t>(kernels().l2_f32(query.data(), row, dim)));
        }
      }
    }
  }
}

TEST_P(F32, LargestMagnitudeIsFoundAtAnyPlaceWithEitherSign) {
  for (const std::size_t n : lengths()) {
    const Guarded<float> v(n);
    EXPECT_EQ(kernels().max_abs(v.data(), n), 0.0F);
    for (std::size_t i = 0; i<n; i += n> 140 ? 29 : 1) {
      std::fill(v.begin(), v.end(), -0.5F);
      v[i] = (i & 1) != 0 ? -2.5F : 2.5F;
      EXPECT_EQ(kernels().max_abs(v.data(), n), 2.5F) << n << " " << i;
    }
  }
}

TEST_P(F32, LargestMagnitudeIgnoresNan) {
  for (const std::size_t n : lengths()) {
    if (n == 0 || n > 140) continue;
    std::vector<float> v(n, kNan);
    EXPECT_EQ(kernels().max_abs(v.data(), n), 0.0F);
    for (std::size_t i = 0; i < n; ++i) {
      v.assign(n, -3.0F);
      v[i] = -kNan;
      EXPECT_EQ(kernels().max_abs(v.data(), n), n == 1 ? 0.0F : 3.0F) << n << " " << i;
    }
  }
}

TEST_P(F32, LargestMagnitudeOfInfinityIsInfinity) {
  const float v[] = {1.0F, -kInf, kNan, 3.0F, 5.0F};
  EXPECT_EQ(kernels().max_abs(v, 5), kInf);
}

TEST_P(F32, QuantizingRoundsToNearestEvenAndSumsTheSquares) {
  std::mt19937 random(6);
  std::uniform_real_distribution<float> within(-1.0F, 1.0F);
  for (const std::size_t n : lengths()) {
    const Guarded<float> v(n);
    const Guarded<std::int8_t> code(n);
    for (const float factor : {127.0F, 63.7F, 1.0F, 0.0F}) {
      for (auto& x : v) x = within(random);
      const std::int32_t squares = kernels().quantize_i8(v.data(), factor, n, code.data());
      std::int32_t want_squares = 0;
      for (std::size_t i = 0; i < n; ++i) {
        const auto want = static_cast<int>(std::nearbyint(v[i] * factor));
        EXPECT_EQ(static_cast<int>(code[i]), want) << v[i] << " * " << factor;
        want_squares += want * want;
      }
      EXPECT_EQ(squares, want_squares);
    }
  }
}

TEST_P(F32, QuantizingTakesHalvesToTheEvenNeighbour) {
  std::vector<float> halves;
  for (int i = -127; i < 127; ++i) halves.push_back(static_cast<float>(i) + 0.5F);
  std::vector<std::int8_t> code(halves.size());
  kernels().quantize_i8(halves.data(), 1.0F, halves.size(), code.data());
  for (std::size_t i = 0; i < halves.size(); ++i) {
    EXPECT_EQ(code[i] % 2, 0) << halves[i];
    EXPECT_EQ(std::abs(static_cast<float>(code[i]) - halves[i]), 0.5F) << halves[i];
  }
}

TEST_P(F32, QuantizingReachesBothEndsOfTheRange) {
  const std::vector<float> ends = {1.0F, -1.0F, 0.0F, -0.0F, 1.0F, -1.0F, 1.0F, 1.0F, -1.0F};
  std::vector<std::int8_t> code(ends.size());
  EXPECT_EQ(kernels().quantize_i8(ends.data(), 127.0F, ends.size(), code.data()), 7 * 127 * 127);
  EXPECT_EQ(code, (std::vector<std::int8_t>{127, -127, 0, 0, 127, -127, 127, 127, -127}));
}

}  // namespace
}  // namespace cairn::simd
