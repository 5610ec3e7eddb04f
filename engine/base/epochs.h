// SPDX-License-Identifier: Apache-2.0
//
// Which searches still run, so that a slot is given to another vector only when none of them can
// hold its number. A reader enters the present epoch and leaves it; the epoch advances once nobody
// is left in the one before. What was unlinked in epoch e is out of reach of every reader when the
// epoch is e + 2: those that began in e or earlier have ended, and later ones began after the
// unlinking.
//
// Thread-safety: entering and leaving are lock-free, from any thread; a reader tries again only if
// the epoch advances at that very moment. advance() is for one thread at a time.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

#include "engine/base/thread_number.h"

namespace cairn {

class Epochs {
 public:
  class Guard {
   public:
    explicit Guard(Epochs& epochs) : readers_(epochs.enter()) {}
    Guard(const Guard&) = delete;
    Guard& operator=(const Guard&) = delete;
    ~Guard() { readers_->fetch_sub(1, std::memory_order_release); }

   private:
    std::atomic<std::uint32_t>* readers_;
  };

  std::uint64_t now() const { return epoch_.load(std::memory_order_seq_cst); }

  // Whether what was unlinked in epoch `then` is out of every reader's reach.
  bool passed(std::uint64_t then) const { return now() >= then + 2; }

  // Those that were inside when the process was forked, in the child. REQUIRES: nobody is inside.
  void forget_readers() noexcept {
    for (Stripe& stripe : stripes_) {
      for (auto& readers : stripe.readers) readers.store(0, std::memory_order_relaxed);
    }
  }

  // The next epoch, if nobody is left in the last one.
  bool advance() {
    const std::uint64_t epoch = now();
    for (const Stripe& stripe : stripes_) {
      if (stripe.readers[(epoch + 1) % 2].load(std::memory_order_seq_cst) != 0) return false;
    }
    epoch_.store(epoch + 1, std::memory_order_seq_cst);
    return true;
  }

 private:
  // Counters apart, so that threads do not wait for each other's cache lines.
  struct alignas(64) Stripe {
    std::array<std::atomic<std::uint32_t>, 2> readers{};
  };

  std::atomic<std::uint32_t>* enter() {
    Stripe& stripe = stripes_[thread_number() % kStripes];
    for (;;) {
      const std::uint64_t epoch = epoch_.load(std::memory_order_seq_cst);
      std::atomic<std::uint32_t>& readers = stripe.readers[epoch % 2];
      readers.fetch_add(1, std::memory_order_seq_cst);
      // Counted before the epoch is read again: advance() sees the count, or this sees the new
      // epoch.
      if (epoch_.load(std::memory_order_seq_cst) == epoch) return &readers;
      readers.fetch_sub(1, std::memory_order_release);
    }
  }

  static constexpr std::size_t kStripes = 16;

  std::array<Stripe, kStripes> stripes_{};
  std::atomic<std::uint64_t> epoch_{2};
};

}  // namespace cairn
