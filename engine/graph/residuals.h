// SPDX-License-Identifier: Apache-2.0
//
// Distances between near copies without their vectors. Codes of 8 bits do not tell near copies
// apart, but what they differ from one of them by is as large as it is small: coded with steps of
// its own, it tells all of them from each other by sums of integers. So the neighbors of a node are
// compared on codes of their differences from it. Squared distances, and cosines, of which 1 - cos
// is half the squared distance of two directions. Where these codes do not tell a pair apart either
// (engine/vectors/distance.h, kSignalToNoise), it is compared on its vectors.
//
// Source: residual vectors, as inverted files code them (Jegou et al. 2011), with steps of their
// own instead of a codebook. Thread-safety: none.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "engine/vectors/distance.h"

namespace cairn {

class Residuals {
 public:
  // Whether the differences of such vectors say how far they are from each other.
  static bool suit(const format::Parameters& parameters);

  // Codes of the differences of `others` from `node`; the i-th has the place i. `on_vectors` and
  // its view outlive the use. REQUIRES: suit(parameters), which are those of the space.
  void assign(const Space& on_vectors, const format::Parameters& parameters, NodeId node,
              std::span<const NodeId> others);

  // How far the one with a place is from the node, as it is coded; NaN if it has no code.
  float distance(std::size_t place) const { return share_ * factors(place).squares; }

  // Distances from the first of some of them: out[i] is that of nodes[i], which has the place
  // places[i].
  void distances(std::span<const NodeId> nodes, std::span<const std::uint32_t> places,
                 QueryBuffer& buffer, float* out) const;

  // Room for `most` others, so that nothing is allocated.
  void reserve(std::size_t most, std::size_t dimensions);

 private:
  struct Factors {
    float step;     // NaN: no code
    float squares;  // of the difference, as coded; 0 of none, NaN of what cannot be coded
  };
  std::size_t stride() const { return stride_of(dims_); }
  static std::size_t stride_of(std::size_t dims);
  static std::size_t factors_at(std::size_t dims) { return (dims + 3) / 4 * 4; }
  Factors factors(std::size_t place) const;
  Factors encode(float scale, const float* vector, std::byte* code);

  const Space* space_ = nullptr;
  std::size_t dims_ = 0;
  float share_ = 1;            // of a squared distance that a distance is
  std::vector<float> origin_;  // the node's vector, or its direction
  std::vector<float> difference_;
  std::vector<float> widened_;    // a vector of 16-bit components
  std::vector<std::byte> codes_;  // stride() bytes a place
};

}  // namespace cairn
