// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>

namespace cairn::simd {
namespace {

inline constexpr std::size_t kLineBytes = 64;

// Where a line is wanted: what is used at once in the first cache, what is used later in the
// second, which can wait for more lines at a time.
inline constexpr int kSoon = 3;
inline constexpr int kLater = 2;

// Asks for every cache line of [begin, begin + size). Never faults. size > 0.
template <int kWhen = kSoon>
inline void prefetch_lines(const std::byte* begin, std::size_t size) noexcept {
  const auto first = reinterpret_cast<std::uintptr_t>(begin) & ~std::uintptr_t{kLineBytes - 1};
  const std::byte* line = begin - (reinterpret_cast<std::uintptr_t>(begin) - first);
  for (const std::byte* end = begin + size; line < end; line += kLineBytes) {
    __builtin_prefetch(line, 0, kWhen);
    asm volatile("" ::: "memory");  // GCC 12 takes a loop of prefetches for dead and deletes it
  }
}

}  // namespace
}  // namespace cairn::simd
