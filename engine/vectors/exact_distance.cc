// SPDX-License-Identifier: Apache-2.0
#include "engine/vectors/exact_distance.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>

#include "engine/base/assert.h"
#include "engine/vectors/components.h"
#include "simd/kernels.h"

namespace cairn {

namespace {

// 1 - cos from the sine of an angle below 90 degrees.
double from_sine(double sine_squared, double cosine) {
  return std::clamp(sine_squared / (1.0 + cosine), 0.0, 2.0);
}

// Calls visit(floats of a, floats of b, how many) for piece after piece; for f32 there is one.
template <class Visit>
void for_floats(Components a, Components b, std::size_t dims, Visit&& visit) {
  if (a.scalar == Scalar::f32 && b.scalar == Scalar::f32) {
    visit(static_cast<const float*>(a.data), static_cast<const float*>(b.data), dims);
    return;
  }
  constexpr std::size_t kPiece = 128;
  float x[kPiece];
  float y[kPiece];
  for (std::size_t begin = 0; begin < dims; begin += kPiece) {
    const std::size_t count = std::min(kPiece, dims - begin);
    to_floats(a.scalar, a.data, begin, count, x);
    to_floats(b.scalar, b.data, begin, count, y);
    visit(x, y, count);
  }
}

double dot(Components a, Components b, std::size_t dims) {
  double sum = 0;
  for_floats(a, b, dims, [&](const float* x, const float* y, std::size_t n) {
    sum += simd::kernels().dot_f64(x, y, n);
  });
  return sum;
}

double squared_difference(Components a, Components b, std::size_t dims) {
  double sum = 0;
  for_floats(a, b, dims, [&](const float* x, const float* y, std::size_t n) {
    sum += simd::kernels().l2_f64(x, y, n);
  });
  return sum;
}

// The square of the sine between a and b. With p the largest component of a, w = a_p b - b_p a lies
// in their plane and is 0 if they are parallel. Its components are differences of exact products,
// each rounded once; what it has across a is a_p times what b has, and is not much shorter than w.
double sine_squared(Components a, double a_squares, Components b, double b_squares,
                    std::size_t dims) {
  double a_p = 0;
  double b_p = 0;
  for_floats(a, b, dims, [&](const float* x, const float* y, std::size_t n) {
    for (std::size_t i = 0; i < n; ++i) {
      if (std::fabs(double{x[i]}) <= std::fabs(a_p)) continue;
      a_p = x[i];
      b_p = y[i];
    }
  });
  double squares[4] = {};  // chains of additions that do not wait for each other
  double along[4] = {};
  const auto add = [&](float x, float y, std::size_t chain) {
    const double left = a_p * double{y};
    const double right = b_p * double{x};
    const double w = left - right;
    squares[chain] += w * w;
    along[chain] += w * double{x};
  };
  for_floats(a, b, dims, [&](const float* x, const float* y, std::size_t n) {
    std::size_t i = 0;
    for (; i + 4 <= n; i += 4) {
      for (std::size_t j = 0; j < 4; ++j) add(x[i + j], y[i + j], j);
    }
    for (; i < n; ++i) add(x[i], y[i], 0);
  });
  const double w_squares = (squares[0] + squares[1]) + (squares[2] + squares[3]);
  const double w_along = (along[0] + along[1]) + (along[2] + along[3]);
  const double across = std::max(0.0, w_squares - w_along * w_along / a_squares);
  return across / (a_p * a_p * b_squares);
}

double cosine_distance(Components a, double a_squares, Components b, std::size_t dims,
                       double cancels) {
  if (a_squares < 0) a_squares = squared_length(a, dims);
  double product = 0;
  double b_squares = 0;
  for_floats(a, b, dims, [&](const float* x, const float* y, std::size_t n) {
    double sums[2];
    simd::kernels().dot_square_f64(x, y, n, sums);
    product += sums[0];
    b_squares += sums[1];
  });
  if (a_squares == 0 || b_squares == 0) return 1.0;
  const double cosine = product / std::sqrt(a_squares * b_squares);
  if (1.0 - cosine >= cancels) return std::clamp(1.0 - cosine, 0.0, 2.0);
  return from_sine(sine_squared(a, a_squares, b, b_squares, dims), cosine);
}

// Sums of products of bytes are exact, and so is the square of the sine by Lagrange's identity:
// |a|^2 |b|^2 <= 2^61 for 65,535 components.
double byte_distance(Metric metric, const std::int8_t* a, const std::int8_t* b, std::size_t dims) {
  const simd::KernelTable& kernels = simd::kernels();
  if (metric == Metric::l2sq) return kernels.l2_i8(a, b, dims);
  const std::int64_t product = kernels.dot_i8(a, b, dims);
  if (metric == Metric::inner_product) return static_cast<double>(-product);
  const std::int64_t squares =
      std::int64_t{kernels.dot_i8(a, a, dims)} * std::int64_t{kernels.dot_i8(b, b, dims)};
  if (squares == 0) return 1.0;
  const double cosine = static_cast<double>(product) / std::sqrt(static_cast<double>(squares));
  if (1.0 - cosine >= kToRank) return std::clamp(1.0 - cosine, 0.0, 2.0);
  return from_sine(static_cast<double>(squares - product * product) / static_cast<double>(squares),
                   cosine);
}

double of_numbers(Metric metric, Components a, double a_squares, Components b, std::size_t dims,
                  double cancels) {
  if (a.scalar == Scalar::i8 && b.scalar == Scalar::i8) {
    return byte_distance(metric, static_cast<const std::int8_t*>(a.data),
                         static_cast<const std::int8_t*>(b.data), dims);
  }
  switch (metric) {
    case Metric::cosine: return cosine_distance(a, a_squares, b, dims, cancels);
    case Metric::l2sq: return squared_difference(a, b, dims);
    default: return -dot(a, b, dims);
  }
}

}  // namespace

double squared_length(Components vector, std::size_t dims) { return dot(vector, vector, dims); }

double exact_distance(Metric metric, Components a, double a_squares, Components b, std::size_t dims,
                      double cancels) {
  CAIRN_ASSERT(metric != Metric::hamming);
  const double distance = of_numbers(metric, a, a_squares, b, dims, cancels);
  // Of components that are no numbers, in a damaged file.
  return std::isnan(distance) ? std::numeric_limits<double>::infinity() : distance;
}

}  // namespace cairn
