// SPDX-License-Identifier: Apache-2.0
//
// The byte kernels for NEON with SDOT and UDOT, as far as they differ from those without them.
#pragma once

#include "simd/int8_neon.h"

namespace cairn::simd {
namespace {

struct BytesNeonDotprod {
  struct Dot : BytesNeon::Sums, BytesNeon::DotScore {
    static Sum step(Sum sum, int8x16_t row, int8x16_t query) noexcept {
      return vreinterpretq_u32_s32(vdotq_s32(vreinterpretq_s32_u32(sum), row, query));
    }
  };

  struct L2 : BytesNeon::Sums {
    static Sum step(Sum sum, int8x16_t row, int8x16_t query) noexcept {
      const uint8x16_t d = distance(row, query);
      return vdotq_u32(sum, d, d);
    }
  };

  using Hamming = BytesNeon::Hamming;

  struct Panels : BytesNeon::Panels {
    using Column = int8x16_t;
    static constexpr std::size_t kDepth = 4;
    static Column load(const std::byte* p) noexcept { return BytesNeon::Sums::load(p); }
    static Sum step(Sum sum, const std::byte* row, Column column) noexcept {
      return vdotq_s32(sum, vreinterpretq_s8_s32(broadcast(row)), column);
    }
  };

  static std::int32_t quantize(const float* v, float factor, std::size_t n,
                               std::int8_t* out) noexcept {
    return BytesNeon::quantize(v, factor, n, out);
  }
};

}  // namespace
}  // namespace cairn::simd
