// SPDX-License-Identifier: Apache-2.0
//
// Greedy choice of neighbors over a whole row of distances, without sorting it (see
// KernelTable::next_diverse): the paper's Algorithm 4 takes the nearest that is left, and strikes
// out what lies nearer to it than to the node.
#pragma once

#include <cstddef>
#include <cstdint>

#include "simd/kernels.h"

namespace cairn::simd {
namespace {

template <class Floats>
std::size_t next_diverse(float* distance, const float* from_kept, float alpha,
                         std::size_t n) noexcept {
  using Batch = typename Floats::Batch;
  constexpr std::size_t w = Floats::kWidth;
  const Batch none = Floats::broadcast(__builtin_inff());
  const Batch scale = Floats::broadcast(alpha);
  Batch least = none;
  for (std::size_t i = 0; i < n; i += w) {
    const Batch d = Batch::load_unaligned(distance + i);
    // NaN, of zero times infinity, counts as above.
    const auto stays = Floats::above(scale * Batch::load_unaligned(from_kept + i), d);
    const Batch left = Floats::pick(stays, d, none);
    left.store_unaligned(distance + i);
    least = Floats::lesser(left, least);
  }
  float lanes[w];
  least.store_unaligned(lanes);
  float bound = lanes[0];
  for (std::size_t i = 1; i < w; ++i) bound = lanes[i] < bound ? lanes[i] : bound;
  if (!(bound < __builtin_inff())) return n;
  for (std::size_t i = 0; i < n; i += w) {
    const std::uint32_t bits = Floats::less_equal_bits(Batch::load_unaligned(distance + i), bound);
    if (bits != 0) return i + static_cast<std::size_t>(__builtin_ctz(bits));
  }
  return n;
}

}  // namespace
}  // namespace cairn::simd
