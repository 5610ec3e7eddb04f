// SPDX-License-Identifier: Apache-2.0
//
// How candidates become results: those that may be among the nearest are ranked by the vectors as
// given, in double.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include <cairn/params.h>

#include "engine/search/search_scratch.h"
#include "engine/search/slot_set.h"
#include "engine/vectors/distance.h"

namespace cairn {

// Two distances that are farther apart than so many standard deviations of their errors are in
// their true order (docs/decisions/0011).
inline constexpr float kDeviations = 6.0f;

// How many candidates a walk on codes looks at for k results, at least: codes misplace a neighbor
// by a few ranks, not by many.
inline std::size_t candidates_for(std::size_t k) { return k + k / 2 + 8; }

// What a search has found for one query: scratch.ids and scratch.distances hold `count` candidates.
// `switches` of them may be missing: the old nodes of the replacements that the search has
// overlapped, which it may have missed as it may the new ones. They are added.
struct Candidates {
  std::size_t count;
  std::uint64_t switches;
};

// The candidates of a walk, nearest first, that may be among the `k` nearest: those of scratch.pool
// that are live and in `slots`; null: no filter.
Candidates candidates_of_pool(const Space& space, const Query& query, std::size_t k,
                              const SlotSet* slots, SearchScratch& scratch);

// Ranks them: scratch.matches begins with the k nearest, nearest first, ties by key; returns how
// many there are. A key has one match. Ends early, with what it has ranked, when scratch.effort is
// over by the clock.
std::size_t rank(const Space& space, const Query& query, std::size_t k, Candidates candidates,
                 const SlotSet* slots, SearchScratch& scratch);

// The first out.size() of scratch.matches, as they are reported.
void report(const Space& space, const SearchScratch& scratch, std::span<Match> out);

}  // namespace cairn
