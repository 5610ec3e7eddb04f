// SPDX-License-Identifier: Apache-2.0
//
// Where copies of one vector are more than a window holds, they stand before what may be nearer.
//
// Thread-safety: none; memory belongs to the caller.
#pragma once

#include <cstddef>

#include "engine/search/ranking.h"
#include "engine/search/search_scratch.h"
#include "engine/search/slot_set.h"
#include "engine/vectors/distance.h"

namespace cairn {

// Whether a walk has filled its window with copies of one vector, or cannot have told which of many
// at one distance are among the `k` nearest.
bool is_cut_by_copies(const Space& space, const Query& query, std::size_t k, std::size_t ef,
                      const SearchScratch& scratch);

// Walks for what lies behind the copies, on the vectors: codes may have taken for copies what is
// nearer than these, or farther. Where that leads to anything nearer than the `k`-th, walks on from
// there: if it was not known, or if the walk before, of a query of that kind, was on codes and may
// have dropped its like. scratch.ids holds what was found, `found` of that walk, and is given the
// rest; returns how many there are in the end. `slots`: what may be a result; null: all that is
// live.
std::size_t find_behind_copies(const Space& on_vectors, const Query& query, Query::Kind before,
                               std::size_t k, std::size_t ef, std::size_t found,
                               const SlotSet* slots, SearchScratch& scratch);

// Walks for `ef` candidates in `slots`, few of them at any one distance: into scratch.pool.
void walk_for_few(const Space& space, const Query& query, std::size_t ef, const SlotSet* slots,
                  SearchScratch& scratch);

}  // namespace cairn
