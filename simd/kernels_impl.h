// SPDX-License-Identifier: Apache-2.0
//
// The kernels, written once. `Floats` (float_*.h) gives the float lanes of an instruction set, an
// `Op` (int8_*.h) one reduction over bytes. Included by exactly one source per instruction set, so
// everything is in an anonymous namespace: a function compiled for one processor must never be the
// one the linker keeps for all.
#pragma once

#include <cstddef>
#include <cstdint>

#include "simd/group.h"
#include "simd/kernels.h"
#include "simd/prefetch.h"

namespace cairn::simd {
namespace {

// Rows that the f32 list kernels prefetch ahead, and how much of each; longer rows are left to the
// hardware's stream prefetcher. Random rows of 100 floats on Zen 5, 2, 4 and 8 ahead: 40, 34 and
// 29 ns each; at 784 and 1536 it makes no difference.
constexpr std::size_t kFloatRowsAhead = 8;
constexpr std::size_t kFloatPrefetchBytes = 2048;

// ---- floats: f32 queries against rows of f32, f16 or bf16 ----

struct DotTerm {
  template <class Floats, class Batch>
  static Batch add(Batch a, Batch b, Batch sum) noexcept {
    return Floats::fma(a, b, sum);
  }
};

struct L2Term {
  template <class Floats, class Batch>
  static Batch add(Batch a, Batch b, Batch sum) noexcept {
    const Batch d = a - b;
    return Floats::fma(d, d, sum);
  }
};

// How a row stores its components. Widening 16 bits to 32 is exact.
template <class Floats>
struct F32Row {
  using Component = float;
  static auto load(const float* p) noexcept { return Floats::Batch::load_unaligned(p); }
  static auto load_first(const float* p, std::size_t n) noexcept {
    return Floats::load_first(p, n);
  }
};

template <class Floats>
struct F16Row {
  using Component = std::uint16_t;
  static auto load(const std::uint16_t* p) noexcept { return Floats::load_f16(p); }
  static auto load_first(const std::uint16_t* p, std::size_t n) noexcept {
    return Floats::load_first_f16(p, n);
  }
};

template <class Floats>
struct Bf16Row {
  using Component = std::uint16_t;
  static auto load(const std::uint16_t* p) noexcept { return Floats::load_bf16(p); }
  static auto load_first(const std::uint16_t* p, std::size_t n) noexcept {
    return Floats::load_first_bf16(p, n);
  }
};

// One pair, not yet summed across lanes. Four sums, because an FMA takes four cycles and two start
// in each.
template <class Floats, class Term, class Row>
typename Floats::Batch sum_terms(const float* a, const typename Row::Component* b,
                                 std::size_t n) noexcept {
  using Batch = typename Floats::Batch;
  constexpr std::size_t w = Floats::kWidth;
  const auto add = [&](std::size_t i, Batch sum) {
    return Term::template add<Floats, Batch>(Batch::load_unaligned(a + i), Row::load(b + i), sum);
  };
  Batch s0 = Floats::zero();
  Batch s1 = Floats::zero();
  Batch s2 = Floats::zero();
  Batch s3 = Floats::zero();
  std::size_t i = 0;
  for (; i + 4 * w <= n; i += 4 * w) {
    s0 = add(i, s0);
    s1 = add(i + w, s1);
    s2 = add(i + 2 * w, s2);
    s3 = add(i + 3 * w, s3);
  }
  if (i + w <= n) {
    s0 = add(i, s0);
    i += w;
  }
  if (i + w <= n) {
    s1 = add(i, s1);
    i += w;
  }
  if (i + w <= n) {
    s2 = add(i, s2);
    i += w;
  }
  if constexpr (w > 1) {
    if (i < n) {
      s3 = Term::template add<Floats, Batch>(Floats::load_first(a + i, n - i),
                                             Row::load_first(b + i, n - i), s3);
    }
  }
  return (s0 + s1) + (s2 + s3);
}

template <class Floats, class Term, class Row>
float pair_floats(const float* a, const typename Row::Component* b, std::size_t n) noexcept {
  const auto sum = sum_terms<Floats, Term, Row>(a, b, n);
  float out[kGroup];
  Floats::reduce4(sum, sum, sum, sum, out);  // the same additions as in a group, so the same bits
  return out[0];
}

template <class Floats, class Term, class Row>
void many_floats(const float* query, Rows rows, const std::uint32_t* ids, std::size_t n,
                 std::size_t dim, float* out) noexcept {
  using Component = typename Row::Component;
  const std::size_t row_bytes = dim * sizeof(Component);
  const std::size_t fetched = row_bytes < kFloatPrefetchBytes ? row_bytes : kFloatPrefetchBytes;
  for (std::size_t i = 0; i < n && i < kFloatRowsAhead; ++i) {
    prefetch_lines(row_at(rows, ids[i]), fetched);
  }
  const auto sum = [&](std::size_t i) {
    if (i + kFloatRowsAhead < n) {
      prefetch_lines(row_at(rows, ids[i + kFloatRowsAhead]), fetched);
    }
    // Rows are aligned to their components: the section that holds them begins on a page.
    const auto* row = static_cast<const Component*>(static_cast<const void*>(row_at(rows, ids[i])));
    return sum_terms<Floats, Term, Row>(query, row, dim);
  };
  std::size_t i = 0;
  for (; i + kGroup <= n; i += kGroup) {
    const auto s0 = sum(i);
    const auto s1 = sum(i + 1);
    const auto s2 = sum(i + 2);
    const auto s3 = sum(i + 3);
    Floats::reduce4(s0, s1, s2, s3, out + i);
  }
  for (; i < n; ++i) {
    const auto s = sum(i);
    float four[kGroup];
    Floats::reduce4(s, s, s, s, four);
    out[i] = four[0];
  }
}

template <class Floats>
float pair_scaled(const float* a, float a_scale, const float* b, float b_scale,
                  std::size_t n) noexcept {
  using Batch = typename Floats::Batch;
  constexpr std::size_t w = Floats::kWidth;
  const Batch x_scale = Floats::broadcast(a_scale);
  const Batch y_scale = Floats::broadcast(b_scale);
  const auto add = [&](Batch x, Batch y, Batch sum) {
    const Batch d =
        Floats::fma(x, x_scale, Floats::zero()) - Floats::fma(y, y_scale, Floats::zero());
    return Floats::fma(d, d, sum);
  };
  Batch s0 = Floats::zero();
  Batch s1 = Floats::zero();
  std::size_t i = 0;
  for (; i + 2 * w <= n; i += 2 * w) {
    s0 = add(Batch::load_unaligned(a + i), Batch::load_unaligned(b + i), s0);
    s1 = add(Batch::load_unaligned(a + i + w), Batch::load_unaligned(b + i + w), s1);
  }
  if (i + w <= n) {
    s0 = add(Batch::load_unaligned(a + i), Batch::load_unaligned(b + i), s0);
    i += w;
  }
  if constexpr (w > 1) {
    if (i < n) s1 = add(Floats::load_first(a + i, n - i), Floats::load_first(b + i, n - i), s1);
  }
  const Batch sum = s0 + s1;
  float out[kGroup];
  Floats::reduce4(sum, sum, sum, sum, out);
  return out[0];
}

// ---- f32 pairs in double ----

struct OneDouble {
  static double fma_doubles(double a, double b, double c) noexcept { return a * b + c; }
};

// What is summed over the components: kSums sums side by side.
struct Product {
  static constexpr std::size_t kSums = 1;
  template <class Floats, class T>
  static void add(T a, T b, T* sums) noexcept {
    sums[0] = Floats::fma_doubles(a, b, sums[0]);
  }
};

struct SquaredDifference {
  static constexpr std::size_t kSums = 1;
  template <class Floats, class T>
  static void add(T a, T b, T* sums) noexcept {
    const T d = a - b;
    sums[0] = Floats::fma_doubles(d, d, sums[0]);
  }
};

struct ProductAndSquare {
  static constexpr std::size_t kSums = 2;
  template <class Floats, class T>
  static void add(T a, T b, T* sums) noexcept {
    sums[0] = Floats::fma_doubles(a, b, sums[0]);
    sums[1] = Floats::fma_doubles(b, b, sums[1]);
  }
};

// Two chains of additions that do not wait for each other.
template <class Floats, class Term>
void sum_in_double(const float* a, const float* b, std::size_t n, double* out) noexcept {
  using Doubles = typename Floats::Doubles;
  constexpr std::size_t w = Floats::kDoubles;
  Doubles even[Term::kSums] = {};
  Doubles odd[Term::kSums] = {};
  const auto add = [&](std::size_t i, Doubles* sums) {
    Term::template add<Floats>(Floats::load_doubles(a + i), Floats::load_doubles(b + i), sums);
  };
  std::size_t i = 0;
  for (; i + 2 * w <= n; i += 2 * w) {
    add(i, even);
    add(i + w, odd);
  }
  if (i + w <= n) {
    add(i, even);
    i += w;
  }
  double rest[Term::kSums] = {};
  for (; i < n; ++i) Term::template add<OneDouble>(double{a[i]}, double{b[i]}, rest);
  for (std::size_t s = 0; s < Term::kSums; ++s) {
    double lanes[w];
    const Doubles sum = even[s] + odd[s];
    __builtin_memcpy(lanes, &sum, sizeof(sum));
    out[s] = rest[s];
    for (const double lane : lanes) out[s] += lane;
  }
}

template <class Floats, class Term>
double pair_in_double(const float* a, const float* b, std::size_t n) noexcept {
  double sum;
  sum_in_double<Floats, Term>(a, b, n, &sum);
  return sum;
}

template <class Floats, class Row>
void widen(const std::uint16_t* v, std::size_t n, float* out) noexcept {
  constexpr std::size_t w = Floats::kWidth;
  std::size_t i = 0;
  for (; i + w <= n; i += w) Row::load(v + i).store_unaligned(out + i);
  if constexpr (w > 1) {
    if (i == n) return;
    float lanes[w];
    Row::load_first(v + i, n - i).store_unaligned(lanes);
    for (std::size_t j = 0; i + j < n; ++j) out[i + j] = lanes[j];
  }
}

template <class Floats>
void narrow_to_f16(const float* v, std::size_t n, std::uint16_t* out) noexcept {
  constexpr std::size_t w = Floats::kWidth;
  std::size_t i = 0;
  for (; i + w <= n; i += w) Floats::store_f16(Floats::Batch::load_unaligned(v + i), out + i);
  if constexpr (w > 1) {
    if (i == n) return;
    std::uint16_t lanes[w];
    Floats::store_f16(Floats::load_first(v + i, n - i), lanes);
    for (std::size_t j = 0; i + j < n; ++j) out[i + j] = lanes[j];
  }
}

// Plain integer arithmetic: the compiler's vectors do.
inline void narrow_to_bf16(const float* v, std::size_t n, std::uint16_t* out) noexcept {
  for (std::size_t i = 0; i < n; ++i) {
    std::uint32_t bits;
    __builtin_memcpy(&bits, v + i, sizeof(bits));
    const std::uint32_t nearest_even = bits + 0x7FFFU + (bits >> 16 & 1U);
    const bool nan = (bits & 0x7FFF'FFFFU) > 0x7F80'0000U;
    out[i] = static_cast<std::uint16_t>((nan ? bits | 0x0040'0000U : nearest_even) >> 16);
  }
}

template <class Floats>
float max_abs(const float* v, std::size_t n) noexcept {
  using Batch = typename Floats::Batch;
  constexpr std::size_t w = Floats::kWidth;
  Batch best = Floats::zero();
  std::size_t i = 0;
  for (; i + w <= n; i += w) {
    best = Floats::max_abs(Batch::load_unaligned(v + i), best);
  }
  if constexpr (w > 1) {
    if (i < n) best = Floats::max_abs(Floats::load_first(v + i, n - i), best);
  }
  float lanes[w];
  best.store_unaligned(lanes);
  float result = 0.0F;
  for (const float lane : lanes) {
    if (lane > result) result = lane;
  }
  return result;
}

// ---- bytes: int8 dot product and squared distance, Hamming ----

// Integer addition is exact, so its order is free.
template <class Op>
inline typename Op::Sum one_row(const std::byte* query, const std::byte* row,
                                std::size_t n) noexcept {
  auto sum = Op::zero();
  std::size_t i = 0;
  for (; i + Op::kStep <= n; i += Op::kStep) {
    sum = Op::step(sum, Op::load(row + i), Op::load(query + i));
  }
  if constexpr (Op::kStep > 1) {
    if (i < n) sum = Op::step(sum, Op::load_tail(row, i, n), Op::load_tail(query, i, n));
  }
  return sum;
}

// Calls before(i) before the components from the i-th on, for every step of whole ones.
template <class Op, class Before>
inline typename Op::Four four_rows(const std::byte* query, const Group& group, std::size_t n,
                                   std::uint32_t bias, Before&& before) noexcept {
  auto s0 = Op::zero();
  auto s1 = s0;
  auto s2 = s0;
  auto s3 = s0;
  std::size_t i = 0;
  for (; i + Op::kStep <= n; i += Op::kStep) {
    before(i);
    const auto q = Op::load(query + i);
    s0 = Op::step(s0, Op::load(group.row0 + i), q);
    s1 = Op::step(s1, Op::load(group.row1 + i), q);
    s2 = Op::step(s2, Op::load(group.row2 + i), q);
    s3 = Op::step(s3, Op::load(group.row3 + i), q);
  }
  if constexpr (Op::kStep > 1) {
    if (i < n) {
      const auto q = Op::load_tail(query, i, n);
      s0 = Op::step(s0, Op::load_tail(group.row0, i, n), q);
      s1 = Op::step(s1, Op::load_tail(group.row1, i, n), q);
      s2 = Op::step(s2, Op::load_tail(group.row2, i, n), q);
      s3 = Op::step(s3, Op::load_tail(group.row3, i, n), q);
    }
  }
  return Op::reduce4(s0, s1, s2, s3, bias);
}

template <class Op>
inline typename Op::Four four_rows(const std::byte* query, const Group& group, std::size_t n,
                                   std::uint32_t bias) noexcept {
  return four_rows<Op>(query, group, n, bias, [](std::size_t) {});
}

template <class Op, class Int, class Component>
Int pair_bytes(const Component* a, const Component* b, std::size_t n) noexcept {
  const auto* query = static_cast<const std::byte*>(static_cast<const void*>(a));
  const auto sum =
      one_row<Op>(query, static_cast<const std::byte*>(static_cast<const void*>(b)), n);
  std::uint32_t out[kGroup];
  Op::store(Op::reduce4(sum, sum, sum, sum, Op::bias(query, n)), out);
  return static_cast<Int>(out[0]);
}

template <class Op, class Int, class Component>
void many_bytes(const Component* query, Rows rows, const std::uint32_t* ids, std::size_t n,
                std::size_t dim, Int* out) noexcept {
  constexpr std::size_t ahead = 2 * kGroup;
  const auto* q = static_cast<const std::byte*>(static_cast<const void*>(query));
  const std::uint32_t bias = Op::bias(q, dim);
  for (std::size_t i = 0; i < n && i < ahead; ++i) prefetch_lines(row_at(rows, ids[i]), dim);
  for (std::size_t i = 0; i < n; i += kGroup) {
    for (std::size_t j = i + ahead; j < n && j < i + ahead + kGroup; ++j) {
      prefetch_lines(row_at(rows, ids[j]), dim);
    }
    const std::size_t left = n - i;
    std::uint32_t four[kGroup];
    Op::store(four_rows<Op>(q, gather(rows, ids + i, left), dim, bias), four);
    for (std::size_t r = 0; r < kGroup && r < left; ++r) out[i + r] = static_cast<Int>(four[r]);
  }
}

}  // namespace
}  // namespace cairn::simd
