// SPDX-License-Identifier: Apache-2.0
//
// Times of searches, counted by many threads: nothing is allocated or done before it is first
// turned on.
//
// Thread-safety: any number of threads.
#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>

#include <cairn/params.h>

namespace cairn {

class LatencyRecorder {
 public:
  // What was counted before stays. std::bad_alloc
  void turn(bool on);
  // Everything that was counted since it was first turned on; what is added meanwhile in part.
  LatencyHistogram read() const;

  // One measurement, if the recorder is on when it begins.
  class Timer {
   public:
    explicit Timer(LatencyRecorder& recorder)
        : counts_(recorder.active_.load(std::memory_order_acquire)) {
      if (counts_ != nullptr) begin_ = Clock::now();
    }
    // `n` searches have ended, each of which has taken all the time since it began.
    void end(std::uint64_t n = 1) const {
      if (counts_ != nullptr) add(*counts_, Clock::now() - begin_, n);
    }

   private:
    friend class LatencyRecorder;
    using Clock = std::chrono::steady_clock;
    struct Stripe;
    struct Counts;
    static void add(Counts& counts, Clock::duration time, std::uint64_t n);

    Counts* counts_;
    Clock::time_point begin_;
  };

  LatencyRecorder();
  LatencyRecorder(const LatencyRecorder&) = delete;
  LatencyRecorder& operator=(const LatencyRecorder&) = delete;
  ~LatencyRecorder();

 private:
  mutable std::mutex mutex_;
  std::unique_ptr<Timer::Counts> counts_;        // guarded by mutex_; once there it stays
  std::atomic<Timer::Counts*> active_{nullptr};  // null while it is off
};

}  // namespace cairn
