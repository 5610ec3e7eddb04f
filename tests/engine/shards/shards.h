// SPDX-License-Identifier: Apache-2.0
//
// Sets for tests: vectors spread over shards.
#pragma once

#include <cstdlib>
#include <filesystem>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include <cairn/cairn.h>

#include "tests/support/vectors.h"

namespace cairn::test {

// An index of the rows i of `stored` for which wanted(i) holds. Aborts on error.
inline Index index_of(const IndexParams& params, const StoredVectors& stored,
                      const std::function<bool(std::size_t)>& wanted) {
  std::vector<Key> keys;
  std::vector<std::byte> rows;
  for (std::size_t i = 0; i < stored.floats.rows(); ++i) {
    if (!wanted(i)) continue;
    keys.push_back(stored.floats.keys[i]);
    const auto* row = static_cast<const std::byte*>(stored.vector(i).data());
    rows.insert(rows.end(), row, row + stored.stride());
  }
  auto index = Index::create(params);
  if (!index) std::abort();
  const MatrixView matrix{rows.data(), stored.scalar, keys.size(), params.dimensions,
                          stored.stride()};
  if (!index->build(keys, matrix, {.threads = 1})) std::abort();
  return *std::move(index);
}

// Files 0.cairn, 1.cairn, ... in `folder`: shard i has the rows for which is_in(row, i) holds.
inline std::vector<std::filesystem::path> files_of(
    const std::filesystem::path& folder, const IndexParams& params, const StoredVectors& stored,
    std::size_t shards, const std::function<bool(std::size_t, std::size_t)>& is_in) {
  std::vector<std::filesystem::path> files;
  for (std::size_t shard = 0; shard < shards; ++shard) {
    files.push_back(folder / (std::to_string(shard) + ".cairn"));
    const Index index =
        index_of(params, stored, [&](std::size_t row) { return is_in(row, shard); });
    if (!index.save(files.back())) std::abort();
  }
  return files;
}

// A set of hash shards in `folder`, published.
inline ShardManifest publish_hash_set(const std::filesystem::path& folder,
                                      const IndexParams& params, const StoredVectors& stored,
                                      std::size_t shards) {
  ShardManifest manifest;
  manifest.params = params;
  for (std::size_t shard = 0; shard < shards; ++shard) {
    const Index index = index_of(params, stored, [&](std::size_t row) {
      return shard_of_key(stored.floats.keys[row], 0, shards) == shard;
    });
    auto file = add_shard_file(folder, index);
    if (!file) std::abort();
    manifest.shards.push_back(*std::move(file));
  }
  if (!publish_shards(folder, manifest)) std::abort();
  return manifest;
}

}  // namespace cairn::test
