// SPDX-License-Identifier: Apache-2.0
//
// Overlapping groups of near nodes, found without a graph: the randomized ball carving of HCNNG
// (Munoz et al. 2019) and PiPNN (2026). Leaders are drawn from a group, each node goes to the few
// nearest of them, and what gathers around a leader is carved again until it is small.
//
// Thread-safety: all functions are pure but for the scratch.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "engine/vectors/distance.h"

namespace cairn {

// A group that is to be carved. `path` tells it from others: what is drawn by chance follows from
// keys, the seed and the path alone, and from the node where a key may have several.
struct Grove {
  std::vector<NodeId> nodes;
  std::uint64_t path = 0;
  unsigned depth = 0;
};

// No leaf has more nodes.
inline constexpr std::size_t kLargestLeaf = 1024;

class Carver {
 public:
  // The view's nodes are all there; `seed` is that of the index.
  Carver(const Space& space, std::uint64_t seed) : space_(space), seed_(seed) {}

  struct Scratch {
    QueryBuffer query;
    std::vector<float> distances;
    std::vector<NodeId> nearest;  // of one node: places of leaders
  };

  // Places in the result of leaders(): those of the `fanout` nearest of them to `node`.
  std::span<const NodeId> nearest_leaders(NodeId node, std::span<const NodeId> leaders,
                                          std::size_t fanout, Scratch& scratch) const;

  // Those nodes of the group that come first by chance.
  std::vector<NodeId> leaders(std::span<const NodeId> nodes, std::uint64_t path) const;
  // To how many of so many leaders a node goes.
  static std::size_t fanout(unsigned depth, std::size_t leaders);

  // Groups by leader, those too small for a leaf of their own thrown together.
  std::vector<Grove> join_small(std::vector<Grove>&& groves) const;

  // Calls `leaf` with the nodes of every leaf of the group.
  using Leaf = std::function<void(std::vector<NodeId>& nodes)>;
  void carve(Grove&& grove, Scratch& scratch, const Leaf& leaf) const;

 private:
  std::uint64_t chance_of(NodeId node, std::uint64_t path) const;
  std::vector<Grove> split(const Grove& grove, Scratch& scratch) const;
  std::vector<Grove> split_by_chance(const Grove& grove) const;

  const Space& space_;
  std::uint64_t seed_;
};

}  // namespace cairn
