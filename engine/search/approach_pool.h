// SPDX-License-Identifier: Apache-2.0
//
// The candidate list of a search that is on its way. As long as each hop or the one after it comes
// nearer, the beginnings of neighbor lists say well enough where to go on, and the rest would be
// left behind soon: it is not looked at. Once two hops in a row have found nothing nearer, lists
// are looked at as a whole. Where the window is not filled by then, those that were cut are gone
// through again, so a search that may meet all that can be reached does (docs/decisions/0040).
//
// Thread-safety: none.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "engine/search/neighbor_pool.h"
#include "engine/search/visited_set.h"
#include "engine/store/graph_view.h"

namespace cairn {

class ApproachPool {
 public:
  // Of a list `links` are looked at on the way. `pool` is empty; `cut` is working memory.
  ApproachPool(NeighborPool& pool, std::vector<NodeId>& cut, std::uint32_t links)
      : pool_(pool), cut_(cut), links_(links) {
    cut_.clear();
  }

  void insert(const simd::KernelTable& kernels, const NodeId* ids, const float* distances,
              std::size_t n) {
    pool_.insert(kernels, ids, distances, n);
    if (has_arrived_ || pool_.size() == 0) return;
    const float nearest = pool_.distance(0);
    hops_without_ = is_first_ || nearest < nearest_ ? 0 : hops_without_ + 1;
    is_first_ = false;
    nearest_ = nearest;
    has_arrived_ = hops_without_ == kHopsWithout;
  }

  NodeId pop() {
    popped_ = pool_.pop();
    if (popped_ == kNoNode && pool_.has_room() && !cut_.empty()) {
      has_arrived_ = true;
      popped_ = cut_.back();
      cut_.pop_back();
    }
    return popped_;
  }
  NodeId pop_early() { return popped_ = pool_.pop(); }
  NodeId peek() { return pool_.peek(); }
  bool has_within(float distance) const { return pool_.has_within(distance); }

  // Marks those neighbors of the node that has been popped last that are looked at: see
  // insert_new() of engine/search/search_layer.h.
  std::size_t mark(VisitedSet& visited, LinkList links) {
    if (!has_arrived_ && links.degree > links_) {
      links.degree = links_;
      cut_.push_back(popped_);
    }
    return visited.insert_new(links);
  }

 private:
  // After one hop the next may still be nearer: it was named before this one was known.
  static constexpr int kHopsWithout = 2;

  NeighborPool& pool_;
  std::vector<NodeId>& cut_;  // nodes whose lists were not looked at to the end
  const std::uint32_t links_;
  NodeId popped_ = kNoNode;
  float nearest_ = 0;
  int hops_without_ = 0;  // in a row, that found nothing nearer
  bool is_first_ = true;
  bool has_arrived_ = false;
};

inline std::size_t insert_new(ApproachPool& pool, VisitedSet& visited, const LinkList& links) {
  return pool.mark(visited, links);
}

}  // namespace cairn
