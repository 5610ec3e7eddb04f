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
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "errors.h"
#include "long_call.h"

namespace cairn::python {

namespace nb = nanobind;
using nb::literals::operator""_a;

namespace {

using AnyArray = nb::ndarray<nb::ro, nb::device::cpu>;
using FloatVector = nb::ndarray<const float, nb::ndim<1>, nb::c_contig, nb::device::cpu>;
using KeyArray = nb::ndarray<const Key, nb::ndim<1>, nb::c_contig, nb::device::cpu>;
template <class T>
using Out = nb::ndarray<T, nb::c_contig, nb::device::cpu>;

[[noreturn]] void fail(ErrorCode code, std::string message) {
  throw Failure(Error(code, std::move(message)));
}

// Bits are packed, eight to a byte: only the index knows how many of the last byte count.
std::size_t dims_of(std::size_t columns, Scalar scalar, std::size_t dimensions) {
  if (scalar != Scalar::b1) return columns;
  return columns == vector_bytes(Scalar::b1, dimensions) ? dimensions : columns * 8;
}

Scalar scalar_of(const AnyArray& array, Scalar stored) {
  if (array.dtype() == nb::dtype<float>()) return Scalar::f32;
  return stored;
}

MatrixView matrix(const AnyArray& array, Scalar stored, std::size_t dimensions) {
  if (array.ndim() != 2) fail(ErrorCode::invalid_argument, "an array that is no matrix");
  const std::size_t item = static_cast<std::size_t>(array.itemsize());
  const Scalar scalar = scalar_of(array, stored);
  return {array.data(), scalar, array.shape(0), dims_of(array.shape(1), scalar, dimensions),
          static_cast<std::size_t>(array.stride(0)) * item};
}

VectorView vector(const AnyArray& array, Scalar stored, std::size_t dimensions) {
  if (array.ndim() != 1) fail(ErrorCode::invalid_argument, "an array that is no vector");
  const Scalar scalar = scalar_of(array, stored);
  const MatrixView row{array.data(), scalar, 1, dims_of(array.shape(0), scalar, dimensions), 0};
  return row.row(0);
}

// An f32 vector for an index of another kind is converted as the C interface does.
class Converted {
 public:
  Converted(VectorView from, Scalar to) : view_(from) {
    if (from.scalar() == to) return;
    bytes_.resize(vector_bytes(to, from.dims()));
    check(convert(std::span<const float>(static_cast<const float*>(from.data()), from.dims()), to,
                  bytes_));
    view_ = MatrixView{bytes_.data(), to, 1, from.dims(), bytes_.size()}.row(0);
  }
  const VectorView& view() const { return view_; }

 private:
  std::vector<std::byte> bytes_;
  VectorView view_;
};

class ConvertedRows {
 public:
  ConvertedRows(const MatrixView& from, Scalar to) : view_(from) {
    if (from.scalar == to) return;
    const std::size_t width = vector_bytes(to, from.dims);
    bytes_.resize(width * from.rows);
    for (std::size_t i = 0; i < from.rows; ++i) {
      const auto* row = static_cast<const float*>(from.row(i).data());
      const auto ok = convert(std::span<const float>(row, from.dims), to,
                              std::span(bytes_).subspan(i * width, width));
      if (!ok) throw Failure(ok.error().with_context("row " + std::to_string(i)));
    }
    view_ = {bytes_.data(), to, from.rows, from.dims, width};
  }
  const MatrixView& view() const { return view_; }

 private:
  std::vector<std::byte> bytes_;
  MatrixView view_;
};

// An index that can be closed while others still refer to it: every call takes part in owning it.
class Handle {
 public:
  explicit Handle(Index index) : index_(std::make_shared<Index>(std::move(index))) {}

  std::shared_ptr<Index> get() const {
    const std::lock_guard lock(mutex_);
    if (!index_) fail(ErrorCode::invalid_argument, "the index is closed");
    return index_;
  }
  bool is_closed() const {
    const std::lock_guard lock(mutex_);
    return !index_;
  }
  void close() {
    std::shared_ptr<Index> last;
    {
      const std::lock_guard lock(mutex_);
      last = std::move(index_);
    }
    const nb::gil_scoped_release released;
    last.reset();
  }

 private:
  mutable std::mutex mutex_;
  std::shared_ptr<Index> index_;
};

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
                   const Out<Key>& keys, const Out<float>& distances) {
  if (keys.size() < k || distances.size() < k) fail(ErrorCode::invalid_argument, "no room for k");
  const auto index = handle.get();
  const Scalar stored = index->params().scalar;
  std::vector<Match>& matches = match_buffer(k);
  std::size_t found = 0;
  {
    const nb::gil_scoped_release released;
    const std::span<Match> out(matches.data(), k);
    const bool fits = query.scalar() == stored || stored == Scalar::f16 || stored == Scalar::bf16;
    found = fits ? value_or_throw(index->search(query, {.k = k, .ef = ef}, out))
                 : value_or_throw(index->search(Converted(query, stored).view(),
                                                {.k = k, .ef = ef}, out));
  }
  return write({matches.data(), found}, keys.data(), distances.data());
}

void search_batch(const Handle& handle, const AnyArray& queries, std::size_t k, std::size_t ef,
                  unsigned threads, const Out<Key>& keys, const Out<float>& distances,
                  const Out<std::uint64_t>& counts) {
  const auto index = handle.get();
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
    counts.data()[i] = write({&matches[i * k], found[i]}, keys.data() + i * k,
                             distances.data() + i * k);
  }
}

// Adds or replaces rows one after the other. An error names the row; those before it have been put.
void put_rows(const Handle& handle, const KeyArray& keys, const AnyArray& rows, bool replaces) {
  const auto index = handle.get();
  const IndexParams& params = index->params();
  const MatrixView given = matrix(rows, params.scalar, params.dimensions);
  if (keys.size() != given.rows) {
    fail(ErrorCode::invalid_argument, std::to_string(keys.size()) + " keys for " +
                                          std::to_string(given.rows) + " vectors");
  }
  const nb::gil_scoped_release released;
  const ConvertedRows converted(given, params.scalar);
  for (std::size_t i = 0; i < given.rows; ++i) {
    const VectorView row = converted.view().row(i);
    const auto ok = replaces ? index->upsert(keys.data()[i], row) : index->add(keys.data()[i], row);
    if (!ok) throw Failure(ok.error().with_context("row " + std::to_string(i)));
  }
}

void build(const Handle& handle, const KeyArray& keys, const AnyArray& rows, unsigned threads,
           const nb::object& progress) {
  const auto index = handle.get();
  const IndexParams& params = index->params();
  const MatrixView given = matrix(rows, params.scalar, params.dimensions);
  if (keys.size() != given.rows) {
    fail(ErrorCode::invalid_argument, std::to_string(keys.size()) + " keys for " +
                                          std::to_string(given.rows) + " vectors");
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

std::size_t get(const Handle& handle, Key key, const Out<float>& out) {
  const auto index = handle.get();
  const nb::gil_scoped_release released;
  return value_or_throw(index->get(key, {out.data(), out.size()}));
}

template <class Enum>
Enum numbered(int number) {
  return static_cast<Enum>(number);
}

IndexParams params_from(std::size_t dims, int metric, int scalar, std::uint32_t m,
                        std::uint32_t ef_construction, std::uint64_t seed, int traversal) {
  return {.dimensions = dims,
          .metric = numbered<Metric>(metric),
          .scalar = numbered<Scalar>(scalar),
          .m = m,
          .ef_construction = ef_construction,
          .seed = seed,
          .traversal = numbered<Traversal>(traversal)};
}

}  // namespace

void register_index(nb::module_& module) {
  nb::class_<Stats> stats(module, "Stats", "Numbers of an index; see cairn/params.h for each.");
  stats.def_ro("live", &Stats::live)
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
      .def_prop_ro("simd", [](const Stats& s) { return std::string(s.simd); });

  nb::class_<VerifyReport>(module, "VerifyReport", "What verify() found; true if nothing.")
      .def_ro("pages_checked", &VerifyReport::pages_checked)
      .def_ro("nodes_checked", &VerifyReport::nodes_checked)
      .def_ro("unreachable", &VerifyReport::unreachable)
      .def_ro("findings", &VerifyReport::findings)
      .def("__bool__", &VerifyReport::ok);

  nb::class_<Handle> index(module, "Index");
  index
      .def_static(
          "create",
          [](const std::optional<std::string>& path, std::size_t dims, int metric, int scalar,
             std::uint32_t m, std::uint32_t ef_construction, std::uint64_t seed, int traversal,
             int durability, unsigned group_ms) {
            const IndexParams params =
                params_from(dims, metric, scalar, m, ef_construction, seed, traversal);
            const nb::gil_scoped_release released;
            if (!path) return new Handle(value_or_throw(Index::create(params)));
            const CreateOptions options{.durability = numbered<Durability>(durability),
                                        .group_ms = group_ms};
            return new Handle(value_or_throw(Index::create(*path, params, options)));
          },
          "path"_a.none(), "dims"_a, "metric"_a, "scalar"_a, "m"_a, "ef_construction"_a, "seed"_a,
          "traversal"_a, "durability"_a, "group_ms"_a)
      .def_static(
          "open",
          [](const std::string& path, bool writes, bool load, bool verify_all, int durability,
             unsigned group_ms, bool salvage, const nb::object& progress) {
            auto opened = run_long(progress, [&](Watch& watch) {
              OpenOptions options;
              options.mode = writes ? Mode::read_write : Mode::read_only;
              options.residency = load ? Residency::load : Residency::map;
              options.verify = verify_all ? Verify::full : Verify::metadata;
              options.durability = numbered<Durability>(durability);
              options.group_ms = group_ms;
              options.salvage = salvage;
              options.stop = &watch.stop;
              options.progress = watch.progress;
              return Index::open(path, options);
            });
            return new Handle(value_or_throw(std::move(opened)));
          },
          "path"_a, "writes"_a, "load"_a, "verify_all"_a, "durability"_a, "group_ms"_a, "salvage"_a,
          "progress"_a.none())
      .def("close", &Handle::close)
      .def_prop_ro("closed", &Handle::is_closed)
      .def("build", build, "keys"_a.noconvert(), "rows"_a.noconvert(), "threads"_a,
           "progress"_a.none())
      .def("put_rows", put_rows, "keys"_a.noconvert(), "rows"_a.noconvert(), "replaces"_a)
      .def(
          "remove",
          [](const Handle& handle, Key key) {
            const auto held = handle.get();
            const nb::gil_scoped_release released;
            check(held->remove(key));
          },
          "key"_a)
      .def(
          "contains", [](const Handle& handle, Key key) { return handle.get()->contains(key); },
          "key"_a)
      .def("get", get, "key"_a, "out"_a.noconvert())
      .def("__len__", [](const Handle& handle) { return handle.get()->size(); })
      .def(
          "search_f32",
          [](const Handle& handle, const FloatVector& query, std::size_t k, std::size_t ef,
             const Out<Key>& keys, const Out<float>& distances) {
            return search(handle, {query.data(), query.size()}, k, ef, keys, distances);
          },
          "query"_a.noconvert(), "k"_a, "ef"_a, "keys"_a.noconvert(), "distances"_a.noconvert())
      .def(
          "search_any",
          [](const Handle& handle, const AnyArray& query, std::size_t k, std::size_t ef,
             const Out<Key>& keys, const Out<float>& distances) {
            const auto held = handle.get();
            return search(handle, vector(query, held->params().scalar, held->params().dimensions),
                          k, ef, keys, distances);
          },
          "query"_a.noconvert(), "k"_a, "ef"_a, "keys"_a.noconvert(), "distances"_a.noconvert())
      .def("search_batch", search_batch, "queries"_a.noconvert(), "k"_a, "ef"_a, "threads"_a,
           "keys"_a.noconvert(), "distances"_a.noconvert(), "counts"_a.noconvert())
      .def(
          "save",
          [](const Handle& handle, const std::string& path) {
            const auto held = handle.get();
            check(run_long(nb::none(),
                           [&](Watch& watch) { return held->save(path, &watch.stop); }));
          },
          "path"_a)
      .def(
          "backup",
          [](const Handle& handle, const std::string& path) {
            const auto held = handle.get();
            check(run_long(nb::none(),
                           [&](Watch& watch) { return held->backup(path, &watch.stop); }));
          },
          "path"_a)
      .def("sync",
           [](const Handle& handle) {
             const auto held = handle.get();
             const nb::gil_scoped_release released;
             check(held->sync());
           })
      .def("checkpoint",
           [](const Handle& handle) {
             const auto held = handle.get();
             check(run_long(nb::none(),
                            [&](Watch& watch) { return held->checkpoint(&watch.stop); }));
           })
      .def("refresh",
           [](const Handle& handle) {
             const auto held = handle.get();
             const nb::gil_scoped_release released;
             check(held->refresh());
           })
      .def(
          "compact",
          [](const Handle& handle, unsigned threads, const nb::object& progress) {
            const auto held = handle.get();
            check(run_long(progress, [&](Watch& watch) {
              return held->compact(
                  {.threads = threads, .progress = watch.progress, .stop = &watch.stop});
            }));
          },
          "threads"_a, "progress"_a.none())
      .def(
          "verify",
          [](const Handle& handle, unsigned threads, const nb::object& progress) {
            const auto held = handle.get();
            return value_or_throw(run_long(progress, [&](Watch& watch) {
              return held->verify(
                  {.threads = threads, .progress = watch.progress, .stop = &watch.stop});
            }));
          },
          "threads"_a, "progress"_a.none())
      .def("warm",
           [](const Handle& handle) {
             const auto held = handle.get();
             const nb::gil_scoped_release released;
             check(held->warm());
           })
      .def("release",
           [](const Handle& handle) {
             const auto held = handle.get();
             const nb::gil_scoped_release released;
             check(held->release());
           })
      .def("applied_up_to",
           [](const Handle& handle) { return value_or_throw(handle.get()->applied_up_to()); })
      .def(
          "set_applied_up_to",
          [](const Handle& handle, std::uint64_t lsn) {
            const auto held = handle.get();
            const nb::gil_scoped_release released;
            check(held->set_applied_up_to(lsn));
          },
          "lsn"_a)
      .def("stats",
           [](const Handle& handle) {
             const auto held = handle.get();
             const nb::gil_scoped_release released;
             return held->stats();
           })
      .def("params", [](const Handle& handle) {
        const IndexParams& p = handle.get()->params();
        return std::tuple(p.dimensions, static_cast<int>(p.metric), static_cast<int>(p.scalar), p.m,
                          p.ef_construction, p.seed, static_cast<int>(p.traversal));
      });

  module.def("simd_info", [] {
    const SimdInfo info = simd_info();
    return std::tuple(info.compiled, info.available, info.active);
  });
}

}  // namespace cairn::python
