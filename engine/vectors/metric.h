// SPDX-License-Identifier: Apache-2.0
//
// What a metric is, one row each: nothing outside this folder asks which one it has. How distances
// follow from sums, and what they are off by, stands in distance.cc, exact_distance.cc and
// codec.cc.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include <cairn/types.h>

#include "engine/base/assert.h"
#include "simd/kernels.h"

namespace cairn {

struct MetricRow {
  using ListKernel = void (*simd::KernelTable::*)(const float*, simd::Rows, const std::uint32_t*,
                                                  std::size_t, std::size_t, float*) noexcept;
  Metric metric;
  const char* name;
  bool is_of_bits;       // its vectors are b1, those of all others are not
  bool is_of_direction;  // lengths do not count: vectors are compared as if they had norm 1
  // How far select_neighbors() may relax a comparison; 1 where distances are none, and comparing
  // their multiples means nothing.
  float largest_alpha;
  float square_share;  // of a squared distance of vectors, what errors of distances are counted in
  double reported_beside;  // is added to what is computed and ranked
  // Sums of lists of rows of floats, by scalar kind; null: none.
  ListKernel f32;
  ListKernel f16;
  ListKernel bf16;

  bool goes_with(Scalar scalar) const { return is_of_bits == (scalar == Scalar::b1); }
};

inline constexpr std::array<MetricRow, 4> kMetrics = {{
    {Metric::cosine, "cosine", false, true, 1.1f, 0.5f, 0.0, &simd::KernelTable::dot_f32_many,
     &simd::KernelTable::dot_f16_many, &simd::KernelTable::dot_bf16_many},
    {Metric::l2sq, "l2sq", false, false, 1.1f, 1.0f, 0.0, &simd::KernelTable::l2_f32_many,
     &simd::KernelTable::l2_f16_many, &simd::KernelTable::l2_bf16_many},
    {Metric::inner_product, "inner_product", false, false, 1.0f, 1.0f, 1.0,
     &simd::KernelTable::dot_f32_many, &simd::KernelTable::dot_f16_many,
     &simd::KernelTable::dot_bf16_many},
    {Metric::hamming, "hamming", true, false, 1.1f, 1.0f, 0.0, nullptr, nullptr, nullptr},
}};

constexpr bool exists(Metric metric) {
  return metric >= kMetrics.front().metric && metric <= kMetrics.back().metric;
}

// REQUIRES: it exists.
constexpr const MetricRow& row_of(Metric metric) {
  CAIRN_ASSERT(exists(metric));
  return kMetrics[static_cast<std::size_t>(metric) -
                  static_cast<std::size_t>(kMetrics.front().metric)];
}

// Rows stand in the order of the enumerators.
static_assert([] {
  for (std::size_t i = 0; i < kMetrics.size(); ++i) {
    if (row_of(kMetrics[i].metric).name != kMetrics[i].name) return false;
  }
  return true;
}());

}  // namespace cairn
