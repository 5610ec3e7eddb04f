// SPDX-License-Identifier: Apache-2.0
//
// What happens to the lists around a removed node: docs/algorithms.md, "Removing". No list that is
// written loses a path between live nodes.
#pragma once

#include <cstdint>
#include <vector>

#include "engine/graph/insert.h"
#include "engine/graph/vicinity.h"
#include "engine/search/visited_set.h"
#include "engine/store/node_store.h"

namespace cairn {

// What the list of a node gets in the place of a link to a removed one, chosen before the commit
// mutex is held. It is used if the list is then still the same.
struct Bypass {
  NodeId source = kNoNode;
  std::vector<NodeId> before;  // the list
  NodeId added = kNoNode;      // if anything suits it
};

struct UnlinkScratch {
  std::vector<NodeId> sources;  // nodes that link to the one that is removed
  std::vector<Bypass> bypasses;
  std::size_t planned = 0;            // of them
  std::vector<Candidate> targets;     // live nodes that it leads to, nearest first
  std::vector<Candidate> candidates;  // the same, seen from one of the sources
  std::vector<NodeId> list;
  std::vector<NodeId> ids;
  std::vector<float> distances;
  QueryBuffer query;
  Vicinity around;     // of the removed node; reached is what the heir reaches
  VisitedSet leading;  // those of them that reach the heir, too

  // Room for all that unlinking does, so that it allocates nothing.
  void reserve(const format::Parameters& parameters, std::uint32_t slots);
};

class Unlinker {
 public:
  // Both outlive it.
  Unlinker(NodeStore& store, Linker& linker) : store_(store), linker_(linker) {}

  // Searches around a live node for nodes that link to it on level 0, into scratch.sources. Most of
  // them are found; those that are not are healed by the sweep. Stores nothing: other threads may
  // link meanwhile.
  static void find_sources(const Space& space, NodeId node, SearchScratch& search,
                           UnlinkScratch& scratch);

  // Chooses what the lists of scratch.sources get for the node, into scratch.bypasses. Stores
  // nothing.
  void plan_bypasses(const Space& space, NodeId node, UnlinkScratch& scratch);

  // Gives a tombstone its heirs, and relinks the nodes that lead to it. It stays as it is, to be
  // passed and tried again later, if no heir can be made to reach all that it reaches. REQUIRES:
  // scratch.reserve().
  void unlink(NodeId node, LinkScratch& link, UnlinkScratch& scratch);

  // True if the tombstone has at most one link on level 0.
  bool is_decided(NodeId node) const { return store_.view().links(node).degree <= 1; }

  HeirChains& chains() { return linker_.chains(); }

  // Puts a live node of the highest level in the place of a removed entry point. It keeps its place
  // if none can be made to reach all that it reaches.
  void replace_entry_point();

 private:
  bool collect_targets(const Space& space, NodeId node, HeirChains* chains, UnlinkScratch& scratch);
  bool lead_to_all(const Space& space, NodeId heir, UnlinkScratch& scratch);
  static void find_leading(const GraphView& graph, NodeId heir, UnlinkScratch& scratch);
  bool attach(const Space& space, NodeId node, NodeId heir, UnlinkScratch& scratch);
  void bypass(const Space& space, NodeId source, NodeId node, UnlinkScratch& scratch);
  static void sort_by_distance(const Space& space, NodeId node, std::size_t n,
                               UnlinkScratch& scratch);
  NodeId replacement(const Space& space, NodeId source, UnlinkScratch& scratch);
  static NodeId nearest_leading(const Space& space, NodeId source, UnlinkScratch& scratch);
  void unlink_above(const Space& space, NodeId node, LinkScratch& link, UnlinkScratch& scratch);
  void relink_above(const Space& space, NodeId source, NodeId node, std::uint32_t level,
                    LinkScratch& link, UnlinkScratch& scratch);

  NodeStore& store_;
  Linker& linker_;
};

}  // namespace cairn
