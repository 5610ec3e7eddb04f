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
  static Batch broadcast(float v) noexcept { return Batch(v); }
  static IdBatch broadcast(std::uint32_t v) noexcept { return IdBatch(v); }
  // What pool_insert needs. Not `v <= d`: NaN counts as above.
  using Mask = bool;
  static Mask above(Batch v, Batch d) noexcept { return !(v.value <= d.value); }
  static Mask from_lane(std::size_t n) noexcept { return n == 0; }
  static Mask either(Mask a, Mask b) noexcept { return a || b; }
  static Mask without(Mask a, Mask b) noexcept { return a && !b; }
  static std::uint32_t count(Mask m) noexcept { return m ? 1 : 0; }
  template <class T>
  static Lane<T> pick(Mask m, Lane<T> yes, Lane<T> no) noexcept {
    return m ? yes : no;
  }
  // The lanes of v one up, below them the last lane of `lower`.
  template <class T>
  static Lane<T> slide(Lane<T> lower, Lane<T>) noexcept {
    return lower;
  }

  static std::uint32_t less_equal_bits(Batch v, float d) noexcept { return v.value <= d ? 1 : 0; }
  static std::uint32_t less_bits(Batch v, float d) noexcept { return v.value < d ? 1 : 0; }
};

}  // namespace
}  // namespace cairn::simd
