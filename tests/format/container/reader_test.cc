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
#include <vector>

#include "format/bytes/limits.h"
#include "format/bytes/superblock_layout.h"
#include "format/container/container.h"
#include "format/container/writable_container.h"
#include "format/io/file.h"
#include "tests/support/durable_script.h"
#include "tests/support/faulty_file_system.h"
#include "tests/support/file_image.h"
#include "tests/support/memory_file_system.h"
#include "tests/support/temporary_directory.h"

namespace cairn::format {
namespace {

using test::Bytes;
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

// The first page of a superblock of the next generation, which its writer did not finish.
void tear_slot(Bytes& file, std::size_t slot, const Bytes& whole) {
  Superblock block = test::superblock_of(whole);
  ++block.generation;
  std::array<std::byte, Superblock::kEncodedSize> bytes;
  block.encode(bytes);
  std::memcpy(file.data() + kSuperblockOffsets[slot], bytes.data(), kPageSize);
}

TEST_F(Reader, KnowsOfTheWriterThatComesAfterATornSuperblock) {
  for (const std::size_t slot : {0u, 1u}) {
    commit(5, true);
    ASSERT_GOOD(script_.close());
    auto bytes = test::read_bytes(path_);
    tear_slot(bytes, slot, test::read_bytes(path_));
    auto file = default_file_system().open(path_, Access::read_write);
    ASSERT_TRUE(file);
    ASSERT_GOOD(file->pwrite(bytes, 0));
    const auto container = read(path_);
    ASSERT_TRUE(container) << container.error().message();
    EXPECT_FALSE(container->has_news().value());
    ASSERT_GOOD(script_.open());
    EXPECT_TRUE(container->has_news().value());
    EXPECT_TRUE(container->is_superseded().value());
    commit(5);
    EXPECT_TRUE(container->has_news().value());
  }
}

TEST_F(Reader, FollowsItsFileAfterTheProcessHasMoved) {
  commit(5, true);
  const auto before = std::filesystem::current_path();
  std::filesystem::current_path(directory_.path());
  auto container = read("a");
  std::filesystem::current_path("/");
  const auto news = container ? container->has_news() : Result<bool>(container.error());
  commit(5);
  const auto caught_up = container ? container->catch_up() : news;
  std::filesystem::current_path(before);
  ASSERT_TRUE(news) << news.error().message();
  EXPECT_FALSE(*news);
  ASSERT_TRUE(caught_up) << caught_up.error().message();
  EXPECT_EQ(difference_of(*container), "");
}

// A file in memory whose slots are being written: the writer goes on after so many calls.
class HalfWritten : public testing::Test {
 protected:
  void SetUp() override {
    DurableScript script(memory_, "/a", 3);
    ASSERT_GOOD(script.create());
    ASSERT_GOOD(script.commit(3, true));
    ASSERT_GOOD(script.close());
    whole_ = memory_.get("/a");
    torn_ = whole_;
  }
  // What stands there is torn_; `calls` calls from now the writer is done.
  void write_for(std::uint64_t calls) {
    memory_.restore("/a", torn_);
    faulty_.watch([this, done = faulty_.calls() + calls](std::uint64_t call) {
      if (call != done) return;
      auto writer = memory_.open("/a", Access::read_write);
      writer.file->pwrite(whole_.data(), whole_.size(), 0);
    });
  }
  Result<Container> open() { return Container::open(fs_, "/a", Residency::map, Verify::metadata); }

  test::MemoryFileSystem memory_;
  test::FaultyFileSystem faulty_{memory_, {}};
  FileSystem fs_{faulty_};
  Bytes whole_;
  Bytes torn_;
};

TEST_F(HalfWritten, SlotsAreBusyWhileAWriterHasTheFile) {
  tear_slot(torn_, 0, whole_);
  tear_slot(torn_, 1, whole_);
  memory_.restore("/a", torn_);
  const auto damaged = open();
  ASSERT_FALSE(damaged);
  EXPECT_EQ(damaged.error().code(), ErrorCode::corrupt);
  auto writer = memory_.open("/a", Access::read_write);
  ASSERT_EQ(writer.file->try_lock().value, 1);
  const auto busy = open();
  ASSERT_FALSE(busy);
  EXPECT_EQ(busy.error().code(), ErrorCode::busy);
}

TEST_F(HalfWritten, SlotsAreReadAgain) {
  tear_slot(torn_, 0, whole_);
  tear_slot(torn_, 1, whole_);
  write_for(40);
  auto writer = memory_.open("/a", Access::read_write);
  ASSERT_EQ(writer.file->try_lock().value, 1);
  const auto opened = open();
  EXPECT_TRUE(opened) << opened.error().message();
}

TEST_F(HalfWritten, SlotsAreNoFindings) {
  for (const std::size_t slot : {0u, 1u}) {
    torn_ = whole_;
    tear_slot(torn_, slot, whole_);
    memory_.restore("/a", torn_);
    auto writer = memory_.open("/a", Access::read_write);
    const auto container = open();
    ASSERT_TRUE(container) << container.error().message();
    const auto damaged = container->verify_pages(1, {}, nullptr);
    ASSERT_TRUE(damaged);
    ASSERT_EQ(damaged->findings.size(), 1u);
    ASSERT_EQ(writer.file->try_lock().value, 1);
    faulty_.watch([&, done = faulty_.calls() + 12](std::uint64_t call) {
      if (call == done) writer.file->pwrite(whole_.data(), whole_.size(), 0);
    });
    const auto whole = container->verify_pages(1, {}, nullptr);
    ASSERT_TRUE(whole);
    EXPECT_EQ(whole->findings, std::vector<std::string>());
  }
}

}  // namespace
}  // namespace cairn::format
