// SPDX-License-Identifier: Apache-2.0
//
// A small number for each thread, by which threads are spread over stripes of one structure.
#pragma once

#include <atomic>
#include <cstddef>

namespace cairn {

inline std::size_t thread_number() {
  static std::atomic<std::size_t> next{0};
  thread_local const std::size_t mine = next.fetch_add(1, std::memory_order_relaxed);
  return mine;
}

}  // namespace cairn
