// SPDX-License-Identifier: Apache-2.0
#include "engine/base/epochs.h"

#include <gtest/gtest.h>

#include <atomic>
#include <optional>
#include <thread>
#include <vector>

namespace cairn {
namespace {

TEST(Epochs, WithoutReadersTwoStepsAreEnough) {
  Epochs epochs;
  const std::uint64_t then = epochs.now();
  EXPECT_FALSE(epochs.passed(then));
  EXPECT_TRUE(epochs.advance());
  EXPECT_FALSE(epochs.passed(then));
  EXPECT_TRUE(epochs.advance());
  EXPECT_TRUE(epochs.passed(then));
}

TEST(Epochs, AReaderHoldsBackWhatItMayHaveSeen) {
  Epochs epochs;
  std::optional<Epochs::Guard> reader(std::in_place, epochs);
  const std::uint64_t then = epochs.now();
  EXPECT_TRUE(epochs.advance());
  for (int i = 0; i < 5; ++i) EXPECT_FALSE(epochs.advance());
  EXPECT_FALSE(epochs.passed(then));
  reader.reset();
  EXPECT_TRUE(epochs.advance());
  EXPECT_TRUE(epochs.passed(then));
}

TEST(Epochs, ALaterReaderHoldsBackNothingThatWasUnlinkedBefore) {
  Epochs epochs;
  const std::uint64_t then = epochs.now();
  EXPECT_TRUE(epochs.advance());
  const Epochs::Guard reader(epochs);
  EXPECT_TRUE(epochs.advance());
  EXPECT_TRUE(epochs.passed(then));
}

// One thread unlinks a cell and fills it again once it is out of reach; others follow the link.
// What they find must not change while they are inside.
TEST(Epochs, WhatAReaderHoldsIsNotUsedAgain) {
  constexpr std::size_t kCells = 16;
  Epochs epochs;
  std::vector<int> cells(kCells, 1);  // not atomic: a race is ThreadSanitizer's to find
  std::atomic<std::size_t> link{0};
  std::atomic<bool> stop{false};
  std::atomic<int> wrong{0};
  std::vector<std::thread> readers;
  for (int t = 0; t < 3; ++t) {
    readers.emplace_back([&] {
      while (!stop) {
        const Epochs::Guard guard(epochs);
        const std::size_t cell = link.load(std::memory_order_acquire);
        const int before = cells[cell];
        std::this_thread::yield();
        if (cells[cell] != before) ++wrong;
      }
    });
  }
  std::vector<std::pair<std::size_t, std::uint64_t>> unlinked;
  std::vector<std::size_t> free;
  for (std::size_t i = 1; i < kCells; ++i) free.push_back(i);
  for (int round = 0; round < 3000; ++round) {
    epochs.advance();
    while (!unlinked.empty() && epochs.passed(unlinked.front().second)) {
      free.push_back(unlinked.front().first);
      unlinked.erase(unlinked.begin());
    }
    if (free.empty()) {
      std::this_thread::yield();
      continue;
    }
    const std::size_t next = free.back();
    free.pop_back();
    cells[next] = round;
    const std::size_t last = link.exchange(next, std::memory_order_acq_rel);
    unlinked.emplace_back(last, epochs.now());
  }
  stop = true;
  for (std::thread& reader : readers) reader.join();
  EXPECT_EQ(wrong.load(), 0);
}

}  // namespace
}  // namespace cairn
