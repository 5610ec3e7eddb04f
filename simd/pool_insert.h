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

// Finds the place of an entry and makes room for it in one pass over the sorted distance[0..size)
// and id[0..size), from the end: every lane takes its own entry, the one below it, or the new one.
// Every load is of what one earlier store has written, which a processor forwards without waiting;
// moving by unaligned vectors would wait: measured on Zen 5 at 100 entries, 1.4 times as fast as
// finding the place first and then moving. Up to one vector beyond `size` is read and written,
// which is what the slack is for. Returns the place.
template <class Floats>
std::size_t insert_one(float* distance, std::uint32_t* id, std::size_t size, float d,
                       std::uint32_t new_id) noexcept {
  constexpr std::size_t w = Floats::kWidth;
  using Batch = typename Floats::Batch;
  using IdBatch = typename Floats::IdBatch;
  const Batch new_d = Floats::broadcast(d);
  const IdBatch new_i = Floats::broadcast(new_id);
  std::size_t at = size / w * w;
  std::size_t place = at + w;  // less the lanes above the new entry
  Batch v = Batch::load_unaligned(distance + at);
  IdBatch i = IdBatch::load_unaligned(id + at);
  const auto step = [&](auto above, Batch lower, IdBatch lower_i) {
    const Batch below = Floats::slide(lower, v);
    const auto moves = Floats::above(below, new_d);
    const auto here = Floats::without(above, moves);
    Floats::pick(here, new_d, Floats::pick(moves, below, v)).store_unaligned(distance + at);
    Floats::pick(here, new_i, Floats::pick(moves, Floats::slide(lower_i, i), i))
        .store_unaligned(id + at);
    v = lower;
    i = lower_i;
    const std::size_t count = Floats::count(above);
    place -= count;
    return count;
  };
  // Beyond the end all lanes count as above, whatever is there.
  auto above = Floats::either(Floats::above(v, new_d), Floats::from_lane(size - at));
  for (; at != 0; at -= w) {
    const std::size_t count =
        step(above, Batch::load_unaligned(distance + at - w), IdBatch::load_unaligned(id + at - w));
    if (count != w) return place;
    above = Floats::above(v, new_d);
  }
  step(above, new_d, new_i);
  return place;
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
        if (!(d < pool.distance[last])) continue;  // nearer now than when the bits were taken
      } else {
        pool.size = last + 1;
      }
      const std::size_t at = insert_one<Floats>(pool.distance, pool.id, last, d, id[c]);
      lowest = at < lowest ? at : lowest;
    }
  }
  return lowest;
}

}  // namespace
}  // namespace cairn::simd
