// SPDX-License-Identifier: Apache-2.0
//
// The text of a manifest, and what must hold of it: docs/shards.md, "The manifest".
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include <cairn/error.h>
#include <cairn/shard_manifest.h>

namespace cairn {

inline constexpr std::size_t kMaxManifestBytes = 16 * 1024 * 1024;
inline constexpr std::size_t kMaxShards = 65536;

// Whether it may be the name of a file of a set.
bool is_shard_name(std::string_view name);

// What no manifest may be, whoever has written it: `code` with the member. A text that follows the
// rules of each member may still break those that hold between them.
Result<void> check_manifest(const ShardManifest& manifest, ErrorCode code, const std::string& name);

}  // namespace cairn
