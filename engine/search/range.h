// SPDX-License-Identifier: Apache-2.0
//
// Everything within a distance: a walk whose window is what lies within it and `ef` more, or a scan
// where that costs less.
#pragma once

#include <cairn/params.h>

#include "engine/search/search.h"
#include "engine/search/slot_set.h"
#include "engine/search/widening_walk.h"
#include "engine/vectors/distance.h"

namespace cairn {

// Finds live nodes in `slots` (null: all) that are not farther than `radius`: they stand at the
// beginning of the scratch's matches, nearest first, ties by key; at most params.max_results, the
// nearest of all, if that is not 0. REQUIRES: `query` fits the index; ef >= 1; radius is no NaN.
FoundNearest find_within(const Space& space, VectorView query, float radius,
                         const RangeParams& params, const SlotSet* slots, WideningScratch& scratch);

}  // namespace cairn
