// SPDX-License-Identifier: Apache-2.0
#include "engine/base/commit_mutex.h"

#include <gtest/gtest.h>

#include <thread>

namespace cairn {
namespace {

TEST(CommitMutex, NobodyIsWaitedForWhereNobodyWaits) {
  CommitMutex mutex;
  mutex.let_others_pass();
  mutex.lock();
  mutex.unlock();
  mutex.let_others_pass();
  EXPECT_EQ(mutex.waiting(), 0u);
}

TEST(CommitMutex, WhoWaitsComesBeforeWhoLetsOthersPass) {
  CommitMutex mutex;
  for (int round = 0; round < 50; ++round) {
    bool has_had_it = false;
    mutex.lock();
    std::thread other([&] {
      mutex.lock();
      has_had_it = true;
      mutex.unlock();
    });
    while (mutex.waiting() == 0) std::this_thread::yield();
    mutex.unlock();
    mutex.let_others_pass();
    mutex.lock();
    EXPECT_TRUE(has_had_it) << "round " << round;
    mutex.unlock();
    other.join();
  }
}

}  // namespace
}  // namespace cairn
