// SPDX-License-Identifier: Apache-2.0
#include "engine/search/documents.h"

#include <algorithm>
#include <array>
#include <utility>

#include "engine/base/assert.h"
#include "engine/search/slot_blocks.h"

namespace cairn {

DocumentQuery::DocumentQuery(const Space& space, const MatrixView& vectors)
    : space_(space), buffers_(vectors.rows) {
  queries_.reserve(vectors.rows);
  for (std::size_t i = 0; i < vectors.rows; ++i) {
    queries_.push_back(space_.prepare(vectors.row(i), buffers_[i]));
  }
}

double DocumentQuery::distance(std::span<const NodeId> nodes) {
  CAIRN_ASSERT(!nodes.empty());
  distances_.resize(nodes.size());
  double sum = 0;
  for (const Query& query : queries_) {
    space_.exact_distances(query, nodes.data(), nodes.size(), distances_.data());
    sum += *std::min_element(distances_.begin(), distances_.end());
  }
  return sum;
}

// A key that was being replaced may have been met with none of its vectors: then it has those that
// it had before. REQUIRES: all_ is sorted.
void DocumentQuery::add_replaced(const SlotSet* slots) {
  const GraphView& graph = view();
  const std::uint64_t switches = graph.switch_log->since(graph.switches);
  if (switches == 0) return;
  const std::size_t met = all_.size();
  graph.switch_log->for_each(graph.switches, switches, [&](NodeId old) {
    if (old >= graph.count) return;
    const Key key = space_.key(old);
    if (slots != nullptr && !slots->wants(key)) return;
    const auto end = all_.begin() + static_cast<std::ptrdiff_t>(met);
    const auto at = std::lower_bound(all_.begin(), end, std::pair(key, NodeId{0}));
    if (at == end || at->first != key) all_.emplace_back(key, old);
  });
  std::sort(all_.begin(), all_.end());
  all_.erase(std::unique(all_.begin(), all_.end()), all_.end());
}

void DocumentQuery::rank_all(const SlotSet* slots, Effort& effort, std::vector<Ranked>& ranked) {
  all_.clear();
  SlotBlocks blocks(view(), slots);
  std::array<NodeId, 64> some;
  while (const std::size_t n = blocks.next(some.data(), some.size())) {
    if (effort.is_late()) return;
    for (std::size_t i = 0; i < n; ++i) {
      if (view().is_live(some[i])) all_.emplace_back(space_.key(some[i]), some[i]);
    }
  }
  std::sort(all_.begin(), all_.end());
  add_replaced(slots);
  for (std::size_t begin = 0; begin < all_.size() && !effort.is_over();) {
    const Key key = all_[begin].first;
    nodes_.clear();
    for (; begin < all_.size() && all_[begin].first == key; ++begin) {
      nodes_.push_back(all_[begin].second);
    }
    const std::size_t rows = nodes_.size() * queries_.size();
    if (effort.take_rows(rows) < rows) return;
    ranked.push_back({key, distance(nodes_), nodes_.front()});
  }
}

}  // namespace cairn
