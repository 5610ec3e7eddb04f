// SPDX-License-Identifier: Apache-2.0
//
// Whether a search for a node's own vector meets the node. It may end elsewhere, among nodes that
// are nearer to each other than to what leads to it. Such a node is astray; it is linked from
// where its search ended: docs/algorithms.md, "Nodes that do not find themselves".
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <vector>

#include <cairn/error.h>

#include "engine/base/workers.h"
#include "engine/graph/insert.h"
#include "engine/search/search_scratch.h"
#include "engine/store/node_store.h"

namespace cairn {

// ef of such a search. What it finds, searches with a larger one nearly always find, too, and still
// do when lists have changed.
inline constexpr std::size_t kSelfSearchWindow = 8;
// Links to a stray that are made where there is room: one alone is soon given up again, or soon no
// search ends there any more.
inline constexpr std::size_t kLinksToStray = 3;

// Where the search for `node` ended, nearest first; nowhere if it met the node, or one as near.
struct Stray {
  NodeId node = kNoNode;
  std::uint32_t size = 0;
  std::array<NodeId, kSelfSearchWindow> ends;
};

// Stores nothing: other threads may link meanwhile. A node that is not live is not looked for.
// REQUIRES: node < view.count.
Stray search_for_itself(const Space& space, NodeId node, SearchScratch& scratch);

// Links to the node from the nearest ends that have room, or else from the nearest that has a link
// to spare. No path is lost. Nothing is done if the node has died meanwhile. `list` is working
// memory with room for a list.
void link_stray(const Stray& stray, const GraphView& graph, Linker& linker,
                std::vector<NodeId>& list);

// Looks for every node, and links those that were not met: block by block, each of which is
// searched for in parallel on a graph that stays as it is meanwhile. So the result does not depend
// on the number of threads. `step` is called before each block with the nodes that are done; an
// error ends it. `scratch`: one a worker.
using StrayStep = std::function<Result<void>(std::uint32_t done)>;
Result<void> link_all_strays(const Space& space, Linker& linker, Workers& workers,
                             std::vector<LinkScratch>& scratch, const StrayStep& step);

// Which nodes a change looks for: one that was added lately, and the next ones in a round of all.
// How many follows from how many of the round have been strays: where there are hardly any, a
// change is not slowed down for them.
class SelfSearchTurns {
 public:
  static constexpr std::size_t kFewest = 4;
  static constexpr std::size_t kMost = 16;
  using Nodes = std::array<NodeId, 1 + kMost>;

  void added(NodeId node) {
    if (added_ < recent_.size()) recent_[added_++] = node;
  }
  // kNoNode where there is none.
  Nodes next(std::uint32_t slots);
  // So many of the round were looked for, and so many of them were strays.
  void looked(std::size_t nodes, std::size_t strays);
  std::size_t of_the_round() const { return kFewest + excess_ / kExcessPerLook; }
  // Nodes have got other numbers.
  void clear() { added_ = 0; }

 private:
  // As many changes as run at once wait for their turn; those beyond are met in the round.
  std::array<NodeId, 64> recent_;
  std::size_t added_ = 0;
  NodeId cursor_{0};

  // One stray among so many nodes is as it should be. What is found beyond adds up, what is missing
  // is taken off again: slowly, as a round meets regions with many strays and others with none.
  static constexpr std::size_t kNodesPerStray = 100;
  static constexpr std::size_t kExcessPerLook = 200 * kNodesPerStray;
  std::size_t excess_ = 0;
};

}  // namespace cairn
