// SPDX-License-Identifier: Apache-2.0
//
// SEARCH-LAYER (Malkov & Yashunin 2018, Algorithm 2): best-first search of one level of the graph.
#pragma once

#include <limits>
#include <vector>

#include "engine/search/effort.h"
#include "engine/search/neighbor_pool.h"
#include "engine/search/visited_set.h"
#include "engine/vectors/distance.h"

namespace cairn {

struct Nearest {
  NodeId node;
  float distance;
};

// What a walk knows. It outlives the call, so that a walk can go on where it has ended.
struct WalkState {
  NeighborPool pool;     // of what may be a result
  NeighborPool waiting;  // of what is passed, and is none
  NeighborPool group;    // what a search had found before it looked past that
  VisitedSet visited;
  Effort effort;
  std::vector<float> distances;  // of one neighbor list, or of the candidates being reranked
  std::vector<NodeId> ids;

  void make_room(std::size_t n) {
    if (distances.size() < n) distances.resize(n);
    if (ids.size() < n) ids.resize(n);
  }
};

inline void prefetch_links(const GraphView& graph, NodeId node) {
  const std::byte* first = graph.header_of(node) + format::hot::kDegree;
  const std::byte* end = graph.record(node) + graph.hot_stride;
  for (const std::byte* line = first; line < end; line += 64) __builtin_prefetch(line);
}

// Searches end when nothing is left to expand; with another bound, as soon as they meet a node that
// is as near. No distance is at most NaN.
inline constexpr float kNoBound = std::numeric_limits<float>::quiet_NaN();

// Marks the neighbors in a list; where those begin in visited.list() that had not been met. A pool
// that looks for others has its own.
template <class Pool>
inline std::size_t insert_new(Pool&, VisitedSet& visited, const LinkList& links) {
  return visited.insert_new(links);
}

// Expands the nearest candidate until the pool's window holds none that is unexpanded. On entry the
// pool holds the entry points and `visited` knows them; on return the pool holds the nearest nodes
// that were met, nearest first. Pool is what an admission policy has made of the state's pools
// (engine/search/admission.h).
//
// A search waits for memory more than for anything else. So the node of the next hop is named
// before the distances of this one are known: while they are computed, the next hop's rows are on
// their way. What a hop finds takes part one hop later than in the paper. No node is left out for
// that; a few are expanded that would have been pushed out of the window first
// (docs/decisions/0010).
template <class Pool>
inline void search_layer(const Space& space, const Query& query, std::uint32_t level, Pool& pool,
                         WalkState& state, float enough = kNoBound) {
  const GraphView& graph = space.view();
  const simd::KernelTable& kernels = simd::kernels();
  VisitedSet& visited = state.visited;
  state.make_room(graph.m_max0 > graph.m ? graph.m_max0 : graph.m);
  float* distances = state.distances.data();

  NodeId node = kNoNode;
  std::size_t begin = 0;  // in visited.list(), of the neighbors of `node` that had not been met
  Space::Asked asked = Space::Asked::never;
  const auto prefetch_likely = [&] {
    const NodeId likely = pool.peek();
    if (likely != kNoNode) prefetch_links(graph, likely);
  };
  const auto expand_next = [&](NodeId next) {
    node = next;
    prefetch_likely();
    begin =
        node == kNoNode ? visited.met() : insert_new(pool, visited, graph.links_on(node, level));
  };

  expand_next(pool.pop());
  while (node != kNoNode && !pool.has_within(enough)) {
    const std::size_t first = begin;
    const std::size_t n = state.effort.take(visited.met() - first);
    expand_next(pool.pop_early());
    const NodeId* neighbors = visited.list() + first;
    space.distances(query, neighbors, n, distances, {visited.list() + begin, visited.met() - begin},
                    asked);
    pool.insert(kernels, neighbors, distances, n);
    if (state.effort.is_walked_out()) return;
    prefetch_likely();
    asked = node == kNoNode ? Space::Asked::never : Space::Asked::as_coming;
    if (node == kNoNode) expand_next(pool.pop());  // of those that were inserted just now
  }
}

// Whether codes can order what a search has found.
template <class Pool>
inline bool is_resolved(const Space& space, const Query& query, const Pool& found) {
  const std::size_t n = found.size();
  const float range = n == 0 ? 0.0f : found.distance(n - 1) - found.distance(0);
  return space.resolves(
      query, n, [&](std::size_t i) { return found.id(i); }, range);
}

// Whether half or more of what a search with a window of `ef` has found are copies of one vector,
// and nothing else had room. Then it is made once more, with few_of(ef) nodes at any one distance.
template <class Found>
inline bool is_full_of_copies(const Space& space, const Found& found, std::size_t ef) {
  if (found.size() < ef || found.size() < 2) return false;
  const std::size_t middle = found.size() / 2;
  const float distance = found.distance(middle);
  const bool before = found.distance(middle - 1) == distance;
  if (!before && (middle + 1 == found.size() || found.distance(middle + 1) != distance))
    return false;
  if (2 * found.count_at(distance) < found.size()) return false;
  return space.same_vector(found.id(middle), found.id(before ? middle - 1 : middle + 1));
}

// Which of a window's candidates is looked at to tell whether near copies of one vector fill it.
inline std::size_t place_in_group(std::size_t ef) { return ef / 8; }
// Whether an eighth of what a search with a window of `ef` has found are near copies of one vector
// that lies far from the query, and nothing else had room.
template <class Found>
inline bool is_one_group(const Space& space, const Found& found, std::size_t ef) {
  const std::size_t at = place_in_group(ef);
  if (found.size() < ef || at == 0) return false;
  return space.are_of_one_group(found.id(0), found.id(at), found.distance(0), found.distance(at));
}
// A group reaches so many times as far as the nearest of it that fill that part of a window.
inline constexpr float kGroupWidths = 4.0f;

inline std::size_t few_of(std::size_t ef) { return ef < 32 ? 1 : ef / 16; }

// The greedy descent from the entry point (Algorithm 1, lines 4-7, and Algorithm 5, lines 4-6; ef =
// 1): the node nearest to the query that walking the levels above `level` finds, and its distance.
Nearest descend(const Space& space, const Query& query, std::uint32_t level, WalkState& state);

}  // namespace cairn
