// SPDX-License-Identifier: Apache-2.0
#include "format/bytes/superblock_layout.h"

#include <cstring>

namespace cairn::format {

void Counters::encode(std::span<std::byte, kEncodedSize> out) const {
  using namespace counters_at;
  std::byte* const at = out.data();
  std::memset(at, 0, out.size());
  store<kSlotsUsed>(at, slots_used);
  store<kLive>(at, live);
  store<kDeleted>(at, deleted);
  store<kUpperUsed>(at, upper_used);
  store<kHashBuckets>(at, hash_buckets);
  store<kOverflowUsed>(at, overflow_used);
  store<kAppliedUpTo>(at, applied_up_to);
  store<kOverflowFree>(at, overflow_free);
  store<kEntryPoint>(at, entry_point);
  store<kMaxLevel>(at, max_level);
  store<kSlotFree>(at, slot_free);
  store<kAdvisedEf>(at, advised_ef);
  store<kKeys>(at, keys);
  for (std::size_t i = 0; i < kMaxLevels; ++i) store_u32(at + kUpperFree.offset, i, upper_free[i]);
}

Counters Counters::decode(std::span<const std::byte, kEncodedSize> in) {
  using namespace counters_at;
  const std::byte* const at = in.data();
  Counters counters;
  counters.slots_used = load<kSlotsUsed>(at);
  counters.live = load<kLive>(at);
  counters.deleted = load<kDeleted>(at);
  counters.upper_used = load<kUpperUsed>(at);
  counters.hash_buckets = load<kHashBuckets>(at);
  counters.overflow_used = load<kOverflowUsed>(at);
  counters.applied_up_to = load<kAppliedUpTo>(at);
  counters.overflow_free = load<kOverflowFree>(at);
  counters.entry_point = load<kEntryPoint>(at);
  counters.max_level = load<kMaxLevel>(at);
  counters.slot_free = load<kSlotFree>(at);
  counters.advised_ef = load<kAdvisedEf>(at);
  counters.keys = load<kKeys>(at);
  for (std::size_t i = 0; i < kMaxLevels; ++i) {
    counters.upper_free[i] = load_u32(at + kUpperFree.offset, i);
  }
  return counters;
}

void Extent::encode(std::span<std::byte, kEncodedSize> out) const {
  using namespace extent_at;
  std::byte* const at = out.data();
  std::memset(at, 0, out.size());
  store<kSection>(at, section);
  store<kFlags>(at, flags);
  store<kLogicalOffset>(at, logical_offset);
  store<kLength>(at, length);
  store<kFileOffset>(at, file_offset);
  store<kTreeOffset>(at, tree_offset);
  store<kRoot>(at, root);
}

Extent Extent::decode(std::span<const std::byte, kEncodedSize> in) {
  using namespace extent_at;
  const std::byte* const at = in.data();
  return {.section = load<kSection>(at),
          .flags = load<kFlags>(at),
          .logical_offset = load<kLogicalOffset>(at),
          .length = load<kLength>(at),
          .file_offset = load<kFileOffset>(at),
          .tree_offset = load<kTreeOffset>(at),
          .root = load<kRoot>(at)};
}

}  // namespace cairn::format
