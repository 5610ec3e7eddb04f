// SPDX-License-Identifier: Apache-2.0
#include "engine/graph/vicinity.h"

namespace cairn {

void Vicinity::begin(std::uint32_t slots) {
  slots_ = slots;
  members_.reset(slots);
  reached_.reset(slots);
  from_.clear();
  unreached_ = 0;
}

void Vicinity::mark(NodeId node, NodeId from) {
  if (node >= slots_ || !reached_.insert_one(node)) return;
  from_.push_back(from);
  if (members_.contains(node)) --unreached_;
}

void Vicinity::spread(const GraphView& graph, std::size_t first) {
  for (std::size_t at = first; at < reached_.met() && unreached_ > 0; ++at) {
    const NodeId from = reached_.list()[at];
    for (const NodeId link : graph.links(from)) {
      if (contains(link)) mark(link, from);
    }
  }
}

void Vicinity::reserve(std::size_t most, std::uint32_t slots) {
  for (VisitedSet* set : {&members_, &reached_}) {
    set->reset(slots);
    set->reserve(2 * most);
  }
  if (from_.capacity() < 2 * most) from_.reserve(2 * most);
  begin(slots);
}

}  // namespace cairn
