// SPDX-License-Identifier: Apache-2.0
#include <cairn/cursor.h>

#include <cstring>
#include <string>
#include <utility>
#include <vector>

#include "engine/api/arguments.h"
#include "engine/api/filter_parts.h"
#include "engine/api/index_impl.h"
#include "engine/api/rerank.h"
#include "engine/base/guarded.h"
#include "engine/search/pager.h"
#include "engine/vectors/components.h"

namespace cairn {

struct Cursor::Impl {
  std::shared_ptr<const IndexAnchor> anchor;
  SearchParams params;
  OwnMetric metric;  // empty: none
  Order order;
  Scalar scalar;  // of the query
  std::size_t dims;
  std::vector<std::byte> query;
  Pager pager;
  SearchScratch page;  // of the caller's own metric

  // Orders a page of `found` results by the caller's own metric; how many are left of it. False: a
  // page of the file could not be read.
  bool order_page(const IndexState& index, const GraphView& graph, PageUse& use, std::size_t& found,
                  std::span<Match> out) {
    page.matches.assign(pager.page().begin(), pager.page().end());
    if (!rerank(index, graph, metric, use, page, found)) return false;
    for (std::size_t i = 0; i < found; ++i) {
      out[i] = {page.matches[i].key, static_cast<float>(page.matches[i].distance)};
    }
    return true;
  }
};

namespace {

constexpr const char* kWhat = "cursor";

Error invalid(const std::string& problem) {
  return Error(ErrorCode::invalid_argument, std::string(kWhat) + ": " + problem);
}

// A page that a limit has left empty.
Result<void> check_ended(const Pager& pager, const SearchParams& params, std::size_t found) {
  if (!pager.is_over() || found != 0) return {};
  if (params.stop != nullptr && params.stop->load(std::memory_order_relaxed)) {
    return Error(ErrorCode::cancelled, "cursor: stopped before anything was found");
  }
  if (params.deadline != Effort::Clock::time_point() && Effort::Clock::now() >= params.deadline) {
    return Error(ErrorCode::deadline_exceeded,
                 "cursor: the deadline has passed before anything was found");
  }
  return {};
}

}  // namespace

Cursor::Cursor(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Cursor::Cursor(Cursor&&) noexcept = default;
Cursor& Cursor::operator=(Cursor&&) noexcept = default;
Cursor::~Cursor() = default;

Result<Cursor> Index::open_cursor(VectorView query, const SearchParams& params, Order order) const {
  return guarded(kWhat, [&]() -> Result<Cursor> {
    if (auto ok = impl_->check_mapped(kWhat); !ok) return ok.error();
    SearchParams asked = params;
    asked.k = 1;  // what is given counts
    if (auto ok = check_search(kWhat, asked); !ok) return ok.error();
    if (order > Order::strict) return invalid("the order is unknown");
    if (auto ok = check_vector(kWhat, query, impl_->params, Purpose::query); !ok) return ok.error();
    if (params.filter != nullptr) {
      if (const auto known = FilterParts::of(kWhat, *params.filter, *impl_); !known) {
        return known.error();
      }
    }
    auto impl = std::make_unique<Cursor::Impl>();
    impl->anchor = impl_->anchor;
    impl->params = impl_->with_ef(params);
    impl->params.report = nullptr;
    if (params.rerank != nullptr) {
      impl->metric = *params.rerank;
      impl->params.rerank = nullptr;  // it is asked for what is given, and not for candidates
    }
    impl->order = order;
    impl->scalar = query.scalar();
    impl->dims = query.dims();
    impl->query.resize(vector_bytes(query.scalar(), query.dims()));
    std::memcpy(impl->query.data(), query.data(), impl->query.size());
    return Cursor(std::move(impl));
  });
}

void Cursor::set_deadline(std::chrono::steady_clock::time_point deadline) {
  if (impl_ != nullptr) impl_->params.deadline = deadline;
}

Result<std::size_t> Cursor::next(std::span<Match> out, SearchReport* report) {
  return guarded(kWhat, [&]() -> Result<std::size_t> {
    IndexState* state = impl_ == nullptr ? nullptr : impl_->anchor->index.load();
    if (state == nullptr) return invalid("its index is gone");
    auto& index = IndexParts::of(*state);
    if (auto ok = index.check_mapped(kWhat); !ok) return ok.error();
    SlotFilter* filter = nullptr;
    if (impl_->params.filter != nullptr) {
      const auto known = FilterParts::of(kWhat, *impl_->params.filter, index);
      if (!known) return known.error();
      filter = *known;
    }
    const LatencyRecorder::Timer timer(index.latency);
    index.searches.add(1);
    Pager& pager = impl_->pager;
    std::size_t found = 0;
    // The keys of a page may all be gone when their vectors are looked up: that is not the end.
    for (std::size_t given = 1; found == 0 && given != 0;) {
      bool is_read = false;
      PageUse use;
      const auto looked = index.look_at_one_moment([&] {
        const FilteredView view = filtered_view(index, filter, &use);
        const GraphView& graph = view.space.view();
        graph.slot_log->keep();
        pager.go_back();  // of an attempt that does not count
        is_read = view.outcome == SlotFilter::Outcome::followed && index.survives(graph, [&] {
          found = pager.next(view.space, view_of(impl_->scalar, impl_->query.data(), impl_->dims),
                             impl_->params, impl_->order, view.slots, out);
        });
        given = found;
        if (is_read && impl_->metric) is_read = impl_->order_page(index, graph, use, found, out);
        return graph;
      });
      if (!looked || !is_read || use.bad()) pager.begin_anew();
      if (!looked) return looked.error().with_context(kWhat);
      if (!is_read) return index.unreadable().with_context(kWhat);
      if (use.bad()) return use.bad()->with_context(kWhat);
      pager.confirm();
    }
    if (auto ok = check_ended(pager, impl_->params, found); !ok) return ok.error();
    if (report != nullptr) {
      *report = {pager.plan(), pager.is_complete(), pager.distances(), pager.lists()};
    }
    timer.end();
    return found;
  });
}

}  // namespace cairn
