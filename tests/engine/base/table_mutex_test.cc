// SPDX-License-Identifier: Apache-2.0
#include "engine/base/table_mutex.h"

#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <cstdint>
#include <mutex>
#include <shared_mutex>
#include <thread>
#include <vector>

namespace cairn {
namespace {

// A look-up that is on its way until it is let go.
struct SlowLookUp {
  std::atomic<int> looks{0};
  std::atomic<bool> may_end{false};

  int operator()() {
    const int look = ++looks;
    while (!may_end) std::this_thread::yield();
    return look;
  }
  void await_begin() const {
    while (looks == 0) std::this_thread::yield();
  }
};

TEST(TableMutex, AChangeDoesNotWaitForALookUpWhichIsMadeAgain) {
  TableMutex mutex;
  SlowLookUp look_up;
  int seen = 0;
  std::thread reader([&] { seen = mutex.read([&] { return look_up(); }); });
  look_up.await_begin();
  { const TableMutex::Change change(mutex); }  // returns, though the reader has not
  look_up.may_end = true;
  reader.join();
  EXPECT_EQ(seen, 2);
}

TEST(TableMutex, ALookUpThatNoChangeFallsIntoIsMadeOnce) {
  TableMutex mutex;
  { const TableMutex::Change change(mutex); }
  int looks = 0;
  EXPECT_EQ(mutex.read([&] { return ++looks; }), 1);
}

TEST(TableMutex, WhoLocksItWaitsForLookUpsAndLaterOnesWaitForIt) {
  TableMutex mutex;
  SlowLookUp look_up;
  std::atomic<bool> locked{false};
  std::atomic<int> second{0};
  std::thread reader([&] { (void)mutex.read([&] { return look_up(); }); });
  look_up.await_begin();
  std::thread writer([&] {
    const std::lock_guard lock(mutex);
    EXPECT_TRUE(look_up.may_end);
    locked = true;
    for (int i = 0; i < 1000; ++i) std::this_thread::yield();
    EXPECT_EQ(second, 0);
    locked = false;
  });
  std::thread later([&] {
    while (!locked && look_up.looks < 2) std::this_thread::yield();
    const std::shared_lock lock(mutex);
    second = 1;
    EXPECT_FALSE(locked);
  });
  for (int i = 0; i < 1000; ++i) std::this_thread::yield();
  EXPECT_FALSE(locked);
  look_up.may_end = true;
  for (std::thread* thread : {&reader, &writer, &later}) thread->join();
}

TEST(TableMutex, LookUpsSeeNoHalfOfAChange) {
  TableMutex mutex;
  std::array<std::atomic<std::uint32_t>, 8> words{};
  std::atomic<bool> stop{false};
  std::atomic<std::uint64_t> mixed{0};
  std::vector<std::thread> readers;
  for (int t = 0; t < 3; ++t) {
    readers.emplace_back([&] {
      while (!stop) {
        mixed += mutex.read([&] {
          const std::uint32_t first = words[0].load(std::memory_order_relaxed);
          std::uint64_t others = 0;
          for (const auto& word : words) others += word.load(std::memory_order_relaxed) != first;
          return others;
        });
      }
    });
  }
  for (std::uint32_t i = 1; i <= 3000; ++i) {
    const auto change = [&] {
      for (auto& word : words) word.store(i, std::memory_order_relaxed);
    };
    if (i % 16 == 0) {
      const std::lock_guard lock(mutex);
      change();
    } else {
      const TableMutex::Change under_way(mutex);
      change();
    }
  }
  stop = true;
  for (std::thread& reader : readers) reader.join();
  EXPECT_EQ(mixed, 0u);
}

}  // namespace
}  // namespace cairn
