// SPDX-License-Identifier: Apache-2.0
//
// SEARCH-LAYER (Malkov & Yashunin 2018, Algorithm 2): best-first search of one level of the graph.
#pragma once

#include <span>

#include "engine/distance.h"
#include "engine/search_scratch.h"

namespace cairn {

struct Nearest {
  NodeId node;
  float distance;
};

inline void prefetch_links(const GraphView& graph, NodeId node) {
  const std::byte* first = graph.header_of(node) + format::hot::kDegree;
  const std::byte* end = graph.record(node) + graph.hot_stride;
  for (const std::byte* line = first; line < end; line += 64) __builtin_prefetch(line);
}

// Asks for the links of the candidate after the next one, and says what the next hop will probably
// need: the neighbors of the next candidate that have not been met. The guess is wrong when a
// neighbor found meanwhile is nearer; even then that candidate's turn usually comes soon.
inline std::span<const NodeId> look_ahead(const GraphView& graph, std::uint32_t level,
                                          SearchScratch& scratch) {
  const NodeId next = scratch.pool.peek();
  if (next == kNoNode) return {};
  const NodeId second = scratch.pool.peek_second();
  if (second != kNoNode) prefetch_links(graph, second);
  NodeId* coming = scratch.coming.data();
  return {coming, scratch.visited.copy_new(graph.links_on(next, level), coming)};
}

// Expands the nearest candidate until the pool's window holds none that is unexpanded. On entry the
// pool holds the entry points and `visited` knows them; on return the pool holds the nearest nodes
// that were met, nearest first.
//
// A hop has two passes: the first collects the neighbors that have not been met, the second
// computes all their distances at once. A search waits for memory more than for anything else, so
// what the next hop will need is on its way meanwhile.
inline void search_layer(const Space& space, const Query& query, std::uint32_t level,
                         SearchScratch& scratch) {
  const GraphView& graph = space.view();
  const simd::KernelTable& kernels = simd::kernels();
  NeighborPool& pool = scratch.pool;
  VisitedSet& visited = scratch.visited;
  scratch.make_room(graph.m_max0 > graph.m ? graph.m_max0 : graph.m);
  float* distances = scratch.distances.data();

  for (NodeId node = pool.pop(); node != kNoNode; node = pool.pop()) {
    const std::size_t begin = visited.insert_new(graph.links_on(node, level));
    const NodeId* neighbors = visited.list() + begin;
    const std::size_t n = visited.met() - begin;
    space.distances(query, neighbors, n, distances, look_ahead(graph, level, scratch));
    pool.insert(kernels, neighbors, distances, n);
  }
}

// The same where there are tombstones: they are passed, but take no place in the pool. At most
// `window` of them are expanded, and none that is farther than the pool's window reaches, so that a
// removed cluster costs no more than a second search.
void search_layer_past_tombstones(const Space& space, const Query& query, std::uint32_t level,
                                  Nearest entry, std::size_t window, std::size_t capacity,
                                  SearchScratch& scratch);

// The greedy descent from the entry point (Algorithm 1, lines 4-7, and Algorithm 5, lines 4-6; ef =
// 1): the node nearest to the query that walking the levels above `level` finds, and its distance.
Nearest descend(const Space& space, const Query& query, std::uint32_t level,
                SearchScratch& scratch);

// Prepares pool and visited set for search_layer with one entry point.
inline void begin_at(const Space& space, Nearest entry, std::size_t window, std::size_t capacity,
                     SearchScratch& scratch) {
  scratch.visited.reset(space.view().count);
  scratch.visited.insert(entry.node);
  scratch.pool.reset(window, capacity);
  scratch.pool.insert(simd::kernels(), &entry.node, &entry.distance, 1);
}

// Searches one level from `entry`: the pool holds the nearest nodes that were met, none of them a
// tombstone that the view knows of. It may be empty then.
inline void search_from(const Space& space, const Query& query, std::uint32_t level, Nearest entry,
                        std::size_t window, std::size_t capacity, SearchScratch& scratch) {
  if (space.view().tombstones) {
    search_layer_past_tombstones(space, query, level, entry, window, capacity, scratch);
  } else {
    begin_at(space, entry, window, capacity, scratch);
    search_layer(space, query, level, scratch);
  }
}

}  // namespace cairn
