// SPDX-License-Identifier: Apache-2.0
#include "engine/search/search.h"

#include <algorithm>

#include "engine/base/assert.h"
#include "engine/search/admission.h"
#include "engine/search/ranking.h"

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

Effort::Limits limits_of(const SearchParams& params) {
  Effort::Limits limits;
  if (params.max_distances != 0) limits.distances = params.max_distances;
  limits.deadline = params.deadline;
  limits.stop = params.stop;
  return limits;
}

// Walks level 0 for `ef` candidates: into scratch.pool.
void walk(const Space& space, const Query& query, std::size_t ef, std::size_t capacity,
          SearchScratch& scratch) {
  const GraphView& graph = space.view();
  const Nearest entry = descend(space, query, 0, scratch);
  const AdmitLive live{graph, ef};
  search_from(space, query, 0, entry, ef, capacity, live, scratch);
  if (scratch.pool.size() < ef && entry.node != graph.entry_point && !scratch.effort.is_over()) {
    // Every node can be reached from the entry point, but not from every other node.
    Nearest first{graph.entry_point, 0};
    (void)scratch.effort.take_rows(1);
    space.distances(query, &first.node, 1, &first.distance);
    search_from(space, query, 0, first, ef, capacity, live, scratch);
  }
}

std::size_t find_by_walk(const Space& index, VectorView vector, std::size_t k, std::size_t ef,
                         SearchScratch& scratch) {
  Space space = index;
  const GraphView& graph = space.view();
  CAIRN_ASSERT(1 <= k && k <= ef);
  if (graph.entry_point >= graph.count) return 0;
  Query query = space.prepare(vector, scratch.query);
  const bool on_codes = query.kind == Query::Kind::code;
  const std::size_t capacity =
      on_codes ? std::max(ef, std::min<std::size_t>(candidates_for(k), graph.count)) : ef;

  walk(space, query, ef, capacity, scratch);
  if (!is_resolved(space, query, scratch.pool) && !scratch.effort.is_over()) {
    space = space.on_vectors();
    query = space.prepare(vector, scratch.query);
    walk(space, query, ef, capacity, scratch);
  }
  return rank(space, query, k, candidates_of_pool(space, query, k, scratch), scratch);
}

// What replacements a scan has overlapped, it may have met with both vectors of a key, of which one
// is to go: it is made again for as many results more. Writers would have to be faster than scans
// for that to be too few in the end.
template <class Scan>
void scan_past_replacements(const GraphView& graph, Scan&& scan_for) {
  constexpr int kScans = 4;
  std::uint64_t more = 0;
  for (int i = 0; i < kScans; ++i) {
    const bool is_over = scan_for(more);
    const std::uint64_t switches = graph.switch_log->since(graph.switches);
    if (is_over || switches <= more) return;
    more = 2 * switches + 4;
  }
}

std::size_t find_by_scan(const Space& space, VectorView vector, std::size_t k,
                         SearchScratch& scratch) {
  const GraphView& graph = space.view();
  const Query query = space.for_scan(space.prepare(vector, scratch.query));
  std::size_t found = 0;
  bool is_misled = false;
  scan_past_replacements(graph, [&](std::uint64_t more) {
    ScannedQuery scanned(space, query, k + more, scratch);
    scan(space, SlotBlocks(graph), {&scanned, 1});
    const Candidates candidates = scanned.candidates();
    found = rank(space, query, k, candidates, scratch);
    is_misled = scanned.has_been_misled(candidates.count);
    return scratch.effort.is_over();
  });
  if (!is_misled || scratch.effort.is_over()) return found;
  return find_by_scan(space.on_vectors(), vector, k, scratch);
}

}  // namespace

std::size_t ranked_for(const SearchParams& params) {
  return params.rerank == nullptr ? params.k : std::max(params.k, params.ef);
}

std::size_t find_nearest(const Space& space, VectorView query, const SearchParams& params,
                         SearchScratch& scratch) {
  const std::size_t count = space.view().count;
  scratch.effort.begin(limits_of(params));
  if (count == 0 || scratch.effort.is_over()) return 0;
  const std::size_t k = std::min(ranked_for(params), count);
  if (params.plan == Plan::exact) return find_by_scan(space, query, k, scratch);
  return find_by_walk(space, query, k, std::min(std::max(params.ef, k), count), scratch);
}

std::size_t knn_search(const Space& space, VectorView query, const SearchParams& params,
                       SearchScratch& scratch, std::span<Match> out) {
  const std::size_t found = std::min(find_nearest(space, query, params, scratch), out.size());
  report(space, scratch, out.first(found));
  return found;
}

void scan_for_nearest(const Space& space, MatrixView queries, const SearchParams& params,
                      GroupScratch& scratch) {
  const GraphView& graph = space.view();
  const std::size_t k = std::min<std::size_t>(ranked_for(params), graph.count);
  scratch.found.fill(0);
  scratch.is_misled.fill(false);
  for (std::size_t i = 0; i < queries.rows; ++i) {
    scratch.each[i].effort.begin(limits_of(params));
  }
  if (graph.count == 0) return;
  scan_past_replacements(graph, [&](std::uint64_t more) {
    scratch.scanned.clear();
    for (std::size_t i = 0; i < queries.rows; ++i) {
      const Query query = space.for_scan(space.prepare(queries.row(i), scratch.each[i].query));
      scratch.scanned.emplace_back(space, query, k + more, scratch.each[i]);
    }
    scan(space, SlotBlocks(graph), scratch.scanned);
    bool is_over = false;
    for (std::size_t i = 0; i < queries.rows; ++i) {
      ScannedQuery& one = scratch.scanned[i];
      SearchScratch& own = scratch.each[i];
      const Candidates candidates = one.candidates();
      scratch.found[i] = rank(space, one.query(), k, candidates, own);
      scratch.is_misled[i] = one.has_been_misled(candidates.count);
      is_over |= own.effort.is_over();
    }
    return is_over;
  });
  for (std::size_t i = 0; i < queries.rows; ++i) {
    if (!scratch.is_misled[i] || scratch.each[i].effort.is_over()) continue;
    scratch.found[i] = find_by_scan(space.on_vectors(), queries.row(i), k, scratch.each[i]);
  }
}

}  // namespace cairn
