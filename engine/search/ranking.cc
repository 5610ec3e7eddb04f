// SPDX-License-Identifier: Apache-2.0
#include "engine/search/ranking.h"

#include <algorithm>

namespace cairn {

namespace {

// Of two matches of a key the nearer one stays. Returns how many are left.
std::size_t keep_one_a_key(std::vector<Ranked>& matches) {
  std::sort(matches.begin(), matches.end(), [](const Ranked& a, const Ranked& b) {
    return a.key != b.key ? a.key < b.key : a.distance < b.distance;
  });
  const auto same = [](const Ranked& a, const Ranked& b) { return a.key == b.key; };
  matches.erase(std::unique(matches.begin(), matches.end(), same), matches.end());
  return matches.size();
}

// Those of the pool that may be among the `k` nearest: out is what is farther than the k-th by more
// than the errors of both allow. Those of candidates farther out may be smaller: all are looked at.
std::size_t collect(const Space& space, const Query& query, std::size_t k, const SlotSet* slots,
                    SearchScratch& scratch) {
  const GraphView& graph = space.view();
  const NeighborPool& pool = scratch.pool;
  scratch.make_room(pool.size());
  std::size_t n = 0;
  float last = 0;  // the distance of the k-th, and the variance of its error
  float last_variance = 0;
  for (std::size_t i = 0; i < pool.size(); ++i) {
    const NodeId node = pool.id(i);
    const float distance = pool.distance(i);
    const float variance = space.variance(query, node, distance);
    const float gap = distance - last;
    if (n >= k && gap * gap > kDeviations * kDeviations * (variance + last_variance)) continue;
    if (!graph.is_live(node) || (slots != nullptr && !slots->has(node))) continue;
    scratch.ids[n] = node;
    scratch.distances[n++] = distance;
    if (n == k) {
      last = distance;
      last_variance = variance;
    }
  }
  return n;
}

// Behind the first `n` candidates: the old nodes of `switches` replacements. Returns how many
// candidates there are.
std::size_t add_replaced(const GraphView& graph, std::uint64_t switches, std::size_t n,
                         const SlotSet* slots, SearchScratch& scratch) {
  scratch.make_room(n + switches);
  std::size_t end = n;
  graph.switch_log->for_each(graph.switches, switches, [&](NodeId old) {
    // Its slot may have left the set by now.
    if (old >= graph.count || (slots != nullptr && !slots->wants(graph.key(old)))) return;
    scratch.ids[end++] = old;
  });
  return end;
}

// Distances of the first `n` candidates, until the effort is over; returns of how many.
std::size_t measure(const Space& space, const Query& query, std::size_t n, SearchScratch& scratch) {
  constexpr std::size_t kPiece = 256;
  scratch.exact.resize(n);
  for (std::size_t begin = 0; begin < n; begin += kPiece) {
    if (begin != 0 && scratch.effort.is_late()) {
      // Those of a scan stand in the order of slots.
      scratch.scanned_to = std::min(scratch.scanned_to, scratch.ids[begin]);
      return begin;
    }
    space.exact_distances(query, scratch.ids.data() + begin, std::min(kPiece, n - begin),
                          scratch.exact.data() + begin);
  }
  return n;
}

}  // namespace

Candidates candidates_of_pool(const Space& space, const Query& query, std::size_t k,
                              const SlotSet* slots, SearchScratch& scratch) {
  const GraphView& graph = space.view();
  if (slots != nullptr && slots->lets_all_pass(*graph.slot_log, graph.slots)) slots = nullptr;
  std::size_t n = collect(space, query, k, slots, scratch);
  // Once lists and flags have been read: a key whose vector was being replaced may have been met
  // with both, or with none.
  const std::uint64_t switches = graph.switch_log->since(graph.switches);
  if (switches != 0) n = collect(space, query, scratch.pool.size(), slots, scratch);
  return {n, switches};
}

std::size_t rank(const Space& space, const Query& query, std::size_t k, Candidates candidates,
                 const SlotSet* slots, SearchScratch& scratch) {
  const GraphView& graph = space.view();
  const std::uint64_t switches = candidates.switches;
  std::size_t n = candidates.count;
  if (switches != 0) n = add_replaced(graph, switches, n, slots, scratch);
  n = measure(space, query, n, scratch);
  scratch.matches.resize(n);
  for (std::size_t i = 0; i < n; ++i) {
    scratch.matches[i] = {graph.key(scratch.ids[i]), scratch.exact[i], scratch.ids[i]};
  }
  if (switches != 0 || graph.several_per_key) n = keep_one_a_key(scratch.matches);
  const std::size_t found = std::min(n, k);
  std::partial_sort(scratch.matches.begin(),
                    scratch.matches.begin() + static_cast<std::ptrdiff_t>(found),
                    scratch.matches.end(), is_nearer);
  return found;
}

void report(const Space& space, const SearchScratch& scratch, std::span<Match> out) {
  for (std::size_t i = 0; i < out.size(); ++i) {
    out[i] = {scratch.matches[i].key, space.reported(scratch.matches[i].distance)};
  }
}

}  // namespace cairn
