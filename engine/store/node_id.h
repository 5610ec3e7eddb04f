// SPDX-License-Identifier: Apache-2.0
//
// The number of a node: where its records stand in their sections. A type of its own, so that no
// level, degree, count or UPPER record is taken for one.
#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <type_traits>

#include "format/bytes/limits.h"

namespace cairn {

struct NodeId {
  std::uint32_t index;

  friend constexpr auto operator<=>(NodeId, NodeId) = default;
  // Whether it is one of the first `count`.
  friend constexpr bool operator<(NodeId node, std::uint64_t count) { return node.index < count; }
  friend constexpr bool operator>=(NodeId node, std::uint64_t count) { return node.index >= count; }
};

inline constexpr NodeId kNoNode{format::kNoNode};

// The top bit of a number is the candidate pool's mark.
inline constexpr std::uint64_t kMaxNodes = std::uint64_t{1} << 31;

// The numbers of an array of nodes, for kernels.
static_assert(sizeof(NodeId) == sizeof(std::uint32_t) && std::is_standard_layout_v<NodeId>);
inline const std::uint32_t* indexes_of(const NodeId* nodes) {
  return reinterpret_cast<const std::uint32_t*>(nodes);
}

// The nodes from `first` on, below `end`, in their order.
class NodeRange {
 public:
  class Iterator {
   public:
    using iterator_category = std::input_iterator_tag;
    using value_type = NodeId;
    using difference_type = std::ptrdiff_t;
    using pointer = const NodeId*;
    using reference = NodeId;

    constexpr explicit Iterator(std::uint32_t index) : node_{index} {}
    constexpr NodeId operator*() const { return node_; }
    constexpr Iterator& operator++() {
      ++node_.index;
      return *this;
    }
    constexpr Iterator operator++(int) { return Iterator(node_.index++); }
    friend constexpr bool operator==(const Iterator&, const Iterator&) = default;

   private:
    NodeId node_;
  };

  constexpr NodeRange(std::uint32_t first, std::uint32_t end)
      : first_(first), end_(first < end ? end : first) {}
  constexpr Iterator begin() const { return Iterator(first_); }
  constexpr Iterator end() const { return Iterator(end_); }

 private:
  std::uint32_t first_;
  std::uint32_t end_;
};
constexpr NodeRange nodes_from(std::uint32_t first, std::uint32_t end) { return {first, end}; }
constexpr NodeRange nodes_below(std::uint32_t count) { return {0, count}; }

}  // namespace cairn
