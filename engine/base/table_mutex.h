// SPDX-License-Identifier: Apache-2.0
//
// What stands between look-ups in the key table and changes of it. A change never waits for
// look-ups: it says that it is under way, and a look-up that it fell into is made again. Only when
// the table gives way to another one, or its memory is given back, are the look-ups waited for;
// those that come meanwhile wait in turn, so that they cannot keep it waiting.
//
// Thread-safety: any number of readers; one writer at a time, which holds the index's commit mutex.
// None of the two may hold it already. As a lock it works with std::lock_guard and
// std::shared_lock.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

#include "engine/base/thread_number.h"

namespace cairn {

class TableMutex {
 public:
  TableMutex() = default;
  TableMutex(const TableMutex&) = delete;
  TableMutex& operator=(const TableMutex&) = delete;
  ~TableMutex() = default;

  // While it lives the table may be changed, by stores that readers may see.
  class Change {
   public:
    explicit Change(TableMutex& mutex) : mutex_(mutex) { mutex_.begin(); }
    Change(const Change&) = delete;
    Change& operator=(const Change&) = delete;
    ~Change() { mutex_.end(); }

   private:
    TableMutex& mutex_;
  };

  // A reader, as long as it lives.
  class Reader {
   public:
    explicit Reader(TableMutex& mutex) : mutex_(mutex), turn_(mutex.enter()) {}
    Reader(const Reader&) = delete;
    Reader& operator=(const Reader&) = delete;
    ~Reader() { mutex_.leave(); }
    std::uint32_t turn() const { return turn_; }

   private:
    TableMutex& mutex_;
    const std::uint32_t turn_;
  };

  // What look() returns when no change falls into it. It may see any mixture of before and after
  // until then. What it throws is thrown.
  template <class Look>
  auto read(Look&& look) {
    for (;;) {
      const Reader reader(*this);
      auto seen = look();
      // What was seen is not read again behind the turn.
      std::atomic_thread_fence(std::memory_order_acquire);
      if (turn_.load(std::memory_order_relaxed) == reader.turn()) return seen;
    }
  }

  // Nobody reads.
  void lock() {
    begin();
    for (Stripe& stripe : stripes_) {
      for (;;) {
        const std::uint32_t readers = stripe.readers.load(std::memory_order_seq_cst);
        if (readers == 0) break;
        stripe.readers.wait(readers, std::memory_order_seq_cst);
      }
    }
  }
  void unlock() { end(); }

  // Nobody else locks it; the table may change.
  void lock_shared() { (void)enter(); }
  void unlock_shared() { leave(); }

 private:
  // The turn is a writer's if it is odd.
  static bool is_writers(std::uint32_t turn) { return turn % 2 != 0; }

  void begin() {
    turn_.fetch_add(1, std::memory_order_seq_cst);
    // Whoever sees a later store sees the turn: pairs with the fence in read().
    std::atomic_thread_fence(std::memory_order_release);
  }
  void end() {
    turn_.fetch_add(1, std::memory_order_seq_cst);
    turn_.notify_all();
  }

  std::uint32_t enter() {
    for (;;) {
      // Counted before the turn is read: lock() sees the count, or this sees the writer.
      mine().fetch_add(1, std::memory_order_seq_cst);
      const std::uint32_t turn = turn_.load(std::memory_order_seq_cst);
      if (!is_writers(turn)) return turn;
      leave();
      turn_.wait(turn, std::memory_order_seq_cst);
    }
  }
  void leave() {
    std::atomic<std::uint32_t>& readers = mine();
    readers.fetch_sub(1, std::memory_order_seq_cst);
    // Likewise: lock() sees the count, or is woken up.
    if (is_writers(turn_.load(std::memory_order_seq_cst))) readers.notify_all();
  }

  // Readers are counted apart, so that they do not wait for each other's cache lines.
  struct alignas(64) Stripe {
    std::atomic<std::uint32_t> readers{0};
  };
  std::atomic<std::uint32_t>& mine() { return stripes_[thread_number() % kStripes].readers; }

  static constexpr std::size_t kStripes = 16;

  std::array<Stripe, kStripes> stripes_{};
  alignas(64) std::atomic<std::uint32_t> turn_{0};
};

}  // namespace cairn
