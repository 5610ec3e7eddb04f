// SPDX-License-Identifier: Apache-2.0
//
// Bytes of the log and of the journal. docs/format.md, "Log segment", "Unused page", "Log frame",
// "Log record", "Journal".
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "format/bytes/limits.h"
#include "format/bytes/named_field.h"

namespace cairn::format {

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

enum class RecordKind : std::uint16_t { bytes = 1, counters = 2, run = 3, jump = 4 };

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

}  // namespace cairn::format
