// SPDX-License-Identifier: Apache-2.0
//
// The candidate list of a walk whose window grows while it goes on: of a range, and of a cursor. It
// forgets nothing: what the sorted part has no room for waits behind it, unsorted, until the window
// comes near. What has been used may be taken out in front.
//
// Thread-safety: none.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <vector>

#include "engine/search/neighbor_pool.h"
#include "engine/search/search_layer.h"
#include "engine/store/node_id.h"
#include "simd/kernels.h"

namespace cairn {

class PagingPool {
 public:
  // Empties it.
  void reset() {
    pool_.size = 0;
    window_ = 0;
    cursor_ = 0;
    limit_ = 0;
    beyond_.clear();
    least_beyond_ = kNone;
  }

  // The first `window` entries are expanded from now on. REQUIRES: window >= 1
  void widen(std::size_t window) {
    window_ = window;
    limit_ = std::max(limit_, window + std::max(kAhead, window / 4));
    const std::size_t room = limit_ + kPiece + simd::kPoolSlack;
    if (distance_.size() < room) distance_.resize(room);
    if (id_.size() < room) id_.resize(room);
    pool_ = {distance_.data(), id_.data(), pool_.size, limit_ + kPiece};
    if (pool_.size < window_ + kPiece && !beyond_.empty()) refill();
    cursor_ = 0;
  }

  void insert(const simd::KernelTable& kernels, const NodeId* ids, const float* distances,
              std::size_t n) {
    for (std::size_t begin = 0; begin < n; begin += kPiece) {
      insert_piece(kernels, ids + begin, distances + begin, std::min(kPiece, n - begin));
    }
  }

  // As those of NeighborPool.
  NodeId pop() {
    const NodeId node = peek();
    if (node != kNoNode) pool_.id[cursor_++] |= kExpanded;
    return node;
  }
  NodeId pop_early() { return pop(); }
  NodeId peek() {
    const std::size_t end = std::min(pool_.size, window_);
    while (cursor_ < end && (pool_.id[cursor_] & kExpanded) != 0) ++cursor_;
    return cursor_ < end ? NodeId{pool_.id[cursor_]} : kNoNode;
  }
  float next_distance() const { return pool_.distance[cursor_]; }
  float bar() const { return kNone; }  // nothing is forgotten
  bool has_room() const { return pool_.size < window_; }
  bool admits(float distance) const { return has_room() || distance < pool_.distance[window_ - 1]; }
  bool has_within(float distance) const { return pool_.size > 0 && pool_.distance[0] <= distance; }

  // The sorted part: entries that are no farther than all others.
  std::size_t size() const { return pool_.size; }
  NodeId id(std::size_t i) const { return {pool_.id[i] & ~kExpanded}; }
  float distance(std::size_t i) const { return pool_.distance[i]; }
  bool is_expanded(std::size_t i) const { return (pool_.id[i] & kExpanded) != 0; }
  // How many of it are at most that far.
  std::size_t count_within(float distance) const {
    const float* end = pool_.distance + pool_.size;
    return static_cast<std::size_t>(
        std::upper_bound(static_cast<const float*>(pool_.distance), end, distance) -
        pool_.distance);
  }
  // With what waits behind it.
  std::size_t all() const { return pool_.size + beyond_.size(); }

  // Takes the first `n` entries out. REQUIRES: n <= size()
  void take_front(std::size_t n) {
    if (n == 0) return;
    std::copy(pool_.distance + n, pool_.distance + pool_.size, pool_.distance);
    std::copy(pool_.id + n, pool_.id + pool_.size, pool_.id);
    pool_.size -= n;
    cursor_ = 0;
  }
  // Takes out what gone(node, is_expanded) says.
  template <class Gone>
  void remove_if(Gone&& gone) {
    std::size_t kept = 0;
    for (std::size_t i = 0; i < pool_.size; ++i) {
      if (gone(id(i), is_expanded(i))) continue;
      pool_.distance[kept] = pool_.distance[i];
      pool_.id[kept++] = pool_.id[i];
    }
    pool_.size = kept;
    std::erase_if(beyond_, [&](const Entry& one) {
      return gone(NodeId{one.id & ~kExpanded}, (one.id & kExpanded) != 0);
    });
    find_least_beyond();
    cursor_ = 0;
  }

 private:
  struct Entry {
    std::uint32_t id;  // an index, with its mark
    float distance;
  };
  static constexpr std::uint32_t kExpanded = 0x80000000u;
  static constexpr std::size_t kPiece = 64;   // that is inserted at a time
  static constexpr std::size_t kAhead = 192;  // that the sorted part holds beyond the window
  static constexpr float kNone = std::numeric_limits<float>::infinity();

  void insert_piece(const simd::KernelTable& kernels, const NodeId* ids, const float* distances,
                    std::size_t n) {
    const bool is_full = pool_.size >= limit_;
    if (!is_full && beyond_.empty()) {
      put(kernels, ids, distances, n);
      return;
    }
    const float bar =
        is_full ? std::min(least_beyond_, pool_.distance[pool_.size - 1]) : least_beyond_;
    NodeId near_ids[kPiece];
    float near_distances[kPiece];
    std::size_t near = 0;
    for (std::size_t i = 0; i < n; ++i) {
      if (distances[i] < bar) {
        near_ids[near] = ids[i];
        near_distances[near++] = distances[i];
      } else {
        push_beyond({ids[i].index, distances[i]});
      }
    }
    if (near != 0) put(kernels, near_ids, near_distances, near);
  }

  void put(const simd::KernelTable& kernels, const NodeId* ids, const float* distances,
           std::size_t n) {
    const std::size_t lowest = kernels.pool_insert(pool_, distances, indexes_of(ids), n);
    cursor_ = std::min(cursor_, lowest);
    for (; pool_.size > limit_; --pool_.size) {
      push_beyond({pool_.id[pool_.size - 1], pool_.distance[pool_.size - 1]});
    }
    cursor_ = std::min(cursor_, pool_.size);
  }

  void push_beyond(const Entry& one) {
    beyond_.push_back(one);
    least_beyond_ = std::min(least_beyond_, one.distance);
  }

  void refill() {
    const std::size_t room = limit_ - std::min(limit_, pool_.size);
    const std::size_t n = std::min(room, beyond_.size());
    const auto nearer = [](const Entry& a, const Entry& b) { return a.distance < b.distance; };
    const auto end = beyond_.begin() + static_cast<std::ptrdiff_t>(n);
    std::partial_sort(beyond_.begin(), end, beyond_.end(), nearer);
    for (auto it = beyond_.begin(); it != end; ++it) {
      pool_.distance[pool_.size] = it->distance;
      pool_.id[pool_.size++] = it->id;
    }
    beyond_.erase(beyond_.begin(), end);
    find_least_beyond();
  }

  void find_least_beyond() {
    least_beyond_ = kNone;
    for (const Entry& one : beyond_) least_beyond_ = std::min(least_beyond_, one.distance);
  }

  std::vector<float> distance_;
  std::vector<std::uint32_t> id_;  // indexes, with marks
  simd::PoolView pool_{};
  std::size_t window_ = 0;
  std::size_t cursor_ = 0;
  std::size_t limit_ = 0;  // of the sorted part; its array has room for a piece more
  std::vector<Entry> beyond_;
  float least_beyond_ = kNone;
};

}  // namespace cairn
