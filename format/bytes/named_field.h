// SPDX-License-Identifier: Apache-2.0
//
// Field names and places of byte structs. Each *_layout.h states those of some, as the tables of
// docs/format.md do: a test compares the two, and nothing else states a byte position.
#pragma once

#include <cstddef>

#include "format/bytes/coding.h"

namespace cairn::format {

// Field names and places of a byte struct, in order; for tests and for messages.
struct NamedField {
  const char* name;
  Field field;
};

// True if the fields follow each other without a gap from 0 to size.
template <std::size_t kCount>
constexpr bool tiles(const NamedField (&fields)[kCount], std::size_t size) {
  std::size_t at = 0;
  for (const NamedField& named : fields) {
    if (named.field.offset != at) return false;
    at += named.field.size;
  }
  return at == size;
}

}  // namespace cairn::format
