// SPDX-License-Identifier: Apache-2.0
//
// SELECT-NEIGHBORS-HEURISTIC (Malkov & Yashunin 2018, Algorithm 4), without extendCandidates and
// keepPruned, and with the relaxation alpha of Vamana (Subramanya et al. 2019): a candidate c is
// dropped if a neighbor s that was kept is nearer to it than the node itself, alpha * d(c, s) <
// d(c, node). Of copies of one vector, which are equal or too near to each other for distances to
// tell, one is kept, or they would fill whole lists and cut the graph; but of those of the node
// itself up to a quarter of the list, or their group would fall apart.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "engine/graph/residuals.h"
#include "engine/vectors/distance.h"

namespace cairn {

struct Candidate {
  NodeId node;
  float distance;  // to the node whose neighbors are chosen

  friend bool operator<(const Candidate& a, const Candidate& b) {
    return a.distance != b.distance ? a.distance < b.distance : a.node < b.node;
  }
};

// Working memory of distances from a node.
struct DistanceScratch {
  std::vector<float> distances;
  QueryBuffer query;
};

// Of copies a node links to those that are first in an order of its own. Both ends of a link put it
// in the same place, so that who chooses a copy is mostly chosen by it; and different nodes choose
// different copies, so that no list overflows and a group hangs together.
std::uint64_t rank_of_link(NodeId a, NodeId b);

// Those of `nodes` from `node`. They stand in the scratch until its next use.
std::span<const float> distances_from(const Space& space, NodeId node,
                                      std::span<const NodeId> nodes, DistanceScratch& scratch);

// The place in `nodes`, which are not empty, of the one nearest to `node`.
std::size_t nearest(const Space& space, NodeId node, std::span<const NodeId> nodes,
                    DistanceScratch& scratch);

// The nodes as candidates, nearest to `node` first. They stand in `list`, whatever that held.
std::span<Candidate> rank_by_distance(const Space& space, NodeId node,
                                      std::span<const NodeId> nodes, std::vector<Candidate>& list,
                                      DistanceScratch& scratch);

// Candidates of `node` in `list`, ranked on their vectors: those distances of the space that are of
// codes are computed anew.
std::span<Candidate> rank_on_vectors(const Space& space, NodeId node, std::vector<Candidate>& list,
                                     DistanceScratch& scratch, std::vector<NodeId>& ids);

// Working memory of a selection.
struct SelectionScratch {
  DistanceScratch distances;
  std::vector<NodeId> ids;
  std::vector<NodeId> equal;  // a neighbor that is kept, and its copies
  std::vector<NodeId> more;   // of those, for what room is left
  std::vector<NodeId> selected;
  Residuals residuals;                // of near copies
  std::vector<std::uint32_t> places;  // among these, of the candidates that are left
};

// Chooses at most `max` neighbors of `node` among the candidates, which are sorted, and are used
// up: copies of the node, others nearest first, then more copies of these. They stand in the
// scratch until its next use.
std::span<const NodeId> select_neighbors(const Space& space, NodeId node,
                                         std::span<Candidate> candidates, std::size_t max,
                                         float alpha, SelectionScratch& scratch);

// Ranks near copies, in `list`, by what they differ from `node` by, as it is coded.
// REQUIRES: Residuals::suit()
std::span<Candidate> rank_near_copies(const Space& on_vectors, const format::Parameters& parameters,
                                      NodeId node, std::span<const NodeId> nodes,
                                      std::vector<Candidate>& list, SelectionScratch& scratch);

// The same for near copies, whose codes do not tell them apart: they are compared on codes of what
// they differ from the node by (engine/graph/residuals.h), or on their vectors, where these do not
// tell either. The candidates are ranked on the vectors. `coded`: nodes that rank_near_copies() has
// coded already, all candidates among them.
std::span<const NodeId> select_near_copies(const Space& on_vectors,
                                           const format::Parameters& parameters, NodeId node,
                                           std::span<Candidate> candidates, std::size_t max,
                                           float alpha, SelectionScratch& scratch,
                                           std::span<const NodeId> coded = {});

}  // namespace cairn
