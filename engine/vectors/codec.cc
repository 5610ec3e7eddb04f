// SPDX-License-Identifier: Apache-2.0
#include "engine/vectors/codec.h"

#include <cmath>
#include <cstdint>
#include <limits>

#include "engine/vectors/components.h"
#include "engine/vectors/metric.h"
#include "simd/kernels.h"

namespace cairn {

namespace {

constexpr double kSmallestNorm = 1e-15;
constexpr double kLargestNorm = 1e15;
constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();

bool in_range(double norm) { return norm >= kSmallestNorm && norm <= kLargestNorm; }

float inverse(double value) { return static_cast<float>(1.0 / value); }

// True if more than half of the non-zero components have become zero. (Zeros stay what they are.)
bool lost(const float* vector, const std::int8_t* code, std::size_t dims) {
  std::uint32_t nonzero = 0;
  for (std::size_t i = 0; i < dims; ++i) nonzero += vector[i] != 0.0f;
  std::uint32_t left = 0;
  for (std::size_t i = 0; i < dims; ++i) left += code[i] != 0;
  return 2 * left < nonzero;
}

}  // namespace

double norm(const float* vector, std::size_t dims) {
  double sum[4] = {};
  std::size_t i = 0;
  for (; i + 4 <= dims; i += 4) {
    for (std::size_t j = 0; j < 4; ++j) sum[j] += double{vector[i + j]} * double{vector[i + j]};
  }
  for (; i < dims; ++i) sum[0] += double{vector[i]} * double{vector[i]};
  return std::sqrt((sum[0] + sum[1]) + (sum[2] + sum[3]));
}

Code encode(Metric metric, const float* vector, double length, std::size_t dims,
            std::int8_t* code) {
  const auto& kernels = simd::kernels();
  if (length == 0) {
    for (std::size_t i = 0; i < dims; ++i) code[i] = 0;
    return {0.0f, 0.0f, true};
  }
  if (!in_range(length)) {
    for (std::size_t i = 0; i < dims; ++i) code[i] = 0;
    return {kNaN, 0.0f, false};
  }
  const float largest = kernels.max_abs(vector, dims);
  const std::int32_t squares = kernels.quantize_i8(vector, 127.0f / largest, dims, code);
  const bool usable = !lost(vector, code, dims);
  const float step = largest / 127.0f;
  const float unusable_or = usable ? 1.0f : kNaN;
  switch (metric) {
    case Metric::cosine:
      return {unusable_or * inverse(std::sqrt(double(squares))), inverse(length), usable};
    case Metric::l2sq:
      return {unusable_or * step, static_cast<float>(double{step} * double{step} * squares),
              usable};
    default: return {unusable_or * step, 0.0f, usable};
  }
}

Code exact_factors(Metric metric, double length) {
  if (length == 0) return {row_of(metric).is_of_direction ? 0.0f : 1.0f, 0.0f, true};
  if (!in_range(length)) return {kNaN, 0.0f, false};
  return {row_of(metric).is_of_direction ? inverse(length) : 1.0f, 0.0f, true};
}

Code factors_of(const format::Parameters& parameters, const void* vector,
                std::vector<float>& floats, std::int8_t* code) {
  if (parameters.scalar == Scalar::b1) return {1.0f, 0.0f, true};
  const std::size_t dims = parameters.dimensions;
  const float* values = as_floats(parameters.scalar, vector, dims, floats);
  const double length = norm(values, dims);
  if (parameters.traversal == Traversal::exact) return exact_factors(parameters.metric, length);
  return encode(parameters.metric, values, length, dims, code);
}

}  // namespace cairn
