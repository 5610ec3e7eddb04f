// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "simd/kernels_impl.h"
#include "simd/nearest_few.h"
#include "simd/next_diverse.h"
#include "simd/panels.h"
#include "simd/pool_insert.h"
#include "simd/score_codes.h"

namespace cairn::simd {
namespace {

// The table of one instruction set, from its float lanes and its byte operations.
template <class Floats, class Bytes>
constexpr KernelTable make_table(const char* name) {
  using Dot = typename Bytes::Dot;
  using L2 = typename Bytes::L2;
  using Hamming = typename Bytes::Hamming;
  using F32 = F32Row<Floats>;
  using F16 = F16Row<Floats>;
  using Bf16 = Bf16Row<Floats>;
  return {
      .name = name,
      .dot_f32 = pair_floats<Floats, DotTerm, F32>,
      .l2_f32 = pair_floats<Floats, L2Term, F32>,
      .dot_f16 = pair_floats<Floats, DotTerm, F16>,
      .l2_f16 = pair_floats<Floats, L2Term, F16>,
      .dot_bf16 = pair_floats<Floats, DotTerm, Bf16>,
      .l2_bf16 = pair_floats<Floats, L2Term, Bf16>,
      .l2_scaled_f32 = pair_scaled<Floats>,
      .dot_f64 = pair_in_double<Floats, Product>,
      .l2_f64 = pair_in_double<Floats, SquaredDifference>,
      .dot_square_f64 = sum_in_double<Floats, ProductAndSquare>,
      .dot_i8 = pair_bytes<Dot, std::int32_t, std::int8_t>,
      .l2_i8 = pair_bytes<L2, std::uint32_t, std::int8_t>,
      .hamming = pair_bytes<Hamming, std::uint32_t, std::uint8_t>,
      .dot_f32_many = many_floats<Floats, DotTerm, F32>,
      .l2_f32_many = many_floats<Floats, L2Term, F32>,
      .dot_f16_many = many_floats<Floats, DotTerm, F16>,
      .l2_f16_many = many_floats<Floats, L2Term, F16>,
      .dot_bf16_many = many_floats<Floats, DotTerm, Bf16>,
      .l2_bf16_many = many_floats<Floats, L2Term, Bf16>,
      .dot_i8_many = many_bytes<Dot, std::int32_t, std::int8_t>,
      .l2_i8_many = many_bytes<L2, std::uint32_t, std::int8_t>,
      .hamming_many = many_bytes<Hamming, std::uint32_t, std::uint8_t>,
      .f16_to_f32 = widen<Floats, F16>,
      .bf16_to_f32 = widen<Floats, Bf16>,
      .f32_to_f16 = narrow_to_f16<Floats>,
      .f32_to_bf16 = narrow_to_bf16,
      .score_codes = score_codes<Dot>,
      .pack_rows = pack_rows<typename Bytes::Panels>,
      .pack_columns = pack_columns<typename Bytes::Panels>,
      .score_tile = score_tile<Floats, typename Bytes::Panels>,
      .max_abs = max_abs<Floats>,
      .quantize_i8 = Bytes::quantize,
      .pool_insert = pool_insert<Floats>,
      .nearest_few = nearest_few<Floats>,
      .next_diverse = next_diverse<Floats>,
  };
}

}  // namespace
}  // namespace cairn::simd
