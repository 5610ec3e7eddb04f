// SPDX-License-Identifier: Apache-2.0
//
// Pages of a set: a cursor of each shard, whose pages are merged.
#include <cairn/cursor.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <functional>
#include <limits>
#include <string>
#include <utility>

#include "engine/api/arguments.h"
#include "engine/base/guarded.h"
#include "engine/shards/set_search.h"
#include "engine/vectors/components.h"

namespace cairn {

namespace {

constexpr const char* kCursor = "cursor";
constexpr std::size_t kMostGiven = 4'194'304;  // as that of an index
constexpr std::size_t kLeastPage = 16;

}  // namespace

struct ShardCursor::Impl {
  // What one shard has still to give.
  struct ShardPages {
    std::uint32_t number;
    Cursor cursor;
    std::vector<Match> page = {};
    bool is_ended = false;
    bool is_stopped = false;  // by a limit, until the next call
    bool is_lost = false;     // it is at fault
  };

  const SetState* set;
  Order order;
  Scalar scalar;  // of the query
  std::vector<std::byte> query;
  std::function<float(Key, VectorView)> metric;  // the caller's own; empty: none
  std::vector<ShardPages> shards;
  MergeScratch merge;          // lists[i] is what is left of shards[i].page
  std::vector<Taken> taken;    // what has not been given yet
  std::vector<Match> ordered;  // a page, by the caller's own metric
  std::optional<float> last;   // the farthest distance that has been given
  std::optional<Error> fault;  // of the first shard that is lost
  SearchReport report;

  VectorView view() const { return view_of(scalar, query.data(), set->params.dimensions); }

  // The next page of a shard, if it has none left and may go on.
  Result<void> refill(std::size_t i, std::size_t wanted) {
    ShardPages& pages = shards[i];
    if (pages.is_ended || pages.is_stopped || !merge.lists[i].left.empty()) return {};
    pages.page.resize(std::max(wanted, kLeastPage));
    SearchReport done;
    const auto count = pages.cursor.next(pages.page, &done);
    if (!count) {
      Error error = in_shard(kCursor, set->shards[pages.number].file, count.error());
      if (!set->allow_partial || !is_fault(error.code())) return error;
      if (!fault) fault = std::move(error);
      pages.is_ended = pages.is_lost = true;
      report.complete = false;
      return {};
    }
    pages.is_ended = *count == 0 && done.complete;
    pages.is_stopped = !done.complete;
    pages.page.resize(*count);
    merge.lists[i].left = pages.page;
    merge.lists[i].exact.reset();
    if (report.distances == 0) report.plan = done.plan;
    if (report.plan != done.plan) report.plan = Plan::automatic;
    report.distances += done.distances;
    report.lists += done.lists;
    report.complete &= done.complete;
    return {};
  }

  // False: a limit has left a shard with nothing to compare, and there is a page without it.
  Result<bool> refill_all(std::size_t wanted, std::size_t found) {
    for (std::size_t i = 0; i < shards.size(); ++i) {
      if (auto ok = refill(i, wanted); !ok) {
        // The next call meets it again, or goes on.
        if (found != 0) return false;
        return ok.error();
      }
      if (found != 0 && shards[i].is_stopped && merge.lists[i].left.empty()) return false;
    }
    return true;
  }

  bool are_all_lost() const {
    return fault && std::all_of(shards.begin(), shards.end(),
                                [](const ShardPages& pages) { return pages.is_lost; });
  }

  // Takes as many as a page of `wanted` has, in order.
  Result<void> take_page(Merge& merging, std::size_t wanted) {
    const std::optional<float> before = last;
    while (taken.size() < wanted) {
      const auto goes_on = refill_all(wanted / shards.size(), taken.size());
      if (!goes_on) return goes_on.error();
      const auto list = *goes_on ? merging.nearest() : std::nullopt;
      if (!list) break;
      const Index* const index = merge.lists[*list].index;
      const Match match = merging.take(*list);
      const bool is_late = order == Order::strict && before && match.distance < *before;
      if (is_late || !merge.given.insert(match.key)) continue;
      last = std::max(last.value_or(match.distance), match.distance);
      taken.push_back({match, index});
    }
    merging.sort(taken);
    return {};
  }

  // The first `n` that were taken, those of them that are still there, by the caller's own metric.
  void order_by_metric(Merge& merging, std::size_t n) {
    ordered.clear();
    for (const Taken& one : std::span(taken).first(n)) {
      const auto vector = merging.vector_of(one);
      if (!vector) continue;
      const float value = metric(one.match.key, *vector);
      ordered.push_back(
          {one.match.key, std::isnan(value) ? std::numeric_limits<float>::infinity() : value});
    }
    std::sort(ordered.begin(), ordered.end(), [](const Match& a, const Match& b) {
      return a.distance != b.distance ? a.distance < b.distance : a.key < b.key;
    });
  }

  Result<std::size_t> next(std::span<Match> out) {
    report = {};
    report.complete = !fault;
    if (merge.given.size() >= kMostGiven) {
      report.complete = false;
      return std::size_t{0};
    }
    if (shards.empty()) return std::size_t{0};  // none that was to be asked is wanted
    for (ShardPages& pages : shards) pages.is_stopped = false;
    Merge merging(view(), set->params, true, merge);
    std::size_t n = 0;
    // The keys of a page may all be gone when their vectors are looked up: that is not the end.
    for (std::size_t page = 1; n == 0 && page != 0;) {
      if (auto ok = take_page(merging, out.size()); !ok) return ok.error();
      page = std::min(out.size(), taken.size());
      if (metric) {
        // What it throws leaves the page for the next call.
        order_by_metric(merging, page);
        n = ordered.size();
        std::copy(ordered.begin(), ordered.end(), out.begin());
      } else {
        for (; n < page; ++n) out[n] = taken[n].match;
      }
      taken.erase(taken.begin(), taken.begin() + static_cast<std::ptrdiff_t>(page));
    }
    if (n == 0 && are_all_lost()) return *fault;
    return n;
  }
};

Result<ShardCursor> ShardSet::open_cursor(VectorView query, const SearchParams& params, Order order,
                                          const ShardScope& scope) const {
  return guarded(kCursor, [&]() -> Result<ShardCursor> {
    if (auto ok = check_scope(kCursor, scope); !ok) return ok.error();
    if (params.filter != nullptr) {
      return Error(ErrorCode::invalid_argument,
                   std::string(kCursor) + ": a filter of an index, and not of the set");
    }
    if (auto ok = check_vector(kCursor, query, impl_->params, Purpose::query); !ok)
      return ok.error();
    if (params.rerank != nullptr && !*params.rerank) {
      return Error(ErrorCode::invalid_argument, std::string(kCursor) + ": rerank is empty");
    }
    const ShardFilter::Impl* filter = nullptr;
    if (scope.filter != nullptr) {
      const auto known = ShardFilterParts::of(kCursor, *scope.filter, *impl_);
      if (!known) return known.error();
      filter = *known;
    }
    auto scratch = impl_->scratch.take();
    if (auto ok = choose(*impl_, kCursor, query, scope, *scratch); !ok) return ok.error();
    auto impl = std::make_unique<ShardCursor::Impl>();
    impl->set = impl_.get();
    impl->order = order;
    impl->scalar = query.scalar();
    impl->query.resize(vector_bytes(query.scalar(), query.dims()));
    std::memcpy(impl->query.data(), query.data(), impl->query.size());
    if (params.rerank != nullptr) impl->metric = *params.rerank;
    SetTally tally;
    for (const std::uint32_t number : scratch->asked) {
      const Shard& shard = impl_->shards[number];
      if (!shard.index) {
        tally.add_missing(number);
        continue;
      }
      SearchParams mine = params;
      mine.rerank = nullptr;  // it is asked for what is given
      mine.max_distances = share_of(params.max_distances, scratch->asked.size());
      if (filter != nullptr) mine.filter = &*filter->each[number];
      auto cursor = shard.index->open_cursor(query, mine, order);
      if (!cursor) return in_shard(kCursor, shard.file, cursor.error());
      if (auto ok = tally.add(*impl_, kCursor, number, ShardAnswer{}); !ok) return ok.error();
      impl->shards.push_back({number, *std::move(cursor)});
      impl->merge.lists.push_back({&*shard.index, {}, {}});
    }
    if (auto ok = tally.tell(*impl_, kCursor, nullptr, scope.report); !ok) return ok.error();
    impl->merge.given.begin(0);
    return ShardCursor(std::move(impl));
  });
}

ShardCursor::ShardCursor(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
ShardCursor::ShardCursor(ShardCursor&&) noexcept = default;
ShardCursor& ShardCursor::operator=(ShardCursor&&) noexcept = default;
ShardCursor::~ShardCursor() = default;

void ShardCursor::set_deadline(std::chrono::steady_clock::time_point deadline) {
  if (impl_ == nullptr) return;
  for (auto& pages : impl_->shards) pages.cursor.set_deadline(deadline);
}

Result<std::size_t> ShardCursor::next(std::span<Match> out, SearchReport* report) {
  return guarded(kCursor, [&]() -> Result<std::size_t> {
    if (impl_ == nullptr)
      return Error(ErrorCode::invalid_argument, std::string(kCursor) + ": it has been moved from");
    const auto found = impl_->next(out);
    if (found && report != nullptr) *report = impl_->report;
    return found;
  });
}

}  // namespace cairn
