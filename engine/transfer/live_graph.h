// SPDX-License-Identifier: Apache-2.0
//
// The live nodes of an index, numbered without gaps, and the links among them: what the writers of
// foreign files have in common.
#pragma once

#include <cstdint>
#include <vector>

#include "engine/store/node_store.h"

namespace cairn {

class LiveGraph {
 public:
  explicit LiveGraph(const GraphView& view);

  std::uint32_t size() const { return static_cast<std::uint32_t>(nodes_.size()); }
  NodeId node(std::uint32_t i) const { return nodes_[i]; }
  std::uint32_t level(std::uint32_t i) const { return levels_[i]; }
  // One of the highest level, format::kNoNode if there is none.
  std::uint32_t entry() const { return entry_; }
  std::uint32_t max_level() const { return entry_ == format::kNoNode ? 0 : level(entry_); }
  // Numbers that number `i` links to on a level. Where a removed node stands in between, what that
  // leads to, as far as the list has room.
  void links(std::uint32_t i, std::uint32_t on_level, std::vector<std::uint32_t>& out) const;

  const GraphView& view() const { return view_; }

 private:
  void add(NodeId target, std::uint32_t i, std::uint32_t on_level,
           std::vector<std::uint32_t>& out) const;

  GraphView view_;
  std::vector<NodeId> nodes_;
  std::vector<std::uint8_t> levels_;    // as they were: what is written must not change meanwhile
  std::vector<std::uint32_t> numbers_;  // of nodes; format::kNoNode: not live
  std::uint32_t entry_ = format::kNoNode;
};

}  // namespace cairn
