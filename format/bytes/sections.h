// SPDX-License-Identifier: Apache-2.0
//
// The sections of a file. A section is a byte array that grows; the engine says what its bytes
// mean.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace cairn::format {

// Stored in the extent table: never renumber.
enum class SectionId : std::uint16_t {
  hot = 1,       // one record a node: code, factors, links of level 0
  exact = 2,     // one vector a node, as given
  key = 3,       // one u64 a node
  upper = 4,     // one record a node and level >= 1
  hash = 5,      // linear hashing: primary buckets, 64 bytes each
  overflow = 6,  // linear hashing: overflow buckets, 64 bytes each
  checksum = 7,  // page checksums of all the others
};
inline constexpr std::size_t kSectionCount = 7;
inline constexpr std::size_t kDataSectionCount = 6;  // all but checksum

// CHECKSUM as extents name it: its runs are the ones that no checksum tree covers.
inline constexpr auto kChecksumId = static_cast<std::uint16_t>(SectionId::checksum);

// So many bytes of addresses for each.
using SectionAddresses = std::array<std::uint64_t, kDataSectionCount>;

constexpr std::size_t section_index(SectionId id) { return static_cast<std::size_t>(id) - 1; }

}  // namespace cairn::format
