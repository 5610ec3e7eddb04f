// SPDX-License-Identifier: Apache-2.0
//
// The C interface of searches for the nearest.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include <cairn/c.h>
#include <cairn/index.h>

#include "engine/api/c_call.h"
#include "engine/api/c_matches.h"
#include "engine/api/c_options.h"
#include "engine/api/c_rows.h"

namespace cairn::c {

namespace {

Result<void> search(const Index& index, const cairn_vector* query, const SearchParams& params,
                    cairn_match* out, std::size_t capacity, std::size_t* count) {
  const auto given = view_of("search", "query", query);
  if (!given) return given.error();
  if (out == nullptr && capacity != 0) return null_argument("search", "out");
  if (count == nullptr) return null_argument("search", "count");
  const auto rows = Rows::of(index.params(), kind_to_search(index), *given);
  if (!rows) return rows.error().with_context("search");
  Match* const matches = storage_of(out);
  const auto found = index.search(rows->view().row(0), params, std::span<Match>(matches, capacity));
  if (!found) return found.error();
  become_c(matches, out, *found);
  *count = *found;
  return {};
}

Result<void> search_documents(const Index& index, const cairn_matrix* query_vectors,
                              const SearchParams& params, cairn_match* out, std::size_t capacity,
                              std::size_t* count) {
  constexpr const char* kCall = "search_documents";
  const auto given = view_of(kCall, "query_vectors", query_vectors);
  if (!given) return given.error();
  if (out == nullptr && capacity != 0) return null_argument(kCall, "out");
  if (count == nullptr) return null_argument(kCall, "count");
  const auto rows = Rows::of(index.params(), kind_to_search(index), *given);
  if (!rows) return rows.error().with_context(kCall);
  const auto found = index.search_documents(rows->view(), params);
  if (!found) return found.error();
  *count = std::min(found->size(), capacity);
  become_c(found->data(), out, *count);
  return {};
}

std::vector<const Filter*> filters_of(const SearchCall& call, std::size_t rows) {
  std::vector<const Filter*> filters(rows);
  for (std::size_t i = 0; i < rows; ++i) {
    if (call.filters[i] != nullptr) filters[i] = &call.filters[i]->filter;
  }
  return filters;
}

Result<void> search_batch(const Index& index, const cairn_matrix* queries, const SearchCall& call,
                          cairn_match* out, std::size_t capacity, std::size_t* counts) {
  const auto given = view_of("search_batch", "queries", queries);
  if (!given) return given.error();
  const std::size_t n = given->rows;
  if (n != 0 && capacity != 0 && out == nullptr) return null_argument("search_batch", "out");
  if (n != 0 && counts == nullptr) return null_argument("search_batch", "counts");
  const auto rows = Rows::of(index.params(), kind_to_search(index), *given);
  if (!rows) return rows.error().with_context("search_batch");
  Match* const matches = storage_of(out);
  const std::span<Match> room(matches, capacity);
  const std::span<std::size_t> found(counts, n);
  auto searched = call.filters == nullptr
                      ? index.search_batch(rows->view(), call.params, room, found, call.threads)
                      : index.search_batch(rows->view(), call.params, filters_of(call, n), room,
                                           found, call.threads);
  if (!searched) return searched;
  const std::size_t k = call.params.k;
  for (std::size_t i = 0; i < n; ++i) become_c(matches + i * k, out + i * k, counts[i]);
  return {};
}

}  // namespace

}  // namespace cairn::c

extern "C" {

using cairn::Index;
using cairn::Result;

int cairn_search(const cairn_index* index, const float* query, size_t dims, size_t k, size_t ef,
                 cairn_match* out, size_t* count) {
  if (count != nullptr) *count = 0;
  return cairn::c::on_index("search", index, [&](const Index& it) {
    const cairn_vector given = cairn::c::floats_of(query, dims);
    return cairn::c::search(it, &given, {.k = k, .ef = ef}, out, k, count);
  });
}

int cairn_search_with(const cairn_index* index, const cairn_vector* query,
                      const cairn_search_options* options, cairn_match* out, size_t capacity,
                      size_t* count) {
  if (count != nullptr) *count = 0;
  return cairn::c::on_index("search", index, [&](const Index& it) -> Result<void> {
    cairn::c::SearchCall wanted;
    if (auto ok = cairn::c::read_one("search", options, wanted); !ok) return ok;
    const auto done = cairn::c::search(it, query, wanted.params, out, capacity, count);
    return done ? cairn::c::tell_report("search", options, wanted) : done;
  });
}

int cairn_search_documents(const cairn_index* index, const cairn_matrix* query_vectors,
                           const cairn_search_options* options, cairn_match* out, size_t capacity,
                           size_t* count) {
  constexpr const char* kCall = "search_documents";
  if (count != nullptr) *count = 0;
  return cairn::c::on_index(kCall, index, [&](const Index& it) -> Result<void> {
    cairn::c::SearchCall wanted;
    if (auto ok = cairn::c::read_one(kCall, options, wanted); !ok) return ok;
    const auto done =
        cairn::c::search_documents(it, query_vectors, wanted.params, out, capacity, count);
    return done ? cairn::c::tell_report(kCall, options, wanted) : done;
  });
}

int cairn_search_batch(const cairn_index* index, const float* queries, size_t n, size_t dims,
                       size_t k, size_t ef, unsigned threads, cairn_match* out, size_t* counts) {
  return cairn::c::on_index("search_batch", index, [&](const Index& it) -> Result<void> {
    if (auto ok = cairn::c::check_addressable("search_batch", k, sizeof(cairn_match)); !ok)
      return ok;
    if (auto ok = cairn::c::check_addressable("search_batch", n, k * sizeof(cairn_match)); !ok)
      return ok;
    const cairn_matrix given = cairn::c::floats_of(queries, n, dims);
    cairn::c::SearchCall call;
    call.params = {.k = k, .ef = ef};
    call.threads = threads;
    return cairn::c::search_batch(it, &given, call, out, n * k, counts);
  });
}

int cairn_search_batch_with(const cairn_index* index, const cairn_matrix* queries,
                            const cairn_search_options* options, cairn_match* out, size_t capacity,
                            size_t* counts) {
  return cairn::c::on_index("search_batch", index, [&](const Index& it) -> Result<void> {
    cairn::c::SearchCall wanted;
    if (auto ok = cairn::c::read_options("search_batch", options, wanted); !ok) return ok;
    const auto done = cairn::c::search_batch(it, queries, wanted, out, capacity, counts);
    return done ? cairn::c::tell_report("search_batch", options, wanted) : done;
  });
}

}  // extern "C"
