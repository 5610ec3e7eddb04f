// SPDX-License-Identifier: Apache-2.0
//
// The slots of vectors that may be results, in ascending order, some at a time.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "engine/search/slot_set.h"
#include "engine/store/graph_view.h"

namespace cairn {

class SlotBlocks {
 public:
  // Those in `slots`, of which null is all that are live, from slot `from` on.
  SlotBlocks(const GraphView& graph, const SlotSet* slots, NodeId from = {0})
      : graph_(&graph), slots_(slots), is_dense_(graph.live == graph.count), at_(from) {}

  // The next ones, at most `most`; returns how many, 0 at the end. Their records may be read.
  std::size_t next(NodeId* out, std::size_t most) {
    if (slots_ != nullptr) return slots_->copy(at_, graph_->count, out, most);
    std::size_t n = 0;
    for (; n < most && at_ < graph_->count; ++at_.index) {
      if (is_dense_ || is_there(at_)) out[n++] = at_;
    }
    return n;
  }

 private:
  bool is_there(NodeId node) const {
    constexpr std::uint32_t kAhead = 32;
    if (graph_->count - node.index > kAhead) {
      graph_->prefetch_header({node.index + kAhead});
    }
    return graph_->is_live_and_written(node);
  }

  const GraphView* graph_;
  const SlotSet* slots_;
  bool is_dense_;  // all are live
  NodeId at_;
};

}  // namespace cairn
