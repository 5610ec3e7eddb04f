// SPDX-License-Identifier: Apache-2.0
//
// Every offset, size, magic number and enum value of the file (docs/format.md). Nothing else states a byte position.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include <cairn/types.h>

#include "format/sections.h"

namespace cairn::format {

inline constexpr std::size_t kPageSize = 4096;
inline constexpr std::uint32_t kNoNode = 0xFFFFFFFFu;
inline constexpr std::size_t kMaxLevels = 16;      // levels 0 ... 15
inline constexpr std::uint64_t kMaxDimensions = 65535;

// What the static header records: fixed for the life of a file. docs/format.md, "Parameters".
struct Parameters {
  std::uint32_t dimensions;
  Metric metric;
  Scalar scalar;
  Traversal traversal;             // code or exact, never automatic
  std::uint32_t m;
  std::uint32_t m_max0;            // links in a HOT record
  std::uint32_t ef_construction;
  std::uint64_t seed;
  std::uint32_t hot_stride;        // bytes, a multiple of 64
  std::uint32_t hot_factor_offset; // where the node header begins in a HOT record, multiple of 4
  std::uint32_t exact_stride;      // bytes; 0: EXACT is empty
  std::uint32_t upper_stride;      // bytes
};

// The counters of one superblock generation. docs/format.md, "Counters".
struct Counters {
  std::uint64_t slots_used;        // nodes that were ever allocated; every id is less
  std::uint64_t live;
  std::uint64_t deleted;
  std::uint64_t upper_used;        // UPPER records in use or on a free list
  std::uint64_t hash_buckets;      // primary buckets, at least 1 unless there are no slots
  std::uint64_t overflow_used;     // overflow buckets ever allocated
  std::uint32_t overflow_free;     // first of the chain of free overflow buckets, or kNoNode
  std::uint32_t entry_point;       // node, or kNoNode
  std::uint32_t max_level;         // of the entry point
  std::uint32_t slot_free;         // first of the chain of free slots, or kNoNode
  std::array<std::uint32_t, kMaxLevels> upper_free;  // chains of free UPPER blocks, by number of records; [0] unused
  std::uint64_t applied_up_to;     // the host's log position
};

// Node header inside a HOT record, offsets from Parameters::hot_factor_offset. docs/format.md, "HOT record".
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
inline constexpr std::uint8_t kFlagNoCode = 4;  // the code cannot stand for the vector; factor a is NaN
}  // namespace hot

// docs/format.md, "UPPER record".
namespace upper {
inline constexpr std::size_t kNode = 0;    // u32
inline constexpr std::size_t kDegree = 4;  // u16
inline constexpr std::size_t kLevel = 6;   // u16
inline constexpr std::size_t kLinks = 8;   // u32[m]
}  // namespace upper

// docs/format.md, "HASH and OVERFLOW buckets".
namespace bucket {
inline constexpr std::size_t kSize = 64;
inline constexpr std::size_t kEntries = 10;
inline constexpr std::size_t kEntry = 0;  // u32[kEntries], node + 1; 0: empty
inline constexpr std::size_t kTag = 40;   // u16[kEntries], bits 48 ... 63 of the key hash
inline constexpr std::size_t kNext = 60;  // u32, overflow bucket + 1; 0: none
}  // namespace bucket

}  // namespace cairn::format
