// SPDX-License-Identifier: Apache-2.0
#include "engine/search/exact.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "simd/prefetch.h"

namespace cairn {

namespace {

constexpr std::size_t kMostSlots = 64;  // of a block

// As many as stay in the first cache while one query after the other looks at them.
std::size_t slots_of_block(const GraphView& graph) {
  constexpr std::size_t kBytes = 24 * 1024;
  return std::clamp<std::size_t>(kBytes / graph.header, 8, kMostSlots);
}

}  // namespace

// A removed vector has no say, nor has what was met when the bound was wider: what a block brings
// is taken in at once, and only then told apart.
void ScannedQuery::look_at(const NodeId* nodes, const float* distances, std::size_t n) {
  NodeId ids[kMostSlots];
  float lengths[kMostSlots];
  for (std::size_t begin = 0; begin < n;) {
    std::size_t count = 0;
    for (; begin < n && count < kMostSlots; ++begin) {
      if (is_beyond(distances[begin]) || !space_->view().is_live(nodes[begin])) continue;
      ids[count] = nodes[begin];
      lengths[count++] = distances[begin];
    }
    if (count == 0) return;
    take(ids, lengths, count);
    std::vector<Nearest>& near = scratch_->near;
    for (std::size_t i = 0; i < count; ++i) {
      if (is_beyond(lengths[i]) || !is_near(ids[i], lengths[i])) continue;
      if (near.size() == near.capacity()) prune();
      near.push_back({ids[i], lengths[i]});
    }
  }
}

// Whether the errors of the k-th and of this one may have exchanged them. Of distances beyond the
// range of floats, and of NaN for want of it, nothing is known.
bool ScannedQuery::is_near(NodeId node, float distance) const {
  const float gap = distance - last_;
  if (!(gap > 0) || std::isinf(distance)) return true;
  const auto allows = [&](float variance) {
    return !(gap * gap > deviations_ * deviations_ * (variance + variance_));
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

// What may be among the k least distances so far; at most kMostSlots.
void ScannedQuery::take(const NodeId* nodes, const float* distances, std::size_t n) {
  NodeId ids[kMostSlots];
  float nearer[kMostSlots];
  std::size_t count = 0;
  for (std::size_t i = 0; i < n; ++i) {
    if (!(distances[i] < last_)) continue;  // nor what is infinitely far
    ids[count] = nodes[i];
    nearer[count++] = distances[i];
  }
  if (count == 0) return;
  if (!is_of_keys_) {
    scratch_->pool.insert(simd::kernels(), ids, nearer, count);
    return renew_bound(scratch_->pool);
  }
  for (std::size_t i = 0; i < count; ++i) {
    scratch_->keys.insert(space_->key(ids[i]), ids[i], nearer[i]);
  }
  renew_bound(scratch_->keys);
}

template <class Pool>
void ScannedQuery::renew_bound(const Pool& pool) {
  if (pool.size() < k_) return;
  last_ = pool.distance(k_ - 1);
  if (!std::isfinite(last_)) {  // floats cannot tell who is nearer
    last_ = reach_ = std::numeric_limits<float>::infinity();
    return;
  }
  variance_ = space_->sharp_variance(query_, pool.id(k_ - 1), last_);
  const float farthest = last_ + deviations_ * std::sqrt(variance_);
  reach_ = space_->reach(query_, farthest, deviations_);
}

// is_near() from what the steps alone say of the variance.
float ScannedQuery::limit(float step) const {
  constexpr float kSlack = 1.0001f;  // for roundings
  if (!std::isfinite(reach_)) return reach_;
  const float variance = space_->largest_variance(query_, step, reach_) + variance_;
  const float farthest = last_ + kSlack * deviations_ * std::sqrt(variance);
  return std::max(query_.sure, std::min(reach_, farthest));
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
  const double unlikely = deviations_ * (2.0 / 3.0);
  if (query_.kind != Query::Kind::code) return false;
  for (std::size_t i = 0; i < std::min(candidates, scratch_->exact.size()); ++i) {
    const float distance = scratch_->distances[i];
    const double error = double{distance} - scratch_->exact[i];
    const double variance = space_->sharp_variance(query_, scratch_->ids[i], distance);
    if (error * error > unlikely * unlikely * variance) return true;
  }
  return false;
}

bool leaves_out_by_codes(const Space& space, float deviations) {
  if (!space.traverses_codes()) return false;
  Query any{};
  any.kind = Query::Kind::code;
  return std::isfinite(space.reach(any, 1.0f, deviations));
}

bool suits_panels(const Space& space, std::span<const ScannedQuery> queries) {
  constexpr std::size_t kFewest = 6;  // below that a panel is mostly empty
  return queries.size() >= kFewest && leaves_out_by_codes(space, queries.front().deviations());
}

namespace {

// Names to each query of the panels those nodes of a block that are within its limit.
void name_near(const NodeId* nodes, std::size_t tiles, PanelScratch& scratch) {
  float distances[simd::kTileRows * simd::kPanelColumns];
  const QueryPanels& panels = scratch.panels;
  for (std::size_t panel = 0; panel < panels.panels(); ++panel) {
    for (std::size_t tile = 0; tile < tiles; ++tile) {
      scratch.tiles[tile].score(
          panels, panel, distances, simd::kPanelColumns, [&](std::size_t i, std::size_t j) {
            const std::size_t query = panel * simd::kPanelColumns + j;
            const std::size_t slot = tile * simd::kTileRows + i;
            if (slot >= scratch.allowed[query]) return;
            const std::size_t at = query * PanelScratch::kSlots + scratch.named_count[query]++;
            scratch.named[at] = nodes[slot];
          });
    }
  }
}

void prefetch_codes(const GraphView& graph, std::span<const NodeId> nodes) {
  for (const NodeId node : nodes) {
    simd::prefetch_lines<simd::kLater>(graph.record(node), graph.header + 2 * sizeof(float));
  }
}

// Lays out a block for name_near(); returns how many tiles it fills.
std::size_t set_tiles(const Space& space, std::span<const NodeId> nodes, PanelScratch& scratch) {
  std::size_t tiles = 0;
  for (; !nodes.empty(); ++tiles) {
    const auto some = nodes.first(std::min(simd::kTileRows, nodes.size()));
    scratch.tiles[tiles].set(space, some);
    nodes = nodes.subspan(some.size());
  }
  return tiles;
}

}  // namespace

void scan_in_panels(const Space& space, SlotBlocks slots, std::span<ScannedQuery> queries,
                    PanelScratch& scratch) {
  constexpr std::size_t most = PanelScratch::kSlots;
  QueryPanels& panels = scratch.panels;
  panels.reset(space, queries.size());
  for (std::size_t q = 0; q < queries.size(); ++q) panels.set(q, queries[q].query());
  panels.pack();
  scratch.named.resize(queries.size() * most);
  scratch.allowed.resize(queries.size());
  NodeId blocks[2][most];
  float distances[most];
  std::size_t count = slots.next(blocks[0], most);
  for (std::size_t turn = 0; count != 0; turn ^= 1) {
    const NodeId* nodes = blocks[turn];
    const std::size_t coming = slots.next(blocks[turn ^ 1], most);
    prefetch_codes(space.view(), {blocks[turn ^ 1], coming});
    const std::size_t tiles = set_tiles(space, {nodes, count}, scratch);
    float step = 0;
    for (std::size_t tile = 0; tile < tiles; ++tile) {
      step = std::max(step, scratch.tiles[tile].largest_step());
    }
    bool is_over = true;
    for (std::size_t q = 0; q < queries.size(); ++q) {
      Effort& effort = queries[q].effort();
      scratch.allowed[q] = effort.is_over() ? 0 : effort.take_rows(count);
      if (queries[q].query().kind == Query::Kind::code) panels.set_limit(q, queries[q].limit(step));
      is_over &= scratch.allowed[q] == 0;
    }
    if (is_over) return;
    scratch.named_count.assign(queries.size(), 0);
    name_near(nodes, tiles, scratch);
    for (std::size_t q = 0; q < queries.size(); ++q) {
      const std::size_t n = scratch.named_count[q];
      if (n == 0) continue;
      const NodeId* near = scratch.named.data() + q * most;
      space.distances(queries[q].query(), near, n, distances);
      queries[q].meet(near, distances, n);
    }
    count = coming;
  }
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
      one.note_end(n < count ? nodes[n] : NodeId{nodes[n - 1].index + 1});
      is_over &= effort.is_over();
    }
    if (is_over) return;
    count = coming;
  }
}

}  // namespace cairn
