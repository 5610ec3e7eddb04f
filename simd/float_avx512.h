// SPDX-License-Identifier: Apache-2.0
//
// What the float kernels need of AVX-512 beyond xsimd's operators: xsimd 8 has no fused
// multiply-add for it.
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
struct Avx512Arch : xsimd::avx512bw {};

}  // namespace
}  // namespace cairn::simd

namespace xsimd::types {

XSIMD_DECLARE_SIMD_REGISTER(float, cairn::simd::Avx512Arch, __m512);
XSIMD_DECLARE_SIMD_REGISTER(double, cairn::simd::Avx512Arch, __m512d);
XSIMD_DECLARE_SIMD_REGISTER(std::uint32_t, cairn::simd::Avx512Arch, __m512i);

template <class T>
struct get_bool_simd_register<T, cairn::simd::Avx512Arch> {
  using type = simd_avx512_bool_register<T>;
};

}  // namespace xsimd::types

namespace cairn::simd {
namespace {

struct FloatAvx512 {
  using Batch = xsimd::batch<float, Avx512Arch>;
  using IdBatch = xsimd::batch<std::uint32_t, Avx512Arch>;
  static constexpr std::size_t kWidth = Batch::size;

  static Batch zero() noexcept { return _mm512_setzero_ps(); }

  static Batch fma(Batch a, Batch b, Batch c) noexcept { return _mm512_fmadd_ps(a, b, c); }

  // Eight floats as doubles.
  using Doubles = __m512d;
  static constexpr std::size_t kDoubles = 8;
  static Doubles load_doubles(const float* p) noexcept {
    return _mm512_cvtps_pd(_mm256_loadu_ps(p));
  }
  static Doubles fma_doubles(Doubles a, Doubles b, Doubles c) noexcept {
    return _mm512_fmadd_pd(a, b, c);
  }

  // The first n < kWidth floats, then zeros.
  static Batch load_first(const float* p, std::size_t n) noexcept {
    return _mm512_maskz_loadu_ps(static_cast<__mmask16>((1U << n) - 1), p);
  }

  // 16 components of 16 bits, and the first n < 16 followed by zeros.
  static Batch load_f16(const std::uint16_t* p) noexcept { return _mm512_cvtph_ps(load_halves(p)); }
  static Batch load_first_f16(const std::uint16_t* p, std::size_t n) noexcept {
    return _mm512_cvtph_ps(load_first_halves(p, n));
  }
  static Batch load_bf16(const std::uint16_t* p) noexcept { return widen_bf16(load_halves(p)); }
  static Batch load_first_bf16(const std::uint16_t* p, std::size_t n) noexcept {
    return widen_bf16(load_first_halves(p, n));
  }
  static void store_f16(Batch v, std::uint16_t* p) noexcept {
    _mm256_storeu_si256(static_cast<__m256i*>(static_cast<void*>(p)),
                        _mm512_cvtps_ph(v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
  }

  // Of a NaN and a number, maxps takes its second operand.
  static Batch max_abs(Batch v, Batch best) noexcept {
    return _mm512_max_ps(_mm512_abs_ps(v), best);
  }

  // Sums of the lanes of four vectors: transposes 4 x 4 within the quarters while adding.
  static void reduce4(Batch a, Batch b, Batch c, Batch d, float* out) noexcept {
    const __m512 ab = _mm512_add_ps(_mm512_unpacklo_ps(a, b), _mm512_unpackhi_ps(a, b));
    const __m512 cd = _mm512_add_ps(_mm512_unpacklo_ps(c, d), _mm512_unpackhi_ps(c, d));
    const __m512 quarters = _mm512_add_ps(_mm512_shuffle_ps(ab, cd, _MM_SHUFFLE(1, 0, 1, 0)),
                                          _mm512_shuffle_ps(ab, cd, _MM_SHUFFLE(3, 2, 3, 2)));
    const __m256 halves =
        _mm256_add_ps(_mm512_castps512_ps256(quarters), _mm512_extractf32x8_ps(quarters, 1));
    _mm_storeu_ps(out,
                  _mm_add_ps(_mm256_castps256_ps128(halves), _mm256_extractf128_ps(halves, 1)));
  }

  // What pool_insert needs. Not `v <= d`: NaN counts as above.
  static Batch broadcast(float v) noexcept { return _mm512_set1_ps(v); }
  static IdBatch broadcast(std::uint32_t v) noexcept {
    return _mm512_set1_epi32(static_cast<int>(v));
  }
  using Mask = __mmask16;
  static Mask above(Batch v, Batch d) noexcept { return _mm512_cmp_ps_mask(v, d, _CMP_NLE_UQ); }
  static Mask from_lane(std::size_t n) noexcept { return static_cast<Mask>(0xFFFFU << n); }
  static Mask either(Mask a, Mask b) noexcept { return _kor_mask16(a, b); }
  static Mask without(Mask a, Mask b) noexcept { return _kandn_mask16(b, a); }
  static std::uint32_t count(Mask m) noexcept {
    return static_cast<std::uint32_t>(__builtin_popcount(m));
  }
  static Batch pick(Mask m, Batch yes, Batch no) noexcept { return _mm512_mask_mov_ps(no, m, yes); }
  static IdBatch pick(Mask m, IdBatch yes, IdBatch no) noexcept {
    return _mm512_mask_mov_epi32(no, m, yes);
  }
  // The lanes of v one up, below them the last lane of `lower`.
  static IdBatch slide(IdBatch lower, IdBatch v) noexcept {
    return _mm512_alignr_epi32(v, lower, 15);
  }
  static Batch slide(Batch lower, Batch v) noexcept {
    return _mm512_castsi512_ps(
        _mm512_alignr_epi32(_mm512_castps_si512(v), _mm512_castps_si512(lower), 15));
  }

  static std::uint32_t less_equal_bits(Batch v, float d) noexcept {
    return _mm512_cmp_ps_mask(v, _mm512_set1_ps(d), _CMP_LE_OQ);
  }
  static Batch lesser(Batch a, Batch b) noexcept { return _mm512_min_ps(a, b); }
  static std::uint32_t greater_bits(Batch v, Batch d) noexcept {
    return _mm512_cmp_ps_mask(v, d, _CMP_GT_OQ);
  }
  static std::uint32_t less_bits(Batch v, float d) noexcept {
    return _mm512_cmp_ps_mask(v, _mm512_set1_ps(d), _CMP_LT_OQ);
  }

 private:
  static Batch widen_bf16(__m256i halves) noexcept {
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(halves), 16));
  }
  static __m256i load_halves(const std::uint16_t* p) noexcept {
    return _mm256_loadu_si256(static_cast<const __m256i*>(static_cast<const void*>(p)));
  }
  static __m256i load_first_halves(const std::uint16_t* p, std::size_t n) noexcept {
    return _mm256_maskz_loadu_epi16(static_cast<__mmask16>((1U << n) - 1), p);
  }
};

}  // namespace
}  // namespace cairn::simd
