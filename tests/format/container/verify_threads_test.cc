// SPDX-License-Identifier: Apache-2.0
#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <thread>
#include <vector>

#include "format/container/container.h"
#include "format/pages/page_check.h"
#include "tests/support/file_image.h"
#include "tests/support/temporary_directory.h"

namespace cairn::format {
namespace {

using test::Bytes;
using test::TemporaryDirectory;
using test::ToyIndex;

TEST(VerifyThreads, AnyNumberOfThreadsFindsTheSame) {
  const TemporaryDirectory directory;
  ASSERT_TRUE(
      write_container(default_file_system(), directory / "a", ToyIndex(100, 16000).snapshot()));
  Bytes file = test::read_bytes(directory / "a");
  for (const std::uint64_t at : {5u, 2000000u, 5000000u}) {
    file[test::place_of(file, SectionId::hot, at)] ^= std::byte{1};
    file[test::place_of(file, SectionId::exact, at)] ^= std::byte{1};
  }
  test::write_bytes(directory / "a", file);
  const auto container =
      Container::open(default_file_system(), directory / "a", Residency::map, Verify::metadata);
  ASSERT_TRUE(container);
  const auto expected = container->verify_pages(1, {}, nullptr);
  ASSERT_EQ(expected->findings.size(), 6u);
  for (const unsigned threads : {0u, 2u, 3u, 8u}) {
    EXPECT_EQ(container->verify_pages(threads, {}, nullptr)->findings, expected->findings);
  }
}

TEST(VerifyThreads, MayVerifyOneContainerFromManyThreadsAtOnce) {
  const TemporaryDirectory directory;
  ASSERT_TRUE(
      write_container(default_file_system(), directory / "a", ToyIndex(100, 8000).snapshot()));
  const auto container =
      Container::open(default_file_system(), directory / "a", Residency::load, Verify::full);
  ASSERT_TRUE(container);
  std::vector<std::thread> threads;
  std::atomic<int> clean{0};
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      const auto report = container->verify_pages(2, {}, nullptr);
      if (report && report->findings.empty()) ++clean;
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(clean.load(), 4);
}

// A hole reads as zeros, and is not read.
TEST(VerifyHoles, AHoleWhereThereWasContentIsFoundPageByPage) {
  const TemporaryDirectory directory;
  ASSERT_TRUE(
      write_container(default_file_system(), directory / "a", ToyIndex(100, 8000).snapshot()));
  const Bytes file = test::read_bytes(directory / "a");
  const std::uint64_t begin = test::place_of(file, SectionId::hot, 0);
  const int descriptor = ::open((directory / "a").c_str(), O_RDWR | O_CLOEXEC);
  ASSERT_GE(descriptor, 0);
  // A whole unit, and a part of the next one.
  const std::uint64_t pages = TreeShape::kFanout + 3;
  const int punched = ::fallocate(descriptor, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
                                  static_cast<off_t>(begin), static_cast<off_t>(pages * kPageSize));
  ::close(descriptor);
  if (punched != 0) GTEST_SKIP() << "this file system has no holes";
  const auto container =
      Container::open(default_file_system(), directory / "a", Residency::map, Verify::metadata);
  ASSERT_TRUE(container);
  const auto report = container->verify_pages(2, {}, nullptr);
  ASSERT_TRUE(report);
  EXPECT_EQ(report->findings.size(), pages);
  EXPECT_NE(report->findings.front().find("HOT page 0 "), std::string::npos);
}

// 4 GiB of nothing, which would take seconds to read.
TEST(VerifyHoles, ASparseFileIsCheckedWithoutReadingItsHoles) {
  const TemporaryDirectory directory;
  ASSERT_TRUE(
      write_container(default_file_system(), directory / "a", ToyIndex(100, 200).snapshot()));
  Bytes file = test::read_bytes(directory / "a");
  Superblock block = test::superblock_of(file);
  constexpr std::uint64_t kLong = std::uint64_t{4} << 30;
  constexpr std::uint64_t kFar = std::uint64_t{1} << 30;
  const std::uint64_t trees = TreeShape(kLong / kPageSize).bytes();
  std::uint64_t old_trees = 0;
  std::uint64_t old_place = 0;
  for (Extent& run : block.extents) {
    if (run.section != kChecksumId) continue;
    old_trees = run.length;
    old_place = run.file_offset;
    run.length += trees;
    run.file_offset = 2 * kFar + kLong;
  }
  for (Extent& run : block.extents) {
    if (run.section != static_cast<std::uint16_t>(SectionId::hot)) continue;
    run.length = kLong;
    run.file_offset = kFar;
    run.tree_offset = old_trees;
    run.root = 0;
  }
  block.file_size = 2 * kFar + kLong + old_trees + trees;
  test::set_superblock(file, block);
  test::write_bytes(directory / "a", file);
  {
    auto made = default_file_system().open(directory / "a", Access::read_write);
    ASSERT_TRUE(made);
    ASSERT_TRUE(made->truncate(block.file_size));
    ASSERT_TRUE(made->pwrite(std::span(file).subspan(old_place, old_trees), 2 * kFar + kLong));
    if (made->next_data(kFar) == kFar) GTEST_SKIP() << "this file system does not tell of holes";
  }
  const auto container =
      Container::open(default_file_system(), directory / "a", Residency::map, Verify::metadata);
  ASSERT_TRUE(container) << container.error().message();
  const auto report = container->verify_pages(2, {}, nullptr);
  ASSERT_TRUE(report);
  EXPECT_TRUE(report->findings.empty()) << report->findings.front();
  EXPECT_GT(report->pages_checked, kLong / kPageSize);
}

TEST(ForEachUnit, DoesEveryUnitOnceAndEndsAtTheFirstError) {
  std::vector<std::atomic<int>> done(1000);
  const auto all = for_each_unit(1000, 4, nullptr, [&]() -> UnitWork {
    return [&](std::uint64_t number) -> Result<void> {
      ++done[number];
      return {};
    };
  });
  EXPECT_TRUE(all);
  for (const auto& count : done) EXPECT_EQ(count.load(), 1);

  const auto failed = for_each_unit(1000, 4, nullptr, [&]() -> UnitWork {
    return [&](std::uint64_t number) -> Result<void> {
      if (number == 500) return Error(ErrorCode::corrupt, "500");
      return {};
    };
  });
  ASSERT_FALSE(failed);
  EXPECT_EQ(failed.error().message(), "500");

  const auto starved = for_each_unit(10, 2, nullptr, []() -> UnitWork { throw std::bad_alloc(); });
  ASSERT_FALSE(starved);
  EXPECT_EQ(starved.error().code(), ErrorCode::out_of_memory);
}

}  // namespace
}  // namespace cairn::format
