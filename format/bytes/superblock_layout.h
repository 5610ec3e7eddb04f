// SPDX-License-Identifier: Apache-2.0
//
// Where superblocks stand, and their bytes: counters, extents, features. docs/format.md,
// "Superblock", "Counters", "Extent entry", "Runtime block".
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "format/bytes/limits.h"
#include "format/bytes/named_field.h"

namespace cairn::format {

// docs/format.md, "Map of the file".
inline constexpr std::uint64_t kHeaderOffset = 0;
inline constexpr std::array<std::uint64_t, 2> kSuperblockOffsets = {std::uint64_t{64} << 10,
                                                                    std::uint64_t{128} << 10};
inline constexpr std::uint64_t kRuntimeOffset = std::uint64_t{192} << 10;
inline constexpr std::uint64_t kFirstRunOffset = std::uint64_t{256} << 10;

inline constexpr std::array<std::uint8_t, 8> kSuperblockMagic = {'C', 'R', 'N', 'S',
                                                                 'U', 'P', 'E', 'R'};

// The counters of one superblock generation. docs/format.md, "Counters".
struct Counters {
  static constexpr std::size_t kEncodedSize = 256;

  std::uint64_t slots_used;  // nodes that were ever allocated; every id is less
  std::uint64_t live;
  std::uint64_t deleted;
  std::uint64_t upper_used;     // UPPER records in use or on a free list
  std::uint64_t hash_buckets;   // primary buckets, at least 1 unless there are no slots
  std::uint64_t overflow_used;  // overflow buckets ever allocated
  std::uint32_t overflow_free;  // first of the chain of free overflow buckets, or kNoNode
  std::uint32_t entry_point;    // node, or kNoNode
  std::uint32_t max_level;      // of the entry point
  std::uint32_t slot_free;      // first of the chain of free slots, or kNoNode
  // Chains of free UPPER blocks, by number of records; [0] unused.
  std::array<std::uint32_t, kMaxLevels> upper_free;
  std::uint64_t applied_up_to;  // the host's log position
  std::uint32_t advised_ef;     // for searches; 0: none
  std::uint64_t keys;           // with several_per_key: of the live nodes; else 0

  void encode(std::span<std::byte, kEncodedSize> out) const;
  static Counters decode(std::span<const std::byte, kEncodedSize> in);

  friend bool operator==(const Counters&, const Counters&) = default;
};

namespace counters_at {
inline constexpr Field kSlotsUsed{0, 8};
inline constexpr Field kLive{8, 8};
inline constexpr Field kDeleted{16, 8};
inline constexpr Field kUpperUsed{24, 8};
inline constexpr Field kHashBuckets{32, 8};
inline constexpr Field kOverflowUsed{40, 8};
inline constexpr Field kAppliedUpTo{48, 8};
inline constexpr Field kOverflowFree{56, 4};
inline constexpr Field kEntryPoint{60, 4};
inline constexpr Field kMaxLevel{64, 4};
inline constexpr Field kSlotFree{68, 4};
inline constexpr Field kUpperFree{72, 64};
inline constexpr Field kAdvisedEf{136, 4};
inline constexpr Field kKeys{144, 8};
inline constexpr NamedField kFields[] = {{"slots_used", kSlotsUsed},
                                         {"live", kLive},
                                         {"deleted", kDeleted},
                                         {"upper_used", kUpperUsed},
                                         {"hash_buckets", kHashBuckets},
                                         {"overflow_used", kOverflowUsed},
                                         {"applied_up_to", kAppliedUpTo},
                                         {"overflow_free", kOverflowFree},
                                         {"entry_point", kEntryPoint},
                                         {"max_level", kMaxLevel},
                                         {"slot_free", kSlotFree},
                                         {"upper_free", kUpperFree},
                                         {"advised_ef", kAdvisedEf},
                                         {"reserved0", {140, 4}},
                                         {"keys", kKeys},
                                         {"reserved1", {152, 104}}};
static_assert(tiles(kFields, Counters::kEncodedSize));
}  // namespace counters_at

// docs/format.md, "Superblock".
namespace superblock_at {
inline constexpr std::size_t kSize = std::size_t{16} << 10;
inline constexpr Field kMagic{0, 8};
inline constexpr Field kGeneration{8, 8};
inline constexpr Field kUuid{16, 16};
inline constexpr Field kFeatureIncompat{32, 8};
inline constexpr Field kFeatureRoCompat{40, 8};
inline constexpr Field kFeatureCompat{48, 8};
inline constexpr Field kFileSize{56, 8};
inline constexpr Field kCheckpointLsn{64, 8};
inline constexpr Field kLogOffset{72, 8};
inline constexpr Field kLogSalt{80, 8};
inline constexpr Field kLogFirstLsn{88, 8};
inline constexpr Field kFlags{96, 4};
inline constexpr Field kExtentCount{100, 4};
inline constexpr Field kJournalOffset{104, 8};
inline constexpr Field kJournalBytes{112, 8};
inline constexpr Field kJournalChecksum{120, 8};
inline constexpr Field kCounters{128, Counters::kEncodedSize};
inline constexpr Field kIdentity{384, 8};
inline constexpr Field kClosedSize{392, 8};
inline constexpr Field kExtents{512, 15360};
inline constexpr Field kChecksum{16368, 16};
inline constexpr NamedField kFields[] = {{"magic", kMagic},
                                         {"generation", kGeneration},
                                         {"uuid", kUuid},
                                         {"feature_incompat", kFeatureIncompat},
                                         {"feature_ro_compat", kFeatureRoCompat},
                                         {"feature_compat", kFeatureCompat},
                                         {"file_size", kFileSize},
                                         {"checkpoint_lsn", kCheckpointLsn},
                                         {"log_offset", kLogOffset},
                                         {"log_salt", kLogSalt},
                                         {"log_first_lsn", kLogFirstLsn},
                                         {"flags", kFlags},
                                         {"extent_count", kExtentCount},
                                         {"journal_offset", kJournalOffset},
                                         {"journal_bytes", kJournalBytes},
                                         {"journal_checksum", kJournalChecksum},
                                         {"counters", kCounters},
                                         {"identity", kIdentity},
                                         {"closed_size", kClosedSize},
                                         {"reserved0", {400, 112}},
                                         {"extents", kExtents},
                                         {"reserved1", {15872, 496}},
                                         {"checksum", kChecksum}};
static_assert(tiles(kFields, kSize));
static_assert(kSuperblockOffsets[0] + kSize <= kSuperblockOffsets[1]);
static_assert(kSuperblockOffsets[1] + kSize <= kRuntimeOffset);
}  // namespace superblock_at

inline constexpr std::uint32_t kSuperblockClean = 1;
inline constexpr std::uint64_t kIncompatLog = 1;       // there is a log: not clean
inline constexpr std::uint64_t kIncompatHashSeed = 2;  // keys are hashed with hash_seed
inline constexpr std::uint64_t kIncompatSeveral = 4;   // keys may have several vectors
// What this version can read.
inline constexpr std::uint64_t kKnownIncompat = kIncompatLog | kIncompatHashSeed | kIncompatSeveral;
inline constexpr std::uint64_t kKnownRoCompat = 0;
inline constexpr std::uint64_t kCompatAdvisedEf = 1;  // advised_ef is not 0

// docs/format.md, "Runtime block".
namespace runtime_at {
inline constexpr std::size_t kSize = std::size_t{64} << 10;
inline constexpr Field kSalt{0, 8};
inline constexpr Field kInPlaceLsn{8, 8};
inline constexpr NamedField kFields[] = {
    {"salt", kSalt}, {"in_place_lsn", kInPlaceLsn}, {"reserved0", {16, 65520}}};
static_assert(tiles(kFields, kSize));
static_assert(kRuntimeOffset + kSize <= kFirstRunOffset);
}  // namespace runtime_at

// One run of pages. docs/format.md, "Extent entry".
struct Extent {
  static constexpr std::size_t kEncodedSize = 64;

  std::uint16_t section;         // 1 ... number of sections
  std::uint16_t flags;           // 0
  std::uint64_t logical_offset;  // in the section
  std::uint64_t length;          // whole pages, not 0
  std::uint64_t file_offset;
  std::uint64_t tree_offset;  // in section CHECKSUM
  std::uint64_t root;         // page checksum of the tree's last level

  void encode(std::span<std::byte, kEncodedSize> out) const;
  static Extent decode(std::span<const std::byte, kEncodedSize> in);

  friend bool operator==(const Extent&, const Extent&) = default;
};
inline constexpr std::size_t kMaxExtents = 240;

namespace extent_at {
inline constexpr Field kSection{0, 2};
inline constexpr Field kFlags{2, 2};
inline constexpr Field kLogicalOffset{8, 8};
inline constexpr Field kLength{16, 8};
inline constexpr Field kFileOffset{24, 8};
inline constexpr Field kTreeOffset{32, 8};
inline constexpr Field kRoot{40, 8};
inline constexpr NamedField kFields[] = {
    {"section", kSection},        {"flags", kFlags},
    {"reserved0", {4, 4}},        {"logical_offset", kLogicalOffset},
    {"length", kLength},          {"file_offset", kFileOffset},
    {"tree_offset", kTreeOffset}, {"root", kRoot},
    {"reserved1", {48, 16}}};
static_assert(tiles(kFields, Extent::kEncodedSize));
static_assert(superblock_at::kExtents.size == kMaxExtents * Extent::kEncodedSize);
}  // namespace extent_at

}  // namespace cairn::format
