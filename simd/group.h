// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>

#include "simd/kernels.h"

namespace cairn::simd {
namespace {

// Rows are scored in groups of four: four independent chains, reduced together by one
// transposition.
constexpr std::size_t kGroup = 4;

inline const std::byte* row_at(Rows rows, std::uint32_t id) noexcept {
  return rows.base + std::size_t{id} * rows.stride;
}

// The rows of a group. Written out, here and where they are used: GCC keeps an array of sums in
// memory.
struct Group {
  const std::byte* row0;
  const std::byte* row1;
  const std::byte* row2;
  const std::byte* row3;
};

// Behind the last row it is repeated, to be computed and thrown away. left > 0.
inline Group gather(Rows rows, const std::uint32_t* ids, std::size_t left) noexcept {
  const std::size_t last = left - 1;
  return {row_at(rows, ids[0]), row_at(rows, ids[last < 1 ? last : 1]),
          row_at(rows, ids[last < 2 ? last : 2]), row_at(rows, ids[last < 3 ? last : 3])};
}

}  // namespace
}  // namespace cairn::simd
