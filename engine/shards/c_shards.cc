// SPDX-License-Identifier: Apache-2.0
//
// The C interface of sets, but for their searches.
#include "engine/shards/c_shards.h"

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <utility>

#include "engine/api/c_options.h"
#include "engine/api/c_rows.h"

namespace cairn::c {

namespace {

// Calls open(options) and hands the set out.
template <class Open>
int open_set(const cairn_shards_options* given, cairn_shards** out, const Open& open) noexcept {
  if (out != nullptr) *out = nullptr;
  return guarded("shards_open", [&]() -> Result<void> {
    if (out == nullptr) return null_argument("shards_open", "out");
    const auto all = known_part("shards_open", "options", given);
    if (!all) return all.error();
    if (all->allow_partial > 1)
      return out_of_range("shards_open", "allow_partial", all->allow_partial);
    const auto opening = options_of(all->open);
    if (!opening) return opening.error();
    auto handle = std::make_unique<cairn_shards>();
    ShardOptions options;
    options.open = *opening;
    options.threads = all->threads;
    options.allow_partial = all->allow_partial == 1;
    if (all->only_count != 0 && all->only == nullptr) return null_argument("shards_open", "only");
    options.only.assign(all->only, all->only + all->only_count);
    if (all->run != nullptr)
      options.executor = &handle->host.emplace(all->run, all->run_context, all->run_width);
    Result<ShardSet> set = open(options);
    if (!set) return set.error();
    for (const ShardProblem& problem : set->problems())
      handle->problems.push_back(problem.file + ": " + problem.error.message());
    handle->set = std::move(*set);
    *out = handle.release();
    return {};
  });
}

template <class Make>
int make_set_filter(const cairn_shards* set, cairn_shards_filter** out, const Make& make) noexcept {
  if (out != nullptr) *out = nullptr;
  return on_set("filter", set, [&](const ShardSet& it) -> Result<void> {
    if (out == nullptr) return null_argument("filter", "out");
    Result<ShardFilter> filter = make(it);
    if (!filter) return filter.error();
    *out = new cairn_shards_filter{std::move(*filter)};
    return {};
  });
}

}  // namespace

}  // namespace cairn::c

extern "C" {

using cairn::Key;
using cairn::Result;
using cairn::ShardFilter;
using cairn::ShardSet;
using cairn::c::null_argument;
using cairn::c::on_set;

int cairn_shards_open(const char* const* paths, size_t n, const cairn_shards_options* options,
                      cairn_shards** out) {
  return cairn::c::open_set(options, out, [&](const cairn::ShardOptions& wanted) {
    std::vector<std::filesystem::path> files;
    for (std::size_t i = 0; i < n; ++i) {
      if (paths == nullptr || paths[i] == nullptr)
        return Result<ShardSet>(null_argument("shards_open", "a path"));
      files.emplace_back(paths[i]);
    }
    return ShardSet::open(files, wanted);
  });
}

int cairn_shards_open_folder(const char* folder, const cairn_shards_options* options,
                             cairn_shards** out) {
  return cairn::c::open_set(options, out, [&](const cairn::ShardOptions& wanted) {
    if (folder == nullptr) return Result<ShardSet>(null_argument("shards_open", "folder"));
    return ShardSet::open(std::filesystem::path(folder), wanted);
  });
}

void cairn_shards_close(cairn_shards* set) { delete set; }

const char* cairn_shards_problem(const cairn_shards* set, size_t i) {
  return set == nullptr || i >= set->problems.size() ? nullptr : set->problems[i].c_str();
}

size_t cairn_shards_count(const cairn_shards* set) {
  return set == nullptr ? 0 : set->set->shards();
}

size_t cairn_shards_size(const cairn_shards* set) { return set == nullptr ? 0 : set->set->size(); }

size_t cairn_shards_dimensions(const cairn_shards* set) {
  return set == nullptr ? 0 : set->set->params().dimensions;
}

int cairn_shards_get_params(const cairn_shards* set, cairn_params* out) {
  return on_set("get_params", set, [&](const ShardSet& it) {
    const cairn_params all = cairn::c::to_c(it.params());
    return cairn::c::fill_sized("get_params", "out", out, &all, sizeof all);
  });
}

int cairn_shards_stats(const cairn_shards* set, cairn_statistics* out) {
  return on_set("stats", set, [&](const ShardSet& it) {
    const cairn_statistics all = cairn::c::to_c(it.stats());
    return cairn::c::fill_sized("stats", "out", out, &all, sizeof all);
  });
}

int cairn_shards_filter_only(const cairn_shards* set, const uint64_t* keys, size_t n,
                             cairn_shards_filter** out) {
  return cairn::c::make_set_filter(set, out, [&](const ShardSet& it) -> Result<ShardFilter> {
    if (keys == nullptr && n != 0) return null_argument("filter", "keys");
    return ShardFilter::only(it, std::span<const Key>(keys, n));
  });
}

int cairn_shards_filter_except(const cairn_shards* set, const uint64_t* keys, size_t n,
                               cairn_shards_filter** out) {
  return cairn::c::make_set_filter(set, out, [&](const ShardSet& it) -> Result<ShardFilter> {
    if (keys == nullptr && n != 0) return null_argument("filter", "keys");
    return ShardFilter::except(it, std::span<const Key>(keys, n));
  });
}

int cairn_shards_filter_bits(const cairn_shards* set, const uint64_t* words, size_t n,
                             uint64_t first, cairn_shards_filter** out) {
  return cairn::c::make_set_filter(set, out, [&](const ShardSet& it) -> Result<ShardFilter> {
    if (words == nullptr && n != 0) return null_argument("filter", "words");
    return ShardFilter::bits(it, std::span<const std::uint64_t>(words, n), first);
  });
}

int cairn_shards_filter_where(const cairn_shards* set, cairn_wanted wanted, void* context,
                              cairn_shards_filter** out) {
  return cairn::c::make_set_filter(set, out, [&](const ShardSet& it) -> Result<ShardFilter> {
    if (wanted == nullptr) return null_argument("filter", "wanted");
    return ShardFilter::where(it, [wanted, context](Key key) { return wanted(context, key) != 0; });
  });
}

size_t cairn_shards_filter_count(const cairn_shards_filter* filter) {
  return filter == nullptr ? 0 : filter->filter.count();
}

void cairn_shards_filter_close(cairn_shards_filter* filter) { delete filter; }

int cairn_shards_contains(const cairn_shards* set, uint64_t key) {
  return set != nullptr && set->set->contains(key) ? 1 : 0;
}

int cairn_shards_get(const cairn_shards* set, uint64_t key, float* out, size_t dims) {
  return on_set("get", set, [&](const ShardSet& it) -> Result<void> {
    if (out == nullptr) return null_argument("get", "out");
    const auto got = it.get(key, std::span<float>(out, dims));
    return got ? Result<void>() : got.error();
  });
}

int cairn_shards_keys(const cairn_shards* set, cairn_shards_key_scan* scan, uint64_t* out,
                      size_t capacity, size_t* count) {
  if (count != nullptr) *count = 0;
  return on_set("keys", set, [&](const ShardSet& it) -> Result<void> {
    if (scan == nullptr) return null_argument("keys", "scan");
    if (out == nullptr) return null_argument("keys", "out");
    if (count == nullptr) return null_argument("keys", "count");
    auto all = cairn::c::known_part("keys", "scan", scan);
    if (!all) return all.error();
    ShardSet::KeyScan at;
    at.shard = static_cast<std::size_t>(all->shard);
    at.position.position = all->position;
    at.done = all->done != 0;
    const auto found = it.keys(at, std::span<Key>(out, capacity));
    if (!found) return found.error();
    all->shard = at.shard;
    all->position = at.position.position;
    all->done = at.done ? 1 : 0;
    const std::size_t size = scan->size;
    if (auto ok = cairn::c::fill_sized("keys", "scan", scan, &*all, sizeof *all); !ok) return ok;
    scan->size = size;
    *count = *found;
    return {};
  });
}

int cairn_shards_verify(const cairn_shards* set, const cairn_build_options* options,
                        cairn_verify_report** out) {
  if (out != nullptr) *out = nullptr;
  return on_set("verify", set, [&](const ShardSet& it) -> Result<void> {
    if (out == nullptr) return null_argument("verify", "out");
    const auto wanted = cairn::c::options_of("verify", options);
    if (!wanted) return wanted.error();
    auto report = it.verify(*wanted);
    if (!report) return report.error();
    *out = new cairn_verify_report{std::move(*report)};
    return {};
  });
}

int cairn_shards_warm(const cairn_shards* set) {
  return on_set("warm", set, [](const ShardSet& it) { return it.warm(); });
}

int cairn_shards_release(const cairn_shards* set) {
  return on_set("release", set, [](const ShardSet& it) { return it.release(); });
}

int cairn_shards_refresh(cairn_shards* set) {
  return on_set("refresh", set, [](ShardSet& it) { return it.refresh(); });
}

int cairn_shards_upsert(cairn_shards* set, uint64_t key, const cairn_vector* vector) {
  return on_set("upsert", set, [&](ShardSet& it) -> Result<void> {
    const auto given = cairn::c::view_of("upsert", "vector", vector);
    if (!given) return given.error();
    const auto rows = cairn::c::Rows::of(it.params(), it.params().scalar, *given);
    if (!rows) return rows.error().with_context("upsert");
    return it.upsert(key, rows->view().row(0));
  });
}

int cairn_shards_remove(cairn_shards* set, uint64_t key) {
  return on_set("remove", set, [&](ShardSet& it) { return it.remove(key); });
}

int cairn_shards_sync(cairn_shards* set) {
  return on_set("sync", set, [](ShardSet& it) { return it.sync(); });
}

int cairn_shards_checkpoint(cairn_shards* set, const cairn_stop* stop) {
  return on_set("checkpoint", set,
                [&](ShardSet& it) { return it.checkpoint(cairn::c::flag_of(stop)); });
}

}  // extern "C"
