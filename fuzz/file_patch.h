// SPDX-License-Identifier: Apache-2.0
//
// What a fuzz input says: which seed file, how to open it, and a list of changes; and the repair of
// all checksums that the changes broke.
//
//   byte 0      seed file
//   byte 1      options, see kLoad ...
//   byte 2, 3   seed of the queries
//   then        changes of 16 bytes each: kind, operation, u16 a, u32 b, u64 value
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "fuzz/file_seed.h"

namespace cairn::fuzz {

inline constexpr std::uint8_t kLoad = 1;           // Residency::load
inline constexpr std::uint8_t kFull = 2;           // Verify::full
inline constexpr std::uint8_t kBrokenPages = 4;    // leave page checksums broken
inline constexpr std::uint8_t kBrokenSlots = 8;    // leave superblock checksums broken
inline constexpr std::uint8_t kBrokenHeader = 16;  // leave the header's checksum broken
inline constexpr std::uint8_t kSaveAgain = 32;     // save what could be opened

inline constexpr std::size_t kScriptHeader = 4;
inline constexpr std::size_t kChangeSize = 16;

enum class Place : std::uint8_t {
  header,        // byte a
  both_slots,    // byte a
  one_slot,      // byte a of slot b
  header_field,  // named field a
  slot_field,    // named field a, both slots
  counter,       // named field a, both slots
  extent,        // entry b, named field a, both slots
  section,       // section a, byte b
  node,          // node b, word a of its HOT record from the node header on
  upper,         // record b, u16 number a
  bucket,        // bucket b of HASH (a even) or OVERFLOW, number a / 2
  vector,        // node b, component a
  parameters,    // value, a: what, see apply_parameters
  file_size,     // b bytes, on disk
  count,
};

struct Script {
  const SeedFile* seed;
  std::uint8_t options;
  std::uint16_t queries;
  std::vector<std::byte> image;  // after the changes, checksums repaired as the options say
};

Script run_script(const std::uint8_t* data, std::size_t size);

}  // namespace cairn::fuzz
