// SPDX-License-Identifier: Apache-2.0
//
// A piece of a file.
#pragma once

#include <cstdint>

namespace cairn::format {

struct Stretch {
  std::uint64_t offset = 0;
  std::uint64_t length = 0;
  std::uint64_t end() const { return offset + length; }
  friend bool operator==(const Stretch&, const Stretch&) = default;
};

}  // namespace cairn::format
