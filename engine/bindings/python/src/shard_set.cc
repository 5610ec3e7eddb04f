// SPDX-License-Identifier: Apache-2.0
#include "shard_set.h"

#include <nanobind/stl/pair.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/vector.h>

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "arrays.h"
#include "long_call.h"
#include "shard_filter.h"

namespace cairn::python {

using nb::literals::operator""_a;

namespace {

ShardOptions options_from(bool allow_partial, unsigned threads, bool guard, bool writes) {
  ShardOptions options;
  options.allow_partial = allow_partial;
  options.threads = threads;
  options.open.guard = guard;
  options.open.mode = writes ? Mode::read_write : Mode::read_only;
  return options;
}

SetHandle* open_files(const std::vector<nb::bytes>& names, bool allow_partial, unsigned threads,
                      bool guard) {
  std::vector<std::filesystem::path> paths;
  for (const nb::bytes& name : names) paths.push_back(path_of(name));
  return new SetHandle(value_or_throw(run_long(nb::none(), [&](Watch& watch) {
    ShardOptions options = options_from(allow_partial, threads, guard, false);
    options.open.stop = &watch.stop;
    return ShardSet::open(paths, options);
  })));
}

SetHandle* open_folder(const nb::bytes& name, bool allow_partial, unsigned threads, bool guard,
                       bool writes, const std::vector<std::uint32_t>& only) {
  const auto path = path_of(name);
  return new SetHandle(value_or_throw(run_long(nb::none(), [&](Watch& watch) {
    ShardOptions options = options_from(allow_partial, threads, guard, writes);
    options.only = only;
    options.open.stop = &watch.stop;
    return ShardSet::open(path, options);
  })));
}

// One after the other; an error names the row, and those before it have been put.
void upsert_rows(const SetHandle& handle, const KeyArray& keys, const AnyArray& rows) {
  const SetHandle::Use set = handle.get();
  const IndexParams& params = set->params();
  const MatrixView given = matrix(rows, params.scalar, params.dimensions);
  if (keys.size() != given.rows) {
    fail(ErrorCode::invalid_argument,
         std::to_string(keys.size()) + " keys for " + std::to_string(given.rows) + " vectors");
  }
  check(run_long(nb::none(), [&](Watch& watch) -> Result<void> {
    const ConvertedRows converted(given, params.scalar);
    for (std::size_t i = 0; i < given.rows; ++i) {
      if (watch.stop) return Error(ErrorCode::cancelled, "row " + std::to_string(i) + ": stopped");
      const auto ok = set->upsert(keys.data()[i], converted.view().row(i));
      if (!ok) return ok.error().with_context("row " + std::to_string(i));
    }
    return {};
  }));
}

// As _core.Index.keys(), with the shard in which the listing goes on.
std::tuple<std::size_t, std::size_t, std::uint64_t, bool> keys(const SetHandle& handle,
                                                               std::size_t shard,
                                                               std::uint64_t position,
                                                               const Out<Key>& out) {
  const SetHandle::Use set = handle.get();
  const nb::gil_scoped_release released;
  ShardSet::KeyScan scan;
  scan.shard = shard;
  scan.position.position = position;
  const std::size_t n = value_or_throw(set->keys(scan, {out.data(), out.size()}));
  return {n, scan.shard, scan.position.position, scan.done};
}

// call(set) -> Result<void>, without Python's lock.
template <class Call>
auto plain(Call call) {
  return [call](const SetHandle& handle) {
    const SetHandle::Use set = handle.get();
    const nb::gil_scoped_release released;
    check(call(*set));
  };
}

}  // namespace

void register_shard_sets(nb::module_& module) {
  register_manifests(module);
  nb::class_<SetHandle> set(module, "ShardSet");
  register_shard_filters(module);
  register_shard_searches(module, set);
  set.def_static("open_files", open_files, "paths"_a, "allow_partial"_a, "threads"_a, "guard"_a)
      .def_static("open_folder", open_folder, "path"_a, "allow_partial"_a, "threads"_a, "guard"_a,
                  "writes"_a, "only"_a)
      .def("close", &SetHandle::close)
      .def_prop_ro("closed", &SetHandle::is_closed)
      .def("upsert_rows", upsert_rows, "keys"_a.noconvert(), "rows"_a.noconvert())
      .def(
          "remove",
          [](const SetHandle& handle, Key key) {
            const SetHandle::Use held = handle.get();
            const nb::gil_scoped_release released;
            check(held->remove(key));
          },
          "key"_a)
      .def(
          "contains", [](const SetHandle& handle, Key key) { return handle.get()->contains(key); },
          "key"_a)
      .def(
          "get",
          [](const SetHandle& handle, Key key, const Out<float>& out) {
            const SetHandle::Use held = handle.get();
            const nb::gil_scoped_release released;
            return value_or_throw(held->get(key, {out.data(), out.size()}));
          },
          "key"_a, "out"_a.noconvert())
      .def("keys", keys, "shard"_a, "position"_a, "out"_a.noconvert())
      .def("__len__", [](const SetHandle& handle) { return handle.get()->size(); })
      .def("sync", plain([](ShardSet& s) { return s.sync(); }))
      .def("checkpoint",
           [](const SetHandle& handle) {
             const SetHandle::Use held = handle.get();
             check(
                 run_long(nb::none(), [&](Watch& watch) { return held->checkpoint(&watch.stop); }));
           })
      .def("refresh", plain([](ShardSet& s) { return s.refresh(); }))
      .def("warm", plain([](ShardSet& s) { return s.warm(); }))
      .def("release", plain([](ShardSet& s) { return s.release(); }))
      .def(
          "verify",
          [](const SetHandle& handle, unsigned threads, const nb::object& progress) {
            const SetHandle::Use held = handle.get();
            return value_or_throw(run_long(progress, [&](Watch& watch) {
              return held->verify(
                  {.threads = threads, .progress = watch.progress, .stop = &watch.stop});
            }));
          },
          "threads"_a, "progress"_a.none())
      .def("stats",
           [](const SetHandle& handle) {
             const SetHandle::Use held = handle.get();
             const nb::gil_scoped_release released;
             return held->stats();
           })
      .def("shards", [](const SetHandle& handle) { return handle.get()->shards(); })
      .def("problems",
           [](const SetHandle& handle) {
             std::vector<std::pair<std::string, std::string>> told;
             for (const ShardProblem& one : handle.get()->problems()) {
               told.emplace_back(one.file, one.error.message());
             }
             return told;
           })
      .def(
          "publish",
          [](const SetHandle& handle, const ShardManifest& manifest) {
            const SetHandle::Use held = handle.get();
            ShardManifest published = manifest;
            const nb::gil_scoped_release released;
            check(held->publish(published));
            return published;
          },
          "manifest"_a)
      .def("manifest", [](const SetHandle& handle) { return handle.get()->manifest(); });
}

}  // namespace cairn::python
