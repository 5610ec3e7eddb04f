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
  Call call{on_vectors_ ? index.on_vectors() : index, query_, vector, params, order, slots, out};
  if (given_.size() >= kMostGiven) {
    is_complete_ = false;
    return 0;
  }
  is_pending_ = true;
  forget_replaced();
  catch_up(call);
  bool is_full = false;
  while (!is_full && !is_scanning_ && !scratch_.effort.is_over()) {
    fill_by_walk(call);
    is_full = !is_scanning_ && give(call);
  }
  note(scratch_.effort);
  is_over_ = scratch_.effort.is_over();
  if (!is_full) is_full = give(call);
  while (!is_full && is_scanning_ && !is_exhausted_ && !is_over_) {
    fill_by_scan(call);
    is_full = give(call);
  }
  is_complete_ = !is_over_;
  return pending_.size();
}

// What happened to slots since the last page: what was known of them is forgotten, and what they
// hold now is met.
void Pager::catch_up(const Call& call) {
  const GraphView& graph = call.graph();
  const SlotLog::Position now = graph.slots;
  // What the next page catches up with. A new vector that is in the log of slots already, and not
  // linked yet, is met then: it is the first of its replacement in that log.
  SlotLog::Position then = now;
  if (const std::uint64_t switches = graph.switch_log->since(graph.switches); switches != 0) {
    then.changes -= std::min(then.changes, switches + 1);
  }
  if (!has_begun_ || at_.layout != now.layout) {
    begin(call);
    at_ = then;
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
  at_ = then;
  if (!is_known) return begin(call);
  std::sort(changed.begin(), changed.end());
  changed.erase(std::unique(changed.begin(), changed.end()), changed.end());
  const auto is_changed = [&](NodeId node) {
    return std::binary_search(changed.begin(), changed.end(), node);
  };
  std::erase_if(ready_, [&](const Ranked& one) { return is_changed(one.node); });
  if (is_scanning_) return look_at_changed(call);
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
  scan_from_ = {0};
  late_ = 0;
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

// Whether codes tell the last result of the page from what else is in the window: not if that is
// near copies of one vector, as seen from afar.
bool Pager::is_unsure(const Call& call, std::size_t window) {
  const Space& space = call.space;
  const PagingPool& pool = scratch_.nearest;
  if (call.query.kind != Query::Kind::code || pool.size() < window) return false;
  if (is_full_of_alike(space, call.query, 0, window, scratch_)) return true;
  const std::size_t wanted = call.out.size() - std::min(ready_.size(), call.out.size() - 1);
  if (wanted >= window) return false;
  const std::size_t at = wanted - 1;
  const std::size_t end = window - 1;
  return space.are_of_one_group(pool.id(at), pool.id(end), pool.distance(at), pool.distance(end)) &&
         !space.orders(call.query, pool.id(at), pool.distance(at), pool.id(end),
                       pool.distance(end));
}

// Begins anew. What was given is known.
void Pager::walk_on_vectors(Call& call) {
  on_vectors_ = true;
  call.space = call.space.on_vectors();
  call.query = query_ = call.space.prepare(call.vector, scratch_.query);
  ready_.clear();
  begin_walk(call.space, call.query, call.slots, scratch_);
}

void Pager::fill_by_walk(Call& call) {
  const std::size_t wanted = call.out.size();
  Effort& effort = scratch_.effort;
  const std::uint64_t before = effort.work();
  const std::uint64_t most = call.params.plan == Plan::automatic
                                 ? work_of_scan(call.graph(), call.slots)
                                 : Effort::kNoLimit;
  if (most != Effort::kNoLimit) {
    effort.bound_walk(before + (most > work_ ? most - work_ : 0));
  }
  bool is_lost = false;
  do {
    const std::size_t window = window_for(call);
    const bool is_first = given_.size() == 0 && ready_.empty();
    widen_walk(call.space, call.query, call.slots, window, scratch_);
    if (!effort.is_walked_out() && is_unsure(call, window)) {
      walk_on_vectors(call);
      widen_walk(call.space, call.query, call.slots, window, scratch_);
    }
    while (!effort.is_walked_out() &&
           look_past_group(call.space, call.query, call.slots, 0, window, scratch_)) {
      widen_walk(call.space, call.query, call.slots, window, scratch_);
    }
    is_lost = is_first && has_lost_its_way(call.slots, window, scratch_);
    take_from_pool(call, window);
  } while (!is_lost && ready_.size() < wanted && !effort.is_walked_out() &&
           scratch_.nearest.all() != 0);
  work_ += effort.work() - before;
  const std::size_t last = std::min(wanted, ready_.size());
  is_lost |= last > 0 && !call.space.is_told_by_floats(ready_[last - 1].distance);
  const bool has_ended = !effort.is_walked_out() && (is_lost || ready_.size() < wanted);
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
  make_ready(call, n);
}

// Of the slots that have changed those that a scan has passed by.
void Pager::look_at_changed(const Call& call) {
  const GraphView& graph = call.graph();
  std::erase_if(changed_, [&](NodeId node) {
    return node >= scan_from_.index || !graph.is_live_and_written(node) ||
           given_.has(call.space.key(node)) || (call.slots != nullptr && !call.slots->has(node));
  });
  const std::size_t n = scratch_.effort.take_rows(changed_.size());
  if (n < changed_.size()) scan_from_ = changed_[n];
  scratch_.make_room(n);
  std::copy_n(changed_.begin(), n, scratch_.ids.begin());
  scratch_.exact.resize(n);
  const Query query = call.space.prepare(call.vector, scratch_.query);
  call.space.exact_distances(query, scratch_.ids.data(), n, scratch_.exact.data());
  make_ready(call, n);
}

// Whether it comes too late for the order of the pages.
bool Pager::is_left_out(const Call& call, const Ranked& one) const {
  return call.order == Order::strict && given_.size() != 0 && is_nearer(one, last_);
}

// The first `n` of the scratch's ids, with their distances.
void Pager::make_ready(const Call& call, std::size_t n) {
  const GraphView& graph = call.graph();
  const auto middle = static_cast<std::ptrdiff_t>(ready_.size());
  for (std::size_t i = 0; i < n; ++i) {
    const NodeId node = scratch_.ids[i];
    const Ranked one{graph.key(node), scratch_.exact[i], node};
    if (!is_left_out(call, one)) ready_.push_back(one);
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

// The old nodes of the replacements that the call has overlapped: it may have missed them as it may
// the new ones. They are good for this page alone.
void Pager::add_replaced(const Call& call) {
  const GraphView& graph = call.graph();
  const std::uint64_t switches = graph.switch_log->since(graph.switches);
  if (switches == switches_) return;
  const std::size_t before = replaced_.size();
  std::uint64_t number = 0;
  graph.switch_log->for_each(graph.switches, switches, [&](NodeId old) {
    if (number++ < switches_ || old >= graph.count) return;
    // Its slot may have left the set by now.
    const Key key = graph.key(old);
    if (given_.has(key) || (call.slots != nullptr && !call.slots->wants(key))) return;
    replaced_.push_back(old);
  });
  switches_ = switches;
  const std::size_t n = replaced_.size() - before;
  scratch_.make_room(n);
  std::copy(replaced_.begin() + static_cast<std::ptrdiff_t>(before), replaced_.end(),
            scratch_.ids.begin());
  scratch_.exact.resize(n);
  const Query query = is_scanning_ ? call.space.prepare(call.vector, scratch_.query) : call.query;
  call.space.exact_distances(query, scratch_.ids.data(), n, scratch_.exact.data());
  make_ready(call, n);
}

void Pager::forget_replaced() {
  switches_ = 0;
  if (replaced_.empty()) return;
  std::sort(replaced_.begin(), replaced_.end());
  std::erase_if(ready_, [&](const Ranked& one) {
    return std::binary_search(replaced_.begin(), replaced_.end(), one.node);
  });
  replaced_.clear();
}

// All that is left, some at a time: of slots from scan_from_ on.
void Pager::fill_by_scan(const Call& call) {
  constexpr std::size_t kLeast = 1024;
  plan_ = Plan::exact;
  const GraphView& graph = call.graph();
  Effort& effort = scratch_.effort;
  Effort::Limits limits = limits_of(call.params);
  if (limits.distances != Effort::kNoLimit) {
    limits.distances -= std::min(limits.distances, distances_);
  }
  effort.begin(limits);
  is_over_ = limits.distances == 0 || effort.is_over();
  if (is_over_) return;
  const std::size_t more = std::max({call.out.size(), kLeast, given_.size()});
  const std::size_t k = std::min<std::size_t>(given_.size() + late_ + more, graph.count);
  const std::size_t found =
      find_by_scan(call.space, call.vector, k, call.slots, scratch_, kDeviations, scan_from_);
  note(effort);
  is_over_ = effort.is_over();
  if (scan_from_.index == 0) ready_.clear();
  const auto middle = static_cast<std::ptrdiff_t>(ready_.size());
  std::size_t late = 0;
  for (std::size_t i = 0; i < found; ++i) {
    const Ranked& one = scratch_.matches[i];
    if (given_.has(one.key)) continue;
    if (is_left_out(call, one)) {
      ++late;
    } else {
      ready_.push_back(one);
    }
  }
  late_ = std::max(late_, late);
  if (middle != 0) {
    // Those before may be met again.
    std::inplace_merge(ready_.begin(), ready_.begin() + middle, ready_.end(), is_nearer);
    keep_nearest_of_keys();
  }
  if (found >= k && k < graph.live) return;  // there may be more in these slots
  if (is_over_) {
    scan_from_ = std::max(scan_from_, scratch_.scanned_to);
  } else {
    is_exhausted_ = true;
  }
}

// Makes the page of what is ready. False: that is not enough, and all there is.
bool Pager::give(const Call& call) {
  add_replaced(call);
  // A key whose vector was being replaced may have been met with both.
  const bool may_repeat = call.graph().switch_log->since(call.graph().switches) != 0;
  if (may_repeat) page_.clear();
  pending_.clear();
  std::size_t n = 0;
  std::size_t used = 0;
  for (; used < ready_.size() && n < call.out.size(); ++used) {
    const Ranked& one = ready_[used];
    if (given_.has(one.key) || (may_repeat && !page_.add(one.key))) continue;
    pending_.push_back(one);
    call.out[n++] = {one.key, call.space.reported(one.distance)};
  }
  given_.reserve(n);
  if (n < call.out.size()) {
    ready_ = pending_;
    used = n;
  }
  pending_used_ = used;
  return n == call.out.size();
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
