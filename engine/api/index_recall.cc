// SPDX-License-Identifier: Apache-2.0
//
// Recall against the exact plan, and the ef that reaches one.
#include <algorithm>
#include <cmath>
#include <string>
#include <utility>
#include <vector>

#include "engine/api/arguments.h"
#include "engine/api/index_impl.h"
#include "engine/base/guarded.h"
#include "format/io/stop.h"

namespace cairn {

namespace {

// Queries whose results are in memory at a time; between two such pieces a stop is asked for.
constexpr std::size_t kRowsAtOnce = 256;

// Wilson's score interval of a mean of values in [0, 1]. Hits of one query depend on each other:
// the sample is as large as the spread between queries tells, and where they all agree, one a
// query.
RecallReport interval_of(const std::vector<double>& parts) {
  constexpr double kDeviations = 1.959964;  // 95 %
  const auto n = static_cast<double>(parts.size());
  double sum = 0;
  for (const double part : parts) sum += part;
  const double mean = sum / n;
  double squares = 0;
  for (const double part : parts) squares += (part - mean) * (part - mean);
  const double spread = parts.size() > 1 ? squares / (n - 1) : 0;
  const double most = mean * (1 - mean);  // the spread of queries that find all or nothing
  const double sample = spread > 0 && most > 0 ? std::max(n, n * most / spread) : n;
  const double z2 = kDeviations * kDeviations / sample;
  const double middle = (mean + z2 / 2) / (1 + z2);
  const double half = kDeviations / (1 + z2) * std::sqrt(most / sample + z2 / (4 * sample));
  return {mean, std::max(0.0, std::min(mean, middle - half)),
          std::min(1.0, std::max(mean, middle + half)), parts.size()};
}

// Queries and what their true answers are.
class Recall {
 public:
  Recall(const Index& index, const MatrixView& queries, std::size_t k, const BuildOptions& options)
      : index_(index), queries_(queries), k_(std::min(k, index.size())), options_(options) {}

  // The true answers to searches with `params`.
  Result<void> find_truth(SearchParams params) {
    params.plan = Plan::exact;
    params.max_distances = 0;
    params.deadline = {};
    truth_.clear();
    return search(params, Rows::together, [&](std::span<const Match> matches) {
      truth_.push_back({matches.size(), matches.empty() ? 0.0f : matches.back().distance});
    });
  }

  // Of searches one at a time: without a filter these may walk where batches are scanned.
  Result<RecallReport> measure(SearchParams params) {
    const bool is_alone = params.plan == Plan::automatic && params.filter == nullptr;
    std::vector<double> parts;
    const auto done = search(
        params, is_alone ? Rows::alone : Rows::together, [&](std::span<const Match> matches) {
          const Truth& truth = truth_[parts.size()];
          std::size_t hits = 0;
          for (const Match& match : matches) hits += match.distance <= truth.distance ? 1 : 0;
          hits = std::min(hits, truth.count);
          parts.push_back(truth.count == 0
                              ? 1.0
                              : static_cast<double>(hits) / static_cast<double>(truth.count));
        });
    if (!done) return done.error();
    return interval_of(parts);
  }

 private:
  struct Truth {
    std::size_t count;
    float distance;  // of the last one
  };

  enum class Rows { together, alone };

  // Calls see(matches) for each row in turn. alone: each is searched for as a single query is.
  template <class See>
  Result<void> search(SearchParams params, Rows rows, See&& see) {
    params.k = std::max<std::size_t>(1, k_);
    params.report = nullptr;
    params.stop = options_.stop;
    std::vector<Match> matches(std::min(kRowsAtOnce, queries_.rows) * params.k);
    std::vector<std::size_t> counts(kRowsAtOnce);
    ++passes_;
    for (std::size_t begin = 0; begin < queries_.rows; begin += kRowsAtOnce) {
      if (format::is_stopped(options_.stop)) return format::stopped();
      MatrixView some = queries_;
      some.data = queries_.row(begin).data();
      some.rows = std::min(kRowsAtOnce, queries_.rows - begin);
      if (auto ok = search_piece(some, params, rows, matches, counts); !ok) return ok;
      for (std::size_t i = 0; i < some.rows; ++i) {
        see(std::span<const Match>(matches).subspan(i * params.k, counts[i]));
      }
      if (!options_.progress) continue;
      const std::size_t done = (passes_ - 1) * queries_.rows + begin + some.rows;
      options_.progress(done, std::max<std::size_t>(2, passes_) * queries_.rows);
    }
    return format::is_stopped(options_.stop) ? Result<void>(format::stopped()) : Result<void>();
  }

  Result<void> search_piece(const MatrixView& some, SearchParams params, Rows rows,
                            std::span<Match> out, std::span<std::size_t> counts) const {
    if (rows == Rows::together) {
      return index_.search_batch(some, params, out, counts, options_.threads);
    }
    // Rows with filters of their own are never scanned for together.
    const std::vector<const Filter*> filters(some.rows, params.filter);
    params.filter = nullptr;
    return index_.search_batch(some, params, filters, out, counts, options_.threads);
  }

  const Index& index_;
  const MatrixView& queries_;
  const std::size_t k_;
  const BuildOptions& options_;
  std::vector<Truth> truth_;
  std::size_t passes_ = 0;
};

}  // namespace

Result<void> Index::Impl::check_measured(const char* what, const MatrixView& queries,
                                         const SearchParams& asked) const {
  if (auto ok = check_mapped(what); !ok) return ok;
  if (auto ok = check_search(what, asked); !ok) return ok;
  if (auto ok = check_matrix(what, queries, params, Purpose::query); !ok) return ok;
  const auto invalid = [&](const char* why) {
    return Error(ErrorCode::invalid_argument, std::string(what) + ": " + why);
  };
  if (queries.rows == 0) return invalid("no queries");
  if (asked.rerank != nullptr) return invalid("the exact plan knows nothing of rerank");
  return {};
}

Result<RecallReport> Index::measure_recall(MatrixView queries, const SearchParams& params,
                                           const BuildOptions& options) const {
  return guarded("measure_recall", [&]() -> Result<RecallReport> {
    if (auto ok = impl_->check_measured("measure_recall", queries, params); !ok) return ok.error();
    Recall recall(*this, queries, params.k, options);
    if (auto ok = recall.find_truth(params); !ok) return ok.error().with_context("measure_recall");
    auto measured = recall.measure(impl_->with_ef(params));
    if (!measured) return measured.error().with_context("measure_recall");
    return measured;
  });
}

Result<std::size_t> Index::ef_for(double recall, MatrixView queries, std::size_t k,
                                  const BuildOptions& options) const {
  return guarded("ef_for", [&]() -> Result<std::size_t> {
    SearchParams params;
    params.k = k;
    if (auto ok = impl_->check_measured("ef_for", queries, params); !ok) return ok.error();
    if (!(recall > 0 && recall <= 1)) {
      return Error(ErrorCode::invalid_argument,
                   "ef_for: recall " + std::to_string(recall) + " is not above 0 and at most 1");
    }
    Recall measured(*this, queries, k, options);
    if (auto ok = measured.find_truth(params); !ok) return ok.error().with_context("ef_for");
    double reached = 0;
    const auto suffices = [&](std::size_t ef) -> Result<bool> {
      params.ef = ef;
      const auto report = measured.measure(params);
      if (!report) return report.error().with_context("ef_for");
      reached = report->recall;
      return reached >= recall - 1e-9;
    };
    const std::size_t least = std::min<std::size_t>(k, format::kMaxAdvisedEf);
    const std::size_t most = std::max(least, std::min<std::size_t>(size(), format::kMaxAdvisedEf));
    std::size_t too_small = 0;
    std::size_t ef = least;
    for (;;) {
      const auto is_enough = suffices(ef);
      if (!is_enough) return is_enough.error();
      if (*is_enough) break;
      if (ef == most) {
        return Error(ErrorCode::unsupported,
                     "ef_for: recall " + std::to_string(recall) + " is not reached: it is " +
                         std::to_string(reached) + " with ef " + std::to_string(ef));
      }
      too_small = ef;
      ef = std::min(2 * ef, most);
    }
    while (too_small != 0 && ef - too_small > std::max<std::size_t>(1, ef / 64)) {
      const std::size_t middle = too_small + (ef - too_small) / 2;
      const auto is_enough = suffices(middle);
      if (!is_enough) return is_enough.error();
      (*is_enough ? ef : too_small) = middle;
    }
    return ef;
  });
}

}  // namespace cairn
