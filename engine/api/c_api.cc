// SPDX-License-Identifier: Apache-2.0
//
// The C interface of indexes as a whole: made, opened, changed, saved, moved.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include <cairn/c.h>
#include <cairn/cairn.h>

#include "engine/api/c_call.h"
#include "engine/api/c_options.h"

namespace cairn::c {

namespace {

thread_local std::string import_notes;

std::string joined(const std::vector<std::string>& parts, const char* between) {
  std::string all;
  for (const std::string& part : parts) {
    if (!all.empty()) all += between;
    all += part;
  }
  return all;
}

// What simd_info() tells, as texts that stay.
struct SimdNames {
  std::string active, available, compiled;
  static const SimdNames& get() {
    static const SimdNames names = [] {
      const SimdInfo info = simd_info();
      return SimdNames{info.active, joined(info.available, " "), joined(info.compiled, " ")};
    }();
    return names;
  }
};

const char* simd_names(std::string SimdNames::*which) noexcept {
  try {
    return (SimdNames::get().*which).c_str();
  } catch (...) {  // no memory; asked again, there may be
    return "";
  }
}

}  // namespace

}  // namespace cairn::c

extern "C" {

using cairn::Error;
using cairn::ErrorCode;
using cairn::Index;
using cairn::Result;
using cairn::c::null_argument;
using cairn::c::on_index;
using cairn::c::options_of;

void cairn_params_init(cairn_params* params, size_t struct_size, size_t dimensions) {
  if (params == nullptr || struct_size < sizeof params->size) return;
  cairn_params all = cairn::c::to_c(cairn::IndexParams{});
  all.size = struct_size;
  all.dimensions = dimensions;
  std::memset(params, 0, struct_size);
  std::memcpy(params, &all, std::min(struct_size, sizeof all));
}

int cairn_create(const cairn_params* params, cairn_index** out) {
  return cairn_create_with(nullptr, params, nullptr, out);
}

int cairn_create_file(const char* path, const cairn_params* params, cairn_index** out) {
  if (path != nullptr) return cairn_create_with(path, params, nullptr, out);
  return cairn::c::hand_out("create", out,
                            [&]() -> Result<Index> { return null_argument("create", "path"); });
}

int cairn_create_with(const char* path, const cairn_params* params,
                      const cairn_create_options* options, cairn_index** out) {
  return cairn::c::hand_out("create", out, [&]() -> Result<Index> {
    const auto checked = cairn::c::params_of(params);
    if (!checked) return checked.error();
    const auto wanted = options_of(options);
    if (!wanted) return wanted.error();
    return path == nullptr ? Index::create(*checked, *wanted)
                           : Index::create(path, *checked, *wanted);
  });
}

int cairn_open(const char* path, int read_write, cairn_index** out) {
  cairn_open_options options{};
  options.size = sizeof options;
  options.mode = read_write == 0 ? CAIRN_READ_ONLY : CAIRN_READ_WRITE;
  return cairn_open_with(path, &options, out);
}

int cairn_open_with(const char* path, const cairn_open_options* options, cairn_index** out) {
  return cairn::c::hand_out("open", out, [&]() -> Result<Index> {
    if (path == nullptr) return null_argument("open", "path");
    const auto wanted = options_of(options);
    if (!wanted) return wanted.error();
    return Index::open(path, *wanted);
  });
}

void cairn_close(cairn_index* index) { delete index; }

int cairn_remove(cairn_index* index, uint64_t key) {
  return on_index("remove", index, [&](Index& it) { return it.remove(key); });
}

int cairn_compact(cairn_index* index) { return cairn_compact_with(index, nullptr); }

int cairn_compact_with(cairn_index* index, const cairn_build_options* options) {
  return on_index("compact", index, [&](Index& it) -> Result<void> {
    const auto wanted = options_of("compact", options);
    if (!wanted) return wanted.error();
    return it.compact(*wanted);
  });
}

int cairn_sync(cairn_index* index) {
  return on_index("sync", index, [](Index& it) { return it.sync(); });
}

int cairn_checkpoint(cairn_index* index) { return cairn_checkpoint_with(index, nullptr); }

int cairn_checkpoint_with(cairn_index* index, const cairn_stop* stop) {
  return on_index("checkpoint", index,
                  [&](Index& it) { return it.checkpoint(cairn::c::flag_of(stop)); });
}

int cairn_refresh(cairn_index* index) {
  return on_index("refresh", index, [](Index& it) { return it.refresh(); });
}

int cairn_backup(const cairn_index* index, const char* path) {
  return on_index("backup", index, [&](const Index& it) -> Result<void> {
    if (path == nullptr) return null_argument("backup", "path");
    return it.backup(path);
  });
}

int cairn_applied_up_to(const cairn_index* index, uint64_t* lsn) {
  return on_index("applied_up_to", index, [&](const Index& it) -> Result<void> {
    if (lsn == nullptr) return null_argument("applied_up_to", "lsn");
    const auto applied = it.applied_up_to();
    if (!applied) return applied.error();
    *lsn = *applied;
    return {};
  });
}

int cairn_set_applied_up_to(cairn_index* index, uint64_t lsn) {
  return on_index("set_applied_up_to", index, [&](Index& it) { return it.set_applied_up_to(lsn); });
}

int cairn_set_advised_ef(cairn_index* index, size_t ef) {
  return on_index("set_advised_ef", index, [&](Index& it) { return it.set_advised_ef(ef); });
}

int cairn_contains(const cairn_index* index, uint64_t key) {
  bool there = false;
  on_index("contains", index, [&](const Index& it) -> Result<void> {
    there = it.contains(key);
    return {};
  });
  return there ? 1 : 0;
}

int cairn_keys(const cairn_index* index, cairn_key_scan* scan, uint64_t* out, size_t capacity,
               size_t* count) {
  if (count != nullptr) *count = 0;
  return on_index("keys", index, [&](const Index& it) -> Result<void> {
    if (scan == nullptr) return null_argument("keys", "scan");
    if (out == nullptr) return null_argument("keys", "out");
    if (count == nullptr) return null_argument("keys", "count");
    const auto given = cairn::c::known_part("keys", "scan", scan);
    if (!given) return given.error();
    if (given->done > 1) return cairn::c::out_of_range("keys", "done", given->done);
    cairn::KeyScan reached{given->position, given->done == 1};
    const auto found = it.keys(reached, {out, capacity});
    if (!found) return found.error();
    cairn_key_scan all = *given;
    all.position = reached.position;
    all.done = reached.done ? 1 : 0;
    if (auto ok = cairn::c::fill_sized("keys", "scan", scan, &all, sizeof all); !ok) return ok;
    *count = *found;
    return {};
  });
}

int cairn_warm(const cairn_index* index) {
  return on_index("warm", index, [](const Index& it) { return it.warm(); });
}

int cairn_release(const cairn_index* index) {
  return on_index("release", index, [](const Index& it) { return it.release(); });
}

int cairn_save(const cairn_index* index, const char* path) {
  return cairn_save_with(index, path, nullptr);
}

int cairn_save_with(const cairn_index* index, const char* path, const cairn_save_options* options) {
  return on_index("save", index, [&](const Index& it) -> Result<void> {
    if (path == nullptr) return null_argument("save", "path");
    const auto wanted = options_of("save", options);
    if (!wanted) return wanted.error();
    return it.save(path, *wanted);
  });
}

int cairn_check_save(const char* path, const cairn_save_options* options) {
  return cairn::c::guarded("save", [&]() -> Result<void> {
    if (path == nullptr) return null_argument("save", "path");
    const auto wanted = options_of("save", options);
    if (!wanted) return wanted.error();
    return Index::check_save(path, *wanted);
  });
}

int cairn_get_params(const cairn_index* index, cairn_params* out) {
  return on_index("get_params", index, [&](const Index& it) {
    const cairn_params all = cairn::c::to_c(it.params());
    return cairn::c::fill_sized("get_params", "out", out, &all, sizeof all);
  });
}

size_t cairn_size(const cairn_index* index) {
  size_t size = 0;
  on_index("size", index, [&](const Index& it) -> Result<void> {
    size = it.size();
    return {};
  });
  return size;
}

size_t cairn_dimensions(const cairn_index* index) {
  size_t dimensions = 0;
  on_index("dimensions", index, [&](const Index& it) -> Result<void> {
    dimensions = it.params().dimensions;
    return {};
  });
  return dimensions;
}

int cairn_import(const char* path, const cairn_import_options* options, cairn_index** out,
                 cairn_import_report* report) {
  cairn::ImportReport told;
  const int code = cairn::c::hand_out("import", out, [&]() -> Result<Index> {
    if (path == nullptr) return null_argument("import", "path");
    // Before the work, so that it is not lost.
    if (report != nullptr) {
      if (auto size = cairn::c::size_of("import", "report", report); !size) return size.error();
    }
    const auto wanted = options_of(options);
    if (!wanted) return wanted.error();
    auto imported = cairn::import_index(path, *wanted, &told);
    if (imported) cairn::c::import_notes = cairn::c::joined(told.notes, "\n");
    return imported;
  });
  if (code != 0 || report == nullptr) return code;
  cairn_import_report all{};
  all.vectors = told.vectors;
  all.links_kept = told.links_kept;
  all.links_dropped = told.links_dropped;
  all.skipped = told.skipped;
  all.graph_kept = told.graph_kept ? 1 : 0;
  (void)cairn::c::fill_sized("import", "report", report, &all, sizeof all);
  return code;
}

const char* cairn_import_notes(void) { return cairn::c::import_notes.c_str(); }

int cairn_export(const cairn_index* index, const char* path, uint8_t kind) {
  return on_index("export", index, [&](const Index& it) -> Result<void> {
    if (path == nullptr) return null_argument("export", "path");
    if (kind > CAIRN_SOURCE_FAISS) return cairn::c::out_of_range("export", "kind", kind);
    return cairn::export_index(it, path, static_cast<cairn::Source>(kind));
  });
}

const char* cairn_version(void) { return cairn::kVersion; }

const char* cairn_simd_active(void) { return cairn::c::simd_names(&cairn::c::SimdNames::active); }
const char* cairn_simd_available(void) {
  return cairn::c::simd_names(&cairn::c::SimdNames::available);
}
const char* cairn_simd_compiled(void) {
  return cairn::c::simd_names(&cairn::c::SimdNames::compiled);
}

}  // extern "C"
