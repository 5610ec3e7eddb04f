// SPDX-License-Identifier: Apache-2.0
//
// How good and how fast searches are: recall, advice for ef, latencies.
#include <cairn/cairn.h>

#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <cstddef>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "arrays.h"
#include "errors.h"
#include "handle.h"
#include "long_call.h"
#include "options.h"

namespace cairn::python {

using nb::literals::operator""_a;

namespace {

// call(rows, build options) -> Result, with queries of whatever kind, progress and signals.
template <class Call>
auto over_queries(const Handle::Use& index, const AnyArray& queries, unsigned threads,
                  const nb::object& progress, Call&& call) {
  const IndexParams& params = index->params();
  const MatrixView given = matrix(queries, params.scalar, params.dimensions);
  std::optional<ConvertedRows> converted;
  if (!takes(given.scalar, params.scalar)) {
    const nb::gil_scoped_release released;
    converted.emplace(given, params.scalar);
  }
  const MatrixView& rows = converted ? converted->view() : given;
  return run_long(progress, [&](Watch& watch) {
    return call(rows,
                BuildOptions{.threads = threads, .progress = watch.progress, .stop = &watch.stop});
  });
}

RecallReport measure_recall(const Handle& handle, const AnyArray& queries, std::size_t k,
                            std::size_t ef, const SearchOptions& options, unsigned threads,
                            const nb::object& progress) {
  const Handle::Use index = handle.get();
  auto report = over_queries(
      index, queries, threads, progress, [&](const MatrixView& rows, const BuildOptions& how) {
        return index->measure_recall(rows, options.params(k, ef, nullptr, nullptr), how);
      });
  options.raise();
  return value_or_throw(std::move(report));
}

std::size_t ef_for(const Handle& handle, double recall, const AnyArray& queries, std::size_t k,
                   unsigned threads, const nb::object& progress) {
  const Handle::Use index = handle.get();
  return value_or_throw(over_queries(index, queries, threads, progress,
                                     [&](const MatrixView& rows, const BuildOptions& how) {
                                       return index->ef_for(recall, rows, k, how);
                                     }));
}

}  // namespace

void register_measures(nb::module_& module, nb::class_<Handle>& index) {
  nb::class_<RecallReport>(module, "RecallReport", "How much of the true answers searches find.")
      .def_ro("recall", &RecallReport::recall, "the part of the k nearest that was found, 0 to 1")
      .def_ro("lower", &RecallReport::lower,
              "it lies between this and `upper` with 95 % certainty, for queries drawn at random")
      .def_ro("upper", &RecallReport::upper, "see `lower`")
      .def_ro("queries", &RecallReport::queries, "how many were searched");
  nb::class_<LatencyHistogram>(module, "LatencyHistogram", "The times of searches.")
      .def_ro("count", &LatencyHistogram::count, "of searches that were timed")
      .def("quantile_us", &LatencyHistogram::quantile_us, "q"_a,
           "Microseconds in which the part q, 0 to 1, of them ended.");
  index
      .def("measure_recall", measure_recall, "queries"_a.noconvert(), "k"_a, "ef"_a, "options"_a,
           "threads"_a, "progress"_a.none())
      .def("ef_for", ef_for, "recall"_a, "queries"_a.noconvert(), "k"_a, "threads"_a,
           "progress"_a.none())
      .def(
          "set_advised_ef",
          [](const Handle& handle, std::size_t ef) {
            const Handle::Use held = handle.get();
            const nb::gil_scoped_release released;
            check(held->set_advised_ef(ef));
          },
          "ef"_a)
      .def(
          "record_latency", [](const Handle& handle, bool on) { handle.get()->record_latency(on); },
          "on"_a)
      .def("latency", [](const Handle& handle) { return handle.get()->latency(); })
      .def(
          "prometheus_text",
          [](const Handle& handle, const std::vector<std::pair<std::string, std::string>>& labels) {
            return prometheus_text(*handle.get(), labels);
          },
          "labels"_a);
}

}  // namespace cairn::python
