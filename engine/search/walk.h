// SPDX-License-Identifier: Apache-2.0
//
// A whole walk: from the entry point down to level 0, and there for the nearest.
#pragma once

#include <array>
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

// The same for what is in `slots`. Where the query lies far from all that passes, a walk from the
// entry alone would lose its way: it also begins at some that pass, far apart.
template <class Admission>
void walk_among(const SlotSet& slots, const Space& space, const Query& query, std::size_t ef,
                std::size_t capacity, const Admission& admission, SearchScratch& scratch) {
  constexpr std::size_t kSeeds = 8;
  std::array<NodeId, kSeeds> seeds;
  std::array<float, kSeeds> distances;
  std::array<Nearest, kSeeds + 1> entries;
  entries[0] = descend(space, query, 0, scratch);
  std::size_t n = slots.spread(space.view().count, seeds);
  n = scratch.effort.take_rows(n);
  space.distances(query, seeds.data(), n, distances.data());
  std::size_t count = 1;
  for (std::size_t i = 0; i < n; ++i) {
    if (seeds[i] != entries[0].node) entries[count++] = {seeds[i], distances[i]};
  }
  search_from(space, query, 0, {entries.data(), count}, ef, capacity, admission, scratch);
}

}  // namespace cairn
