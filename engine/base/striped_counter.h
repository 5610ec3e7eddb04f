// SPDX-License-Identifier: Apache-2.0
//
// A count that many threads raise often and somebody reads seldom: threads do not wait for each
// other's cache lines.
//
// Thread-safety: any number of threads. A sum that is taken meanwhile has some of what is added.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

#include "engine/base/thread_number.h"

namespace cairn {

class StripedCounter {
 public:
  void add(std::uint64_t n) {
    stripes_[thread_number() % kStripes].count.fetch_add(n, std::memory_order_relaxed);
  }

  std::uint64_t sum() const {
    std::uint64_t sum = 0;
    for (const Stripe& stripe : stripes_) sum += stripe.count.load(std::memory_order_relaxed);
    return sum;
  }

 private:
  static constexpr std::size_t kStripes = 16;
  struct alignas(64) Stripe {
    std::atomic<std::uint64_t> count{0};
  };

  std::array<Stripe, kStripes> stripes_{};
};

}  // namespace cairn
