// SPDX-License-Identifier: Apache-2.0
//
// Searches of the public class: arguments, one moment of the index, the caller's own metric, limits
// and reports. How nearest vectors are found is engine/search/'s.
#include <algorithm>
#include <atomic>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "engine/api/arguments.h"
#include "engine/api/index_impl.h"
#include "engine/api/index_parts.h"
#include "engine/api/rerank.h"
#include "engine/base/guarded.h"
#include "engine/base/workers.h"
#include "engine/search/by_key.h"

namespace cairn {

// Several rows of a batch, or one, whose numbers are added.
class SearchTally {
 public:
  void add(Plan plan, const Effort& effort, std::size_t found) {
    if (is_empty_) report_.plan = plan;
    if (report_.plan != plan) report_.plan = Plan::automatic;
    is_empty_ = false;
    report_.complete &= !effort.is_over();
    report_.distances += effort.distances();
    report_.lists += effort.lists();
    found_ += found;
  }
  void add(const SearchTally& other) {
    if (other.is_empty_) return;
    if (is_empty_) report_.plan = other.report_.plan;
    if (report_.plan != other.report_.plan) report_.plan = Plan::automatic;
    is_empty_ = false;
    report_.complete &= other.report_.complete;
    report_.distances += other.report_.distances;
    report_.lists += other.report_.lists;
    found_ += other.found_;
  }

  // What the caller gets to know; an error if a limit has ended the search before it found
  // anything.
  Result<void> tell(const char* what, const SearchParams& params) const {
    if (!report_.complete && found_ == 0) {
      const auto fail = [&](ErrorCode code, const char* why) {
        return Error(code, std::string(what) + ": " + why + " before anything was found");
      };
      if (params.stop != nullptr && params.stop->load(std::memory_order_relaxed)) {
        return fail(ErrorCode::cancelled, "stopped");
      }
      if (params.deadline != Effort::Clock::time_point() &&
          Effort::Clock::now() >= params.deadline) {
        return fail(ErrorCode::deadline_exceeded, "the deadline has passed");
      }
    }
    if (params.report != nullptr) *params.report = report_;
    return {};
  }

 private:
  SearchReport report_;
  std::size_t found_ = 0;
  bool is_empty_ = true;
};

namespace {

// What was found for one query becomes its answer; the number of matches, nothing if a page could
// not be read.
std::optional<std::size_t> answer(const IndexState& state, const Space& space,
                                  const SearchParams& params, std::size_t found, PageUse& use,
                                  SearchScratch& scratch, std::span<Match> out) {
  const std::size_t most = std::min(params.k, out.size());
  if (params.rerank == nullptr) {
    const std::size_t given = std::min(found, most);
    report(space, scratch, out.first(given));
    return given;
  }
  if (!rerank(state, space.view(), *params.rerank, use, scratch, found)) return std::nullopt;
  const std::size_t given = std::min(found, most);
  for (std::size_t i = 0; i < given; ++i) {
    out[i] = {scratch.matches[i].key, static_cast<float>(scratch.matches[i].distance)};
  }
  return given;
}

}  // namespace

// What a search asks the index for, checked.
class Index::Impl::Searcher {
 public:
  static Result<Searcher> of(Impl& impl, const char* what, const SearchParams& params) {
    if (auto ok = check_search(what, params); !ok) return ok.error();
    if (params.filter == nullptr) return Searcher(impl, impl.with_ef(params), nullptr);
    const auto filter = FilterParts::of(what, *params.filter, impl);
    if (!filter) return filter.error();
    return Searcher(impl, impl.with_ef(params), *filter);
  }

  const SearchParams& params() const { return params_; }

  // One query: how many matches, into `out`.
  Result<std::size_t> search(VectorView query, WideningScratch& scratch, std::span<Match> out,
                             SearchTally& tally) const {
    return search(query, filter_, scratch, out, tally);
  }
  Result<std::size_t> search(VectorView query, SlotFilter* filter, WideningScratch& scratch,
                             std::span<Match> out, SearchTally& tally) const {
    const LatencyRecorder::Timer timer(impl_.latency);
    std::optional<std::size_t> count;
    FoundNearest found;
    PageUse use;
    const auto looked = impl_.look_at_one_moment([&] {
      const FilteredView view = filtered_view(impl_, filter, &use);
      const Space& space = view.space;
      const bool readable =
          view.outcome == SlotFilter::Outcome::followed && impl_.survives(space.view(), [&] {
            found = space.view().several_per_key
                        ? find_nearest_keys(space, query, params_, view.slots, scratch)
                        : find_nearest(space, query, params_, view.slots, scratch);
          });
      count =
          readable ? answer(impl_, space, params_, found.count, use, scratch, out) : std::nullopt;
      return space.view();
    });
    if (!looked) return looked.error();
    if (!count) return impl_.unreadable();
    if (use.bad()) return *use.bad();
    timer.end();
    tally.add(found.plan, scratch.effort, *count);
    return *count;
  }

  // Whether all queries with the same filter are best scanned together.
  bool scans(std::size_t queries) const {
    const Epochs::Guard guard(impl_.epochs);
    const FilteredView view = filtered_view(impl_, filter_);
    return is_scanned_together(view.space, params_, view.slots, queries);
  }

  // How many of them at once.
  std::size_t scanned_at_once(std::size_t queries) const {
    const Epochs::Guard guard(impl_.epochs);
    return cairn::scanned_at_once(filtered_view(impl_, filter_).space, queries);
  }

  // All rows at once, at most GroupScratch::kMost.
  Result<void> scan(const MatrixView& rows, std::span<Match> out, std::span<std::size_t> counts,
                    SearchTally& tally) const {
    const LatencyRecorder::Timer timer(impl_.latency);
    auto scratch = impl_.group_scratch.take();
    bool is_read = false;
    PageUse use;
    const auto looked = impl_.look_at_one_moment([&] {
      const FilteredView view = filtered_view(impl_, filter_, &use);
      const Space& space = view.space;
      is_read = view.outcome == SlotFilter::Outcome::followed && impl_.survives(space.view(), [&] {
        scan_for_nearest(space, rows, params_, view.slots, *scratch);
      });
      for (std::size_t i = 0; is_read && i < rows.rows; ++i) {
        const auto count = answer(impl_, space, params_, scratch->found[i].count, use,
                                  scratch->each[i], out.subspan(i * params_.k, params_.k));
        is_read = count.has_value();
        counts[i] = count.value_or(0);
      }
      return space.view();
    });
    if (!looked) return looked.error();
    if (!is_read) return impl_.unreadable();
    if (use.bad()) return *use.bad();
    timer.end(rows.rows);
    for (std::size_t i = 0; i < rows.rows; ++i) {
      tally.add(Plan::exact, scratch->each[i].effort, counts[i]);
    }
    return {};
  }

 private:
  Searcher(Impl& impl, const SearchParams& params, SlotFilter* filter)
      : impl_(impl), params_(impl.with_ef(params)), filter_(filter) {}

  Impl& impl_;
  const SearchParams params_;
  SlotFilter* filter_;  // null: none
};

Result<std::size_t> Index::search(VectorView query, const SearchParams& params,
                                  std::span<Match> out) const {
  return guarded("search", [&]() -> Result<std::size_t> {
    if (auto ok = impl_->check_mapped("search"); !ok) return ok.error();
    const auto searcher = Impl::Searcher::of(*impl_, "search", params);
    if (!searcher) return searcher.error();
    if (auto ok = check_vector("search", query, impl_->params, Purpose::query); !ok)
      return ok.error();
    auto scratch = impl_->scratch.take();
    impl_->searches.add(1);
    SearchTally tally;
    const auto found = searcher->search(query, *scratch, out, tally);
    if (!found) return found.error().with_context("search");
    if (auto ok = tally.tell("search", params); !ok) return ok.error();
    return *found;
  });
}

Result<std::vector<Match>> Index::search(VectorView query, const SearchParams& params) const {
  return guarded("search", [&]() -> Result<std::vector<Match>> {
    if (auto ok = impl_->check_mapped("search"); !ok) return ok.error();
    std::size_t room = impl_->view().count;
    for (;;) {
      std::vector<Match> matches(std::min(params.k, room));
      auto found = search(query, params, matches);
      if (!found) return found.error();
      const bool is_full = *found == matches.size() && matches.size() < params.k;
      if (const std::size_t count = impl_->view().count; is_full && count > matches.size()) {
        // There are more by now, and the answer was cut short. Others may be added as quickly as
        // this searches.
        room = count + count / 2;
        continue;
      }
      matches.resize(*found);
      return matches;
    }
  });
}

// A batch, and what becomes of its rows.
class Index::Impl::Batch {
 public:
  // `filters`: one a row, null where there is none; empty: the searcher's for all.
  Batch(Impl& impl, const Searcher& searcher, std::span<SlotFilter* const> filters,
        const MatrixView& queries, std::span<Match> out, std::span<std::size_t> counts)
      : impl_(impl),
        searcher_(searcher),
        filters_(filters),
        queries_(queries),
        out_(out),
        counts_(counts) {}

  Result<void> run(unsigned threads) {
    const std::size_t rows = queries_.rows;
    const bool is_scan = rows > 1 && filters_.empty() && searcher_.scans(rows);
    Workers workers(threads, rows);
    const std::size_t at_once = is_scan ? searcher_.scanned_at_once(rows) : 1;
    workers.run(rows, at_once, [&](unsigned, std::size_t begin, std::size_t end) {
      impl_.searches.add(end - begin);
      SearchTally tally;
      const auto done = is_scan ? scan_rows(begin, end, tally) : search_rows(begin, end, tally);
      const std::lock_guard lock(mutex_);
      tally_.add(tally);
      if (!done) outcome_ = done;
    });
    return outcome_ ? tally_.tell("search_batch", searcher_.params()) : outcome_;
  }

 private:
  static Error at_row(std::size_t row, const Error& error) {
    return error.with_context("search_batch: row " + std::to_string(row));
  }

  Result<void> search_rows(std::size_t begin, std::size_t end, SearchTally& tally) {
    const std::size_t k = searcher_.params().k;
    auto scratch = impl_.scratch.take();
    for (std::size_t i = begin; i < end; ++i) {
      const LatencyRecorder::Timer timer(impl_.latency);
      const auto out = out_.subspan(i * k, k);
      const auto found = filters_.empty()
                             ? searcher_.search(queries_.row(i), *scratch, out, tally)
                             : searcher_.search(queries_.row(i), filters_[i], *scratch, out, tally);
      if (!found) return at_row(i, found.error());
      counts_[i] = *found;
    }
    return {};
  }

  Result<void> scan_rows(std::size_t begin, std::size_t end, SearchTally& tally) {
    const std::size_t k = searcher_.params().k;
    MatrixView rows = queries_;
    rows.data = queries_.row(begin).data();
    rows.rows = end - begin;
    const auto done = searcher_.scan(rows, out_.subspan(begin * k), counts_.subspan(begin), tally);
    return done ? done : at_row(begin, done.error());
  }

  Impl& impl_;
  const Searcher& searcher_;
  const std::span<SlotFilter* const> filters_;
  const MatrixView& queries_;
  const std::span<Match> out_;
  const std::span<std::size_t> counts_;
  std::mutex mutex_;
  SearchTally tally_;     // guarded by mutex_
  Result<void> outcome_;  // the same
};

// What all batches are checked for.
Result<void> Index::Impl::check_batch(const MatrixView& queries, std::size_t k, std::size_t room,
                                      std::size_t counts) const {
  if (auto ok = check_matrix("search_batch", queries, params, Purpose::query); !ok) return ok;
  if (counts < queries.rows || room / k < queries.rows) {
    return Error(ErrorCode::invalid_argument,
                 "search_batch: " + std::to_string(queries.rows) + " queries with k " +
                     std::to_string(k) + " need more room than " + std::to_string(room) +
                     " matches and " + std::to_string(counts) + " counts");
  }
  for (std::size_t i = 0; i < queries.rows; ++i) {
    if (check_vector("", queries.row(i), params, Purpose::query)) continue;
    const std::string where = "search_batch: row " + std::to_string(i);
    return check_vector(where.c_str(), queries.row(i), params, Purpose::query);
  }
  return {};
}

bool IndexParts::scans_batch(const Index& index, const SearchParams& params, std::size_t rows) {
  const auto searcher = Index::Impl::Searcher::of(of(index), "search_batch", params);
  return searcher && rows > 1 && searcher->scans(rows);
}

Result<void> Index::search_batch(MatrixView queries, const SearchParams& params,
                                 std::span<Match> out, std::span<std::size_t> counts,
                                 unsigned threads) const {
  return guarded("search_batch", [&]() -> Result<void> {
    if (auto ok = impl_->check_mapped("search_batch"); !ok) return ok;
    const auto searcher = Impl::Searcher::of(*impl_, "search_batch", params);
    if (!searcher) return searcher.error();
    if (auto ok = impl_->check_batch(queries, params.k, out.size(), counts.size()); !ok) return ok;
    return Impl::Batch(*impl_, *searcher, {}, queries, out, counts).run(threads);
  });
}

Result<void> Index::search_batch(MatrixView queries, const SearchParams& params,
                                 std::span<const Filter* const> one_a_row, std::span<Match> out,
                                 std::span<std::size_t> counts, unsigned threads) const {
  return guarded("search_batch", [&]() -> Result<void> {
    const auto invalid = [](std::string problem) {
      return Error(ErrorCode::invalid_argument, "search_batch: " + std::move(problem));
    };
    if (auto ok = impl_->check_mapped("search_batch"); !ok) return ok;
    if (params.filter != nullptr) return invalid("a filter for all rows, and one a row");
    const auto searcher = Impl::Searcher::of(*impl_, "search_batch", params);
    if (!searcher) return searcher.error();
    if (one_a_row.size() != queries.rows) {
      return invalid(std::to_string(one_a_row.size()) + " filters for " +
                     std::to_string(queries.rows) + " rows");
    }
    if (auto ok = impl_->check_batch(queries, params.k, out.size(), counts.size()); !ok) return ok;
    std::vector<SlotFilter*> filters(queries.rows);
    for (std::size_t i = 0; i < filters.size(); ++i) {
      if (one_a_row[i] == nullptr) continue;
      const auto filter = FilterParts::of("search_batch", *one_a_row[i], *impl_);
      if (!filter) return filter.error().with_context("row " + std::to_string(i));
      filters[i] = *filter;
    }
    return Impl::Batch(*impl_, *searcher, filters, queries, out, counts).run(threads);
  });
}

}  // namespace cairn
