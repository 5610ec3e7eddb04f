// SPDX-License-Identifier: Apache-2.0
#include "tools/command/range_recall.h"

#include <algorithm>
#include <string>

#include "tools/command/command.h"

namespace cairn::tools {

namespace {

// How many there are within the radius of a query, as a search with these parameters finds.
Result<std::size_t> count_within(const Index& index, VectorView query, float radius,
                                 const RangeParams& params) {
  std::size_t count = 0;
  const auto done = index.search_range(query, radius, params, [&](const Match&) {
    ++count;
    return true;
  });
  if (!done) return without_operation(done.error(), "search_range");
  return count;
}

}  // namespace

Result<RangeTruth> find_range_truth(const Index& index, const MatrixView& queries, float radius,
                                    std::size_t most) {
  RangeParams exact;
  exact.max_results = most;
  exact.plan = Plan::exact;
  RangeTruth truth;
  for (std::size_t query = 0; query < queries.rows; ++query) {
    const auto count = count_within(index, queries.row(query), radius, exact);
    if (!count) return count.error().with_context("query " + std::to_string(query));
    truth.counts.push_back(*count);
    truth.hits += *count;
    if (*count == 0) ++truth.empty;
  }
  return truth;
}

Result<RangePoint> measure_range(const Index& index, const MatrixView& queries, float radius,
                                 std::size_t most, std::size_t ef, unsigned threads,
                                 const RangeTruth& truth) {
  RangeParams params;
  params.ef = ef;
  params.max_results = most;
  std::vector<std::size_t> counts(queries.rows);
  const auto search = [&](std::size_t query) -> Result<void> {
    const auto count = count_within(index, queries.row(query), radius, params);
    if (!count) return count.error();
    counts[query] = *count;
    return {};
  };
  const auto timing = time_searches(queries.rows, threads, search);
  if (!timing) return timing.error();
  RangePoint point;
  point.ef = ef;
  point.timing = *timing;
  double sum = 0;
  for (std::size_t query = 0; query < queries.rows; ++query) {
    // What is found lies within the radius: the results are ranked by their vectors.
    point.found += counts[query];
    if (truth.counts[query] == 0) continue;
    sum += static_cast<double>(std::min(counts[query], truth.counts[query])) /
           static_cast<double>(truth.counts[query]);
  }
  const std::size_t counted = queries.rows - truth.empty;
  if (counted != 0) point.recall = sum / static_cast<double>(counted);
  return point;
}

}  // namespace cairn::tools
