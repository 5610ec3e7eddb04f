// SPDX-License-Identifier: Apache-2.0
//
// Writing files.
#include "format/container/container.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <atomic>
#include <cstdint>
#include <cstring>
#include <string>
#include <thread>

#include "tests/support/file_image.h"
#include "tests/support/temporary_directory.h"

namespace cairn::format {
namespace {

using test::Bytes;
using test::TemporaryDirectory;
using test::ToyIndex;

FileSystem& fs() { return default_file_system(); }

Result<Container> open(const std::filesystem::path& path, Residency residency = Residency::map,
                       Verify verify = Verify::metadata) {
  return Container::open(fs(), path, residency, verify);
}

// Every section begins with the bytes of the index and goes on with zeros.
void expect_holds(const Container& container, const ToyIndex& index) {
  EXPECT_EQ(container.parameters(), index.parameters);
  EXPECT_EQ(container.counters(), index.counters);
  for (std::size_t i = 0; i < kDataSectionCount; ++i) {
    const Region& region = container.section(static_cast<SectionId>(i + 1));
    const Bytes& expected = index.sections[i];
    ASSERT_GE(region.size(), expected.size());
    if (expected.empty()) continue;
    EXPECT_EQ(std::memcmp(region.data(), expected.data(), expected.size()), 0) << i;
    for (std::size_t at = expected.size(); at < region.size(); ++at) {
      ASSERT_EQ(region.data()[at], std::byte{0}) << i << " at " << at;
    }
  }
}

TEST(WriteContainer, OpensAsWhatWasWritten) {
  const TemporaryDirectory directory;
  for (const std::uint64_t nodes : {0u, 1u, 10u, 1000u, 9000u}) {
    const ToyIndex index(100, nodes);
    const auto path = directory / std::to_string(nodes);
    const auto written = write_container(fs(), path, index.snapshot());
    ASSERT_TRUE(written) << written.error().message();
    for (const Residency residency : {Residency::map, Residency::load}) {
      for (const Verify verify : {Verify::metadata, Verify::full}) {
        const auto container = open(path, residency, verify);
        ASSERT_TRUE(container) << container.error().message();
        expect_holds(*container, index);
        EXPECT_EQ(container->generation(), 1u);
        EXPECT_EQ(container->file_bytes(), std::filesystem::file_size(path));
      }
    }
  }
}

// Sections may be those of a mapped file, which somebody else changes.
TEST(WriteContainer, ChecksumsAreOfWhatIsWrittenAlsoWhereBytesChangeMeanwhile) {
  const TemporaryDirectory directory;
  ToyIndex index(100, 9000);
  std::atomic<bool> stop{false};
  std::thread other([&] {
    std::byte* const hot = index.sections[0].data();
    const std::atomic_ref<std::uint32_t> word(*reinterpret_cast<std::uint32_t*>(hot));
    while (!stop) ++word;
  });
  for (int i = 0; i < 20; ++i) {
    const auto path = directory / std::to_string(i);
    const auto written = write_container(fs(), path, index.snapshot());
    ASSERT_TRUE(written) << written.error().message();
    const auto container = open(path, Residency::load, Verify::full);
    EXPECT_TRUE(container) << container.error().message();
  }
  stop = true;
  other.join();
}

TEST(WriteContainer, TenVectorsTakeAHundredKiBOfDisk) {
  const TemporaryDirectory directory;
  ASSERT_TRUE(write_container(fs(), directory / "a", ToyIndex(100, 10).snapshot()));
  struct stat found {};
  ASSERT_EQ(::stat((directory / "a").c_str(), &found), 0);
  EXPECT_LE(found.st_blocks * 512, 112 << 10);
}

TEST(WriteContainer, FillsTheGapsOfALargeFileWithRunsOfSmallSections) {
  const TemporaryDirectory directory;
  const ToyIndex index(10, 330000);  // KEY and HASH of more than 2 MiB, which no gap holds whole
  std::uint64_t content = 0;
  for (const Bytes& section : index.sections) content += section.size();
  const auto path = directory / "a";
  ASSERT_TRUE(write_container(fs(), path, index.snapshot()));
  const auto container = open(path, Residency::load, Verify::full);
  ASSERT_TRUE(container) << container.error().message();
  expect_holds(*container, index);
  EXPECT_GT(test::superblock_of(test::read_bytes(path)).extents.size(), kSectionCount);
  EXPECT_LE(container->file_bytes(), content + content / 500 + (kHugePage + (1u << 20)));
}

TEST(WriteContainer, GapsTakeLittleOfAFile) {
  const TemporaryDirectory directory;
  const ToyIndex index(100, 9000);
  ASSERT_TRUE(write_container(fs(), directory / "a", index.snapshot()));
  std::uint64_t used = 0;
  for (const Bytes& section : index.sections) used += section.size();
  EXPECT_LE(std::filesystem::file_size(directory / "a"), used + (std::uint64_t{4} << 20));
}

TEST(WriteContainer, EqualContentGivesEqualBytes) {
  const TemporaryDirectory directory;
  const ToyIndex index(30, 500);
  ASSERT_TRUE(write_container(fs(), directory / "a", index.snapshot()));
  ASSERT_TRUE(write_container(fs(), directory / "b", ToyIndex(30, 500).snapshot()));
  EXPECT_EQ(test::read_bytes(directory / "a"), test::read_bytes(directory / "b"));
  ToyIndex other(30, 500);
  other.sections[2][5] ^= std::byte{1};
  ASSERT_TRUE(write_container(fs(), directory / "b", other.snapshot()));
  EXPECT_NE(test::header_of(test::read_bytes(directory / "a")).uuid,
            test::header_of(test::read_bytes(directory / "b")).uuid);
}

TEST(WriteContainer, LargeRunsAgreeWithTheirOffsetModulo2MiB) {
  const TemporaryDirectory directory;
  ASSERT_TRUE(write_container(fs(), directory / "a", ToyIndex(100, 9000).snapshot()));
  const Bytes file = test::read_bytes(directory / "a");
  std::size_t large = 0;
  for (const Extent& run : test::superblock_of(file).extents) {
    if (run.length < kHugePage) continue;
    ++large;
    EXPECT_EQ(run.file_offset % kHugePage, 0u);
  }
  EXPECT_EQ(large, 2u);
  const auto container = open(directory / "a");
  ASSERT_TRUE(container);
  const auto base = reinterpret_cast<std::uintptr_t>(container->section(SectionId::hot).data());
  EXPECT_EQ(base % kHugePage, 0u);
}

TEST(WriteContainer, BothSuperblocksAreTheSame) {
  const TemporaryDirectory directory;
  ASSERT_TRUE(write_container(fs(), directory / "a", ToyIndex(10, 20).snapshot()));
  const Bytes file = test::read_bytes(directory / "a");
  EXPECT_EQ(std::memcmp(file.data() + kSuperblockOffsets[0], file.data() + kSuperblockOffsets[1],
                        Superblock::kEncodedSize),
            0);
}

TEST(WriteContainer, ReplacesAnExistingFileAndKeepsItsPermissions) {
  const TemporaryDirectory directory;
  test::write_bytes(directory / "a", Bytes(10));
  ASSERT_EQ(::chmod((directory / "a").c_str(), 0640), 0);
  const ToyIndex index(10, 20);
  ASSERT_TRUE(write_container(fs(), directory / "a", index.snapshot()));
  EXPECT_EQ(fs().info(directory / "a")->mode, 0640u);
  expect_holds(*open(directory / "a"), index);
  EXPECT_EQ(directory.entries(), 1u);
}

TEST(WriteContainer, WhoHasTheOldFileOpenKeepsIt) {
  const TemporaryDirectory directory;
  const ToyIndex first(10, 20, 1);
  const ToyIndex second(10, 30, 2);
  ASSERT_TRUE(write_container(fs(), directory / "a", first.snapshot()));
  const auto before = open(directory / "a");
  ASSERT_TRUE(before);
  ASSERT_TRUE(write_container(fs(), directory / "a", second.snapshot()));
  expect_holds(*before, first);
  EXPECT_TRUE(before->verify_pages(1, {}, nullptr)->findings.empty());
  expect_holds(*open(directory / "a"), second);
}

TEST(WriteContainer, ReplacesTheFileBehindASymbolicLink) {
  const TemporaryDirectory directory;
  std::filesystem::create_directory(directory / "d");
  test::write_bytes(directory.path() / "d" / "real", Bytes(10));
  std::filesystem::create_symlink("d/real", directory / "link");
  const ToyIndex index(10, 20);
  ASSERT_TRUE(write_container(fs(), directory / "link", index.snapshot()));
  EXPECT_TRUE(std::filesystem::is_symlink(directory / "link"));
  expect_holds(*open(directory.path() / "d" / "real"), index);
}

TEST(WriteContainer, RefusesPathsThatCannotBeFiles) {
  const TemporaryDirectory directory;
  const ToyIndex index(10, 2);
  std::filesystem::create_directory(directory / "d");
  ASSERT_EQ(::mkfifo((directory / "fifo").c_str(), 0600), 0);
  struct Case {
    std::filesystem::path path;
    ErrorCode code;
  };
  const Case cases[] = {{directory / "d", ErrorCode::invalid_argument},
                        {directory / "d/", ErrorCode::invalid_argument},
                        {directory / "fifo", ErrorCode::invalid_argument},
                        {"", ErrorCode::invalid_argument},
                        {directory / std::string(300, 'x'), ErrorCode::invalid_argument},
                        {directory.path() / "none" / "a", ErrorCode::path_not_found}};
  for (const Case& refused : cases) {
    const auto written = write_container(fs(), refused.path, index.snapshot());
    ASSERT_FALSE(written) << refused.path;
    EXPECT_EQ(written.error().code(), refused.code) << written.error().message();
    EXPECT_EQ(written.error().message().rfind("save " + refused.path.string() + ": ", 0), 0u)
        << written.error().message();
  }
  EXPECT_EQ(directory.entries(), 2u);
}

TEST(WriteContainer, TakesTheLongestNamesAndPathsWithoutFolder) {
  const TemporaryDirectory directory;
  const auto path = directory / std::string(255, 'x');
  ASSERT_TRUE(write_container(fs(), path, ToyIndex(10, 2).snapshot()));
  EXPECT_TRUE(open(path));
  const auto before = std::filesystem::current_path();
  std::filesystem::current_path(directory.path());
  const auto written = write_container(fs(), "plain", ToyIndex(10, 2).snapshot());
  std::filesystem::current_path(before);
  ASSERT_TRUE(written) << written.error().message();
  EXPECT_TRUE(open(directory / "plain"));
}

TEST(WriteContainer, DoesNotWriteWhatNobodyWouldOpen) {
  const TemporaryDirectory directory;
  ToyIndex index(10, 20);
  index.counters.live = 21;
  EXPECT_EQ(write_container(fs(), directory / "a", index.snapshot()).error().code(),
            ErrorCode::internal);
  ToyIndex strides(10, 20);
  strides.parameters.hot_stride += 64;
  EXPECT_EQ(write_container(fs(), directory / "a", strides.snapshot()).error().code(),
            ErrorCode::internal);
  EXPECT_EQ(directory.entries(), 0u);
}

}  // namespace
}  // namespace cairn::format
