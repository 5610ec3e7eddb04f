// SPDX-License-Identifier: Apache-2.0
#include "engine/search/range.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <vector>

#include "engine/search/plan.h"
#include "engine/search/ranking.h"
#include "engine/search/slot_blocks.h"

namespace cairn {

namespace {

// A radius as the walk measures it, and which nodes may lie within it.
class Edge {
 public:
  Edge(const Space& space, const Query& query, float radius)
      : space_(space),
        query_(query),
        at_(space.internal(radius)),
        expanded_(space.reach(query, at_, kExpanded)),
        far_(space.reach(query, at_, kDeviations)) {}

  // What is no farther is expanded: errors beyond that are seldom, and neighbors of what is beyond
  // the radius are few.
  float expanded() const { return expanded_; }
  // Whether a node at such a distance may be within the radius.
  bool may_hold(NodeId node, float distance) const {
    const float gap = distance - at_;
    if (!(gap > 0) || std::isinf(distance)) return true;  // beyond the range of floats
    if (distance > far_) return false;
    return gap * gap <= kDeviations * kDeviations * space_.variance(query_, node, distance);
  }
  float far() const { return far_; }

 private:
  static constexpr float kExpanded = 1.0f;  // standard deviations

  const Space& space_;
  const Query& query_;
  float at_;
  float expanded_;
  float far_;
};

std::size_t most_of(const RangeParams& params) {
  return params.max_results != 0 ? params.max_results : std::numeric_limits<std::size_t>::max();
}

// Of scratch.matches, ranked, those within the radius.
std::size_t cut(const Space& space, float radius, const RangeParams& params, std::size_t ranked,
                const SearchScratch& scratch) {
  std::size_t n = std::min(ranked, most_of(params));
  while (n > 0 && !(space.reported(scratch.matches[n - 1].distance) <= radius)) --n;
  return n;
}

// How many are expanded where so many lie within the radius. Where there are any it is known that
// the walk has come to the right place, and how much farther it looks decides how many it misses.
std::size_t window_around(std::size_t hits, std::size_t ef, std::size_t count) {
  const std::size_t around = std::min(ef, count);
  return std::min(hits + (hits == 0 ? around : 2 * around), count);
}

// Those of a walk that may lie within the edge; `all` of them where that cannot be told.
std::size_t collect(const Space& space, const Edge& edge, const SlotSet* slots, bool all,
                    WideningScratch& scratch) {
  const GraphView& graph = space.view();
  const PagingPool& pool = scratch.nearest;
  scratch.make_room(pool.size());
  std::size_t n = 0;
  for (std::size_t i = 0; i < pool.size(); ++i) {
    if (!all && pool.distance(i) > edge.far()) break;
    const NodeId node = pool.id(i);
    if (!all && !edge.may_hold(node, pool.distance(i))) continue;
    if (!graph.is_live(node) || (slots != nullptr && !slots->has(node))) continue;
    scratch.ids[n++] = node;
  }
  return n;
}

// The candidates of a walk into scratch.ids.
Candidates candidates_of(const Space& space, const Edge& edge, const SlotSet* slots,
                         WideningScratch& scratch) {
  scratch.nearest.sort_within(edge.far());
  std::size_t n = collect(space, edge, slots, false, scratch);
  // Once lists and flags have been read: a key whose vector was being replaced may have been met
  // with both, or with none.
  const GraphView& graph = space.view();
  const std::uint64_t switches = graph.switch_log->since(graph.switches);
  if (switches != 0) {
    scratch.nearest.sort_all();
    n = collect(space, edge, slots, true, scratch);
  }
  return {n, switches};
}

// False: it has cost as much as a scan, and is to be one.
bool walk(const Space& index, VectorView vector, float radius, const RangeParams& params,
          const SlotSet* slots, WideningScratch& scratch, std::size_t& found) {
  Space space = index;
  Query query = space.prepare(vector, scratch.query);
  if (is_for_vectors(space, query)) {
    space = index.on_vectors();
    query = space.prepare(vector, scratch.query);
  }
  const GraphView& graph = space.view();
  if (std::isfinite(radius) && !space.is_told_by_floats(double{space.internal(radius)})) {
    return false;
  }
  const Edge edge(space, query, radius);
  const std::size_t most = most_of(params);
  // Codes misplace neighbors by a few ranks; and how many vectors so many keys have is not known.
  const bool is_all = most > graph.count || graph.several_per_key;
  const std::size_t enough = is_all ? graph.count : candidates_for(most);
  begin_walk(space, query, slots, scratch, PagingPool::kFewAhead);
  std::size_t window = 0;
  while (!scratch.effort.is_walked_out()) {
    const std::size_t hits = std::min(scratch.nearest.count_within(edge.expanded()), enough);
    const std::size_t wanted = window_around(hits, params.ef, graph.count);
    if (wanted <= window) {
      if (is_full_of_alike(space, query, hits, window, scratch)) {
        return walk(index.on_vectors(), vector, radius, params, slots, scratch, found);
      }
      if (!look_past_group(space, query, slots, hits, window, scratch)) break;
    }
    window = std::max(window, wanted);
    widen_walk(space, query, slots, window, scratch);
  }
  const bool is_lost = scratch.effort.is_walked_out() || has_lost_its_way(slots, window, scratch);
  if (is_lost && !scratch.effort.is_over()) return false;
  const Candidates candidates = candidates_of(space, edge, slots, scratch);
  const std::size_t all = candidates.count + candidates.switches;
  found = cut(space, radius, params, rank(space, query, all, candidates, slots, scratch), scratch);
  return true;
}

// The nearest params.max_results, by the exact plan.
std::size_t scan_for_most(const Space& space, VectorView vector, float radius,
                          const RangeParams& params, const SlotSet* slots,
                          WideningScratch& scratch) {
  SearchParams wanted;
  wanted.k = params.max_results;
  wanted.plan = Plan::exact;
  wanted.deadline = params.deadline;
  wanted.stop = params.stop;
  if (params.max_distances != 0) {
    const std::uint64_t spent = std::min(scratch.effort.distances(), params.max_distances - 1);
    wanted.max_distances = params.max_distances - spent;
  }
  const FoundNearest found = find_nearest(space, vector, wanted, slots, scratch);
  return cut(space, radius, params, found.count, scratch);
}

std::size_t scan(const Space& index, VectorView vector, float radius, const RangeParams& params,
                 const SlotSet* slots, WideningScratch& scratch) {
  if (params.max_results != 0) {
    return scan_for_most(index, vector, radius, params, slots, scratch);
  }
  const Space space = index.on_vectors();
  const GraphView& graph = space.view();
  const Query query = space.for_scan(space.prepare(vector, scratch.query));
  const Edge edge(space, query, radius);
  SlotBlocks blocks(graph, slots);
  std::array<NodeId, 64> nodes;
  std::array<float, 64> distances;
  std::vector<Nearest>& near = scratch.near;
  near.clear();
  while (std::size_t n = blocks.next(nodes.data(), nodes.size())) {
    n = scratch.effort.take_rows(n);
    space.distances(query, nodes.data(), n, distances.data());
    for (std::size_t i = 0; i < n; ++i) {
      if (!edge.may_hold(nodes[i], distances[i]) || !graph.is_live(nodes[i])) continue;
      near.push_back({nodes[i], distances[i]});
    }
    if (scratch.effort.is_over()) break;
  }
  const std::uint64_t switches = graph.switch_log->since(graph.switches);
  scratch.make_room(near.size());
  for (std::size_t i = 0; i < near.size(); ++i) scratch.ids[i] = near[i].node;
  const Candidates candidates{near.size(), switches};
  const std::size_t all = candidates.count + candidates.switches;
  return cut(space, radius, params, rank(space, query, all, candidates, slots, scratch), scratch);
}

bool walks_at_first(const GraphView& graph, const RangeParams& params, const SlotSet* slots) {
  if (params.plan != Plan::automatic) return params.plan == Plan::walk;
  return slots == nullptr || SearchPlan(graph, *slots, 1, params.ef).walks();
}

}  // namespace

FoundNearest find_within(const Space& space, VectorView query, float radius,
                         const RangeParams& params, const SlotSet* slots,
                         WideningScratch& scratch) {
  const GraphView& graph = space.view();
  Effort& effort = scratch.effort;
  Effort::Limits limits;
  if (params.max_distances != 0) limits.distances = params.max_distances;
  limits.deadline = params.deadline;
  limits.stop = params.stop;
  effort.begin(limits);
  const bool has_way = graph.entry_point < graph.count;
  const bool is_walk = has_way && walks_at_first(graph, params, slots);
  if (graph.count == 0 || effort.is_over()) return {0, is_walk ? Plan::walk : Plan::exact};
  if (is_walk) {
    if (params.plan == Plan::automatic) effort.bound_walk(work_of_scan(graph, slots));
    std::size_t found = 0;
    if (walk(space, query, radius, params, slots, scratch, found)) return {found, Plan::walk};
    effort.unbound_walk();
  }
  return {scan(space, query, radius, params, slots, scratch), Plan::exact};
}

}  // namespace cairn
