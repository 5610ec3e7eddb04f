// SPDX-License-Identifier: Apache-2.0
//
// Indexes of other libraries, as ours and back.
#include <cairn/import.h>

#include <nanobind/nanobind.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>

#include "arrays.h"
#include "errors.h"
#include "handle.h"
#include "long_call.h"

namespace cairn::python {

using nb::literals::operator""_a;

namespace {

std::pair<Handle*, ImportReport> import_file(const nb::bytes& name, int source,
                                             std::optional<int> metric, std::size_t dims,
                                             const KeyArray& keys, bool rebuild,
                                             bool several_per_key, std::optional<std::uint32_t> m,
                                             std::optional<std::uint32_t> ef_construction,
                                             unsigned threads, const nb::object& progress) {
  const auto path = path_of(name);
  ImportOptions options;
  options.source = static_cast<Source>(source);
  if (metric) options.metric = static_cast<Metric>(*metric);
  options.dimensions = dims;
  options.rebuild = rebuild;
  options.several_per_key = several_per_key;
  options.keys = {keys.data(), keys.size()};
  options.m = m;
  options.ef_construction = ef_construction;
  options.threads = threads;
  ImportReport report;
  Index index = value_or_throw(run_long(progress, [&](Watch& watch) {
    options.progress = watch.progress;
    options.stop = &watch.stop;
    return import_index(path, options, &report);
  }));
  return {new Handle(std::move(index)), std::move(report)};
}

}  // namespace

void register_transfer(nb::module_& module, nb::class_<Handle>& index) {
  nb::class_<ImportReport>(module, "ImportReport", "What became of a file of another library.")
      .def_ro("vectors", &ImportReport::vectors, "in the index")
      .def_ro("links_kept", &ImportReport::links_kept, "of the source's level 0")
      .def_ro("links_dropped", &ImportReport::links_dropped,
              "of it: to removed or missing vectors, twice, to itself, no room")
      .def_ro("skipped", &ImportReport::skipped,
              "vectors of the file that are not in the index: removed, or key taken")
      .def_ro("graph_kept", &ImportReport::graph_kept, "false: built anew, and a note says why")
      .def_ro("notes", &ImportReport::notes, "what is not as it was, a sentence each");
  module.def("import_file", import_file, "path"_a, "source"_a, "metric"_a.none(), "dims"_a,
             "keys"_a.noconvert(), "rebuild"_a, "several_per_key"_a, "m"_a.none(),
             "ef_construction"_a.none(), "threads"_a, "progress"_a.none());
  index.def(
      "export_file",
      [](const Handle& handle, const nb::bytes& name, int kind) {
        const auto path = path_of(name);
        const Handle::Use held = handle.get();
        const nb::gil_scoped_release released;
        check(export_index(*held, path, static_cast<Source>(kind)));
      },
      "path"_a, "kind"_a);
}

}  // namespace cairn::python
