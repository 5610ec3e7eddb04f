// SPDX-License-Identifier: Apache-2.0
#include "format/pages/dirty_pages.h"

#include <gtest/gtest.h>

#include <cstdint>

#include "format/bytes/limits.h"

namespace cairn::format {
namespace {

TEST(DirtyPages, TheFirstOfARangeIsFound) {
  DirtyPages dirty;
  dirty.extend(SectionId::hot, 300);
  for (const std::uint64_t page : {3u, 64u, 65u, 191u, 299u}) {
    dirty.mark(SectionId::hot, page * kPageSize + 5, 1);
  }
  const auto first = [&](std::uint64_t begin, std::uint64_t end) {
    return dirty.first_in(SectionId::hot, begin, end);
  };
  EXPECT_EQ(first(0, 300), 3u);
  EXPECT_EQ(first(3, 300), 3u);
  EXPECT_EQ(first(4, 300), 64u);
  EXPECT_EQ(first(65, 300), 65u);
  EXPECT_EQ(first(66, 300), 191u);
  EXPECT_EQ(first(192, 300), 299u);
  EXPECT_EQ(first(192, 299), 299u);  // none
  EXPECT_EQ(first(4, 64), 64u);
  EXPECT_EQ(first(4, 60), 60u);
  EXPECT_EQ(first(5, 5), 5u);
  EXPECT_EQ(first(300, 900), 900u);
  EXPECT_EQ(dirty.first_in(SectionId::key, 0, 10), 10u);
  (void)dirty.take();
  EXPECT_EQ(first(0, 300), 300u);
}

}  // namespace
}  // namespace cairn::format
