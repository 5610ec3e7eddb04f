// SPDX-License-Identifier: Apache-2.0
//
// How far ahead of its use memory is asked for, and whether it is asked for twice.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "simd/cpu.h"

namespace cairn {

// How many rows a walk asks for ahead of the one that it scores: as many as fill about so many
// cache lines, and at least 8. Measured at 100, 784 and 1536 dimensions, and flat around there:
// docs/decisions/0005-prefetch-distance.md.
inline constexpr std::size_t kLinesAhead = 112;
inline std::uint32_t rows_ahead(std::size_t dims) {
  return static_cast<std::uint32_t>(std::clamp<std::size_t>(kLinesAhead * 64 / (dims + 64), 8, 64));
}

// Of longer codes some lines are lost where many are asked for at once, on processors that lose
// any, and asking again while the rows before are scored finds them; of shorter ones, and on
// others, that costs more than it gains: docs/decisions/0046.
inline bool is_asked_again(std::size_t dims) {
  constexpr std::size_t kShortCode = 256;
  static const bool loses_prefetches = simd::loses_prefetches();
  return dims >= kShortCode && loses_prefetches;
}

}  // namespace cairn
