// SPDX-License-Identifier: Apache-2.0
//
// cairn._core.Index: the calls of cairn::Index on arrays that cairn/_arrays.py has made fit. Every
// call but the shortest releases Python's lock.
#include <cairn/cairn.h>

#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/vector.h>

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <tuple>
#include <utility>

#include "arrays.h"
#include "errors.h"
#include "filter.h"
#include "handle.h"
#include "long_call.h"
#include "options.h"
#include "params.h"

namespace cairn::python {

using nb::literals::operator""_a;

namespace {

// Adds or replaces rows one after the other. An error names the row; those before it have been put.
void put_rows(const Handle& handle, const KeyArray& keys, const AnyArray& rows, bool replaces) {
  const Handle::Use index = handle.get();
  const IndexParams& params = index->params();
  const MatrixView given = matrix(rows, params.scalar, params.dimensions);
  if (keys.size() != given.rows) {
    fail(ErrorCode::invalid_argument,
         std::to_string(keys.size()) + " keys for " + std::to_string(given.rows) + " vectors");
  }
  std::optional<ConvertedRows> converted;
  {
    const nb::gil_scoped_release released;
    converted.emplace(given, params.scalar);
    if (given.rows == 1) {
      const VectorView row = converted->view().row(0);
      check(replaces ? index->upsert(keys.data()[0], row) : index->add(keys.data()[0], row));
      return;
    }
  }
  check(run_long(nb::none(), [&](Watch& watch) -> Result<void> {
    for (std::size_t i = 0; i < given.rows; ++i) {
      if (watch.stop) return Error(ErrorCode::cancelled, "row " + std::to_string(i) + ": stopped");
      const VectorView row = converted->view().row(i);
      const auto ok =
          replaces ? index->upsert(keys.data()[i], row) : index->add(keys.data()[i], row);
      if (!ok) return ok.error().with_context("row " + std::to_string(i));
    }
    return {};
  }));
}

void build(const Handle& handle, const KeyArray& keys, const AnyArray& rows, unsigned threads,
           const nb::object& progress) {
  const Handle::Use index = handle.get();
  const IndexParams& params = index->params();
  const MatrixView given = matrix(rows, params.scalar, params.dimensions);
  if (keys.size() != given.rows) {
    fail(ErrorCode::invalid_argument,
         std::to_string(keys.size()) + " keys for " + std::to_string(given.rows) + " vectors");
  }
  std::optional<ConvertedRows> converted;
  {
    const nb::gil_scoped_release released;
    converted.emplace(given, params.scalar);
  }
  check(run_long(progress, [&](Watch& watch) {
    return index->build({keys.data(), keys.size()}, converted->view(),
                        {.threads = threads, .progress = watch.progress, .stop = &watch.stop});
  }));
}

std::size_t get(const Handle& handle, Key key, std::size_t i, const Out<float>& out) {
  const Handle::Use index = handle.get();
  const nb::gil_scoped_release released;
  return value_or_throw(index->get(key, i, {out.data(), out.size()}));
}

// The next keys of a listing: how many, where it goes on, and whether it has ended.
std::tuple<std::size_t, std::uint64_t, bool> keys(const Handle& handle, std::uint64_t position,
                                                  const Out<Key>& out) {
  const Handle::Use index = handle.get();
  const nb::gil_scoped_release released;
  KeyScan scan{.position = position, .done = false};
  const std::size_t n = value_or_throw(index->keys(scan, {out.data(), out.size()}));
  return {n, scan.position, scan.done};
}

// Of each key its vector of a number from 0, as floats. Keys without such a one are left out of
// both arrays; how many have one.
std::size_t get_rows(const Handle& handle, const Out<Key>& keys, const KeyArray& numbers,
                     const Out<float>& rows) {
  const Handle::Use index = handle.get();
  const nb::gil_scoped_release released;
  const std::size_t dims = index->params().dimensions;
  if (numbers.size() != keys.size()) fail(ErrorCode::invalid_argument, "not a number for each key");
  if (rows.size() < keys.size() * dims) fail(ErrorCode::invalid_argument, "no room for the rows");
  std::size_t found = 0;
  for (std::size_t i = 0; i < keys.size(); ++i) {
    const auto got =
        index->get(keys.data()[i], numbers.data()[i], {rows.data() + found * dims, dims});
    if (!got && got.error().code() == ErrorCode::key_not_found) continue;
    if (!got) throw Failure(got.error());
    keys.data()[found++] = keys.data()[i];
  }
  return found;
}

SaveOptions save_options(bool replaces, const Watch& watch) {
  return {.existing = replaces ? Existing::replace : Existing::refuse, .stop = &watch.stop};
}

void register_reports(nb::module_& module) {
  nb::class_<Stats> stats(module, "Stats", "Numbers of an index; see cairn/params.h for each.");
  stats.def_ro("live", &Stats::live)
      .def_ro("keys", &Stats::keys)
      .def_ro("deleted", &Stats::deleted)
      .def_ro("slots", &Stats::slots)
      .def_ro("dimensions", &Stats::dimensions)
      .def_ro("max_level", &Stats::max_level)
      .def_ro("generation", &Stats::generation)
      .def_ro("file_bytes", &Stats::file_bytes)
      .def_ro("hot_bytes", &Stats::hot_bytes)
      .def_ro("exact_bytes", &Stats::exact_bytes)
      .def_ro("private_bytes", &Stats::private_bytes)
      .def_ro("log_bytes", &Stats::log_bytes)
      .def_ro("log_frames", &Stats::log_frames)
      .def_ro("last_lsn", &Stats::last_lsn)
      .def_ro("durable_lsn", &Stats::durable_lsn)
      .def_ro("dirty_pages", &Stats::dirty_pages)
      .def_ro("checkpoints", &Stats::checkpoints)
      .def_ro("failed_checkpoints", &Stats::failed_checkpoints)
      .def_ro("poisoned", &Stats::poisoned)
      .def_ro("adds", &Stats::adds)
      .def_ro("upserts", &Stats::upserts)
      .def_ro("removes", &Stats::removes)
      .def_ro("searches", &Stats::searches)
      .def_ro("compactions", &Stats::compactions)
      .def_ro("open_ns", &Stats::open_ns)
      .def_ro("recovery_ns", &Stats::recovery_ns)
      .def_ro("recovered_frames", &Stats::recovered_frames)
      .def_ro("lost_frames", &Stats::lost_frames)
      .def_ro("first_lost_lsn", &Stats::first_lost_lsn)
      .def_ro("last_lost_lsn", &Stats::last_lost_lsn)
      .def_ro("live_before_loss", &Stats::live_before_loss)
      .def_ro("advised_ef", &Stats::advised_ef)
      .def_ro("timed_searches", &Stats::timed_searches)
      .def_ro("p50_ns", &Stats::p50_ns)
      .def_ro("p90_ns", &Stats::p90_ns)
      .def_ro("p99_ns", &Stats::p99_ns)
      .def_ro("p999_ns", &Stats::p999_ns)
      .def_prop_ro("simd", [](const Stats& s) { return std::string(s.simd); });

  nb::class_<VerifyReport>(module, "VerifyReport", "What verify() found; true if nothing.")
      .def_ro("pages_checked", &VerifyReport::pages_checked)
      .def_ro("nodes_checked", &VerifyReport::nodes_checked)
      .def_ro("unreachable", &VerifyReport::unreachable)
      .def_ro("findings", &VerifyReport::findings)
      .def("__bool__", &VerifyReport::ok);
}

}  // namespace

void register_searches(nb::module_& module, nb::class_<Handle>& index);
void register_cursors(nb::module_& module, nb::class_<Handle>& index);
void register_measures(nb::module_& module, nb::class_<Handle>& index);
void register_transfer(nb::module_& module, nb::class_<Handle>& index);

void register_index(nb::module_& module) {
  register_reports(module);
  register_options(module);
  nb::class_<Handle> index(module, "Index");
  register_searches(module, index);
  register_measures(module, index);
  register_transfer(module, index);
  register_filters(module);
  register_cursors(module, index);
  index
      .def_static(
          "create",
          [](const std::optional<nb::bytes>& name, std::size_t dims, int metric, int scalar,
             std::uint32_t m, std::uint32_t ef_construction, std::uint64_t seed, int traversal,
             bool several_per_key, int durability, unsigned group_ms, std::uint64_t max_vectors) {
            const IndexParams params = params_from(dims, metric, scalar, m, ef_construction, seed,
                                                   traversal, several_per_key);
            const CreateOptions options{.durability = numbered<Durability>(durability),
                                        .group_ms = group_ms,
                                        .max_vectors = max_vectors};
            const auto path = name ? path_of(*name) : std::filesystem::path();
            const nb::gil_scoped_release released;
            if (!name) return new Handle(value_or_throw(Index::create(params, options)));
            return new Handle(value_or_throw(Index::create(path, params, options)));
          },
          "path"_a.none(), "dims"_a, "metric"_a, "scalar"_a, "m"_a, "ef_construction"_a, "seed"_a,
          "traversal"_a, "several_per_key"_a, "durability"_a, "group_ms"_a, "max_vectors"_a)
      .def_static(
          "open",
          [](const nb::bytes& name, bool writes, bool load, bool verify_all, int durability,
             unsigned group_ms, std::uint64_t max_vectors, bool salvage, bool guard,
             int check_pages, const nb::object& progress) {
            const auto path = path_of(name);
            auto opened = run_long(progress, [&](Watch& watch) {
              OpenOptions options;
              options.mode = writes ? Mode::read_write : Mode::read_only;
              options.residency = load ? Residency::load : Residency::map;
              options.verify = verify_all ? Verify::full : Verify::metadata;
              options.durability = numbered<Durability>(durability);
              options.group_ms = group_ms;
              options.max_vectors = max_vectors;
              options.salvage = salvage;
              options.guard = guard;
              options.check = numbered<Check>(check_pages);
              options.stop = &watch.stop;
              options.progress = watch.progress;
              return Index::open(path, options);
            });
            return new Handle(value_or_throw(std::move(opened)));
          },
          "path"_a, "writes"_a, "load"_a, "verify_all"_a, "durability"_a, "group_ms"_a,
          "max_vectors"_a, "salvage"_a, "guard"_a, "check"_a, "progress"_a.none())
      .def("close", &Handle::close)
      .def_prop_ro("closed", &Handle::is_closed)
      .def("build", build, "keys"_a.noconvert(), "rows"_a.noconvert(), "threads"_a,
           "progress"_a.none())
      .def("put_rows", put_rows, "keys"_a.noconvert(), "rows"_a.noconvert(), "replaces"_a)
      .def(
          "remove",
          [](const Handle& handle, Key key) {
            const Handle::Use held = handle.get();
            const nb::gil_scoped_release released;
            check(held->remove(key));
          },
          "key"_a)
      .def(
          "contains", [](const Handle& handle, Key key) { return handle.get()->contains(key); },
          "key"_a)
      .def("get", get, "key"_a, "i"_a, "out"_a.noconvert())
      .def(
          "count", [](const Handle& handle, Key key) { return handle.get()->count(key); }, "key"_a)
      .def("keys", keys, "position"_a, "out"_a.noconvert())
      .def("get_rows", get_rows, "keys"_a.noconvert(), "numbers"_a.noconvert(), "out"_a.noconvert())
      .def("__len__", [](const Handle& handle) { return handle.get()->size(); })
      .def(
          "save",
          [](const Handle& handle, const nb::bytes& name, bool replaces) {
            const auto path = path_of(name);
            const Handle::Use held = handle.get();
            check(run_long(nb::none(), [&](Watch& watch) {
              return held->save(path, save_options(replaces, watch));
            }));
          },
          "path"_a, "replaces"_a)
      .def(
          "backup",
          [](const Handle& handle, const nb::bytes& name, bool replaces) {
            const auto path = path_of(name);
            const Handle::Use held = handle.get();
            check(run_long(nb::none(), [&](Watch& watch) {
              return held->backup(path, save_options(replaces, watch));
            }));
          },
          "path"_a, "replaces"_a)
      .def("sync",
           [](const Handle& handle) {
             const Handle::Use held = handle.get();
             const nb::gil_scoped_release released;
             check(held->sync());
           })
      .def("checkpoint",
           [](const Handle& handle) {
             const Handle::Use held = handle.get();
             check(
                 run_long(nb::none(), [&](Watch& watch) { return held->checkpoint(&watch.stop); }));
           })
      .def("refresh",
           [](const Handle& handle) {
             const Handle::Use held = handle.get();
             const nb::gil_scoped_release released;
             check(held->refresh());
           })
      .def(
          "compact",
          [](const Handle& handle, unsigned threads, bool erase, const nb::object& progress) {
            const Handle::Use held = handle.get();
            check(run_long(progress, [&](Watch& watch) {
              return held->compact({.threads = threads,
                                    .progress = watch.progress,
                                    .stop = &watch.stop,
                                    .erase = erase});
            }));
          },
          "threads"_a, "erase"_a, "progress"_a.none())
      .def(
          "verify",
          [](const Handle& handle, unsigned threads, const nb::object& progress) {
            const Handle::Use held = handle.get();
            return value_or_throw(run_long(progress, [&](Watch& watch) {
              return held->verify(
                  {.threads = threads, .progress = watch.progress, .stop = &watch.stop});
            }));
          },
          "threads"_a, "progress"_a.none())
      .def("warm",
           [](const Handle& handle) {
             const Handle::Use held = handle.get();
             const nb::gil_scoped_release released;
             check(held->warm());
           })
      .def("release",
           [](const Handle& handle) {
             const Handle::Use held = handle.get();
             const nb::gil_scoped_release released;
             check(held->release());
           })
      .def("applied_up_to",
           [](const Handle& handle) { return value_or_throw(handle.get()->applied_up_to()); })
      .def(
          "set_applied_up_to",
          [](const Handle& handle, std::uint64_t lsn) {
            const Handle::Use held = handle.get();
            const nb::gil_scoped_release released;
            check(held->set_applied_up_to(lsn));
          },
          "lsn"_a)
      .def("stats",
           [](const Handle& handle) {
             const Handle::Use held = handle.get();
             const nb::gil_scoped_release released;
             return held->stats();
           })
      .def("params", [](const Handle& handle) { return params_tuple(handle.get()->params()); });

  module.def("simd_info", [] {
    const SimdInfo info = simd_info();
    return std::tuple(info.compiled, info.available, info.active);
  });
}

}  // namespace cairn::python
