// SPDX-License-Identifier: Apache-2.0
//
// Random mixtures of what codes and floats find hard.
#pragma once

#include <cstddef>
#include <cstdint>

#include "tests/support/vectors.h"

namespace cairn::test {

struct Mixture {
  Vectors vectors;
  Vectors queries;
};

// Rows around some centers, with a common offset, a component apart, heavy tails or ties; and
// queries like them.
Mixture mixture_of(std::uint64_t seed, std::size_t queries = 25);

// What graphs find hard.
enum class Family {
  scales,       // mixture_of(seed)
  copies,       // groups of 1 to 300 equal rows
  near_copies,  // the same, with a spread of 1e-2 to 1e-6; half of the queries are strangers
  ties,         // small whole numbers
};
const char* name_of(Family family);

// Of 300 to 900 rows, unless the family has its own sizes. Rows of a group follow each other.
Mixture mixture_of(Family family, std::uint64_t seed, std::size_t queries);

}  // namespace cairn::test
