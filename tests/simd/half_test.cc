// SPDX-License-Identifier: Apache-2.0
//
// f16 and bf16: conversions, and f32 queries against rows of them.
#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <limits>
#include <random>
#include <vector>

#include "simd/kernels.h"
#include "tests/simd/each_isa.h"
#include "tests/simd/guarded.h"

namespace cairn::simd {
namespace {

using Half = EachIsa;
CAIRN_FOR_EACH_ISA(Half);

constexpr double kInfinity = std::numeric_limits<double>::infinity();

// A kind of 16 bits: a sign, `exponent_bits`, and the fraction.
struct Kind {
  const char* name;
  int exponent_bits;
  void (*KernelTable::*widen)(const std::uint16_t*, std::size_t, float*) noexcept;
  void (*KernelTable::*narrow)(const float*, std::size_t, std::uint16_t*) noexcept;
  float (*KernelTable::*dot)(const float*, const std::uint16_t*, std::size_t) noexcept;
  float (*KernelTable::*l2)(const float*, const std::uint16_t*, std::size_t) noexcept;
  void (*KernelTable::*dot_many)(const float*, Rows, const std::uint32_t*, std::size_t, std::size_t,
                                 float*) noexcept;
  void (*KernelTable::*l2_many)(const float*, Rows, const std::uint32_t*, std::size_t, std::size_t,
                                float*) noexcept;

  int fraction_bits() const { return 15 - exponent_bits; }
  int bias() const { return (1 << (exponent_bits - 1)) - 1; }
  int last_exponent() const { return (1 << exponent_bits) - 1; }
  std::uint16_t infinity() const {
    return static_cast<std::uint16_t>(last_exponent() << fraction_bits());
  }

  // What the bits mean, by the definition of IEEE 754.
  double value(std::uint16_t bits) const {
    const int fraction = bits & ((1 << fraction_bits()) - 1);
    const int exponent = (bits >> fraction_bits()) & last_exponent();
    const double sign = (bits & 0x8000) != 0 ? -1.0 : 1.0;
    if (exponent == last_exponent()) {
      return fraction == 0 ? sign * kInfinity : std::numeric_limits<double>::quiet_NaN();
    }
    const int units = exponent == 0 ? fraction : fraction + (1 << fraction_bits());
    return sign * std::ldexp(units, std::max(exponent, 1) - bias() - fraction_bits());
  }

  // The nearest finite value or infinity, by comparing with both neighbours. Ties to even.
  std::uint16_t nearest(float v) const {
    const auto sign = static_cast<std::uint16_t>(std::signbit(v) ? 0x8000 : 0);
    const double magnitude = std::fabs(double{v});
    std::uint16_t below = 0;  // the largest that is not above: bit patterns are ordered
    for (int bit = 14; bit >= 0; --bit) {
      const auto next = static_cast<std::uint16_t>(below | 1 << bit);
      if (next <= infinity() && value(next) <= magnitude) below = next;
    }
    if (below == infinity()) return sign | below;
    const auto above = static_cast<std::uint16_t>(below + 1);
    // Where infinity stands is where the next number would be if the range did not end.
    const double step = above == infinity()
                            ? value(below) - value(static_cast<std::uint16_t>(below - 1))
                            : value(above) - value(below);
    const double over = magnitude - value(below);
    const bool up = over > step / 2 || (over == step / 2 && (below & 1) != 0);
    return static_cast<std::uint16_t>(sign | (up ? above : below));
  }
};

constexpr Kind kKinds[] = {
    {"f16", 5, &KernelTable::f16_to_f32, &KernelTable::f32_to_f16, &KernelTable::dot_f16,
     &KernelTable::l2_f16, &KernelTable::dot_f16_many, &KernelTable::l2_f16_many},
    {"bf16", 8, &KernelTable::bf16_to_f32, &KernelTable::f32_to_bf16, &KernelTable::dot_bf16,
     &KernelTable::l2_bf16, &KernelTable::dot_bf16_many, &KernelTable::l2_bf16_many},
};

std::vector<std::uint16_t> all_halves() {
  std::vector<std::uint16_t> all(65536);
  for (std::size_t i = 0; i < all.size(); ++i) all[i] = static_cast<std::uint16_t>(i);
  return all;
}

// Finite numbers of very different sizes and both signs, among them zeros and denormals.
void fill(const Kind& kind, std::uint16_t* v, std::size_t n, std::mt19937& random) {
  std::uniform_int_distribution<int> exponent(0, 12);
  for (std::size_t i = 0; i < n; ++i) {
    const int e = random() % 16 == 0 ? 0 : kind.bias() - 6 + exponent(random);
    const auto rest = static_cast<int>(random() & 0xFFFF);
    v[i] = static_cast<std::uint16_t>((rest & 0x8000) | (e << kind.fraction_bits()) |
                                      (rest & ((1 << kind.fraction_bits()) - 1)));
  }
}

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

Reference reference_dot(const Kind& kind, const float* a, const std::uint16_t* b, std::size_t n) {
  Reference r;
  for (std::size_t i = 0; i < n; ++i) {
    const double term = double{a[i]} * kind.value(b[i]);
    r.value += term;
    r.bound += std::abs(term);
  }
  r.bound *= gamma(n + 8);
  return r;
}

Reference reference_l2(const Kind& kind, const float* a, const std::uint16_t* b, std::size_t n) {
  Reference r;
  for (std::size_t i = 0; i < n; ++i) {
    const double d = double{a[i]} - kind.value(b[i]);
    r.value += d * d;
  }
  r.bound = r.value * gamma(n + 8);
  return r;
}

void expect_near(float got, Reference want) { EXPECT_NEAR(double{got}, want.value, want.bound); }

TEST_P(Half, EveryBitPatternWidensToWhatItMeans) {
  const std::vector<std::uint16_t> all = all_halves();
  for (const Kind& kind : kKinds) {
    std::vector<float> wide(all.size());
    (kernels().*kind.widen)(all.data(), all.size(), wide.data());
    for (std::size_t i = 0; i < all.size(); ++i) {
      const double want = kind.value(all[i]);
      if (std::isnan(want)) {
        EXPECT_TRUE(std::isnan(wide[i])) << kind.name << " " << i;
      } else {
        EXPECT_EQ(double{wide[i]}, want) << kind.name << " " << i;
      }
      EXPECT_EQ(std::signbit(wide[i]), (i & 0x8000) != 0) << kind.name << " " << i;
    }
  }
}

TEST_P(Half, WideningGivesTheBitsOfTheScalarOneAndReadsNothingOutside) {
  std::mt19937 random(1);
  for (const Kind& kind : kKinds) {
    for (const Flush flush : {Flush::kEnd, Flush::kBegin}) {
      for (const std::size_t n : lengths()) {
        const Guarded<std::uint16_t> v(n, flush);
        for (auto& bits : v) bits = static_cast<std::uint16_t>(random());
        const Guarded<float> wide(n, flush);
        (kernels().*kind.widen)(v.data(), n, wide.data());
        std::vector<float> want(n);
        (scalar().*kind.widen)(v.data(), n, want.data());
        for (std::size_t i = 0; i < n; ++i) {
          EXPECT_EQ(std::bit_cast<std::uint32_t>(wide[i]), std::bit_cast<std::uint32_t>(want[i]))
              << kind.name << " " << v[i];
        }
      }
    }
  }
}

// Each number itself, what lies half way to its neighbour, and the floats beside both.
TEST_P(Half, NarrowingRoundsToNearestEven) {
  for (const Kind& kind : kKinds) {
    std::vector<float> values;
    for (std::uint32_t bits = 0; bits <= kind.infinity(); bits += 1) {
      // Every number near the ends of the range and of the denormal ones, else one of 37.
      const std::uint32_t first_normal = 1U << kind.fraction_bits();
      const bool end = bits < 64 || bits + 64 > kind.infinity() ||
                       (bits + 64 > first_normal && bits < first_normal + 64);
      if (!end && bits % 37 != 0) continue;
      const auto here = static_cast<float>(kind.value(static_cast<std::uint16_t>(bits)));
      const auto next = static_cast<float>(kind.value(static_cast<std::uint16_t>(bits + 1)));
      for (const float v : {here, std::isfinite(next) ? here + (next - here) / 2 : here}) {
        values.insert(values.end(), {v, std::nextafter(v, 0.0F),
                                     std::nextafter(v, std::numeric_limits<float>::infinity())});
      }
    }
    for (const float v : {65519.996F, 65520.0F, 65536.0F, 1e-8F, 2.98e-8F, 2.99e-8F, 1e-45F,
                          3.39e38F, 3.3961776e38F, 3.4028235e38F}) {
      values.push_back(v);
    }
    const std::size_t positive = values.size();
    for (std::size_t i = 0; i < positive; ++i) values.push_back(-values[i]);
    std::vector<std::uint16_t> narrow(values.size());
    (kernels().*kind.narrow)(values.data(), values.size(), narrow.data());
    for (std::size_t i = 0; i < values.size(); ++i) {
      EXPECT_EQ(narrow[i], kind.nearest(values[i])) << kind.name << " " << values[i];
    }
  }
}

TEST_P(Half, NarrowingUndoesWideningAndKeepsNanNan) {
  const std::vector<std::uint16_t> all = all_halves();
  for (const Kind& kind : kKinds) {
    std::vector<float> wide(all.size());
    std::vector<std::uint16_t> back(all.size());
    (kernels().*kind.widen)(all.data(), all.size(), wide.data());
    (kernels().*kind.narrow)(wide.data(), wide.size(), back.data());
    for (std::size_t i = 0; i < all.size(); ++i) {
      if (std::isnan(wide[i])) {
        EXPECT_TRUE(std::isnan(kind.value(back[i]))) << kind.name << " " << i;
      } else {
        EXPECT_EQ(back[i], all[i]) << kind.name;
      }
    }
  }
}

TEST_P(Half, NarrowingGivesTheBitsOfTheScalarOneAndWritesNothingOutside) {
  std::mt19937 random(2);
  for (const Kind& kind : kKinds) {
    for (const Flush flush : {Flush::kEnd, Flush::kBegin}) {
      for (const std::size_t n : lengths()) {
        const Guarded<float> v(n, flush);
        for (auto& x : v) x = std::bit_cast<float>(static_cast<std::uint32_t>(random()));
        for (std::size_t i = 0; i < n; i += 3)
          v[i] = std::ldexp(1.0F, 20 - static_cast<int>(i % 50)) * 1.337F;
        const Guarded<std::uint16_t> narrow(n, flush);
        (kernels().*kind.narrow)(v.data(), n, narrow.data());
        std::vector<std::uint16_t> want(n);
        (scalar().*kind.narrow)(v.data(), n, want.data());
        for (std::size_t i = 0; i < n; ++i) EXPECT_EQ(narrow[i], want[i]) << kind.name << v[i];
      }
    }
  }
}

TEST_P(Half, PairsOfEveryLengthAreWithinTheStatedErrorAndReadNothingOutside) {
  std::mt19937 random(3);
  for (const Kind& kind : kKinds) {
    for (const Flush flush : {Flush::kEnd, Flush::kBegin}) {
      for (const std::size_t n : lengths()) {
        SCOPED_TRACE(n);
        const Guarded<float> a(n, flush);
        const Guarded<std::uint16_t> b(n, flush);
        fill(a.data(), n, random);
        fill(kind, b.data(), n, random);
        expect_near((kernels().*kind.dot)(a.data(), b.data(), n),
                    reference_dot(kind, a.data(), b.data(), n));
        expect_near((kernels().*kind.l2)(a.data(), b.data(), n),
                    reference_l2(kind, a.data(), b.data(), n));
      }
    }
  }
}

TEST_P(Half, LongestVectorIsWithinTheStatedError) {
  constexpr std::size_t n = 65535;
  std::mt19937 random(4);
  for (const Kind& kind : kKinds) {
    const Guarded<float> a(n);
    const Guarded<std::uint16_t> b(n);
    fill(a.data(), n, random);
    fill(kind, b.data(), n, random);
    expect_near((kernels().*kind.dot)(a.data(), b.data(), n),
                reference_dot(kind, a.data(), b.data(), n));
    expect_near((kernels().*kind.l2)(a.data(), b.data(), n),
                reference_l2(kind, a.data(), b.data(), n));
  }
}

TEST_P(Half, AlignmentDoesNotChangeOneBit) {
  std::mt19937 random(5);
  for (const Kind& kind : kKinds) {
    for (const std::size_t n : {std::size_t{7}, std::size_t{100}, std::size_t{129}}) {
      std::vector<float> a(n);
      std::vector<std::uint16_t> b(n);
      fill(a.data(), n, random);
      fill(kind, b.data(), n, random);
      const float dot = (kernels().*kind.dot)(a.data(), b.data(), n);
      const float l2 = (kernels().*kind.l2)(a.data(), b.data(), n);
      for (std::size_t at = 0; at < 32; ++at) {
        alignas(64) float space_a[160];
        alignas(64) std::uint16_t space_b[192];
        float* const moved_a = space_a + at % 16;
        std::copy(a.begin(), a.end(), moved_a);
        std::copy(b.begin(), b.end(), space_b + at);
        EXPECT_EQ((kernels().*kind.dot)(moved_a, space_b + at, n), dot);
        EXPECT_EQ((kernels().*kind.l2)(moved_a, space_b + at, n), l2);
      }
    }
  }
}

TEST_P(Half, EqualVectorsAreAtDistanceZero) {
  std::mt19937 random(6);
  for (const Kind& kind : kKinds) {
    for (const std::size_t n : lengths()) {
      std::vector<std::uint16_t> row(n);
      std::vector<float> query(n);
      fill(kind, row.data(), n, random);
      (kernels().*kind.widen)(row.data(), n, query.data());
      EXPECT_EQ((kernels().*kind.l2)(query.data(), row.data(), n), 0.0F);
    }
  }
}

TEST_P(Half, NanAndInfinityAtAnyPlaceReachTheResult) {
  for (const Kind& kind : kKinds) {
    const auto one = static_cast<std::uint16_t>(kind.bias() << kind.fraction_bits());
    for (std::size_t n = 1; n <= 140; ++n) {
      const std::vector<float> ones(n, 1.0F);
      for (std::size_t i = 0; i < n; ++i) {
        std::vector<std::uint16_t> row(n, one);
        row[i] = static_cast<std::uint16_t>(kind.infinity() + 1);
        EXPECT_TRUE(std::isnan((kernels().*kind.dot)(ones.data(), row.data(), n)));
        EXPECT_TRUE(std::isnan((kernels().*kind.l2)(ones.data(), row.data(), n)));
        row[i] = kind.infinity() | 0x8000;
        EXPECT_EQ(double{(kernels().*kind.dot)(ones.data(), row.data(), n)}, -kInfinity);
        EXPECT_EQ(double{(kernels().*kind.l2)(ones.data(), row.data(), n)}, kInfinity);
      }
    }
  }
}

TEST_P(Half, ListsGiveTheBitsOfPairsInOrderOfIdsAndReadNothingOutside) {
  std::mt19937 random(7);
  constexpr std::size_t row_count = 9;
  for (const Kind& kind : kKinds) {
    for (const std::size_t dim : lengths()) {
      for (const std::size_t padding : {std::size_t{0}, std::size_t{3}}) {
        SCOPED_TRACE(dim);
        const std::size_t width = dim + padding;
        const Guarded<std::uint16_t> table(row_count * width - padding);
        const Guarded<float> query(dim);
        fill(kind, table.data(), table.size(), random);
        fill(query.data(), dim, random);
        const Rows rows{static_cast<const std::byte*>(static_cast<const void*>(table.data())),
                        width * sizeof(std::uint16_t)};
        for (const std::size_t n : std::initializer_list<std::size_t>{0, 1, 3, 4, 5, 14}) {
          const Guarded<std::uint32_t> ids(n);
          for (auto& id : ids) id = static_cast<std::uint32_t>(random() % row_count);
          if (n != 0) ids[n - 1] = row_count - 1;  // the one at the guard
          const Guarded<float> dot(n);
          const Guarded<float> l2(n);
          (kernels().*kind.dot_many)(query.data(), rows, ids.data(), n, dim, dot.data());
          (kernels().*kind.l2_many)(query.data(), rows, ids.data(), n, dim, l2.data());
          for (std::size_t i = 0; i < n; ++i) {
            const std::uint16_t* row = table.data() + ids[i] * width;
            EXPECT_EQ(std::bit_cast<std::uint32_t>(dot[i]),
                      std::bit_cast<std::uint32_t>((kernels().*kind.dot)(query.data(), row, dim)));
            EXPECT_EQ(std::bit_cast<std::uint32_t>(l2[i]),
                      std::bit_cast<std::uint32_t>((kernels().*kind.l2)(query.data(), row, dim)));
          }
        }
      }
    }
  }
}

}  // namespace
}  // namespace cairn::simd
