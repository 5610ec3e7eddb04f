// SPDX-License-Identifier: Apache-2.0
//
// The searches of cairn._core.Index. They release Python's lock.
#include <cairn/cairn.h>

#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>

#include <nanobind/stl/pair.h>

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "arrays.h"
#include "errors.h"
#include "handle.h"
#include "long_call.h"
#include "numpy.h"
#include "options.h"

namespace cairn::python {

using nb::literals::operator""_a;

namespace {

constexpr const char* kKeyFormat = sizeof(unsigned long) == sizeof(Key) ? "L" : "Q";

std::size_t write(std::span<const Match> matches, Key* keys, float* distances) {
  for (std::size_t i = 0; i < matches.size(); ++i) {
    keys[i] = matches[i].key;
    distances[i] = matches[i].distance;
  }
  return matches.size();
}

constexpr std::size_t kQuickMatches = 1024;

std::vector<Match>& match_buffer(std::size_t k) {
  thread_local std::vector<Match> buffer;
  if (buffer.size() < k) buffer.resize(k);
  return buffer;
}

// Up to k matches into `out`; how many. Python's lock is released.
std::size_t find(const Index& index, VectorView query, const SearchParams& asked,
                 std::span<Match> out) {
  const Scalar stored = index.params().scalar;
  const nb::gil_scoped_release released;
  return takes(query.scalar(), stored)
             ? value_or_throw(index.search(query, asked, out))
             : value_or_throw(index.search(Converted(query, stored).view(), asked, out));
}

// The search that costs the least: of an array that needs no change, with few results, and nothing
// asked for but k and ef. None: it is another one, and search_any() is to be called.
nb::object search_quick(const Handle& handle, nb::handle array, std::int64_t wanted,
                        std::int64_t candidates) {
  const Numpy* const numpy = Numpy::get();
  if (numpy == nullptr || wanted < 1 || candidates < 0) return nb::none();
  const auto k = static_cast<std::size_t>(wanted);
  const auto ef = static_cast<std::size_t>(candidates);
  if (k > kQuickMatches) return nb::none();
  const auto query = numpy->floats(array);
  if (!query) return nb::none();
  const Handle::Use index = handle.get();
  if (!takes(Scalar::f32, index->params().scalar)) return nb::none();
  Numpy::Room room = numpy->room(k);
  const std::span<Match> out(match_buffer(k).data(), k);
  const std::size_t found = find(*index, *query, {.k = k, .ef = ef}, out);
  write(out.first(found), room.key_data, room.distance_data);
  return numpy->matches(std::move(room), found, k);
}

std::pair<std::size_t, SearchReport> search_any(const Handle& handle, const AnyArray& query,
                                                std::size_t k, std::size_t ef,
                                                const SearchOptions& options,
                                                const nb::handle key_array,
                                                const nb::handle distance_array) {
  const Buffer<Key> keys(key_array, kKeyFormat);
  const Buffer<float> distances(distance_array, "f");
  if (keys.size() < k || distances.size() < k) fail(ErrorCode::invalid_argument, "no room for k");
  const Handle::Use index = handle.get();
  const IndexParams& params = index->params();
  // A callback may search, too, so it is not the buffer of the quickest way.
  std::vector<Match> matches(k);
  SearchReport report;
  std::size_t found = 0;
  try {
    found = find(*index, vector(query, params.scalar, params.dimensions),
                 options.params(k, ef, nullptr, &report), matches);
  } catch (const Failure&) {
    options.raise();
    throw;
  }
  options.raise();
  write({matches.data(), found}, keys.data(), distances.data());
  return {found, report};
}

// As search_any(), of the rows of one query.
std::pair<std::size_t, SearchReport> search_documents(const Handle& handle, const AnyArray& rows,
                                                      std::size_t k, std::size_t ef,
                                                      const SearchOptions& options,
                                                      const Out<Key>& keys,
                                                      const Out<float>& distances) {
  if (keys.size() < k || distances.size() < k) fail(ErrorCode::invalid_argument, "no room for k");
  const Handle::Use index = handle.get();
  const IndexParams& params = index->params();
  const MatrixView given = matrix(rows, params.scalar, params.dimensions);
  SearchReport report;
  const SearchParams asked = options.params(k, ef, nullptr, &report);
  std::optional<Result<std::vector<Match>>> found;
  {
    const nb::gil_scoped_release released;
    found.emplace(takes(given.scalar, params.scalar)
                      ? index->search_documents(given, asked)
                      : index->search_documents(ConvertedRows(given, params.scalar).view(), asked));
  }
  options.raise();
  const std::vector<Match> matches = value_or_throw(std::move(*found));
  return {write(matches, keys.data(), distances.data()), report};
}

// Batches of so many rows are worth a thread that watches for signals.
constexpr std::size_t kWatchedRows = 1000;

SearchReport search_batch(const Handle& handle, const AnyArray& queries, std::size_t k,
                          std::size_t ef, const SearchOptions& options, unsigned threads,
                          const Out<Key>& keys, const Out<float>& distances,
                          const Out<std::uint64_t>& counts) {
  const Handle::Use index = handle.get();
  const IndexParams& params = index->params();
  const MatrixView given = matrix(queries, params.scalar, params.dimensions);
  if (keys.size() < given.rows * k || distances.size() < given.rows * k ||
      counts.size() < given.rows) {
    fail(ErrorCode::invalid_argument, "no room for the results");
  }
  SearchReport report;
  std::vector<Match> matches(given.rows * k);
  std::vector<std::size_t> found(given.rows);
  std::optional<ConvertedRows> converted;
  if (!takes(given.scalar, params.scalar)) {
    const nb::gil_scoped_release released;
    converted.emplace(given, params.scalar);
  }
  const auto search = [&](const std::atomic<bool>* stop) -> Result<void> {
    const MatrixView& rows = converted ? converted->view() : given;
    const SearchParams asked = options.params(k, ef, stop, &report);
    if (options.filters().empty()) {
      return index->search_batch(rows, asked, matches, found, threads);
    }
    return index->search_batch(rows, asked, options.filters(), matches, found, threads);
  };
  std::optional<Result<void>> done;
  if (given.rows >= kWatchedRows) {
    done.emplace(run_long(nb::none(), [&](Watch& watch) { return search(&watch.stop); }));
  } else {
    const nb::gil_scoped_release released;
    done.emplace(search(nullptr));
  }
  options.raise();
  check(*done);
  const nb::gil_scoped_release released;
  for (std::size_t i = 0; i < given.rows; ++i) {
    Key* const row_keys = keys.data() + i * k;
    float* const row_distances = distances.data() + i * k;
    write({&matches[i * k], found[i]}, row_keys, row_distances);
    std::fill(row_keys + found[i], row_keys + k, Key{0});
    std::fill(row_distances + found[i], row_distances + k, std::numeric_limits<float>::infinity());
    counts.data()[i] = found[i];
  }
  return report;
}

}  // namespace

void register_searches(nb::module_& module, nb::class_<Handle>& index) {
  module.def("use_numpy", &Numpy::learn, "array_type"_a, "empty"_a, "matches"_a, "f32"_a, "keys"_a);
  index.def("search_quick", search_quick, "query"_a.none(), "k"_a, "ef"_a)
      .def("search_any", search_any, "query"_a.noconvert(), "k"_a, "ef"_a, "options"_a, "keys"_a,
           "distances"_a)
      .def("search_documents", search_documents, "rows"_a.noconvert(), "k"_a, "ef"_a, "options"_a,
           "keys"_a.noconvert(), "distances"_a.noconvert())
      .def("search_batch", search_batch, "queries"_a.noconvert(), "k"_a, "ef"_a, "options"_a,
           "threads"_a, "keys"_a.noconvert(), "distances"_a.noconvert(), "counts"_a.noconvert());
}

}  // namespace cairn::python
