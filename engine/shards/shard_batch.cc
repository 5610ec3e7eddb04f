// SPDX-License-Identifier: Apache-2.0
//
// The nearest vectors of a set for several queries: each shard is asked for some of them at a time.
#include <algorithm>
#include <charconv>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "engine/api/arguments.h"
#include "engine/api/index_parts.h"
#include "engine/base/guarded.h"
#include "engine/search/search.h"
#include "engine/shards/shard_query.h"

namespace cairn {

namespace {

constexpr const char* kBatch = "search_batch";

// "search_batch: row 3: ..." of rows from `first` on, as what it is of all.
Error of_all_rows(const Error& error, std::size_t first) {
  const std::string& text = error.message();
  constexpr std::string_view kRow = "row ";
  const std::size_t at = text.find(kRow);
  if (at == std::string::npos) return error;
  std::size_t row = 0;
  const char* const digits = text.data() + at + kRow.size();
  const auto [end, failed] = std::from_chars(digits, text.data() + text.size(), row);
  if (failed != std::errc()) return error;
  return Error(error.code(), text.substr(0, at + kRow.size()) + std::to_string(row + first) +
                                 text.substr(static_cast<std::size_t>(end - text.data())));
}

// A batch, in parts of some rows; each part asks one shard after the other.
class SetBatch {
 public:
  SetBatch(const SetState& set, MatrixView queries, const SearchParams& params,
           const ShardScope& scope, std::span<const ShardFilter::Impl* const> filters,
           std::span<Match> out, std::span<std::size_t> counts)
      : set_(set),
        queries_(queries),
        params_(params),
        scope_(scope),
        filters_(filters),
        out_(out),
        counts_(counts) {}

  Result<void> run() {
    const std::size_t rows = queries_.rows;
    choose_all(set_, all_.asked);
    choose_plans();
    const std::size_t at_once = rows_at_once();
    const std::size_t parts = (rows + at_once - 1) / at_once;
    set_.threads.run(parts, [&](std::size_t part) {
      const std::size_t begin = part * at_once;
      SetTally tally;
      const auto done = guarded(
          kBatch, [&] { return search_rows(begin, std::min(begin + at_once, rows), tally); });
      const std::lock_guard lock(mutex_);
      tally_.add(tally);
      if (!done && begin < failed_at_) {
        failed_at_ = begin;
        outcome_ = done;
      }
    });
    if (!outcome_) return outcome_;
    return tally_.tell(set_, kBatch, params_.report, scope_.report);
  }

 private:
  bool is_routed() const { return scope_.probe != 0 && set_.router.has_value(); }

  // Whether a shard is best scanned for all rows together depends on how many there are, and not on
  // how many of them make a part. A scan finds all results at once: no second pass shall follow.
  void choose_plans() {
    all_.plans.assign(set_.shards.size(), params_.plan);
    all_.is_scanned = params_.plan == Plan::exact;
    all_.share = params_.k;
    if (is_filtered() || is_routed()) return;
    const std::size_t share = share_of_results(set_, params_, nullptr, all_.asked.size());
    if (params_.plan == Plan::automatic) {
      SearchParams mine = params_;
      mine.k = share;  // what a walk would be asked for at first
      mine.max_distances = share_of(params_.max_distances, all_.asked.size());
      for (const std::uint32_t shard : all_.asked) {
        const auto& index = set_.shards[shard].index;
        const bool scans = index && IndexParts::scans_batch(*index, mine, queries_.rows);
        all_.plans[shard] = scans ? Plan::exact : Plan::walk;
        all_.is_scanned |= scans;
      }
    }
    if (!all_.is_scanned) all_.share = share;
  }

  // Told from counts alone, so that an answer is the same for any number of threads. Parts for as
  // many of them as most machines have, answers of all shards that stay in a cache, and as many
  // rows as are scanned for at the cost of one.
  std::size_t rows_at_once() const {
    constexpr std::size_t kParts = 64;
    constexpr std::size_t kMost = 64;
    constexpr std::size_t kMatches = 1 << 16;
    const std::size_t fit = kMatches / std::max<std::size_t>(1, all_.asked.size() * params_.k);
    const std::size_t least = all_.is_scanned ? least_scanned_together(queries_.rows) : 1;
    return std::clamp(std::min(queries_.rows / kParts, fit), least, kMost);
  }

  bool is_filtered() const {
    return std::any_of(filters_.begin(), filters_.end(),
                       [](const auto* filter) { return filter != nullptr; });
  }

  const ShardFilter::Impl* filter_of_row(std::size_t row) const {
    return filters_.empty() ? nullptr : filters_[filters_.size() == 1 ? 0 : row];
  }

  Result<void> search_rows(std::size_t begin, std::size_t end, SetTally& tally) {
    auto scratch = set_.scratch.take();
    if (!is_routed()) return ask_all(begin, end, *scratch, tally);
    for (std::size_t row = begin; row < end; ++row) {
      if (auto ok = choose(set_, kBatch, queries_.row(row), scope_, *scratch); !ok) return ok;
      ShardQuery one(set_, kBatch, params_, filter_of_row(row), *scratch);
      const auto found =
          one.search(queries_.row(row), out_.subspan(row * params_.k, params_.k), false, tally);
      if (!found) return found.error();
      counts_[row] = *found;
    }
    return {};
  }

  // All rows of each shard, then the merge of each row.
  Result<void> ask_all(std::size_t begin, std::size_t end, SetScratch& scratch, SetTally& tally) {
    const std::size_t n = all_.asked.size();
    const std::size_t rows = end - begin;
    const std::size_t k = params_.k;
    const std::size_t share = all_.share;
    scratch.answers.resize(n);
    scratch.matches.resize(n * rows * share);
    scratch.counts.resize(n * rows);
    for (std::size_t i = 0; i < n; ++i) {
      const std::uint32_t shard = all_.asked[i];
      if (!set_.shards[shard].index) {
        tally.add_missing(shard, rows);
        continue;
      }
      ask_shard(i, begin, rows, share, scratch);
      if (auto ok = tally.add(set_, kBatch, shard, scratch.answers[i], rows); !ok)
        return of_all_rows(ok.error(), begin);
    }
    for (std::size_t row = 0; row < rows; ++row) {
      Merge merge(queries_.row(begin + row), set_.params, params_.rerank == nullptr, scratch.merge);
      scratch.merge.lists.clear();
      for (std::size_t i = 0; i < n; ++i) {
        const auto& index = set_.shards[all_.asked[i]].index;
        if (!index || !scratch.answers[i].outcome) continue;
        const std::size_t at = i * rows + row;
        scratch.merge.lists.push_back(
            {&*index,
             std::span(scratch.matches).subspan(at * share, scratch.counts[at]),
             {},
             scratch.counts[at]});
      }
      scratch.merge.given.begin(k);
      const auto out = out_.subspan((begin + row) * k, k);
      counts_[begin + row] = merge.take(out);
      if (share < k && is_used_up(scratch.merge, share)) {
        const auto found = ask_again(begin + row, out, counts_[begin + row], tally);
        if (!found) return found.error();
        counts_[begin + row] = *found;
      }
      tally.add_found(counts_[begin + row]);
    }
    return {};
  }

  // A row of which a shard may have more results than it was asked for.
  Result<std::size_t> ask_again(std::size_t row, std::span<Match> out, std::size_t found,
                                SetTally& tally) const {
    auto scratch = set_.scratch.take();
    scratch->asked = all_.asked;
    ShardQuery one(set_, kBatch, params_, nullptr, *scratch);
    return one.search_again(queries_.row(row), out, found, false, tally);
  }

  void ask_shard(std::size_t i, std::size_t begin, std::size_t rows, std::size_t share,
                 SetScratch& scratch) {
    const std::uint32_t shard = all_.asked[i];
    ShardAnswer& answer = scratch.answers[i];
    MatrixView some = queries_;
    some.data = queries_.row(begin).data();
    some.rows = rows;
    SearchParams mine = params_;
    mine.k = share;
    mine.plan = all_.plans[shard];
    mine.report = &answer.report;
    mine.max_distances = share_of(params_.max_distances, all_.asked.size());
    const auto out = std::span(scratch.matches).subspan(i * rows * share, rows * share);
    const auto counts = std::span(scratch.counts).subspan(i * rows, rows);
    const Index& index = *set_.shards[shard].index;
    if (filters_.size() <= 1) {
      const ShardFilter::Impl* filter = filter_of_row(0);
      if (filter != nullptr) mine.filter = &*filter->each[shard];
      answer.outcome = index.search_batch(some, mine, out, counts, 1);
      return;
    }
    scratch.filters.resize(rows);
    for (std::size_t row = 0; row < rows; ++row) {
      const ShardFilter::Impl* filter = filters_[begin + row];
      scratch.filters[row] = filter == nullptr ? nullptr : &*filter->each[shard];
    }
    answer.outcome = index.search_batch(some, mine, scratch.filters, out, counts, 1);
  }

  const SetState& set_;
  const MatrixView queries_;
  const SearchParams& params_;
  const ShardScope& scope_;
  const std::span<const ShardFilter::Impl* const> filters_;  // none, one for all, or one a row
  const std::span<Match> out_;
  const std::span<std::size_t> counts_;
  struct {
    std::vector<std::uint32_t> asked;  // what every row is asked of, if none is routed
    std::vector<Plan> plans;           // of each shard of the set
    bool is_scanned = false;           // one of them at least
    std::size_t share = 0;             // of the results, that each shard is asked for at first
  } all_;
  std::mutex mutex_;
  SetTally tally_;                    // guarded by mutex_
  Result<void> outcome_;              // the same: of the first part that has failed
  std::size_t failed_at_ = SIZE_MAX;  // the same: where it begins
};

Result<void> check_rows(const SetState& set, const MatrixView& queries, std::size_t k,
                        std::size_t room, std::size_t counts) {
  if (auto ok = check_matrix(kBatch, queries, set.params, Purpose::query); !ok) return ok;
  if (counts < queries.rows || room / k < queries.rows) {
    return Error(ErrorCode::invalid_argument,
                 "search_batch: " + std::to_string(queries.rows) + " queries with k " +
                     std::to_string(k) + " need more room than " + std::to_string(room) +
                     " matches and " + std::to_string(counts) + " counts");
  }
  for (std::size_t i = 0; i < queries.rows; ++i) {
    if (check_vector("", queries.row(i), set.params, Purpose::query)) continue;
    const std::string where = "search_batch: row " + std::to_string(i);
    return check_vector(where.c_str(), queries.row(i), set.params, Purpose::query);
  }
  return {};
}

}  // namespace

Result<void> ShardSet::search_batch(MatrixView queries, const SearchParams& params,
                                    std::span<Match> out, std::span<std::size_t> counts,
                                    const ShardScope& scope) const {
  return guarded(kBatch, [&]() -> Result<void> {
    if (auto ok = check_asked(kBatch, params, scope); !ok) return ok;
    if (auto ok = check_rows(*impl_, queries, params.k, out.size(), counts.size()); !ok) return ok;
    const auto filter = filter_of(*impl_, kBatch, scope.filter);
    if (!filter) return filter.error();
    const std::span<const ShardFilter::Impl* const> filters(&*filter, *filter == nullptr ? 0 : 1);
    return SetBatch(*impl_, queries, params, scope, filters, out, counts).run();
  });
}

Result<void> ShardSet::search_batch(MatrixView queries, const SearchParams& params,
                                    std::span<const ShardFilter* const> one_a_row,
                                    std::span<Match> out, std::span<std::size_t> counts,
                                    const ShardScope& scope) const {
  return guarded(kBatch, [&]() -> Result<void> {
    const auto invalid = [](std::string problem) {
      return Error(ErrorCode::invalid_argument, "search_batch: " + std::move(problem));
    };
    if (auto ok = check_asked(kBatch, params, scope); !ok) return ok;
    if (scope.filter != nullptr) return invalid("a filter for all rows, and one a row");
    if (one_a_row.size() != queries.rows) {
      return invalid(std::to_string(one_a_row.size()) + " filters for " +
                     std::to_string(queries.rows) + " rows");
    }
    if (auto ok = check_rows(*impl_, queries, params.k, out.size(), counts.size()); !ok) return ok;
    std::vector<const ShardFilter::Impl*> filters;
    for (const ShardFilter* one : one_a_row) {
      const auto filter = filter_of(*impl_, kBatch, one);
      if (!filter) return filter.error().with_context("row " + std::to_string(filters.size()));
      filters.push_back(*filter);
    }
    return SetBatch(*impl_, queries, params, scope, filters, out, counts).run();
  });
}

}  // namespace cairn
