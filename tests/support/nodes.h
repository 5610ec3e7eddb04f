// SPDX-License-Identifier: Apache-2.0
//
// Nodes in tests: 7_n is node 7, and failures show them as numbers.
#pragma once

#include <cstdint>
#include <ostream>

#include "engine/store/node_id.h"

namespace cairn {

constexpr NodeId operator""_n(unsigned long long index) {
  return {static_cast<std::uint32_t>(index)};
}

inline std::ostream& operator<<(std::ostream& out, NodeId node) { return out << node.index; }

}  // namespace cairn
