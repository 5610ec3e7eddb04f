// SPDX-License-Identifier: Apache-2.0
//
// Which nodes the links of level 0 reach from the entry point.
#pragma once

#include <cstdint>
#include <vector>

#include "engine/store/graph_view.h"

namespace cairn {

// Breadth-first search over level 0. Links that are no node are passed over.
class Reachability {
 public:
  explicit Reachability(const GraphView& graph);

  // Marks `start` and all that it reaches; returns how many were new.
  std::uint64_t mark_from(NodeId start);
  bool reached(NodeId node) const { return (bits_[node.index / 64] >> (node.index % 64) & 1) != 0; }

 private:
  bool mark(NodeId node);

  GraphView graph_;
  std::vector<std::uint64_t> bits_;
  std::vector<NodeId> queue_;
};

}  // namespace cairn
