// SPDX-License-Identifier: Apache-2.0
#include "engine/search/pager.h"

#include <algorithm>
#include <array>

#include "engine/search/plan.h"
#include "engine/search/ranking.h"

namespace cairn {

struct Pager::Call {
  Space space;
  Query query;
  VectorView vector;
  const SearchParams& params;
  Order order;
  const SlotSet* slots;
  std::span<Match> out;

  const GraphView& graph() const { return space.view(); }
};

namespace {

// How many candidates are looked at beyond those of a page, so that the nearest are among them.
std::size_t slack_of(const SearchParams& params) { return params.ef / 2; }

}  // namespace

void Pager::note(const Effort& effort) {
  distances_ += effort.distances();
  lists_ += effort.lists();
}

std::size_t Pager::next(const Space& index, VectorView vector, const SearchParams& params,
                        Order order, const SlotSet* slots, std::span<Match> out) {
  plan_ = is_scanning_ ? Plan::exact : Plan::walk;
  is_complete_ = true;
  is_over_ = false;
  distances_ = lists_ = 0;
  scratch_.effort.begin(limits_of(params));
  if (out.empty() || index.view().count == 0) return 0;
  if (scratch_.effort.is_over()) {
    is_over_ = true;
    is_complete_ = false;
    return 0;
  }
  if (!has_begun_ && !is_scanning_) {
    query_ = index.prepare(vector, scratch_.query);
    on_vectors_ = is_for_vectors(index, query_);
    if (on_vectors_) query_ = index.on_vectors().prepare(vector, scratch_.query);
  }
  const Call call{
      on_vectors_ ? index.on_vectors() : index, query_, vector, params, order, slots, out};
  if (given_.size() >= kMostGiven) {
    is_complete_ = false;
    return 0;
  }
  is_pending_ = true;
  pending_.clear();
  pending_used_ = 0;
  catch_up(call);
  if (!is_scanning_) fill_by_walk(call);
  note(scratch_.effort);
  is_over_ = scratch_.effort.is_over();
  if (is_scanning_ && !is_over_) fill_by_scan(call);
  is_complete_ = !is_over_;
  return give(call);
}

// What happened to slots since the last page: what was known of them is forgotten, and what they
// hold now is met.
void Pager::catch_up(const Call& call) {
  const GraphView& graph = call.graph();
  const SlotLog::Position now = graph.slots;
  if (!has_begun_ || at_.layout != now.layout) {
    begin(call);
    at_ = now;
    return;
  }
  if (at_.changes == now.changes) return;
  is_exhausted_ = false;
  constexpr std::uint64_t kMost = 2048;
  std::vector<NodeId>& changed = changed_;
  changed.clear();
  bool is_known = now.changes - at_.changes <= kMost;
  for (std::uint64_t number = at_.changes; is_known && number < now.changes; ++number) {
    const auto slot = graph.slot_log->slot(number);
    is_known = slot.has_value();
    if (is_known && *slot < graph.count) changed.push_back(*slot);
  }
  at_ = now;
  if (!is_known) return begin(call);
  std::sort(changed.begin(), changed.end());
  changed.erase(std::unique(changed.begin(), changed.end()), changed.end());
  const auto is_changed = [&](NodeId node) {
    return std::binary_search(changed.begin(), changed.end(), node);
  };
  std::erase_if(ready_, [&](const Ranked& one) { return is_changed(one.node); });
  if (is_scanning_) return;
  const auto gone = [&](NodeId node, bool) { return is_changed(node); };
  scratch_.nearest.remove_if(gone);
  scratch_.bridges.remove_if(gone);
  scratch_.visited.grow(graph.count);
  std::erase_if(changed, [&](NodeId node) { return !graph.is_live_and_written(node); });
  for (const NodeId node : changed) scratch_.visited.forget(node);
  meet(call.space, call.query, call.slots, changed, scratch_);
}

void Pager::begin(const Call& call) {
  const GraphView& graph = call.graph();
  has_begun_ = true;
  ready_.clear();
  is_exhausted_ = false;
  if (is_scanning_) return;
  const Plan plan = call.params.plan;
  const bool has_way = graph.entry_point < graph.count;
  is_scanning_ = !has_way || plan == Plan::exact ||
                 (plan == Plan::automatic && call.slots != nullptr &&
                  !SearchPlan(graph, *call.slots, 1, call.params.ef).walks());
  if (is_scanning_) return;
  begin_walk(call.space, call.query, call.slots, scratch_);
}

// How many of the candidates that are not ready are expanded before a page is given.
std::size_t Pager::window_for(const Call& call) const {
  const std::size_t wanted = call.out.size() + slack_of(call.params);
  const std::size_t left = wanted - std::min(wanted - 1, ready_.size());
  const bool is_first = given_.size() == 0 && ready_.empty();
  return is_first ? std::max(left, call.params.ef) : left;
}

void Pager::fill_by_walk(const Call& call) {
  const std::size_t wanted = call.out.size();
  Effort& effort = scratch_.effort;
  const std::uint64_t before = effort.work();
  const std::uint64_t most = call.params.plan == Plan::automatic
                                 ? work_of_scan(call.graph(), call.slots)
                                 : Effort::kNoLimit;
  if (most != Effort::kNoLimit) {
    effort.bound_walk(before + (most > work_ ? most - work_ : 0));
  }
  do {
    const std::size_t window = window_for(call);
    widen_walk(call.space, call.query, call.slots, window, scratch_);
    take_from_pool(call, window);
  } while (ready_.size() < wanted && !effort.is_walked_out() && scratch_.nearest.all() != 0);
  work_ += effort.work() - before;
  const bool has_ended = !effort.is_walked_out() && ready_.size() < wanted;
  const bool is_too_dear = effort.is_walked_out() && !effort.is_over();
  if (!has_ended && !is_too_dear) return;
  effort.unbound_walk();
  is_scanning_ = true;
  ready_.clear();
}

// Those of the first `window` entries that may be among the nearest of the page become ready.
void Pager::take_from_pool(const Call& call, std::size_t window) {
  PagingPool& pool = scratch_.nearest;
  const std::size_t end = std::min(window, pool.size());
  const std::size_t wanted = call.out.size();
  std::size_t taken = 0;
  while (taken < end) {
    std::size_t more = wanted > ready_.size() ? wanted - ready_.size() : 0;
    if (more == 0) {
      while (taken + more < end && more < 16 && may_be_nearer(call, taken + more, wanted)) ++more;
      if (more == 0) break;
    }
    more = std::min(more, end - taken);
    take_candidates(call, taken, taken + more);
    taken += more;
  }
  pool.take_front(taken);
}

// Whether entry i of the pool may be nearer than the last result of the page.
bool Pager::may_be_nearer(const Call& call, std::size_t i, std::size_t wanted) const {
  const float distance = scratch_.nearest.distance(i);
  const float gap = distance - static_cast<float>(ready_[wanted - 1].distance);
  if (!(gap > 0)) return true;
  const float variance = call.space.variance(call.query, scratch_.nearest.id(i), distance);
  return gap * gap <= kDeviations * kDeviations * variance;
}

// Ranks entries [begin, end) of the pool.
void Pager::take_candidates(const Call& call, std::size_t begin, std::size_t end) {
  const GraphView& graph = call.graph();
  scratch_.make_room(end - begin);
  std::size_t n = 0;
  for (std::size_t i = begin; i < end; ++i) {
    const NodeId node = scratch_.nearest.id(i);
    if (!graph.is_live(node)) continue;
    const Key key = call.space.key(node);
    if (given_.has(key) || (call.slots != nullptr && !call.slots->has(node))) continue;
    scratch_.ids[n++] = node;
  }
  scratch_.exact.resize(n);
  call.space.exact_distances(call.query, scratch_.ids.data(), n, scratch_.exact.data());
  const auto middle = static_cast<std::ptrdiff_t>(ready_.size());
  for (std::size_t i = 0; i < n; ++i) {
    const NodeId node = scratch_.ids[i];
    ready_.push_back({graph.key(node), scratch_.exact[i], node});
  }
  std::sort(ready_.begin() + middle, ready_.end(), is_nearer);
  std::inplace_merge(ready_.begin(), ready_.begin() + middle, ready_.end(), is_nearer);
  if (graph.several_per_key) keep_nearest_of_keys();
}

// Of those that are ready the first of each key. The others will not be missed: vectors of a key
// are removed all at once.
void Pager::keep_nearest_of_keys() {
  among_ready_.clear();
  std::erase_if(ready_, [&](const Ranked& one) { return !among_ready_.add(one.key); });
}

// All that is left, some at a time.
void Pager::fill_by_scan(const Call& call) {
  constexpr std::size_t kLeast = 1024;
  plan_ = Plan::exact;
  const GraphView& graph = call.graph();
  if (ready_.size() >= call.out.size() || is_exhausted_) return;
  SearchParams params = call.params;
  params.plan = Plan::exact;
  params.k = given_.size() + std::max({call.out.size(), kLeast, given_.size()});
  if (params.max_distances != 0) {
    params.max_distances -= std::min(params.max_distances - 1, scratch_.effort.distances());
  }
  const FoundNearest found = find_nearest(call.space, call.vector, params, call.slots, scratch_);
  note(scratch_.effort);
  is_over_ = scratch_.effort.is_over();
  is_exhausted_ =
      found.count < std::min<std::size_t>(params.k, graph.live) || params.k >= graph.live;
  ready_.clear();
  for (std::size_t i = 0; i < found.count; ++i) {
    if (!given_.has(scratch_.matches[i].key)) ready_.push_back(scratch_.matches[i]);
  }
}

std::size_t Pager::give(const Call& call) {
  // A key whose vector was being replaced may have been met with both.
  const bool may_repeat = call.graph().switch_log->since(call.graph().switches) != 0;
  if (may_repeat) page_.clear();
  std::size_t n = 0;
  std::size_t used = 0;
  for (; used < ready_.size() && n < call.out.size(); ++used) {
    const Ranked& one = ready_[used];
    const bool is_late = given_.size() != 0 && is_nearer(one, last_);
    if (is_late && call.order == Order::strict) continue;
    if (given_.has(one.key) || (may_repeat && !page_.add(one.key))) continue;
    pending_.push_back(one);
    call.out[n++] = {one.key, call.space.reported(one.distance)};
  }
  pending_used_ = used;
  given_.reserve(n);
  return n;
}

void Pager::confirm() {
  if (!is_pending_) return;
  is_pending_ = false;
  for (const Ranked& one : pending_) {
    if (given_.size() == 0 || is_nearer(last_, one)) last_ = one;
    (void)given_.add(one.key);
  }
  ready_.erase(ready_.begin(), ready_.begin() + static_cast<std::ptrdiff_t>(pending_used_));
}

}  // namespace cairn
