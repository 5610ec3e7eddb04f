// SPDX-License-Identifier: Apache-2.0
//
// INSERT (Malkov & Yashunin 2018, Algorithm 1) in two steps that add() and build() share: a new
// node chooses its neighbors; then the neighbors take it into their lists, shrinking those that are
// full.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "engine/node_store.h"
#include "engine/search_scratch.h"
#include "engine/select_neighbors.h"

namespace cairn {

struct LinkScratch {
  SearchScratch search;
  Selection selection;
  std::vector<NodeId> before;   // what a list and its new links were before they were selected anew
  std::vector<NodeId> targets;  // of a new node
};

class Linker {
 public:
  // `store` outlives the linker. Reads its parameters.
  explicit Linker(NodeStore& store);

  // Writes the vector, code, factors, key and empty lists of a node. REQUIRES: room in the store; a
  // well-formed vector of the store's kind.
  void write_node(NodeId node, Key key, std::uint32_t level, std::uint32_t upper,
                  const void* vector, QueryBuffer& buffer);

  // Finds ef_construction candidates on every level of `node`, selects its neighbors among them,
  // and writes its lists. Nothing links to the node yet. REQUIRES: the space's view has an entry
  // point.
  void choose_neighbors(const Space& space, NodeId node, std::uint32_t level, LinkScratch& scratch);

  // Takes `sources` into the list of `target`. If they do not fit, the list is selected anew from
  // all of them, a little below its capacity, so that the next ones fit without selecting (the
  // slack of DiskANN and faiss). May drop the last link to a node: build() looks for those at its
  // end.
  void link_back(const Space& space, NodeId target, std::uint32_t level,
                 std::span<const NodeId> sources, LinkScratch& scratch);

  // The second step for one node: takes it into the lists of all neighbors it has chosen. What the
  // entry point reaches on level 0, it reaches afterwards, and the node too. Writes to lists of
  // nodes near by.
  void link_to(const Space& space, NodeId node, std::uint32_t level, LinkScratch& scratch);

  // Puts a link into the list of `target` if it has room; true if the link is there now.
  bool append_if_room(NodeId target, std::uint32_t level, NodeId source);

  std::size_t list_capacity(std::uint32_t level) const {
    return level == 0 ? parameters_.m_max0 : parameters_.m;
  }

 private:
  // Selects at most `count` links for `target` among those it has and `sources`.
  void select_anew(const Space& space, NodeId target, const LinkList& links,
                   std::span<const NodeId> sources, std::size_t count, LinkScratch& scratch);
  // True if `target` links to `newcomer` now.
  bool link_back_keeping_paths(const Space& space, NodeId target, NodeId newcomer,
                               LinkScratch& scratch);
  bool hang(const GraphView& graph, NodeId node, NodeId host, NodeId avoided);
  void squeeze_in(const GraphView& graph, NodeId target, NodeId newcomer, LinkScratch& scratch);

  NodeStore& store_;
  const format::Parameters& parameters_;
  float alpha_;
};

}  // namespace cairn
