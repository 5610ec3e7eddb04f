// SPDX-License-Identifier: Apache-2.0
//
// Bytes of the static header. docs/format.md, "Static header", "Section entry".
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "format/bytes/limits.h"
#include "format/bytes/named_field.h"

namespace cairn::format {

inline constexpr std::array<std::uint8_t, 8> kHeaderMagic = {0x89, 'C',  'A',  'R',
                                                             0x0D, 0x0A, 0x1A, 0x0A};

inline constexpr std::uint32_t kEndianTag = 0x01020304;

using Uuid = std::array<std::uint8_t, 16>;

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

}  // namespace cairn::format
