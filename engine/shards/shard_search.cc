// SPDX-License-Identifier: Apache-2.0
//
// The nearest vectors of a set: each shard's, merged.
#include <algorithm>
#include <charconv>
#include <cmath>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <utility>

#include "engine/api/arguments.h"
#include "engine/base/guarded.h"
#include "engine/shards/set_search.h"

namespace cairn {

namespace {

constexpr const char* kSearch = "search";
constexpr const char* kBatch = "search_batch";

// What all searches for the nearest are checked for.
Result<void> check_asked(const char* call, const SearchParams& params, const ShardScope& scope) {
  if (auto ok = check_search(call, params); !ok) return ok;
  if (auto ok = check_scope(call, scope); !ok) return ok;
  if (params.filter == nullptr) return {};
  return Error(ErrorCode::invalid_argument,
               std::string(call) + ": a filter of an index, and not of the set");
}

Result<const ShardFilter::Impl*> filter_of(const SetState& set, const char* call,
                                           const ShardFilter* filter) {
  if (filter == nullptr) return static_cast<const ShardFilter::Impl*>(nullptr);
  return ShardFilterParts::of(call, *filter, set);
}

// How many results a walk of each of `n` shards is asked for at first. Neighbors of a query are
// spread evenly over shards by hash, so that each has few of them; one that has more is asked
// again.
std::size_t share_of_results(const SetState& set, const SearchParams& params,
                             const ShardFilter::Impl* filter, std::size_t n) {
  const bool is_even = !set.folder.empty() && set.manifest.partition == Partition::hash;
  const bool is_plain = params.plan != Plan::exact && filter == nullptr &&
                        params.rerank == nullptr && params.max_distances == 0;
  if (!is_even || !is_plain || n < 2) return params.k;
  constexpr double kWide = 3;
  const double mean = static_cast<double>(params.k) / static_cast<double>(n);
  const double most = mean + kWide * std::sqrt(mean) + 1;
  return std::min(params.k, static_cast<std::size_t>(most));
}

// Whether a list that has given all that it was asked for has been used up: there may be more.
bool is_used_up(const MergeScratch& merge, std::size_t share) {
  return std::any_of(merge.lists.begin(), merge.lists.end(), [&](const MatchList& list) {
    return list.left.empty() && list.size == share;
  });
}

// One query of the shards in scratch.asked, whose answers are merged into `out`.
class OneQuery {
 public:
  OneQuery(const SetState& set, const char* call, const SearchParams& params,
           const ShardFilter::Impl* filter, SetScratch& scratch)
      : set_(set), call_(call), params_(params), filter_(filter), scratch_(scratch) {
    params_.report = nullptr;
    params_.max_distances = share_of(params.max_distances, scratch.asked.size());
    share_ = share_of_results(set, params, filter, scratch.asked.size());
  }

  // In parallel where the set's threads are free, if that is wanted.
  Result<std::size_t> search(VectorView query, std::span<Match> out, bool in_parallel,
                             SetTally& tally) {
    SetTally mine;
    auto found = ask(query, out, in_parallel, mine);
    if (found && share_ < std::min(params_.k, out.size()) && is_used_up(scratch_.merge, share_))
      found = search_again(query, out, *found, in_parallel, mine);
    if (!found) return found;
    mine.add_found(*found);
    tally.add(mine);
    return found;
  }

  // After a first answer, `found` results in `out` that are in the tally: asks each shard for all.
  // If the second pass does not come to its end, the first answer stays.
  Result<std::size_t> search_again(VectorView query, std::span<Match> out, std::size_t found,
                                   bool in_parallel, SetTally& tally) {
    scratch_.first.assign(out.begin(), out.begin() + static_cast<std::ptrdiff_t>(found));
    share_ = params_.k;
    SetTally second;
    const auto again = ask(query, out, in_parallel, second);
    if (!again) return again;
    const bool is_whole = second.is_whole_after(tally);
    tally.add_again(second);
    if (is_whole) return again;
    tally.end_early();
    std::copy(scratch_.first.begin(), scratch_.first.end(), out.begin());
    return found;
  }

 private:
  // Asks each shard for its share, and merges what they have found.
  Result<std::size_t> ask(VectorView query, std::span<Match> out, bool in_parallel,
                          SetTally& tally) {
    const std::size_t n = scratch_.asked.size();
    const std::size_t wanted = std::min(params_.k, out.size());
    const std::size_t room = std::min(share_, wanted);
    scratch_.answers.resize(n);
    scratch_.matches.resize(n * room);
    const auto ask_one = [&](std::size_t i) {
      ask_shard(i, query, std::span(scratch_.matches).subspan(i * room, room));
    };
    // The fresh one last: what another one has lost by then, it has.
    const std::size_t apart = set_.has_fresh() ? n - 1 : n;
    if (in_parallel) {
      set_.threads.run(apart, std::ref(ask_one));  // allocates nothing
    } else {
      for (std::size_t i = 0; i < apart; ++i) ask_one(i);
    }
    if (apart < n) ask_one(apart);
    Merge merge(query, set_.params, params_.rerank == nullptr, scratch_.merge);
    scratch_.merge.lists.clear();
    for (std::size_t i = 0; i < n; ++i) {
      const Shard& shard = set_.shards[scratch_.asked[i]];
      const ShardAnswer& answer = scratch_.answers[i];
      if (!shard.index) {
        tally.add_missing(scratch_.asked[i]);
        continue;
      }
      if (auto ok = tally.add(set_, call_, scratch_.asked[i], answer); !ok) return ok.error();
      if (!answer.outcome) continue;
      scratch_.merge.lists.push_back({&*shard.index,
                                      std::span(scratch_.matches).subspan(i * room, answer.count),
                                      {},
                                      answer.count});
    }
    scratch_.merge.given.begin(wanted);
    return merge.take(out.first(wanted));
  }

  void ask_shard(std::size_t i, VectorView query, std::span<Match> out) {
    const std::uint32_t number = scratch_.asked[i];
    const Shard& shard = set_.shards[number];
    ShardAnswer& answer = scratch_.answers[i];
    answer.count = 0;
    answer.outcome = {};
    if (!shard.index) return;
    SearchParams mine = params_;
    mine.k = share_;
    if (filter_ != nullptr) mine.filter = &*filter_->each[number];
    mine.report = &answer.report;
    const auto found = shard.index->search(query, mine, out);
    if (found) {
      answer.count = *found;
    } else {
      answer.outcome = found.error();
    }
  }

  const SetState& set_;
  const char* const call_;
  SearchParams params_;
  const ShardFilter::Impl* filter_;
  SetScratch& scratch_;
  std::size_t share_;  // of the results, that each shard is asked for
};

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

  // Enough parts for all threads, and answers of all shards that stay in a cache.
  std::size_t rows_at_once() const {
    constexpr std::size_t kMost = 64;
    constexpr std::size_t kMatches = 1 << 16;
    const std::size_t parts = 4 * std::size_t{set_.threads.width()};
    const std::size_t fit = kMatches / std::max<std::size_t>(1, set_.shards.size() * params_.k);
    return std::clamp<std::size_t>(std::min(queries_.rows / parts, fit), 1, kMost);
  }

  const ShardFilter::Impl* filter_of_row(std::size_t row) const {
    return filters_.empty() ? nullptr : filters_[filters_.size() == 1 ? 0 : row];
  }

  Result<void> search_rows(std::size_t begin, std::size_t end, SetTally& tally) {
    auto scratch = set_.scratch.take();
    if (!is_routed()) return ask_all(begin, end, *scratch, tally);
    for (std::size_t row = begin; row < end; ++row) {
      if (auto ok = choose(set_, kBatch, queries_.row(row), scope_, *scratch); !ok) return ok;
      OneQuery one(set_, kBatch, params_, filter_of_row(row), *scratch);
      const auto found =
          one.search(queries_.row(row), out_.subspan(row * params_.k, params_.k), false, tally);
      if (!found) return found.error();
      counts_[row] = *found;
    }
    return {};
  }

  // All rows of each shard, then the merge of each row.
  Result<void> ask_all(std::size_t begin, std::size_t end, SetScratch& scratch, SetTally& tally) {
    const std::size_t shards = set_.shards.size();
    const std::size_t rows = end - begin;
    const std::size_t k = params_.k;
    const bool is_filtered = std::any_of(filters_.begin(), filters_.end(),
                                         [](const auto* filter) { return filter != nullptr; });
    const std::size_t share = is_filtered ? k : share_of_results(set_, params_, nullptr, shards);
    scratch.answers.resize(shards);
    scratch.matches.resize(shards * rows * share);
    scratch.counts.resize(shards * rows);
    for (std::size_t shard = 0; shard < shards; ++shard) {
      if (!set_.shards[shard].index) {
        tally.add_missing(shard, rows);
        continue;
      }
      ask_shard(shard, begin, rows, share, scratch);
      if (auto ok = tally.add(set_, kBatch, shard, scratch.answers[shard], rows); !ok)
        return of_all_rows(ok.error(), begin);
    }
    for (std::size_t row = 0; row < rows; ++row) {
      Merge merge(queries_.row(begin + row), set_.params, params_.rerank == nullptr, scratch.merge);
      scratch.merge.lists.clear();
      for (std::size_t shard = 0; shard < shards; ++shard) {
        const auto& index = set_.shards[shard].index;
        if (!index || !scratch.answers[shard].outcome) continue;
        const std::size_t at = shard * rows + row;
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
    ShardScope all = scope_;
    all.probe = 0;
    if (auto ok = choose(set_, kBatch, queries_.row(row), all, *scratch); !ok) return ok.error();
    OneQuery one(set_, kBatch, params_, nullptr, *scratch);
    return one.search_again(queries_.row(row), out, found, false, tally);
  }

  void ask_shard(std::size_t shard, std::size_t begin, std::size_t rows, std::size_t share,
                 SetScratch& scratch) {
    ShardAnswer& answer = scratch.answers[shard];
    MatrixView some = queries_;
    some.data = queries_.row(begin).data();
    some.rows = rows;
    SearchParams mine = params_;
    mine.k = share;
    mine.report = &answer.report;
    mine.max_distances = share_of(params_.max_distances, set_.shards.size());
    const auto out = std::span(scratch.matches).subspan(shard * rows * share, rows * share);
    const auto counts = std::span(scratch.counts).subspan(shard * rows, rows);
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

Result<std::size_t> ShardSet::search(VectorView query, const SearchParams& params,
                                     std::span<Match> out, const ShardScope& scope) const {
  return guarded(kSearch, [&]() -> Result<std::size_t> {
    if (auto ok = check_asked(kSearch, params, scope); !ok) return ok.error();
    if (auto ok = check_vector(kSearch, query, impl_->params, Purpose::query); !ok)
      return ok.error();
    const auto filter = filter_of(*impl_, kSearch, scope.filter);
    if (!filter) return filter.error();
    auto scratch = impl_->scratch.take();
    if (auto ok = choose(*impl_, kSearch, query, scope, *scratch); !ok) return ok.error();
    SetTally tally;
    const auto found =
        OneQuery(*impl_, kSearch, params, *filter, *scratch).search(query, out, true, tally);
    if (!found) return found;
    if (auto ok = tally.tell(*impl_, kSearch, params.report, scope.report); !ok) return ok.error();
    return found;
  });
}

Result<std::vector<Match>> ShardSet::search(VectorView query, const SearchParams& params,
                                            const ShardScope& scope) const {
  return guarded(kSearch, [&]() -> Result<std::vector<Match>> {
    for (;;) {
      std::vector<Match> matches(std::min(params.k, size()));
      const auto found = search(query, params, matches, scope);
      if (!found) return found.error();
      // There may be more by now, and then the answer was cut short.
      if (*found == matches.size() && *found < params.k && size() > *found) continue;
      matches.resize(*found);
      return matches;
    }
  });
}

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
