// SPDX-License-Identifier: Apache-2.0
#include "engine/search/search.h"

#include <algorithm>

#include "engine/base/assert.h"
#include "engine/search/admission.h"

namespace cairn {

Nearest descend(const Space& space, const Query& query, std::uint32_t level, WalkState& state) {
  const GraphView& graph = space.view();
  state.make_room(graph.m_max0 > graph.m ? graph.m_max0 : graph.m);
  Nearest best{graph.entry_point, 0};
  (void)state.effort.take_rows(1);
  space.distances(query, &best.node, 1, &best.distance);
  for (std::uint32_t l = graph.max_level; l > level; --l) {
    for (bool moved = true; moved && !state.effort.is_over();) {
      moved = false;
      std::size_t n = 0;
      for (const NodeId neighbor : graph.upper_links(best.node, l)) state.ids[n++] = neighbor;
      n = state.effort.take(n);
      space.distances(query, state.ids.data(), n, state.distances.data());
      for (std::size_t i = 0; i < n; ++i) {
        // Only strictly nearer: every step makes progress, whatever the file holds.
        if (state.distances[i] < best.distance) {
          best = {state.ids[i], state.distances[i]};
          moved = true;
        }
      }
    }
  }
  return best;
}

namespace {

bool nearer(const Ranked& a, const Ranked& b) {
  return a.distance != b.distance ? a.distance < b.distance : a.key < b.key;
}

// Of two matches of a key the nearer one stays. Returns how many are left.
std::size_t keep_one_a_key(std::vector<Ranked>& matches) {
  std::sort(matches.begin(), matches.end(), [](const Ranked& a, const Ranked& b) {
    return a.key != b.key ? a.key < b.key : a.distance < b.distance;
  });
  const auto same = [](const Ranked& a, const Ranked& b) { return a.key == b.key; };
  matches.erase(std::unique(matches.begin(), matches.end(), same), matches.end());
  return matches.size();
}

// How many candidates a walk on codes looks at for k results, at least: codes misplace a neighbor
// by a few ranks, not by many.
std::size_t candidates_for(std::size_t k) { return k + k / 2 + 8; }

// The candidates of a walk, nearest first, that may be among the `k` nearest: into scratch.ids and
// scratch.distances. Returns how many. A candidate is out if it is farther than the k-th by more
// than six standard deviations of their errors (docs/decisions/0011). Those of candidates farther
// out may be smaller: all are looked at.
std::size_t collect_candidates(const Space& space, const Query& query, std::size_t k,
                               SearchScratch& scratch) {
  constexpr float kDeviations = 6.0f;
  const GraphView& graph = space.view();
  const NeighborPool& pool = scratch.pool;
  scratch.make_room(pool.size());
  std::size_t n = 0;
  float last = 0;  // the distance of the k-th, and the variance of its error
  float last_variance = 0;
  for (std::size_t i = 0; i < pool.size(); ++i) {
    const NodeId node = pool.id(i);
    const float distance = pool.distance(i);
    const float variance = space.variance(query, node, distance);
    const float gap = distance - last;
    if (n >= k && gap * gap > kDeviations * kDeviations * (variance + last_variance)) continue;
    if (!graph.is_live(node)) continue;
    scratch.ids[n] = node;
    scratch.distances[n++] = distance;
    if (n == k) {
      last = distance;
      last_variance = variance;
    }
  }
  return n;
}

// Behind the first `n` candidates: the old nodes of the `switches` replacements that the search has
// overlapped, which it may have missed as it may the new ones. Returns how many candidates there
// are.
std::size_t add_replaced(const GraphView& graph, std::uint64_t switches, std::size_t n,
                         SearchScratch& scratch) {
  scratch.make_room(n + switches);
  std::size_t end = n;
  graph.switch_log->for_each(graph.switches, switches, [&](NodeId old) {
    if (old < graph.count) scratch.ids[end++] = old;
  });
  return end;
}

// Walks level 0 for `ef` candidates: into scratch.pool.
void walk(const Space& space, const Query& query, std::size_t ef, std::size_t capacity,
          SearchScratch& scratch) {
  const GraphView& graph = space.view();
  const Nearest entry = descend(space, query, 0, scratch);
  const AdmitLive live{graph, ef};
  search_from(space, query, 0, entry, ef, capacity, live, scratch);
  if (scratch.pool.size() < ef && entry.node != graph.entry_point) {
    // Every node can be reached from the entry point, but not from every other node.
    Nearest first{graph.entry_point, 0};
    space.distances(query, &first.node, 1, &first.distance);
    search_from(space, query, 0, first, ef, capacity, live, scratch);
  }
}

}  // namespace

std::size_t knn_search(const Space& index, VectorView vector, const SearchParams& params,
                       SearchScratch& scratch, std::span<Match> out) {
  Space space = index;
  const GraphView& graph = space.view();
  CAIRN_ASSERT(params.k >= 1 && params.ef >= 1);
  if (graph.count == 0 || graph.entry_point >= graph.count) return 0;
  const std::size_t k = std::min<std::size_t>(params.k, graph.count);
  const std::size_t ef = std::min<std::size_t>(std::max(params.ef, k), graph.count);
  Query query = space.prepare(vector, scratch.query);
  const bool on_codes = query.kind == Query::Kind::code;
  const std::size_t capacity =
      on_codes ? std::max(ef, std::min<std::size_t>(candidates_for(k), graph.count)) : ef;

  walk(space, query, ef, capacity, scratch);
  if (!is_resolved(space, query, scratch.pool)) {
    space = space.on_vectors();
    query = space.prepare(vector, scratch.query);
    walk(space, query, ef, capacity, scratch);
  }

  std::size_t n = collect_candidates(space, query, k, scratch);
  // Once lists and flags have been read: a key whose vector was being replaced may have been met
  // with both, or with none.
  const std::uint64_t switches = graph.switch_log->since(graph.switches);
  if (switches != 0) {
    n = collect_candidates(space, query, scratch.pool.size(), scratch);
    n = add_replaced(graph, switches, n, scratch);
  }
  scratch.exact.resize(n);
  space.exact_distances(query, scratch.ids.data(), n, scratch.exact.data());
  scratch.matches.resize(n);
  for (std::size_t i = 0; i < n; ++i) {
    scratch.matches[i] = {graph.key(scratch.ids[i]), scratch.exact[i]};
  }
  if (switches != 0) n = keep_one_a_key(scratch.matches);
  const std::size_t found = std::min({n, k, out.size()});
  std::partial_sort(scratch.matches.begin(),
                    scratch.matches.begin() + static_cast<std::ptrdiff_t>(found),
                    scratch.matches.end(), nearer);
  for (std::size_t i = 0; i < found; ++i) {
    out[i] = {scratch.matches[i].key, space.reported(scratch.matches[i].distance)};
  }
  return found;
}

}  // namespace cairn
