// SPDX-License-Identifier: Apache-2.0
//
// The candidate list of a search that passes tombstones: they wait in a pool of their own, and take
// no place among the live candidates. At most `most` of them are expanded, and none that is farther
// than the live pool's window reaches, so that a removed cluster costs no more than a second
// search.
//
// Thread-safety: none.
#pragma once

#include <cstddef>

#include "engine/search/neighbor_pool.h"
#include "engine/store/graph_view.h"

namespace cairn {

template <class Pool = NeighborPool>
class PassingPool {
 public:
  // Both pools are empty; `graph` outlives this.
  PassingPool(const GraphView& graph, Pool& live, Pool& removed, std::size_t most)
      : graph_(graph), live_(live), removed_(removed), left_(most) {}

  void insert(const simd::KernelTable& kernels, const NodeId* ids, const float* distances,
              std::size_t n) {
    for (std::size_t begin = 0; begin < n;) {
      const bool is_live = graph_.is_live(ids[begin]);
      std::size_t end = begin + 1;
      while (end < n && graph_.is_live(ids[end]) == is_live) ++end;
      Pool& pool = is_live ? live_ : removed_;
      pool.insert(kernels, ids + begin, distances + begin, end - begin);
      begin = end;
    }
  }

  // The nearest node that has not been expanded and may be, which is marked as expanded; kNoNode if
  // there is none.
  NodeId pop() {
    if (!removed_is_next()) return live_.pop();
    --left_;
    return removed_.pop();
  }
  // The same while nearer ones may still come in: no tombstone, since only so many may be expanded,
  // and nothing before the window is full, since tombstones may lead to nearer ones.
  NodeId pop_early() { return live_.has_room() || removed_is_next() ? kNoNode : live_.pop(); }
  NodeId peek() { return removed_is_next() ? removed_.peek() : live_.peek(); }

  bool has_within(float distance) const { return live_.has_within(distance); }

 private:
  bool removed_is_next() {
    if (left_ == 0 || removed_.peek() == kNoNode) return false;
    const float distance = removed_.next_distance();
    return live_.admits(distance) && (live_.peek() == kNoNode || distance < live_.next_distance());
  }

  const GraphView& graph_;
  Pool& live_;
  Pool& removed_;
  std::size_t left_;  // tombstones that may still be expanded
};

}  // namespace cairn
