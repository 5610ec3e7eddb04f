// SPDX-License-Identifier: Apache-2.0
//
// Searches where a key may have several vectors: a result is a key, with the nearest of them. The
// window of a walk is counted in keys, so that one with many near vectors does not fill it.
#pragma once

#include <cairn/params.h>

#include "engine/search/search.h"
#include "engine/search/slot_set.h"
#include "engine/search/widening_walk.h"
#include "engine/vectors/distance.h"

namespace cairn {

// As find_nearest(): the nearest ranked_for(params) keys, all of them if there are no more. A walk
// that has met fewer ends as a scan, and so does one that costs as much. REQUIRES: as
// find_nearest(); several_per_key of the view.
FoundNearest find_nearest_keys(const Space& space, VectorView query, const SearchParams& params,
                               const SlotSet* slots, WideningScratch& scratch);

}  // namespace cairn
