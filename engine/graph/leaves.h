// SPDX-License-Identifier: Apache-2.0
//
// Overlapping groups of near nodes, found without a graph: the randomized ball carving of HCNNG
// (Munoz et al. 2019) and PiPNN (2026). Leaders are drawn from a group, each node goes to the few
// nearest of them, and what gathers around a leader is carved again until it is small.
//
// Thread-safety: all functions are pure but for the scratch.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "engine/search/neighbor_pool.h"
#include "engine/vectors/code_panels.h"
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

  // Nodes that others are compared with.
  struct Leaders {
    std::vector<NodeId> nodes;
    std::vector<std::uint32_t> places;  // 0, 1, ...
    QueryPanels panels;                 // of the nodes; empty if the traversal is not by codes
  };
  struct Scratch {
    QueryBuffer query;
    std::vector<float> distances;
    NodeTile tile;
    std::vector<std::vector<std::uint32_t>> unsure{
        simd::kTileRows};       // places of leaders, by node of the tile
    std::vector<float> closer;  // distances to these
    NeighborPool nearest;
  };

  // How many leaders a group of so many nodes has.
  static std::size_t leaders_for(unsigned depth, std::size_t nodes);

  // Those nodes of the group that come first by chance. `depth`: of the group.
  Leaders leaders(std::span<const NodeId> nodes, std::uint64_t path, unsigned depth) const;

  // Calls found(i, j) for the `fanout` nearest of the leaders to each of `nodes`, in its order.
  template <class Found>
  void nearest_leaders(std::span<const NodeId> nodes, const Leaders& leaders, std::size_t fanout,
                       Scratch& scratch, Found&& found) const;

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
  std::size_t measure(std::span<const NodeId> nodes, const Leaders& leaders,
                      Scratch& scratch) const;

  const Space& space_;
  std::uint64_t seed_;
};

template <class Found>
void Carver::nearest_leaders(std::span<const NodeId> nodes, const Leaders& leaders,
                             std::size_t fanout, Scratch& scratch, Found&& found) const {
  for (std::size_t begin = 0; begin < nodes.size(); begin += simd::kTileRows) {
    const auto some = nodes.subspan(begin, std::min(simd::kTileRows, nodes.size() - begin));
    const std::size_t stride = measure(some, leaders, scratch);
    for (std::size_t i = 0; i < some.size(); ++i) {
      scratch.nearest.reset(fanout, fanout);
      scratch.nearest.insert(simd::kernels(), leaders.places.data(),
                             scratch.distances.data() + i * stride, leaders.nodes.size());
      for (std::size_t j = 0; j < scratch.nearest.size(); ++j) {
        found(begin + i, scratch.nearest.id(j).index);
      }
    }
  }
}

}  // namespace cairn
