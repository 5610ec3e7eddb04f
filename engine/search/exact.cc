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
constexpr std::size_t kLookedAt = 256;  // at once

// As many as stay in the first cache while one query after the other looks at them.
std::size_t slots_of_block(const GraphView& graph) {
  constexpr std::size_t kBytes = 24 * 1024;
  return std::clamp<std::size_t>(kBytes / graph.header, 8, kMostSlots);
}

// Drops most of what is not among the `k` nearest of many; returns how many are left.
std::size_t keep_few(NodeId* ids, float* distances, std::size_t n, std::size_t k) {
  if (k > simd::kMostFew || n <= 2 * simd::kMostFew) return n;
  std::uint32_t places[kLookedAt];
  const std::size_t few = simd::kernels().nearest_few(distances, n, k, places);
  for (std::size_t i = 0; i < few; ++i) {
    ids[i] = ids[places[i]];
    distances[i] = distances[places[i]];
  }
  return few;
}

}  // namespace

// A removed vector has no say, nor has what was met when the bound was wider: what a block brings
// is taken in at once, and only then told apart.
void ScannedQuery::look_at(const NodeId* nodes, const float* distances, std::size_t n) {
  NodeId ids[kLookedAt];
  float lengths[kLookedAt];
  for (std::size_t begin = 0; begin < n;) {
    const float far = limit(largest_step_);
    std::size_t count = 0;
    for (; begin < n && count < kLookedAt; ++begin) {
      if (is_beyond(distances[begin], far) || !space_->view().is_live(nodes[begin])) continue;
      ids[count] = nodes[begin];
      lengths[count++] = distances[begin];
    }
    if (count == 0) return;
    take(ids, lengths, count);
    const float bound = limit(largest_step_);
    std::vector<Nearest>& near = scratch_->near;
    for (std::size_t i = 0; i < count; ++i) {
      if (is_beyond(lengths[i], bound) || !is_near(ids[i], lengths[i])) continue;
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
         (!space_->has_sharp_variance() || allows(space_->sharp_variance(query_, node, distance)));
}

// Lets go of what is too far by now, and makes room for more where that is little.
void ScannedQuery::prune() {
  constexpr std::size_t kLeast = 1024;
  std::vector<Nearest>& near = scratch_->near;
  const float far = limit(largest_step_);
  std::erase_if(near, [&](const Nearest& one) {
    return is_beyond(one.distance, far) || !is_near(one.node, one.distance);
  });
  if (near.size() >= near.capacity() / 2) near.reserve(std::max(2 * near.capacity(), kLeast));
}

// What may be among the k least distances so far; at most kLookedAt.
void ScannedQuery::take(const NodeId* nodes, const float* distances, std::size_t n) {
  NodeId ids[kLookedAt];
  float nearer[kLookedAt];
  std::size_t count = 0;
  for (std::size_t i = 0; i < n; ++i) {
    if (!(distances[i] < last_)) continue;  // nor what is infinitely far
    ids[count] = nodes[i];
    nearer[count++] = distances[i];
  }
  if (count == 0) return;
  if (!is_of_keys_) {
    count = keep_few(ids, nearer, count, k_);
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
  limit_step_ = kNoStep;
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
void ScannedQuery::renew_limit(float step) {
  constexpr float kSlack = 1.0001f;  // for roundings
  limit_step_ = step;
  limit_ = reach_;
  if (!std::isfinite(reach_) || query_.kind != Query::Kind::code) return;
  const float variance = space_->largest_variance(query_, step, reach_) + variance_;
  const float farthest = last_ + kSlack * deviations_ * std::sqrt(variance);
  limit_ = std::max(query_.sure, std::min(reach_, farthest));
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

// Names to each query of a panel those nodes of a block that are within its limit.
void name_near(const NodeId* nodes, std::size_t tiles, std::size_t panel, PanelScratch& scratch) {
  float distances[simd::kTileRows * simd::kPanelColumns];
  for (std::size_t tile = 0; tile < tiles; ++tile) {
    scratch.tiles[tile].score(
        scratch.panels, panel, distances, simd::kPanelColumns, [&](std::size_t i, std::size_t j) {
          const std::size_t query = panel * simd::kPanelColumns + j;
          const std::size_t slot = tile * simd::kTileRows + i;
          if (slot >= scratch.allowed[query]) return;
          const std::size_t at = query * PanelScratch::kRoom + scratch.named_count[query]++;
          scratch.named[at] = nodes[slot];
          scratch.distances[at] = distances[i * simd::kPanelColumns + j];
        });
  }
}

// The query looks at what has been named to it.
void meet_named(const Space& space, std::size_t q, ScannedQuery& query, PanelScratch& scratch) {
  const NodeId* nodes = scratch.named.data() + q * PanelScratch::kRoom;
  float* distances = scratch.distances.data() + q * PanelScratch::kRoom;
  const std::size_t n = std::exchange(scratch.named_count[q], 0);
  for (std::size_t i = 0; i < n; ++i) space.view().prefetch_header(nodes[i]);
  space.finish_distances(query.query(), nodes, n, distances);
  query.meet(nodes, distances, n);
}

template <int kWhen>
void prefetch_codes(const GraphView& graph, std::span<const NodeId> nodes) {
  for (const NodeId node : nodes) {
    simd::prefetch_lines<kWhen>(graph.record(node), graph.header + 2 * sizeof(float));
  }
}

// Of the codes of some nodes that have just been looked at. Four at a time, as each comparison
// waits for the one before it.
float largest_step(const Space& space, std::span<const NodeId> nodes) {
  constexpr std::size_t kChains = 4;
  float largest[kChains] = {};
  if (!space.traverses_codes()) return 0;
  const GraphView& graph = space.view();
  const auto look_at = [&](std::size_t i, float& most) {
    const float step = graph.factor_a(nodes[i]);
    most = step > most ? step : most;  // NaN is not
  };
  std::size_t i = 0;
  for (; i + kChains <= nodes.size(); i += kChains) {
    for (std::size_t chain = 0; chain < kChains; ++chain) look_at(i + chain, largest[chain]);
  }
  for (; i < nodes.size(); ++i) look_at(i, largest[0]);
  return std::max(std::max(largest[0], largest[1]), std::max(largest[2], largest[3]));
}

// Lays out a block for name_near(); returns how many tiles it fills.
std::size_t set_tiles(const Space& space, std::span<const NodeId> nodes, PanelScratch& scratch) {
  const GraphView& graph = space.view();
  std::size_t tiles = 0;
  for (; !nodes.empty(); ++tiles) {
    const auto some = nodes.first(std::min(simd::kTileRows, nodes.size()));
    nodes = nodes.subspan(some.size());
    prefetch_codes<simd::kSoon>(graph, nodes.first(std::min(simd::kTileRows, nodes.size())));
    scratch.tiles[tiles].set(space, some);
  }
  return tiles;
}

}  // namespace

void scan_in_panels(const Space& space, SlotBlocks slots, std::span<ScannedQuery> queries,
                    PanelScratch& scratch) {
  constexpr std::size_t kMost = PanelScratch::kSlots;
  QueryPanels& panels = scratch.panels;
  panels.reset(space, queries.size());
  for (std::size_t q = 0; q < queries.size(); ++q) panels.set(q, queries[q].query());
  panels.pack();
  scratch.named.resize(queries.size() * PanelScratch::kRoom);
  scratch.distances.resize(queries.size() * PanelScratch::kRoom);
  scratch.named_count.assign(queries.size(), 0);
  scratch.allowed.resize(queries.size());
  NodeId blocks[2][kMost];
  std::size_t most = kMost / 4;  // until there is a bound
  std::size_t count = slots.next(blocks[0], most);
  for (std::size_t turn = 0; count != 0; turn ^= 1) {
    const NodeId* nodes = blocks[turn];
    most = std::min(2 * most, kMost);
    const std::size_t coming = slots.next(blocks[turn ^ 1], most);
    prefetch_codes<simd::kLater>(space.view(), {blocks[turn ^ 1], coming});
    const std::size_t tiles = set_tiles(space, {nodes, count}, scratch);
    float step = 0;
    for (std::size_t tile = 0; tile < tiles; ++tile) {
      step = std::max(step, scratch.tiles[tile].largest_step());
    }
    bool is_over = true;
    for (std::size_t q = 0; q < queries.size(); ++q) {
      ScannedQuery& query = queries[q];
      if (scratch.named_count[q] >= PanelScratch::kSome) {
        meet_named(space, q, query, scratch);
      }
      Effort& effort = query.effort();
      scratch.allowed[q] = effort.is_over() ? 0 : effort.take_rows(count);
      if (query.query().kind == Query::Kind::code) panels.set_limit(q, query.limit(step));
      is_over &= scratch.allowed[q] == 0;
    }
    if (is_over) break;
    for (std::size_t panel = 0; panel < panels.panels(); ++panel) {
      name_near(nodes, tiles, panel, scratch);
    }
    count = coming;
  }
  for (std::size_t q = 0; q < queries.size(); ++q) {
    meet_named(space, q, queries[q], scratch);
  }
}

void scan(const Space& space, SlotBlocks slots, std::span<ScannedQuery> queries) {
  const std::size_t most = slots_of_block(space.view());
  NodeId blocks[2][kMostSlots];
  float distances[kMostSlots];
  std::size_t count = slots.next(blocks[0], most);
  Space::Asked asked = Space::Asked::never;
  for (std::size_t turn = 0; count != 0; turn ^= 1) {
    const NodeId* nodes = blocks[turn];
    const std::size_t coming = slots.next(blocks[turn ^ 1], most);
    std::span<const NodeId> ahead(blocks[turn ^ 1], coming);
    float step = 0;
    std::size_t looked_at = 0;
    bool is_over = true;
    for (ScannedQuery& one : queries) {
      Effort& effort = one.effort();
      if (effort.is_over()) continue;
      const std::size_t n = effort.take_rows(count);
      space.distances(one.query(), nodes, n, distances, std::exchange(ahead, {}), asked);
      if (n > looked_at) {  // whose codes are in the cache by now
        step = largest_step(space, {nodes, n});
        looked_at = n;
      }
      one.expect(step);
      one.meet(nodes, distances, n);
      one.note_end(n < count ? nodes[n] : NodeId{nodes[n - 1].index + 1});
      is_over &= effort.is_over();
    }
    if (is_over) return;
    count = coming;
    asked = Space::Asked::as_coming;
  }
}

}  // namespace cairn
