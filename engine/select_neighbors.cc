// SPDX-License-Identifier: Apache-2.0
#include "engine/select_neighbors.h"

#include <algorithm>
#include <cmath>

namespace cairn {

namespace {

// Whether rounding alone can make two distances differ.
bool near(float a, float b) { return std::fabs(a - b) <= 1e-5f * std::max(1.0f, std::fabs(b)); }

}  // namespace

std::size_t nearest(const Space& space, NodeId node, const std::vector<NodeId>& nodes,
                    Selection& selection) {
  std::vector<float>& distances = selection.distances;
  distances.resize(nodes.size());
  space.distances(space.prepare(node, selection.query), nodes.data(), nodes.size(),
                  distances.data());
  const auto least = std::min_element(distances.begin(), distances.end());
  return static_cast<std::size_t>(least - distances.begin());
}

void select_neighbors(const Space& space, std::size_t max, float alpha, Selection& selection) {
  auto& remaining = selection.candidates;
  selection.selected.clear();
  selection.ids.resize(remaining.size());
  selection.distances.resize(remaining.size());
  // Each neighbor that is kept is compared with all candidates that are left in one list: the same
  // number of distances as comparing each candidate with all that were kept, but the query stays in
  // registers.
  while (!remaining.empty()) {
    const NodeId kept = remaining.front().node;
    selection.selected.push_back(kept);
    if (selection.selected.size() == max) return;

    // The kept one comes first in its own list: distances[0] is what its copies have.
    const std::size_t n = remaining.size();
    for (std::size_t i = 0; i < n; ++i) selection.ids[i] = remaining[i].node;
    const Query query = space.prepare(kept, selection.query);
    space.distances(query, selection.ids.data(), n, selection.distances.data());
    std::size_t left = 0;
    for (std::size_t i = 1; i < n; ++i) {
      const Candidate candidate = remaining[i];
      const float distance = selection.distances[i];
      if (alpha * distance < candidate.distance) continue;
      if (near(distance, selection.distances[0]) && space.same_vector(kept, candidate.node))
        continue;
      remaining[left++] = candidate;
    }
    remaining.resize(left);
  }
}

}  // namespace cairn
