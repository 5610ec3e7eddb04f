// SPDX-License-Identifier: Apache-2.0
//
// The caller's own metric over what a search has found.
#pragma once

#include <cstddef>

#include "engine/api/index_impl.h"
#include "engine/search/search_scratch.h"
#include "engine/store/page_use.h"

namespace cairn {

using OwnMetric = std::function<float(Key, VectorView)>;

// Replaces the distances of the first `found` of scratch.matches by the caller's, and sorts by
// them. With several_per_key it asks for all vectors of each key, of which the least value counts,
// and leaves out keys that have been removed meanwhile: `found` tells how many are left. Vectors
// are copied: the caller's function runs when none of the index's memory is looked at. `use` is
// told of all that is read. False: a page could not be read. REQUIRES: an epoch is entered, and
// matches are of `view`. Allocates nothing once warm.
bool rerank(const IndexState& state, const GraphView& view, const OwnMetric& metric, PageUse& use,
            SearchScratch& scratch, std::size_t& found);

}  // namespace cairn
