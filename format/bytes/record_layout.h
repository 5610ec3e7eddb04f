// SPDX-License-Identifier: Apache-2.0
//
// Bytes of the records that sections hold. docs/format.md, "Node header", "UPPER record", "Bucket".
#pragma once

#include <cstddef>
#include <cstdint>

#include "format/bytes/named_field.h"

namespace cairn::format {

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
