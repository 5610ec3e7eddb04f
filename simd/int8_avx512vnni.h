// SPDX-License-Identifier: Apache-2.0
//
// The byte kernels for AVX-512 with VNNI, as far as they differ from those without it.
#pragma once

#include "simd/int8_avx512.h"

namespace cairn::simd {
namespace {

struct BytesAvx512Vnni {
  // vpdpbusd multiplies unsigned by signed bytes: the row is shifted by 128, and 128 times the sum
  // of the query is subtracted at the end. All of it modulo 2^32, in which the result is exact.
  struct Dot : BytesAvx512::WholeBytes {
    static Sum step(Sum sum, __m512i row, __m512i query) noexcept {
      const __m512i shifted = _mm512_xor_si512(row, _mm512_set1_epi8(static_cast<char>(0x80)));
      return _mm512_dpbusd_epi32(sum, shifted, query);
    }
    static std::uint32_t bias(const std::byte* query, std::size_t n) noexcept {
      const __m512i scale = _mm512_set1_epi8(static_cast<char>(0x80));
      __m512i sum = zero();
      std::size_t i = 0;
      for (; i + kStep <= n; i += kStep) sum = _mm512_dpbusd_epi32(sum, scale, load(query + i));
      if (i < n) sum = _mm512_dpbusd_epi32(sum, scale, load_tail(query, i, n));
      std::uint32_t lanes[4];
      store(reduce4(sum, sum, sum, sum, 0), lanes);
      return lanes[0];
    }
    static void score4(Four dots, const Group& group, const CodeQuery& query, float* out) noexcept {
      score4_x86(dots, group, query, out);
    }
  };

  // |a - b| fits an unsigned byte; its square wants 16-bit factors.
  struct L2 : BytesAvx512::WholeBytes {
    static Sum step(Sum sum, __m512i row, __m512i query) noexcept {
      const __m512i d = _mm512_sub_epi8(_mm512_max_epi8(row, query), _mm512_min_epi8(row, query));
      const __m512i low = _mm512_unpacklo_epi8(d, zero());
      const __m512i high = _mm512_unpackhi_epi8(d, zero());
      return _mm512_dpwssd_epi32(_mm512_dpwssd_epi32(sum, low, low), high, high);
    }
  };

  using Hamming = BytesAvx512::Hamming;

  // As in Dot the row's bytes are shifted by 128; 128 times a query's sum is where its sum starts.
  struct Panels : BytesAvx512::Panels {
    static constexpr std::size_t kDepth = 4;
    static constexpr std::uint32_t kFlip = 0x8080'8080U;
    static std::int32_t start(const std::int8_t* code, std::size_t n) noexcept {
      const auto* bytes = static_cast<const std::byte*>(static_cast<const void*>(code));
      return static_cast<std::int32_t>(0U - Dot::bias(bytes, n));
    }
    static Sum step(Sum sum, const std::byte* row, Column column) noexcept {
      return _mm512_dpbusd_epi32(sum, broadcast(row), column);
    }
  };

  static std::int32_t quantize(const float* v, float factor, std::size_t n,
                               std::int8_t* out) noexcept {
    return BytesAvx512::quantize(v, factor, n, out);
  }
};

}  // namespace
}  // namespace cairn::simd
