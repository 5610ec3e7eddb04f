// SPDX-License-Identifier: Apache-2.0
#include "tools/command/search_run.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cmath>
#include <mutex>
#include <optional>
#include <thread>

#include "tools/command/command.h"

namespace cairn::tools {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::size_t kWarmUpQueries = 200;
// Passes over few queries are repeated until so much time is measured.
constexpr double kMinSeconds = 0.2;
constexpr std::size_t kMaxSamples = 2'000'000;

double seconds_between(Clock::time_point begin, Clock::time_point end) {
  return std::chrono::duration<double>(end - begin).count();
}

// Searches the first `count` queries; the time of each goes behind `samples`, in microseconds.
Result<void> pass(std::size_t count, unsigned threads, const SearchQuery& search,
                  std::vector<double>& samples) {
  const std::size_t base = samples.size();
  samples.resize(base + count);
  std::atomic<std::size_t> next{0};
  std::mutex mutex;
  std::optional<Error> failure;  // under mutex
  const auto work = [&] {
    for (std::size_t query = next.fetch_add(1); query < count; query = next.fetch_add(1)) {
      const auto begin = Clock::now();
      const auto done = search(query);
      samples[base + query] = seconds_between(begin, Clock::now()) * 1e6;
      if (!done) {
        const std::lock_guard lock(mutex);
        if (!failure) failure = done.error().with_context("query " + std::to_string(query));
        next.store(count);
        return;
      }
    }
  };
  {
    std::vector<std::jthread> workers;
    for (unsigned i = 1; i < threads; ++i) workers.emplace_back(work);
    work();
  }
  if (failure) return *failure;
  return {};
}

}  // namespace

double percentile(std::span<const double> sorted, double part) {
  const auto rank = static_cast<std::size_t>(std::ceil(part * static_cast<double>(sorted.size())));
  return sorted[std::clamp<std::size_t>(rank, 1, sorted.size()) - 1];
}

Result<Timing> time_searches(std::size_t queries, unsigned threads, const SearchQuery& search) {
  std::vector<double> samples;
  if (auto ok = pass(std::min(queries, kWarmUpQueries), threads, search, samples); !ok) {
    return ok.error();
  }
  samples.clear();
  double seconds = 0;
  do {
    const auto begin = Clock::now();
    if (auto ok = pass(queries, threads, search, samples); !ok) return ok.error();
    seconds += seconds_between(begin, Clock::now());
  } while (seconds < kMinSeconds && samples.size() + queries <= kMaxSamples);

  std::sort(samples.begin(), samples.end());
  return Timing{static_cast<double>(samples.size()) / seconds, percentile(samples, 0.50),
                percentile(samples, 0.99)};
}

Result<SearchRun> run_searches(const Index& index, const MatrixView& queries,
                               const SearchParams& params, unsigned threads) {
  SearchRun run;
  run.k = std::min(params.k, index.size());
  run.matches.resize(queries.rows * run.k);
  run.counts.resize(queries.rows);
  const auto search = [&](std::size_t query) -> Result<void> {
    const std::span<Match> out(run.matches.data() + query * run.k, run.k);
    const auto found = index.search(queries.row(query), params, out);
    if (!found) return without_operation(found.error(), "search");
    run.counts[query] = *found;
    return {};
  };
  const auto timing = time_searches(queries.rows, threads, search);
  if (!timing) return timing.error();
  run.timing = *timing;
  return run;
}

}  // namespace cairn::tools
