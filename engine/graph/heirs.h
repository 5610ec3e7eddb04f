// SPDX-License-Identifier: Apache-2.0
//
// Tombstones stay in the graph until nothing links to them. On level 0 such a node has a single
// link, to its heir: a node that reaches all that it reached. A link to a tombstone may therefore
// be replaced by one to its heir, and nothing that could be reached is lost. Heirs that were
// removed later have heirs of their own, so a chain of them ends at a live node.
#pragma once

#include <vector>

#include "engine/graph/select_neighbors.h"
#include "engine/store/node_store.h"

namespace cairn {

// What stands for a node of the graph on one level.
struct Heir {
  enum class Kind {
    node,       // `node`, which is live: the node itself, or its heir
    nothing,    // the tombstone reached nothing, or the chain leads round in a circle
    undecided,  // no single heir yet, or the chain is too long: the tombstone must be passed
  };
  Kind kind;
  NodeId node;
};
// `from`: the node whose own list is looked at, a tombstone or about to be one. A chain that comes
// back to it leads to nothing else.
Heir heir_of(const GraphView& graph, NodeId node, std::uint32_t level, NodeId from = kNoNode);

// Follows chains of any length on level 0, for one change, which may store: some tombstones of long
// ones lead to the end at once from then on.
//
// Thread-safety: that of the store's writer.
class HeirChains {
 public:
  // Tombstones that get another heir in one change, which logs them, at most.
  static constexpr std::uint32_t kMostShortened = 256;
  // Steps in one change besides those to the end of the longest chain there can be. A hostile file
  // may have many long chains that cannot be shortened.
  static constexpr std::uint64_t kMoreSteps = 65536;

  explicit HeirChains(NodeStore& store) : store_(store), steps_(store.deleted() + kMoreSteps) {}

  // Like heir_of(); undecided if the change has made all its steps.
  Heir follow(NodeId node, NodeId from = kNoNode);

  // Follows all of them, in time and memory in proportion to the slots, for one who looks at every
  // list: follow(node) just tells the end from then on. REQUIRES: no tombstone's list changes.
  void follow_all();

  NodeStore& store() { return store_; }

 private:
  void shorten(const GraphView& graph, NodeId node, NodeId heir);

  NodeStore& store_;
  std::uint32_t left_ = kMostShortened;
  std::uint64_t steps_;
  std::vector<Heir> ends_;  // of all nodes, once follow_all() has found them
};

bool links_to(const GraphView& graph, NodeId from, std::uint32_t level, NodeId to);

// Replaces links to tombstones; on upper levels, where no path must be kept, by their heirs. On
// level 0 a link is left out if another neighbor links to the heir. If none does, its place is
// taken by the heir or by a neighbor of the heir that links to it, whichever is nearest: an heir is
// near to the tombstone, not to all that linked to it. Those that are undecided stay on level 0 and
// are dropped above. `list` and `scratch` are working memory with room for the list and one more.
void heal(HeirChains& chains, const Space& space, NodeId node, std::uint32_t level,
          std::vector<NodeId>& list, SelectionScratch& scratch);

// A live node that the entry point reaches on level 0; kNoNode if there is none. For the rare
// case that a search has met tombstones alone; takes time in proportion to their number.
NodeId some_live_node(const GraphView& graph);

}  // namespace cairn
