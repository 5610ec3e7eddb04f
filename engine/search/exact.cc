// SPDX-License-Identifier: Apache-2.0
#include "engine/search/exact.h"

#include <algorithm>
#include <utility>

namespace cairn {

namespace {

constexpr std::size_t kMostSlots = 64;  // of a block

// As many as stay in the first cache while one query after the other looks at them.
std::size_t slots_of_block(const GraphView& graph) {
  constexpr std::size_t kBytes = 24 * 1024;
  return std::clamp<std::size_t>(kBytes / graph.header, 8, kMostSlots);
}

}  // namespace

// A removed vector has no say, nor has what was met when the bound was wider.
void ScannedQuery::look_at(const NodeId* nodes, const float* distances, std::size_t n) {
  std::vector<Nearest>& near = scratch_->near;
  for (std::size_t i = 0; i < n; ++i) {
    const bool is_within = distances[i] <= reach_;
    if (!is_within || !space_->view().is_live(nodes[i])) continue;
    if (!is_near(nodes[i], distances[i])) continue;
    if (near.size() == near.capacity()) prune();
    near.push_back({nodes[i], distances[i]});
    if (distances[i] < last_) take(nodes[i], distances[i]);
  }
}

// Whether the errors of the k-th and of this one may have exchanged them. Infinite distances, of a
// damaged file, are no farther than one another.
bool ScannedQuery::is_near(NodeId node, float distance) const {
  const float gap = distance - last_;
  if (!(gap > 0)) return true;
  const auto allows = [&](float variance) {
    return !(gap * gap > kDeviations * kDeviations * (variance + variance_));
  };
  return allows(space_->variance(query_, node, distance)) &&
         allows(space_->sharp_variance(query_, node, distance));
}

// Lets go of what is too far by now, and makes room for more where that is little.
void ScannedQuery::prune() {
  constexpr std::size_t kLeast = 1024;
  std::vector<Nearest>& near = scratch_->near;
  std::erase_if(near, [&](const Nearest& one) { return !is_near(one.node, one.distance); });
  if (near.size() >= near.capacity() / 2) near.reserve(std::max(2 * near.capacity(), kLeast));
}

void ScannedQuery::take(NodeId node, float distance) {
  if (is_of_keys_) {
    scratch_->keys.insert(space_->key(node), node, distance);
    renew_bound(scratch_->keys);
  } else {
    scratch_->pool.insert(simd::kernels(), &node, &distance, 1);
    renew_bound(scratch_->pool);
  }
}

template <class Pool>
void ScannedQuery::renew_bound(const Pool& pool) {
  if (pool.size() < k_) return;
  last_ = pool.distance(k_ - 1);
  variance_ = space_->sharp_variance(query_, pool.id(k_ - 1), last_);
  const float farthest = last_ + kDeviations * std::sqrt(variance_);
  reach_ = space_->reach(query_, farthest, kDeviations);
}

Candidates ScannedQuery::candidates() {
  prune();
  const std::vector<Nearest>& near = scratch_->near;
  scratch_->make_room(near.size());
  for (std::size_t i = 0; i < near.size(); ++i) {
    scratch_->ids[i] = near[i].node;
    scratch_->distances[i] = near[i].distance;
  }
  const GraphView& graph = space_->view();
  return {near.size(), graph.switch_log->since(graph.switches)};
}

bool ScannedQuery::has_been_misled(std::size_t candidates) const {
  constexpr double kUnlikely = 4.0;  // deviations
  if (query_.kind != Query::Kind::code) return false;
  for (std::size_t i = 0; i < std::min(candidates, scratch_->matches.size()); ++i) {
    const float distance = scratch_->distances[i];
    const double error = double{distance} - scratch_->exact[i];
    const double variance = space_->sharp_variance(query_, scratch_->ids[i], distance);
    if (error * error > kUnlikely * kUnlikely * variance) return true;
  }
  return false;
}

void scan(const Space& space, SlotBlocks slots, std::span<ScannedQuery> queries) {
  const std::size_t most = slots_of_block(space.view());
  NodeId blocks[2][kMostSlots];
  float distances[kMostSlots];
  std::size_t count = slots.next(blocks[0], most);
  for (std::size_t turn = 0; count != 0; turn ^= 1) {
    const NodeId* nodes = blocks[turn];
    const std::size_t coming = slots.next(blocks[turn ^ 1], most);
    std::span<const NodeId> ahead(blocks[turn ^ 1], coming);
    bool is_over = true;
    for (ScannedQuery& one : queries) {
      Effort& effort = one.effort();
      if (effort.is_over()) continue;
      const std::size_t n = effort.take_rows(count);
      space.distances(one.query(), nodes, n, distances, std::exchange(ahead, {}));
      one.meet(nodes, distances, n);
      is_over &= effort.is_over();
    }
    if (is_over) return;
    count = coming;
  }
}

}  // namespace cairn
