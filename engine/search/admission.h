// SPDX-License-Identifier: Apache-2.0
//
// Admission policies: which of the nodes that a walk meets may be among its results. A policy makes
// the candidate list that fits it and hands that to the walk, which asks no further:
//
//   policy.walk(state, [&](auto& pool) { search_layer(..., pool, state); });
//
// Whatever is admitted ends up in state.pool, nearest first.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <span>
#include <utility>

#include "engine/search/bridge_pool.h"
#include "engine/search/passing_pool.h"
#include "engine/search/plan.h"
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

// What becomes of a walk that has seen that its query lies far from what passes, where a scan costs
// less than a wider window would. widen: it has that all the same.
enum class FromAfar { widen, end };

// What a filter lets pass, and is live.
struct AdmitPassing {
  const GraphView& graph;
  const SlotSet& slots;
  std::size_t window;  // bridges that wait, at most
  FromAfar from_afar = FromAfar::widen;

  template <class Search>
  void walk(WalkState& state, Search&& search) const {
    state.waiting.reset(window, window);
    BridgePool pool(graph, slots, state.pool, state.waiting);
    const std::size_t wider = window_from_afar(graph, slots, window);
    if (from_afar == FromAfar::end && !is_walk_worth(graph, slots, wider)) {
      pool.end_from_afar(state.effort);
    } else {
      pool.widen_from_afar(wider);
    }
    search(pool);
  }
};

// Of those that `inner` admits a few at one distance.
template <class Inner>
struct AdmitFew {
  Inner inner;
  std::size_t most;  // within `width` of one distance
  float width = 0;

  template <class Search>
  void walk(WalkState& state, Search&& search) const {
    inner.walk(state, [&](auto& pool) {
      ThinPool thin(pool, state.pool, most, width);
      search(thin);
    });
  }
};

// Those that pass, and what they are reached over: each of them a few.
template <>
struct AdmitFew<AdmitPassing> {
  AdmitPassing inner;
  std::size_t most;
  float width = 0;

  template <class Search>
  void walk(WalkState& state, Search&& search) const {
    state.waiting.reset(inner.window, inner.window);
    ThinPool passing(state.pool, state.pool, most, width);
    ThinPool bridges(state.waiting, state.waiting, most, width);
    BridgePool pool(inner.graph, inner.slots, passing, bridges);
    search(pool);
  }
};

// Calls use(policy): for what is live, or for what of that is in `slots`, if there are any.
template <class Use>
inline decltype(auto) with_admission(const GraphView& graph, const SlotSet* slots,
                                     std::size_t window, Use&& use) {
  return slots == nullptr ? use(AdmitLive{graph, window})
                          : use(AdmitPassing{graph, *slots, window});
}

// Searches one level from `entries`, each another node: state.pool holds the nearest nodes that
// were met and that the policy admits. It may be empty then.
template <class Admission>
inline void search_from(const Space& space, const Query& query, std::uint32_t level,
                        std::span<const Nearest> entries, std::size_t window, std::size_t capacity,
                        const Admission& admission, WalkState& state, float enough = kNoBound) {
  state.visited.reset(space.view().count);
  for (const Nearest& entry : entries) state.visited.insert(entry.node);
  state.pool.reset(window, capacity);
  admission.walk(state, [&](auto& pool) {
    for (const Nearest& entry : entries) {
      pool.insert(simd::kernels(), &entry.node, &entry.distance, 1);
    }
    search_layer(space, query, level, pool, state, enough);
  });
}

// The same from one.
template <class Admission>
inline void search_from(const Space& space, const Query& query, std::uint32_t level, Nearest entry,
                        std::size_t window, std::size_t capacity, const Admission& admission,
                        WalkState& state, float enough = kNoBound) {
  search_from(space, query, level, std::span<const Nearest>(&entry, 1), window, capacity, admission,
              state, enough);
}

// A window full of near copies of one vector, as seen from afar, is a window of one: the search
// has come to the nearest group of those that it met on its way, and sees nothing of the others.
// Then it goes on with few of each group in its window, and where that leads nearer, once more with
// all. Whether it has found anything nearer. The candidates stand in the state's pool in any case.
template <class Admission>
inline bool search_past_group(const Space& space, const Query& query, std::uint32_t level,
                              std::size_t window, std::size_t capacity, const Admission& admission,
                              WalkState& state) {
  constexpr std::size_t kEntries = 16;
  if (!is_one_group(space, state.pool, window)) return false;
  std::array<Nearest, kEntries> entries;
  const auto entries_of_pool = [&](std::size_t step) {
    std::size_t n = 0;
    for (std::size_t i = 0; i < state.pool.size() && n < kEntries; i += step) {
      entries[n++] = {state.pool.id(i), state.pool.distance(i)};
    }
    return std::span<const Nearest>(entries.data(), n);
  };
  const float nearest = state.pool.distance(0);
  const float width = kGroupWidths * (state.pool.distance(place_in_group(window)) - nearest);
  const auto from = entries_of_pool(std::max<std::size_t>(1, window / kEntries));
  std::swap(state.pool, state.group);
  search_from(space, query, level, from, window, window,
              AdmitFew<Admission>{admission, few_of(window), width}, state);
  const bool is_nearer = state.pool.size() > 0 && state.pool.distance(0) < nearest;
  if (!is_nearer || state.effort.is_walked_out()) {
    std::swap(state.pool, state.group);
    return false;
  }
  search_from(space, query, level, entries_of_pool(1), window, capacity, admission, state);
  return true;
}

}  // namespace cairn
