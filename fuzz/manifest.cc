// SPDX-License-Identifier: Apache-2.0
//
// The reader of manifests. The input is a text, whose checksum is put right unless it begins with a
// '!'. What the reader lets through must keep every promise of a manifest, and come back from its
// own text.
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <span>
#include <string>
#include <utility>

#include <cairn/shard_manifest.h>

#include "engine/shards/manifest.h"
#include "format/bytes/checksum.h"

namespace cairn::fuzz {
namespace {

void require(bool holds) {
  if (!holds) std::abort();
}

std::string with_checksum(std::string text) {
  const std::string tail = ",\n  \"checksum\": \"";
  if (const auto at = text.rfind(tail); at != std::string::npos) text.resize(at);
  std::array<char, 19> buffer;
  const std::uint64_t hash = format::hash64(std::as_bytes(std::span(text)));
  return text + tail + (format::hex(hash, buffer) + 2) + "\"\n}\n";
}

void read(const std::string& text) {
  const auto manifest = parse_shard_manifest(text);
  if (!manifest) {
    require(!manifest.error().message().empty());
    return;
  }
  require(manifest->generation > 0 && !manifest->shards.empty());
  for (const ShardFile& file : manifest->shards) {
    require(file.file.find('/') == std::string::npos && file.file.front() != '.');
  }
  require(check_manifest(*manifest, ErrorCode::internal, "").has_value());
  const auto own = shard_manifest_text(*manifest);
  require(own.has_value());
  const auto again = parse_shard_manifest(*own);
  require(again.has_value());
  require(shard_manifest_text(*again).value() == *own);
}

}  // namespace
}  // namespace cairn::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::string text(reinterpret_cast<const char*>(data), size);
  const bool as_it_is = text.starts_with('!');
  if (as_it_is) text.erase(0, 1);
  cairn::fuzz::read(as_it_is ? text : cairn::fuzz::with_checksum(std::move(text)));
  return 0;
}
