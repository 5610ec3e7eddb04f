// SPDX-License-Identifier: Apache-2.0
//
// The mutex of changes. std::mutex is not fair: who has held it for long and wants it again at once
// gets it again, before one who slept meanwhile has woken up. So calls that hold it for long and
// may be repeated (save, verify) let others pass first.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <mutex>

#include "engine/base/assert.h"
#include "engine/base/thread_number.h"

namespace cairn {

class CommitMutex {
 public:
  CommitMutex() = default;
  CommitMutex(const CommitMutex&) = delete;
  CommitMutex& operator=(const CommitMutex&) = delete;
  ~CommitMutex() = default;

  void lock() {
    CAIRN_ASSERT(!is_held());
    waiting_.fetch_add(1);
    mutex_.lock();
    waiting_.fetch_sub(1);
    take();
    turns_.fetch_add(1);
    turns_.notify_all();
  }
  bool try_lock() {
    const bool taken = mutex_.try_lock();
    if (taken) take();
    return taken;
  }
  void unlock() {
    CAIRN_ASSERT(is_held());
    holder_.store(kNobody, std::memory_order_relaxed);
    mutex_.unlock();
  }

  // Whether this thread holds it: for assertions.
  bool is_held() const { return holder_.load(std::memory_order_relaxed) == thread_number() + 1; }

  // If anybody waits for it, returns when one of them has got it. REQUIRES: the caller does not
  // hold it.
  void let_others_pass() {
    CAIRN_ASSERT(!is_held());
    const std::uint32_t turns = turns_.load();
    if (waiting_.load() > 0) turns_.wait(turns);
  }

  // For tests: who is about to get it, or waits.
  std::uint32_t waiting() const { return waiting_.load(); }

 private:
  static constexpr std::size_t kNobody = 0;
  void take() { holder_.store(thread_number() + 1, std::memory_order_relaxed); }

  std::mutex mutex_;
  std::atomic<std::size_t> holder_{kNobody};  // its thread_number() + 1
  std::atomic<std::uint32_t> waiting_{0};
  std::atomic<std::uint32_t> turns_{0};  // so often it has been got
};

}  // namespace cairn
