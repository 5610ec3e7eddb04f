// SPDX-License-Identifier: Apache-2.0
#include "engine/select_neighbors.h"

namespace cairn {

void select_neighbors(const Space& space, std::size_t max, float alpha, Selection& selection) {
  auto& remaining = selection.candidates;
  selection.selected.clear();
  selection.ids.resize(remaining.size());
  selection.distances.resize(remaining.size());
  // Each neighbor that is kept is compared with all candidates that are left in one list: the same number of
  // distances as comparing each candidate with all that were kept, but the query stays in registers.
  while (!remaining.empty()) {
    const NodeId kept = remaining.front().node;
    selection.selected.push_back(kept);
    if (selection.selected.size() == max) return;

    const std::size_t n = remaining.size() - 1;
    for (std::size_t i = 0; i < n; ++i) selection.ids[i] = remaining[i + 1].node;
    space.distances(space.prepare(kept), selection.ids.data(), n, selection.distances.data());
    std::size_t left = 0;
    for (std::size_t i = 0; i < n; ++i) {
      const Candidate candidate = remaining[i + 1];
      if (!(alpha * selection.distances[i] < candidate.distance)) remaining[left++] = candidate;
    }
    remaining.resize(left);
  }
}

}  // namespace cairn
