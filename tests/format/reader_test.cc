// SPDX-License-Identifier: Apache-2.0
//
// A reader beside a writer: it catches up with the log, knows when pages have changed under it, and
// takes nothing that a dead writer left behind for news.
#include <gtest/gtest.h>

#include <array>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>

#include "format/container.h"
#include "format/file.h"
#include "format/layout.h"
#include "format/writable_container.h"
#include "tests/support/durable_script.h"
#include "tests/support/file_image.h"
#include "tests/support/temporary_directory.h"

namespace cairn::format {
namespace {

using test::difference;
using test::DurableScript;
using test::TemporaryDirectory;

#define ASSERT_GOOD(expression)                  \
  do {                                           \
    const auto good = (expression);              \
    ASSERT_TRUE(good) << good.error().message(); \
  } while (false)

Result<Container> read(const std::filesystem::path& path) {
  return Container::open(default_file_system(), path, Residency::map, Verify::metadata);
}

class Reader : public testing::Test {
 protected:
  void SetUp() override { ASSERT_GOOD(script_.create()); }
  void commit(int commits, bool grow = false) {
    for (int i = 0; i < commits; ++i) {
      ASSERT_GOOD(script_.commit(2, grow && i % 4 == 0));
      ASSERT_GOOD(script_.acknowledge());
    }
  }
  std::string difference_of(const Container& container) {
    return difference(container, script_.models().back());
  }

  const TemporaryDirectory directory_;
  const std::filesystem::path path_ = directory_ / "a";
  DurableScript script_{posix_file_system(), path_, 7};
};

TEST_F(Reader, CatchesUpAtTheCostOfWhatWasAdded) {
  commit(200, true);
  auto container = read(path_);
  ASSERT_TRUE(container);
  EXPECT_EQ(difference_of(*container), "");
  EXPECT_FALSE(container->has_news().value());
  std::uint64_t before = container->bytes_read_at_open();
  ASSERT_GT(before, 200u * 64);
  for (int i = 0; i < 30; ++i) {
    commit(1);
    ASSERT_TRUE(container->has_news().value());
    ASSERT_TRUE(container->catch_up().value());
    ASSERT_EQ(difference_of(*container), "");
    ASSERT_FALSE(container->has_news().value());
    // One frame of a page or two, and a superblock when the writer has switched.
    EXPECT_LT(container->bytes_read_at_open() - before, 64u << 10);
    before = container->bytes_read_at_open();
  }
}

TEST_F(Reader, GoesOnAfterACheckpointOfWhatItHas) {
  commit(20, true);
  auto container = read(path_);
  ASSERT_TRUE(container);
  ASSERT_GOOD(script_.checkpoint());
  EXPECT_EQ(difference_of(*container), "");
  EXPECT_TRUE(container->catch_up().value());  // the jump into a new segment is a frame, too
  EXPECT_TRUE(container->watch()->is_whole());
  commit(5);
  EXPECT_TRUE(container->catch_up().value());
  EXPECT_EQ(difference_of(*container), "");
}

TEST_F(Reader, IsNotWholeAfterACheckpointOfWhatItLacks) {
  commit(20, true);
  auto container = read(path_);
  ASSERT_TRUE(container);
  const auto then = script_.models().back();
  commit(5);
  EXPECT_TRUE(container->watch()->is_whole());
  EXPECT_EQ(difference(*container, then), "");
  ASSERT_GOOD(script_.checkpoint());
  EXPECT_FALSE(container->watch()->is_whole());
  EXPECT_TRUE(container->has_news().value());
  EXPECT_TRUE(container->is_superseded().value());
}

TEST_F(Reader, ChecksItsPagesAgainstTheChecksumsOfNow) {
  commit(20, true);
  ASSERT_GOOD(script_.checkpoint());
  const auto container = read(path_);
  ASSERT_TRUE(container);
  EXPECT_TRUE(container->check_pages(nullptr));
  commit(20, true);
  EXPECT_TRUE(container->check_pages(nullptr));
  ASSERT_GOOD(script_.checkpoint());
  ASSERT_FALSE(container->verify_pages(1, {}, nullptr)->findings.empty());
  const auto checked = container->check_pages(nullptr);
  EXPECT_TRUE(checked) << checked.error().message();
  auto bytes = test::read_bytes(path_);
  auto file = default_file_system().open(path_, Access::read_write);
  ASSERT_TRUE(file);
  const std::size_t place = test::place_of(bytes, SectionId::hot, 9);
  bytes[place] ^= std::byte{1};
  ASSERT_GOOD(file->pwrite(std::span(bytes).subspan(place, 1), place));
  for (int i = 0; i < 2; ++i) {
    const auto damaged = container->check_pages(nullptr);
    ASSERT_FALSE(damaged);
    EXPECT_EQ(damaged.error().code(), ErrorCode::corrupt);
    EXPECT_NE(damaged.error().message().find("HOT page 0"), std::string::npos);
    ASSERT_GOOD(script_.commit(1, false));
  }
  EXPECT_EQ(script_.container().check_pages(nullptr).error().code(), ErrorCode::corrupt);
}

TEST_F(Reader, OpensAnewWhenTheLogThatItNeedsIsGone) {
  commit(5, true);
  auto container = read(path_);
  ASSERT_TRUE(container);
  for (int i = 0; i < 4; ++i) {  // segments are given up, and used again
    commit(20, true);
    ASSERT_GOOD(script_.checkpoint());
  }
  EXPECT_TRUE(container->has_news().value());
  EXPECT_FALSE(container->catch_up().value());
  container = read(path_);
  ASSERT_TRUE(container);
  EXPECT_EQ(difference_of(*container), "");
}

TEST_F(Reader, TakesWhatADeadWriterLeftBehindForNothing) {
  commit(20, true);
  ASSERT_GOOD(script_.checkpoint());
  commit(3);
  const auto bytes = test::read_bytes(path_);
  ASSERT_GOOD(script_.close());
  for (const std::uint64_t garbage : {std::uint64_t{1} << 40, UINT64_MAX, std::uint64_t{12345}}) {
    // The same file, with the same identity.
    auto file = default_file_system().open(path_, Access::read_write);
    ASSERT_TRUE(file);
    ASSERT_GOOD(file->pwrite(bytes, 0));
    std::array<std::byte, 16> mark;
    std::memcpy(mark.data(), &garbage, 8);
    std::memcpy(mark.data() + 8, &garbage, 8);
    ASSERT_GOOD(file->pwrite(mark, kRuntimeOffset));
    auto container = read(path_);
    ASSERT_TRUE(container) << container.error().message();
    EXPECT_TRUE(container->watch()->is_whole());
    EXPECT_EQ(difference_of(*container), "");
    EXPECT_FALSE(container->has_news().value());
    auto writer = WritableContainer::open(default_file_system(), path_, test::small_options());
    ASSERT_TRUE(writer) << writer.error().message();
    EXPECT_EQ(difference(*writer, script_.models().back()), "");
    ASSERT_GOOD(writer->close());
  }
}

// A copy, in which the mark of the writer is ahead of its superblock: after a power loss, say.
TEST_F(Reader, NorDoesAWriterOfACopy) {
  commit(20, true);
  auto bytes = test::read_bytes(path_);
  ASSERT_GOOD(script_.close());
  const std::uint64_t ahead = std::uint64_t{1} << 40;
  std::memcpy(bytes.data() + kRuntimeOffset + 8, &ahead, 8);
  test::write_bytes(directory_ / "copy", bytes);
  auto writer =
      WritableContainer::open(default_file_system(), directory_ / "copy", test::small_options());
  ASSERT_TRUE(writer) << writer.error().message();
  EXPECT_EQ(difference(*writer, script_.models().back()), "");
}

}  // namespace
}  // namespace cairn::format
