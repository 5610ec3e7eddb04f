// SPDX-License-Identifier: Apache-2.0
//
// The C interface of building and publishing sets.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <span>
#include <string>
#include <utility>

#include <cairn/c_shards.h>
#include <cairn/shard_manifest.h>

#include "engine/api/c_call.h"
#include "engine/api/c_options.h"
#include "engine/api/c_rows.h"

namespace cairn::c {

namespace {

template <std::size_t n>
void put_text(char (&out)[n], const std::string& text) {
  std::memset(out, 0, n);
  std::memcpy(out, text.data(), std::min(text.size(), n - 1));
}

Result<void> give_file(const char* call, const ShardFile& file, cairn_shard_file* out) {
  cairn_shard_file all{};
  all.size = sizeof all;
  all.vectors = file.vectors;
  all.bytes = file.bytes;
  put_text(all.file, file.file);
  put_text(all.xxh3, file.xxh3);
  return fill_sized(call, "out", out, &all, sizeof all);
}

Result<ShardFile> file_of(const char* call, const char* name, const cairn_shard_file* given) {
  if (given == nullptr) return null_argument(call, name);
  const auto all = known_part(call, name, given);
  if (!all) return all.error();
  const auto text = [](const auto& array) {
    return std::string(array, ::strnlen(array, sizeof array));
  };
  return ShardFile{text(all->file), all->vectors, all->bytes, true, text(all->xxh3)};
}

Result<ShardManifest> manifest_of(const cairn_shards_manifest* given) {
  constexpr const char* call = "shards_publish";
  const auto all = known_part(call, "manifest", given);
  if (!all) return all.error();
  if (all->partition > CAIRN_PARTITION_ROWS) return out_of_range(call, "partition", all->partition);
  const auto params = params_of(all->params);
  if (!params) return params.error();
  ShardManifest manifest;
  manifest.generation = all->generation;
  manifest.params = *params;
  manifest.partition = static_cast<Partition>(all->partition);
  manifest.seed = all->seed;
  for (std::size_t i = 0; i < all->shard_count; ++i) {
    auto file = file_of(call, "shards", all->shards == nullptr ? nullptr : all->shards + i);
    if (!file) return file.error();
    manifest.shards.push_back(*std::move(file));
  }
  if (all->gaps != nullptr) manifest.gaps.assign(all->gaps, all->gaps + all->shard_count);
  if (all->router == nullptr) return manifest;
  auto router = file_of(call, "router", all->router);
  if (!router) return router.error();
  manifest.router = *std::move(router);
  return manifest;
}

Result<ClusterOptions> cluster_options_of(const cairn_cluster_options* given) {
  if (given == nullptr) return null_argument("cluster_shards", "options");
  const auto all = known_part("cluster_shards", "options", given);
  if (!all) return all.error();
  ClusterOptions options;
  if (all->seed != 0) options.seed = all->seed;
  options.shards = all->shards;
  if (all->centroids != 0) options.centroids = all->centroids;
  options.copies = static_cast<double>(all->copies) / 1000;
  if (all->largest != 0) options.largest = static_cast<double>(all->largest) / 1000;
  options.threads = all->threads;
  options.stop = flag_of(all->stop);
  if (all->progress != nullptr) {
    options.progress = [call = all->progress, context = all->progress_context](
                           std::size_t done, std::size_t total) { call(context, done, total); };
  }
  return options;
}

}  // namespace

}  // namespace cairn::c

extern "C" {

using cairn::Result;
using cairn::c::null_argument;

int cairn_shards_of_keys(const uint64_t* keys, size_t n, uint64_t seed, size_t shards,
                         uint32_t* out) {
  return cairn::c::guarded("shards_of_keys", [&]() -> Result<void> {
    if (n != 0 && keys == nullptr) return null_argument("shards_of_keys", "keys");
    if (n != 0 && out == nullptr) return null_argument("shards_of_keys", "out");
    if (shards == 0 || shards > std::numeric_limits<std::uint32_t>::max()) {
      return cairn::Error(cairn::ErrorCode::invalid_argument,
                          "shards_of_keys: there are " + std::to_string(shards) + " shards");
    }
    for (std::size_t i = 0; i < n; ++i)
      out[i] = static_cast<std::uint32_t>(cairn::shard_of_key(keys[i], seed, shards));
    return {};
  });
}

int cairn_shards_add_file(const char* folder, const cairn_index* index, const cairn_stop* stop,
                          cairn_shard_file* out) {
  return cairn::c::on_index("shards_add_file", index, [&](const cairn::Index& it) -> Result<void> {
    if (folder == nullptr) return null_argument("shards_add_file", "folder");
    if (out == nullptr) return null_argument("shards_add_file", "out");
    const auto file = cairn::add_shard_file(folder, it, cairn::c::flag_of(stop));
    return file ? cairn::c::give_file("shards_add_file", *file, out) : file.error();
  });
}

int cairn_shards_describe(const char* path, const cairn_stop* stop, cairn_shard_file* out) {
  return cairn::c::guarded("shards_describe", [&]() -> Result<void> {
    if (path == nullptr) return null_argument("shards_describe", "path");
    if (out == nullptr) return null_argument("shards_describe", "out");
    const auto file = cairn::describe_shard_file(path, cairn::c::flag_of(stop));
    return file ? cairn::c::give_file("shards_describe", *file, out) : file.error();
  });
}

int cairn_shards_publish(const char* folder, cairn_shards_manifest* manifest) {
  return cairn::c::guarded("shards_publish", [&]() -> Result<void> {
    if (folder == nullptr) return null_argument("shards_publish", "folder");
    if (manifest == nullptr) return null_argument("shards_publish", "manifest");
    auto wanted = cairn::c::manifest_of(manifest);
    if (!wanted) return wanted.error();
    auto done = cairn::publish_shards(folder, *wanted);
    manifest->generation = wanted->generation;
    return done;
  });
}

int cairn_shards_prune(const char* folder, size_t keep, const uint64_t* also, size_t n,
                       cairn_shards_pruned* out) {
  return cairn::c::guarded("shards_prune", [&]() -> Result<void> {
    if (folder == nullptr) return null_argument("shards_prune", "folder");
    if (also == nullptr && n != 0) return null_argument("shards_prune", "also");
    cairn::PruneOptions options;
    options.keep = keep;
    options.also.assign(also, also + n);
    const auto done = cairn::prune_shards(folder, options);
    if (!done) return done.error();
    if (out == nullptr) return {};
    cairn_shards_pruned all{};
    all.size = sizeof all;
    all.removed = done->removed.size();
    all.in_use = done->in_use.size();
    all.files = done->files;
    all.bytes = done->bytes;
    return cairn::c::fill_sized("shards_prune", "out", out, &all, sizeof all);
  });
}

int cairn_shards_cluster(uint8_t metric, const cairn_matrix* sample,
                         const cairn_cluster_options* options, cairn_index** router, float* gaps) {
  if (router != nullptr) *router = nullptr;
  return cairn::c::guarded("cluster_shards", [&]() -> Result<void> {
    if (router == nullptr) return null_argument("cluster_shards", "router");
    if (gaps == nullptr) return null_argument("cluster_shards", "gaps");
    const auto wanted = cairn::c::cluster_options_of(options);
    if (!wanted) return wanted.error();
    const auto rows = cairn::c::view_of("cluster_shards", "sample", sample);
    if (!rows) return rows.error();
    auto clusters = cairn::cluster_shards(static_cast<cairn::Metric>(metric), *rows, *wanted);
    if (!clusters) return clusters.error();
    std::copy(clusters->gaps.begin(), clusters->gaps.end(), gaps);
    *router = new cairn_index{std::move(clusters->router)};
    return {};
  });
}

int cairn_shards_assign(const cairn_index* router, const float* gaps, size_t shards,
                        const cairn_matrix* rows, uint32_t threads, uint32_t* first,
                        uint32_t* second) {
  return cairn::c::on_index("assign_shards", router, [&](const cairn::Index& it) -> Result<void> {
    if (gaps == nullptr) return null_argument("assign_shards", "gaps");
    const auto given = cairn::c::view_of("assign_shards", "rows", rows);
    if (!given) return given.error();
    if (given->rows != 0 && first == nullptr) return null_argument("assign_shards", "first");
    if (given->rows != 0 && second == nullptr) return null_argument("assign_shards", "second");
    return cairn::assign_shards(it, std::span<const float>(gaps, shards), *given,
                                std::span<std::uint32_t>(first, given->rows),
                                std::span<std::uint32_t>(second, given->rows), threads);
  });
}

}  // extern "C"
