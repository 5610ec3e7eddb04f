// SPDX-License-Identifier: Apache-2.0
//
// A walk on level 0 that can go on with a larger window where it has ended: what ranges and cursors
// are made of. It costs what one search with the last window costs.
//
// Thread-safety: none; memory belongs to the caller.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "engine/search/keys_met.h"
#include "engine/search/paging_pool.h"
#include "engine/search/search_scratch.h"
#include "engine/search/slot_set.h"
#include "engine/vectors/distance.h"

namespace cairn {

struct WideningScratch : SearchScratch {
  PagingPool nearest;         // what may be a result
  PagingPool bridges;         // what is passed, and is none
  VisitedSet met_before;      // by the walk, while it is looked past a group
  NodeId group_of = kNoNode;  // the last group that was looked past: one of it
  NodeId entry = kNoNode;
  bool is_at_entry_point = false;  // the walk has begun there too
  KeysMet met_keys;                // where a key may have several vectors
};

// Whether such a walk is one on the vectors: how far an error of codes may reach cannot be told of
// inner products.
bool is_for_vectors(const Space& space, const Query& query);

// Where the walk begins. `slots`: what may be results; null: all that is live. `ahead`: see
// PagingPool::reset(). REQUIRES: the graph has an entry point.
void begin_walk(const Space& space, const Query& query, const SlotSet* slots,
                WideningScratch& scratch, std::size_t ahead = PagingPool::kAhead);

// Expands the nearest `window` of what has been met until nothing of that is left to expand, or the
// effort's limits end it. REQUIRES: window >= 1
void widen_walk(const Space& space, const Query& query, const SlotSet* slots, std::size_t window,
                WideningScratch& scratch);

// Whether a walk with such a window has met fewer than pass: it does not come to the others.
bool has_lost_its_way(const SlotSet* slots, std::size_t window, const WideningScratch& scratch);

// Whether copies of one vector fill entries [from, to) of scratch.nearest, and the walk is one on
// codes, to which something nearer may seem to be another copy, or to lie behind them.
bool is_full_of_alike(const Space& space, const Query& query, std::size_t from, std::size_t to,
                      const WideningScratch& scratch);

// Where copies of one vector, or near copies that lie far from the query, fill entries [from, to):
// looks once for what lies behind them, as searches do, and lets it take part. Whether anything of
// that is nearer than they are.
bool look_past_group(const Space& space, const Query& query, const SlotSet* slots, std::size_t from,
                     std::size_t to, WideningScratch& scratch);

// Scores nodes that the walk may have missed, and lets them take part.
void meet(const Space& space, const Query& query, const SlotSet* slots,
          std::span<const NodeId> nodes, WideningScratch& scratch);

// What looking at all that may be results costs, in units of Effort::work(). A walk that has cost
// as much gives up.
std::uint64_t work_of_scan(const GraphView& graph, const SlotSet* slots);

}  // namespace cairn
