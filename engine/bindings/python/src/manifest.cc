// SPDX-License-Identifier: Apache-2.0
//
// What a set of shards is made of, and how vectors are spread over them.
#include <cairn/cairn.h>
#include <cairn/shard_manifest.h>

#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/vector.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "arrays.h"
#include "errors.h"
#include "handle.h"
#include "long_call.h"
#include "params.h"
#include "shard_set.h"

namespace cairn::python {

using nb::literals::operator""_a;

namespace {

std::pair<Handle*, std::vector<float>> cluster(int metric, const AnyArray& sample, int scalar,
                                               std::size_t dims, std::size_t shards,
                                               std::size_t centroids, double copies, double largest,
                                               std::uint64_t seed, unsigned threads,
                                               const nb::object& progress) {
  const MatrixView rows = matrix(sample, static_cast<Scalar>(scalar), dims);
  Clusters made = value_or_throw(run_long(progress, [&](Watch& watch) {
    ClusterOptions options;
    options.shards = shards;
    options.centroids = centroids;
    options.copies = copies;
    options.largest = largest;
    options.seed = seed;
    options.threads = threads;
    options.progress = watch.progress;
    options.stop = &watch.stop;
    return cluster_shards(static_cast<Metric>(metric), rows, options);
  }));
  return {new Handle(std::move(made.router)), std::move(made.gaps)};
}

// The shards of rows: the first, and the second or 2^32 - 1.
std::pair<nb::object, nb::object> assign(const Handle& router, const std::vector<float>& gaps,
                                         const AnyArray& rows, int scalar, std::size_t dims,
                                         unsigned threads) {
  const Handle::Use index = router.get();
  const MatrixView given = matrix(rows, static_cast<Scalar>(scalar), dims);
  std::vector<std::uint32_t> first(given.rows);
  std::vector<std::uint32_t> second(given.rows);
  check(run_long(nb::none(), [&](Watch&) {
    return assign_shards(*index, gaps, given, first, second, threads);
  }));
  return {array_of(std::move(first)), array_of(std::move(second))};
}

nb::object shards_of_keys(const KeyArray& keys, std::uint64_t seed, std::size_t shards) {
  if (shards == 0) fail(ErrorCode::invalid_argument, "no shards");
  std::vector<std::uint32_t> of(keys.size());
  for (std::size_t i = 0; i < of.size(); ++i) {
    of[i] = static_cast<std::uint32_t>(shard_of_key(keys.data()[i], seed, shards));
  }
  return array_of(std::move(of));
}

void register_values(nb::module_& module) {
  nb::class_<ShardFile>(module, "ShardFile", "A file of a set.")
      .def(nb::init<>())
      .def_rw("file", &ShardFile::file, "its name")
      .def_rw("vectors", &ShardFile::vectors, "that it held when it was published")
      .def_rw("bytes", &ShardFile::bytes, "its size then")
      .def_rw("sealed", &ShardFile::sealed, "it never changes")
      .def_rw("xxh3", &ShardFile::xxh3, "its hash, if it is sealed")
      .def("__getstate__",
           [](const ShardFile& f) {
             return std::tuple(f.file, f.vectors, f.bytes, f.sealed, f.xxh3);
           })
      .def("__setstate__",
           [](ShardFile& f, const std::tuple<std::string, std::uint64_t, std::uint64_t, bool,
                                             std::string>& state) {
             const auto& [file, vectors, bytes, sealed, xxh3] = state;
             new (&f) ShardFile{file, vectors, bytes, sealed, xxh3};
           });
  nb::class_<ShardManifest>(module, "ShardManifest", "What a set is made of, as of one generation.")
      .def(nb::init<>())
      .def(nb::init<const ShardManifest&>(), "other"_a)
      .def_rw("generation", &ShardManifest::generation, "0: not published yet")
      .def_rw("seed", &ShardManifest::seed, "of hash")
      .def_rw("gaps", &ShardManifest::gaps, "of clusters")
      .def_rw("shards", &ShardManifest::shards, "ShardFile each")
      .def_rw("router", &ShardManifest::router, "of clusters")
      .def_rw("fresh", &ShardManifest::fresh, "searched with every query")
      .def_prop_rw(
          "partition", [](const ShardManifest& m) { return static_cast<int>(m.partition); },
          [](ShardManifest& m, int partition) { m.partition = static_cast<Partition>(partition); })
      .def("params", [](const ShardManifest& m) { return params_tuple(m.params); })
      .def(
          "set_params",
          [](ShardManifest& m, std::size_t dims, int metric, int scalar, std::uint32_t links,
             std::uint32_t ef_construction, std::uint64_t seed, int traversal,
             bool several_per_key) {
            m.params = params_from(dims, metric, scalar, links, ef_construction, seed, traversal,
                                   several_per_key);
          },
          "dims"_a, "metric"_a, "scalar"_a, "m"_a, "ef_construction"_a, "seed"_a, "traversal"_a,
          "several_per_key"_a)
      .def("text", [](const ShardManifest& m) {
        const std::string text = value_or_throw(shard_manifest_text(m));
        return nb::bytes(text.data(), text.size());
      });
}

}  // namespace

void register_manifests(nb::module_& module) {
  register_values(module);
  module.def(
      "read_manifest",
      [](const nb::bytes& folder) { return value_or_throw(read_shard_manifest(path_of(folder))); },
      "folder"_a);
  module.def(
      "parse_manifest",
      [](const nb::bytes& text, const std::string& name) {
        return value_or_throw(parse_shard_manifest({text.c_str(), text.size()}, name));
      },
      "text"_a, "name"_a);
  module.def(
      "publish",
      [](const nb::bytes& folder, const ShardManifest& manifest) {
        const auto path = path_of(folder);
        ShardManifest published = manifest;
        const nb::gil_scoped_release released;
        check(publish_shards(path, published));
        return published;
      },
      "folder"_a, "manifest"_a);
  module.def(
      "prune",
      [](const nb::bytes& folder, std::size_t keep, const std::vector<std::uint64_t>& also,
         std::optional<std::int64_t> unnamed_after) {
        const auto path = path_of(folder);
        PruneOptions options;
        options.keep = keep;
        options.also = also;
        if (unnamed_after) options.unnamed_after = std::chrono::seconds(*unnamed_after);
        const nb::gil_scoped_release released;
        PruneReport report = value_or_throw(prune_shards(path, options));
        return std::tuple(std::move(report.removed), std::move(report.in_use), report.files,
                          report.bytes, report.unnamed);
      },
      "folder"_a, "keep"_a, "also"_a, "unnamed_after"_a.none());
  module.def(
      "describe_file",
      [](const nb::bytes& name) {
        const auto path = path_of(name);
        return value_or_throw(run_long(
            nb::none(), [&](Watch& watch) { return describe_shard_file(path, &watch.stop); }));
      },
      "path"_a);
  module.def(
      "add_file",
      [](const nb::bytes& folder, const Handle& handle) {
        const auto path = path_of(folder);
        const Handle::Use index = handle.get();
        return value_or_throw(run_long(
            nb::none(), [&](Watch& watch) { return add_shard_file(path, *index, &watch.stop); }));
      },
      "folder"_a, "index"_a);
  module.def("shards_of_keys", shards_of_keys, "keys"_a.noconvert(), "seed"_a, "shards"_a);
  module.def("cluster", cluster, "metric"_a, "sample"_a.noconvert(), "scalar"_a, "dims"_a,
             "shards"_a, "centroids"_a, "copies"_a, "largest"_a, "seed"_a, "threads"_a,
             "progress"_a.none());
  module.def("assign", assign, "router"_a, "gaps"_a, "rows"_a.noconvert(), "scalar"_a, "dims"_a,
             "threads"_a);
}

}  // namespace cairn::python
