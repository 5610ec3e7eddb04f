// SPDX-License-Identifier: Apache-2.0
//
// A whole walk: from the entry point down to level 0, and there for the nearest.
#pragma once

#include <cstddef>

#include "engine/search/admission.h"
#include "engine/search/search_scratch.h"
#include "engine/vectors/distance.h"

namespace cairn {

// Walks level 0 for `ef` candidates that the policy admits: into scratch.pool.
template <class Admission>
void walk(const Space& space, const Query& query, std::size_t ef, std::size_t capacity,
          const Admission& admission, SearchScratch& scratch) {
  const GraphView& graph = space.view();
  const Nearest entry = descend(space, query, 0, scratch);
  search_from(space, query, 0, entry, ef, capacity, admission, scratch);
  if (scratch.pool.size() < ef && entry.node != graph.entry_point && !scratch.effort.is_over()) {
    // Every node can be reached from the entry point, but not from every other node.
    Nearest first{graph.entry_point, 0};
    (void)scratch.effort.take_rows(1);
    space.distances(query, &first.node, 1, &first.distance);
    search_from(space, query, 0, first, ef, capacity, admission, scratch);
  }
}

}  // namespace cairn
