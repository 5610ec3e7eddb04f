// SPDX-License-Identifier: Apache-2.0
//
// Compiled without contraction of floats: all processors are to code a difference alike.
#include "engine/graph/residuals.h"

#include <cmath>
#include <cstring>
#include <limits>

#include "engine/base/assert.h"
#include "engine/vectors/components.h"
#include "simd/kernels.h"

namespace cairn {

namespace {

constexpr float kNone = std::numeric_limits<float>::quiet_NaN();

// What is so many times as far from the node as another one is (as distances are measured) is
// nearly as far from that one. Which of the two is nearer to it decides what members of a tight
// group link to, and is not for codes with steps like its own.
constexpr float kFarther = 256.0f;

// Smaller differences have no code: 127 divided by one is to be a float.
constexpr float kSmallest = 1e-30f;

// What makes the vector of a node a direction, or 1. Not positive if it is none, or if its length
// is beyond what floats can square.
float scale_of(const GraphView& graph, const format::Parameters& parameters, NodeId node) {
  const float a = graph.factor_a(node);
  const float b = graph.factor_b(node);
  if (parameters.metric == Metric::cosine) return b;
  return !std::isnan(a) || b > 0 ? 1.0f : 0.0f;
}

}  // namespace

bool Residuals::suit(const format::Parameters& parameters) {
  return parameters.metric == Metric::l2sq || parameters.metric == Metric::cosine;
}

std::size_t Residuals::stride_of(std::size_t dims) {
  constexpr std::size_t kLine = 64;
  return (factors_at(dims) + sizeof(Factors) + kLine - 1) / kLine * kLine;
}

void Residuals::reserve(std::size_t most, std::size_t dimensions) {
  origin_.reserve(dimensions);
  difference_.reserve(dimensions);
  widened_.reserve(dimensions);
  codes_.reserve(most * stride_of(dimensions));
}

Residuals::Factors Residuals::factors(std::size_t place) const {
  Factors factors;
  std::memcpy(&factors, codes_.data() + place * stride() + factors_at(dims_), sizeof(factors));
  return factors;
}

Residuals::Factors Residuals::encode(float scale, const float* vector, std::byte* code) {
  if (!(scale > 0)) return {kNone, kNone};
  const float* origin = origin_.data();
  float* difference = difference_.data();
  for (std::size_t i = 0; i < dims_; ++i) difference[i] = vector[i] * scale - origin[i];
  const simd::KernelTable& kernels = simd::kernels();
  const float largest = kernels.max_abs(difference_.data(), dims_);
  if (!(largest >= kSmallest) || !std::isfinite(largest)) {
    return {kNone, largest == 0.0f ? 0.0f : kNone};
  }
  auto* bytes = static_cast<std::int8_t*>(static_cast<void*>(code));
  const std::int32_t squares =
      kernels.quantize_i8(difference_.data(), 127.0f / largest, dims_, bytes);
  const float step = largest / 127.0f;
  return {step, static_cast<float>(double{step} * double{step} * squares)};
}

void Residuals::assign(const Space& on_vectors, const format::Parameters& parameters, NodeId node,
                       std::span<const NodeId> others) {
  CAIRN_ASSERT(suit(parameters));
  const GraphView& graph = on_vectors.view();
  space_ = &on_vectors;
  dims_ = parameters.dimensions;
  share_ = parameters.metric == Metric::cosine ? 0.5f : 1.0f;
  difference_.resize(dims_);
  codes_.resize(others.size() * stride());
  const auto floats = [&](NodeId one) {
    return as_floats(parameters.scalar, graph.vector(one), dims_, widened_);
  };
  const float scale = scale_of(graph, parameters, node);
  const float* vector = floats(node);
  origin_.resize(dims_);
  for (std::size_t i = 0; i < dims_; ++i) origin_[i] = vector[i] * scale;
  for (std::size_t i = 0; i < others.size(); ++i) {
    std::byte* code = codes_.data() + i * stride();
    // Differences from a node that has no direction say nothing.
    const float usable = scale > 0 ? scale_of(graph, parameters, others[i]) : 0.0f;
    const Factors made = encode(usable, floats(others[i]), code);
    std::memcpy(code + factors_at(dims_), &made, sizeof(made));
  }
}

// With codes x and y of two differences: |x|^2 + |y|^2 - 2 <x, y>, or half of that.
void Residuals::distances(std::span<const NodeId> nodes, std::span<const std::uint32_t> places,
                          QueryBuffer& buffer, float* out) const {
  const Factors first = factors(places[0]);
  Query query{};
  bool is_prepared = false;
  const auto look_at_vectors = [&](std::size_t begin, std::size_t n) {
    if (!is_prepared) query = space_->prepare(nodes[0], buffer);
    is_prepared = true;
    space_->distances(query, nodes.data() + begin, n, out + begin);
  };
  if (std::isnan(first.step)) return look_at_vectors(0, nodes.size());
  simd::CodeQuery asked{};
  const std::byte* code = codes_.data() + places[0] * stride();
  asked.code = static_cast<const std::int8_t*>(static_cast<const void*>(code));
  asked.dim = dims_;
  asked.factor_offset = factors_at(dims_);
  asked.c0 = share_ * first.squares;
  asked.k = share_ * -2.0f * first.step;
  asked.w = share_;
  simd::kernels().score_codes(asked, {codes_.data(), stride()}, places.data(), places.size(), out);
  const float components = share_ * static_cast<float>(dims_) / 12.0f;
  out[0] = 0;
  for (std::size_t i = 1; i < nodes.size(); ++i) {
    const Factors other = factors(places[i]);
    const float noise = components * (first.step * first.step + other.step * other.step);
    const bool is_told = out[i] >= kSignalToNoise * noise;
    if (!is_told || other.squares >= kFarther * first.squares) look_at_vectors(i, 1);
  }
}

}  // namespace cairn
