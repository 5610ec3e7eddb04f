// SPDX-License-Identifier: Apache-2.0
//
// Vectors from anywhere into a set of shards, and its publication. docs/shards.md
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include <cairn/cairn.h>

#include "tools/command/stored_rows.h"

namespace cairn::tools {

// Where vectors come from: their keys, and their bytes in the kind of the set.
class ShardRows {
 public:
  ShardRows() = default;
  ShardRows(const ShardRows&) = delete;
  ShardRows& operator=(const ShardRows&) = delete;
  ShardRows(ShardRows&&) noexcept = default;
  virtual ~ShardRows() = default;

  virtual const std::vector<Key>& keys() const = 0;
  // Into vector_bytes() of the kind and the dimensions.
  virtual Result<void> copy(std::size_t row, std::byte* out) const = 0;
};

// Those of a file, converted as they are asked for.
class FileRows : public ShardRows {
 public:
  // Both outlive it.
  FileRows(const std::vector<Key>& keys, const RowConverter& rows) : keys_(keys), rows_(rows) {}

  const std::vector<Key>& keys() const override { return keys_; }
  Result<void> copy(std::size_t row, std::byte* out) const override;

 private:
  const std::vector<Key>& keys_;
  const RowConverter& rows_;
};

// Those of a set, in ascending order of their keys.
class SetRows : public ShardRows {
 public:
  // `set` outlives it.
  static Result<SetRows> of(const ShardSet& set, const std::atomic<bool>* stop);
  SetRows(SetRows&&) noexcept = default;

  const std::vector<Key>& keys() const override { return keys_; }
  Result<void> copy(std::size_t row, std::byte* out) const override;

 private:
  explicit SetRows(const ShardSet& set) : set_(&set) {}

  const ShardSet* set_;
  std::vector<Key> keys_;
};

struct ShardPlan {
  std::size_t shards = 1;
  Partition partition = Partition::hash;
  double copies = 0;             // of clusters
  std::uint64_t generation = 0;  // that the new one follows
  unsigned threads = 0;
  const std::atomic<bool>* stop = nullptr;
  ShardSet* held = nullptr;  // the set that is replaced, if it is open for writing
  std::function<void(const char* what, std::size_t done, std::size_t total)> progress = {};
};

struct ShardsBuilt {
  ShardManifest manifest;
  std::size_t vectors = 0;
  std::size_t copies = 0;
};

// Builds one shard after the other, which takes memory for one and for what lies in `rows`, and
// publishes them.
Result<ShardsBuilt> build_shards(const std::filesystem::path& folder, const ShardRows& rows,
                                 const IndexParams& params, const ShardPlan& plan);

}  // namespace cairn::tools
