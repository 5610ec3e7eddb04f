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
    const double least = *std::min_element(distances_.begin(), distances_.end());
    sum += double{space_.reported(least)};
  }
  return sum;
}

void DocumentQuery::rank_all(const SlotSet* slots, Effort& effort, std::vector<Ranked>& ranked) {
  std::vector<std::pair<Key, NodeId>> all;
  SlotBlocks blocks(view(), slots);
  std::array<NodeId, 64> some;
  while (const std::size_t n = blocks.next(some.data(), some.size())) {
    for (std::size_t i = 0; i < n; ++i) {
      if (view().is_live(some[i])) all.emplace_back(space_.key(some[i]), some[i]);
    }
  }
  std::sort(all.begin(), all.end());
  std::vector<NodeId> nodes;
  for (std::size_t begin = 0; begin < all.size() && !effort.is_over();) {
    const Key key = all[begin].first;
    nodes.clear();
    for (; begin < all.size() && all[begin].first == key; ++begin) {
      nodes.push_back(all[begin].second);
    }
    if (effort.take_rows(nodes.size() * queries_.size()) < nodes.size() * queries_.size()) return;
    ranked.push_back({key, distance(nodes), nodes.front()});
  }
}

}  // namespace cairn
