// SPDX-License-Identifier: Apache-2.0
//
// Parameters of an index as numbers that cairn/_index.py has words for.
#pragma once

#include <cairn/params.h>

#include <cstddef>
#include <cstdint>
#include <tuple>

namespace cairn::python {

template <class Enum>
Enum numbered(int number) {
  return static_cast<Enum>(number);
}

inline IndexParams params_from(std::size_t dims, int metric, int scalar, std::uint32_t m,
                               std::uint32_t ef_construction, std::uint64_t seed, int traversal,
                               bool several_per_key) {
  return {.dimensions = dims,
          .metric = numbered<Metric>(metric),
          .scalar = numbered<Scalar>(scalar),
          .m = m,
          .ef_construction = ef_construction,
          .seed = seed,
          .traversal = numbered<Traversal>(traversal),
          .several_per_key = several_per_key};
}

// The same numbers in the same order.
inline auto params_tuple(const IndexParams& p) {
  return std::tuple(p.dimensions, static_cast<int>(p.metric), static_cast<int>(p.scalar), p.m,
                    p.ef_construction, p.seed, static_cast<int>(p.traversal), p.several_per_key);
}

}  // namespace cairn::python
