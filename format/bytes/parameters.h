// SPDX-License-Identifier: Apache-2.0
//
// What is fixed for the life of an index, and the strides of its records that follow from it.
#pragma once

#include <cstdint>

#include <cairn/types.h>

#include "format/bytes/sections.h"

namespace cairn::format {

// What the static header records: fixed for the life of a file. docs/format.md, "Static header".
struct Parameters {
  std::uint32_t dimensions;
  Metric metric;
  Scalar scalar;
  Traversal traversal;  // code or exact, never automatic
  std::uint32_t m;
  std::uint32_t m_max0;  // links in a HOT record
  std::uint32_t ef_construction;
  std::uint64_t seed;
  std::uint32_t hot_stride;         // bytes, a multiple of 64
  std::uint32_t hot_factor_offset;  // where the node header begins in a HOT record, multiple of 4
  std::uint32_t exact_stride;       // bytes; 0: EXACT is empty
  std::uint32_t upper_stride;       // bytes
  bool several_per_key;             // a key may have several vectors

  friend bool operator==(const Parameters&, const Parameters&) = default;
};

// Fills in what follows from dimensions, scalar, traversal and m: m_max0, hot_factor_offset and the
// three strides. REQUIRES: those four are in their ranges.
void derive_strides(Parameters& parameters);

// Bytes of a record of a section.
std::uint64_t record_stride(const Parameters& parameters, SectionId id);

}  // namespace cairn::format
