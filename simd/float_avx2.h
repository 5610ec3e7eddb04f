// SPDX-License-Identifier: Apache-2.0
//
// What the float kernels need of AVX2 + FMA + F16C beyond xsimd's operators.
#pragma once

#include <immintrin.h>

#include <cstddef>
#include <cstdint>
#include <xsimd/xsimd.hpp>

namespace cairn::simd {
namespace {

// A name of our own for the architecture: xsimd's templates instantiated with it are local to the
// object, so those that the compiler does not inline cannot be taken for another object's. (Its
// overloads look at double, too.)
struct Avx2Arch : xsimd::fma3<xsimd::avx2> {};

}  // namespace
}  // namespace cairn::simd

namespace xsimd::types {

XSIMD_DECLARE_SIMD_REGISTER(float, cairn::simd::Avx2Arch, __m256);
XSIMD_DECLARE_SIMD_REGISTER(double, cairn::simd::Avx2Arch, __m256d);
XSIMD_DECLARE_SIMD_REGISTER(std::uint32_t, cairn::simd::Avx2Arch, __m256i);

}  // namespace xsimd::types

namespace cairn::simd {
namespace {

struct FloatAvx2 {
  using Batch = xsimd::batch<float, Avx2Arch>;
  using IdBatch = xsimd::batch<std::uint32_t, Avx2Arch>;
  static constexpr std::size_t kWidth = Batch::size;

  static Batch zero() noexcept { return _mm256_setzero_ps(); }

  static Batch fma(Batch a, Batch b, Batch c) noexcept { return _mm256_fmadd_ps(a, b, c); }

  // Four floats as doubles.
  using Doubles = __m256d;
  static constexpr std::size_t kDoubles = 4;
  static Doubles load_doubles(const float* p) noexcept { return _mm256_cvtps_pd(_mm_loadu_ps(p)); }
  static Doubles fma_doubles(Doubles a, Doubles b, Doubles c) noexcept {
    return _mm256_fmadd_pd(a, b, c);
  }

  // The first n < kWidth floats, then zeros.
  static Batch load_first(const float* p, std::size_t n) noexcept {
    const __m256i lane = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    return _mm256_maskload_ps(p, _mm256_cmpgt_epi32(_mm256_set1_epi32(static_cast<int>(n)), lane));
  }

  // 8 components of 16 bits, and the first n < 8 followed by zeros.
  static Batch load_f16(const std::uint16_t* p) noexcept { return widen_f16(load_halves(p)); }
  static Batch load_first_f16(const std::uint16_t* p, std::size_t n) noexcept {
    return widen_f16(load_first_halves(p, n));
  }
  static Batch load_bf16(const std::uint16_t* p) noexcept { return widen_bf16(load_halves(p)); }
  static Batch load_first_bf16(const std::uint16_t* p, std::size_t n) noexcept {
    return widen_bf16(load_first_halves(p, n));
  }
  static void store_f16(Batch v, std::uint16_t* p) noexcept {
    _mm_storeu_si128(static_cast<__m128i*>(static_cast<void*>(p)),
                     _mm256_cvtps_ph(v, _MM_FROUND_TO_NEAREST_INT));
  }

  // Of a NaN and a number, maxps takes its second operand.
  static Batch max_abs(Batch v, Batch best) noexcept { return _mm256_max_ps(xsimd::abs(v), best); }

  // Sums of the lanes of four vectors: transposes 4 x 4 within the halves while adding.
  static void reduce4(Batch a, Batch b, Batch c, Batch d, float* out) noexcept {
    const __m256 ab = _mm256_add_ps(_mm256_unpacklo_ps(a, b), _mm256_unpackhi_ps(a, b));
    const __m256 cd = _mm256_add_ps(_mm256_unpacklo_ps(c, d), _mm256_unpackhi_ps(c, d));
    const __m256 sum = _mm256_add_ps(_mm256_shuffle_ps(ab, cd, _MM_SHUFFLE(1, 0, 1, 0)),
                                     _mm256_shuffle_ps(ab, cd, _MM_SHUFFLE(3, 2, 3, 2)));
    _mm_storeu_ps(out, _mm_add_ps(_mm256_castps256_ps128(sum), _mm256_extractf128_ps(sum, 1)));
  }

  // What pool_insert needs. Not `v <= d`: NaN counts as above.
  static Batch broadcast(float v) noexcept { return _mm256_set1_ps(v); }
  static IdBatch broadcast(std::uint32_t v) noexcept {
    return _mm256_set1_epi32(static_cast<int>(v));
  }
  using Mask = __m256;
  static Mask above(Batch v, Batch d) noexcept { return _mm256_cmp_ps(v, d, _CMP_NLE_UQ); }
  static Mask from_lane(std::size_t n) noexcept {
    const __m256i lane = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    return _mm256_castsi256_ps(
        _mm256_cmpgt_epi32(lane, _mm256_set1_epi32(static_cast<int>(n) - 1)));
  }
  static Mask either(Mask a, Mask b) noexcept { return _mm256_or_ps(a, b); }
  static Mask without(Mask a, Mask b) noexcept { return _mm256_andnot_ps(b, a); }
  static std::uint32_t count(Mask m) noexcept {
    return static_cast<std::uint32_t>(__builtin_popcount(bits(m)));
  }
  static Batch pick(Mask m, Batch yes, Batch no) noexcept { return _mm256_blendv_ps(no, yes, m); }
  static IdBatch pick(Mask m, IdBatch yes, IdBatch no) noexcept {
    return _mm256_blendv_epi8(no, yes, _mm256_castps_si256(m));
  }
  // The lanes of v one up, below them the last lane of `lower`.
  static IdBatch slide(IdBatch lower, IdBatch v) noexcept {
    const __m256i up = _mm256_setr_epi32(7, 0, 1, 2, 3, 4, 5, 6);
    return _mm256_blend_epi32(_mm256_permutevar8x32_epi32(v, up),
                              _mm256_permutevar8x32_epi32(lower, up), 1);
  }
  static Batch slide(Batch lower, Batch v) noexcept {
    return _mm256_castsi256_ps(
        slide(IdBatch(_mm256_castps_si256(lower)), IdBatch(_mm256_castps_si256(v))));
  }

  static std::uint32_t less_equal_bits(Batch v, float d) noexcept {
    return bits(_mm256_cmp_ps(v, _mm256_set1_ps(d), _CMP_LE_OQ));
  }
  static Batch lesser(Batch a, Batch b) noexcept { return _mm256_min_ps(a, b); }
  static std::uint32_t greater_bits(Batch v, Batch d) noexcept {
    return bits(_mm256_cmp_ps(v, d, _CMP_GT_OQ));
  }
  static std::uint32_t less_bits(Batch v, float d) noexcept {
    return bits(_mm256_cmp_ps(v, _mm256_set1_ps(d), _CMP_LT_OQ));
  }

 private:
  static Batch widen_f16(__m128i halves) noexcept { return _mm256_cvtph_ps(halves); }
  static Batch widen_bf16(__m128i halves) noexcept {
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(halves), 16));
  }
  static __m128i load_halves(const std::uint16_t* p) noexcept {
    return _mm_loadu_si128(static_cast<const __m128i*>(static_cast<const void*>(p)));
  }
  // Four, then two, then one.
  static __m128i load_first_halves(const std::uint16_t* p, std::size_t n) noexcept {
    std::uint64_t four = 0;
    std::uint64_t rest = 0;
    if ((n & 4) != 0) __builtin_memcpy(&four, p, sizeof(four));
    const std::uint16_t* left = p + (n & 4);
    if ((n & 2) != 0) __builtin_memcpy(&rest, left, 2 * sizeof(*left));
    if ((n & 1) != 0) rest |= std::uint64_t{left[n & 2]} << (n & 2) * 16;
    const auto low = static_cast<long long>((n & 4) != 0 ? four : rest);
    const auto high = static_cast<long long>((n & 4) != 0 ? rest : 0);
    return _mm_set_epi64x(high, low);
  }
  static std::uint32_t bits(__m256 mask) noexcept {
    return static_cast<std::uint32_t>(_mm256_movemask_ps(mask));
  }
};

}  // namespace
}  // namespace cairn::simd
