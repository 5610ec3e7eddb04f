// SPDX-License-Identifier: Apache-2.0
//
// Insertion into the sorted candidate array (see KernelTable::pool_insert). Included by one source
// per instruction set.
#pragma once

#include <cstddef>
#include <cstdint>

#include "simd/kernels.h"

namespace cairn::simd {
namespace {

// How many of the sorted distance[0..size) are <= d: halving down to a window, then counting in it,
// where a compare of a vector costs less than a step of the halving. Reads up to one vector beyond
// size.
template <class Floats>
std::size_t count_not_above(const float* distance, std::size_t size, float d) noexcept {
  constexpr std::size_t w = Floats::kWidth;
  constexpr std::size_t window = 8 * w;
  const float* base = distance;
  while (size > window) {
    const std::size_t half = size / 2;
    base = base[half - 1] <= d ? base + half : base;
    size -= half;
  }
  auto count = static_cast<std::size_t>(base - distance);
  std::size_t i = 0;
  for (; i + w <= size; i += w) {
    count += static_cast<std::size_t>(__builtin_popcount(Floats::less_equal_bits(base + i, d)));
  }
  if (i < size) {
    const std::uint32_t valid = (std::uint32_t{1} << (size - i)) - 1;
    count +=
        static_cast<std::size_t>(__builtin_popcount(Floats::less_equal_bits(base + i, d) & valid));
  }
  return count;
}

// Moves v[first..last) up by one element, from the end down in whole vectors: up to one vector
// beyond last is read and written back one element higher, which is what the slack is for.
template <class Batch>
void shift_up(typename Batch::value_type* v, std::size_t first, std::size_t last) noexcept {
  constexpr std::size_t w = Batch::size;
  if (first >= last) return;
  auto* p = v + first + (last - first - 1) / w * w;
  for (; p > v + first; p -= w) Batch::load_unaligned(p).store_unaligned(p + 1);
  Batch::load_unaligned(p).store_unaligned(p + 1);
}

// Bit i: distance[i] may go into the pool as it is now. `left` elements are readable.
template <class Floats>
std::uint32_t admitted_bits(const PoolView& pool, const float* distance,
                            std::size_t left) noexcept {
  constexpr std::size_t w = Floats::kWidth;
  using Batch = typename Floats::Batch;
  const bool full = pool.size == pool.capacity;
  std::uint32_t valid = ~std::uint32_t{0};
  Batch d;
  if (left >= w) {
    d = Batch::load_unaligned(distance);
  } else {
    d = Floats::load_first(distance, left);
    valid = (std::uint32_t{1} << left) - 1;
  }
  // Compared with infinity, all pass but NaN.
  return valid & (full ? Floats::less_bits(d, pool.distance[pool.size - 1])
                       : Floats::less_equal_bits(d, __builtin_inff()));
}

template <class Floats>
std::size_t pool_insert(PoolView& pool, const float* distance, const std::uint32_t* id,
                        std::size_t n) noexcept {
  const std::size_t capacity = pool.capacity;
  std::size_t lowest = capacity;
  if (capacity == 0) return lowest;
  for (std::size_t i = 0; i < n; i += Floats::kWidth) {
    std::uint32_t bits = admitted_bits<Floats>(pool, distance + i, n - i);
    for (; bits != 0; bits &= bits - 1) {
      const std::size_t c = i + static_cast<std::size_t>(__builtin_ctz(bits));
      const float d = distance[c];
      std::size_t last = pool.size;
      if (last == capacity) {
        --last;
        if (!(d < pool.distance[last]))
          continue;  // the pool has become nearer since the bits were taken
      } else {
        pool.size = last + 1;
      }
      const std::size_t at = count_not_above<Floats>(pool.distance, last, d);
      shift_up<typename Floats::Batch>(pool.distance, at, last);
      shift_up<typename Floats::IdBatch>(pool.id, at, last);
      pool.distance[at] = d;
      pool.id[at] = id[c];
      lowest = at < lowest ? at : lowest;
    }
  }
  return lowest;
}

}  // namespace
}  // namespace cairn::simd
