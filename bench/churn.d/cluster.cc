// SPDX-License-Identifier: Apache-2.0
//
// Removes all that lies around one vector, and asks there.
#include <algorithm>
#include <cstdio>
#include <unordered_set>

#include "churn.d/setup.h"
#include "common/exact_neighbors.h"

namespace bench {

namespace {

// Median microseconds of a search. Fails where one finds less than there is.
double search_micros(const cairn::Index& index, const FloatMatrix& queries, std::size_t ef) {
  std::vector<double> micros;
  cairn::Match found[10];
  const std::size_t expected = std::min<std::size_t>(10, index.size());
  for (std::size_t q = 0; q < queries.rows; ++q) {
    const auto start = Clock::now();
    const auto n = checked(index.search(view_of(queries, q), {10, ef}, found), "search");
    micros.push_back(seconds_since(start) * 1e6);
    if (n != expected) throw std::runtime_error("a search found " + std::to_string(n) + " of 10");
  }
  return quantile(micros, 0.5);
}

double recall_of(const cairn::Index& index, const FloatMatrix& queries, const IdMatrix& truth,
                 std::size_t ef) {
  std::size_t hits = 0;
  cairn::Match found[10];
  for (std::size_t q = 0; q < queries.rows; ++q) {
    const auto n = checked(index.search(view_of(queries, q), {10, ef}, found), "search");
    for (std::size_t i = 0; i < n; ++i) {
      hits += std::count(truth.row(q), truth.row(q) + 10, found[i].key) > 0;
    }
  }
  return static_cast<double>(hits) / (10.0 * static_cast<double>(queries.rows));
}

FloatMatrix some_rows(const FloatMatrix& from, const std::vector<std::uint32_t>& rows) {
  FloatMatrix some{rows.size(), from.dims, {}};
  for (const std::uint32_t row : rows) {
    some.values.insert(some.values.end(), from.row(row), from.row(row) + from.dims);
  }
  return some;
}

}  // namespace

void measure_cluster(const Options& options) {
  const FloatMatrix base = read_matrix<float>(options.base, options.rows);
  if (options.gone + 10 > base.rows) throw std::runtime_error("--gone does not fit the rows");
  FloatMatrix outside = read_matrix<float>(options.queries, 500);
  const TruthMetric metric = parse_metric(options.metric);
  const std::uint32_t center = static_cast<std::uint32_t>(options.seed % base.rows);
  const IdMatrix cluster =
      exact_neighbors(base, some_rows(base, {center}), metric, options.gone, options.threads);
  std::vector<std::uint32_t> inside_rows(
      cluster.values.begin(),
      cluster.values.begin() +
          static_cast<std::ptrdiff_t>(std::min<std::size_t>(500, options.gone)));
  const FloatMatrix inside = some_rows(base, inside_rows);

  // The truth among the rows that stay, in numbers of the whole.
  const std::unordered_set<std::uint32_t> gone(cluster.values.begin(), cluster.values.end());
  std::vector<std::uint32_t> left;
  for (std::uint32_t row = 0; row < base.rows; ++row) {
    if (gone.count(row) == 0) left.push_back(row);
  }
  const FloatMatrix rest = some_rows(base, left);
  IdMatrix truth = exact_neighbors(rest, inside, metric, 10, options.threads);
  for (std::uint32_t& id : truth.values) id = left[id];

  auto index = built(options, base, base.rows);
  const auto report = [&](const char* when, const cairn::Index& which, bool recall) {
    const double in = search_micros(which, inside, options.ef);
    const double out = search_micros(which, outside, options.ef);
    std::printf("%-22s %9.1f us inside, %9.1f us outside, ratio %.2f", when, in, out, in / out);
    if (recall) std::printf(", recall inside %.4f", recall_of(which, inside, truth, options.ef));
    std::printf("\n");
    std::fflush(stdout);
  };
  report("before", index, false);
  const auto start = Clock::now();
  on_threads(options.threads, cluster.values.size(),
             [&](std::size_t i) { checked(index.remove(cluster.values[i]), "remove"); });
  std::printf("removed %zu in %.1f s, %zu tombstones\n", cluster.values.size(),
              seconds_since(start), index.stats().deleted);
  report("removed", index, true);
  checked(index.compact(), "compact");
  report("compacted", index, true);

  // A fresh index has numbers of its own.
  auto fresh = built(options, rest, rest.rows);
  const IdMatrix of_rest = exact_neighbors(rest, inside, metric, 10, options.threads);
  report("fresh", fresh, false);
  std::printf("fresh: recall inside %.4f\n", recall_of(fresh, inside, of_rest, options.ef));
}

}  // namespace bench
