// SPDX-License-Identifier: Apache-2.0
//
// Sizes and bounds that hold for every file, and what stands for "none". The numbers are those of
// docs/format.md.
#pragma once

#include <cstddef>
#include <cstdint>

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

// Of generations and log frames, which count up by one: no file gets there.
inline constexpr std::uint64_t kMaxNumber = std::uint64_t{1} << 63;
inline constexpr std::uint64_t kMaxFileSize = std::uint64_t{1} << 62;

}  // namespace cairn::format
