// SPDX-License-Identifier: Apache-2.0
//
// The searches of cairn._core.ShardSet. They release Python's lock.
#include <cairn/cairn.h>

#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/vector.h>

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <new>
#include <optional>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "arrays.h"
#include "errors.h"
#include "long_call.h"
#include "options.h"
#include "pages.h"
#include "shard_filter.h"
#include "shard_set.h"

namespace cairn::python {

using nb::literals::operator""_a;

namespace {

// Batches of so many rows are worth a thread that watches for signals.
constexpr std::size_t kWatchedSetRows = 64;

using Reports = std::tuple<SearchReport, ShardReport>;

// Without Python's lock: results and what was done, into arrays.
Reports search_batch(const SetHandle& handle, const AnyArray& queries, std::size_t k,
                     std::size_t ef, const SearchOptions& options, const nb::object& filter,
                     std::size_t probe, float coverage, const Out<Key>& keys,
                     const Out<float>& distances, const Out<std::uint64_t>& counts) {
  const SetHandle::Use set = handle.get();
  const IndexParams& params = set->params();
  const MatrixView given = matrix(queries, params.scalar, params.dimensions);
  if (keys.size() < given.rows * k || distances.size() < given.rows * k ||
      counts.size() < given.rows) {
    fail(ErrorCode::invalid_argument, "no room for the results");
  }
  std::vector<std::shared_ptr<Raised>> raised;
  const auto filter_in = [&](nb::handle one) -> const ShardFilter* {
    if (one.is_none()) return nullptr;
    const auto* const handle_of = nb::cast<SetFilterHandle*>(one);
    if (handle_of->raised) raised.push_back(handle_of->raised);
    return &handle_of->filter;
  };
  std::vector<const ShardFilter*> filters;
  SearchReport report;
  ShardReport shards;
  ShardScope scope;
  scope.probe = probe;
  scope.coverage = coverage;
  scope.report = &shards;
  if (nb::isinstance<nb::tuple>(filter)) {
    for (const nb::handle one : filter) filters.push_back(filter_in(one));
  } else {
    scope.filter = filter_in(filter);
  }
  std::vector<Match> matches(given.rows * k);
  std::vector<std::size_t> found(given.rows);
  const auto search = [&](const std::atomic<bool>* stop) -> Result<void> {
    std::optional<ConvertedRows> converted;
    if (!takes(given.scalar, params.scalar)) converted.emplace(given, params.scalar);
    const MatrixView& rows = converted ? converted->view() : given;
    const SearchParams asked = options.params(k, ef, stop, &report);
    if (rows.rows == 1) {
      // All threads work on the one row.
      if (!filters.empty()) scope.filter = filters.front();
      const auto count = set->search(rows.row(0), asked, matches, scope);
      if (!count) return count.error();
      found.front() = *count;
      return {};
    }
    if (!filters.empty()) return set->search_batch(rows, asked, filters, matches, found, scope);
    return set->search_batch(rows, asked, matches, found, scope);
  };
  std::optional<Result<void>> done;
  if (given.rows >= kWatchedSetRows) {
    done.emplace(run_long(nb::none(), [&](Watch& watch) { return search(&watch.stop); }));
  } else {
    const nb::gil_scoped_release released;
    done.emplace(search(nullptr));
  }
  options.raise();
  for (const auto& one : raised) one->raise();
  check(*done);
  const nb::gil_scoped_release released;
  for (std::size_t i = 0; i < given.rows; ++i) {
    Key* const row_keys = keys.data() + i * k;
    float* const row_distances = distances.data() + i * k;
    for (std::size_t j = 0; j < found[i]; ++j) {
      row_keys[j] = matches[i * k + j].key;
      row_distances[j] = matches[i * k + j].distance;
    }
    std::fill(row_keys + found[i], row_keys + k, Key{0});
    std::fill(row_distances + found[i], row_distances + k, std::numeric_limits<float>::infinity());
    counts.data()[i] = found[i];
  }
  return {report, std::move(shards)};
}

std::tuple<nb::object, nb::object, SearchReport, ShardReport> search_range(
    const SetHandle& handle, const AnyArray& query, float radius, std::size_t ef,
    std::size_t max_results, const SearchOptions& options, const nb::object& filter,
    std::size_t probe, float coverage) {
  const SetHandle::Use set = handle.get();
  const IndexParams& params = set->params();
  const VectorView given = vector(query, params.scalar, params.dimensions);
  SearchReport report;
  ShardReport shards;
  ShardScope scope;
  const auto* const filtered = filter.is_none() ? nullptr : nb::cast<SetFilterHandle*>(filter);
  if (filtered != nullptr) scope.filter = &filtered->filter;
  scope.probe = probe;
  scope.coverage = coverage;
  scope.report = &shards;
  auto found = run_long(nb::none(), [&](Watch& watch) {
    const Converted converted(
        given, takes(given.scalar(), params.scalar) ? given.scalar() : params.scalar);
    RangeParams asked = options.range_params(ef, max_results, &report);
    asked.stop = &watch.stop;
    return set->search_range(converted.view(), radius, asked, scope);
  });
  options.raise();
  if (filtered != nullptr && filtered->raised) filtered->raised->raise();
  const std::vector<Match> matches = value_or_throw(std::move(found));
  std::vector<Key> keys;
  std::vector<float> distances;
  for (const Match& match : matches) {
    keys.push_back(match.key);
    distances.push_back(match.distance);
  }
  return {array_of(std::move(keys)), array_of(std::move(distances)), report, std::move(shards)};
}

// Pages of a set that may be closed before them.
class SetCursorHandle {
 public:
  // All three outlive it; `filter` may be null.
  SetCursorHandle(const SetHandle& handle, const SearchOptions& options,
                  const SetFilterHandle* filter, ShardCursor&& cursor, ShardReport shards)
      : shards(std::move(shards)),
        handle_(handle),
        options_(options),
        filter_(filter),
        pages_(std::move(cursor)) {}

  std::pair<std::size_t, SearchReport> next(const Out<Key>& keys, const Out<float>& distances) {
    const SetHandle::Use set = handle_.get();
    return pages_.next(keys, distances, [this] {
      options_.raise();
      if (filter_ != nullptr && filter_->raised) filter_->raised->raise();
    });
  }

  const ShardReport shards;

 private:
  const SetHandle& handle_;
  const SearchOptions& options_;
  const SetFilterHandle* const filter_;
  Pages<ShardCursor> pages_;
};

SetCursorHandle* open_cursor(const SetHandle& handle, const AnyArray& query, std::size_t ef,
                             const SearchOptions& options, const nb::object& filter,
                             std::size_t probe, float coverage, int order) {
  const SetHandle::Use set = handle.get();
  const IndexParams& params = set->params();
  const VectorView given = vector(query, params.scalar, params.dimensions);
  ShardReport shards;
  ShardScope scope;
  const auto* const filtered = filter.is_none() ? nullptr : nb::cast<SetFilterHandle*>(filter);
  if (filtered != nullptr) scope.filter = &filtered->filter;
  scope.probe = probe;
  scope.coverage = coverage;
  scope.report = &shards;
  std::optional<Result<ShardCursor>> made;
  {
    const nb::gil_scoped_release released;
    const Converted converted(
        given, takes(given.scalar(), params.scalar) ? given.scalar() : params.scalar);
    made.emplace(set->open_cursor(converted.view(), options.params(1, ef, nullptr, nullptr),
                                  static_cast<Order>(order), scope));
  }
  options.raise();
  if (filtered != nullptr && filtered->raised) filtered->raised->raise();
  return new SetCursorHandle(handle, options, filtered, value_or_throw(std::move(*made)),
                             std::move(shards));
}

}  // namespace

void register_shard_searches(nb::module_& module, nb::class_<SetHandle>& set) {
  nb::class_<ShardReport>(module, "ShardReport", "Which shards of a set have answered a search.")
      .def_ro("shards_asked", &ShardReport::shards_asked, "of a batch: for all rows together")
      .def_ro("shards_answered", &ShardReport::shards_answered, "the same")
      .def_ro("missing", &ShardReport::missing, "names of those that have not, each once")
      .def("__getstate__",
           [](const ShardReport& report) {
             return std::tuple(report.shards_asked, report.shards_answered, report.missing);
           })
      .def("__setstate__",
           [](ShardReport& report,
              const std::tuple<std::size_t, std::size_t, std::vector<std::string>>& state) {
             const auto& [asked, answered, missing] = state;
             new (&report) ShardReport{asked, answered, missing};
           });
  nb::class_<SetCursorHandle>(module, "ShardCursor")
      .def_ro("shards", &SetCursorHandle::shards)
      .def("next", &SetCursorHandle::next, "keys"_a.noconvert(), "distances"_a.noconvert());
  set.def("search_batch", search_batch, "queries"_a.noconvert(), "k"_a, "ef"_a, "options"_a,
          "filter"_a.none(), "probe"_a, "coverage"_a, "keys"_a.noconvert(),
          "distances"_a.noconvert(), "counts"_a.noconvert())
      .def("search_range", search_range, "query"_a.noconvert(), "radius"_a, "ef"_a, "max_results"_a,
           "options"_a, "filter"_a.none(), "probe"_a, "coverage"_a)
      .def("open_cursor", open_cursor, nb::keep_alive<0, 1>(), nb::keep_alive<0, 4>(),
           nb::keep_alive<0, 5>(), "query"_a.noconvert(), "ef"_a, "options"_a, "filter"_a.none(),
           "probe"_a, "coverage"_a, "order"_a);
}

}  // namespace cairn::python
