// SPDX-License-Identifier: Apache-2.0
//
// The C interface of ranges and of pages.
#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <utility>

#include <cairn/c.h>
#include <cairn/cursor.h>
#include <cairn/index.h>

#include "engine/api/c_call.h"
#include "engine/api/c_matches.h"
#include "engine/api/c_options.h"
#include "engine/api/c_rows.h"

struct cairn_cursor {
  cairn::Cursor cursor;
  std::uint64_t deadline_us;  // of each page
};

namespace cairn::c {

namespace {

// Calls take(match) for each match, of at most `most` if that is not 0.
Result<bool> search_range(const Index& index, const cairn_vector* query, float radius,
                          const cairn_search_options* options, std::size_t most,
                          const std::function<bool(Match)>& take) {
  SearchCall wanted;
  if (auto ok = read_one("search_range", options, wanted); !ok) return ok.error();
  const SearchParams& params = wanted.params;
  const auto given = known_part("search_range", "options", options);
  if (!given) return given.error();
  const std::size_t wanted_most = given->k;
  RangeParams range{.ef = params.ef,
                    .max_results = wanted_most,
                    .filter = params.filter,
                    .plan = params.plan,
                    .max_distances = params.max_distances,
                    .deadline = params.deadline,
                    .stop = params.stop,
                    .rerank = params.rerank,
                    .report = params.report};
  if (most != 0 && (wanted_most == 0 || wanted_most > most)) range.max_results = most;
  const auto vector = view_of("search_range", "query", query);
  if (!vector) return vector.error();
  const auto rows = Rows::of(index.params(), kind_to_search(index), *vector);
  if (!rows) return rows.error().with_context("search_range");
  auto done = index.search_range(rows->view().row(0), radius, range, take);
  if (!done) return done;
  if (auto ok = tell_report("search_range", options, wanted); !ok) return ok.error();
  return done;
}

Result<Cursor> open_cursor(const Index& index, const cairn_vector* query,
                           const cairn_search_options* options, std::uint8_t order) {
  SearchCall wanted;
  if (auto ok = read_one("cursor_open", options, wanted); !ok) return ok.error();
  if (order > CAIRN_ORDER_STRICT) return out_of_range("cursor_open", "order", order);
  const auto given = view_of("cursor_open", "query", query);
  if (!given) return given.error();
  const auto rows = Rows::of(index.params(), kind_to_search(index), *given);
  if (!rows) return rows.error().with_context("cursor_open");
  return index.open_cursor(rows->view().row(0), wanted.params, static_cast<Order>(order));
}

}  // namespace

}  // namespace cairn::c

extern "C" {

using cairn::Index;
using cairn::Result;

int cairn_search_range(const cairn_index* index, const cairn_vector* query, float radius,
                       const cairn_search_options* options, cairn_match* out, size_t capacity,
                       size_t* count) {
  if (count != nullptr) *count = 0;
  return cairn::c::on_index("search_range", index, [&](const Index& it) -> Result<void> {
    if (out == nullptr) return cairn::c::null_argument("search_range", "out");
    if (count == nullptr) return cairn::c::null_argument("search_range", "count");
    if (capacity == 0) {
      return cairn::Error(cairn::ErrorCode::invalid_argument, "search_range: room for no match");
    }
    std::size_t found = 0;
    const auto done = cairn::c::search_range(it, query, radius, options, capacity,
                                             [&](const cairn::Match& match) {
                                               out[found++] = {match.key, match.distance};
                                               return found < capacity;
                                             });
    if (!done) return done.error();
    *count = found;
    return {};
  });
}

int cairn_search_range_each(const cairn_index* index, const cairn_vector* query, float radius,
                            const cairn_search_options* options, cairn_take take, void* context,
                            int* is_all) {
  return cairn::c::on_index("search_range", index, [&](const Index& it) -> Result<void> {
    if (take == nullptr) return cairn::c::null_argument("search_range", "take");
    const auto done =
        cairn::c::search_range(it, query, radius, options, 0, [&](const cairn::Match& match) {
          const cairn_match one{match.key, match.distance};
          return take(context, &one) != 0;
        });
    if (!done) return done.error();
    if (is_all != nullptr) *is_all = *done ? 1 : 0;
    return {};
  });
}

int cairn_cursor_open(const cairn_index* index, const cairn_vector* query,
                      const cairn_search_options* options, uint8_t order, cairn_cursor** out) {
  if (out != nullptr) *out = nullptr;
  return cairn::c::on_index("cursor_open", index, [&](const Index& it) -> Result<void> {
    if (out == nullptr) return cairn::c::null_argument("cursor_open", "out");
    auto cursor = cairn::c::open_cursor(it, query, options, order);
    if (!cursor) return cursor.error();
    const auto given = cairn::c::known_part("cursor_open", "options", options);
    if (!given) return given.error();
    *out = new cairn_cursor{std::move(*cursor), given->deadline_us};
    return {};
  });
}

int cairn_cursor_next(cairn_cursor* cursor, cairn_match* out, size_t capacity, size_t* count) {
  if (count != nullptr) *count = 0;
  return cairn::c::guarded("cursor_next", [&]() -> Result<void> {
    if (cursor == nullptr) return cairn::c::null_argument("cursor_next", "cursor");
    if (out == nullptr && capacity != 0) return cairn::c::null_argument("cursor_next", "out");
    if (count == nullptr) return cairn::c::null_argument("cursor_next", "count");
    cairn::Match* const matches = cairn::c::storage_of(out);
    cursor->cursor.set_deadline(cairn::c::deadline_after(cursor->deadline_us));
    const auto found = cursor->cursor.next(std::span<cairn::Match>(matches, capacity));
    if (!found) return found.error();
    cairn::c::become_c(matches, out, *found);
    *count = *found;
    return {};
  });
}

void cairn_cursor_close(cairn_cursor* cursor) { delete cursor; }

}  // extern "C"
