// SPDX-License-Identifier: Apache-2.0
//
// Searches for all within a distance.
#include <algorithm>
#include <cmath>
#include <optional>
#include <string>
#include <vector>

#include "engine/api/arguments.h"
#include "engine/api/index_impl.h"
#include "engine/api/rerank.h"
#include "engine/base/guarded.h"
#include "engine/search/range.h"

namespace cairn {

namespace {

Error invalid(const char* what, const std::string& problem) {
  return Error(ErrorCode::invalid_argument, std::string(what) + ": " + problem);
}

Result<void> check_radius(const char* what, float radius, Metric metric) {
  if (std::isnan(radius)) return invalid(what, "the radius is not a number");
  if (radius < 0 && metric != Metric::inner_product) return invalid(what, "the radius is negative");
  return {};
}

}  // namespace

// What has been found stands in the scratch; returns how many.
Result<std::size_t> Index::Impl::find_range(VectorView query, float radius,
                                            const RangeParams& asked, WideningScratch& work) {
  constexpr const char* kCall = "search_range";
  if (auto ok = check_mapped(kCall); !ok) return ok.error();
  if (asked.plan > Plan::exact) return invalid(kCall, "the plan is unknown");
  if (asked.rerank != nullptr && !*asked.rerank) return invalid(kCall, "rerank is empty");
  if (auto ok = check_radius(kCall, radius, params.metric); !ok) return ok.error();
  if (auto ok = check_vector(kCall, query, params, Purpose::query); !ok) return ok.error();
  SlotFilter* filter = nullptr;
  if (asked.filter != nullptr) {
    const auto known = FilterParts::of(kCall, *asked.filter, *this);
    if (!known) return known.error();
    filter = *known;
  }
  SearchParams as_search;
  as_search.k = 1;
  as_search.ef = asked.ef;
  RangeParams wanted = asked;
  wanted.ef = with_ef(as_search).ef;
  const bool is_reranked = asked.rerank != nullptr;
  if (is_reranked && asked.max_results != 0) {
    wanted.max_results = std::max(asked.max_results, wanted.ef);
  }
  const LatencyRecorder::Timer timer(latency);
  searches.add(1);
  std::optional<FoundNearest> found;
  PageUse use;
  const auto looked = look_at_one_moment([&] {
    const FilteredView view = filtered_view(*this, filter, &use);
    found = FoundNearest();
    bool is_read =
        view.outcome == SlotFilter::Outcome::followed && survives(view.space.view(), [&] {
          *found = find_within(view.space, query, radius, wanted, view.slots, work);
        });
    if (is_read && is_reranked) {
      is_read = rerank(*this, view.space.view(), *asked.rerank, use, work, found->count);
    } else if (is_read) {
      for (std::size_t i = 0; i < found->count; ++i) {
        work.matches[i].distance = double{view.space.reported(work.matches[i].distance)};
      }
    }
    if (!is_read) found.reset();
    return view.space.view();
  });
  if (!looked) return looked.error().with_context(kCall);
  if (!found) return unreadable().with_context(kCall);
  if (use.bad()) return use.bad()->with_context(kCall);
  if (is_reranked && asked.max_results != 0) {
    found->count = std::min(found->count, asked.max_results);
  }
  const Effort& effort = work.effort;
  if (effort.is_over() && found->count == 0) {
    const bool is_stopped = asked.stop != nullptr && asked.stop->load(std::memory_order_relaxed);
    const bool is_late =
        asked.deadline != Effort::Clock::time_point() && Effort::Clock::now() >= asked.deadline;
    if (is_stopped)
      return Error(ErrorCode::cancelled, "search_range: stopped before anything was found");
    if (is_late) {
      return Error(ErrorCode::deadline_exceeded,
                   "search_range: the deadline has passed before anything was found");
    }
  }
  if (asked.report != nullptr) {
    *asked.report = {found->plan, !effort.is_over(), effort.distances(), effort.lists()};
  }
  timer.end();
  return found->count;
}

Result<std::vector<Match>> Index::search_range(VectorView query, float radius,
                                               const RangeParams& params) const {
  return guarded("search_range", [&]() -> Result<std::vector<Match>> {
    auto work = impl_->scratch.take();
    const auto found = impl_->find_range(query, radius, params, *work);
    if (!found) return found.error();
    std::vector<Match> matches;
    matches.reserve(*found);
    for (std::size_t i = 0; i < *found; ++i) {
      matches.push_back({work->matches[i].key, static_cast<float>(work->matches[i].distance)});
    }
    return matches;
  });
}

Result<bool> Index::search_range(VectorView query, float radius, const RangeParams& params,
                                 const std::function<bool(Match)>& take) const {
  return guarded("search_range", [&]() -> Result<bool> {
    if (!take) return invalid("search_range", "the function is empty");
    auto work = impl_->scratch.take();
    const auto found = impl_->find_range(query, radius, params, *work);
    if (!found) return found.error();
    for (std::size_t i = 0; i < *found; ++i) {
      const Ranked& one = work->matches[i];
      if (!take({one.key, static_cast<float>(one.distance)})) return false;
    }
    return true;
  });
}

}  // namespace cairn
