// SPDX-License-Identifier: Apache-2.0
//
// The last step of score_codes on x86, shared by its instruction sets.
#pragma once

#include <immintrin.h>

#include <cstddef>
#include <cstdint>

#include "simd/group.h"
#include "simd/kernels.h"

namespace cairn::simd {
namespace {

inline __m128i load_factors(const std::byte* p) noexcept {
  return _mm_loadl_epi64(static_cast<const __m128i*>(static_cast<const void*>(p)));
}

// The operations of BytesScalar::Dot::score4, in its order.
inline void score4_x86(__m128i dots, const Group& group, const CodeQuery& query,
                       float* out) noexcept {
  const std::size_t at = query.factor_offset;
  const __m128 r01 = _mm_castsi128_ps(
      _mm_unpacklo_epi64(load_factors(group.row0 + at), load_factors(group.row1 + at)));
  const __m128 r23 = _mm_castsi128_ps(
      _mm_unpacklo_epi64(load_factors(group.row2 + at), load_factors(group.row3 + at)));
  const __m128 a = _mm_shuffle_ps(r01, r23, _MM_SHUFFLE(2, 0, 2, 0));
  const __m128 b = _mm_shuffle_ps(r01, r23, _MM_SHUFFLE(3, 1, 3, 1));
  const __m128 scaled = _mm_mul_ps(_mm_mul_ps(_mm_set1_ps(query.k), a), _mm_cvtepi32_ps(dots));
  _mm_storeu_ps(out, _mm_add_ps(_mm_add_ps(_mm_set1_ps(query.c0), scaled),
                                _mm_mul_ps(_mm_set1_ps(query.w), b)));
}

}  // namespace
}  // namespace cairn::simd
