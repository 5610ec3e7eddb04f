// SPDX-License-Identifier: Apache-2.0
#include "engine/graph/leaves.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "engine/base/hash.h"

namespace cairn {

namespace {

constexpr std::size_t kSmallestLeaf = 64;

// One leader for so many nodes, within bounds.
constexpr std::size_t kNodesPerLeader = 50;
constexpr std::size_t kMostLeaders = 1000;

// Where a group keeps more than this share of its nodes together, leaders do not split it: copies,
// or near ones.
constexpr std::size_t kStalledPercent = 80;

std::uint64_t below(std::uint64_t path, std::uint64_t child) { return mix64(path ^ mix64(child)); }

}  // namespace

std::size_t Carver::fanout(unsigned depth, std::size_t leaders) {
  constexpr std::size_t kFanout[] = {10, 2};
  const std::size_t wanted = depth < std::size(kFanout) ? kFanout[depth] : 1;
  return std::min(wanted, std::max<std::size_t>(1, leaders / 2));
}

std::uint64_t Carver::chance_of(NodeId node, std::uint64_t path) const {
  const GraphView& graph = space_.view();
  const std::uint64_t of_key = level_hash(graph.key(node), seed_);
  return mix64((graph.several_per_key ? mix64(of_key ^ node) : of_key) ^ path);
}

std::vector<NodeId> Carver::leaders(std::span<const NodeId> nodes, std::uint64_t path) const {
  const std::size_t count =
      std::clamp<std::size_t>(nodes.size() / kNodesPerLeader, 2, kMostLeaders);
  std::vector<std::pair<std::uint64_t, NodeId>> drawn(nodes.size());
  for (std::size_t i = 0; i < nodes.size(); ++i) {
    drawn[i] = {chance_of(nodes[i], path), nodes[i]};
  }
  const auto end = drawn.begin() + static_cast<std::ptrdiff_t>(std::min(count, drawn.size()));
  std::nth_element(drawn.begin(), end - 1, drawn.end());
  std::sort(drawn.begin(), end);
  std::vector<NodeId> leaders;
  for (auto it = drawn.begin(); it != end; ++it) leaders.push_back(it->second);
  return leaders;
}

std::span<const NodeId> Carver::nearest_leaders(NodeId node, std::span<const NodeId> leaders,
                                                std::size_t fanout, Scratch& scratch) const {
  const std::size_t n = leaders.size();
  scratch.distances.resize(n);
  const Query query = space_.prepare(node, scratch.query);
  space_.distances(query, leaders.data(), n, scratch.distances.data());
  scratch.nearest.clear();
  const auto nearer = [&](NodeId a, NodeId b) {
    const float* d = scratch.distances.data();
    return d[a] != d[b] ? d[a] < d[b] : a < b;
  };
  for (std::size_t i = 0; i < n; ++i) {
    const auto place = static_cast<NodeId>(i);
    if (scratch.nearest.size() == fanout) {
      if (!nearer(place, scratch.nearest.back())) continue;
      scratch.nearest.pop_back();
    }
    scratch.nearest.insert(
        std::upper_bound(scratch.nearest.begin(), scratch.nearest.end(), place, nearer), place);
  }
  return scratch.nearest;
}

std::vector<Grove> Carver::join_small(std::vector<Grove>&& groves) const {
  std::vector<Grove> joined;
  Grove small;
  for (Grove& grove : groves) {
    if (grove.nodes.size() >= kSmallestLeaf) {
      joined.push_back(std::move(grove));
      continue;
    }
    if (small.nodes.empty()) {
      small = std::move(grove);
    } else {
      small.nodes.insert(small.nodes.end(), grove.nodes.begin(), grove.nodes.end());
    }
    if (small.nodes.size() >= kSmallestLeaf) joined.push_back(std::exchange(small, {}));
  }
  if (!small.nodes.empty()) joined.push_back(std::move(small));
  for (Grove& grove : joined) {  // a node that has gone to two small groups is here once
    std::sort(grove.nodes.begin(), grove.nodes.end());
    grove.nodes.erase(std::unique(grove.nodes.begin(), grove.nodes.end()), grove.nodes.end());
  }
  return joined;
}

std::vector<Grove> Carver::split_by_chance(const Grove& grove) const {
  std::vector<Grove> halves(2);
  for (unsigned i = 0; i < 2; ++i) {
    halves[i].path = below(grove.path, i);
    halves[i].depth = grove.depth + 1;
  }
  std::vector<std::pair<std::uint64_t, NodeId>> order;
  for (const NodeId node : grove.nodes) {
    order.emplace_back(chance_of(node, grove.path), node);
  }
  std::sort(order.begin(), order.end());
  for (std::size_t i = 0; i < order.size(); ++i) {
    halves[i * 2 / order.size()].nodes.push_back(order[i].second);
  }
  return halves;
}

std::vector<Grove> Carver::split(const Grove& grove, Scratch& scratch) const {
  const std::vector<NodeId> around = leaders(grove.nodes, grove.path);
  std::vector<Grove> groves(around.size());
  for (std::size_t i = 0; i < groves.size(); ++i) {
    groves[i].path = below(grove.path, i);
    groves[i].depth = grove.depth + 1;
  }
  const std::size_t wanted = fanout(grove.depth, around.size());
  for (const NodeId node : grove.nodes) {
    for (const NodeId i : nearest_leaders(node, around, wanted, scratch)) {
      groves[i].nodes.push_back(node);
    }
  }
  const std::size_t most = grove.nodes.size() * kStalledPercent / 100;
  const bool stalled = std::any_of(groves.begin(), groves.end(),
                                   [&](const Grove& one) { return one.nodes.size() > most; });
  if (stalled) return split_by_chance(grove);
  return join_small(std::move(groves));
}

void Carver::carve(Grove&& grove, Scratch& scratch, const Leaf& leaf) const {
  if (grove.nodes.size() <= kLargestLeaf) {
    std::sort(grove.nodes.begin(), grove.nodes.end());
    leaf(grove.nodes);
    return;
  }
  std::vector<Grove> groves = split(grove, scratch);
  grove.nodes = {};
  for (Grove& one : groves) carve(std::move(one), scratch, leaf);
}

}  // namespace cairn
