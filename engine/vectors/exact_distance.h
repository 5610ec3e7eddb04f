// SPDX-License-Identifier: Apache-2.0
//
// Distances of two vectors as given, in double: what results are ranked by. Products of floats are
// exact in double and their sums lose nothing that floats could show; where a formula would cancel
// (nearly parallel vectors under cosine), another is used.
#pragma once

#include <cstddef>

#include <cairn/types.h>

#include "engine/vectors/metric.h"

namespace cairn {

// A vector in memory; the Scalar says what its components are.
struct Components {
  Scalar scalar;
  const void* data;
};

// l2sq: the squared distance; inner_product: minus the inner product, since 1 - <a, b> would lose
// small ones; cosine: 1 - cos, between 0 and 2, 0 exactly for parallel vectors, 1 if one is zero.
// `a_squares` is the squared length of a, for cosine; negative if it is not known. Vectors of i8 go
// with i8. Infinite, never NaN, for what a damaged file may hold. What 1 - cos loses where it is
// below `cancels` is avoided by a second pass. REQUIRES: metric is not hamming
inline constexpr double kToRank = 1.0 / 1024;
inline constexpr double kToWalk = 1e-9;
double exact_distance(Metric metric, Components a, double a_squares, Components b, std::size_t dims,
                      double cancels = kToRank);

// The sum of the squared components.
double squared_length(Components vector, std::size_t dims);

// The distance that results report, rounded once.
inline float reported(Metric metric, double exact) {
  return static_cast<float>(row_of(metric).reported_beside + exact);
}
// The same of a sum of `n` of them.
inline float reported_sum(Metric metric, double sum, std::size_t n) {
  return static_cast<float>(row_of(metric).reported_beside * static_cast<double>(n) + sum);
}

}  // namespace cairn
