// SPDX-License-Identifier: Apache-2.0
//
// The nodes that a search has met: one bit a node, and the list of those that were set. The list is
// what the search computes distances of, and what makes forgetting cost the size of the search
// instead of the size of the index.
//
// Thread-safety: none.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "engine/store/graph_view.h"

namespace cairn {

class VisitedSet {
 public:
  // Forgets everything and prepares for nodes [0, count).
  void reset(std::uint32_t count) {
    for (std::size_t i = 0; i < met_; ++i) bits_[list_[i].index / 64] = 0;
    met_ = 0;
    const std::size_t words = (std::size_t{count} + 63) / 64;
    if (bits_.size() < words) bits_.resize(words + words / 8);
    count_ = count;
  }

  // Marks `node`; for the entry point of a search.
  void insert(NodeId node) {
    make_room(1);
    bits_[node.index / 64] |= std::uint64_t{1} << (node.index % 64);
    list_[met_++] = node;
  }

  // Marks the nodes of a neighbor list. Returns where those that were new begin in list(). Numbers
  // that are no node (hostile files) are passed over.
  std::size_t insert_new(const LinkList& links) {
    make_room(links.degree);
    const std::size_t begin = met_;
    std::uint64_t* bits = bits_.data();
    NodeId* next = list_.data() + begin;
    for (std::uint32_t i = 0; i < links.degree; ++i) {
      const std::uint32_t index = links.unchecked(i);
      if (index >= count_) continue;
      const std::uint64_t word = bits[index / 64];
      *next = {index};
      next += ~(word >> (index % 64)) & 1;  // stays only if it was not marked
      bits[index / 64] = word | std::uint64_t{1} << (index % 64);
    }
    met_ = static_cast<std::size_t>(next - list_.data());
    return begin;
  }

  // The same of those for which wanted(node).
  template <class Wanted>
  std::size_t insert_new_if(const LinkList& links, Wanted&& wanted) {
    make_room(links.degree);
    const std::size_t begin = met_;
    std::uint64_t* bits = bits_.data();
    NodeId* next = list_.data() + begin;
    for (std::uint32_t i = 0; i < links.degree; ++i) {
      const NodeId node{links.unchecked(i)};
      if (node >= count_) continue;
      const std::uint64_t word = bits[node.index / 64];
      const std::uint64_t is_new = ~(word >> (node.index % 64)) & (wanted(node) ? 1u : 0u);
      *next = node;
      next += is_new;
      bits[node.index / 64] = word | is_new << (node.index % 64);
    }
    met_ = static_cast<std::size_t>(next - list_.data());
    return begin;
  }

  // Marks `node`; false if it was marked.
  bool insert_one(NodeId node) {
    if (contains(node)) return false;
    insert(node);
    return true;
  }
  bool contains(NodeId node) const {
    return (bits_[node.index / 64] >> (node.index % 64) & 1) != 0;
  }

  // Prepares for nodes [0, count), without forgetting anything. REQUIRES: count is not less than it
  // was.
  void grow(std::uint32_t count) {
    const std::size_t words = (std::size_t{count} + 63) / 64;
    if (bits_.size() < words) bits_.resize(words + words / 8);
    count_ = count;
  }
  // Forgets one node, which may be marked again.
  void forget(NodeId node) { bits_[node.index / 64] &= ~(std::uint64_t{1} << (node.index % 64)); }

  // Room for `n` nodes, so that marking that many allocates nothing.
  void reserve(std::size_t n) {
    if (list_.size() < n) list_.resize(n);
  }

  const NodeId* list() const { return list_.data(); }
  std::size_t met() const { return met_; }

 private:
  void make_room(std::size_t n) {
    if (list_.size() < met_ + n) list_.resize((met_ + n) * 2);
  }

  std::vector<std::uint64_t> bits_;
  std::vector<NodeId> list_;
  std::size_t met_ = 0;
  std::uint32_t count_ = 0;
};

}  // namespace cairn
