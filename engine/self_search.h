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

#include "engine/insert.h"
#include "engine/node_store.h"
#include "engine/search_scratch.h"
#include "engine/workers.h"

namespace cairn {

// ef of such a search. What it finds, searches with a larger one nearly always find, too, and still
// do when lists have changed.
inline constexpr std::size_t kSelfSearchWindow = 16;

// Where the search for `node` ended, nearest first; nowhere if it met the node, or one as near.
struct Stray {
  NodeId node = kNoNode;
  std::uint32_t size = 0;
  std::array<NodeId, kSelfSearchWindow> ends;
};

// Stores nothing: other threads may link meanwhile. A node that is not live is not looked for.
// REQUIRES: the view has an entry point; node < view.count.
Stray search_for_itself(const Space& space, NodeId node, SearchScratch& scratch);

// Links to the node from the nearest end that has room, or else from the nearest that has a link to
// spare. No path is lost. Nothing is done if the node has died meanwhile. `list` is working memory
// with room for a list.
void lead_to(const Stray& stray, const GraphView& graph, Linker& linker, std::vector<NodeId>& list);

// Looks for every node, and leads to those that were not met: block by block, each of which is
// searched for in parallel on a graph that stays as it is meanwhile. So the result does not depend
// on the number of threads. `step` is called before each block with the nodes that are done; an
// error ends it. `scratch`: one a worker.
using StrayStep = std::function<Result<void>(NodeId done)>;
Result<void> lead_to_all_strays(const Space& space, Linker& linker, Workers& workers,
                                std::vector<LinkScratch>& scratch, const StrayStep& step);

// Which nodes a change looks for: one that was added lately, and the next ones in a round of all.
class SelfSearchTurns {
 public:
  static constexpr std::size_t kOfTheRound = 8;
  using Nodes = std::array<NodeId, 1 + kOfTheRound>;

  void added(NodeId node) {
    if (added_ < recent_.size()) recent_[added_++] = node;
  }
  // kNoNode where there is none.
  Nodes next(std::uint32_t slots) {
    Nodes nodes;
    nodes[0] = added_ > 0 ? recent_[--added_] : kNoNode;
    for (std::size_t i = 1; i < nodes.size(); ++i) {
      if (cursor_ >= slots) cursor_ = 0;
      nodes[i] = cursor_ < slots ? cursor_++ : kNoNode;
    }
    return nodes;
  }
  // Nodes have got other numbers.
  void clear() { added_ = 0; }

 private:
  // As many changes as run at once wait for their turn; those beyond are met in the round.
  std::array<NodeId, 64> recent_;
  std::size_t added_ = 0;
  NodeId cursor_ = 0;
};

}  // namespace cairn
