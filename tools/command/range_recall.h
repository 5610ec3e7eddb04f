// SPDX-License-Identifier: Apache-2.0
//
// How much searches for everything within a distance find of what is there.
#pragma once

#include <cstddef>
#include <vector>

#include <cairn/index.h>

#include "tools/command/search_run.h"

namespace cairn::tools {

// What lies within a distance of the queries, by the exact plan.
struct RangeTruth {
  std::vector<std::size_t> counts;  // of each query
  std::size_t hits = 0;             // of all
  std::size_t empty = 0;            // queries that have none
};
// `most`: the nearest so many of a query alone; 0: all.
Result<RangeTruth> find_range_truth(const Index& index, const MatrixView& queries, float radius,
                                    std::size_t most);

struct RangePoint {
  std::size_t ef = 0;
  double recall = 1;  // the mean of the queries that have something within the radius; 1 of none
  std::size_t found = 0;  // by all queries
  Timing timing;
};
Result<RangePoint> measure_range(const Index& index, const MatrixView& queries, float radius,
                                 std::size_t most, std::size_t ef, unsigned threads,
                                 const RangeTruth& truth);

}  // namespace cairn::tools
