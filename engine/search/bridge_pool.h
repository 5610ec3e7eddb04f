// SPDX-License-Identifier: Apache-2.0
//
// The candidate list of a walk that a filter lets only some nodes pass. Those that do are scored
// wherever they are met, and their neighbors with them. A node that does not pass, or was removed,
// may be a bridge: it waits in a pool of its own, and when it is next, only those of its neighbors
// are scored that pass. So a walk comes through regions where nothing passes, and costs about what
// a walk costs where everything does.
//
// Thread-safety: none.
#pragma once

#include <algorithm>
#include <cstddef>

#include "engine/search/effort.h"
#include "engine/search/neighbor_pool.h"
#include "engine/search/slot_set.h"
#include "engine/search/visited_set.h"
#include "engine/store/graph_view.h"

namespace cairn {

template <class Pool = NeighborPool>
class BridgePool {
 public:
  // Both pools are empty; all outlive this.
  BridgePool(const GraphView& graph, const SlotSet& slots, Pool& passing, Pool& bridges)
      : graph_(graph), slots_(slots), passing_(passing), bridges_(bridges) {}

  // Where the query lies far from what passes, all of that is nearly as far, and a window finds
  // less of the nearest. As soon as that is seen, both windows become this wide.
  void widen_from_afar(std::size_t window) { window_from_afar_ = window; }
  // Or then the walk ends, as a scan costs less than going on would.
  void end_from_afar(Effort& effort) { ended_from_afar_ = &effort; }

  void insert(const simd::KernelTable& kernels, const NodeId* ids, const float* distances,
              std::size_t n) {
    for (std::size_t begin = 0; begin < n; begin += kPiece) {
      const std::size_t end = std::min(begin + kPiece, n);
      const float bar = passing_.bar();
      Part near;  // few: the others need not be told apart
      for (std::size_t i = begin; i < end; ++i) near.put(ids[i], distances[i], distances[i] <= bar);
      Part passing;
      Part bridges;
      for (std::size_t i = 0; i < near.size; ++i) {
        const bool is_passing = passes(near.ids[i]);
        passing.put(near.ids[i], near.distances[i], is_passing);
        bridges.put(near.ids[i], near.distances[i], !is_passing);
      }
      passing.insert_into(passing_, kernels);
      bridges.insert_into(bridges_, kernels);
    }
    const bool is_full = !passing_.has_room() && !bridges_.has_room();
    const bool looks = window_from_afar_ != 0 || ended_from_afar_ != nullptr;
    if (looks && is_full && is_afar()) leave_near();
  }

  // The nearest node that has not been expanded, of either kind; a bridge only if the window would
  // have room for a node at its distance. It is marked as expanded; kNoNode if there is none.
  NodeId pop() {
    is_on_bridge_ = bridge_is_next();
    return is_on_bridge_ ? bridges_.pop() : passing_.pop();
  }
  // The same while nearer ones may still come in: nothing before the window is full, since bridges
  // may lead to nearer ones.
  NodeId pop_early() {
    is_on_bridge_ = false;
    return passing_.has_room() ? kNoNode : pop();
  }
  NodeId peek() { return bridge_is_next() ? bridges_.peek() : passing_.peek(); }

  bool has_within(float distance) const { return passing_.has_within(distance); }

  // Of the neighbors of the node that was popped last, those that are to be scored.
  std::size_t insert_new(VisitedSet& visited, const LinkList& links) const {
    if (!is_on_bridge_) return visited.insert_new(links);
    return visited.insert_new_if(links, [&](NodeId node) { return slots_.has(node); });
  }

 private:
  static constexpr std::size_t kPiece = 64;

  // What of a list goes into one of the pools, which takes in many at less cost than one by one.
  struct Part {
    NodeId ids[kPiece];
    float distances[kPiece];
    std::size_t size = 0;

    // Counts only if it `belongs` here: where both kinds come in turn, branches are guessed wrong.
    void put(NodeId id, float distance, bool belongs) {
      ids[size] = id;
      distances[size] = distance;
      size += belongs ? 1 : 0;
    }
    void insert_into(Pool& pool, const simd::KernelTable& kernels) const {
      if (size != 0) pool.insert(kernels, ids, distances, size);
    }
  };

  bool passes(NodeId node) const {
    return slots_.has(node) && (!graph_.tombstones || graph_.is_live(node));
  }
  bool bridge_is_next() {
    if (bridges_.peek() == kNoNode) return false;
    const float distance = bridges_.next_distance();
    return passing_.admits(distance) &&
           (passing_.peek() == kNoNode || distance < passing_.next_distance());
  }

  // It is far if all bridges that wait are nearer than those that pass and would be met among three
  // quarters as many by chance.
  bool is_afar() const {
    const std::size_t live = std::max<std::size_t>(graph_.live, 1);
    const std::size_t by_chance = bridges_.size() * slots_.count() * 3 / live / 4;
    const std::size_t at = std::min(by_chance, passing_.size() - 1);
    return bridges_.distance(bridges_.size() - 1) < passing_.distance(at);
  }

  void leave_near() {
    if (ended_from_afar_ != nullptr) return ended_from_afar_->end_walk();
    passing_.widen(window_from_afar_);
    bridges_.widen(window_from_afar_);
    window_from_afar_ = 0;
  }

  const GraphView& graph_;
  const SlotSet& slots_;
  Pool& passing_;
  Pool& bridges_;
  std::size_t window_from_afar_ = 0;   // 0: not asked for, or reached
  Effort* ended_from_afar_ = nullptr;  // null: not asked for
  bool is_on_bridge_ = false;          // the node that was popped last
};

template <class Pool>
inline std::size_t insert_new(BridgePool<Pool>& pool, VisitedSet& visited, const LinkList& links) {
  return pool.insert_new(visited, links);
}

}  // namespace cairn
