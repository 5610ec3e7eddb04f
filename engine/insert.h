// SPDX-License-Identifier: Apache-2.0
//
// INSERT (Malkov & Yashunin 2018, Algorithm 1) in two steps that add() and build() share: a new node chooses its
// neighbors; then the neighbors take it into their lists, shrinking those that are full.
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
};

class Linker {
 public:
  // `store` outlives the linker. Reads its parameters.
  explicit Linker(NodeStore& store);

  // Writes the vector, code, factors, key and empty lists of a node. REQUIRES: room in the store; finite components.
  void write_node(NodeId node, Key key, std::uint32_t level, std::uint32_t upper,
                  const float* vector);

  // Finds ef_construction candidates on every level of `node`, selects its neighbors among them, and writes its lists.
  // Nothing links to the node yet. REQUIRES: the space's view has an entry point.
  void choose_neighbors(const Space& space, NodeId node, std::uint32_t level,
                        LinkScratch& scratch);

  // Takes `sources` into the list of `target`. If they do not fit, the list is selected anew from all of them, a
  // little below its capacity, so that the next ones fit without selecting (the slack of DiskANN and faiss).
  // Returns how many of the sources the list holds now.
  std::size_t link_back(const Space& space, NodeId target, std::uint32_t level,
                        std::span<const NodeId> sources, LinkScratch& scratch);

  // The second step for one node: takes it into the lists of all neighbors it has chosen. At least one of them on
  // level 0 keeps it.
  void link_to(const Space& space, NodeId node, std::uint32_t level, LinkScratch& scratch);

  // Puts one more link into the list of `target` if it has room.
  bool append_if_room(NodeId target, std::uint32_t level, NodeId source);

  std::size_t list_capacity(std::uint32_t level) const {
    return level == 0 ? parameters_.m_max0 : parameters_.m;
  }

 private:
  NodeStore& store_;
  const format::Parameters& parameters_;
  float alpha_;
};

}  // namespace cairn
