// SPDX-License-Identifier: Apache-2.0
//
// The searches of cairn._core.Index. They release Python's lock.
#include <cairn/cairn.h>

#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "arrays.h"
#include "errors.h"
#include "handle.h"

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

std::vector<Match>& match_buffer(std::size_t k) {
  thread_local std::vector<Match> buffer;
  if (buffer.size() < k) buffer.resize(k);
  return buffer;
}

std::size_t search(const Handle& handle, VectorView query, std::size_t k, std::size_t ef,
                   const nb::handle key_array, const nb::handle distance_array) {
  const Buffer<Key> keys(key_array, kKeyFormat);
  const Buffer<float> distances(distance_array, "f");
  if (keys.size() < k || distances.size() < k) fail(ErrorCode::invalid_argument, "no room for k");
  const Handle::Use index = handle.get();
  const Scalar stored = index->params().scalar;
  std::vector<Match>& matches = match_buffer(k);
  std::size_t found = 0;
  {
    const nb::gil_scoped_release released;
    const std::span<Match> out(matches.data(), k);
    const bool fits = query.scalar() == stored || stored == Scalar::f16 || stored == Scalar::bf16;
    found = fits ? value_or_throw(index->search(query, {.k = k, .ef = ef}, out))
                 : value_or_throw(
                       index->search(Converted(query, stored).view(), {.k = k, .ef = ef}, out));
  }
  return write({matches.data(), found}, keys.data(), distances.data());
}

void search_batch(const Handle& handle, const AnyArray& queries, std::size_t k, std::size_t ef,
                  unsigned threads, const Out<Key>& keys, const Out<float>& distances,
                  const Out<std::uint64_t>& counts) {
  const Handle::Use index = handle.get();
  const IndexParams& params = index->params();
  const MatrixView given = matrix(queries, params.scalar, params.dimensions);
  if (keys.size() < given.rows * k || distances.size() < given.rows * k ||
      counts.size() < given.rows) {
    fail(ErrorCode::invalid_argument, "no room for the results");
  }
  const nb::gil_scoped_release released;
  std::vector<Match> matches(given.rows * k);
  std::vector<std::size_t> found(given.rows);
  const bool fits = given.scalar == params.scalar || params.scalar == Scalar::f16 ||
                    params.scalar == Scalar::bf16;
  const SearchParams asked{.k = k, .ef = ef};
  if (fits) {
    check(index->search_batch(given, asked, matches, found, threads));
  } else {
    check(index->search_batch(ConvertedRows(given, params.scalar).view(), asked, matches, found,
                              threads));
  }
  for (std::size_t i = 0; i < given.rows; ++i) {
    counts.data()[i] =
        write({&matches[i * k], found[i]}, keys.data() + i * k, distances.data() + i * k);
  }
}

}  // namespace

void register_searches(nb::class_<Handle>& index) {
  index
      .def(
          "search_f32",
          [](const Handle& handle, nb::handle array, std::size_t k, std::size_t ef, nb::handle keys,
             nb::handle distances) {
            const Buffer<const float> query(array, "f");
            return search(handle, {query.data(), query.size()}, k, ef, keys, distances);
          },
          "query"_a, "k"_a, "ef"_a, "keys"_a, "distances"_a)
      .def(
          "search_any",
          [](const Handle& handle, const AnyArray& query, std::size_t k, std::size_t ef,
             nb::handle keys, nb::handle distances) {
            const Handle::Use held = handle.get();
            return search(handle, vector(query, held->params().scalar, held->params().dimensions),
                          k, ef, keys, distances);
          },
          "query"_a.noconvert(), "k"_a, "ef"_a, "keys"_a, "distances"_a)
      .def("search_batch", search_batch, "queries"_a.noconvert(), "k"_a, "ef"_a, "threads"_a,
           "keys"_a.noconvert(), "distances"_a.noconvert(), "counts"_a.noconvert());
}

}  // namespace cairn::python
