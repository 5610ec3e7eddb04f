// SPDX-License-Identifier: Apache-2.0
//
// INSERT (Malkov & Yashunin 2018, Algorithm 1) in two steps that add() and build() share: a new
// node chooses its neighbors; then the neighbors take it into their lists, shrinking those that are
// full.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "engine/graph/heirs.h"
#include "engine/graph/met.h"
#include "engine/graph/select_neighbors.h"
#include "engine/graph/vicinity.h"
#include "engine/search/search_scratch.h"
#include "engine/store/node_store.h"

namespace cairn {

// Room for a list and a newcomer, on any level.
inline std::size_t longest_list(const format::Parameters& parameters) {
  return std::size_t{std::max(parameters.m_max0, parameters.m)} + 1;
}

// The new list of a full neighbor, selected before the commit mutex is held. It is used if the list
// is then still the same.
struct LinkPlan {
  NodeId target = kNoNode;
  std::vector<NodeId> before;  // the list, and behind it the newcomer
  std::vector<NodeId> selected;
  // Nodes that were not selected and are reached all the same: each by a link from a selected one,
  // or from one that comes before it here.
  struct Reached {
    NodeId node;
    NodeId from;
  };
  std::vector<Reached> reached;
};

// What a new node has chosen: its neighbors, level by level, and the plans for those of them on
// level 0 whose lists are full.
struct Choice {
  std::array<std::vector<NodeId>, format::kMaxLevels> neighbors;
  std::vector<LinkPlan> plans;
};

// Working memory: nothing stands in it from one call to the next.
struct LinkScratch {
  SearchScratch search;
  SelectionScratch selection;
  std::vector<Candidate> candidates;
  Met met;                         // all that a search has looked at
  std::vector<Candidate> far;      // candidates in other groups of near copies than the node
  std::vector<Candidate> groups;   // one of each of these
  std::vector<NodeId> near;        // near copies of a node, under inner products
  std::vector<NodeId> others;      // and what else there is
  std::vector<NodeId> by_product;  // selected among all of them
  std::vector<NodeId> before;   // what a list and its new links were before they were selected anew
  std::vector<NodeId> kept;     // of these, and what the list keeps besides
  std::vector<NodeId> targets;  // of a new node
  std::vector<NodeId> list;     // that is being healed
  Vicinity around;              // the links of a list that is selected anew

  // Room for all that linking does with lists, so that it allocates nothing.
  void reserve(const format::Parameters& parameters, std::uint32_t slots);
  bool is_reserved(const format::Parameters& parameters) const;
};

// A list that was full is selected down to this many links, so that the next ones fit without
// selecting (the slack of DiskANN and faiss).
inline std::size_t shrunk(std::size_t capacity) {
  return capacity - std::max<std::size_t>(1, capacity / 16);
}

class Linker {
 public:
  // `store` outlives the linker. Reads its parameters.
  explicit Linker(NodeStore& store);

  // Writes the vector, code, factors, key and empty lists of a node. Key and vector are read once:
  // false, and no code, if the vector as it stands in the store now is not well-formed. REQUIRES:
  // room in the store; a vector of the store's kind.
  bool write_node(NodeId node, Key key, std::uint32_t level, std::uint32_t upper,
                  const void* vector, QueryBuffer& buffer,
                  std::uint8_t flags = format::hot::kFlagLive);

  // Finds ef_construction candidates on every level of `node`, down to `lowest`, and selects its
  // neighbors among them; at most 64 where that is not level 0; no plans yet. Stores nothing: other
  // threads may link meanwhile. Where it has met tombstones alone, a list is empty. REQUIRES: the
  // space's view has an entry point.
  Choice choose_neighbors(const Space& space, NodeId node, std::uint32_t level,
                          LinkScratch& scratch, std::uint32_t lowest = 0) const;

  // The new lists of those of `targets`, neighbors of `node` on level 0, that are full. Stores
  // nothing.
  std::vector<LinkPlan> plan_back_links(const Space& space, NodeId node,
                                        std::span<const NodeId> targets,
                                        LinkScratch& scratch) const;

  // Writes the lists of a node, from those of `lowest` up.
  void write_lists(NodeId node, std::uint32_t level, const Choice& choice,
                   std::uint32_t lowest = 0);

  // Takes `sources` into the list of `target`. If they do not fit, the list is selected anew from
  // all of them, a little below its capacity, so that the next ones fit without selecting (the
  // slack of DiskANN and faiss). May drop the last link to a node: build() looks for those at its
  // end.
  void link_back(const Space& space, NodeId target, std::uint32_t level,
                 std::span<const NodeId> sources, LinkScratch& scratch);

  // The second step for one node: takes it into the lists of all neighbors it has chosen. What the
  // entry point reaches on level 0, it reaches afterwards, and the node too. Writes to lists of
  // nodes near by. Links to no tombstone. A node that will be the next entry point gets a link to
  // `below`, which reaches what the present one does. `chains` are the change's. REQUIRES:
  // scratch.reserve().
  void link_to(const Space& space, NodeId node, std::uint32_t level, NodeId below,
               const std::vector<LinkPlan>& plans, HeirChains& chains, LinkScratch& scratch);

  // Puts a link into the list of `target` if it has room; true if the link is there now.
  bool append_if_room(NodeId target, std::uint32_t level, NodeId source);

  // Puts a link to `node` in the place of one that another neighbor of `host` has too; false if
  // there is none. `list` is working memory with room for the list.
  bool replace_spare_link(const GraphView& graph, NodeId host, NodeId node,
                          std::vector<NodeId>& list);

  // Links to `node` from a live node with room that a walk from `host` meets without passing
  // `avoided`; false if it meets none.
  bool hang(const GraphView& graph, NodeId node, NodeId host, NodeId avoided);

  // At most `count` links for `node` among `candidates`, which are sorted and used up: selected by
  // codes if these tell the vectors apart, and by the vectors themselves if they do not. They stand
  // in the scratch.
  std::span<const NodeId> select(const Space& space, NodeId node,
                                 std::vector<Candidate>& candidates, std::size_t count,
                                 LinkScratch& scratch) const;

  float alpha() const { return alpha_; }
  std::size_t list_capacity(std::uint32_t level) const {
    return level == 0 ? parameters_.m_max0 : parameters_.m;
  }

 private:
  // engine/graph/near_copies.cc:
  // Whether codes tell a node and what it is linked with apart, so that it can be selected by them.
  // `candidates` are sorted.
  bool tells_apart(const Space& space, NodeId node, std::span<const Candidate> candidates) const;
  void note_far(const Space& space, std::uint32_t level, std::size_t ef,
                LinkScratch& scratch) const;
  void look_for_groups(const Space& space, NodeId node, const Query& query, std::uint32_t level,
                       LinkScratch& scratch) const;
  void find_groups(const Space& space, const Query& query, std::uint32_t level, float reach,
                   LinkScratch& scratch) const;
  std::span<const NodeId> select_and_lead_far(const Space& space, NodeId node,
                                              std::vector<Candidate>& candidates, std::size_t count,
                                              LinkScratch& scratch) const;
  std::span<const NodeId> select_near_copies_anew(const Space& space, NodeId node,
                                                  std::span<const NodeId> nodes, std::size_t count,
                                                  LinkScratch& scratch) const;
  void lead_far(const Space& space, NodeId node, std::size_t count, LinkScratch& scratch) const;
  std::span<const NodeId> choose_among_copies(const Space& space, NodeId node, std::uint32_t level,
                                              std::size_t count, LinkScratch& scratch) const;
  std::span<const NodeId> select_among_copies(const Space& space, NodeId node, std::size_t count,
                                              LinkScratch& scratch) const;
  Space by_differences(const Space& space) const;

  // At most `count` links for `target` among `nodes`, which stand in the scratch.
  std::span<const NodeId> select_anew(const Space& space, NodeId target,
                                      std::span<const NodeId> nodes, std::size_t count,
                                      LinkScratch& scratch) const;
  // True if `target` links to `newcomer` now.
  bool link_back_keeping_paths(const Space& space, NodeId target, NodeId newcomer,
                               const std::vector<LinkPlan>& plans, HeirChains& chains,
                               LinkScratch& scratch);
  // Links to `node` from the nearest of `kept` that has room; false if none has.
  bool hand_over(const Space& space, NodeId node, std::span<const NodeId> kept,
                 SelectionScratch& scratch);
  bool squeeze_in(const GraphView& graph, NodeId target, NodeId newcomer,
                  std::vector<NodeId>& list);

  NodeStore& store_;
  const format::Parameters& parameters_;
  float alpha_;
};

}  // namespace cairn
