// SPDX-License-Identifier: Apache-2.0
//
// The number of a node: where its records stand in their sections.
#pragma once

#include <cstdint>

#include "format/bytes/layout.h"

namespace cairn {

using NodeId = std::uint32_t;
using format::kNoNode;

// The top bit of a NodeId is the candidate pool's mark.
inline constexpr std::uint64_t kMaxNodes = std::uint64_t{1} << 31;

}  // namespace cairn
