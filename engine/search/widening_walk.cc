// SPDX-License-Identifier: Apache-2.0
#include "engine/search/widening_walk.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "engine/search/admission.h"
#include "engine/search/behind_copies.h"
#include "engine/search/ranking.h"

namespace cairn {

namespace {

constexpr std::size_t kSeeds = 8;

// Calls use(pool) with the candidate list that fits what may be results.
template <class Use>
void with_pool(const GraphView& graph, const SlotSet* slots, std::size_t window,
               WideningScratch& scratch, Use&& use) {
  if (slots != nullptr) {
    BridgePool pool(graph, *slots, scratch.nearest, scratch.bridges);
    use(pool);
  } else if (graph.tombstones) {
    PassingPool pool(graph, scratch.nearest, scratch.bridges, window);
    use(pool);
  } else {
    use(scratch.nearest);
  }
}

void insert(const GraphView& graph, const SlotSet* slots, const NodeId* ids, const float* distances,
            std::size_t n, WideningScratch& scratch) {
  with_pool(graph, slots, 1, scratch,
            [&](auto& pool) { pool.insert(simd::kernels(), ids, distances, n); });
}

void expand(const Space& space, const Query& query, const SlotSet* slots, std::size_t window,
            WideningScratch& scratch) {
  scratch.nearest.widen(window);
  scratch.bridges.remove_if([](NodeId, bool is_expanded) { return is_expanded; });
  scratch.bridges.widen(std::max(window, scratch.bridges.all()));
  with_pool(space.view(), slots, window, scratch,
            [&](auto& pool) { search_layer(space, query, 0, pool, scratch); });
}

// Entries [from, to) of what the walk has met. REQUIRES: they are there
class Stretch {
 public:
  Stretch(const PagingPool& met, std::size_t from, std::size_t to)
      : met_(met), from_(from), to_(to) {}

  std::size_t size() const { return to_ - from_; }
  NodeId id(std::size_t i) const { return met_.id(from_ + i); }
  float distance(std::size_t i) const { return met_.distance(from_ + i); }
  // How many have that distance.
  std::size_t count_at(float at) const {
    std::size_t n = 0;
    for (std::size_t i = 0; i < size(); ++i) n += distance(i) == at ? 1u : 0u;
    return n;
  }

  void copy_to(NeighborPool& window) const {
    window.reset(size(), size());
    for (std::size_t i = 0; i < size(); ++i) {
      const NodeId node = id(i);
      const float at = distance(i);
      window.insert(simd::kernels(), &node, &at, 1);
    }
  }

 private:
  const PagingPool& met_;
  std::size_t from_;
  std::size_t to_;
};

bool is_there(std::size_t from, std::size_t to, const WideningScratch& scratch) {
  return from < to && to <= scratch.nearest.size();
}

// Few of what lies at any one distance, or within a group, into scratch.pool. False: nothing fills
// it.
bool look_past(const Space& space, const Query& query, const SlotSet* slots,
               WideningScratch& scratch) {
  const std::size_t ef = scratch.pool.size();
  if (is_full_of_copies(space, scratch.pool, ef)) {
    walk_for_few(space, query, ef, slots, scratch);
    return true;
  }
  return with_admission(space.view(), slots, ef, [&](const auto& admission) {
    return search_past_group(space, query, 0, ef, ef, admission, scratch);
  });
}

// Whether two nodes, one of them at such a distance from a query, are copies, or near copies that
// lie far from it.
bool is_same_group(const Space& space, NodeId before, NodeId now, float distance) {
  return before < space.view().count && (space.same_vector(before, now) ||
                                         space.are_of_one_group(before, now, distance, distance));
}

}  // namespace

bool has_lost_its_way(const SlotSet* slots, std::size_t window, const WideningScratch& scratch) {
  return slots != nullptr && scratch.nearest.all() < std::min(window, slots->count());
}

bool is_full_of_alike(const Space& space, const Query& query, std::size_t from, std::size_t to,
                      const WideningScratch& scratch) {
  if (query.kind != Query::Kind::code || !is_there(from, to, scratch)) return false;
  return is_full_of_copies(space, Stretch(scratch.nearest, from, to), to - from);
}

bool look_past_group(const Space& space, const Query& query, const SlotSet* slots, std::size_t from,
                     std::size_t to, WideningScratch& scratch) {
  if (!is_there(from, to, scratch)) return false;
  const Stretch full(scratch.nearest, from, to);
  if (!is_full_of_copies(space, full, full.size()) && !is_one_group(space, full, full.size())) {
    return false;
  }
  const std::size_t middle = full.size() / 2;
  const NodeId one = full.id(middle);
  if (is_same_group(space, scratch.group_of, one, full.distance(middle))) return false;
  scratch.group_of = one;
  const float nearest = full.distance(0);
  full.copy_to(scratch.pool);
  const NeighborPool& window = scratch.pool;
  std::swap(scratch.visited, scratch.met_before);
  const bool has_more = look_past(space, query, slots, scratch);
  std::swap(scratch.visited, scratch.met_before);
  if (!has_more || scratch.effort.is_walked_out()) return false;
  scratch.more.clear();
  for (std::size_t i = 0; i < window.size(); ++i) scratch.more.push_back(window.id(i));
  const bool is_nearer = window.size() > 0 && window.distance(0) < nearest;
  meet(space, query, slots, scratch.more, scratch);
  return is_nearer;
}

bool is_for_vectors(const Space& space, const Query& query) {
  return std::isinf(space.reach(query, 1.0f, kDeviations));
}

void begin_walk(const Space& space, const Query& query, const SlotSet* slots,
                WideningScratch& scratch, std::size_t ahead) {
  const GraphView& graph = space.view();
  scratch.visited.reset(graph.count);
  scratch.nearest.reset(ahead);
  scratch.bridges.reset();
  scratch.nearest.widen(1);
  scratch.bridges.widen(1);
  const Nearest entry = descend(space, query, 0, scratch);
  scratch.entry = entry.node;
  scratch.group_of = kNoNode;
  scratch.is_at_entry_point = entry.node == graph.entry_point;
  scratch.visited.insert(entry.node);
  insert(graph, slots, &entry.node, &entry.distance, 1, scratch);
  if (slots == nullptr) return;
  // Where the query lies far from all that passes, a walk from the entry alone would lose its way.
  std::array<NodeId, kSeeds> seeds;
  meet(space, query, slots, {seeds.data(), slots->spread(graph.count, seeds)}, scratch);
}

void meet(const Space& space, const Query& query, const SlotSet* slots,
          std::span<const NodeId> nodes, WideningScratch& scratch) {
  std::array<NodeId, 64> some;
  std::array<float, 64> distances;
  for (std::size_t i = 0; i < nodes.size();) {
    std::size_t n = 0;
    for (; i < nodes.size() && n < some.size(); ++i) {
      if (scratch.visited.insert_one(nodes[i])) some[n++] = nodes[i];
    }
    n = scratch.effort.take_rows(n);
    space.distances(query, some.data(), n, distances.data());
    insert(space.view(), slots, some.data(), distances.data(), n, scratch);
  }
}

void widen_walk(const Space& space, const Query& query, const SlotSet* slots, std::size_t window,
                WideningScratch& scratch) {
  expand(space, query, slots, window, scratch);
  const bool is_cut_off = scratch.nearest.all() < window && !scratch.is_at_entry_point;
  if (!is_cut_off || scratch.effort.is_walked_out()) return;
  // Every node can be reached from the entry point, but not from every other node.
  scratch.is_at_entry_point = true;
  const NodeId first = space.view().entry_point;
  meet(space, query, slots, {&first, 1}, scratch);
  expand(space, query, slots, window, scratch);
}

std::uint64_t work_of_scan(const GraphView& graph, const SlotSet* slots) {
  // A distance of a scan, whose rows follow each other, costs half of one of a walk.
  const std::uint64_t rows = slots != nullptr ? slots->count() : graph.live;
  const std::uint64_t words = slots != nullptr && !slots->is_list() ? graph.count / 64 : 0;
  return std::max<std::uint64_t>(rows / 2 + words / 8, 1024);
}

}  // namespace cairn
