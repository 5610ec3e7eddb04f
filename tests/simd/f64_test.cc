// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <random>
#include <vector>

#include "simd/kernels.h"
#include "tests/simd/each_isa.h"
#include "tests/simd/guarded.h"

namespace cairn::simd {
namespace {

using F64 = EachIsa;
CAIRN_FOR_EACH_ISA(F64);

constexpr double kInf = std::numeric_limits<double>::infinity();
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
constexpr float kFloatInf = std::numeric_limits<float>::infinity();
constexpr float kScaleA = 0.75F;
constexpr float kScaleB = 1.5F;

// Components of very different sizes and both signs.
void fill(float* v, std::size_t n, std::mt19937& random) {
  std::uniform_real_distribution<float> mantissa(-1.0F, 1.0F);
  std::uniform_int_distribution<int> exponent(-6, 6);
  for (std::size_t i = 0; i < n; ++i) v[i] = std::ldexp(mantissa(random), exponent(random));
}

// Sums in more than double, and the sums of their terms' sizes.
struct Reference {
  long double dot = 0;
  long double dot_size = 0;
  long double squares = 0;  // of b
  long double l2 = 0;
  long double scaled = 0;       // of the rounded products with the scales
  long double scaled_size = 0;  // what one rounding of each operation can move, in units
};

Reference reference(const float* a, const float* b, std::size_t n) {
  Reference r;
  for (std::size_t i = 0; i < n; ++i) {
    const long double x = a[i];
    const long double y = b[i];
    r.dot += x * y;
    r.dot_size += std::abs(x * y);
    r.squares += y * y;
    r.l2 += (x - y) * (x - y);
    const long double left = x * kScaleA;
    const long double right = y * kScaleB;
    r.scaled += (left - right) * (left - right);
    r.scaled_size += std::abs(left - right) * (std::abs(left) + std::abs(right));
  }
  return r;
}

void expect_near(double got, long double want, long double bound) {
  EXPECT_LE(std::abs(static_cast<long double>(got) - want), bound) << got;
}

void expect_right(const KernelTable& kernels, const float* a, const float* b, std::size_t n) {
  const Reference want = reference(a, b, n);
  const long double unit = 0x1p-53L * static_cast<long double>(n + 1);
  expect_near(kernels.dot_f64(a, b, n), want.dot, unit * want.dot_size);
  expect_near(kernels.l2_f64(a, b, n), want.l2, 3 * unit * want.l2);
  double sums[2];
  kernels.dot_square_f64(a, b, n, sums);
  expect_near(sums[0], want.dot, unit * want.dot_size);
  expect_near(sums[1], want.squares, unit * want.squares);
  const long double float_unit = 0x1p-24L;
  expect_near(
      kernels.l2_scaled_f32(a, kScaleA, b, kScaleB, n), want.scaled,
      float_unit * (3 * want.scaled_size + static_cast<long double>(n + 8) *
                                               (want.scaled + want.scaled_size * float_unit)));
}

TEST_P(F64, PairsOfEveryLengthAreWithinTheStatedErrorAndReadNothingOutside) {
  std::mt19937 random(1);
  for (const Flush flush : {Flush::kEnd, Flush::kBegin}) {
    for (const std::size_t n : lengths()) {
      SCOPED_TRACE(n);
      const Guarded<float> a(n, flush);
      const Guarded<float> b(n, flush);
      fill(a.data(), n, random);
      fill(b.data(), n, random);
      expect_right(kernels(), a.data(), b.data(), n);
    }
  }
}

TEST_P(F64, LongestVectorIsWithinTheStatedError) {
  constexpr std::size_t n = 65535;
  std::mt19937 random(2);
  const Guarded<float> a(n);
  const Guarded<float> b(n);
  fill(a.data(), n, random);
  fill(b.data(), n, random);
  expect_right(kernels(), a.data(), b.data(), n);
}

TEST_P(F64, AlignmentOfEitherVectorDoesNotChangeOneBit) {
  std::mt19937 random(3);
  for (const std::size_t n : {std::size_t{7}, std::size_t{100}, std::size_t{129}}) {
    std::vector<float> a(n);
    std::vector<float> b(n);
    fill(a.data(), n, random);
    fill(b.data(), n, random);
    const double dot = kernels().dot_f64(a.data(), b.data(), n);
    const double l2 = kernels().l2_f64(a.data(), b.data(), n);
    const float scaled = kernels().l2_scaled_f32(a.data(), kScaleA, b.data(), kScaleB, n);
    for (std::size_t at_a = 0; at_a < 16; ++at_a) {
      for (std::size_t at_b = 0; at_b < 16; ++at_b) {
        alignas(64) float space_a[160];
        alignas(64) float space_b[160];
        const float* x = std::copy(a.begin(), a.end(), space_a + at_a) - n;
        const float* y = std::copy(b.begin(), b.end(), space_b + at_b) - n;
        EXPECT_EQ(kernels().dot_f64(x, y, n), dot);
        EXPECT_EQ(kernels().l2_f64(x, y, n), l2);
        EXPECT_EQ(kernels().l2_scaled_f32(x, kScaleA, y, kScaleB, n), scaled);
      }
    }
  }
}

TEST_P(F64, TwoSumsAtOnceAreThoseOfOne) {
  std::mt19937 random(4);
  for (const std::size_t n : lengths()) {
    std::vector<float> a(n);
    std::vector<float> b(n);
    fill(a.data(), n, random);
    fill(b.data(), n, random);
    double sums[2];
    kernels().dot_square_f64(a.data(), b.data(), n, sums);
    EXPECT_EQ(sums[0], kernels().dot_f64(a.data(), b.data(), n));
    EXPECT_EQ(sums[1], kernels().dot_f64(b.data(), b.data(), n));
  }
}

TEST_P(F64, EqualVectorsAreAtDistanceZero) {
  std::mt19937 random(5);
  for (const std::size_t n : lengths()) {
    std::vector<float> a(n);
    fill(a.data(), n, random);
    EXPECT_EQ(kernels().l2_f64(a.data(), a.data(), n), 0.0);
    EXPECT_EQ(kernels().l2_scaled_f32(a.data(), kScaleA, a.data(), kScaleA, n), 0.0F);
  }
}

TEST_P(F64, ProductsBeyondFloatAreFinite) {
  const std::vector<float> large(37, 3e38F);
  const std::vector<float> small(37, 1e-40F);
  double sums[2];
  kernels().dot_square_f64(small.data(), large.data(), 37, sums);
  EXPECT_NEAR(sums[0], 37 * double{large[0]} * double{small[0]}, 1e-12);
  EXPECT_NEAR(sums[1] / (37 * double{large[0]} * double{large[0]}), 1, 1e-12);
  EXPECT_NEAR(kernels().l2_f64(small.data(), large.data(), 37) / sums[1], 1, 1e-12);
}

TEST_P(F64, NanAtAnyPlaceMakesTheResultNan) {
  for (const std::size_t n : lengths()) {
    if (n > 140) break;
    const std::vector<float> ones(n, 1.0F);
    for (std::size_t i = 0; i < n; ++i) {
      std::vector<float> a = ones;
      a[i] = kNan;
      for (const bool swapped : {false, true}) {
        const float* x = swapped ? ones.data() : a.data();
        const float* y = swapped ? a.data() : ones.data();
        double sums[2];
        kernels().dot_square_f64(x, y, n, sums);
        EXPECT_TRUE(std::isnan(kernels().dot_f64(x, y, n))) << n << " " << i;
        EXPECT_TRUE(std::isnan(kernels().l2_f64(x, y, n))) << n << " " << i;
        EXPECT_TRUE(std::isnan(sums[0])) << n << " " << i;
        EXPECT_EQ(std::isnan(sums[1]), swapped) << n << " " << i;
        EXPECT_TRUE(std::isnan(kernels().l2_scaled_f32(x, kScaleA, y, kScaleB, n))) << n << i;
      }
    }
  }
}

TEST_P(F64, InfinityAtAnyPlaceIsTheResult) {
  for (const std::size_t n : lengths()) {
    if (n > 140) break;
    const std::vector<float> ones(n, 1.0F);
    for (std::size_t i = 0; i < n; ++i) {
      std::vector<float> a = ones;
      for (const float value : {kFloatInf, -kFloatInf}) {
        a[i] = value;
        double sums[2];
        kernels().dot_square_f64(ones.data(), a.data(), n, sums);
        EXPECT_EQ(kernels().dot_f64(a.data(), ones.data(), n), double{value});
        EXPECT_EQ(kernels().l2_f64(ones.data(), a.data(), n), kInf);
        EXPECT_EQ(sums[0], double{value});
        EXPECT_EQ(sums[1], kInf);
        EXPECT_EQ(kernels().l2_scaled_f32(ones.data(), kScaleA, a.data(), kScaleB, n), kFloatInf);
      }
    }
  }
}

}  // namespace
}  // namespace cairn::simd
