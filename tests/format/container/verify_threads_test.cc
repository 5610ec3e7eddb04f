// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

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
