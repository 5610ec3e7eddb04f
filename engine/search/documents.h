// SPDX-License-Identifier: Apache-2.0
//
// How well the vectors of a key match several query vectors: the sum, over these, of the distance
// of the nearest (MaxSim of late interaction: Khattab & Zaharia 2020).
//
// Thread-safety: none.
#pragma once

#include <cstddef>
#include <span>
#include <utility>
#include <vector>

#include <cairn/types.h>

#include "engine/search/search_scratch.h"
#include "engine/search/slot_set.h"
#include "engine/vectors/distance.h"

namespace cairn {

class DocumentQuery {
 public:
  // `vectors` outlive it, are well-formed and fit the index.
  DocumentQuery(const Space& space, const MatrixView& vectors);
  DocumentQuery(const DocumentQuery&) = delete;
  DocumentQuery& operator=(const DocumentQuery&) = delete;

  const GraphView& view() const { return space_.view(); }
  // Another view of the same index takes the place of this one.
  void look_at(const Space& space) { space_ = space; }

  // The sum for a key with these nodes of the view, of which there is one at least: what keys are
  // ranked by, and reported_sum() rounds.
  double distance(std::span<const NodeId> nodes);

  // Adds all keys of live nodes in `slots` (null: of all) to `ranked`, which is empty, each with
  // its distance. Takes memory in proportion to the nodes, and ends early when the effort is over.
  void rank_all(const SlotSet* slots, Effort& effort, std::vector<Ranked>& ranked);

 private:
  void add_replaced(const SlotSet* slots);

  Space space_;
  std::vector<QueryBuffer> buffers_;
  std::vector<Query> queries_;
  std::vector<double> distances_;
  // Of rank_all(), which may end in the middle where a page cannot be read.
  std::vector<std::pair<Key, NodeId>> all_;
  std::vector<NodeId> nodes_;
};

}  // namespace cairn
