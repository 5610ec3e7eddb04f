// SPDX-License-Identifier: Apache-2.0
//
// The folder of a set: which generation holds, and how another one takes its place. docs/shards.md,
// "The folder".
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

#include <cairn/error.h>
#include <cairn/shard_manifest.h>

#include "format/io/file.h"
#include "format/io/shared_lock.h"

namespace cairn {

// Whoever has it may publish; nobody else does meanwhile.
class SetLock {
 public:
  // path_in_use: somebody else has it.
  static Result<SetLock> take(const std::filesystem::path& folder);

  // As publish_shards().
  Result<void> publish(ShardManifest& manifest);

 private:
  SetLock(std::filesystem::path folder, format::File file)
      : folder_(std::move(folder)), file_(std::move(file)) {}

  std::filesystem::path folder_;
  format::File file_;
};

// The generation that holds, and what keeps prune_shards() from its files while a set is open.
struct HeldManifest {
  ShardManifest manifest;
  format::SharedLock hold;
};
Result<HeldManifest> read_and_hold(const std::filesystem::path& folder);

// What a folder calls the manifest of a generation.
std::string manifest_name(std::uint64_t generation);
// The generation that holds; 0: none has been published.
Result<std::uint64_t> current_generation(const std::filesystem::path& folder);
// The manifest of a generation, which need not hold. Errors as read_shard_manifest().
Result<ShardManifest> read_generation(const std::filesystem::path& folder,
                                      std::uint64_t generation);

}  // namespace cairn
