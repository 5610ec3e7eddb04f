// SPDX-License-Identifier: Apache-2.0
//
// SELECT-NEIGHBORS-HEURISTIC (Malkov & Yashunin 2018, Algorithm 4), without extendCandidates and
// keepPruned, and with the relaxation alpha of Vamana (Subramanya et al. 2019): a candidate c is
// dropped if a neighbor s that was kept is nearer to it than the node itself, alpha * d(c, s) <
// d(c, node). A copy of a neighbor that was kept is dropped too, or equal vectors would fill whole
// lists and cut the graph.
#pragma once

#include <cstddef>
#include <vector>

#include "engine/distance.h"

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
  std::vector<NodeId> selected;  // out, nearest first
};

// The place of the node nearest to `node` in `nodes`, which are not empty. Uses selection.distances
// and selection.query.
std::size_t nearest(const Space& space, NodeId node, const std::vector<NodeId>& nodes,
                    Selection& selection);

// Chooses at most `max` of selection.candidates.
void select_neighbors(const Space& space, std::size_t max, float alpha, Selection& selection);

}  // namespace cairn
