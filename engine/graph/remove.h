// SPDX-License-Identifier: Apache-2.0
//
// What happens to the lists around a removed node: docs/algorithms.md, "Removing". No list that is
// written loses a path between live nodes.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
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

// What is found out about a node before it is removed.
struct RemovalPlan {
  std::vector<NodeId> sources;  // nodes that link to it
  std::vector<Bypass> bypasses;
};

// Working memory: nothing stands in it from one call to the next.
struct UnlinkScratch {
  DistanceScratch distances;
  std::vector<Candidate> targets;
  std::vector<Candidate> candidates;
  std::vector<NodeId> list;
  std::vector<NodeId> ids;
  Vicinity around;      // of the removed node
  VisitedSet reaching;  // those of them that reach the heir

  // Room for all that unlinking does, so that it allocates nothing.
  void reserve(const format::Parameters& parameters, std::uint32_t slots);
  bool is_reserved(const format::Parameters& parameters) const;
};

class Unlinker {
 public:
  // Both outlive it.
  Unlinker(NodeStore& store, Linker& linker) : store_(store), linker_(linker) {}

  // The nodes that link to a live one on level 0, as far as a search around it meets them: most are
  // found, those that are not are healed by the sweep. Stores nothing: other threads may link
  // meanwhile.
  static std::vector<NodeId> find_sources(const Space& space, NodeId node, SearchScratch& search);

  // The same, and what the lists of these nodes will get.
  RemovalPlan plan_removal(const Space& space, NodeId node, SearchScratch& search,
                           UnlinkScratch& scratch) const;

  // Gives a tombstone its heir, and relinks the nodes that link to it. It stays as it is, to be
  // passed and tried again later, if no heir can be made to reach all that it reaches. `chains` are
  // the change's. REQUIRES: scratch.reserve().
  void unlink(NodeId node, const RemovalPlan& plan, HeirChains& chains, LinkScratch& link,
              UnlinkScratch& scratch);

  // True if the tombstone has at most one link on level 0.
  bool is_decided(NodeId node) const { return store_.view().links(node).degree <= 1; }

  // Puts a live node of the highest level in the place of a removed entry point. It keeps its place
  // if none can be made to reach all that it reaches.
  void replace_entry_point(HeirChains& chains);

 private:
  // A removed node, and what is known of those around it.
  struct Gap {
    NodeId node;
    std::span<const Candidate> targets;  // live nodes that it reached in one step, nearest first
    const VisitedSet& reaching;          // its heir, and what reaches that
    const std::vector<Bypass>& bypasses;
  };

  static std::optional<std::span<const Candidate>> live_targets(const Space& space, NodeId node,
                                                                HeirChains* chains,
                                                                UnlinkScratch& scratch);
  const Vicinity* make_heir_reach(const Space& space, NodeId heir,
                                  std::span<const Candidate> targets, UnlinkScratch& scratch);
  static const VisitedSet& nodes_reaching(const GraphView& graph, NodeId heir,
                                          std::span<const NodeId> near, VisitedSet& set);
  bool attach(const Space& space, NodeId node, NodeId heir, std::span<const NodeId> hosts,
              UnlinkScratch& scratch);
  void bypass(const Space& space, NodeId source, const Gap& gap, UnlinkScratch& scratch);
  NodeId replacement(const Space& space, NodeId source, std::span<const NodeId> others,
                     std::span<const Candidate> targets, UnlinkScratch& scratch) const;
  static NodeId nearest_reaching(const Space& space, NodeId source, const Gap& gap,
                                 UnlinkScratch& scratch);
  void unlink_above(const Space& space, NodeId node, LinkScratch& link, UnlinkScratch& scratch);
  void relink_above(const Space& space, NodeId source, NodeId node, std::uint32_t level,
                    std::span<const NodeId> targets, LinkScratch& link, std::vector<NodeId>& list);

  NodeStore& store_;
  Linker& linker_;
};

}  // namespace cairn
