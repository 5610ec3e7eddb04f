// SPDX-License-Identifier: Apache-2.0
//
// Whether a search with a filter, or a batch without one, walks the graph or scans what passes:
// what costs less, told from counts alone, in integers. No clock has a part in it, so one index,
// filter and query give the same answer on every machine and for any number of threads.
#pragma once

#include <cstddef>
#include <cstdint>

#include <cairn/params.h>

#include "engine/search/slot_set.h"
#include "engine/store/graph_view.h"

namespace cairn {

class SearchPlan {
 public:
  // `k` and `ef` of a search in what `slots` lets pass of the graph.
  SearchPlan(const GraphView& graph, const SlotSet& slots, std::size_t k, std::size_t ef);

  bool walks() const { return walks_; }
  // What a scan would cost, in the units of Effort::work(). A walk that has cost as much gives up:
  // so a search costs at most what two scans do.
  std::uint64_t scan_work() const { return scan_work_; }

 private:
  bool walks_;
  std::uint64_t scan_work_;
};

// Whether a walk with such a window is to be preferred to a scan: it has to cost two thirds of one,
// since some queries cost a walk thrice of what most do, and a scan misses nothing.
bool is_walk_worth(const GraphView& graph, const SlotSet& slots, std::size_t window);

// The window of a walk that has seen that its query lies far from what passes.
std::size_t window_from_afar(const GraphView& graph, const SlotSet& slots, std::size_t window);

// Whether one query without a filter, scanned for on codes, costs less than a walk. Then its answer
// is exact, too.
bool is_query_best_scanned(const GraphView& graph, std::size_t k, std::size_t ef);

// Whether so many queries without a filter, scanned together on codes (engine/search/exact.h), cost
// less than a walk for each. Then the answers are exact, too.
bool is_batch_best_scanned(const GraphView& graph, std::size_t queries, std::size_t k,
                           std::size_t ef);

}  // namespace cairn
