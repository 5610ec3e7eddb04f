// SPDX-License-Identifier: Apache-2.0
#include "engine/search/by_key.h"

#include <algorithm>

#include "engine/base/assert.h"
#include "engine/search/ranking.h"

namespace cairn {

namespace {

// A window that holds enough keys for the results, and so many vectors for each place of the list,
// need not hold as many keys as the list has places.
constexpr std::size_t kVectorsAPlace = 8;

bool may_be_result(const GraphView& graph, const SlotSet* slots, NodeId node) {
  return graph.is_live(node) && (slots == nullptr || slots->has(node));
}

// How many keys the first `window` of what a walk has met have.
std::size_t count_keys(const Space& space, const SlotSet* slots, std::size_t window,
                       WideningScratch& scratch) {
  const std::size_t n = std::min(window, scratch.nearest.size());
  scratch.met_keys.clear();
  for (std::size_t i = 0; i < n; ++i) {
    const NodeId node = scratch.nearest.id(i);
    if (may_be_result(space.view(), slots, node)) (void)scratch.met_keys.add(space.key(node));
  }
  return scratch.met_keys.size();
}

// Widens a walk until its window holds `ef` keys, or there is nothing more to meet; how many it
// holds.
std::size_t widen_for_keys(const Space& space, const Query& query, std::size_t k, std::size_t ef,
                           const SlotSet* slots, WideningScratch& scratch) {
  const GraphView& graph = space.view();
  begin_walk(space, query, slots, scratch);
  for (std::size_t window = ef;;) {
    do {
      widen_walk(space, query, slots, window, scratch);
    } while (!scratch.effort.is_walked_out() &&
             look_past_group(space, query, slots, 0, window, scratch));
    const std::size_t keys = count_keys(space, slots, window, scratch);
    const bool has_met_all = scratch.nearest.all() < window || window >= graph.count;
    const bool is_wide = keys >= k && window / kVectorsAPlace >= ef;
    if (keys >= ef || has_met_all || is_wide || scratch.effort.is_walked_out()) return keys;
    const std::size_t likely =
        keys == 0 ? 4 * window : window / keys * ef + window % keys * ef / keys;
    window =
        std::min<std::size_t>(std::clamp(likely, window + window / 2 + 1, 4 * window), graph.count);
  }
}

// Candidates that may be among the `k` nearest keys, into the scratch: out is what is farther than
// the k-th key by more than the errors of both allow.
std::size_t collect_of_keys(const Space& space, const Query& query, std::size_t k,
                            const SlotSet* slots, WideningScratch& scratch) {
  const GraphView& graph = space.view();
  const PagingPool& pool = scratch.nearest;
  scratch.make_room(pool.size());
  scratch.met_keys.clear();
  std::size_t n = 0;
  float last = 0;  // the distance of the k-th key, and the variance of its error
  float last_variance = 0;
  for (std::size_t i = 0; i < pool.size(); ++i) {
    const NodeId node = pool.id(i);
    const float distance = pool.distance(i);
    const float variance = space.variance(query, node, distance);
    const float gap = distance - last;
    const bool has_enough = scratch.met_keys.size() >= k;
    if (has_enough && gap * gap > kDeviations * kDeviations * (variance + last_variance)) continue;
    if (!may_be_result(graph, slots, node)) continue;
    scratch.ids[n] = node;
    scratch.distances[n++] = distance;
    if (!has_enough && scratch.met_keys.add(space.key(node)) && scratch.met_keys.size() == k) {
      last = distance;
      last_variance = variance;
    }
  }
  return n;
}

// As candidates_of_pool().
Candidates candidates_of_keys(const Space& space, const Query& query, std::size_t k,
                              const SlotSet* slots, WideningScratch& scratch) {
  std::size_t n = collect_of_keys(space, query, k, slots, scratch);
  const GraphView& graph = space.view();
  const std::uint64_t switches = graph.switch_log->since(graph.switches);
  if (switches != 0) {
    scratch.nearest.sort_all();
    n = collect_of_keys(space, query, scratch.nearest.size(), slots, scratch);
  }
  return {n, switches};
}

// False: it has cost as much as a scan, or met fewer keys than there may be.
bool walk_for_keys(const Space& index, VectorView vector, std::size_t k, std::size_t ef,
                   const SlotSet* slots, WideningScratch& scratch, std::size_t& found) {
  Space space = index;
  Query query = space.prepare(vector, scratch.query);
  if (is_for_vectors(space, query)) {
    space = index.on_vectors();
    query = space.prepare(vector, scratch.query);
  }
  std::size_t keys = widen_for_keys(space, query, k, ef, slots, scratch);
  if (!is_resolved(space, query, scratch.nearest) && !scratch.effort.is_walked_out()) {
    space = index.on_vectors();
    query = space.prepare(vector, scratch.query);
    keys = widen_for_keys(space, query, k, ef, slots, scratch);
  }
  const GraphView& graph = space.view();
  const std::uint64_t there = slots != nullptr ? slots->count() : graph.live;
  const bool is_lost =
      scratch.effort.is_walked_out() || (keys < k && scratch.nearest.size() < there);
  if (is_lost && !scratch.effort.is_over()) return false;
  const Candidates candidates = candidates_of_keys(space, query, k, slots, scratch);
  found = rank(space, query, k, candidates, slots, scratch);
  const bool is_told = found == 0 || space.is_told_by_floats(scratch.matches[found - 1].distance);
  return is_told || scratch.effort.is_over();
}

}  // namespace

FoundNearest find_nearest_keys(const Space& space, VectorView vector, const SearchParams& params,
                               const SlotSet* slots, WideningScratch& scratch) {
  CAIRN_ASSERT(params.k >= 1 && params.ef >= 1);
  const GraphView& graph = space.view();
  Effort& effort = scratch.effort;
  effort.begin(limits_of(params));
  const bool is_walk = graph.entry_point < graph.count && walks(graph, params, slots);
  if (graph.count == 0 || effort.is_over()) return {0, is_walk ? Plan::walk : Plan::exact};
  const std::size_t k = std::min<std::size_t>(ranked_for(params), graph.count);
  if (is_walk) {
    const std::size_t ef = std::min<std::size_t>(std::max(params.ef, k), graph.count);
    if (params.plan == Plan::automatic) effort.bound_walk(work_of_scan(graph, slots));
    std::size_t found = 0;
    if (walk_for_keys(space, vector, k, ef, slots, scratch, found)) return {found, Plan::walk};
    effort.unbound_walk();
  }
  return {find_by_scan(space, vector, k, slots, scratch), Plan::exact};
}

}  // namespace cairn
