// SPDX-License-Identifier: Apache-2.0
//
// Many codes by many others: the blocks of a product of two matrices, with the score of each sum
// (see KernelTable::score_tile). Four bytes of a code are a unit, which is four components of 8
// bits or two of 16; a tile holds the first units of all its rows, then the second ones, and so
// does a panel of its queries. Sums are exact, so their order is free. `Panels` (int8_*.h) is the
// step of an instruction set. Included by one source each.
#pragma once

#include <cstddef>
#include <cstdint>

#include "simd/kernels.h"

namespace cairn::simd {
namespace {

constexpr std::size_t kUnitBytes = 4;

template <class Panels>
constexpr std::size_t units(std::size_t dim) noexcept {
  return (dim + Panels::kDepth - 1) / Panels::kDepth;
}

// One unit of components.
template <class Panels>
std::uint32_t unit_of(const std::int8_t* code) noexcept {
  std::uint32_t unit;
  if constexpr (Panels::kDepth == 4) {
    __builtin_memcpy(&unit, code, kUnitBytes);
  } else {
    const auto low = static_cast<std::uint32_t>(std::int32_t{code[0]});
    unit = (low & 0xFFFFU) | static_cast<std::uint32_t>(std::int32_t{code[1]}) << 16;
  }
  return unit;
}

// Four numbers of 32 bits, and the bytes of four units, as every compiler's vectors have them.
using FourUnits = std::uint32_t __attribute__((vector_size(16)));

// Four units of components.
template <class Panels>
FourUnits four_units_of(const std::int8_t* code) noexcept {
  FourUnits units;
  if constexpr (Panels::kDepth == 4) {
    __builtin_memcpy(&units, code, sizeof(units));
  } else {
    using Bytes = std::int8_t __attribute__((vector_size(8)));
    using Words = std::int16_t __attribute__((vector_size(16)));
    Bytes bytes;
    __builtin_memcpy(&bytes, code, sizeof(bytes));
    const Words words = __builtin_convertvector(bytes, Words);
    __builtin_memcpy(&units, &words, sizeof(units));
  }
  return units;
}

// Units of four codes, `width` side by side, from `i` on as long as there are four; returns where
// there are no more.
template <class Panels>
std::size_t pack_four(const std::int8_t* const* codes, std::size_t width, std::size_t dim,
                      std::uint32_t flip, std::byte* to) noexcept {
  constexpr std::size_t step = 4 * Panels::kDepth;
  std::size_t i = 0;
  for (; i + step <= dim; i += step) {
    const FourUnits a = four_units_of<Panels>(codes[0] + i) ^ flip;
    const FourUnits b = four_units_of<Panels>(codes[1] + i) ^ flip;
    const FourUnits c = four_units_of<Panels>(codes[2] + i) ^ flip;
    const FourUnits d = four_units_of<Panels>(codes[3] + i) ^ flip;
    const FourUnits ab_low = __builtin_shufflevector(a, b, 0, 4, 1, 5);
    const FourUnits ab_high = __builtin_shufflevector(a, b, 2, 6, 3, 7);
    const FourUnits cd_low = __builtin_shufflevector(c, d, 0, 4, 1, 5);
    const FourUnits cd_high = __builtin_shufflevector(c, d, 2, 6, 3, 7);
    const FourUnits columns[4] = {__builtin_shufflevector(ab_low, cd_low, 0, 1, 4, 5),
                                  __builtin_shufflevector(ab_low, cd_low, 2, 3, 6, 7),
                                  __builtin_shufflevector(ab_high, cd_high, 0, 1, 4, 5),
                                  __builtin_shufflevector(ab_high, cd_high, 2, 3, 6, 7)};
    for (const FourUnits& column : columns) {
      __builtin_memcpy(to, &column, sizeof(column));
      to += width * kUnitBytes;
    }
  }
  return i;
}

// Units of `n` codes, `width` side by side: four codes at a time, and then what is left of each.
template <class Panels>
void pack(const std::int8_t* const* codes, std::size_t n, std::size_t width, std::size_t dim,
          std::uint32_t flip, std::byte* out) noexcept {
  constexpr std::size_t depth = Panels::kDepth;
  for (std::size_t first = 0; first < width; first += 4) {
    const std::int8_t* four[4];
    for (std::size_t j = 0; j < 4; ++j) four[j] = codes[first + j < n ? first + j : n - 1];
    const std::size_t packed = pack_four<Panels>(four, width, dim, flip, out + first * kUnitBytes);
    for (std::size_t j = 0; j < 4; ++j) {
      std::size_t i = packed;
      std::byte* to = out + (first + j + i / depth * width) * kUnitBytes;
      const auto put = [&](const std::int8_t* components) {
        const std::uint32_t unit = unit_of<Panels>(components) ^ flip;
        __builtin_memcpy(to, &unit, kUnitBytes);
        to += width * kUnitBytes;
      };
      for (; i + depth <= dim; i += depth) put(four[j] + i);
      if (i == dim) continue;
      std::int8_t last[depth] = {};
      for (std::size_t at = 0; i + at < dim; ++at) last[at] = four[j][i + at];
      put(last);
    }
  }
}

template <class Panels>
void pack_rows(const std::int8_t* const* codes, std::size_t n, std::size_t dim,
               std::byte* tile) noexcept {
  pack<Panels>(codes, n, kTileRows, dim, Panels::kFlip, tile);
}

// What the sums start from, and the units.
template <class Panels>
void pack_columns(const std::int8_t* const* codes, std::size_t n, std::size_t dim,
                  std::byte* panel) noexcept {
  for (std::size_t c = 0; c < kPanelColumns; ++c) {
    const std::int32_t start = Panels::start(codes[c < n ? c : n - 1], dim);
    __builtin_memcpy(panel + c * kUnitBytes, &start, kUnitBytes);
  }
  pack<Panels>(codes, n, kPanelColumns, dim, 0, panel + kPanelColumns * kUnitBytes);
}

// 0, 1, ... N - 1 as a type.
template <std::size_t... At>
struct Counted {};
template <std::size_t N, std::size_t... At>
struct CountTo : CountTo<N - 1, N - 1, At...> {};
template <std::size_t... At>
struct CountTo<0, At...> {
  using Type = Counted<At...>;
};

// Where the scores of a tile go.
struct TileScores {
  float* out;
  std::size_t stride;
  std::uint32_t* near;
};

// The operations of score_codes, in their order.
template <class Floats>
void finish(typename Floats::Batch dots, const PanelQueries& queries, std::size_t column,
            RowFactors row, float* out, std::uint32_t& near) noexcept {
  using Batch = typename Floats::Batch;
  constexpr std::uint32_t kAll = ~std::uint32_t{0} >> (32 - Floats::kWidth);
  const Batch scaled =
      (Batch::load_unaligned(queries.k + column) * Floats::broadcast(row.a)) * dots;
  const Batch score = (Batch::load_unaligned(queries.c0 + column) + scaled) +
                      Floats::broadcast(queries.w) * Floats::broadcast(row.b);
  score.store_unaligned(out + column);
  const std::uint32_t far =
      Floats::greater_bits(score, Batch::load_unaligned(queries.limit + column));
  near |= (~far & kAll) << column;
}

// Panels::kRows rows from `row` on by as many vectors of queries from `column` on. At: 0, 1, ... of
// their sums, which so stay in registers.
template <class Floats, class Panels, std::size_t... At>
void score_part(const std::byte* tile, std::size_t n, const RowFactors* factors,
                const std::byte* panel, const PanelQueries& queries, std::size_t units,
                std::size_t row, std::size_t column, const TileScores& to,
                Counted<At...>) noexcept {
  constexpr std::size_t vectors = Panels::kVectors;
  constexpr std::size_t lanes = Panels::kLanes;
  std::int32_t start[kPanelColumns];
  __builtin_memcpy(start, panel, sizeof(start));
  typename Panels::Sum sums[] = {Panels::load_sum(start + column + At % vectors * lanes)...};
  const std::byte* r = tile + row * kUnitBytes;
  const std::byte* c = panel + (kPanelColumns + column) * kUnitBytes;
  for (std::size_t i = 0; i < units; ++i) {
    ((sums[At] = Panels::step(sums[At], r + At / vectors * kUnitBytes,
                              Panels::load(c + At % vectors * lanes * kUnitBytes))),
     ...);
    r += kTileRows * kUnitBytes;
    c += kPanelColumns * kUnitBytes;
  }
  const auto store = [&](std::size_t at, typename Panels::Sum sum) {
    const std::size_t i = row + at / vectors;
    if (i >= n) return;
    finish<Floats>(Panels::to_floats(sum), queries, column + at % vectors * lanes, factors[i],
                   to.out + i * to.stride, to.near[i]);
  };
  (store(At, sums[At]), ...);
}

template <class Floats, class Panels>
void score_tile(const std::byte* tile, std::size_t n, const RowFactors* factors,
                const std::byte* panel, const PanelQueries& queries, std::size_t dim, float* out,
                std::size_t stride, std::uint32_t* near) noexcept {
  static_assert(Floats::kWidth == Panels::kLanes && kTileRows % Panels::kRows == 0);
  constexpr std::size_t columns = Panels::kVectors * Panels::kLanes;
  for (std::size_t r = 0; r < n; ++r) near[r] = 0;
  for (std::size_t row = 0; row < n; row += Panels::kRows) {
    for (std::size_t column = 0; column < kPanelColumns; column += columns) {
      score_part<Floats, Panels>(tile, n, factors, panel, queries, units<Panels>(dim), row, column,
                                 {out, stride, near},
                                 typename CountTo<Panels::kRows * Panels::kVectors>::Type());
    }
  }
}

}  // namespace
}  // namespace cairn::simd
