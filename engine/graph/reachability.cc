// SPDX-License-Identifier: Apache-2.0
#include "engine/graph/reachability.h"

namespace cairn {

Reachability::Reachability(const GraphView& graph)
    : graph_(graph), bits_((std::size_t{graph.count} + 63) / 64) {}

bool Reachability::mark(NodeId node) {
  std::uint64_t& word = bits_[node.index / 64];
  const std::uint64_t bit = std::uint64_t{1} << (node.index % 64);
  if ((word & bit) != 0) return false;
  word |= bit;
  queue_.push_back(node);
  return true;
}

std::uint64_t Reachability::mark_from(NodeId start) {
  queue_.clear();
  if (start >= graph_.count || !mark(start)) return 0;
  for (std::size_t next = 0; next < queue_.size(); ++next) {
    // The records of the queue are known long before they are read.
    if (next + 8 < queue_.size()) {
      const std::byte* ahead = graph_.header_of(queue_[next + 8]);
      for (std::size_t line = 0; line < 4; ++line) __builtin_prefetch(ahead + line * 64);
    }
    for (const NodeId node : graph_.links(queue_[next])) mark(node);
  }
  return queue_.size();
}

}  // namespace cairn
