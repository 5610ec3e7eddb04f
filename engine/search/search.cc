// SPDX-License-Identifier: Apache-2.0
#include "engine/search/search.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "engine/base/assert.h"
#include "engine/search/admission.h"
#include "engine/search/behind_copies.h"
#include "engine/search/plan.h"
#include "engine/search/ranking.h"
#include "engine/search/walk.h"

namespace cairn {

Effort::Limits limits_of(const SearchParams& params) {
  Effort::Limits limits;
  if (params.max_distances != 0) limits.distances = params.max_distances;
  limits.deadline = params.deadline;
  limits.stop = params.stop;
  return limits;
}

Nearest descend(const Space& space, const Query& query, std::uint32_t level, WalkState& state) {
  const GraphView& graph = space.view();
  state.make_room(graph.m_max0 > graph.m ? graph.m_max0 : graph.m);
  Nearest best{graph.entry_point, 0};
  (void)state.effort.take_rows(1);
  space.distances(query, &best.node, 1, &best.distance);
  for (std::uint32_t l = graph.max_level; l > level; --l) {
    for (bool moved = true; moved && !state.effort.is_over();) {
      moved = false;
      std::size_t n = 0;
      for (const NodeId neighbor : graph.upper_links(best.node, l)) state.ids[n++] = neighbor;
      n = state.effort.take(n);
      space.distances(query, state.ids.data(), n, state.distances.data());
      for (std::size_t i = 0; i < n; ++i) {
        // Only strictly nearer: every step makes progress, whatever the file holds.
        if (state.distances[i] < best.distance) {
          best = {state.ids[i], state.distances[i]};
          moved = true;
        }
      }
    }
  }
  return best;
}

namespace {

// How many places a walk's candidate list has.
std::size_t capacity_for(const GraphView& graph, const Query& query, std::size_t k,
                         std::size_t ef) {
  if (query.kind != Query::Kind::code) return std::max(ef, k);
  return std::max(ef, std::min<std::size_t>(candidates_for(k), graph.count));
}

// Whether codes tell the `k`-th of the candidates from the last. If they do not, one that had no
// more room among them may be nearer than the k-th: they are many near copies of one vector, as
// seen from afar.
bool is_cut_in_order(const Space& space, const Query& query, std::size_t k,
                     const NeighborPool& found) {
  if (!found.is_full() || found.size() <= k) return true;
  const std::size_t last = found.size() - 1;
  return space.orders(query, found.id(k - 1), found.distance(k - 1), found.id(last),
                      found.distance(last));
}

// Whether the distances of what a walk has found, once it is ranked, were off by more than errors
// of codes are that do not depend on each other: by twice of that on the whole, if there are many.
// Those of numbers that repeat depend on each other, and then more candidates than their number
// says may be among the nearest. Under other metrics that has changed no answer.
bool is_misled(const Space& space, const Query& query, std::size_t count,
               const SearchScratch& scratch) {
  if (query.kind != Query::Kind::code || !space.has_sharp_variance()) return false;
  double squares = 0;
  double allowed = 32;
  for (std::size_t i = 0; i < count; ++i) {
    const float distance = scratch.distances[i];
    const double error = double{distance} - scratch.exact[i];
    const double variance = space.variance(query, scratch.ids[i], distance);
    if (!std::isfinite(variance) || !(variance > 0)) continue;
    squares += error * error / variance;
    allowed += 4;
  }
  return squares > allowed;
}

// Whether one of the `results` nearest of what a walk has found stands behind a third of a window
// with much room: others may stand beyond it.
bool is_one_behind(std::size_t count, std::size_t results, const SearchScratch& scratch) {
  const NeighborPool& window = scratch.pool;
  if (results == 0 || window.size() < 4 * results) return false;
  const float back = window.distance(window.size() / 3);
  const double last = scratch.matches[results - 1].distance;
  for (std::size_t i = 0; i < count; ++i) {
    if (scratch.distances[i] >= back && scratch.exact[i] <= last) return true;
  }
  return false;
}

// Calls walk_on(space, query) for a space on which what it finds can be ordered, and ranks that.
template <class WalkOn>
std::size_t find_by_walk(const Space& index, VectorView vector, std::size_t k, const SlotSet* slots,
                         SearchScratch& scratch, WalkOn&& walk_on) {
  Space space = index;
  Query query = space.prepare(vector, scratch.query);
  walk_on(space, query);
  const bool is_ordered =
      is_resolved(space, query, scratch.pool) && is_cut_in_order(space, query, k, scratch.pool);
  if (!is_ordered && !scratch.effort.is_walked_out()) {
    space = space.on_vectors();
    query = space.prepare(vector, scratch.query);
    walk_on(space, query);
  }
  const std::size_t ef = scratch.pool.window();
  if (!scratch.effort.is_walked_out()) {
    const std::size_t capacity = capacity_for(index.view(), query, k, ef);
    with_admission(index.view(), slots, ef, [&](const auto& admission) {
      (void)search_past_group(space, query, 0, ef, capacity, admission, scratch);
    });
  }
  Candidates found = candidates_of_pool(space, query, k, slots, scratch);
  bool is_of_one_walk = found.switches == 0;
  if (!scratch.effort.is_walked_out() && is_cut_by_copies(space, query, k, ef, scratch)) {
    const Query::Kind before = query.kind;
    space = index.on_vectors();
    query = space.prepare(vector, scratch.query);
    found.count = find_behind_copies(space, query, before, k, ef, found.count, slots, scratch);
    found.switches = index.view().switch_log->since(index.view().switches);
    is_of_one_walk = false;
  }
  const std::size_t ranked = rank(space, query, k, found, slots, scratch);
  if (!is_of_one_walk || scratch.effort.is_walked_out()) return ranked;
  if (!is_misled(space, query, found.count, scratch)) return ranked;
  found = candidates_of_pool(space, query, scratch.pool.size(), slots, scratch);
  const std::size_t again = rank(space, query, k, found, slots, scratch);
  if (!is_one_behind(found.count, again, scratch) || scratch.effort.is_walked_out()) return again;
  query = index.on_vectors().prepare(vector, scratch.query);
  walk_on(index.on_vectors(), query);
  found = candidates_of_pool(index.on_vectors(), query, k, slots, scratch);
  return rank(index.on_vectors(), query, k, found, slots, scratch);
}

// What replacements a scan has overlapped, it may have met with both vectors of a key, of which one
// is to go: it is made again for as many results more. Writers would have to be faster than scans
// for that to be too few in the end.
template <class Scan>
void scan_past_replacements(const GraphView& graph, Scan&& scan_for) {
  constexpr int kScans = 4;
  std::uint64_t more = 0;
  for (int i = 0; i < kScans; ++i) {
    const bool is_over = scan_for(more);
    const std::uint64_t switches = graph.switch_log->since(graph.switches);
    if (is_over || switches <= more) return;
    more = 2 * switches + 4;
  }
}

// What a scan has found that codes have misled: the answer, if the next one is cut short. It waits
// in the scratch, where there is a place for each scan that may be followed by another.
class FirstAnswer {
 public:
  FirstAnswer(std::size_t found, float deviations, SearchScratch& scratch)
      : found_(found),
        matches_(scratch.first_matches[deviations < ScannedQuery::kManyDeviations ? 0 : 1]) {
    matches_.swap(scratch.matches);
  }

  // `again`: found since, in the scratch. How many there are.
  std::size_t unless_better(std::size_t again, SearchScratch& scratch) {
    if (!scratch.effort.is_over()) return again;
    scratch.matches.swap(matches_);
    return found_;
  }

 private:
  std::size_t found_;
  std::vector<Ranked>& matches_;
};

}  // namespace

std::size_t find_by_scan(const Space& space, VectorView vector, std::size_t k, const SlotSet* slots,
                         SearchScratch& scratch, float deviations, NodeId from) {
  const GraphView& graph = space.view();
  const Query query = space.for_scan(space.prepare(vector, scratch.query));
  std::size_t found = 0;
  bool is_misled = false;
  scan_past_replacements(graph, [&](std::uint64_t more) {
    ScannedQuery scanned(space, query, k + more, scratch, deviations);
    scan(space, SlotBlocks(graph, slots, from), {&scanned, 1});
    const Candidates candidates = scanned.candidates();
    found = rank(space, query, k, candidates, slots, scratch);
    is_misled = scanned.has_been_misled(candidates.count);
    return scratch.effort.is_over();
  });
  if (!is_misled || scratch.effort.is_over()) return found;
  FirstAnswer first(found, deviations, scratch);
  const std::size_t again =
      deviations < ScannedQuery::kManyDeviations
          ? find_by_scan(space, vector, k, slots, scratch, ScannedQuery::kManyDeviations, from)
          : find_by_scan(space.on_vectors(), vector, k, slots, scratch, kDeviations, from);
  return first.unless_better(again, scratch);
}

namespace {

// How many results there can be. What passes may become more while a search runs.
std::size_t attainable(const GraphView& graph, std::size_t wanted) {
  return std::min<std::size_t>(wanted, graph.count);
}

bool passes_all(const GraphView& graph, const SlotSet& slots) {
  return slots.count() >= graph.live;
}

// Whether the last of the results lies where floats, on which a walk is led, tell nothing.
bool is_blind(const Space& space, std::size_t found, const SearchScratch& scratch) {
  return found > 0 && !space.is_told_by_floats(scratch.matches[found - 1].distance);
}

// A walk ends early, and without an answer, where it costs more than a scan, would soon do so, or
// has met too little.
FoundNearest find_filtered(const Space& space, VectorView vector, const SearchParams& params,
                           const SlotSet& slots, Plan plan, SearchScratch& scratch) {
  const GraphView& graph = space.view();
  const std::size_t k = attainable(graph, ranked_for(params));
  const std::size_t ef = std::min<std::size_t>(std::max(params.ef, k), graph.count);
  Effort& effort = scratch.effort;
  if (plan == Plan::exact) return {find_by_scan(space, vector, k, &slots, scratch), plan};
  effort.bound_walk(effort.work() + SearchPlan(graph, slots, k, ef).scan_work());
  const FromAfar from_afar = params.plan == Plan::automatic ? FromAfar::end : FromAfar::widen;
  bool has_met_few = false;
  const std::size_t found =
      find_by_walk(space, vector, k, &slots, scratch, [&](const Space& on, const Query& query) {
        const std::size_t capacity = capacity_for(graph, query, k, ef);
        if (passes_all(graph, slots)) {
          walk(on, query, ef, capacity, AdmitLive{graph, ef}, scratch);
        } else {
          const AdmitPassing passing{graph, slots, ef, from_afar};
          walk_among(slots, on, query, ef, capacity, passing, scratch);
        }
        has_met_few = scratch.pool.size() < std::min(ef, slots.count());
      });
  const bool is_lost = effort.is_walked_out() || found < std::min(k, slots.count()) ||
                       has_met_few || is_blind(space, found, scratch);
  if (!is_lost || effort.is_over()) return {found, Plan::walk};
  effort.unbound_walk();
  return {find_by_scan(space, vector, k, &slots, scratch), Plan::exact};
}

}  // namespace

std::size_t ranked_for(const SearchParams& params) {
  return params.rerank == nullptr ? params.k : std::max(params.k, params.ef);
}

std::size_t window_for(const SearchParams& params, std::size_t k) {
  const bool is_meant = params.ef < std::min(k, SearchParams{}.ef);
  return is_meant ? params.ef : std::max(params.ef, k);
}

bool walks(const GraphView& graph, const SearchParams& params, const SlotSet* slots) {
  if (params.plan != Plan::automatic) return params.plan == Plan::walk;
  if (slots == nullptr || graph.entry_point >= graph.count) return slots == nullptr;
  return SearchPlan(graph, *slots, ranked_for(params), params.ef).walks();
}

namespace {

// Whether a search without a filter may be a scan that was not asked for.
bool may_be_scanned(const Space& space, const SearchParams& params, const SlotSet* slots) {
  const GraphView& graph = space.view();
  if (params.plan != Plan::automatic || slots != nullptr) return false;
  if (graph.entry_point >= graph.count || !leaves_out_by_codes(space)) return false;
  // A budget buys more of a walk.
  return params.max_distances == 0 || params.max_distances >= graph.count;
}

bool is_scanned(const Space& space, const SearchParams& params, const SlotSet* slots) {
  const GraphView& graph = space.view();
  if (!walks(graph, params, slots)) return true;
  return is_query_best_scanned(graph, ranked_for(params), params.ef) &&
         may_be_scanned(space, params, slots);
}

}  // namespace

bool is_scanned_together(const Space& space, const SearchParams& params, const SlotSet* slots,
                         std::size_t queries) {
  const GraphView& graph = space.view();
  if (!walks(graph, params, slots)) return true;
  return may_be_scanned(space, params, slots) &&
         is_batch_best_scanned(graph, queries, ranked_for(params), params.ef);
}

FoundNearest find_nearest(const Space& space, VectorView vector, const SearchParams& params,
                          const SlotSet* slots, SearchScratch& scratch) {
  CAIRN_ASSERT(params.k >= 1 && params.ef >= 1);
  const GraphView& graph = space.view();
  const Plan plan = is_scanned(space, params, slots) ? Plan::exact : Plan::walk;
  scratch.effort.begin(limits_of(params));
  if (graph.count == 0 || scratch.effort.is_over()) return {0, plan};
  if (slots != nullptr) return find_filtered(space, vector, params, *slots, plan, scratch);
  const std::size_t k = attainable(graph, ranked_for(params));
  if (plan == Plan::exact) return {find_by_scan(space, vector, k, slots, scratch), plan};
  if (graph.entry_point >= graph.count) return {0, Plan::walk};
  const auto walk_for = [&](const Space& on, const Query& query, std::size_t ef) {
    walk(on, query, ef, capacity_for(graph, query, k, ef), AdmitLive{graph, ef}, scratch);
  };
  const std::size_t ef = std::min<std::size_t>(window_for(params, k), graph.count);
  const std::size_t found =
      find_by_walk(space, vector, k, nullptr, scratch, [&](const Space& on, const Query& query) {
        walk_for(on, query, ef);
        const bool has_met_few = scratch.pool.size() < k && ef < k;
        if (has_met_few && !scratch.effort.is_over()) walk_for(on, query, k);
      });
  if (!is_blind(space, found, scratch) || scratch.effort.is_over()) return {found, Plan::walk};
  return {find_by_scan(space, vector, k, slots, scratch), Plan::exact};
}

std::size_t knn_search(const Space& space, VectorView query, const SearchParams& params,
                       SearchScratch& scratch, std::span<Match> out) {
  const FoundNearest found = find_nearest(space, query, params, nullptr, scratch);
  const std::size_t count = std::min({found.count, params.k, out.size()});
  report(space, scratch, out.first(count));
  return count;
}

namespace {

// Scans once for the queries at scratch.group's places, and tells which of them were misled.
void scan_group(const Space& space, MatrixView queries, std::size_t k, const SlotSet* slots,
                float deviations, GroupScratch& scratch) {
  const GraphView& graph = space.view();
  scan_past_replacements(graph, [&](std::uint64_t more) {
    scratch.scanned.clear();
    for (const std::size_t i : scratch.group) {
      const Query query = space.for_scan(space.prepare(queries.row(i), scratch.each[i].query));
      scratch.scanned.emplace_back(space, query, k + more, scratch.each[i], deviations);
    }
    if (suits_panels(space, scratch.scanned)) {
      scan_in_panels(space, SlotBlocks(graph, slots), scratch.scanned, scratch.panels);
    } else {
      scan(space, SlotBlocks(graph, slots), scratch.scanned);
    }
    bool is_over = false;
    for (std::size_t at = 0; at < scratch.group.size(); ++at) {
      const std::size_t i = scratch.group[at];
      ScannedQuery& one = scratch.scanned[at];
      SearchScratch& own = scratch.each[i];
      const Candidates candidates = one.candidates();
      scratch.found[i].count = rank(space, one.query(), k, candidates, slots, own);
      scratch.is_misled[i] = one.has_been_misled(candidates.count) && !own.effort.is_over();
      is_over |= own.effort.is_over();
    }
    return is_over;
  });
}

}  // namespace

std::size_t least_scanned_together(std::size_t queries) {
  constexpr std::size_t kFew = 4;  // share what is read of the vectors, and leave work for others
  return queries < simd::kPanelColumns / 2 ? kFew : simd::kPanelColumns;
}

std::size_t scanned_at_once(const Space& space, std::size_t queries) {
  constexpr std::size_t kGroups = 16;
  constexpr std::size_t kSoonDone = std::size_t{1} << 30;  // bytes by queries: some milliseconds
  const bool has_panels = leaves_out_by_codes(space);
  const std::size_t bytes = space.view().count * space.view().header;
  const bool is_soon_done = queries <= GroupScratch::kMost && bytes <= kSoonDone / queries;
  if (has_panels && queries >= simd::kPanelColumns && is_soon_done) return GroupScratch::kMost;
  const std::size_t least = least_scanned_together(has_panels ? queries : 1);
  const std::size_t groups = (queries / kGroups + least - 1) / least;
  return std::clamp(groups * least, least, GroupScratch::kMost);
}

void scan_for_nearest(const Space& space, MatrixView queries, const SearchParams& params,
                      const SlotSet* slots, GroupScratch& scratch) {
  const GraphView& graph = space.view();
  const std::size_t k = attainable(graph, ranked_for(params));
  scratch.found.fill({0, Plan::exact});
  scratch.is_misled.fill(false);
  bool is_over = graph.count == 0;
  Effort::Limits limits = limits_of(params);
  limits.between_looks /= queries.rows / 16 + 1;  // others have their turn between
  scratch.group.clear();
  for (std::size_t i = 0; i < queries.rows; ++i) {
    scratch.each[i].effort.begin(limits);
    is_over |= scratch.each[i].effort.is_over();
    scratch.group.push_back(i);
  }
  if (is_over) return;
  scan_group(space, queries, k, slots, kDeviations, scratch);
  const auto is_right = [&](std::size_t i) { return !scratch.is_misled[i]; };
  std::erase_if(scratch.group, is_right);
  if (scratch.group.empty()) return;
  std::vector<FirstAnswer> first;
  for (const std::size_t i : scratch.group) {
    first.emplace_back(scratch.found[i].count, kDeviations, scratch.each[i]);
  }
  scan_group(space, queries, k, slots, ScannedQuery::kManyDeviations, scratch);
  for (std::size_t at = 0; at < first.size(); ++at) {
    const std::size_t i = scratch.group[at];
    SearchScratch& own = scratch.each[i];
    std::size_t& found = scratch.found[i].count;
    if (!is_right(i)) found = find_by_scan(space.on_vectors(), queries.row(i), k, slots, own);
    found = first[at].unless_better(found, own);
  }
}

}  // namespace cairn
