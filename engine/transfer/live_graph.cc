// SPDX-License-Identifier: Apache-2.0
#include "engine/transfer/live_graph.h"

#include <algorithm>

namespace cairn {

LiveGraph::LiveGraph(const GraphView& view) : view_(view), numbers_(view.count, format::kNoNode) {
  for (const NodeId node : nodes_below(view.count)) {
    if (!view.is_live(node)) continue;
    const std::uint32_t number = size();
    numbers_[node.index] = number;
    nodes_.push_back(node);
    // Bounded, whatever a file says.
    const auto level = std::min<std::uint32_t>(view.level(node), format::kMaxLevels - 1);
    levels_.push_back(static_cast<std::uint8_t>(level));
    if (entry_ == format::kNoNode || level > levels_[entry_]) entry_ = number;
  }
  // The index's own, if it is one of those: it reaches all others.
  const NodeId own = view.entry_point;
  if (own >= view.count) return;
  const std::uint32_t number = numbers_[own.index];
  if (number != format::kNoNode && level(number) >= max_level()) entry_ = number;
}

void LiveGraph::add(NodeId target, std::uint32_t i, std::uint32_t on_level,
                    std::vector<std::uint32_t>& out) const {
  const std::size_t capacity = on_level == 0 ? view_.m_max0 : view_.m;
  if (target >= view_.count || out.size() == capacity) return;
  const std::uint32_t number = numbers_[target.index];
  if (number == format::kNoNode || number == i || level(number) < on_level) return;
  if (std::find(out.begin(), out.end(), number) == out.end()) out.push_back(number);
}

void LiveGraph::links(std::uint32_t i, std::uint32_t on_level,
                      std::vector<std::uint32_t>& out) const {
  out.clear();
  const LinkList links = view_.links_on(nodes_[i], on_level);
  for (const NodeId target : links) add(target, i, on_level, out);
  for (const NodeId removed : links) {
    if (numbers_[removed.index] != format::kNoNode) continue;
    for (const NodeId beyond : view_.links_on(removed, on_level)) add(beyond, i, on_level, out);
  }
}

}  // namespace cairn
