// SPDX-License-Identifier: Apache-2.0
#include "tools/command/overlap.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <numeric>
#include <thread>
#include <unordered_set>
#include <utility>

#include "tools/command/exact_scan.h"

namespace cairn::tools {
namespace {

// Near ties count as ties: the library's distances are f32.
bool as_near(double distance, double limit) {
  return distance <= limit + std::abs(limit) * 1e-6 + 1e-12;
}

unsigned threads_or_all(unsigned threads) {
  return threads == 0 ? std::max(1u, std::thread::hardware_concurrency()) : threads;
}

// The results of all queries, row by row.
class Results {
 public:
  static Result<Results> of(const Index& index, const StoredRows& queries,
                            const SearchParams& params, unsigned threads,
                            const std::atomic<bool>* stop);

  std::span<const Match> row(std::size_t query) const {
    return {matches_.data() + query * k_, counts_[query]};
  }

 private:
  std::size_t k_ = 0;
  std::vector<Match> matches_;
  std::vector<std::size_t> counts_;
};

Result<Results> Results::of(const Index& index, const StoredRows& queries,
                            const SearchParams& given, unsigned threads,
                            const std::atomic<bool>* stop) {
  SearchParams params = given;
  params.k = std::min(params.k, std::max<std::size_t>(1, index.size()));
  constexpr std::size_t kAtOnce = 256;  // between two looks at `stop`
  const MatrixView& all = queries.view();
  Results results;
  results.k_ = params.k;
  results.matches_.resize(all.rows * params.k);
  results.counts_.resize(all.rows);
  for (std::size_t first = 0; first < all.rows; first += kAtOnce) {
    if (stop != nullptr && *stop) return Error(ErrorCode::cancelled, "interrupted");
    MatrixView some = all;
    some.rows = std::min(kAtOnce, all.rows - first);
    some.data = static_cast<const std::byte*>(all.data) + first * all.stride_bytes;
    const auto ok = index.search_batch(
        some, params, std::span(results.matches_).subspan(first * params.k, some.rows * params.k),
        std::span(results.counts_).subspan(first, some.rows), threads);
    if (!ok) return ok.error();
  }
  return results;
}

void finish(Overlap& overlap) {
  overlap.queries = overlap.parts.size();
  const double sum = std::accumulate(overlap.parts.begin(), overlap.parts.end(), 0.0);
  overlap.mean = overlap.parts.empty() ? 1 : sum / static_cast<double>(overlap.parts.size());
}

}  // namespace

Result<double> distance_to_key(const Index& index, std::span<const float> query, Key key,
                               std::vector<float>& vector) {
  const std::size_t count = std::max<std::size_t>(1, index.count(key));
  double least = std::numeric_limits<double>::infinity();
  for (std::size_t i = 0; i < count; ++i) {
    if (auto got = index.get(key, i, vector); !got) return got.error();
    least = std::min(least, exact_distance(index.params().metric, query, vector));
  }
  return least;
}

Result<AllRows> all_rows(const Index& index) {
  const std::size_t dims = index.params().dimensions;
  AllRows rows;
  KeyScan scan;
  std::array<Key, 1024> some;
  std::vector<float> vector(dims);
  while (!scan.done) {
    const auto count = index.keys(scan, some);
    if (!count) return count.error();
    for (std::size_t i = 0; i < *count; ++i) {
      const std::size_t vectors = std::max<std::size_t>(1, index.count(some[i]));
      for (std::size_t v = 0; v < vectors; ++v) {
        if (auto got = index.get(some[i], v, vector); !got) return got.error();
        rows.floats.insert(rows.floats.end(), vector.begin(), vector.end());
      }
      rows.ends.push_back(rows.floats.size() / dims);
    }
  }
  return rows;
}

Result<Overlap> overlap_with(const Index& index, const StoredRows& queries,
                             const AnswerFile& answers, const SearchParams& params,
                             unsigned threads, const std::atomic<bool>* stop) {
  constexpr Key kNothing = ~Key{0};
  constexpr Key kNarrowNothing = std::numeric_limits<std::uint32_t>::max();
  if (answers.rows != queries.view().rows) {
    return Error(ErrorCode::invalid_argument, std::to_string(answers.rows) + " answers to " +
                                                  std::to_string(queries.view().rows) + " queries");
  }
  if (answers.columns < params.k) {
    return Error(ErrorCode::invalid_argument, "answers of " + std::to_string(answers.columns) +
                                                  " neighbours, " + std::to_string(params.k) +
                                                  " are asked for");
  }
  const auto results = Results::of(index, queries, params, threads, stop);
  if (!results) return results.error();
  const auto floats = queries.floats();
  if (!floats) return floats.error();
  std::vector<float> vector(index.params().dimensions);
  Overlap overlap;
  for (std::size_t query = 0; query < answers.rows; ++query) {
    std::unordered_set<Key> found;
    for (const Match& match : results->row(query)) found.insert(match.key);
    double limit = -std::numeric_limits<double>::infinity();
    if (!results->row(query).empty()) {
      const auto last =
          distance_to_key(index, floats->row(query), results->row(query).back().key, vector);
      if (!last) return last.error();
      limit = *last;
    }
    std::unordered_set<Key> wanted;
    std::size_t hits = 0;
    for (const Key key : answers.row(query).first(params.k)) {
      const bool there = index.contains(key);
      if ((!there && (key == kNothing || key == kNarrowNothing)) || !wanted.insert(key).second)
        continue;
      bool hit = found.contains(key);
      if (!hit && there) {
        const auto distance = distance_to_key(index, floats->row(query), key, vector);
        if (!distance) return distance.error();
        hit = as_near(limit, *distance) && as_near(*distance, limit);
      }
      if (hit) ++hits;
    }
    overlap.parts.push_back(
        wanted.empty() ? 1 : static_cast<double>(hits) / static_cast<double>(wanted.size()));
  }
  finish(overlap);
  return overlap;
}

Result<Overlap> overlap_with_exact(const Index& index, const StoredRows& queries,
                                   const SearchParams& params, unsigned threads,
                                   const std::atomic<bool>* stop) {
  const auto results = Results::of(index, queries, params, threads, stop);
  if (!results) return results.error();
  const auto rows = all_rows(index);
  if (!rows) return rows.error();
  const auto floats = queries.floats();
  if (!floats) return floats.error();
  Overlap overlap;
  if (rows->ends.empty()) {
    overlap.parts.assign(floats->rows, 1);
    finish(overlap);
    return overlap;
  }
  const std::size_t dims = index.params().dimensions;
  const Metric metric = index.params().metric;
  const auto kth = kth_distances(metric, rows->floats, floats->values, dims, params.k,
                                 threads_or_all(threads), {}, rows->ends);
  const std::size_t wanted = std::min(params.k, rows->ends.size());
  std::vector<float> vector(dims);
  for (std::size_t query = 0; query < floats->rows; ++query) {
    std::size_t hits = 0;
    for (const Match& match : results->row(query)) {
      const auto distance = distance_to_key(index, floats->row(query), match.key, vector);
      if (!distance) return distance.error();
      if (as_near(*distance, kth[query])) ++hits;
    }
    overlap.parts.push_back(static_cast<double>(hits) / static_cast<double>(wanted));
  }
  finish(overlap);
  return overlap;
}

}  // namespace cairn::tools
