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
inline constexpr std::size_t kShortCode = 256;
inline bool is_asked_again(std::size_t dims) {
  static const bool loses_prefetches = simd::loses_prefetches();
  return dims >= kShortCode && loses_prefetches;
}

// How much of each longer code is asked for: on processors that read on by themselves, six lines.
inline std::size_t bytes_asked(std::size_t dims) {
  constexpr std::size_t kFollowed = 384;
  static const bool reads_on = simd::reads_on();
  return dims >= kShortCode && reads_on ? kFollowed : SIZE_MAX;
}

// Of still longer ones these read on too little. What comes is asked for there as a whole, but line
// by line between those that are scored: docs/decisions/0050.
inline bool is_asked_in_turn(std::size_t dims) {
  constexpr std::size_t kLongCode = 1024;
  static const bool reads_on = simd::reads_on();
  return dims >= kLongCode && reads_on;
}

}  // namespace cairn
