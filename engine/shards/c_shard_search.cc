// SPDX-License-Identifier: Apache-2.0
//
// The C interface of searches of sets.
#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <utility>
#include <vector>

#include "engine/api/c_matches.h"
#include "engine/api/c_options.h"
#include "engine/api/c_rows.h"
#include "engine/shards/c_shards.h"

namespace cairn::c {

namespace {

// What a search of a set is asked for, and what that points to.
struct SetCall {
  SearchCall search;
  ShardScope scope;
  ShardReport report;
  const cairn_search_options* given = nullptr;
  const cairn_shards_filter* const* filters = nullptr;
  cairn_shards_report* out = nullptr;
};

Result<void> read_set_call(const char* call, const cairn_shards_search_options* given,
                           SetCall& wanted) {
  const auto all = known_part(call, "options", given);
  if (!all) return all.error();
  wanted.given = all->search;
  if (auto ok = read_one(call, all->search, wanted.search); !ok) return ok;
  if (all->coverage > 1000) return out_of_range(call, "coverage", all->coverage);
  if (all->filter != nullptr) wanted.scope.filter = &all->filter->filter;
  wanted.filters = all->filters;
  wanted.scope.probe = all->probe;
  if (all->coverage != 0) wanted.scope.coverage = static_cast<float>(all->coverage) / 1000.0f;
  wanted.out = all->report;
  if (all->report != nullptr) wanted.scope.report = &wanted.report;
  return {};
}

Result<void> read_one_set_call(const char* call, const cairn_shards_search_options* given,
                               SetCall& wanted) {
  if (auto ok = read_set_call(call, given, wanted); !ok) return ok;
  if (wanted.filters == nullptr) return {};
  return Error(ErrorCode::invalid_argument,
               std::string(call) + ": options->filters is for batches; of one query it is filter");
}

Result<void> tell_set_reports(const char* call, const SetCall& done) {
  if (auto ok = tell_report(call, done.given, done.search); !ok) return ok;
  if (done.out == nullptr) return {};
  const cairn_shards_report all{sizeof all, done.report.shards_asked, done.report.shards_answered};
  return fill_sized(call, "report", done.out, &all, sizeof all);
}

// One query in the kind that the set takes.
Result<Rows> query_of(const char* call, const ShardSet& set, const cairn_vector* query) {
  const auto given = view_of(call, "query", query);
  if (!given) return given.error();
  auto rows = Rows::of(set.params(), kind_to_search(set.params()), *given);
  return rows ? std::move(rows) : Result<Rows>(rows.error().with_context(call));
}

Result<bool> range_of_set(const ShardSet& set, const cairn_vector* query, float radius,
                          const cairn_shards_search_options* options, std::size_t most,
                          const std::function<bool(Match)>& take) {
  constexpr const char* call = "search_range";
  SetCall wanted;
  if (auto ok = read_one_set_call(call, options, wanted); !ok) return ok.error();
  const SearchParams& params = wanted.search.params;
  // Without options, or with k 0, there are as many as there are.
  const auto given = known_part(call, "options", wanted.given);
  if (!given) return given.error();
  RangeParams range{.ef = params.ef,
                    .max_results = given->k,
                    .filter = params.filter,
                    .plan = params.plan,
                    .max_distances = params.max_distances,
                    .deadline = params.deadline,
                    .stop = params.stop,
                    .rerank = params.rerank,
                    .report = params.report};
  if (most != 0 && (given->k == 0 || given->k > most)) range.max_results = most;
  const auto rows = query_of(call, set, query);
  if (!rows) return rows.error();
  auto done = set.search_range(rows->view().row(0), radius, range, take, wanted.scope);
  if (!done) return done;
  if (auto ok = tell_set_reports(call, wanted); !ok) return ok.error();
  return done;
}

}  // namespace

}  // namespace cairn::c

extern "C" {

using cairn::Match;
using cairn::Result;
using cairn::ShardSet;
using cairn::c::null_argument;
using cairn::c::on_set;

int cairn_shards_search(const cairn_shards* set, const cairn_vector* query,
                        const cairn_shards_search_options* options, cairn_match* out,
                        size_t capacity, size_t* count) {
  if (count != nullptr) *count = 0;
  return on_set("search", set, [&](const ShardSet& it) -> Result<void> {
    if (out == nullptr && capacity != 0) return null_argument("search", "out");
    if (count == nullptr) return null_argument("search", "count");
    cairn::c::SetCall wanted;
    if (auto ok = cairn::c::read_one_set_call("search", options, wanted); !ok) return ok;
    const auto rows = cairn::c::query_of("search", it, query);
    if (!rows) return rows.error();
    Match* const matches = cairn::c::storage_of(out);
    const auto found = it.search(rows->view().row(0), wanted.search.params,
                                 std::span<Match>(matches, capacity), wanted.scope);
    if (!found) return found.error();
    cairn::c::become_c(matches, out, *found);
    *count = *found;
    return cairn::c::tell_set_reports("search", wanted);
  });
}

int cairn_shards_search_batch(const cairn_shards* set, const cairn_matrix* queries,
                              const cairn_shards_search_options* options, cairn_match* out,
                              size_t capacity, size_t* counts) {
  constexpr const char* call = "search_batch";
  return on_set(call, set, [&](const ShardSet& it) -> Result<void> {
    cairn::c::SetCall wanted;
    if (auto ok = cairn::c::read_set_call(call, options, wanted); !ok) return ok;
    const auto given = cairn::c::view_of(call, "queries", queries);
    if (!given) return given.error();
    const std::size_t n = given->rows;
    if (n != 0 && capacity != 0 && out == nullptr) return null_argument(call, "out");
    if (n != 0 && counts == nullptr) return null_argument(call, "counts");
    const auto rows =
        cairn::c::Rows::of(it.params(), cairn::c::kind_to_search(it.params()), *given);
    if (!rows) return rows.error().with_context(call);
    Match* const matches = cairn::c::storage_of(out);
    const std::span<Match> room(matches, capacity);
    const std::span<std::size_t> found(counts, n);
    const cairn::SearchParams& params = wanted.search.params;
    std::vector<const cairn::ShardFilter*> filters;
    if (wanted.filters != nullptr) {
      for (std::size_t i = 0; i < n; ++i) {
        const cairn_shards_filter* one = wanted.filters[i];
        filters.push_back(one == nullptr ? nullptr : &one->filter);
      }
    }
    const auto done =
        wanted.filters == nullptr
            ? it.search_batch(rows->view(), params, room, found, wanted.scope)
            : it.search_batch(rows->view(), params, filters, room, found, wanted.scope);
    if (!done) return done;
    for (std::size_t i = 0; i < n; ++i)
      cairn::c::become_c(matches + i * params.k, out + i * params.k, counts[i]);
    return cairn::c::tell_set_reports(call, wanted);
  });
}

int cairn_shards_search_range(const cairn_shards* set, const cairn_vector* query, float radius,
                              const cairn_shards_search_options* options, cairn_match* out,
                              size_t capacity, size_t* count) {
  if (count != nullptr) *count = 0;
  return on_set("search_range", set, [&](const ShardSet& it) -> Result<void> {
    if (out == nullptr) return null_argument("search_range", "out");
    if (count == nullptr) return null_argument("search_range", "count");
    if (capacity == 0) {
      return cairn::Error(cairn::ErrorCode::invalid_argument, "search_range: room for no match");
    }
    std::size_t found = 0;
    const auto done =
        cairn::c::range_of_set(it, query, radius, options, capacity, [&](const Match& match) {
          out[found++] = {match.key, match.distance};
          return found < capacity;
        });
    if (!done) return done.error();
    *count = found;
    return {};
  });
}

int cairn_shards_search_range_each(const cairn_shards* set, const cairn_vector* query, float radius,
                                   const cairn_shards_search_options* options, cairn_take take,
                                   void* context, int* is_all) {
  return on_set("search_range", set, [&](const ShardSet& it) -> Result<void> {
    if (take == nullptr) return null_argument("search_range", "take");
    const auto done =
        cairn::c::range_of_set(it, query, radius, options, 0, [&](const Match& match) {
          const cairn_match one{match.key, match.distance};
          return take(context, &one) != 0;
        });
    if (!done) return done.error();
    if (is_all != nullptr) *is_all = *done ? 1 : 0;
    return {};
  });
}

int cairn_shards_cursor_open(const cairn_shards* set, const cairn_vector* query,
                             const cairn_shards_search_options* options, uint8_t order,
                             cairn_shards_cursor** out) {
  if (out != nullptr) *out = nullptr;
  return on_set("cursor_open", set, [&](const ShardSet& it) -> Result<void> {
    if (out == nullptr) return null_argument("cursor_open", "out");
    cairn::c::SetCall wanted;
    if (auto ok = cairn::c::read_one_set_call("cursor_open", options, wanted); !ok) return ok;
    if (order > CAIRN_ORDER_STRICT) return cairn::c::out_of_range("cursor_open", "order", order);
    const auto rows = cairn::c::query_of("cursor_open", it, query);
    if (!rows) return rows.error();
    auto cursor = it.open_cursor(rows->view().row(0), wanted.search.params,
                                 static_cast<cairn::Order>(order), wanted.scope);
    if (!cursor) return cursor.error();
    const auto given = cairn::c::known_part("cursor_open", "options", wanted.given);
    if (!given) return given.error();
    *out = new cairn_shards_cursor{std::move(*cursor), given->deadline_us};
    return cairn::c::tell_set_reports("cursor_open", wanted);
  });
}

int cairn_shards_cursor_next(cairn_shards_cursor* cursor, cairn_match* out, size_t capacity,
                             size_t* count) {
  if (count != nullptr) *count = 0;
  return cairn::c::guarded("cursor_next", [&]() -> Result<void> {
    if (cursor == nullptr) return null_argument("cursor_next", "cursor");
    if (out == nullptr && capacity != 0) return null_argument("cursor_next", "out");
    if (count == nullptr) return null_argument("cursor_next", "count");
    Match* const matches = cairn::c::storage_of(out);
    cursor->cursor.set_deadline(cairn::c::deadline_after(cursor->deadline_us));
    const auto found = cursor->cursor.next(std::span<Match>(matches, capacity));
    if (!found) return found.error();
    cairn::c::become_c(matches, out, *found);
    *count = *found;
    return {};
  });
}

void cairn_shards_cursor_close(cairn_shards_cursor* cursor) { delete cursor; }

}  // extern "C"
