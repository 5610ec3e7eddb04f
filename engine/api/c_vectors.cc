// SPDX-License-Identifier: Apache-2.0
//
// The C interface where vectors go in and out. Those of another kind than the index's are converted
// here; the C++ interface takes no such.
#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
#include <new>
#include <span>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include <cairn/c.h>
#include <cairn/convert.h>
#include <cairn/cursor.h>
#include <cairn/index.h>

#include "engine/api/c_call.h"
#include "engine/api/c_options.h"

struct cairn_cursor {
  cairn::Cursor cursor;
};

namespace cairn::c {

namespace {

static_assert(sizeof(cairn_match) == sizeof(Match));
static_assert(alignof(cairn_match) == alignof(Match));
static_assert(std::is_trivially_copyable_v<Match>);

// Whether an array of `count` elements can exist.
Result<void> check_addressable(const char* call, std::size_t count, std::size_t element) {
  if (element == 0 || count <= std::numeric_limits<std::size_t>::max() / element) return {};
  return Error(ErrorCode::invalid_argument, std::string(call) + ": " + std::to_string(count) +
                                                " times " + std::to_string(element) +
                                                " bytes are more than memory has addresses");
}

Result<Scalar> scalar_of(const char* call, std::uint8_t scalar) {
  if (scalar >= static_cast<int>(Scalar::f32) && scalar <= static_cast<int>(Scalar::b1)) {
    return static_cast<Scalar>(scalar);
  }
  return out_of_range(call, "scalar", scalar);
}

// What the C++ interface takes of vectors that an index is to store, and of queries.
Scalar kind_to_store(const Index& index) { return index.params().scalar; }
Scalar kind_to_search(const Index& index) {
  const Scalar scalar = index.params().scalar;
  const bool half = scalar == Scalar::f16 || scalar == Scalar::bf16;
  return half ? Scalar::f32 : scalar;
}

// Rows as the caller has given them, or, if they are f32 and `to` is not, converted.
class Rows {
 public:
  Rows() = default;
  Rows(const Rows&) = delete;  // view_ would be the other's
  Rows& operator=(const Rows&) = delete;
  Rows(Rows&&) noexcept = default;
  Rows& operator=(Rows&&) noexcept = default;
  ~Rows() = default;

  static Result<Rows> of(const Index& index, Scalar to, const MatrixView& given) {
    Rows rows;
    rows.view_ = given;
    if (given.scalar != Scalar::f32 || to == Scalar::f32) return rows;
    const std::size_t dims = given.dims;
    if (dims != index.params().dimensions) {
      return Error(ErrorCode::dimension_mismatch, "the vector has " + std::to_string(dims) +
                                                      " dimensions, the index " +
                                                      std::to_string(index.params().dimensions));
    }
    if (given.stride_bytes < dims * sizeof(float) || given.stride_bytes % alignof(float) != 0) {
      return Error(ErrorCode::invalid_argument,
                   "a stride of " + std::to_string(given.stride_bytes) + " bytes does not fit " +
                       std::to_string(dims) + " dimensions of f32");
    }
    const std::size_t stride = vector_bytes(to, dims);
    rows.bytes_.resize(given.rows * stride);
    for (std::size_t i = 0; i < given.rows; ++i) {
      const auto* row = static_cast<const float*>(given.row(i).data());
      const auto out = std::span(rows.bytes_).subspan(i * stride, stride);
      auto ok = convert(std::span(row, dims), to, out);
      if (ok) continue;
      return given.rows == 1 ? ok.error() : ok.error().with_context("row " + std::to_string(i));
    }
    rows.view_ = {rows.bytes_.data(), to, given.rows, dims, stride};
    return rows;
  }

  const MatrixView& view() const { return view_; }

 private:
  std::vector<std::byte> bytes_;
  MatrixView view_;  // of bytes_, which keep their address when moved, or of the caller's
};

Result<MatrixView> view_of(const char* call, const char* name, const cairn_vector* vector) {
  if (vector == nullptr || vector->data == nullptr) return null_argument(call, name);
  const auto scalar = scalar_of(call, vector->scalar);
  if (!scalar) return scalar.error();
  return MatrixView{vector->data, *scalar, 1, vector->dims, vector_bytes(*scalar, vector->dims)};
}

Result<MatrixView> view_of(const char* call, const char* name, const cairn_matrix* rows) {
  if (rows == nullptr) return null_argument(call, name);
  if (rows->rows != 0 && rows->data == nullptr) return null_argument(call, name);
  const auto scalar = scalar_of(call, rows->scalar);
  if (!scalar) return scalar.error();
  if (auto ok = check_addressable(call, rows->dims, sizeof(float)); !ok) return ok.error();
  const std::size_t packed = vector_bytes(*scalar, rows->dims);
  const std::size_t stride = rows->stride != 0 ? rows->stride : packed;
  if (auto ok = check_addressable(call, rows->rows, stride); !ok) return ok.error();
  return MatrixView{rows->data, *scalar, rows->rows, rows->dims, stride};
}

using Change = Result<void> (Index::*)(Key, VectorView);

int change(const char* call, cairn_index* index, std::uint64_t key, const cairn_vector* vector,
           Change method) {
  return on_index(call, index, [&](Index& it) -> Result<void> {
    const auto given = view_of(call, "vector", vector);
    if (!given) return given.error();
    const auto rows = Rows::of(it, kind_to_store(it), *given);
    if (!rows) return rows.error().with_context(call);
    return (it.*method)(key, rows->view().row(0));
  });
}

Result<void> build(Index& index, const std::uint64_t* keys, const cairn_matrix* matrix,
                   const BuildOptions& options) {
  const auto given = view_of("build", "rows", matrix);
  if (!given) return given.error();
  if (given->rows != 0 && keys == nullptr) return null_argument("build", "keys");
  const auto rows = Rows::of(index, kind_to_store(index), *given);
  if (!rows) return rows.error().with_context("build");
  return index.build(std::span<const Key>(keys, given->rows), rows->view(), options);
}

// The caller's array serves as storage for Match objects first, then each becomes a cairn_match in
// its place: no copy of the results is kept anywhere else.
Match* storage_of(cairn_match* out) { return reinterpret_cast<Match*>(out); }

void become_c(const Match* matches, cairn_match* out, std::size_t count) {
  for (std::size_t i = 0; i < count; ++i) {
    const Match match = matches[i];
    new (out + i) cairn_match{match.key, match.distance};
  }
}

Result<void> search(const Index& index, const cairn_vector* query, const SearchParams& params,
                    cairn_match* out, std::size_t capacity, std::size_t* count) {
  const auto given = view_of("search", "query", query);
  if (!given) return given.error();
  if (out == nullptr && capacity != 0) return null_argument("search", "out");
  if (count == nullptr) return null_argument("search", "count");
  const auto rows = Rows::of(index, kind_to_search(index), *given);
  if (!rows) return rows.error().with_context("search");
  Match* const matches = storage_of(out);
  const auto found = index.search(rows->view().row(0), params, std::span<Match>(matches, capacity));
  if (!found) return found.error();
  become_c(matches, out, *found);
  *count = *found;
  return {};
}

Error filters_of_one(const char* call) {
  return Error(ErrorCode::invalid_argument,
               std::string(call) + ": options->filters is for batches; of one query it is filter");
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
  const auto rows = Rows::of(index, kind_to_search(index), *given);
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

Result<void> measure_recall(const Index& index, const cairn_matrix* queries,
                            const SearchParams& params, const BuildOptions& options,
                            cairn_recall_report* report) {
  // Before the work, so that it is not lost.
  if (report == nullptr) return null_argument("measure_recall", "report");
  if (const auto room = size_of("measure_recall", "report", report); !room) return room.error();
  const auto given = view_of("measure_recall", "queries", queries);
  if (!given) return given.error();
  const auto rows = Rows::of(index, kind_to_search(index), *given);
  if (!rows) return rows.error().with_context("measure_recall");
  const auto measured = index.measure_recall(rows->view(), params, options);
  if (!measured) return measured.error();
  cairn_recall_report all{};
  all.recall = measured->recall;
  all.lower = measured->lower;
  all.upper = measured->upper;
  all.queries = measured->queries;
  return fill_sized("measure_recall", "report", report, &all, sizeof all);
}

Result<void> ef_for(const Index& index, double recall, const cairn_matrix* queries, std::size_t k,
                    const BuildOptions& options, std::size_t* ef) {
  const auto given = view_of("ef_for", "queries", queries);
  if (!given) return given.error();
  const auto rows = Rows::of(index, kind_to_search(index), *given);
  if (!rows) return rows.error().with_context("ef_for");
  const auto found = index.ef_for(recall, rows->view(), k, options);
  if (!found) return found.error();
  *ef = *found;
  return {};
}

// Of what a range or a cursor is asked for, which have no rows.
Result<void> read_one(const char* call, const cairn_search_options* options, SearchCall& wanted) {
  if (auto ok = read_options(call, options, wanted); !ok) return ok;
  if (wanted.filters != nullptr) return filters_of_one(call);
  return {};
}

// Calls take(match) for each match, of at most `most` if that is not 0.
Result<bool> search_range(const Index& index, const cairn_vector* query, float radius,
                          const cairn_search_options* options, std::size_t most,
                          const std::function<bool(Match)>& take) {
  SearchCall wanted;
  if (auto ok = read_one("search_range", options, wanted); !ok) return ok.error();
  const SearchParams& params = wanted.params;
  if (params.rerank != nullptr) {
    return Error(ErrorCode::unsupported, "search_range: a radius is one of the index's metric");
  }
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
                    .report = params.report};
  if (most != 0 && (wanted_most == 0 || wanted_most > most)) range.max_results = most;
  const auto vector = view_of("search_range", "query", query);
  if (!vector) return vector.error();
  const auto rows = Rows::of(index, kind_to_search(index), *vector);
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
  const auto rows = Rows::of(index, kind_to_search(index), *given);
  if (!rows) return rows.error().with_context("cursor_open");
  return index.open_cursor(rows->view().row(0), wanted.params, static_cast<Order>(order));
}

// Floats that are of kind `to` already, in memory that is aligned for it.
Result<void> write_as(Scalar to, std::span<const float> floats, void* out) {
  const std::size_t bytes = vector_bytes(to, floats.size());
  if (to != Scalar::i8) return convert(floats, to, {static_cast<std::byte*>(out), bytes});
  auto* integers = static_cast<std::int8_t*>(out);  // -128 may be stored, and is not converted to
  for (const float value : floats) *integers++ = static_cast<std::int8_t>(value);
  return {};
}

Result<void> get(const Index& index, std::uint64_t key, std::uint8_t scalar, void* out,
                 std::size_t bytes) {
  if (out == nullptr) return null_argument("get", "out");
  const auto to = scalar_of("get", scalar);
  if (!to) return to.error();
  const IndexParams& params = index.params();
  const std::size_t dims = params.dimensions;
  if (*to == Scalar::f32) {
    const auto got =
        index.get(key, std::span<float>(static_cast<float*>(out), bytes / sizeof(float)));
    return got ? Result<void>() : got.error();
  }
  if (*to != params.scalar) {
    return Error(ErrorCode::invalid_argument,
                 "get: the vector is wanted in a kind that is neither f32 nor the index's");
  }
  if (bytes < vector_bytes(*to, dims)) {
    return Error(ErrorCode::dimension_mismatch, "get: room for " + std::to_string(bytes) +
                                                    " bytes, a vector has " +
                                                    std::to_string(vector_bytes(*to, dims)));
  }
  std::vector<float> floats(dims);
  if (const auto got = index.get(key, floats); !got) return got.error();
  auto written = write_as(*to, floats, out);
  return written ? written : written.error().with_context("get");
}

cairn_vector floats_of(const float* data, std::size_t dims) {
  return {data, dims, CAIRN_SCALAR_F32};
}

cairn_matrix floats_of(const float* data, std::size_t rows, std::size_t dims) {
  return {data, rows, dims, 0, CAIRN_SCALAR_F32};
}

}  // namespace

}  // namespace cairn::c

extern "C" {

using cairn::Index;
using cairn::Result;

int cairn_add(cairn_index* index, uint64_t key, const float* vector, size_t dims) {
  const cairn_vector given = cairn::c::floats_of(vector, dims);
  return cairn_add_vector(index, key, &given);
}

int cairn_upsert(cairn_index* index, uint64_t key, const float* vector, size_t dims) {
  const cairn_vector given = cairn::c::floats_of(vector, dims);
  return cairn_upsert_vector(index, key, &given);
}

int cairn_add_vector(cairn_index* index, uint64_t key, const cairn_vector* vector) {
  return cairn::c::change("add", index, key, vector, &Index::add);
}

int cairn_upsert_vector(cairn_index* index, uint64_t key, const cairn_vector* vector) {
  return cairn::c::change("upsert", index, key, vector, &Index::upsert);
}

int cairn_build(cairn_index* index, const uint64_t* keys, const float* rows, size_t n, size_t dims,
                unsigned threads) {
  return cairn::c::on_index("build", index, [&](Index& it) {
    const cairn_matrix given = cairn::c::floats_of(rows, n, dims);
    cairn::BuildOptions options;
    options.threads = threads;
    return cairn::c::build(it, keys, &given, options);
  });
}

int cairn_build_with(cairn_index* index, const uint64_t* keys, const cairn_matrix* rows,
                     const cairn_build_options* options) {
  return cairn::c::on_index("build", index, [&](Index& it) -> Result<void> {
    const auto wanted = cairn::c::options_of("build", options);
    if (!wanted) return wanted.error();
    return cairn::c::build(it, keys, rows, *wanted);
  });
}

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
    if (auto ok = cairn::c::read_options("search", options, wanted); !ok) return ok;
    if (wanted.filters != nullptr) return cairn::c::filters_of_one("search");
    const auto done = cairn::c::search(it, query, wanted.params, out, capacity, count);
    return done ? cairn::c::tell_report("search", options, wanted) : done;
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
    *out = new cairn_cursor{std::move(*cursor)};
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
    const auto found = cursor->cursor.next(std::span<cairn::Match>(matches, capacity));
    if (!found) return found.error();
    cairn::c::become_c(matches, out, *found);
    *count = *found;
    return {};
  });
}

void cairn_cursor_close(cairn_cursor* cursor) { delete cursor; }

int cairn_measure_recall(const cairn_index* index, const cairn_matrix* queries,
                         const cairn_search_options* search, const cairn_build_options* options,
                         cairn_recall_report* report) {
  return cairn::c::on_index("measure_recall", index, [&](const Index& it) -> Result<void> {
    cairn::c::SearchCall wanted;
    if (auto ok = cairn::c::read_one("measure_recall", search, wanted); !ok) return ok;
    const auto work = cairn::c::options_of("measure_recall", options);
    if (!work) return work.error();
    return cairn::c::measure_recall(it, queries, wanted.params, *work, report);
  });
}

int cairn_ef_for(const cairn_index* index, double recall, const cairn_matrix* queries, size_t k,
                 const cairn_build_options* options, size_t* ef) {
  if (ef != nullptr) *ef = 0;
  return cairn::c::on_index("ef_for", index, [&](const Index& it) -> Result<void> {
    if (ef == nullptr) return cairn::c::null_argument("ef_for", "ef");
    const auto work = cairn::c::options_of("ef_for", options);
    if (!work) return work.error();
    return cairn::c::ef_for(it, recall, queries, k, *work, ef);
  });
}

int cairn_get(const cairn_index* index, uint64_t key, float* out, size_t dims) {
  return cairn::c::on_index("get", index, [&](const Index& it) -> Result<void> {
    if (out == nullptr) return cairn::c::null_argument("get", "out");
    const auto got = it.get(key, std::span<float>(out, dims));
    return got ? Result<void>() : got.error();
  });
}

int cairn_get_vector(const cairn_index* index, uint64_t key, uint8_t scalar, void* out,
                     size_t bytes) {
  return cairn::c::on_index(
      "get", index, [&](const Index& it) { return cairn::c::get(it, key, scalar, out, bytes); });
}

}  // extern "C"
