// SPDX-License-Identifier: Apache-2.0
//
// Searching all queries of a file with the clock running.
#pragma once

#include <cstddef>
#include <functional>
#include <span>
#include <vector>

#include <cairn/error.h>
#include <cairn/index.h>
#include <cairn/params.h>
#include <cairn/types.h>

namespace cairn::tools {

struct Timing {
  double qps = 0;     // searches a second, of all threads together
  double p50_us = 0;  // of single searches
  double p99_us = 0;
};

struct SearchRun {
  std::size_t k = 0;
  std::vector<Match> matches;       // query i's stand at [i * k]
  std::vector<std::size_t> counts;  // how many of them
  Timing timing;

  std::span<const Match> matches_of(std::size_t query) const {
    return {matches.data() + query * k, counts[query]};
  }
};

// Searches for one query; may be called by several threads at once, and again for a query.
using SearchQuery = std::function<Result<void>(std::size_t query)>;

// One search at a time in each thread. A part of the queries is searched first, untimed; few
// queries are searched several times over. REQUIRES at least one query.
Result<Timing> time_searches(std::size_t queries, unsigned threads, const SearchQuery& search);

// The same for the k nearest. REQUIRES queries that are fit for the index.
Result<SearchRun> run_searches(const Index& index, const MatrixView& queries,
                               const SearchParams& params, unsigned threads);

// The value that `part` (0 ... 1) of the sorted samples do not exceed, by nearest rank. REQUIRES
// samples.
double percentile(std::span<const double> sorted, double part);

}  // namespace cairn::tools
