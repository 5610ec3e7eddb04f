// SPDX-License-Identifier: Apache-2.0
//
// The byte kernels for AVX-512 F, BW, DQ, VL without VNNI.
#pragma once

#include <immintrin.h>

#include <cstddef>
#include <cstdint>

#include "simd/group.h"
#include "simd/kernels.h"
#include "simd/score_x86.h"

namespace cairn::simd {
namespace {

struct BytesAvx512 {
  struct Sums {
    using Sum = __m512i;
    using Four = __m128i;
    static Sum zero() noexcept { return _mm512_setzero_si512(); }
    static std::uint32_t bias(const std::byte*, std::size_t) noexcept { return 0; }
    static Four reduce4(Sum a, Sum b, Sum c, Sum d, std::uint32_t bias) noexcept {
      const __m512i ab = _mm512_add_epi32(_mm512_unpacklo_epi32(a, b), _mm512_unpackhi_epi32(a, b));
      const __m512i cd = _mm512_add_epi32(_mm512_unpacklo_epi32(c, d), _mm512_unpackhi_epi32(c, d));
      const __m512i quarters =
          _mm512_add_epi32(_mm512_unpacklo_epi64(ab, cd), _mm512_unpackhi_epi64(ab, cd));
      const __m256i halves = _mm256_add_epi32(_mm512_castsi512_si256(quarters),
                                              _mm512_extracti64x4_epi64(quarters, 1));
      const __m128i sum =
          _mm_add_epi32(_mm256_castsi256_si128(halves), _mm256_extracti128_si256(halves, 1));
      return _mm_sub_epi32(sum, _mm_set1_epi32(static_cast<int>(bias)));
    }
    static void store(Four four, std::uint32_t* out) noexcept {
      _mm_storeu_si128(static_cast<__m128i*>(static_cast<void*>(out)), four);
    }
  };

  // 32 bytes widened to 16 bits.
  struct Int8Sums : Sums {
    static constexpr std::size_t kStep = 32;
    static __m512i load(const std::byte* p) noexcept {
      return _mm512_cvtepi8_epi16(
          _mm256_loadu_si256(static_cast<const __m256i*>(static_cast<const void*>(p))));
    }
    static __m512i load_tail(const std::byte* p, std::size_t i, std::size_t n) noexcept {
      const auto mask = static_cast<__mmask32>((std::uint32_t{1} << (n - i)) - 1);
      return _mm512_cvtepi8_epi16(_mm256_maskz_loadu_epi8(mask, p + i));
    }
  };

  // 64 bytes as they are.
  struct WholeBytes : Sums {
    static constexpr std::size_t kStep = 64;
    static __m512i load(const std::byte* p) noexcept { return _mm512_loadu_si512(p); }
    static __m512i load_tail(const std::byte* p, std::size_t i, std::size_t n) noexcept {
      const auto mask = static_cast<__mmask64>((std::uint64_t{1} << (n - i)) - 1);
      return _mm512_maskz_loadu_epi8(mask, p + i);
    }
  };

  struct Dot : Int8Sums {
    static Sum step(Sum sum, __m512i row, __m512i query) noexcept {
      return _mm512_add_epi32(sum, _mm512_madd_epi16(row, query));
    }
    static void score4(Four dots, const Group& group, const CodeQuery& query, float* out) noexcept {
      score4_x86(dots, group, query, out);
    }
  };

  struct L2 : Int8Sums {
    static Sum step(Sum sum, __m512i row, __m512i query) noexcept {
      const __m512i d = _mm512_sub_epi16(row, query);
      return _mm512_add_epi32(sum, _mm512_madd_epi16(d, d));
    }
  };

  struct Hamming : WholeBytes {
    static Sum step(Sum sum, __m512i row, __m512i query) noexcept {
      const __m512i counts =
          _mm512_broadcast_i32x4(_mm_setr_epi8(0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4));
      const __m512i nibble = _mm512_set1_epi8(15);
      const __m512i x = _mm512_xor_si512(row, query);
      const __m512i low = _mm512_shuffle_epi8(counts, _mm512_and_si512(x, nibble));
      const __m512i high =
          _mm512_shuffle_epi8(counts, _mm512_and_si512(_mm512_srli_epi16(x, 4), nibble));
      const __m512i bytes = _mm512_add_epi8(low, high);
      return _mm512_add_epi32(sum, _mm512_sad_epu8(bytes, _mm512_setzero_si512()));
    }
  };

  struct Panels {
    using Sum = __m512i;
    using Column = __m512i;
    static constexpr std::size_t kLanes = 16;
    static constexpr std::size_t kRows = 12;
    static constexpr std::size_t kVectors = 2;
    static constexpr std::size_t kDepth = 2;
    static constexpr std::uint32_t kFlip = 0;
    static std::int32_t start(const std::int8_t*, std::size_t) noexcept { return 0; }
    static Sum load_sum(const std::int32_t* p) noexcept { return _mm512_loadu_si512(p); }
    static Column load(const void* p) noexcept { return _mm512_loadu_si512(p); }
    static __m512i broadcast(const std::byte* row) noexcept {
      int unit;
      __builtin_memcpy(&unit, row, sizeof(unit));
      return _mm512_set1_epi32(unit);
    }
    static Sum step(Sum sum, const std::byte* row, Column column) noexcept {
      return _mm512_add_epi32(sum, _mm512_madd_epi16(broadcast(row), column));
    }
    static __m512 to_floats(Sum sum) noexcept { return _mm512_cvtepi32_ps(sum); }
  };

  static std::int32_t quantize(const float* v, float factor, std::size_t n,
                               std::int8_t* out) noexcept {
    const __m512 f = _mm512_set1_ps(factor);
    __m512i sum = _mm512_setzero_si512();
    for (std::size_t i = 0; i < n; i += 16) {
      const std::size_t left = n - i;
      const auto mask = static_cast<__mmask16>(left >= 16 ? 0xFFFFU : (1U << left) - 1);
      const __m512i q = _mm512_cvtps_epi32(_mm512_mul_ps(_mm512_maskz_loadu_ps(mask, v + i), f));
      sum = _mm512_add_epi32(sum, _mm512_mullo_epi32(q, q));
      _mm512_mask_cvtepi32_storeu_epi8(out + i, mask, q);
    }
    std::uint32_t lanes[4];
    const __m512i none = _mm512_setzero_si512();
    Sums::store(Sums::reduce4(sum, none, none, none, 0), lanes);
    return static_cast<std::int32_t>(lanes[0]);
  }
};

}  // namespace
}  // namespace cairn::simd
