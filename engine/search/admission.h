// SPDX-License-Identifier: Apache-2.0
//
// Admission policies: which of the nodes that a walk meets may be among its results. A policy makes
// the candidate list that fits it and hands that to the walk, which asks no further:
//
//   policy.walk(state, [&](auto& pool) { search_layer(..., pool, state); });
//
// Whatever is admitted ends up in state.pool, nearest first.
#pragma once

#include <cstddef>

#include "engine/search/passing_pool.h"
#include "engine/search/search_layer.h"
#include "engine/search/thin_pool.h"

namespace cairn {

// Every node that is linked: of a graph from which nothing has been removed.
struct AdmitAll {
  template <class Search>
  void walk(WalkState& state, Search&& search) const {
    search(state.pool);
  }
};

// No tombstone that the view knows of; they are passed.
struct AdmitLive {
  const GraphView& graph;
  std::size_t window;  // tombstones that are expanded, at most

  template <class Search>
  void walk(WalkState& state, Search&& search) const {
    if (!graph.tombstones) return AdmitAll().walk(state, search);
    state.waiting.reset(window, window);
    PassingPool pool(graph, state.pool, state.waiting, window);
    search(pool);
  }
};

// Of those that `inner` admits a few at one distance.
template <class Inner>
struct AdmitFew {
  Inner inner;
  std::size_t most;  // at one distance

  template <class Search>
  void walk(WalkState& state, Search&& search) const {
    inner.walk(state, [&](auto& pool) {
      ThinPool thin(pool, state.pool, most);
      search(thin);
    });
  }
};

// Searches one level from `entry`: state.pool holds the nearest nodes that were met and that the
// policy admits. It may be empty then.
template <class Admission>
inline void search_from(const Space& space, const Query& query, std::uint32_t level, Nearest entry,
                        std::size_t window, std::size_t capacity, const Admission& admission,
                        WalkState& state, float enough = kNoBound) {
  state.visited.reset(space.view().count);
  state.visited.insert(entry.node);
  state.pool.reset(window, capacity);
  admission.walk(state, [&](auto& pool) {
    pool.insert(simd::kernels(), &entry.node, &entry.distance, 1);
    search_layer(space, query, level, pool, state, enough);
  });
}

}  // namespace cairn
