// SPDX-License-Identifier: Apache-2.0
//
// Random mixtures of what codes and floats find hard.
#pragma once

#include <cstdint>

#include "tests/support/vectors.h"

namespace cairn::test {

struct Mixture {
  Vectors vectors;
  Vectors queries;
};

// Rows around some centers, with a common offset, a component apart, heavy tails or ties; and 25
// queries like them.
Mixture mixture_of(std::uint64_t seed);

}  // namespace cairn::test
