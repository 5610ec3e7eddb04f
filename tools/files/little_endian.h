// SPDX-License-Identifier: Apache-2.0
//
// Little-endian integers out of bytes that need not be aligned.
#pragma once

#include <cstddef>
#include <cstdint>

namespace cairn::tools {

inline std::uint32_t load_u16(const std::byte* bytes) {
  return std::to_integer<std::uint32_t>(bytes[0]) | std::to_integer<std::uint32_t>(bytes[1]) << 8;
}

inline std::uint32_t load_u32(const std::byte* bytes) {
  return load_u16(bytes) | load_u16(bytes + 2) << 16;
}

}  // namespace cairn::tools
