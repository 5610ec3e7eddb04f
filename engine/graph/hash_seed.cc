// SPDX-License-Identifier: Apache-2.0
#include "engine/graph/hash_seed.h"

#include <array>
#include <cstddef>
#include <vector>

#include "engine/base/hash.h"
#include "engine/vectors/components.h"
#include "format/bytes/checksum.h"
#include "format/bytes/superblock.h"

namespace cairn {

std::uint64_t hash_seed_for(const format::Parameters& parameters, std::span<const Key> keys) {
  format::StaticHeader header;
  header.parameters = parameters;
  std::array<std::byte, format::StaticHeader::kEncodedSize> encoded;
  header.encode(encoded);
  return format::hash64(encoded, std::as_bytes(keys));
}

Result<std::uint64_t> hash_seed_for(const format::Parameters& parameters, std::span<const Key> keys,
                                    const RowReader& rows) {
  std::uint64_t seed = hash_seed_for(parameters, keys);
  std::vector<std::byte> buffer;
  for (std::size_t i = 0; i < keys.size(); ++i) {
    const auto row = rows(i, buffer);
    if (!row) return row.error();
    const auto* bytes = static_cast<const std::byte*>(row->data());
    seed = mix64(seed ^ format::hash64({bytes, vector_bytes(row->scalar(), row->dims())}));
  }
  return seed;
}

}  // namespace cairn
