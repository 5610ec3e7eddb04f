// SPDX-License-Identifier: Apache-2.0
//
// Searches of the public class: arguments, one moment of the index, the caller's own metric, limits
// and reports. How nearest vectors are found is engine/search/'s.
#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstring>
#include <limits>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "engine/api/arguments.h"
#include "engine/api/index_impl.h"
#include "engine/base/guarded.h"
#include "engine/base/workers.h"
#include "engine/vectors/components.h"

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

// Replaces the distances of the first `found` matches by the caller's, and sorts by them. False: a
// vector could not be read. The vectors are copied: the caller's function runs when none of the
// index's memory is looked at.
bool rerank(const IndexState& state, const GraphView& view, const SearchParams& params,
            std::size_t found, SearchScratch& scratch) {
  const std::size_t dims = state.params.dimensions;
  const Scalar scalar = state.params.scalar;
  std::vector<Ranked>& matches = scratch.matches;
  scratch.vector.resize(vector_bytes(scalar, dims));
  for (std::size_t i = 0; i < found; ++i) {
    const bool is_readable = state.survives(view, [&] {
      std::memcpy(scratch.vector.data(), view.vector(matches[i].node), scratch.vector.size());
    });
    if (!is_readable) return false;
    const float distance =
        (*params.rerank)(matches[i].key, view_of(scalar, scratch.vector.data(), dims));
    matches[i].distance =
        std::isnan(distance) ? std::numeric_limits<double>::infinity() : double{distance};
  }
  std::sort(matches.begin(), matches.begin() + static_cast<std::ptrdiff_t>(found), is_nearer);
  return true;
}

// What was found for one query becomes its answer; the number of matches, nothing if a page could
// not be read.
std::optional<std::size_t> answer(const IndexState& state, const Space& space,
                                  const SearchParams& params, std::size_t found,
                                  SearchScratch& scratch, std::span<Match> out) {
  const std::size_t given = std::min({found, params.k, out.size()});
  if (params.rerank == nullptr) {
    report(space, scratch, out.first(given));
    return given;
  }
  if (!rerank(state, space.view(), params, found, scratch)) return std::nullopt;
  for (std::size_t i = 0; i < given; ++i) {
    out[i] = {scratch.matches[i].key, static_cast<float>(scratch.matches[i].distance)};
  }
  return given;
}

// The plan that is taken.
Plan plan_of(const SearchParams& params) {
  return params.plan == Plan::exact ? Plan::exact : Plan::walk;
}

}  // namespace

Result<std::size_t> Index::search(VectorView query, const SearchParams& given,
                                  std::span<Match> out) const {
  return guarded("search", [&]() -> Result<std::size_t> {
    if (auto ok = impl_->check_mapped("search"); !ok) return ok.error();
    if (auto ok = check_search("search", given); !ok) return ok.error();
    if (auto ok = check_vector("search", query, impl_->params, Purpose::query); !ok)
      return ok.error();
    const SearchParams params = impl_->with_ef(given);
    const LatencyRecorder::Timer timer(impl_->latency);
    auto scratch = impl_->scratch.take();
    impl_->searches.add(1);
    std::optional<std::size_t> found;
    PageUse use;
    const auto looked = impl_->look_at_one_moment([&] {
      const Space space = impl_->space(use);
      std::size_t ranked = 0;
      const bool readable = impl_->survives(
          space.view(), [&] { ranked = find_nearest(space, query, params, *scratch); });
      found = readable ? answer(*impl_, space, params, ranked, *scratch, out) : std::nullopt;
      return space.view();
    });
    if (!looked) return looked.error().with_context("search");
    if (!found) return impl_->unreadable().with_context("search");
    if (use.bad()) return use.bad()->with_context("search");
    SearchTally tally;
    tally.add(plan_of(params), scratch->effort, *found);
    if (auto ok = tally.tell("search", params); !ok) return ok.error();
    timer.end();
    return *found;
  });
}

Result<std::vector<Match>> Index::search(VectorView query, const SearchParams& params) const {
  return guarded("search", [&]() -> Result<std::vector<Match>> {
    if (auto ok = impl_->check_mapped("search"); !ok) return ok.error();
    for (;;) {
      std::vector<Match> matches(std::min<std::size_t>(params.k, impl_->view().count));
      auto found = search(query, params, matches);
      if (!found) return found.error();
      // There may be more by now, and then the answer was cut short.
      const bool is_full = *found == matches.size() && matches.size() < params.k;
      if (is_full && impl_->view().count > matches.size()) continue;
      matches.resize(*found);
      return matches;
    }
  });
}

// A batch, and what becomes of its rows.
class Index::Impl::Batch {
 public:
  Batch(Impl& impl, const MatrixView& queries, const SearchParams& params, std::span<Match> out,
        std::span<std::size_t> counts)
      : impl_(impl), queries_(queries), params_(params), out_(out), counts_(counts) {}

  Result<void> run(unsigned threads) {
    const std::size_t rows = queries_.rows;
    Workers workers(threads, rows);
    const bool is_scan = plan_of(params_) == Plan::exact;
    const std::size_t at_once =
        is_scan ? std::clamp<std::size_t>(rows / workers.size(), 1, GroupScratch::kMost) : 1;
    workers.run(rows, at_once, [&](unsigned, std::size_t begin, std::size_t end) {
      impl_.searches.add(end - begin);
      SearchTally tally;
      const auto done = is_scan ? scan_rows(begin, end, tally) : search_rows(begin, end, tally);
      const std::lock_guard lock(mutex_);
      tally_.add(tally);
      if (!done) outcome_ = done;
    });
    return outcome_ ? tally_.tell("search_batch", params_) : outcome_;
  }

 private:
  Error at_row(std::size_t row, const Error& error) const {
    return error.with_context("search_batch: row " + std::to_string(row));
  }
  std::span<Match> out_of(std::size_t row) const {
    return out_.subspan(row * params_.k, params_.k);
  }

  // One after the other.
  Result<void> search_rows(std::size_t begin, std::size_t end, SearchTally& tally) {
    auto scratch = impl_.scratch.take();
    for (std::size_t i = begin; i < end; ++i) {
      const LatencyRecorder::Timer timer(impl_.latency);
      std::optional<std::size_t> found;
      PageUse use;
      const auto looked = impl_.look_at_one_moment([&] {
        const Space space = impl_.space(use);
        std::size_t ranked = 0;
        const bool readable = impl_.survives(space.view(), [&] {
          ranked = find_nearest(space, queries_.row(i), params_, *scratch);
        });
        found =
            readable ? answer(impl_, space, params_, ranked, *scratch, out_of(i)) : std::nullopt;
        return space.view();
      });
      if (!looked) return at_row(i, looked.error());
      if (!found) return at_row(i, impl_.unreadable());
      if (use.bad()) return at_row(i, *use.bad());
      timer.end();
      counts_[i] = *found;
      tally.add(plan_of(params_), scratch->effort, *found);
    }
    return {};
  }

  // All at once.
  Result<void> scan_rows(std::size_t begin, std::size_t end, SearchTally& tally) {
    const LatencyRecorder::Timer timer(impl_.latency);
    auto scratch = impl_.group_scratch.take();
    MatrixView rows = queries_;
    rows.data = queries_.row(begin).data();
    rows.rows = end - begin;
    bool is_read = false;
    PageUse use;
    const auto looked = impl_.look_at_one_moment([&] {
      const Space space = impl_.space(use);
      is_read =
          impl_.survives(space.view(), [&] { scan_for_nearest(space, rows, params_, *scratch); });
      for (std::size_t i = 0; is_read && i < rows.rows; ++i) {
        const auto found =
            answer(impl_, space, params_, scratch->found[i], scratch->each[i], out_of(begin + i));
        is_read = found.has_value();
        counts_[begin + i] = found.value_or(0);
      }
      return space.view();
    });
    if (!looked) return at_row(begin, looked.error());
    if (!is_read) return at_row(begin, impl_.unreadable());
    if (use.bad()) return at_row(begin, *use.bad());
    timer.end(rows.rows);
    for (std::size_t i = begin; i < end; ++i) {
      tally.add(Plan::exact, scratch->each[i - begin].effort, counts_[i]);
    }
    return {};
  }

  Impl& impl_;
  const MatrixView& queries_;
  const SearchParams params_;
  const std::span<Match> out_;
  const std::span<std::size_t> counts_;
  std::mutex mutex_;
  SearchTally tally_;     // guarded by mutex_
  Result<void> outcome_;  // the same
};

Result<void> Index::search_batch(MatrixView queries, const SearchParams& params,
                                 std::span<Match> out, std::span<std::size_t> counts,
                                 unsigned threads) const {
  return guarded("search_batch", [&]() -> Result<void> {
    if (auto ok = impl_->check_mapped("search_batch"); !ok) return ok;
    if (auto ok = check_search("search_batch", params); !ok) return ok;
    if (auto ok = check_matrix("search_batch", queries, impl_->params, Purpose::query); !ok)
      return ok;
    if (counts.size() < queries.rows || out.size() / params.k < queries.rows) {
      return Error(ErrorCode::invalid_argument, "search_batch: " + std::to_string(queries.rows) +
                                                    " queries with k " + std::to_string(params.k) +
                                                    " need more room than " +
                                                    std::to_string(out.size()) + " matches and " +
                                                    std::to_string(counts.size()) + " counts");
    }
    for (std::size_t i = 0; i < queries.rows; ++i) {
      if (check_vector("", queries.row(i), impl_->params, Purpose::query)) continue;
      const std::string where = "search_batch: row " + std::to_string(i);
      return check_vector(where.c_str(), queries.row(i), impl_->params, Purpose::query);
    }
    return Impl::Batch(*impl_, queries, impl_->with_ef(params), out, counts).run(threads);
  });
}

}  // namespace cairn
