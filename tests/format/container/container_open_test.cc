// SPDX-License-Identifier: Apache-2.0
//
// Opening and verifying files.
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <algorithm>
#include <atomic>
#include <cstring>
#include <string>

#include "format/container/container.h"
#include "format/pages/checksum_tree.h"
#include "tests/support/file_image.h"
#include "tests/support/temporary_directory.h"

namespace cairn::format {
namespace {

using test::Bytes;
using test::TemporaryDirectory;
using test::ToyIndex;

Result<Container> open(const std::filesystem::path& path, Residency residency = Residency::map,
                       Verify verify = Verify::metadata) {
  return Container::open(default_file_system(), path, residency, verify);
}

// A small file, damaged by `damage`, then opened.
template <class Damage>
Result<Container> open_damaged(const TemporaryDirectory& directory, Damage&& damage,
                               Residency residency = Residency::map,
                               Verify verify = Verify::metadata) {
  Bytes file = test::many_run_file(ToyIndex(20, 100), {3, 1});
  damage(file);
  test::write_bytes(directory / "a", file);
  return open(directory / "a", residency, verify);
}

TEST(OpenContainer, ReadsFewBytesWhateverTheSize) {
  const TemporaryDirectory directory;
  std::uint64_t bytes[2];
  for (int i = 0; i < 2; ++i) {
    const auto path = directory / std::to_string(i);
    const ToyIndex index(100, i == 0 ? 10 : 20000);
    ASSERT_TRUE(write_container(default_file_system(), path, index.snapshot()));
    bytes[i] = open(path)->bytes_read_at_open();
  }
  EXPECT_EQ(bytes[0], bytes[1]);
  EXPECT_LT(bytes[0], 64u << 10);
}

TEST(OpenContainer, PutsManyRunsTogether) {
  const TemporaryDirectory directory;
  const ToyIndex index(100, 200);
  const std::vector<std::uint64_t> layouts[] = {{1}, {2, 3, 5}, {7}, {100, 1}};
  for (const auto& pieces : layouts) {
    test::write_bytes(directory / "a", test::many_run_file(index, pieces));
    for (const Residency residency : {Residency::map, Residency::load}) {
      const auto container = open(directory / "a", residency, Verify::full);
      ASSERT_TRUE(container) << container.error().message();
      for (std::size_t i = 0; i < kDataSectionCount; ++i) {
        EXPECT_EQ(std::memcmp(container->section(static_cast<SectionId>(i + 1)).data(),
                              index.sections[i].data(), index.sections[i].size()),
                  0);
      }
      EXPECT_TRUE(container->verify_pages(2, {}, nullptr)->findings.empty());
    }
  }
}

TEST(OpenContainer, LargeRunsBehindSmallOnesKeepTheirAlignment) {
  const TemporaryDirectory directory;
  const ToyIndex index(100, 16000);
  test::write_bytes(directory / "a", test::many_run_file(index, {256, 600}));
  const auto container = open(directory / "a", Residency::map, Verify::full);
  ASSERT_TRUE(container) << container.error().message();
  EXPECT_EQ(std::memcmp(container->section(SectionId::hot).data(), index.sections[0].data(),
                        index.sections[0].size()),
            0);
}

TEST(OpenContainer, TheHigherGenerationWins) {
  const TemporaryDirectory directory;
  for (const std::size_t newer : {0u, 1u}) {
    const auto container = open_damaged(directory, [&](Bytes& file) {
      std::byte* const slot = file.data() + kSuperblockOffsets[newer];
      store<superblock_at::kGeneration>(slot, 5);
      test::repair_slot(file, newer);
    });
    ASSERT_TRUE(container);
    EXPECT_EQ(container->generation(), 5u);
  }
}

TEST(OpenContainer, NewerSlotWithBadChecksumFallsBackToOlder) {
  const TemporaryDirectory directory;
  for (const std::size_t newer : {0u, 1u}) {
    const auto container = open_damaged(directory, [&](Bytes& file) {
      store<superblock_at::kGeneration>(file.data() + kSuperblockOffsets[newer], 5);
    });
    ASSERT_TRUE(container);
    EXPECT_EQ(container->generation(), 1u);
    const auto report = container->verify_pages(1, {}, nullptr);
    ASSERT_EQ(report->findings.size(), 1u);
    EXPECT_EQ(report->findings[0].rfind("superblock " + std::to_string(newer) + " at ", 0), 0u);
  }
}

TEST(OpenContainer, TwoBadSlotsAreCorruptAndBothAreTold) {
  const TemporaryDirectory directory;
  const auto container = open_damaged(directory, [](Bytes& file) {
    file[kSuperblockOffsets[0] + 200] ^= std::byte{1};
    file[kSuperblockOffsets[1] + 200] ^= std::byte{1};
  });
  ASSERT_FALSE(container);
  EXPECT_EQ(container.error().code(), ErrorCode::corrupt);
  const std::string& message = container.error().message();
  EXPECT_EQ(message.rfind(
                "open " + (directory / "a").string() + ": superblock 0 at 65536: checksum 0x", 0),
            0u)
      << message;
  EXPECT_NE(message.find("; superblock 1 at 131072: checksum 0x"), std::string::npos) << message;
}

TEST(OpenContainer, ANewestSlotThatCannotBeReadIsNotReplacedByAnOlderOne) {
  const TemporaryDirectory directory;
  const auto container = open_damaged(directory, [](Bytes& file) {
    std::byte* const slot = file.data() + kSuperblockOffsets[1];
    store<superblock_at::kGeneration>(slot, 2);
    store<superblock_at::kFeatureIncompat>(slot, ~kKnownIncompat);
    test::repair_slot(file, 1);
  });
  ASSERT_FALSE(container);
  EXPECT_EQ(container.error().code(), ErrorCode::feature_unsupported);
}

TEST(OpenContainer, SlotsOfAnotherFileAreNotBelieved) {
  const TemporaryDirectory directory;
  const Bytes other = test::many_run_file(ToyIndex(20, 50), {3, 1});
  const auto container = open_damaged(directory, [&](Bytes& file) {
    for (const std::uint64_t at : kSuperblockOffsets) {
      std::memcpy(file.data() + at, other.data() + at, Superblock::kEncodedSize);
    }
  });
  ASSERT_FALSE(container);
  EXPECT_NE(container.error().message().find("uuid of another file"), std::string::npos);
}

TEST(OpenContainer, OtherFilesAreNotCairnFiles) {
  const TemporaryDirectory directory;
  for (const std::size_t size : {0u, 1u, 7u, 8u, 4095u, 4096u, 300000u}) {
    Bytes file(size);
    for (std::size_t i = 0; i < size; ++i) file[i] = static_cast<std::byte>(i % 251);
    test::write_bytes(directory / "a", file);
    const auto container = open(directory / "a");
    ASSERT_FALSE(container) << size;
    EXPECT_EQ(container.error().code(), ErrorCode::not_a_cairn_file) << size;
  }
}

TEST(OpenContainer, DirectoriesFifosAndMissingFilesAreRefused) {
  const TemporaryDirectory directory;
  EXPECT_EQ(open(directory.path()).error().code(), ErrorCode::invalid_argument);
  EXPECT_EQ(open(directory / "none").error().code(), ErrorCode::path_not_found);
  ASSERT_EQ(::mkfifo((directory / "fifo").c_str(), 0600), 0);
  EXPECT_EQ(open(directory / "fifo").error().code(), ErrorCode::invalid_argument);
}

TEST(OpenContainer, DamagedPagesAreFoundByLoadAndByFullVerification) {
  const TemporaryDirectory directory;
  for (std::uint16_t id = 1; id <= kDataSectionCount; ++id) {
    const auto section = static_cast<SectionId>(id);
    const auto damage = [&](Bytes& file) {
      file[test::place_of(file, section, 9)] ^= std::byte{4};
    };
    EXPECT_TRUE(open_damaged(directory, damage)) << id;
    for (const Residency residency : {Residency::map, Residency::load}) {
      const auto container = open_damaged(directory, damage, residency, Verify::full);
      ASSERT_FALSE(container) << id;
      EXPECT_EQ(container.error().code(), ErrorCode::corrupt);
      EXPECT_NE(container.error().message().find(section_name(id) + " page 0 at "),
                std::string::npos)
          << container.error().message();
    }
  }
}

TEST(OpenContainer, UnknownIgnorableSectionsAreVerifiedButNotMapped) {
  const TemporaryDirectory directory;
  Bytes file = test::many_run_file(ToyIndex(20, 100), {3, 1});
  store<header_at::kSectionCount>(file.data(), 8);
  std::byte* const entry = file.data() + header_at::kSections.offset + 7 * section_entry_at::kSize;
  store<section_entry_at::kId>(entry, 8);
  store<section_entry_at::kFlags>(entry, kSectionIgnorable | kSectionChecksummed);
  test::repair_header(file);
  Superblock block = test::superblock_of(file);
  // Its page and its tree are behind everything else; the tree needs one more run of CHECKSUM.
  const std::uint64_t tree = block.extents.back().logical_offset + kPageSize;
  block.extents.push_back({7, 0, tree, kPageSize, file.size(), 0, 0});
  block.extents.push_back({8, 0, 0, kPageSize, file.size() + kPageSize, tree, 0});
  file.resize(file.size() + 2 * kPageSize);
  file[file.size() - 5] = std::byte{5};
  block.file_size = file.size();
  test::set_superblock(file, block);
  test::write_bytes(directory / "a", file);
  const auto container = open(directory / "a");
  ASSERT_TRUE(container) << container.error().message();
  EXPECT_EQ(container->verify_pages(1, {}, nullptr)->findings.size(), 1u);
}

TEST(VerifyPages, CountsEveryPageAndReportsProgress) {
  const TemporaryDirectory directory;
  const ToyIndex index(100, 9000);
  ASSERT_TRUE(write_container(default_file_system(), directory / "a", index.snapshot()));
  const auto container = open(directory / "a");
  std::uint64_t last = 0;
  const auto report = container->verify_pages(
      2,
      [&](std::uint64_t done) {
        EXPECT_GT(done, last);
        last = done;
      },
      nullptr);
  ASSERT_TRUE(report);
  EXPECT_TRUE(report->findings.empty());
  EXPECT_EQ(report->pages_checked, container->page_count());
  EXPECT_EQ(last, container->page_count());
  std::uint64_t pages = 9;
  for (const Extent& run : test::superblock_of(test::read_bytes(directory / "a")).extents) {
    pages += run.length / kPageSize;
  }
  EXPECT_EQ(container->page_count(), pages);
}

TEST(VerifyPages, ReportsEachDamagedPageInFileOrder) {
  const TemporaryDirectory directory;
  const auto container = open_damaged(directory, [](Bytes& file) {
    file[test::place_of(file, SectionId::key, 100)] ^= std::byte{1};
    file[test::place_of(file, SectionId::hot, 5 * 4096 + 7)] ^= std::byte{1};
    file[test::place_of(file, SectionId::hot, 4096)] ^= std::byte{1};
  });
  ASSERT_TRUE(container);
  const auto report = container->verify_pages(2, {}, nullptr);
  ASSERT_EQ(report->findings.size(), 3u);
  EXPECT_EQ(report->findings[0].rfind("HOT page 1 at ", 0), 0u) << report->findings[0];
  EXPECT_EQ(report->findings[1].rfind("HOT page 5 at ", 0), 0u) << report->findings[1];
  EXPECT_EQ(report->findings[2].rfind("KEY page 0 at ", 0), 0u) << report->findings[2];
}

TEST(VerifyPages, ADamagedTreePageIsOneFinding) {
  const TemporaryDirectory directory;
  const ToyIndex index(100, 9000);
  ASSERT_TRUE(write_container(default_file_system(), directory / "a", index.snapshot()));
  Bytes file = test::read_bytes(directory / "a");
  const Superblock block = test::superblock_of(file);
  // HOT has several pages of level 1 and one of level 2.
  const TreeShape shape(block.extents[0].length / kPageSize);
  ASSERT_EQ(shape.depth(), 2u);
  for (const std::uint64_t page : {std::uint64_t{0}, shape.first_page(1)}) {
    Bytes damaged = file;
    damaged[test::place_of(file, SectionId::checksum,
                           block.extents[0].tree_offset + page * kPageSize)] ^= std::byte{1};
    test::write_bytes(directory / "a", damaged);
    const auto report = open(directory / "a")->verify_pages(2, {}, nullptr);
    ASSERT_EQ(report->findings.size(), 1u);
    EXPECT_EQ(report->findings[0].rfind("checksum tree of HOT", 0), 0u) << report->findings[0];
    const auto loaded = open(directory / "a", Residency::load);
    ASSERT_FALSE(loaded);
    EXPECT_EQ(loaded.error().code(), ErrorCode::corrupt);
  }
}

TEST(VerifyPages, AFileThatShrankIsAFindingNotACrash) {
  const TemporaryDirectory directory;
  const auto container = open_damaged(directory, [](Bytes&) {});
  ASSERT_TRUE(container);
  std::filesystem::resize_file(directory / "a", kFirstRunOffset + 100);
  const auto report = container->verify_pages(2, {}, nullptr);
  ASSERT_TRUE(report);
  EXPECT_FALSE(report->findings.empty());
}

TEST(VerifyPages, FindingsOfARuinedFileAreLimited) {
  const TemporaryDirectory directory;
  const ToyIndex index(100, 16000);
  ASSERT_TRUE(write_container(default_file_system(), directory / "a", index.snapshot()));
  Bytes file = test::read_bytes(directory / "a");
  for (const Extent& run : test::superblock_of(file).extents) {
    if (run.section == 7) continue;
    for (std::uint64_t at = 0; at < run.length; at += kPageSize) {
      file[run.file_offset + at] ^= std::byte{1};
    }
  }
  test::write_bytes(directory / "a", file);
  const auto report = open(directory / "a")->verify_pages(2, {}, nullptr);
  ASSERT_EQ(report->findings.size(), 1001u);
  EXPECT_NE(report->findings.back().find(" more findings"), std::string::npos);
}

TEST(VerifyPages, CanBeStopped) {
  const TemporaryDirectory directory;
  const auto container = open_damaged(directory, [](Bytes&) {});
  const std::atomic<bool> stop{true};
  const auto report = container->verify_pages(2, {}, &stop);
  ASSERT_FALSE(report);
  EXPECT_EQ(report.error().code(), ErrorCode::cancelled);
}

}  // namespace
}  // namespace cairn::format
