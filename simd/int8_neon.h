// SPDX-License-Identifier: Apache-2.0
//
// The byte kernels for 64-bit NEON without the dot product instructions.
#pragma once

#include <arm_neon.h>

#include <cstddef>
#include <cstdint>

#include "simd/group.h"
#include "simd/kernels.h"

namespace cairn::simd {
namespace {

struct BytesNeon {
  struct Sums {
    using Sum = uint32x4_t;
    using Four = uint32x4_t;
    static constexpr std::size_t kStep = 16;
    static Sum zero() noexcept { return vdupq_n_u32(0); }
    static std::uint32_t bias(const std::byte*, std::size_t) noexcept { return 0; }
    static Four reduce4(Sum a, Sum b, Sum c, Sum d, std::uint32_t) noexcept {
      return vpaddq_u32(vpaddq_u32(a, b), vpaddq_u32(c, d));
    }
    static void store(Four four, std::uint32_t* out) noexcept { vst1q_u32(out, four); }

    static int8x16_t load(const std::byte* p) noexcept {
      return vld1q_s8(static_cast<const std::int8_t*>(static_cast<const void*>(p)));
    }
    // Bytes [i, n) at the end, zeros before them.
    static int8x16_t load_tail(const std::byte* p, std::size_t i, std::size_t n) noexcept {
      if (n < kStep) {
        std::byte bytes[kStep] = {};
        for (std::size_t j = 0; j < n; ++j) bytes[j] = p[j];
        return load(bytes);
      }
      const uint8x16_t at = vcombine_u8(vcreate_u8(0x07'06'05'04'03'02'01'00U),
                                        vcreate_u8(0x0F'0E'0D'0C'0B'0A'09'08U));
      const uint8x16_t seen = vdupq_n_u8(static_cast<std::uint8_t>(kStep - (n - i)));
      return vandq_s8(load(p + n - kStep), vreinterpretq_s8_u8(vcgeq_u8(at, seen)));
    }
    // |row - query|, which fits an unsigned byte.
    static uint8x16_t distance(int8x16_t row, int8x16_t query) noexcept {
      return vreinterpretq_u8_s8(vabdq_s8(row, query));
    }
  };

  struct DotScore {
    // The operations of BytesScalar::Dot::score4, in its order.
    static void score4(uint32x4_t dots, const Group& group, const CodeQuery& query,
                       float* out) noexcept {
      const std::size_t at = query.factor_offset;
      const float32x4_t r01 = vcombine_f32(factors(group.row0 + at), factors(group.row1 + at));
      const float32x4_t r23 = vcombine_f32(factors(group.row2 + at), factors(group.row3 + at));
      const float32x4_t scaled = vmulq_f32(vmulq_f32(vdupq_n_f32(query.k), vuzp1q_f32(r01, r23)),
                                           vcvtq_f32_s32(vreinterpretq_s32_u32(dots)));
      vst1q_f32(out, vaddq_f32(vaddq_f32(vdupq_n_f32(query.c0), scaled),
                               vmulq_f32(vdupq_n_f32(query.w), vuzp2q_f32(r01, r23))));
    }

   private:
    static float32x2_t factors(const std::byte* p) noexcept {
      return vld1_f32(static_cast<const float*>(static_cast<const void*>(p)));
    }
  };

  struct Dot : Sums, DotScore {
    static Sum step(Sum sum, int8x16_t row, int8x16_t query) noexcept {
      int32x4_t s = vreinterpretq_s32_u32(sum);
      s = vpadalq_s16(s, vmull_s8(vget_low_s8(row), vget_low_s8(query)));
      s = vpadalq_s16(s, vmull_high_s8(row, query));
      return vreinterpretq_u32_s32(s);
    }
  };

  struct L2 : Sums {
    static Sum step(Sum sum, int8x16_t row, int8x16_t query) noexcept {
      const uint8x16_t d = distance(row, query);
      sum = vpadalq_u16(sum, vmull_u8(vget_low_u8(d), vget_low_u8(d)));
      return vpadalq_u16(sum, vmull_high_u8(d, d));
    }
  };

  struct Hamming : Sums {
    static Sum step(Sum sum, int8x16_t row, int8x16_t query) noexcept {
      const uint8x16_t counts = vcntq_u8(vreinterpretq_u8_s8(veorq_s8(row, query)));
      return vpadalq_u16(sum, vpaddlq_u8(counts));
    }
  };

  struct Panels {
    using Sum = int32x4_t;
    using Column = int16x8_t;
    static constexpr std::size_t kLanes = 4;
    static constexpr std::size_t kRows = 4;
    static constexpr std::size_t kVectors = 4;
    static constexpr std::size_t kDepth = 2;
    static constexpr std::uint32_t kFlip = 0;
    static std::int32_t start(const std::int8_t*, std::size_t) noexcept { return 0; }
    static Sum load_sum(const std::int32_t* p) noexcept { return vld1q_s32(p); }
    static Column load(const std::byte* p) noexcept { return vreinterpretq_s16_s8(Sums::load(p)); }
    static int32x4_t broadcast(const std::byte* row) noexcept {
      std::int32_t unit;
      __builtin_memcpy(&unit, row, sizeof(unit));
      return vdupq_n_s32(unit);
    }
    static Sum step(Sum sum, const std::byte* row, Column column) noexcept {
      const int16x8_t unit = vreinterpretq_s16_s32(broadcast(row));
      return vaddq_s32(sum, vpaddq_s32(vmull_s16(vget_low_s16(unit), vget_low_s16(column)),
                                       vmull_high_s16(unit, column)));
    }
    static float32x4_t to_floats(Sum sum) noexcept { return vcvtq_f32_s32(sum); }
  };

  static std::int32_t quantize(const float* v, float factor, std::size_t n,
                               std::int8_t* out) noexcept {
    const float32x4_t f = vdupq_n_f32(factor);
    int32x4_t sum = vdupq_n_s32(0);
    std::size_t i = 0;
    for (; i + 8 <= n; i += 8) {
      const int32x4_t low = vcvtnq_s32_f32(vmulq_f32(vld1q_f32(v + i), f));
      const int32x4_t high = vcvtnq_s32_f32(vmulq_f32(vld1q_f32(v + i + 4), f));
      sum = vmlaq_s32(vmlaq_s32(sum, low, low), high, high);
      vst1_s8(out + i, vmovn_s16(vcombine_s16(vmovn_s32(low), vmovn_s32(high))));
    }
    std::int32_t total = vaddvq_s32(sum);
    for (; i < n; ++i) {
      const std::int32_t q = vcvtns_s32_f32(v[i] * factor);
      out[i] = static_cast<std::int8_t>(q);
      total += q * q;
    }
    return total;
  }
};

}  // namespace
}  // namespace cairn::simd
