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
#include <vector>

#include "engine/vectors/distance.h"

namespace cairn {

struct Candidate {
  NodeId node;
  float distance;  // to the node whose neighbors are chosen

  friend bool operator<(const Candidate& a, const Candidate& b) {
    return a.distance != b.distance ? a.distance < b.distance : a.node < b.node;
  }
};

// Working memory of a selection, and its result.
struct Selection {
  std::vector<Candidate> candidates;  // in: sorted. out: used up
  std::vector<NodeId> ids;
  std::vector<float> distances;
  QueryBuffer query;
  std::vector<NodeId> equal;     // a neighbor that is kept, and its copies
  std::vector<NodeId> more;      // of those, for what room is left
  std::vector<NodeId> selected;  // out: copies of the node, others nearest first, then more copies
};

// The place of the node nearest to `node` in `nodes`, which are not empty. Uses selection.distances
// and selection.query.
std::size_t nearest(const Space& space, NodeId node, const std::vector<NodeId>& nodes,
                    Selection& selection);

// Chooses at most `max` neighbors of `node` among selection.candidates.
void select_neighbors(const Space& space, NodeId node, std::size_t max, float alpha,
                      Selection& selection);

}  // namespace cairn
