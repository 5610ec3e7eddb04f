// SPDX-License-Identifier: Apache-2.0
//
// The dynamic candidate list of a search: the paper's W and C in one array, sorted by distance,
// nearest first. The first `window` entries are expanded in turn (ef_search); up to `capacity` are
// kept, the rest of them for reranking. Distances and ids are apart so that the kernel compares and
// shifts whole vectors of them.
//
// Thread-safety: none.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <vector>

#include "engine/base/assert.h"
#include "engine/store/node_id.h"
#include "simd/kernels.h"

namespace cairn {

class NeighborPool {
 public:
  // Empties the pool. REQUIRES: 1 <= window <= capacity
  void reset(std::size_t window, std::size_t capacity) {
    CAIRN_ASSERT(1 <= window && window <= capacity);
    make_room(capacity);
    window_ = window;
    cursor_ = 0;
    pool_ = {distance_.data(), id_.data(), 0, capacity};
  }

  // The first `window` entries are expanded from now on. REQUIRES: window >= window()
  void widen(std::size_t window) {
    CAIRN_ASSERT(window_ <= window);
    const std::size_t capacity = std::max(pool_.capacity, window);
    make_room(capacity);
    window_ = window;
    cursor_ = 0;
    pool_ = {distance_.data(), id_.data(), pool_.size, capacity};
  }

  void insert(const simd::KernelTable& kernels, const NodeId* ids, const float* distances,
              std::size_t n) {
    insert(kernels, indexes_of(ids), distances, n);
  }
  // The same of what is numbered otherwise: id() gives its number.
  void insert(const simd::KernelTable& kernels, const std::uint32_t* indexes,
              const float* distances, std::size_t n) {
    const std::size_t lowest = kernels.pool_insert(pool_, distances, indexes, n);
    if (lowest < cursor_) cursor_ = lowest;
  }

  // The nearest entry that has not been expanded, which it marks as expanded; kNoNode if the window
  // has none.
  NodeId pop() {
    const NodeId node = peek();
    if (node != kNoNode) pool_.id[cursor_++] |= kExpanded;
    return node;
  }

  // The same; other pools have reasons to wait.
  NodeId pop_early() { return pop(); }

  // What pop() would return.
  NodeId peek() {
    const std::size_t end = pool_.size < window_ ? pool_.size : window_;
    while (cursor_ < end && (pool_.id[cursor_] & kExpanded) != 0) ++cursor_;
    return cursor_ < end ? NodeId{pool_.id[cursor_]} : kNoNode;
  }

  // Distance of what peek() has just returned.
  float next_distance() const { return pool_.distance[cursor_]; }

  bool has_room() const { return pool_.size < window_; }
  bool is_full() const { return pool_.size == pool_.capacity; }
  std::size_t window() const { return window_; }

  // What is farther has no more room.
  float bar() const {
    return is_full() ? pool_.distance[pool_.size - 1] : std::numeric_limits<float>::infinity();
  }
  // Whether a node at this distance would be within the window.
  bool admits(float distance) const { return has_room() || distance < pool_.distance[window_ - 1]; }

  // Whether an entry is as near as this. No distance is at most NaN.
  bool has_within(float distance) const { return pool_.size > 0 && pool_.distance[0] <= distance; }

  std::size_t size() const { return pool_.size; }
  NodeId id(std::size_t i) const { return {pool_.id[i] & ~kExpanded}; }
  float distance(std::size_t i) const { return pool_.distance[i]; }
  // How many entries are at this distance.
  std::size_t count_at(float distance) const { return count_within(distance, distance); }
  // How many are at least at the one, and at most at the other.
  std::size_t count_within(float nearest, float farthest) const {
    const float* begin = pool_.distance;
    const float* end = begin + pool_.size;
    return static_cast<std::size_t>(std::upper_bound(begin, end, farthest) -
                                    std::lower_bound(begin, end, nearest));
  }

 private:
  static constexpr std::uint32_t kExpanded = 0x80000000u;

  void make_room(std::size_t capacity) {
    // One by one: the second may have failed the last time.
    const std::size_t room = capacity + simd::kPoolSlack;
    if (distance_.size() < room) distance_.resize(room);
    if (id_.size() < room) id_.resize(room);
  }

  std::vector<float> distance_;
  std::vector<std::uint32_t> id_;  // indexes, with marks
  simd::PoolView pool_{};
  std::size_t window_ = 0;
  std::size_t cursor_ = 0;
};

}  // namespace cairn
