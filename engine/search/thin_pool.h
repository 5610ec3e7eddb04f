// SPDX-License-Identifier: Apache-2.0
//
// A pool that takes only a few nodes at one distance, or near it. Where copies of one vector, or
// near copies, would fill the window, such a search comes past them to what lies behind.
//
// Thread-safety: none.
#pragma once

#include <cstddef>

#include "engine/search/neighbor_pool.h"

namespace cairn {

template <class Pool>
class ThinPool {
 public:
  // At most `most` within `width` of one distance. `pool` inserts into `held`, or is it; both
  // outlive this.
  ThinPool(Pool& pool, const NeighborPool& held, std::size_t most, float width)
      : pool_(pool), held_(held), most_(most), width_(width) {}

  void insert(const simd::KernelTable& kernels, const NodeId* ids, const float* distances,
              std::size_t n) {
    for (std::size_t i = 0; i < n; ++i) {
      const float distance = distances[i];
      if (held_.count_within(distance - width_, distance + width_) >= most_) continue;
      pool_.insert(kernels, ids + i, distances + i, 1);
    }
  }

  NodeId pop() { return pool_.pop(); }
  NodeId pop_early() { return pool_.pop_early(); }
  NodeId peek() { return pool_.peek(); }
  bool has_within(float distance) const { return pool_.has_within(distance); }

  // What pools of pools ask for.
  float next_distance() const { return pool_.next_distance(); }
  float bar() const { return pool_.bar(); }
  bool has_room() const { return pool_.has_room(); }
  bool admits(float distance) const { return pool_.admits(distance); }
  std::size_t size() const { return pool_.size(); }
  float distance(std::size_t i) const { return pool_.distance(i); }
  void widen(std::size_t window) { pool_.widen(window); }

 private:
  Pool& pool_;
  const NeighborPool& held_;
  std::size_t most_;
  float width_;
};

}  // namespace cairn
