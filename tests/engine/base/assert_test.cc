// SPDX-License-Identifier: Apache-2.0
#include "engine/base/assert.h"

#include <gtest/gtest.h>

#include <cstddef>
#include <vector>

#include "engine/base/commit_mutex.h"
#include "engine/search/neighbor_pool.h"
#include "format/bytes/coding.h"

namespace cairn {
namespace {

#ifdef CAIRN_ASSERTIONS

TEST(AssertDeathTest, FalseOneIsToldAndAborts) {
  const int one = 1;
  EXPECT_DEATH(CAIRN_ASSERT(one == 2), "assert_test.cc:.*assertion failed: one == 2");
  CAIRN_ASSERT(one == 1);
}

TEST(AssertDeathTest, WhatAFunctionRequiresIsChecked) {
  NeighborPool pool;
  EXPECT_DEATH(pool.reset(2, 1), "window <= capacity");
  EXPECT_DEATH((void)format::round_up(1, 0), "unit > 0");
  CommitMutex mutex;
  EXPECT_DEATH(mutex.unlock(), "is_held");
  EXPECT_DEATH(
      {
        mutex.lock();
        mutex.let_others_pass();
      },
      "is_held");
}

TEST(AssertDeathTest, StandardLibraryChecksIndices) {
  const std::vector<int> none;
  const volatile std::size_t first = 0;
  EXPECT_DEATH((void)none[first], "");
}

#else

TEST(Assert, IsNotEvaluatedInARelease) {
  bool evaluated = false;
  CAIRN_ASSERT((evaluated = true));
  EXPECT_FALSE(evaluated);
}

#endif

}  // namespace
}  // namespace cairn
