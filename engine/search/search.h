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
#include "engine/vectors/distance.h"

namespace cairn {

// How many results a search ranks: those that it is asked for, or with SearchParams::rerank the
// candidates for that.
std::size_t ranked_for(const SearchParams& params);

// Finds the nearest min(ranked_for(params), live nodes found), nearest first, ties by key: they
// stand at the beginning of scratch.matches; returns how many. scratch.effort tells what it took,
// and whether a limit has ended it. REQUIRES: `query` fits the index, see Space::prepare; k, ef >=
// 1.
std::size_t find_nearest(const Space& space, VectorView query, const SearchParams& params,
                         SearchScratch& scratch);

// The same, without SearchParams::rerank, into `out`: at most out.size() of them.
std::size_t knn_search(const Space& space, VectorView query, const SearchParams& params,
                       SearchScratch& scratch, std::span<Match> out);

// Scratch of several queries that are scanned together.
struct GroupScratch {
  static constexpr std::size_t kMost = 16;
  std::vector<SearchScratch> each{kMost};
  std::vector<ScannedQuery> scanned;
  std::array<std::size_t, kMost> found{};
  std::array<bool, kMost> is_misled{};
};

// Finds the nearest of each of `queries`, at most GroupScratch::kMost, by looking at all slots:
// those of row i stand at the beginning of scratch.each[i].matches, scratch.found[i] of them.
void scan_for_nearest(const Space& space, MatrixView queries, const SearchParams& params,
                      GroupScratch& scratch);

}  // namespace cairn
