// SPDX-License-Identifier: Apache-2.0
//
// A few nodes near each other, and which of them can be reached from some by links between them
// alone. What a list gives up may be given up if it is reached from what the list keeps. Numbers
// that are no node (hostile files) are passed over.
//
// Thread-safety: none.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "engine/search/visited_set.h"

namespace cairn {

class Vicinity {
 public:
  // Forgets everything and prepares for nodes [0, slots).
  void begin(std::uint32_t slots);

  void add(NodeId node) {
    if (node < slots_ && members_.insert_one(node)) ++unreached_;
  }
  bool contains(NodeId node) const { return node < slots_ && members_.contains(node); }

  // Marks a node as reached, a member or not, by a link from `from` if there is one.
  void mark(NodeId node, NodeId from = kNoNode);

  // Marks the members that reached nodes link to, and so on, beginning with the lists of those that
  // were reached as `first` and later.
  void spread(const GraphView& graph, std::size_t first);

  bool is_reached(NodeId node) const { return node < slots_ && reached_.contains(node); }
  // In the order in which they were.
  std::span<const NodeId> reached() const { return {reached_.list(), reached_.met()}; }
  NodeId from(std::size_t at) const { return from_[at]; }

  // Room for `most` members and as many others, so that nothing is allocated.
  void reserve(std::size_t most, std::uint32_t slots);

 private:
  std::uint32_t slots_ = 0;
  VisitedSet members_;
  VisitedSet reached_;
  std::vector<NodeId> from_;   // of each of reached()
  std::size_t unreached_ = 0;  // members
};

}  // namespace cairn
