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
  all_.clear();
  SlotBlocks blocks(view(), slots);
  std::array<NodeId, 64> some;
  while (const std::size_t n = blocks.next(some.data(), some.size())) {
    for (std::size_t i = 0; i < n; ++i) {
      if (view().is_live(some[i])) all_.emplace_back(space_.key(some[i]), some[i]);
    }
  }
  std::sort(all_.begin(), all_.end());
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
