// SPDX-License-Identifier: Apache-2.0
//
// How a bucket of the key table is read, also while another thread changes it. Byte table:
// docs/format.md, "Bucket".
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "engine/base/assert.h"
#include "engine/store/node_id.h"
#include "format/bytes/limits.h"
#include "format/bytes/record_layout.h"

namespace cairn {

// In the place of an overflow bucket's number: none.
inline constexpr std::uint32_t kNoBucket = format::kNoNode;

inline std::uint16_t tag_of(std::uint64_t hash) { return static_cast<std::uint16_t>(hash >> 48); }

// The words of a bucket. REQUIRES: it is aligned to its words.
template <class Word>
std::atomic_ref<Word> bucket_word(const std::byte* at) {
  CAIRN_ASSERT(reinterpret_cast<std::uintptr_t>(at) % sizeof(Word) == 0);
  return std::atomic_ref<Word>(*reinterpret_cast<Word*>(const_cast<std::byte*>(at)));
}
inline std::atomic_ref<std::uint32_t> entry_word(const std::byte* bucket, std::size_t i) {
  return bucket_word<std::uint32_t>(bucket + format::bucket::kEntry + 4 * i);
}
inline std::atomic_ref<std::uint16_t> tag_word(const std::byte* bucket, std::size_t i) {
  return bucket_word<std::uint16_t>(bucket + format::bucket::kTag + 2 * i);
}
inline std::atomic_ref<std::uint32_t> next_word(const std::byte* bucket) {
  return bucket_word<std::uint32_t>(bucket + format::bucket::kNext);
}

// A node's number plus one; 0: empty.
inline std::uint32_t entry_of(NodeId node) { return node.index + 1; }
// Who reads it may read the node's key.
inline std::uint32_t entry_at(const std::byte* bucket, std::size_t i) {
  return entry_word(bucket, i).load(std::memory_order_acquire);
}
// kNoNode for an empty one.
inline NodeId node_at(const std::byte* bucket, std::size_t i) { return {entry_at(bucket, i) - 1}; }
inline std::uint16_t tag_at(const std::byte* bucket, std::size_t i) {
  return tag_word(bucket, i).load(std::memory_order_relaxed);
}
// An overflow bucket's number plus one; 0: none.
inline std::uint32_t next_of(const std::byte* bucket) {
  return next_word(bucket).load(std::memory_order_relaxed);
}

// Entries stand in front.
inline std::size_t used_in(const std::byte* bucket) {
  std::size_t used = 0;
  while (used < format::bucket::kEntries && entry_at(bucket, used) != 0) ++used;
  return used;
}

}  // namespace cairn
