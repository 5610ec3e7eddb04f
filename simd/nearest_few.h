// SPDX-License-Identifier: Apache-2.0
//
// The few nearest of many distances without a sorted list (see KernelTable::nearest_few). Each of
// kMostFew lanes keeps the least of what comes by it. As many elements as there are lanes are not
// greater than the greatest of these, so the k-th of the lanes is a bound for the k nearest, and a
// close one: of a random order some 13 elements are within it for k = 9.
#pragma once

#include <cstddef>
#include <cstdint>

#include "simd/kernels.h"

namespace cairn::simd {
namespace {

// The k-th of the lanes, 1 <= k <= kMostFew.
template <class Floats>
float bound_of(const float* lanes, std::size_t k) noexcept {
  constexpr std::size_t w = Floats::kWidth;
  float bound = __builtin_inff();
  for (std::size_t i = 0; i < kMostFew; ++i) {
    std::size_t within = 0;
    for (std::size_t j = 0; j < kMostFew; j += w) {
      within += static_cast<std::size_t>(__builtin_popcount(
          Floats::less_equal_bits(Floats::Batch::load_unaligned(lanes + j), lanes[i])));
    }
    if (within >= k && lanes[i] < bound) bound = lanes[i];
  }
  return bound;
}

template <class Floats>
std::size_t nearest_few(const float* distance, std::size_t n, std::size_t k,
                        std::uint32_t* places) noexcept {
  using Batch = typename Floats::Batch;
  constexpr std::size_t w = Floats::kWidth;
  float lanes[kMostFew];
  for (std::size_t j = 0; j < kMostFew; j += w) {
    Batch least = Floats::broadcast(__builtin_inff());
    for (std::size_t i = j; i + w <= n; i += kMostFew) {
      least = Floats::lesser(Batch::load_unaligned(distance + i), least);
    }
    least.store_unaligned(lanes + j);
  }
  const float bound = bound_of<Floats>(lanes, k);
  const Batch bounds = Floats::broadcast(bound);
  std::size_t count = 0;
  std::size_t i = 0;
  for (; i + w <= n; i += w) {
    constexpr std::uint32_t kAll = ~std::uint32_t{0} >> (32 - w);
    std::uint32_t bits = kAll & ~Floats::greater_bits(Batch::load_unaligned(distance + i), bounds);
    for (; bits != 0; bits &= bits - 1) {
      places[count++] =
          static_cast<std::uint32_t>(i) + static_cast<std::uint32_t>(__builtin_ctz(bits));
    }
  }
  for (; i < n; ++i) {
    if (distance[i] <= bound) places[count++] = static_cast<std::uint32_t>(i);
  }
  return count;
}

}  // namespace
}  // namespace cairn::simd
