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
  friend Lane operator*(Lane a, Lane b) noexcept { return Lane(a.value * b.value); }
  friend Lane operator-(Lane a, Lane b) noexcept { return Lane(a.value - b.value); }
};

inline float float_of_bits(std::uint32_t bits) noexcept {
  float value;
  __builtin_memcpy(&value, &bits, sizeof(value));
  return value;
}

inline std::uint32_t bits_of_float(float value) noexcept {
  std::uint32_t bits;
  __builtin_memcpy(&bits, &value, sizeof(bits));
  return bits;
}

// Binary16 has 5 bits of exponent with a bias of 15 and 10 of fraction; binary32 8, 127 and 23.
// Denormal numbers are taken by way of normal ones, for a program may have them flushed to zero.
inline float float_of_f16(std::uint16_t half) noexcept {
  const std::uint32_t sign = (half & 0x8000U) << 16;
  const std::uint32_t magnitude = half & 0x7FFFU;
  const std::uint32_t shifted = magnitude << 13;
  if (magnitude > 0x7C00U) return float_of_bits(sign | 0x7FC0'0000U | shifted);
  if (magnitude == 0x7C00U) return float_of_bits(sign | 0x7F80'0000U);
  if (magnitude >= 0x0400U) return float_of_bits(sign | (shifted + (112U << 23)));
  const float value = float_of_bits((113U << 23) | shifted) - 0x1p-14F;
  return float_of_bits(sign | bits_of_float(value));
}

inline std::uint16_t f16_of_float(float value) noexcept {
  const std::uint32_t bits = bits_of_float(value);
  const std::uint32_t sign = bits >> 16 & 0x8000U;
  const std::uint32_t magnitude = bits & 0x7FFF'FFFFU;
  std::uint32_t half;
  if (magnitude > 0x7F80'0000U) {
    half = 0x7E00U | (magnitude >> 13 & 0x03FFU);
  } else if (magnitude >= 0x477F'F000U) {  // 65520, half a step above the largest
    half = 0x7C00U;
  } else if (magnitude >= 0x3880'0000U) {  // 2^-14, the smallest normal one
    half = (magnitude + 0x0FFFU + (magnitude >> 13 & 1U) - (112U << 23)) >> 13;
  } else {  // the sum has steps of 2^-24, and so rounds to the denormal's
    half = bits_of_float(float_of_bits(magnitude) + 0.5F) - 0x3F00'0000U;
  }
  return static_cast<std::uint16_t>(sign | half);
}

struct FloatScalar {
  using Batch = Lane<float>;
  using IdBatch = Lane<std::uint32_t>;
  static constexpr std::size_t kWidth = 1;

  static Batch zero() noexcept { return Batch(0.0F); }

  // These round twice: fused ones would be library calls on the baseline. Of doubles that were
  // floats products are exact.
  using Doubles = double;
  static constexpr std::size_t kDoubles = 1;
  static double load_doubles(const float* p) noexcept { return double{*p}; }
  static double fma_doubles(double a, double b, double c) noexcept { return a * b + c; }

  static Batch fma(Batch a, Batch b, Batch c) noexcept {
    return Batch(a.value * b.value + c.value);
  }
  static Batch load_first(const float* p, std::size_t) noexcept { return Batch(*p); }
  static Batch load_f16(const std::uint16_t* p) noexcept { return Batch(float_of_f16(*p)); }
  static Batch load_bf16(const std::uint16_t* p) noexcept {
    return Batch(float_of_bits(std::uint32_t{*p} << 16));
  }
  static void store_f16(Batch v, std::uint16_t* p) noexcept { *p = f16_of_float(v.value); }
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
  static Batch lesser(Batch a, Batch b) noexcept { return a.value < b.value ? a : b; }
  static std::uint32_t greater_bits(Batch v, Batch d) noexcept { return v.value > d.value ? 1 : 0; }
  static std::uint32_t less_bits(Batch v, float d) noexcept { return v.value < d ? 1 : 0; }
};

}  // namespace
}  // namespace cairn::simd
