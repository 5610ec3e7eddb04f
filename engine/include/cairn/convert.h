// SPDX-License-Identifier: Apache-2.0
//
// f32 vectors in the kinds that an index can store, and back.
#pragma once

#include <cstddef>
#include <span>

#include <cairn/error.h>
#include <cairn/export.h>
#include <cairn/types.h>

namespace cairn {

// Writes the components of an f32 vector as the kind `to` has them, into the first
// vector_bytes(to, from.size()) bytes of `out`:
//   f16, bf16   rounded to nearest, ties to even
//   i8          the same, to an integer; a component outside [-127, 127] is an error
//   b1          1 where the component is greater than 0; bits behind the last one are 0
// not_finite: a component is not, or becomes infinite as f16 or bf16. invalid_argument: outside the
// range of i8, `out` is too short or, for 16 bits, at an odd address. Errors name the component;
// `out` then holds anything.
CAIRN_EXPORT Result<void> convert(std::span<const float> from, Scalar to, std::span<std::byte> out);

// The components of a vector of any kind as floats, which is exact; those of b1 are 0 and 1.
// invalid_argument: `out` is shorter than the vector.
CAIRN_EXPORT Result<void> convert(VectorView from, std::span<float> out);

}  // namespace cairn
