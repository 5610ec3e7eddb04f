// SPDX-License-Identifier: Apache-2.0
//
// Matches in the caller's array: it serves as storage for Match objects first, then each becomes a
// cairn_match in its place. No copy of the results is kept anywhere else.
#pragma once

#include <cstddef>
#include <new>
#include <type_traits>

#include <cairn/c.h>
#include <cairn/params.h>

namespace cairn::c {

static_assert(sizeof(cairn_match) == sizeof(Match));
static_assert(alignof(cairn_match) == alignof(Match));
static_assert(std::is_trivially_copyable_v<Match>);

inline Match* storage_of(cairn_match* out) { return reinterpret_cast<Match*>(out); }

inline void become_c(const Match* matches, cairn_match* out, std::size_t count) {
  for (std::size_t i = 0; i < count; ++i) {
    const Match match = matches[i];
    new (out + i) cairn_match{match.key, match.distance};
  }
}

}  // namespace cairn::c
