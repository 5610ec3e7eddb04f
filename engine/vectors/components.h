// SPDX-License-Identifier: Apache-2.0
//
// Vectors of any scalar kind as they are given and stored: their components as floats, and what can
// be wrong with them.
#pragma once

#include <cstddef>
#include <vector>

#include <cairn/error.h>
#include <cairn/params.h>
#include <cairn/types.h>

namespace cairn {

const char* name_of(Metric metric);
const char* name_of(Scalar scalar);
const char* name_of(Traversal traversal);

inline VectorView view_of(Scalar scalar, const void* vector, std::size_t dims) {
  return MatrixView{vector, scalar, 1, dims, vector_bytes(scalar, dims)}.row(0);
}

// Components [begin, begin + n) as f32, which every kind's fit into; b1 gives 0 and 1. REQUIRES:
// begin is a multiple of 8.
void to_floats(Scalar scalar, const void* vector, std::size_t begin, std::size_t n, float* out);

// The whole vector: itself if it is f32, else what `buffer` then holds.
const float* as_floats(Scalar scalar, const void* vector, std::size_t dims,
                       std::vector<float>& buffer);

// Whether all components are finite; for b1, whether the bits behind the last one are 0.
bool well_formed(VectorView vector);

// What is wrong with one that is not: not_finite with the component, invalid_argument for b1.
Error defect_of(VectorView vector);

}  // namespace cairn
