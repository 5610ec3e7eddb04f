// SPDX-License-Identifier: Apache-2.0
//
// One float as a vector of one lane, for xsimd 8 has no such architecture.
#pragma once

#include <cstddef>
#include <cstdint>

namespace cairn::simd {
namespace {

template <class T>
struct Lane {
  using value_type = T;
  static constexpr std::size_t size = 1;
  T value;

  Lane() = default;
  explicit Lane(T v) noexcept : value(v) {}
  static Lane load_unaligned(const T* p) noexcept { return Lane(*p); }
  void store_unaligned(T* p) const noexcept { *p = value; }
  friend Lane operator+(Lane a, Lane b) noexcept { return Lane(a.value + b.value); }
  friend Lane operator-(Lane a, Lane b) noexcept { return Lane(a.value - b.value); }
};

struct FloatScalar {
  using Batch = Lane<float>;
  using IdBatch = Lane<std::uint32_t>;
  static constexpr std::size_t kWidth = 1;

  static Batch zero() noexcept { return Batch(0.0F); }

  // Rounds twice: a fused one would be a library call on the baseline.
  static Batch fma(Batch a, Batch b, Batch c) noexcept {
    return Batch(a.value * b.value + c.value);
  }
  static Batch load_first(const float* p, std::size_t) noexcept { return Batch(*p); }
  static Batch max_abs(Batch v, Batch best) noexcept {
    const float a = __builtin_fabsf(v.value);
    return a > best.value ? Batch(a) : best;
  }
  static void reduce4(Batch a, Batch b, Batch c, Batch d, float* out) noexcept {
    out[0] = a.value;
    out[1] = b.value;
    out[2] = c.value;
    out[3] = d.value;
  }
  static std::uint32_t less_equal_bits(const float* p, float d) noexcept { return *p <= d ? 1 : 0; }
  static std::uint32_t less_equal_bits(Batch v, float d) noexcept { return v.value <= d ? 1 : 0; }
  static std::uint32_t less_bits(Batch v, float d) noexcept { return v.value < d ? 1 : 0; }
};

}  // namespace
}  // namespace cairn::simd
