// SPDX-License-Identifier: Apache-2.0
#include "engine/graph/leaves.h"

#include <algorithm>
#include <iterator>
#include <numeric>
#include <utility>

#include "engine/base/hash.h"

namespace cairn {

namespace {

constexpr std::size_t kSmallestLeaf = 64;

// One leader for so many nodes, within bounds.
constexpr std::size_t kNodesPerLeader = 50;
constexpr std::size_t kMostLeaders = 1000;

// The same of the first carving. Its groups are carved again where they are large, and then a node
// sees others than before: groups of few nodes are made large for that. Between, it is a line.
std::size_t nodes_per_first_leader(std::size_t nodes) {
  constexpr std::size_t kFewRows = 30'000;
  constexpr std::size_t kManyRows = 50'000;
  constexpr std::size_t kAmongFew = 200;
  const std::size_t above = std::clamp(nodes, kFewRows, kManyRows) - kFewRows;
  return kAmongFew - above * (kAmongFew - kNodesPerLeader) / (kManyRows - kFewRows);
}

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
  return mix64((graph.several_per_key ? mix64(of_key ^ node.index) : of_key) ^ path);
}

std::size_t Carver::leaders_for(unsigned depth, std::size_t nodes) {
  const std::size_t per_leader = depth == 0 ? nodes_per_first_leader(nodes) : kNodesPerLeader;
  return std::clamp<std::size_t>(nodes / per_leader, 2, kMostLeaders);
}

Carver::Leaders Carver::leaders(std::span<const NodeId> nodes, std::uint64_t path,
                                unsigned depth) const {
  const std::size_t count = leaders_for(depth, nodes.size());
  std::vector<std::pair<std::uint64_t, NodeId>> drawn(nodes.size());
  for (std::size_t i = 0; i < nodes.size(); ++i) {
    drawn[i] = {chance_of(nodes[i], path), nodes[i]};
  }
  const auto end = drawn.begin() + static_cast<std::ptrdiff_t>(std::min(count, drawn.size()));
  std::nth_element(drawn.begin(), end - 1, drawn.end());
  std::sort(drawn.begin(), end);
  Leaders leaders;
  for (auto it = drawn.begin(); it != end; ++it) leaders.nodes.push_back(it->second);
  leaders.places.resize(leaders.nodes.size());
  std::iota(leaders.places.begin(), leaders.places.end(), 0u);
  if (!space_.traverses_codes()) return leaders;
  QueryBuffer buffer;
  leaders.panels.reset(space_, leaders.nodes.size());
  for (std::size_t i = 0; i < leaders.nodes.size(); ++i) {
    leaders.panels.set(i, space_.prepare(leaders.nodes[i], buffer));
  }
  leaders.panels.pack();
  return leaders;
}

// The distances of up to simd::kTileRows nodes to all leaders; returns how far apart their rows in
// scratch.distances are.
std::size_t Carver::measure(std::span<const NodeId> nodes, const Leaders& leaders,
                            Scratch& scratch) const {
  const std::size_t n = leaders.nodes.size();
  const std::size_t stride = std::max(n, leaders.panels.panels() * simd::kPanelColumns);
  scratch.distances.resize(simd::kTileRows * stride);
  float* const rows = scratch.distances.data();
  if (leaders.panels.panels() == 0) {
    for (std::size_t i = 0; i < nodes.size(); ++i) {
      const Query query = space_.prepare(nodes[i], scratch.query);
      space_.distances(query, leaders.nodes.data(), n, rows + i * stride);
    }
    return stride;
  }
  scratch.tile.set(space_, nodes);
  for (std::size_t panel = 0; panel < leaders.panels.panels(); ++panel) {
    const std::size_t first = panel * simd::kPanelColumns;
    scratch.tile.score(leaders.panels, panel, rows + first, stride,
                       [&](std::size_t i, std::size_t j) {
                         scratch.unsure[i].push_back(static_cast<std::uint32_t>(first + j));
                       });
  }
  for (std::size_t i = 0; i < nodes.size(); ++i) {
    std::vector<std::uint32_t>& unsure = scratch.unsure[i];
    if (unsure.empty()) continue;
    const Query query = space_.prepare(nodes[i], scratch.query);
    scratch.closer.resize(unsure.size());
    std::vector<NodeId> asked;
    for (const std::uint32_t place : unsure) asked.push_back(leaders.nodes[place]);
    space_.distances(query, asked.data(), asked.size(), scratch.closer.data());
    for (std::size_t j = 0; j < unsure.size(); ++j)
      rows[i * stride + unsure[j]] = scratch.closer[j];
    unsure.clear();
  }
  return stride;
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
  const Leaders around = leaders(grove.nodes, grove.path, grove.depth);
  std::vector<Grove> groves(around.nodes.size());
  for (std::size_t i = 0; i < groves.size(); ++i) {
    groves[i].path = below(grove.path, i);
    groves[i].depth = grove.depth + 1;
  }
  const std::size_t wanted = fanout(grove.depth, groves.size());
  nearest_leaders(grove.nodes, around, wanted, scratch, [&](std::size_t i, std::uint32_t leader) {
    groves[leader].nodes.push_back(grove.nodes[i]);
  });
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
