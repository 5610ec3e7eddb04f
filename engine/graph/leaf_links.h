// SPDX-License-Identifier: Apache-2.0
//
// The lists of level 0 without a search for each node: all pairs within overlapping leaves
// (engine/graph/leaves.h) are compared, each node keeps the nearest that any leaf has shown it, and
// its neighbors are selected from these. That takes half the time of inserting them one batch after
// the other: docs/decisions/0030.
#pragma once

#include <functional>
#include <span>
#include <utility>
#include <vector>

#include <cairn/error.h>

#include "engine/base/workers.h"
#include "engine/graph/insert.h"
#include "engine/graph/leaves.h"
#include "engine/store/node_store.h"

namespace cairn {

// Fewer nodes are inserted one batch after the other.
inline constexpr std::size_t kFewestForLeaves = 20'000;

class LeafLinker {
 public:
  // `view` knows all nodes, whose upper levels are linked. `scratch`: one a worker.
  LeafLinker(NodeStore& store, const GraphView& view, Linker& linker, Workers& workers,
             std::vector<LinkScratch>& scratch);

  // Writes the lists of `nodes` on level 0, which link to each other alone. `step` is called now
  // and then with the share that is done; an error ends it. The result does not depend on the
  // number of threads. Memory: below 1 KiB a node, and 9 MiB a thread.
  using Step = std::function<Result<void>(double done)>;
  Result<void> link(std::span<const NodeId> nodes, const Step& step);

 private:
  // Candidates that a node keeps.
  static constexpr std::size_t kKept = 96;

  struct Pair {
    NodeId node;
    NodeId neighbor;
    float distance;
  };
  struct LeafScratch {
    Carver::Scratch carving;
    std::vector<float> matrix;  // distances of all pairs of a leaf, `stride` apart
    std::size_t stride = 0;
    QueryPanels panels;                                           // the nodes of a leaf
    std::vector<std::pair<std::uint32_t, std::uint32_t>> unsure;  // pairs that need a closer look
    std::vector<NodeId> asked;
    NeighborPool near;
    std::vector<std::uint32_t> few;  // places of those that may be the nearest
    std::vector<float> few_distances;
    std::vector<float> left;               // distances of those that no kept one occludes
    std::vector<std::uint32_t> kept;       // places in the leaf
    std::vector<std::vector<Pair>> pairs;  // by shard of their first node
  };

  std::vector<Grove> plant(std::span<const NodeId> nodes);
  void compare_all(std::span<const NodeId> leaf, LeafScratch& scratch);
  void compare_on_codes(std::span<const NodeId> leaf, LeafScratch& scratch);
  void look_closer(std::span<const NodeId> leaf, LeafScratch& scratch);
  void choose_pairs(std::span<const NodeId> leaf, LeafScratch& scratch);
  void keep_of_nearest(std::size_t i, std::span<const float> distances, LeafScratch& scratch) const;
  void keep_of_all(std::size_t i, std::size_t most, std::span<const float> distances,
                   LeafScratch& scratch) const;
  void merge(std::size_t shard);
  void keep(const Pair& pair);
  void select(NodeId node, LinkScratch& scratch);
  void fill_up(NodeId node, std::size_t most, LinkScratch& scratch) const;
  std::span<const Candidate> candidates_of(NodeId node) const {
    return {kept_.data() + std::size_t{node.index} * kKept, kept_count_[node.index]};
  }

  NodeStore& store_;
  const GraphView& view_;
  Linker& linker_;
  Workers& workers_;
  std::vector<LinkScratch>& scratch_;
  Space space_;
  Carver carver_;
  std::vector<LeafScratch> leaf_scratch_;  // one a worker
  std::vector<Candidate> kept_;            // kKept a node
  std::vector<std::uint8_t> kept_count_;
};

}  // namespace cairn
