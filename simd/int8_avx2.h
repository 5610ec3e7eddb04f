// SPDX-License-Identifier: Apache-2.0
//
// The byte kernels for AVX2. Bytes are widened to 16 bits and multiplied with vpmaddwd: vpmaddubsw
// would saturate.
#pragma once

#include <immintrin.h>

#include <cstddef>
#include <cstdint>

#include "simd/group.h"
#include "simd/kernels.h"
#include "simd/score_x86.h"

namespace cairn::simd {
namespace {

struct BytesAvx2 {
  struct Sums {
    using Sum = __m256i;
    using Four = __m128i;
    static Sum zero() noexcept { return _mm256_setzero_si256(); }
    static std::uint32_t bias(const std::byte*, std::size_t) noexcept { return 0; }
    static Four reduce4(Sum a, Sum b, Sum c, Sum d, std::uint32_t) noexcept {
      const __m256i ab = _mm256_add_epi32(_mm256_unpacklo_epi32(a, b), _mm256_unpackhi_epi32(a, b));
      const __m256i cd = _mm256_add_epi32(_mm256_unpacklo_epi32(c, d), _mm256_unpackhi_epi32(c, d));
      const __m256i sum =
          _mm256_add_epi32(_mm256_unpacklo_epi64(ab, cd), _mm256_unpackhi_epi64(ab, cd));
      return _mm_add_epi32(_mm256_castsi256_si128(sum), _mm256_extracti128_si256(sum, 1));
    }
    static void store(Four four, std::uint32_t* out) noexcept {
      _mm_storeu_si128(static_cast<__m128i*>(static_cast<void*>(out)), four);
    }
  };

  struct Int8Sums : Sums {
    static constexpr std::size_t kStep = 16;
    static __m256i load(const std::byte* p) noexcept { return _mm256_cvtepi8_epi16(load16(p)); }
    // Bytes [i, n) at the end, zeros before them.
    static __m256i load_tail(const std::byte* p, std::size_t i, std::size_t n) noexcept {
      if (n < kStep) return _mm256_cvtepi8_epi16(copy_below_16(p, n));
      const __m128i at = _mm_setr_epi8(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
      const __m128i seen = _mm_set1_epi8(static_cast<char>(kStep - (n - i)));
      return _mm256_cvtepi8_epi16(
          _mm_andnot_si128(_mm_cmpgt_epi8(seen, at), load16(p + n - kStep)));
    }
  };

  struct Dot : Int8Sums {
    static Sum step(Sum sum, __m256i row, __m256i query) noexcept {
      return _mm256_add_epi32(sum, _mm256_madd_epi16(row, query));
    }
    static void score4(Four dots, const Group& group, const CodeQuery& query, float* out) noexcept {
      score4_x86(dots, group, query, out);
    }
  };

  struct L2 : Int8Sums {
    static Sum step(Sum sum, __m256i row, __m256i query) noexcept {
      const __m256i d = _mm256_sub_epi16(row, query);
      return _mm256_add_epi32(sum, _mm256_madd_epi16(d, d));
    }
  };

  struct Hamming : Sums {
    static constexpr std::size_t kStep = 32;
    static __m256i load(const std::byte* p) noexcept {
      return _mm256_loadu_si256(static_cast<const __m256i*>(static_cast<const void*>(p)));
    }
    // Bytes [i, n), at the end of the vector if n >= kStep, else at its beginning; zeros elsewhere.
    static __m256i load_tail(const std::byte* p, std::size_t i, std::size_t n) noexcept {
      const std::size_t left = n - i;
      if (n >= kStep) {
        const __m256i at =
            _mm256_setr_epi8(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19,
                             20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31);
        const __m256i seen = _mm256_set1_epi8(static_cast<char>(kStep - left));
        return _mm256_andnot_si256(_mm256_cmpgt_epi8(seen, at), load(p + n - kStep));
      }
      const std::byte* from = p + i;
      if (left < 16) return _mm256_zextsi128_si256(copy_below_16(from, left));
      return _mm256_inserti128_si256(_mm256_castsi128_si256(load16(from)),
                                     copy_below_16(from + 16, left - 16), 1);
    }
    static Sum step(Sum sum, __m256i row, __m256i query) noexcept {
      const __m256i counts = _mm256_broadcastsi128_si256(
          _mm_setr_epi8(0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4));
      const __m256i nibble = _mm256_set1_epi8(15);
      const __m256i x = _mm256_xor_si256(row, query);
      const __m256i low = _mm256_shuffle_epi8(counts, _mm256_and_si256(x, nibble));
      const __m256i high =
          _mm256_shuffle_epi8(counts, _mm256_and_si256(_mm256_srli_epi16(x, 4), nibble));
      const __m256i bytes = _mm256_add_epi8(low, high);
      return _mm256_add_epi32(sum, _mm256_sad_epu8(bytes, _mm256_setzero_si256()));
    }
  };

  struct Panels {
    using Sum = __m256i;
    using Column = __m256i;
    static constexpr std::size_t kLanes = 8;
    static constexpr std::size_t kRows = 4;
    static constexpr std::size_t kVectors = 2;
    static constexpr std::size_t kDepth = 2;
    static constexpr std::uint32_t kFlip = 0;
    static std::int32_t start(const std::int8_t*, std::size_t) noexcept { return 0; }
    static Sum load_sum(const std::int32_t* p) noexcept { return load(p); }
    static Column load(const void* p) noexcept {
      return _mm256_loadu_si256(static_cast<const __m256i*>(p));
    }
    static Sum step(Sum sum, const std::byte* row, Column column) noexcept {
      int unit;
      __builtin_memcpy(&unit, row, sizeof(unit));
      return _mm256_add_epi32(sum, _mm256_madd_epi16(_mm256_set1_epi32(unit), column));
    }
    static __m256 to_floats(Sum sum) noexcept { return _mm256_cvtepi32_ps(sum); }
  };

  static std::int32_t quantize(const float* v, float factor, std::size_t n,
                               std::int8_t* out) noexcept {
    const __m256 f = _mm256_set1_ps(factor);
    __m256i sum = _mm256_setzero_si256();
    std::size_t i = 0;
    for (; i + 8 <= n; i += 8) {
      const __m256i q = _mm256_cvtps_epi32(_mm256_mul_ps(_mm256_loadu_ps(v + i), f));
      sum = _mm256_add_epi32(sum, _mm256_mullo_epi32(q, q));
      const __m128i words =
          _mm_packs_epi32(_mm256_castsi256_si128(q), _mm256_extracti128_si256(q, 1));
      _mm_storel_epi64(static_cast<__m128i*>(static_cast<void*>(out + i)),
                       _mm_packs_epi16(words, words));
    }
    std::uint32_t lanes[4];
    const __m256i none = _mm256_setzero_si256();
    Sums::store(Sums::reduce4(sum, none, none, none, 0), lanes);
    auto total = static_cast<std::int32_t>(lanes[0]);
    for (; i < n; ++i) {
      const int q = _mm_cvtss_si32(_mm_set_ss(v[i] * factor));
      out[i] = static_cast<std::int8_t>(q);
      total += q * q;
    }
    return total;
  }

 private:
  static __m128i load16(const std::byte* p) noexcept {
    return _mm_loadu_si128(static_cast<const __m128i*>(static_cast<const void*>(p)));
  }
  static __m128i copy_below_16(const std::byte* p, std::size_t n) noexcept {
    alignas(16) std::byte bytes[16] = {};
    for (std::size_t i = 0; i < n; ++i) bytes[i] = p[i];
    return load16(bytes);
  }
};

}  // namespace
}  // namespace cairn::simd
