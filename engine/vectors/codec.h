// SPDX-License-Identifier: Apache-2.0
//
// 8-bit codes for traversal. A vector v becomes c = round(v * 127 / max|v|), one signed byte a
// component, and two factors {a, b} that turn integer dot products into distances (docs/format.md,
// "HOT"). The code depends on its own vector alone: nothing is trained, nothing is ever
// re-encoded, the first vector can go into an empty index.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include <cairn/types.h>

#include "format/bytes/parameters.h"

namespace cairn {

struct Code {
  float a;
  float b;
  bool usable;  // false: distances must be computed from the vector itself; a is NaN
};

// Encodes `dims` finite floats, whose norm is `length`, into `code`. Not usable are vectors whose
// code says too little: more than half of the non-zero components round to zero, or a norm outside
// [1e-15, 1e15], beyond which products leave the range of float. The zero vector is usable.
Code encode(Metric metric, const float* vector, double length, std::size_t dims, std::int8_t* code);

// What stands in {a, b} when the traversal is exact: the code is the vector itself, whose norm is
// `length`.
Code exact_factors(Metric metric, double length);

// What belongs into the record of a stored vector of the parameters' kind: the factors, and by
// traversal `code` the code, `dims` bytes. `floats` is working memory.
Code factors_of(const format::Parameters& parameters, const void* vector,
                std::vector<float>& floats, std::int8_t* code);

// Euclidean norm, in double throughout.
double norm(const float* vector, std::size_t dims);

}  // namespace cairn
