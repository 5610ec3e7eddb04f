// SPDX-License-Identifier: Apache-2.0
//
// What distances may be off by, on codes and in floats, and what that lets be told of an order.
#include <algorithm>
#include <cmath>
#include <limits>

#include "engine/base/assert.h"
#include "engine/vectors/distance.h"

namespace cairn {

namespace {

constexpr float kUnbounded = std::numeric_limits<float>::infinity();

}  // namespace

// What <q, v> is off by, mean square: steps of either vector, evenly along the other one.
float Space::product_variance(const Query& query, NodeId node) const {
  const auto squares = [&](const std::int8_t* code) {
    return static_cast<float>(kernels_->dot_i8(code, code, dims_));
  };
  const float step = query.step * view_.factor_a(node);
  return step * step * (squares(query.code.code) + squares(view_.code(node))) / 12.0f;
}

bool Space::resolves(const Query& query, NodeId coarsest, float range) const {
  constexpr float kDeviations = 16.0f;
  return range >= kDeviations * std::sqrt(product_variance(query, coarsest));
}

bool Space::orders(const Query& query, NodeId near, float near_distance, NodeId far,
                   float far_distance) const {
  constexpr float kDeviations = 4.0f;
  const float gap = far_distance - near_distance;
  if (query.kind != Query::Kind::code) return true;
  if (!(gap > 0)) return same_vector(near, far);
  const auto variance_of = [&](NodeId node, float distance) {
    if (metric_ != Metric::inner_product) return variance(query, node, distance);
    return std::isnan(view_.factor_a(node)) ? 0.0f : product_variance(query, node);
  };
  const float sum = variance_of(near, near_distance) + variance_of(far, far_distance);
  return gap * gap > kDeviations * kDeviations * sum;
}

bool Space::are_alike(NodeId a, NodeId b) const {
  const double a_step = view_.factor_a(a);
  const double b_step = view_.factor_a(b);
  const auto dot = [&](NodeId x, NodeId y) {
    return static_cast<double>(kernels_->dot_i8(view_.code(x), view_.code(y), dims_));
  };
  const double squares = a_step * a_step * dot(a, a) + b_step * b_step * dot(b, b);
  const double distance = squares - 2 * a_step * b_step * dot(a, b);
  const double noise = static_cast<double>(dims_) * (a_step * a_step + b_step * b_step) / 12;
  return distance < double{kSignalToNoise} * noise;
}

bool Space::is_told_by_floats(double exact) const {
  constexpr double kLeast = 1e-36;
  if (metric_ != Metric::l2sq && metric_ != Metric::inner_product) return true;
  const double size = std::fabs(exact);
  return size == 0 || (size >= kLeast && size <= double{std::numeric_limits<float>::max()});
}

bool Space::are_near_copies(NodeId a, NodeId b) const {
  tell_of_vectors(a, b);
  const Components one{scalar_, view_.vector(a)};
  const Components other{scalar_, view_.vector(b)};
  const double squares = squared_length(one, dims_);
  return double{kOtherGroup} * cairn::exact_distance(Metric::l2sq, one, -1, other, dims_) < squares;
}

bool Space::are_of_one_group(NodeId near, NodeId far, float near_distance,
                             float far_distance) const {
  constexpr float kSpan = 0.13f;  // what that allows, by the triangle inequality
  if (metric_ == Metric::inner_product) return are_near_copies(near, far);
  if (!(near_distance > 0) || far_distance - near_distance > kSpan * near_distance) return false;
  tell_of_vectors(near, far);
  if (metric_ == Metric::hamming) return same_vector(near, far);
  const Components a{scalar_, view_.vector(near)};
  const Components b{scalar_, view_.vector(far)};
  return double{kOtherGroup} * cairn::exact_distance(metric_, a, -1, b, dims_, kToWalk) <
         double{near_distance};
}

// What float kernels are off by at most (simd/kernels.h) is taken for three deviations.
float Space::float_variance(const Query& query, float distance) const {
  constexpr float kUnit = 0x1p-24f;
  const bool in_floats = query.kind == Query::Kind::vector || query.kind == Query::Kind::code;
  float deviation = std::fabs(distance) * kUnit;
  if (in_floats && metric_ == Metric::inner_product)
    return kUnbounded;  // cancels, who knows how far
  if (in_floats && metric_ == Metric::l2sq) {
    deviation *= static_cast<float>(dims_ + 8) / 3.0f;
  } else if (metric_ == Metric::cosine && distance >= kNearlyParallel) {
    deviation = kUnit * (in_floats ? static_cast<float>(dims_ + 8) / 3.0f : 2.0f);
  } else if (metric_ == Metric::cosine && distance >= parallel_to_floats(dims_)) {
    deviation = 2.0f * kUnit * std::sqrt(distance);  // the rounding of directions, along q - v
  } else if (metric_ == Metric::cosine) {
    deviation = std::max(deviation, static_cast<float>(dims_) * 0x1p-53f);  // sums in double
  }
  return deviation * deviation;
}

// Of any distance up to this one. Cosines are off by the most where they are not nearly parallel.
float Space::largest_float_variance(const Query& query, float distance) const {
  if (metric_ == Metric::cosine) distance = std::max(distance, 2.0f * kNearlyParallel);
  return float_variance(query, distance);
}

float Space::sharp_variance(const Query& query, NodeId node, float distance) const {
  const float step = view_.factor_a(node);
  if (metric_ != Metric::inner_product || query.kind != Query::Kind::code || std::isnan(step)) {
    return variance(query, node, distance);
  }
  return product_variance(query, node);
}

float Space::largest_variance(const Query& query, float step, float distance) const {
  CAIRN_ASSERT(metric_ != Metric::inner_product);
  const float component = spread(query.step, step);
  const float noise = code_noise(component);
  const float most = metric_ == Metric::l2sq ? 4.0f * distance
                     : distance < 1.0f       ? distance * (2.0f - distance)
                                             : 1.0f;
  return std::max(most * component + noise * noise, largest_float_variance(query, distance));
}

// A code distance is at least kSignalToNoise times its noise (codes_tell_apart()), so the variance
// of its error is at most a known part of its square. Other distances are off by what floats are,
// the cosine of which are off by the most where they are not nearly parallel.
float Space::reach(const Query& query, float distance, float deviations) const {
  constexpr float kSlack = 1.01f;  // for the roundings of these formulas
  const bool on_codes = query.kind == Query::Kind::code;
  if (on_codes && metric_ == Metric::inner_product) return kUnbounded;
  float farthest = distance;
  if (on_codes) {
    const float part = 4.0f / (kSignalToNoise * static_cast<float>(dims_)) +
                       1.0f / (kSignalToNoise * kSignalToNoise);
    const float most = kSlack * deviations * std::sqrt(part);
    if (most >= 1.0f) return kUnbounded;
    farthest = kSlack * distance / (1.0f - most);
  }
  const float deviation = std::sqrt(largest_float_variance(query, kSlack * std::fabs(distance)));
  return std::max(farthest, distance + kSlack * deviations * deviation);
}

// What scaling a vector moves its direction by, if all components are rounded; differences of
// components cancel nothing, and small distances on codes are replaced by those.
float Space::rounding() const {
  constexpr float kScaled = 0x1p-47f;
  switch (metric_) {
    case Metric::cosine: return kScaled;
    case Metric::l2sq: return 0.0f;
    case Metric::hamming: return 0.0f;
    default: return -std::numeric_limits<float>::infinity();
  }
}

}  // namespace cairn
