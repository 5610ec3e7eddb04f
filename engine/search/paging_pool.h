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
  // That the sorted part holds beyond the window: where a walk is likely to go on, and where it is
  // likely to end within its first window.
  static constexpr std::size_t kAhead = 192;
  static constexpr std::size_t kFewAhead = 16;

  // Empties it. `ahead`: of those two, until the sorted part has been filled again.
  void reset(std::size_t ahead = kAhead) {
    pool_.size = 0;
    window_ = 0;
    cursor_ = 0;
    limit_ = 0;
    ahead_ = ahead;
    beyond_.clear();
    least_beyond_ = kNone;
  }

  // The first `window` entries are expanded from now on. REQUIRES: window >= 1
  void widen(std::size_t window) {
    window_ = window;
    const bool has_few = pool_.size < window && !beyond_.empty();
    if (has_few) ahead_ = kAhead;
    make_room(window + std::max(ahead_, window / 4));
    if (has_few) refill();
    cursor_ = 0;
  }

  // From now on as many are sorted as when the walk had begun with kAhead, if any of those that
  // wait is at most that far.
  void sort_within(float distance) {
    if (beyond_.empty() || least_beyond_ > distance) return;
    sort_first(window_ + std::max(kAhead, window_ / 4));
  }
  // All of it is sorted.
  void sort_all() { sort_first(all()); }

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
  static constexpr std::size_t kPiece = 64;  // that is inserted at a time
  static constexpr float kNone = std::numeric_limits<float>::infinity();

  // Some of them, with their marks.
  struct Piece {
    std::uint32_t ids[kPiece];
    float distances[kPiece];
    std::size_t size = 0;
  };

  void insert_piece(const simd::KernelTable& kernels, const NodeId* ids, const float* distances,
                    std::size_t n) {
    const bool is_full = pool_.size >= limit_;
    if (!is_full && beyond_.empty()) {
      put(kernels, indexes_of(ids), distances, n);
      return;
    }
    const float bar =
        is_full ? std::min(least_beyond_, pool_.distance[pool_.size - 1]) : least_beyond_;
    Piece near;
    const std::size_t before = beyond_.size();
    beyond_.resize(before + n);
    std::size_t end = before;
    float least = least_beyond_;
    // Counts only what belongs there: where both kinds come in turn, branches are guessed wrong.
    for (std::size_t i = 0; i < n; ++i) {
      const bool is_near = distances[i] < bar;
      near.ids[near.size] = ids[i].index;
      near.distances[near.size] = distances[i];
      near.size += is_near ? 1 : 0;
      beyond_[end] = {ids[i].index, distances[i]};
      end += is_near ? 0 : 1;
      least = is_near ? least : std::min(least, distances[i]);
    }
    beyond_.resize(end);
    least_beyond_ = least;
    put(kernels, near);
  }

  void put(const simd::KernelTable& kernels, Piece& piece) {
    if (piece.size != 0) put(kernels, piece.ids, piece.distances, piece.size);
    piece.size = 0;
  }
  void put(const simd::KernelTable& kernels, const std::uint32_t* ids, const float* distances,
           std::size_t n) {
    const std::size_t lowest = kernels.pool_insert(pool_, distances, ids, n);
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

  void sort_first(std::size_t n) {
    make_room(n);
    if (pool_.size < n && !beyond_.empty()) refill();
    cursor_ = 0;
  }

  void make_room(std::size_t limit) {
    limit_ = std::max(limit_, limit);
    const std::size_t room = limit_ + kPiece + simd::kPoolSlack;
    if (distance_.size() < room) distance_.resize(room);
    if (id_.size() < room) id_.resize(room);
    pool_ = {distance_.data(), id_.data(), pool_.size, limit_ + kPiece};
  }

  // Until the window is full or nothing waits any more.
  void refill() {
    do {
      sort_some(limit_ - pool_.size);
    } while (pool_.size < window_ && !beyond_.empty());
  }

  // About the `n` nearest of what waits go to the sorted part, all up to one distance. That is
  // guessed from a sample: to find the n-th itself takes longer than to sort them.
  void sort_some(std::size_t n) {
    const simd::KernelTable& kernels = simd::kernels();
    const float bar = bar_for(n);
    waiting_.swap(beyond_);
    beyond_.clear();
    least_beyond_ = kNone;
    Piece near;
    for (const Entry& one : waiting_) {
      if (one.distance > bar) {
        push_beyond(one);
        continue;
      }
      near.ids[near.size] = one.id;
      near.distances[near.size++] = one.distance;
      if (near.size == kPiece) put(kernels, near);
    }
    put(kernels, near);
  }

  float bar_for(std::size_t n) const {
    constexpr std::size_t kSample = 64;
    const std::size_t size = beyond_.size();
    if (size <= n + kSample) return kNone;
    float sample[kSample];
    for (std::size_t i = 0; i < kSample; ++i) sample[i] = beyond_[i * size / kSample].distance;
    float* const at = sample + std::min(kSample - 1, n * kSample / size + 1);
    std::nth_element(sample, at, sample + kSample);
    return *at;
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
  std::size_t ahead_ = kAhead;
  std::vector<Entry> beyond_;
  std::vector<Entry> waiting_;  // while some are sorted
  float least_beyond_ = kNone;
};

}  // namespace cairn
