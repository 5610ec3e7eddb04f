// SPDX-License-Identifier: Apache-2.0
//
// The vectors of a foreign file: where they stand, how they are encoded, and what they become.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>

#include <cairn/types.h>

namespace cairn {

enum class Encoding {
  // As an index stores them.
  f32,
  f16,
  bf16,
  i8,
  b1,
  b1_highest_first,  // the same, but for the order of bits in a byte
  // These become f32.
  f64,
  u8,
  i16,
  u16,
  i32,
  u32,
  i64,
  u64,
  u8_minus_128,
  e5m2,
  e4m3,
  e3m2,
  e2m3,
  // Scalar quantisers: codes of 8, 6 or 4 bits between a least value and that plus a width, which
  // `trained` has: all least values, then all widths; or one of each.
  sq8,
  sq8_uniform,
  sq6,
  sq4,
  sq4_uniform,
};

struct EncodedRows {
  Encoding encoding = Encoding::f32;
  std::size_t dimensions = 0;
  const std::byte* first = nullptr;
  std::size_t stride = 0;  // bytes
  const std::byte* trained = nullptr;
};

const char* name_of(Encoding encoding);
// Bytes of an encoded vector.
std::size_t encoded_bytes(Encoding encoding, std::size_t dimensions);
// What the components become.
Scalar stored_as(Encoding encoding);
// Whether that is another kind, and whether it is rounded.
bool is_widened(Encoding encoding);
bool is_rounded(Encoding encoding);

// Writes vector_bytes(stored_as(encoding), dimensions) bytes to `out`, which is aligned to its
// components. The first component that f32 does not hold exactly, if it is an integer; `out` then
// holds anything.
std::optional<std::size_t> decode_row(const EncodedRows& rows, std::size_t row, std::byte* out);

}  // namespace cairn
