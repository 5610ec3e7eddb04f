// SPDX-License-Identifier: Apache-2.0
//
// Results within a distance, and results page by page.
#include <cairn/cairn.h>

#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/tuple.h>

#include <cstddef>
#include <memory>
#include <optional>
#include <tuple>
#include <utility>
#include <vector>

#include "arrays.h"
#include "errors.h"
#include "handle.h"
#include "options.h"
#include "pages.h"

namespace cairn::python {

using nb::literals::operator""_a;

namespace {

// A query of whatever kind, as the index takes it.
class Query {
 public:
  Query(const Index& index, const AnyArray& given) {
    const IndexParams& params = index.params();
    const VectorView view = vector(given, params.scalar, params.dimensions);
    converted_.emplace(view, takes(view.scalar(), params.scalar) ? view.scalar() : params.scalar);
  }
  const VectorView& view() const { return converted_->view(); }

 private:
  std::optional<Converted> converted_;
};

std::tuple<nb::object, nb::object, SearchReport> search_range(const Handle& handle,
                                                              const AnyArray& query, float radius,
                                                              std::size_t ef,
                                                              std::size_t max_results,
                                                              const SearchOptions& options) {
  const Handle::Use index = handle.get();
  const Query asked(*index, query);
  SearchReport report;
  std::vector<Key> keys;
  std::vector<float> distances;
  std::optional<Result<std::vector<Match>>> found;
  {
    const nb::gil_scoped_release released;
    found.emplace(
        index->search_range(asked.view(), radius, options.range_params(ef, max_results, &report)));
    if (*found) {
      for (const Match& match : **found) {
        keys.push_back(match.key);
        distances.push_back(match.distance);
      }
    }
  }
  options.raise();
  if (!*found) throw Failure(found->error());
  return {array_of(std::move(keys)), array_of(std::move(distances)), report};
}

class CursorHandle {
 public:
  // Both outlive it.
  CursorHandle(const Handle& handle, const SearchOptions& options, Cursor&& cursor)
      : handle_(handle), options_(options), pages_(std::move(cursor)) {}

  std::pair<std::size_t, SearchReport> next(const Out<Key>& keys, const Out<float>& distances) {
    const Handle::Use index = handle_.get();
    return pages_.next(keys, distances, [this] { options_.raise(); });
  }

 private:
  const Handle& handle_;
  const SearchOptions& options_;
  Pages<Cursor> pages_;
};

CursorHandle* open_cursor(const Handle& handle, const AnyArray& query, std::size_t ef,
                          const SearchOptions& options, int order) {
  const Handle::Use index = handle.get();
  const Query asked(*index, query);
  SearchParams params = options.params(1, ef, nullptr, nullptr);
  std::optional<Result<Cursor>> made;
  {
    const nb::gil_scoped_release released;
    made.emplace(index->open_cursor(asked.view(), params, static_cast<Order>(order)));
  }
  options.raise();
  return new CursorHandle(handle, options, value_or_throw(std::move(*made)));
}

}  // namespace

void register_cursors(nb::module_& module, nb::class_<Handle>& index) {
  nb::class_<CursorHandle>(module, "Cursor")
      .def("next", &CursorHandle::next, "keys"_a.noconvert(), "distances"_a.noconvert());
  index
      .def("search_range", search_range, "query"_a.noconvert(), "radius"_a, "ef"_a, "max_results"_a,
           "options"_a)
      .def("open_cursor", open_cursor, nb::keep_alive<0, 1>(), nb::keep_alive<0, 4>(),
           "query"_a.noconvert(), "ef"_a, "options"_a, "order"_a);
}

}  // namespace cairn::python
