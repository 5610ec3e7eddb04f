// SPDX-License-Identifier: Apache-2.0
//
// K-NN-SEARCH (Malkov & Yashunin 2018, Algorithm 5), with candidates found on codes and reranked on
// the vectors; and the same by looking at all vectors.
#pragma once

#include <array>
#include <cstddef>
#include <span>
#include <vector>

#include <cairn/params.h>

#include "engine/search/exact.h"
#include "engine/search/search_scratch.h"
#include "engine/search/slot_set.h"
#include "engine/vectors/distance.h"

namespace cairn {

// How many results a search ranks: those that it is asked for, or with SearchParams::rerank the
// candidates for that.
std::size_t ranked_for(const SearchParams& params);

// How many candidates a walk for `k` results expands: at least k, unless it is asked for fewer than
// that and than the usual 64. Such a search finds some of the nearest, and finds them sooner.
std::size_t window_for(const SearchParams& params, std::size_t k);

// What limits it.
Effort::Limits limits_of(const SearchParams& params);

// What has been found: it stands at the beginning of the scratch's matches, nearest first, ties by
// key, and its effort tells what that took, and whether a limit has ended it.
struct FoundNearest {
  std::size_t count = 0;
  Plan plan = Plan::walk;  // the one that has led to it
};

// The plan that a search takes, at least at first: whether it walks.
bool walks(const GraphView& graph, const SearchParams& params, const SlotSet* slots);

// The same of a batch without a filter or with one for all: whether its queries are scanned for
// together.
bool is_scanned_together(const Space& space, const SearchParams& params, const SlotSet* slots,
                         std::size_t queries);

// Finds the nearest ranked_for(params) of the live nodes in `slots`; null: of all. With a filter
// all of them, if there are no more; without one those that a walk meets. REQUIRES: `query` fits
// the index, see Space::prepare; k, ef >= 1; `slots` has followed the space's view.
FoundNearest find_nearest(const Space& space, VectorView query, const SearchParams& params,
                          const SlotSet* slots, SearchScratch& scratch);

// The same, without filter and SearchParams::rerank, into `out`: at most out.size() of them.
std::size_t knn_search(const Space& space, VectorView query, const SearchParams& params,
                       SearchScratch& scratch, std::span<Match> out);

// Finds the `k` nearest of the live nodes in `slots` by looking at all of them from slot `from` on,
// until the effort is over; how many there are. scratch.scanned_to tells where that was.
std::size_t find_by_scan(const Space& space, VectorView query, std::size_t k, const SlotSet* slots,
                         SearchScratch& scratch, float deviations = kDeviations, NodeId from = {0});

// Scratch of several queries that are scanned together.
struct GroupScratch {
  static constexpr std::size_t kMost = 128;
  std::vector<SearchScratch> each{kMost};
  std::vector<std::size_t> group;  // rows that are scanned for
  std::vector<ScannedQuery> scanned;
  std::array<FoundNearest, kMost> found{};
  std::array<bool, kMost> is_misled{};
  PanelScratch panels;
};

// How many of `queries` to scan for at once, at least: fewer cost as much, where codes tell of most
// slots that they are too far.
std::size_t least_scanned_together(std::size_t queries);
// How many of them to scan for at once: all of a batch that takes one thread some milliseconds,
// else enough groups for the threads of most machines. Told from counts alone, so that threads have
// no part in what a batch finds.
std::size_t scanned_at_once(const Space& space, std::size_t queries);

// Finds the nearest of each of `queries`, at most GroupScratch::kMost, by scanning `slots` once for
// all: scratch.found[i] of row i, in scratch.each[i].
void scan_for_nearest(const Space& space, MatrixView queries, const SearchParams& params,
                      const SlotSet* slots, GroupScratch& scratch);

}  // namespace cairn
