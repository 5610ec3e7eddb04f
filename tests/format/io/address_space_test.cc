// SPDX-License-Identifier: Apache-2.0
#include "format/io/address_space.h"

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/resource.h>

#include <algorithm>
#include <cstring>
#include <utility>
#include <vector>

#include "tests/support/faulty_file_system.h"
#include "tests/support/file_image.h"
#include "tests/support/sanitizers.h"
#include "tests/support/temporary_directory.h"

namespace cairn::format {
namespace {

using test::Bytes;
using test::TemporaryDirectory;

constexpr std::size_t kMiB = std::size_t{1} << 20;

// A file of `pages` pages, page i full of the byte i + 1.
void write_pages(const std::filesystem::path& path, std::size_t pages) {
  Bytes bytes(pages * kPageSize);
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    bytes[i] = static_cast<std::byte>(i / kPageSize + 1);
  }
  test::write_bytes(path, bytes);
}

TEST(Region, BeginsOnAHugePageAndIsEmptyAtFirst) {
  for (const std::size_t bytes : {std::size_t{1}, kPageSize, 3 * kMiB, 64 * kMiB}) {
    auto region =
        bytes < kHugePage ? Region::reserve_growing(bytes) : Region::reserve(bytes, bytes);
    ASSERT_TRUE(region);
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(region->data()) % kHugePage, 0u);
    EXPECT_GE(region->capacity(), bytes);
    EXPECT_EQ(region->size(), 0u);
  }
}

TEST(Region, GrowsInPlaceWithZeros) {
  auto region = Region::reserve(64 * kMiB, 64 * kMiB);
  ASSERT_TRUE(region);
  std::byte* const begin = region->data();
  std::size_t old_size = 0;
  for (std::size_t bytes = 1; bytes <= 16 * kMiB; bytes += bytes / 3 + 1) {
    ASSERT_TRUE(region->grow_anonymous(bytes));
    ASSERT_GE(region->size(), bytes);
    ASSERT_EQ(region->data(), begin);
    for (std::size_t i = old_size; i < region->size(); ++i) {
      ASSERT_EQ(begin[i], std::byte{0}) << i;
    }
    std::memset(begin + old_size, 0x5A, region->size() - old_size);
    ASSERT_EQ(std::count(begin, begin + old_size, std::byte{0x5A}),
              static_cast<std::ptrdiff_t>(old_size));
    old_size = region->size();
  }
  EXPECT_EQ(region->anonymous_bytes(), region->size());
}

TEST(Region, GrowingByteByByteTakesFewSteps) {
  auto region = Region::reserve(64 * kMiB, 64 * kMiB);
  ASSERT_TRUE(region);
  std::size_t steps = 0;
  for (std::size_t bytes = 1; bytes <= 32 * kMiB; bytes += 512) {
    const std::size_t before = region->size();
    ASSERT_TRUE(region->grow_anonymous(bytes));
    if (region->size() != before) ++steps;
  }
  EXPECT_LE(steps, 24u);
}

TEST(Region, BeyondItsCapacityIsOutOfMemoryAndChangesNothing) {
  auto region = Region::reserve(4 * kMiB, 4 * kMiB);
  ASSERT_TRUE(region);
  ASSERT_TRUE(region->grow_anonymous(kMiB));
  const std::size_t size = region->size();
  const auto outcome = region->grow_anonymous(region->capacity() + 1);
  ASSERT_FALSE(outcome);
  EXPECT_EQ(outcome.error().code(), ErrorCode::out_of_memory);
  EXPECT_EQ(region->size(), size);
  ASSERT_TRUE(region->grow_anonymous(region->capacity()));
  EXPECT_EQ(region->size(), region->capacity());
}

TEST(Region, GrowsInPlaceBeyondWhatWasReserved) {
  std::vector<Region> others;
  auto region = Region::reserve_growing(1);
  ASSERT_TRUE(region);
  std::byte* const begin = region->data();
  EXPECT_EQ(region->capacity(), kHugePage);
  for (int i = 0; i < 100; ++i) others.push_back(Region::reserve_growing(1).value());
  ASSERT_TRUE(region->grow_anonymous(100 * kMiB));
  EXPECT_EQ(region->data(), begin);
  begin[0] = begin[100 * kMiB - 1] = std::byte{1};
  ASSERT_TRUE(region->reserve_more(300 * kMiB));
  EXPECT_GE(region->capacity(), 300 * kMiB);
  EXPECT_EQ(region->size(), 100 * kMiB);
}

TEST(Region, MeetingANeighborIsOutOfMemoryAndChangesNothing) {
  auto region = Region::reserve_growing(kHugePage);
  ASSERT_TRUE(region);
  void* const behind = region->data() + region->capacity();
  void* const neighbor =
      ::mmap(behind, kPageSize, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
  ASSERT_EQ(neighbor, behind);
  const auto outcome = region->grow_anonymous(3 * kMiB);
  ::munmap(neighbor, kPageSize);
  ASSERT_FALSE(outcome);
  EXPECT_EQ(outcome.error().code(), ErrorCode::out_of_memory);
  EXPECT_NE(outcome.error().message().find("max_vectors"), std::string::npos);
  EXPECT_EQ(region->size(), 0u);
}

TEST(Region, ImpossibleReservationsAreOutOfMemory) {
  for (const std::size_t bytes : {SIZE_MAX, SIZE_MAX / 2, std::size_t{1} << 60}) {
    const auto region = Region::reserve(bytes, bytes);
    ASSERT_FALSE(region);
    EXPECT_EQ(region.error().code(), ErrorCode::out_of_memory);
  }
}

TEST(Region, TakesTheMostThatItCanGet) {
  const auto region = Region::reserve(kMiB, std::size_t{1} << 60);
  ASSERT_TRUE(region);
  EXPECT_GE(region->capacity(), 512 * kMiB);
}

#if !CAIRN_TEST_SANITIZED
TEST(RegionDeathTest, FitsIntoALimitedAddressSpace) {
  const auto grow = [] {
    const rlimit limit{std::size_t{4} << 30, std::size_t{4} << 30};
    if (::setrlimit(RLIMIT_AS, &limit) != 0) std::_Exit(2);
    auto region = Region::reserve(kMiB, std::size_t{1} << 44);
    if (!region || !region->grow_anonymous(10 * kMiB)) std::_Exit(3);
    std::memset(region->data(), 1, 10 * kMiB);
    std::_Exit(region->capacity() < (std::size_t{4} << 30) ? 0 : 4);
  };
  EXPECT_EXIT(grow(), testing::ExitedWithCode(0), "");
}
#endif

TEST(Region, MapsPiecesOfAFileOneBehindTheOther) {
  const TemporaryDirectory directory;
  write_pages(directory / "a", 10);
  auto file = default_file_system().open(directory / "a", Access::read_only);
  ASSERT_TRUE(file);
  auto region = Region::reserve(5 * kPageSize, 5 * kPageSize);
  ASSERT_TRUE(region);
  ASSERT_TRUE(region->append_file(*file, 7 * kPageSize, 2 * kPageSize, false));
  ASSERT_TRUE(region->append_file(*file, 1 * kPageSize, 1 * kPageSize, false));
  ASSERT_TRUE(region->append_file(*file, 3 * kPageSize, 2 * kPageSize, false));
  EXPECT_EQ(region->size(), 5 * kPageSize);
  EXPECT_EQ(region->anonymous_bytes(), 0u);
  const int expected[] = {8, 9, 2, 4, 5};
  for (std::size_t i = 0; i < region->size(); ++i) {
    ASSERT_EQ(std::to_integer<int>(region->data()[i]), expected[i / kPageSize]);
  }
  EXPECT_TRUE(region->advise_needed());
  EXPECT_TRUE(region->advise_not_needed());
  EXPECT_EQ(std::to_integer<int>(region->data()[0]), 8);
}

TEST(Region, StoresToAWritableMappingStayInTheProcess) {
  const TemporaryDirectory directory;
  write_pages(directory / "a", 2);
  auto file = default_file_system().open(directory / "a", Access::read_only);
  ASSERT_TRUE(file);
  auto region = Region::reserve(kMiB, kMiB);
  ASSERT_TRUE(region->append_file(*file, 0, 2 * kPageSize, true));
  const std::size_t mapped = region->size();
  region->data()[5] = std::byte{99};
  ASSERT_TRUE(region->grow_anonymous(mapped + 10));
  region->data()[mapped] = std::byte{77};
  EXPECT_EQ(region->data()[5], std::byte{99});
  EXPECT_EQ(region->data()[kPageSize], std::byte{2});
  EXPECT_EQ(region->anonymous_bytes(), region->size() - mapped);
  EXPECT_EQ(test::read_bytes(directory / "a")[5], std::byte{1});
}

TEST(Region, AdviceLosesNoStores) {
  const TemporaryDirectory directory;
  write_pages(directory / "a", 2);
  auto file = default_file_system().open(directory / "a", Access::read_only);
  ASSERT_TRUE(file);
  auto writable = Region::reserve(kMiB, kMiB);
  ASSERT_TRUE(writable->append_file(*file, 0, 2 * kPageSize, true));
  writable->data()[5] = std::byte{99};
  Region moved = std::move(*writable);
  auto anonymous = Region::reserve(kMiB, kMiB);
  ASSERT_TRUE(anonymous->grow_anonymous(kPageSize));
  anonymous->data()[5] = std::byte{88};
  for (const Region* region : {&moved, &*anonymous}) {
    EXPECT_TRUE(region->advise_needed());
    EXPECT_TRUE(region->advise_not_needed());
  }
  EXPECT_EQ(moved.data()[5], std::byte{99});
  EXPECT_EQ(anonymous->data()[5], std::byte{88});
}

TEST(Region, AFailedMappingIsAnErrorWithPlace) {
  const TemporaryDirectory directory;
  write_pages(directory / "a", 2);
  test::FaultyFileSystem raw(posix_file_system(), {2, ENOMEM, test::Fault::Lasts::once});
  FileSystem fs(raw);
  auto file = fs.open(directory / "a", Access::read_only);
  ASSERT_TRUE(file);
  auto region = Region::reserve(kMiB, kMiB);
  const auto outcome = region->append_file(*file, kPageSize, kPageSize, false);
  ASSERT_FALSE(outcome);
  EXPECT_EQ(outcome.error().code(), ErrorCode::out_of_memory);
  EXPECT_NE(outcome.error().message().find("at 4096"), std::string::npos);
  EXPECT_EQ(region->size(), 0u);
}

TEST(Region, MisalignedPiecesAreRefused) {
  const TemporaryDirectory directory;
  write_pages(directory / "a", 2);
  auto file = default_file_system().open(directory / "a", Access::read_only);
  auto region = Region::reserve(kMiB, kMiB);
  EXPECT_EQ(region->append_file(*file, 512, kPageSize, false).error().code(),
            ErrorCode::unsupported);
  EXPECT_EQ(region->append_file(*file, 0, 1024 * kMiB, false).error().code(),
            ErrorCode::out_of_memory);
}

TEST(Region, ClearedRegionsCanBeUsedAgain) {
  auto region = Region::reserve(8 * kMiB, 8 * kMiB);
  ASSERT_TRUE(region->grow_anonymous(4 * kMiB));
  std::memset(region->data(), 1, 4 * kMiB);
  std::byte* const begin = region->data();
  region->clear();
  EXPECT_EQ(region->size(), 0u);
  EXPECT_EQ(region->anonymous_bytes(), 0u);
  ASSERT_TRUE(region->grow_anonymous(kPageSize));
  EXPECT_EQ(region->data(), begin);
  EXPECT_EQ(region->data()[0], std::byte{0});
}

TEST(Region, MovingHandsTheAddressesOver) {
  auto region = Region::reserve(kMiB, kMiB);
  ASSERT_TRUE(region->grow_anonymous(100));
  region->data()[99] = std::byte{7};
  const std::byte* const begin = region->data();
  Region second(std::move(*region));
  EXPECT_EQ(second.data(), begin);
  Region third;
  third = std::move(second);
  EXPECT_EQ(third.data()[99], std::byte{7});
}

TEST(RegionDeathTest, ProtectedMemoryCannotBeWritten) {
  auto region = Region::reserve(kMiB, kMiB);
  ASSERT_TRUE(region->grow_anonymous(100));
  ASSERT_TRUE(region->protect());
  EXPECT_EQ(region->data()[1], std::byte{0});
  EXPECT_DEATH(*const_cast<volatile std::byte*>(region->data()) = std::byte{1}, "");
}

}  // namespace
}  // namespace cairn::format
