// SPDX-License-Identifier: Apache-2.0
//
// What the float kernels need of 64-bit NEON beyond xsimd's operators.
#pragma once

#include <arm_neon.h>

#include <cstddef>
#include <cstdint>
#include <xsimd/xsimd.hpp>

namespace cairn::simd {
namespace {

// A name of our own for the architecture: xsimd's templates instantiated with it are local to the
// object, so those that the compiler does not inline cannot be taken for another object's. (Its
// overloads look at double, too.) Its broadcast for NEON wants
// the original name: hence zero() below.
struct NeonArch : xsimd::neon64 {};

}  // namespace
}  // namespace cairn::simd

namespace xsimd::types {

XSIMD_DECLARE_SIMD_REGISTER(float, cairn::simd::NeonArch, float32x4_t);
XSIMD_DECLARE_SIMD_REGISTER(double, cairn::simd::NeonArch, float64x2_t);
XSIMD_DECLARE_SIMD_REGISTER(std::uint32_t, cairn::simd::NeonArch, uint32x4_t);

template <class T>
struct get_bool_simd_register<T, cairn::simd::NeonArch>
    : detail::neon_bool_simd_register<T, cairn::simd::NeonArch> {};

}  // namespace xsimd::types

namespace cairn::simd {
namespace {

struct FloatNeon {
  using Batch = xsimd::batch<float, NeonArch>;
  using IdBatch = xsimd::batch<std::uint32_t, NeonArch>;
  static constexpr std::size_t kWidth = Batch::size;

  static Batch zero() noexcept { return vdupq_n_f32(0.0F); }

  static Batch fma(Batch a, Batch b, Batch c) noexcept { return vfmaq_f32(c, a, b); }

  // Two floats as doubles.
  using Doubles = float64x2_t;
  static constexpr std::size_t kDoubles = 2;
  static Doubles load_doubles(const float* p) noexcept { return vcvt_f64_f32(vld1_f32(p)); }
  static Doubles fma_doubles(Doubles a, Doubles b, Doubles c) noexcept {
    return vfmaq_f64(c, a, b);
  }

  // The first n < kWidth floats, then zeros.
  static Batch load_first(const float* p, std::size_t n) noexcept {
    float32x4_t v = vld1q_lane_f32(p, vdupq_n_f32(0.0F), 0);
    if (n > 1) v = vld1q_lane_f32(p + 1, v, 1);
    if (n > 2) v = vld1q_lane_f32(p + 2, v, 2);
    return v;
  }

  // 4 components of 16 bits, and the first n < 4 followed by zeros.
  static Batch load_f16(const std::uint16_t* p) noexcept { return widen_f16(vld1_u16(p)); }
  static Batch load_first_f16(const std::uint16_t* p, std::size_t n) noexcept {
    return widen_f16(load_first_halves(p, n));
  }
  static Batch load_bf16(const std::uint16_t* p) noexcept { return widen_bf16(vld1_u16(p)); }
  static Batch load_first_bf16(const std::uint16_t* p, std::size_t n) noexcept {
    return widen_bf16(load_first_halves(p, n));
  }
  static void store_f16(Batch v, std::uint16_t* p) noexcept {
    vst1_u16(p, vreinterpret_u16_f16(vcvt_f16_f32(v)));
  }

  // A comparison with NaN is false and keeps `best`.
  static Batch max_abs(Batch v, Batch best) noexcept {
    const float32x4_t a = vabsq_f32(v);
    return vbslq_f32(vcgtq_f32(a, best), a, best);
  }

  static void reduce4(Batch a, Batch b, Batch c, Batch d, float* out) noexcept {
    vst1q_f32(out, vpaddq_f32(vpaddq_f32(a, b), vpaddq_f32(c, d)));
  }

  static Batch broadcast(float v) noexcept { return vdupq_n_f32(v); }
  static IdBatch broadcast(std::uint32_t v) noexcept { return vdupq_n_u32(v); }
  // What pool_insert needs. Not `v <= d`: NaN counts as above.
  using Mask = uint32x4_t;
  static Mask above(Batch v, Batch d) noexcept { return vmvnq_u32(vcleq_f32(v, d)); }
  static Mask from_lane(std::size_t n) noexcept {
    const uint32x4_t lane =
        vcombine_u32(vcreate_u32(0x0000'0001'0000'0000U), vcreate_u32(0x0000'0003'0000'0002U));
    return vcgeq_u32(lane, vdupq_n_u32(static_cast<std::uint32_t>(n)));
  }
  static Mask either(Mask a, Mask b) noexcept { return vorrq_u32(a, b); }
  static Mask without(Mask a, Mask b) noexcept { return vbicq_u32(a, b); }
  static std::uint32_t count(Mask m) noexcept { return vaddvq_u32(vshrq_n_u32(m, 31)); }
  static Batch pick(Mask m, Batch yes, Batch no) noexcept { return vbslq_f32(m, yes, no); }
  static IdBatch pick(Mask m, IdBatch yes, IdBatch no) noexcept { return vbslq_u32(m, yes, no); }
  // The lanes of v one up, below them the last lane of `lower`.
  static Batch slide(Batch lower, Batch v) noexcept { return vextq_f32(lower, v, 3); }
  static IdBatch slide(IdBatch lower, IdBatch v) noexcept { return vextq_u32(lower, v, 3); }

  static std::uint32_t less_equal_bits(Batch v, float d) noexcept {
    return bits(vcleq_f32(v, vdupq_n_f32(d)));
  }
  static Batch lesser(Batch a, Batch b) noexcept { return vminq_f32(a, b); }
  static std::uint32_t greater_bits(Batch v, Batch d) noexcept { return bits(vcgtq_f32(v, d)); }
  static std::uint32_t less_bits(Batch v, float d) noexcept {
    return bits(vcltq_f32(v, vdupq_n_f32(d)));
  }

 private:
  static Batch widen_f16(uint16x4_t halves) noexcept {
    return vcvt_f32_f16(vreinterpret_f16_u16(halves));
  }
  static Batch widen_bf16(uint16x4_t halves) noexcept {
    return vreinterpretq_f32_u32(vshlq_n_u32(vmovl_u16(halves), 16));
  }
  static uint16x4_t load_first_halves(const std::uint16_t* p, std::size_t n) noexcept {
    uint16x4_t v = vld1_lane_u16(p, vdup_n_u16(0), 0);
    if (n > 1) v = vld1_lane_u16(p + 1, v, 1);
    if (n > 2) v = vld1_lane_u16(p + 2, v, 2);
    return v;
  }
  static std::uint32_t bits(uint32x4_t mask) noexcept {
    const uint32x4_t bit =
        vcombine_u32(vcreate_u32(0x0000'0002'0000'0001U), vcreate_u32(0x0000'0008'0000'0004U));
    return vaddvq_u32(vandq_u32(mask, bit));
  }
};

}  // namespace
}  // namespace cairn::simd
