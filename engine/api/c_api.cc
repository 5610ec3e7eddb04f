// SPDX-License-Identifier: Apache-2.0
#include <cairn/c.h>

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <exception>
#include <filesystem>
#include <limits>
#include <new>
#include <span>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include <cairn/cairn.h>

struct cairn_index {
  cairn::Index index;
};

namespace {

using cairn::Error;
using cairn::ErrorCode;
using cairn::Result;

// The text is either the string's or, when there was no memory for one, a literal.
thread_local std::string last_error_text;
thread_local const char* last_error = "";

int fail(ErrorCode code, const char* message) noexcept {
  const int number = static_cast<int>(code);
  try {
    std::string text = cairn::error_name(code);
    text.append(" (").append(std::to_string(number)).append("): ").append(message);
    last_error_text = std::move(text);
    last_error = last_error_text.c_str();
  } catch (...) {
    last_error = "an error, and no memory for its text";
  }
  return number;
}

int fail(const Error& error) noexcept { return fail(error.code(), error.message().c_str()); }

// Runs the body of a call: its Result or whatever it throws becomes a number and a text.
template <class Body>
int guarded(const char* call, const Body& body) noexcept {
  try {
    const Result<void> result = body();
    return result ? 0 : fail(result.error());
  } catch (const std::bad_alloc&) {
    return fail(ErrorCode::out_of_memory, call);
  } catch (const std::length_error&) {  // a container was asked for more than addresses can name
    return fail(ErrorCode::out_of_memory, call);
  } catch (const std::exception& problem) {
    return fail(ErrorCode::internal, problem.what());
  } catch (...) {
    return fail(ErrorCode::internal, call);
  }
}

Error null_argument(const char* call, const char* name) {
  return Error(ErrorCode::invalid_argument, std::string(call) + ": " + name + " is NULL");
}

Error out_of_range(const char* call, const char* name, unsigned value) {
  return Error(ErrorCode::invalid_argument,
               std::string(call) + ": " + name + " " + std::to_string(value) + " does not exist");
}

// Whether an array of rows x columns elements can exist.
Result<void> check_addressable(const char* call, size_t rows, size_t columns, size_t element) {
  if (columns == 0 || rows <= std::numeric_limits<size_t>::max() / element / columns) return {};
  return Error(ErrorCode::invalid_argument, std::string(call) + ": " + std::to_string(rows) +
                                                " x " + std::to_string(columns) + " elements of " +
                                                std::to_string(element) +
                                                " bytes are more than memory has addresses");
}

Result<cairn::IndexParams> params_of(const cairn_params& given) {
  if (given.metric < 1 || given.metric > 4) return out_of_range("create", "metric", given.metric);
  if (given.scalar < 1 || given.scalar > 5) return out_of_range("create", "scalar", given.scalar);
  if (given.traversal > 2) return out_of_range("create", "traversal", given.traversal);
  cairn::IndexParams params;
  params.dimensions = given.dimensions;
  params.metric = static_cast<cairn::Metric>(given.metric);
  params.scalar = static_cast<cairn::Scalar>(given.scalar);
  params.m = given.m;
  params.ef_construction = given.ef_construction;
  params.seed = given.seed;
  params.traversal = static_cast<cairn::Traversal>(given.traversal);
  return params;
}

cairn_statistics statistics_of(const cairn::Stats& stats) {
  cairn_statistics all{};
  all.live = stats.live;
  all.deleted = stats.deleted;
  all.slots = stats.slots;
  all.dimensions = stats.dimensions;
  all.max_level = stats.max_level;
  all.generation = stats.generation;
  all.file_bytes = stats.file_bytes;
  all.hot_bytes = stats.hot_bytes;
  all.exact_bytes = stats.exact_bytes;
  all.private_bytes = stats.private_bytes;
  all.log_bytes = stats.log_bytes;
  all.log_frames = stats.log_frames;
  all.last_lsn = stats.last_lsn;
  all.durable_lsn = stats.durable_lsn;
  all.dirty_pages = stats.dirty_pages;
  all.checkpoints = stats.checkpoints;
  all.failed_checkpoints = stats.failed_checkpoints;
  all.poisoned = stats.poisoned ? 1 : 0;
  all.adds = stats.adds;
  all.upserts = stats.upserts;
  all.removes = stats.removes;
  all.searches = stats.searches;
  all.compactions = stats.compactions;
  all.open_ns = stats.open_ns;
  all.recovery_ns = stats.recovery_ns;
  all.recovered_frames = stats.recovered_frames;
  all.lost_frames = stats.lost_frames;
  all.first_lost_lsn = stats.first_lost_lsn;
  all.last_lost_lsn = stats.last_lost_lsn;
  all.live_before_loss = stats.live_before_loss;
  return all;
}

Error not_a_size(const char* call, const char* name, size_t size) {
  return Error(ErrorCode::invalid_argument, std::string(call) + ": " + name + "->size is " +
                                                std::to_string(size) +
                                                ", not the size of what the caller knows");
}

// `given` may be NULL, or of a caller that knows less of it.
Result<void> read_options(const cairn_import_options* given, cairn::ImportOptions& options) {
  cairn_import_options all{};
  if (given != nullptr) {
    if (given->size < sizeof given->size) return not_a_size("import", "options", given->size);
    std::memcpy(&all, given, std::min(given->size, sizeof all));
  }
  if (all.source > 4) return out_of_range("import", "source", all.source);
  if (all.metric > 4) return out_of_range("import", "metric", all.metric);
  options.source = static_cast<cairn::Source>(all.source);
  if (all.metric != 0) options.metric = static_cast<cairn::Metric>(all.metric);
  options.rebuild = all.rebuild != 0;
  options.several_per_key = all.several_per_key != 0;
  options.threads = all.threads;
  options.dimensions = all.dimensions;
  if (all.m != 0) options.m = all.m;
  if (all.ef_construction != 0) options.ef_construction = all.ef_construction;
  return {};
}

Result<void> hand_out(Result<cairn::Index> index, cairn_index** out) {
  if (!index) return index.error();
  *out = new cairn_index{std::move(*index)};
  return {};
}

// Rows of floats in the kind of an index. REQUIRES: data is not null unless there are no rows.
class Rows {
 public:
  Rows() = default;
  Rows(const Rows&) = delete;  // view_ would be the other's
  Rows& operator=(const Rows&) = delete;
  Rows(Rows&&) noexcept = default;
  Rows& operator=(Rows&&) noexcept = default;
  ~Rows() = default;

  static Result<Rows> of(const cairn::Index& index, cairn::Scalar to, const float* data,
                         std::size_t count, std::size_t dims) {
    Rows rows;
    rows.view_ = cairn::MatrixView::f32(data, count, dims);
    if (to == cairn::Scalar::f32) return rows;
    if (dims != index.params().dimensions) {
      return Error(ErrorCode::dimension_mismatch, "the vector has " + std::to_string(dims) +
                                                      " dimensions, the index " +
                                                      std::to_string(index.params().dimensions));
    }
    const std::size_t stride = cairn::vector_bytes(to, dims);
    rows.bytes_.resize(count * stride);
    for (std::size_t i = 0; i < count; ++i) {
      const auto out = std::span(rows.bytes_).subspan(i * stride, stride);
      auto ok = cairn::convert(std::span(data + i * dims, dims), to, out);
      if (!ok) return count == 1 ? ok.error() : ok.error().with_context("row " + std::to_string(i));
    }
    rows.view_ = {rows.bytes_.data(), to, count, dims, stride};
    return rows;
  }

  const cairn::MatrixView& view() const { return view_; }

 private:
  std::vector<std::byte> bytes_;
  cairn::MatrixView view_;  // of bytes_, which keep their address when moved, or of the caller's
};

cairn::Scalar query_kind(const cairn::Index& index) {
  const cairn::Scalar scalar = index.params().scalar;
  const bool half = scalar == cairn::Scalar::f16 || scalar == cairn::Scalar::bf16;
  return half ? cairn::Scalar::f32 : scalar;
}

static_assert(sizeof(cairn_match) == sizeof(cairn::Match));
static_assert(alignof(cairn_match) == alignof(cairn::Match));
static_assert(std::is_trivially_copyable_v<cairn::Match>);

// A call without arguments, or with those that the C interface does not have.
template <class Method>
int call(const char* name, cairn_index* index, const Method& method) noexcept {
  return guarded(name, [&]() -> Result<void> {
    if (index == nullptr) return null_argument(name, "index");
    return method(index->index);
  });
}

}  // namespace

extern "C" {

cairn_params cairn_params_default(size_t dimensions) {
  const cairn::IndexParams defaults;
  cairn_params params{};
  params.dimensions = dimensions;
  params.metric = static_cast<uint8_t>(defaults.metric);
  params.scalar = static_cast<uint8_t>(defaults.scalar);
  params.m = defaults.m;
  params.ef_construction = defaults.ef_construction;
  params.seed = defaults.seed;
  params.traversal = static_cast<uint8_t>(defaults.traversal);
  return params;
}

int cairn_create(const cairn_params* params, cairn_index** out) {
  if (out != nullptr) *out = nullptr;
  return guarded("create", [&]() -> Result<void> {
    if (params == nullptr) return null_argument("create", "params");
    if (out == nullptr) return null_argument("create", "out");
    auto checked = params_of(*params);
    if (!checked) return checked.error();
    return hand_out(cairn::Index::create(*checked), out);
  });
}

int cairn_create_file(const char* path, const cairn_params* params, cairn_index** out) {
  if (out != nullptr) *out = nullptr;
  return guarded("create", [&]() -> Result<void> {
    if (path == nullptr) return null_argument("create", "path");
    if (params == nullptr) return null_argument("create", "params");
    if (out == nullptr) return null_argument("create", "out");
    auto checked = params_of(*params);
    if (!checked) return checked.error();
    return hand_out(cairn::Index::create(path, *checked), out);
  });
}

int cairn_open(const char* path, int read_write, cairn_index** out) {
  if (out != nullptr) *out = nullptr;
  return guarded("open", [&]() -> Result<void> {
    if (path == nullptr) return null_argument("open", "path");
    if (out == nullptr) return null_argument("open", "out");
    cairn::OpenOptions options;
    options.mode = read_write == 0 ? cairn::Mode::read_only : cairn::Mode::read_write;
    return hand_out(cairn::Index::open(path, options), out);
  });
}

void cairn_close(cairn_index* index) { delete index; }

int cairn_add(cairn_index* index, uint64_t key, const float* vector, size_t dims) {
  return guarded("add", [&]() -> Result<void> {
    if (index == nullptr) return null_argument("add", "index");
    if (vector == nullptr) return null_argument("add", "vector");
    const auto rows = Rows::of(index->index, index->index.params().scalar, vector, 1, dims);
    if (!rows) return rows.error().with_context("add");
    return index->index.add(key, rows->view().row(0));
  });
}

int cairn_upsert(cairn_index* index, uint64_t key, const float* vector, size_t dims) {
  return guarded("upsert", [&]() -> Result<void> {
    if (index == nullptr) return null_argument("upsert", "index");
    if (vector == nullptr) return null_argument("upsert", "vector");
    const auto rows = Rows::of(index->index, index->index.params().scalar, vector, 1, dims);
    if (!rows) return rows.error().with_context("upsert");
    return index->index.upsert(key, rows->view().row(0));
  });
}

int cairn_remove(cairn_index* index, uint64_t key) {
  return guarded("remove", [&]() -> Result<void> {
    if (index == nullptr) return null_argument("remove", "index");
    return index->index.remove(key);
  });
}

int cairn_compact(cairn_index* index) {
  return call("compact", index, [](cairn::Index& it) { return it.compact(); });
}
int cairn_sync(cairn_index* index) {
  return call("sync", index, [](cairn::Index& it) { return it.sync(); });
}
int cairn_checkpoint(cairn_index* index) {
  return call("checkpoint", index, [](cairn::Index& it) { return it.checkpoint(); });
}
int cairn_refresh(cairn_index* index) {
  return call("refresh", index, [](cairn::Index& it) { return it.refresh(); });
}

int cairn_backup(const cairn_index* index, const char* path) {
  return guarded("backup", [&]() -> Result<void> {
    if (index == nullptr) return null_argument("backup", "index");
    if (path == nullptr) return null_argument("backup", "path");
    return index->index.backup(path);
  });
}

int cairn_build(cairn_index* index, const uint64_t* keys, const float* rows, size_t n, size_t dims,
                unsigned threads) {
  return guarded("build", [&]() -> Result<void> {
    if (index == nullptr) return null_argument("build", "index");
    if (n != 0 && keys == nullptr) return null_argument("build", "keys");
    if (n != 0 && rows == nullptr) return null_argument("build", "rows");
    if (auto ok = check_addressable("build", n, dims, sizeof(float)); !ok) return ok;
    const auto converted = Rows::of(index->index, index->index.params().scalar, rows, n, dims);
    if (!converted) return converted.error().with_context("build");
    cairn::BuildOptions options;
    options.threads = threads;
    return index->index.build(std::span<const cairn::Key>(keys, n), converted->view(), options);
  });
}

int cairn_search(const cairn_index* index, const float* query, size_t dims, size_t k, size_t ef,
                 cairn_match* out, size_t* count) {
  if (count != nullptr) *count = 0;
  return guarded("search", [&]() -> Result<void> {
    if (index == nullptr) return null_argument("search", "index");
    if (query == nullptr) return null_argument("search", "query");
    if (out == nullptr && k != 0) return null_argument("search", "out");
    if (count == nullptr) return null_argument("search", "count");
    // The caller's array serves as storage for Match objects first, then each becomes a
    // cairn_match in its place: no copy of the results is kept anywhere else.
    auto* matches = reinterpret_cast<cairn::Match*>(out);
    const auto rows = Rows::of(index->index, query_kind(index->index), query, 1, dims);
    if (!rows) return rows.error().with_context("search");
    auto found = index->index.search(rows->view().row(0), {.k = k, .ef = ef},
                                     std::span<cairn::Match>(matches, k));
    if (!found) return found.error();
    for (size_t i = 0; i < *found; ++i) {
      const cairn::Match match = matches[i];
      new (out + i) cairn_match{match.key, match.distance};
    }
    *count = *found;
    return {};
  });
}

int cairn_search_batch(const cairn_index* index, const float* queries, size_t n, size_t dims,
                       size_t k, size_t ef, unsigned threads, cairn_match* out, size_t* counts) {
  return guarded("search_batch", [&]() -> Result<void> {
    if (index == nullptr) return null_argument("search_batch", "index");
    if (n != 0 && queries == nullptr) return null_argument("search_batch", "queries");
    if (n != 0 && k != 0 && out == nullptr) return null_argument("search_batch", "out");
    if (n != 0 && counts == nullptr) return null_argument("search_batch", "counts");
    if (auto ok = check_addressable("search_batch", n, dims, sizeof(float)); !ok) return ok;
    if (auto ok = check_addressable("search_batch", n, k, sizeof(cairn_match)); !ok) return ok;
    auto* matches = reinterpret_cast<cairn::Match*>(out);  // as in cairn_search
    auto searched = index->index.search_batch(
        cairn::MatrixView::f32(queries, n, dims), {.k = k, .ef = ef},
        std::span<cairn::Match>(matches, n * k), std::span<size_t>(counts, n), threads);
    if (!searched) return searched;
    for (size_t i = 0; i < n; ++i) {
      for (size_t j = i * k; j < i * k + counts[i]; ++j) {
        const cairn::Match match = matches[j];
        new (out + j) cairn_match{match.key, match.distance};
      }
    }
    return {};
  });
}

int cairn_contains(const cairn_index* index, uint64_t key) {
  bool there = false;
  guarded("contains", [&]() -> Result<void> {
    if (index == nullptr) return null_argument("contains", "index");
    there = index->index.contains(key);
    return {};
  });
  return there ? 1 : 0;
}

int cairn_get(const cairn_index* index, uint64_t key, float* out, size_t dims) {
  return guarded("get", [&]() -> Result<void> {
    if (index == nullptr) return null_argument("get", "index");
    if (out == nullptr) return null_argument("get", "out");
    auto got = index->index.get(key, std::span<float>(out, dims));
    if (!got) return got.error();
    return {};
  });
}

int cairn_save(const cairn_index* index, const char* path) {
  return guarded("save", [&]() -> Result<void> {
    if (index == nullptr) return null_argument("save", "index");
    if (path == nullptr) return null_argument("save", "path");
    return index->index.save(path);
  });
}

int cairn_verify(const cairn_index* index, uint64_t* findings) {
  if (findings != nullptr) *findings = 0;
  return guarded("verify", [&]() -> Result<void> {
    if (index == nullptr) return null_argument("verify", "index");
    if (findings == nullptr) return null_argument("verify", "findings");
    auto report = index->index.verify();
    if (!report) return report.error();
    *findings = report->findings.size();
    if (report->ok()) return {};
    std::string text = "verify: " + report->findings.front();
    if (report->findings.size() > 1) {
      text += " (and " + std::to_string(report->findings.size() - 1) + " more)";
    }
    return Error(ErrorCode::corrupt, std::move(text));
  });
}

int cairn_stats(const cairn_index* index, cairn_statistics* out) {
  return guarded("stats", [&]() -> Result<void> {
    if (index == nullptr) return null_argument("stats", "index");
    if (out == nullptr) return null_argument("stats", "out");
    if (out->size < sizeof out->size) {
      return not_a_size("stats", "out", out->size);
    }
    const cairn_statistics all = statistics_of(index->index.stats());
    const size_t filled = std::min(out->size, sizeof all);
    std::memcpy(out, &all, filled);
    out->size = filled;
    return {};
  });
}

int cairn_import(const char* path, const cairn_import_options* options, cairn_index** out,
                 cairn_import_report* report) {
  if (out != nullptr) *out = nullptr;
  return guarded("import", [&]() -> Result<void> {
    if (path == nullptr) return null_argument("import", "path");
    if (out == nullptr) return null_argument("import", "out");
    if (report != nullptr && report->size < sizeof report->size) {
      return not_a_size("import", "report", report->size);
    }
    cairn::ImportOptions checked;
    if (auto ok = read_options(options, checked); !ok) return ok;
    cairn::ImportReport told;
    if (auto ok = hand_out(cairn::import_index(path, checked, &told), out); !ok) return ok;
    if (report == nullptr) return {};
    cairn_import_report all{};
    all.vectors = told.vectors;
    all.links_kept = told.links_kept;
    all.links_dropped = told.links_dropped;
    all.skipped = told.skipped;
    all.graph_kept = told.graph_kept ? 1 : 0;
    const size_t filled = std::min(report->size, sizeof all);
    std::memcpy(report, &all, filled);
    report->size = filled;
    return {};
  });
}

size_t cairn_size(const cairn_index* index) {
  size_t size = 0;
  guarded("size", [&]() -> Result<void> {
    if (index == nullptr) return null_argument("size", "index");
    size = index->index.size();
    return {};
  });
  return size;
}

size_t cairn_dimensions(const cairn_index* index) {
  size_t dimensions = 0;
  guarded("dimensions", [&]() -> Result<void> {
    if (index == nullptr) return null_argument("dimensions", "index");
    dimensions = index->index.params().dimensions;
    return {};
  });
  return dimensions;
}

const char* cairn_last_error(void) { return last_error; }

const char* cairn_version(void) { return cairn::kVersion; }

}  // extern "C"
