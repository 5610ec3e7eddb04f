// SPDX-License-Identifier: Apache-2.0
//
// Every offset, size, magic number and enum value of the file. Nothing else states a byte position.
// The names and numbers are those of the tables in docs/format.md; a test compares the two.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include <cairn/error.h>
#include <cairn/types.h>

#include "format/bytes/coding.h"
#include "format/bytes/sections.h"

namespace cairn::format {

inline constexpr std::uint16_t kFormatMajor = 0;
inline constexpr std::uint16_t kFormatMinor = 1;
inline constexpr std::size_t kPageSize = 4096;
inline constexpr std::size_t kHugePage = std::size_t{2} << 20;
inline constexpr std::uint32_t kNoNode = 0xFFFFFFFFu;
inline constexpr std::uint64_t kMaxRecords = 0xFFFFFFFEu;  // of a section; node + 1 fits into u32
inline constexpr std::size_t kMaxLevels = 16;              // levels 0 ... 15
inline constexpr std::uint64_t kMaxDimensions = 65535;
inline constexpr std::uint32_t kMinM = 2;
inline constexpr std::uint32_t kMaxM = 256;
inline constexpr std::uint32_t kMaxEfConstruction = 65536;
inline constexpr std::uint32_t kMaxAdvisedEf = 65536;

// docs/format.md, "Map of the file".
inline constexpr std::uint64_t kHeaderOffset = 0;
inline constexpr std::array<std::uint64_t, 2> kSuperblockOffsets = {std::uint64_t{64} << 10,
                                                                    std::uint64_t{128} << 10};
inline constexpr std::uint64_t kRuntimeOffset = std::uint64_t{192} << 10;
inline constexpr std::uint64_t kFirstRunOffset = std::uint64_t{256} << 10;
// Of generations and log frames, which count up by one: no file gets there.
inline constexpr std::uint64_t kMaxNumber = std::uint64_t{1} << 63;
inline constexpr std::uint64_t kMaxFileSize = std::uint64_t{1} << 62;

inline constexpr std::array<std::uint8_t, 8> kHeaderMagic = {0x89, 'C',  'A',  'R',
                                                             0x0D, 0x0A, 0x1A, 0x0A};
inline constexpr std::array<std::uint8_t, 8> kSuperblockMagic = {'C', 'R', 'N', 'S',
                                                                 'U', 'P', 'E', 'R'};
inline constexpr std::uint32_t kEndianTag = 0x01020304;

using Uuid = std::array<std::uint8_t, 16>;

// Field names and places of a byte struct, in order; for tests and for messages.
struct NamedField {
  const char* name;
  Field field;
};

// True if the fields follow each other without a gap from 0 to size.
template <std::size_t kCount>
constexpr bool tiles(const NamedField (&fields)[kCount], std::size_t size) {
  std::size_t at = 0;
  for (const NamedField& named : fields) {
    if (named.field.offset != at) return false;
    at += named.field.size;
  }
  return at == size;
}

// What the static header records: fixed for the life of a file. docs/format.md, "Static header".
struct Parameters {
  std::uint32_t dimensions;
  Metric metric;
  Scalar scalar;
  Traversal traversal;  // code or exact, never automatic
  std::uint32_t m;
  std::uint32_t m_max0;  // links in a HOT record
  std::uint32_t ef_construction;
  std::uint64_t seed;
  std::uint32_t hot_stride;         // bytes, a multiple of 64
  std::uint32_t hot_factor_offset;  // where the node header begins in a HOT record, multiple of 4
  std::uint32_t exact_stride;       // bytes; 0: EXACT is empty
  std::uint32_t upper_stride;       // bytes
  bool several_per_key;             // a key may have several vectors

  friend bool operator==(const Parameters&, const Parameters&) = default;
};

// Fills in what follows from dimensions, scalar, traversal and m: m_max0, hot_factor_offset and the
// three strides. REQUIRES: those four are in their ranges.
void derive_strides(Parameters& parameters);

// Bytes of a record of a section.
std::uint64_t record_stride(const Parameters& parameters, SectionId id);

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

// docs/format.md, "Section entry".
namespace section_entry_at {
inline constexpr std::size_t kSize = 16;
inline constexpr std::size_t kCount = 16;
inline constexpr Field kId{0, 2};
inline constexpr Field kFlags{2, 2};
inline constexpr Field kStride{4, 4};
inline constexpr NamedField kFields[] = {
    {"id", kId}, {"flags", kFlags}, {"stride", kStride}, {"reserved0", {8, 8}}};
static_assert(tiles(kFields, kSize));
}  // namespace section_entry_at

inline constexpr std::uint16_t kSectionMapped = 1;
inline constexpr std::uint16_t kSectionChecksummed = 2;
inline constexpr std::uint16_t kSectionIgnorable = 4;

// docs/format.md, "Static header".
namespace header_at {
inline constexpr std::size_t kSize = kPageSize;
inline constexpr Field kMagic{0, 8};
inline constexpr Field kFormatMajor{8, 2};
inline constexpr Field kFormatMinor{10, 2};
inline constexpr Field kEndianTag{12, 4};
inline constexpr Field kUuid{16, 16};
inline constexpr Field kPageSizeField{32, 4};
inline constexpr Field kHugePageSize{36, 4};
inline constexpr Field kDimensions{40, 4};
inline constexpr Field kMetric{44, 1};
inline constexpr Field kScalar{45, 1};
inline constexpr Field kTraversal{46, 1};
inline constexpr Field kSeveralPerKey{47, 1};
inline constexpr Field kM{48, 4};
inline constexpr Field kMMax0{52, 4};
inline constexpr Field kEfConstruction{56, 4};
inline constexpr Field kHotFactorOffset{60, 4};
inline constexpr Field kSeed{64, 8};
inline constexpr Field kHotStride{72, 4};
inline constexpr Field kExactStride{76, 4};
inline constexpr Field kUpperStride{80, 4};
inline constexpr Field kSectionCount{84, 4};
inline constexpr Field kHashSeed{88, 8};
inline constexpr Field kSections{128, 256};
inline constexpr Field kChecksum{4080, 16};
inline constexpr NamedField kFields[] = {{"magic", kMagic},
                                         {"format_major", kFormatMajor},
                                         {"format_minor", kFormatMinor},
                                         {"endian_tag", kEndianTag},
                                         {"uuid", kUuid},
                                         {"page_size", kPageSizeField},
                                         {"huge_page_size", kHugePageSize},
                                         {"dimensions", kDimensions},
                                         {"metric", kMetric},
                                         {"scalar", kScalar},
                                         {"traversal", kTraversal},
                                         {"several_per_key", kSeveralPerKey},
                                         {"m", kM},
                                         {"m_max0", kMMax0},
                                         {"ef_construction", kEfConstruction},
                                         {"hot_factor_offset", kHotFactorOffset},
                                         {"seed", kSeed},
                                         {"hot_stride", kHotStride},
                                         {"exact_stride", kExactStride},
                                         {"upper_stride", kUpperStride},
                                         {"section_count", kSectionCount},
                                         {"hash_seed", kHashSeed},
                                         {"reserved1", {96, 32}},
                                         {"sections", kSections},
                                         {"reserved2", {384, 3696}},
                                         {"checksum", kChecksum}};
static_assert(tiles(kFields, kSize));
static_assert(kSections.size == section_entry_at::kCount * section_entry_at::kSize);
}  // namespace header_at

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
// The log may hold records of kind `patches`.
inline constexpr std::uint64_t kIncompatPackedLog = 8;
// What a superblock with a log has, and one without does not.
inline constexpr std::uint64_t kIncompatOfLog = kIncompatLog | kIncompatPackedLog;
// What this version can read.
inline constexpr std::uint64_t kKnownIncompat =
    kIncompatOfLog | kIncompatHashSeed | kIncompatSeveral;
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

// docs/format.md, "Log segment".
namespace segment_at {
inline constexpr std::size_t kSize = kPageSize;
inline constexpr Field kMagic{0, 8};
inline constexpr Field kSalt{8, 8};
inline constexpr Field kFirstLsn{16, 8};
inline constexpr Field kLength{24, 8};
inline constexpr Field kNumber{32, 8};
inline constexpr Field kChecksum{40, 8};
inline constexpr NamedField kFields[] = {
    {"magic", kMagic},   {"salt", kSalt},         {"first_lsn", kFirstLsn}, {"length", kLength},
    {"number", kNumber}, {"checksum", kChecksum}, {"reserved0", {48, 4048}}};
static_assert(tiles(kFields, kSize));
}  // namespace segment_at

// docs/format.md, "Unused page".
namespace unused_at {
inline constexpr std::size_t kSize = kPageSize;
inline constexpr Field kMagic{0, 8};
inline constexpr Field kSalt{8, 8};
inline constexpr Field kNumber{16, 8};
inline constexpr NamedField kFields[] = {
    {"magic", kMagic}, {"salt", kSalt}, {"number", kNumber}, {"reserved0", {24, 4072}}};
static_assert(tiles(kFields, kSize));
}  // namespace unused_at

inline constexpr std::array<std::uint8_t, 8> kUnusedMagic = {'C', 'R', 'N', 'U',
                                                             'N', 'U', 'S', 'D'};

inline constexpr std::array<std::uint8_t, 8> kSegmentMagic = {'C', 'R', 'N', 'L',
                                                              'O', 'G', 'S', 'G'};
inline constexpr std::uint32_t kFrameMagic = 0x4D524643;  // "CFRM"
// A frame is read into memory as a whole.
inline constexpr std::uint64_t kMaxFrame = std::uint64_t{256} << 20;

// docs/format.md, "Log frame".
namespace frame_at {
inline constexpr std::size_t kSize = 64;
inline constexpr Field kMagic{0, 4};
inline constexpr Field kLength{4, 4};
inline constexpr Field kLsn{8, 8};
inline constexpr Field kSalt{16, 8};
inline constexpr Field kPrevious{24, 8};
inline constexpr Field kDurableLsn{32, 8};
inline constexpr Field kRecordCount{40, 4};
inline constexpr Field kChecksum{56, 8};
inline constexpr NamedField kFields[] = {
    {"magic", kMagic},         {"length", kLength},     {"lsn", kLsn},
    {"salt", kSalt},           {"previous", kPrevious}, {"durable_lsn", kDurableLsn},
    {"records", kRecordCount}, {"reserved0", {44, 12}}, {"checksum", kChecksum}};
static_assert(tiles(kFields, kSize));
}  // namespace frame_at

enum class RecordKind : std::uint16_t { bytes = 1, counters = 2, run = 3, jump = 4, patches = 5 };

// docs/format.md, "Log record".
namespace record_at {
inline constexpr std::size_t kSize = 16;
inline constexpr Field kKind{0, 2};
inline constexpr Field kSection{2, 2};
inline constexpr Field kLength{4, 4};
inline constexpr Field kOffset{8, 8};
inline constexpr NamedField kFields[] = {
    {"kind", kKind}, {"section", kSection}, {"length", kLength}, {"offset", kOffset}};
static_assert(tiles(kFields, kSize));
}  // namespace record_at

// docs/format.md, "Journal".
namespace journal_at {
inline constexpr std::size_t kSize = 64;
inline constexpr Field kMagic{0, 8};
inline constexpr Field kGeneration{8, 8};
inline constexpr Field kPages{16, 8};
inline constexpr NamedField kFields[] = {
    {"magic", kMagic}, {"generation", kGeneration}, {"pages", kPages}, {"reserved0", {24, 40}}};
static_assert(tiles(kFields, kSize));
}  // namespace journal_at

// docs/format.md, "Journal entry".
namespace journal_entry_at {
inline constexpr std::size_t kSize = 16;
inline constexpr Field kFileOffset{0, 8};
inline constexpr Field kChecksum{8, 8};
inline constexpr NamedField kFields[] = {{"file_offset", kFileOffset}, {"checksum", kChecksum}};
static_assert(tiles(kFields, kSize));
}  // namespace journal_entry_at

inline constexpr std::array<std::uint8_t, 8> kJournalMagic = {'C', 'R', 'N', 'J',
                                                              'O', 'U', 'R', 'N'};

// Node header inside a HOT record, offsets from Parameters::hot_factor_offset. docs/format.md,
// "Node header".
namespace hot {
inline constexpr std::size_t kFactorA = 0;      // f32
inline constexpr std::size_t kFactorB = 4;      // f32
inline constexpr std::size_t kUpper = 8;        // u32, first UPPER record of the node, or kNoNode
inline constexpr std::size_t kLevel = 12;       // u8
inline constexpr std::size_t kFlags = 13;       // u8
inline constexpr std::size_t kGeneration = 14;  // u16, of the slot
inline constexpr std::size_t kDegree = 16;      // u32
inline constexpr std::size_t kLinks = 20;       // u32[m_max0]
inline constexpr std::size_t kAlignment = 64;   // of the record's stride
inline constexpr std::uint8_t kFlagLive = 1;
inline constexpr std::uint8_t kFlagDeleted = 2;
inline constexpr std::uint8_t kFlagNoCode =
    4;  // the code cannot stand for the vector; factor a is NaN
inline constexpr NamedField kFields[] = {
    {"factor_a", {kFactorA, 4}}, {"factor_b", {kFactorB, 4}}, {"upper", {kUpper, 4}},
    {"level", {kLevel, 1}},      {"flags", {kFlags, 1}},      {"generation", {kGeneration, 2}},
    {"degree", {kDegree, 4}}};
static_assert(tiles(kFields, kLinks));
}  // namespace hot

// docs/format.md, "UPPER record".
namespace upper {
inline constexpr std::size_t kNode = 0;    // u32
inline constexpr std::size_t kDegree = 4;  // u16
inline constexpr std::size_t kLevel = 6;   // u16
inline constexpr std::size_t kLinks = 8;   // u32[m]
inline constexpr NamedField kFields[] = {
    {"node", {kNode, 4}}, {"degree", {kDegree, 2}}, {"level", {kLevel, 2}}};
static_assert(tiles(kFields, kLinks));
}  // namespace upper

// docs/format.md, "Bucket".
namespace bucket {
inline constexpr std::size_t kSize = 64;
inline constexpr std::size_t kEntries = 10;
inline constexpr std::size_t kEntry = 0;  // u32[kEntries], node + 1; 0: empty
inline constexpr std::size_t kTag = 40;   // u16[kEntries], bits 48 ... 63 of the key hash
inline constexpr std::size_t kNext = 60;  // u32, overflow bucket + 1; 0: none
inline constexpr NamedField kFields[] = {
    {"entry", {kEntry, 4 * kEntries}}, {"tag", {kTag, 2 * kEntries}}, {"next", {kNext, 4}}};
static_assert(tiles(kFields, kSize));
}  // namespace bucket

}  // namespace cairn::format
