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

}  // namespace cairn
