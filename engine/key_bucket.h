// SPDX-License-Identifier: Apache-2.0
//
// How a bucket of the key table is read. Byte table: docs/format.md, "Bucket".
#pragma once

#include <cstddef>
#include <cstdint>

#include "format/coding.h"
#include "format/layout.h"

namespace cairn {

inline std::uint16_t tag_of(std::uint64_t hash) { return static_cast<std::uint16_t>(hash >> 48); }

// A node number plus one; 0: empty.
inline std::uint32_t entry_at(const std::byte* bucket, std::size_t i) {
  return format::load_u32(bucket + format::bucket::kEntry, i);
}
inline std::uint16_t tag_at(const std::byte* bucket, std::size_t i) {
  return format::load_u16(bucket + format::bucket::kTag, i);
}
// An overflow bucket's number plus one; 0: none.
inline constexpr format::Field kNextField{format::bucket::kNext, 4};
inline std::uint32_t next_of(const std::byte* bucket) { return format::load<kNextField>(bucket); }

// Entries stand in front.
inline std::size_t used_in(const std::byte* bucket) {
  std::size_t used = 0;
  while (used < format::bucket::kEntries && entry_at(bucket, used) != 0) ++used;
  return used;
}

}  // namespace cairn
