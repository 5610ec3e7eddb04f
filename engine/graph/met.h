// SPDX-License-Identifier: Apache-2.0
//
// All that a search has looked at, and how far that is.
//
// Thread-safety: none.
#pragma once

#include <cstddef>
#include <vector>

#include "engine/store/node_id.h"

namespace cairn {

struct Met {
  std::vector<NodeId> nodes;
  std::vector<float> distances;  // of each

  void clear() {
    nodes.clear();
    distances.clear();
  }
  void add(const NodeId* some, const float* how_far, std::size_t n) {
    nodes.insert(nodes.end(), some, some + n);
    distances.insert(distances.end(), how_far, how_far + n);
  }
};

}  // namespace cairn
