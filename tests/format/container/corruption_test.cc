// SPDX-License-Identifier: Apache-2.0
//
// Files with a flipped bit, and files that are cut off.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "format/container/container.h"
#include "tests/support/file_image.h"
#include "tests/support/temporary_directory.h"

namespace cairn::format {
namespace {

using test::Bytes;
using test::TemporaryDirectory;
using test::ToyIndex;

struct Range {
  std::uint64_t begin;
  std::uint64_t end;
};

// What header, slots and runs do not take up: docs/format.md, "Not covered by any checksum".
std::vector<Range> gaps_of(const Bytes& file) {
  std::vector<Range> used = {{0, 4096}, {65536, 81920}, {131072, 147456}};
  for (const Extent& run : test::superblock_of(file).extents) {
    used.push_back({run.file_offset, run.file_offset + run.length});
  }
  std::sort(used.begin(), used.end(),
            [](const Range& a, const Range& b) { return a.begin < b.begin; });
  std::vector<Range> gaps;
  std::uint64_t end = 0;
  for (const Range& range : used) {
    if (range.begin > end) gaps.push_back({end, range.begin});
    end = range.end;
  }
  if (end < file.size()) gaps.push_back({end, file.size()});
  return gaps;
}

// A file that is changed in place between openings.
class Patient {
 public:
  Patient(const TemporaryDirectory& directory, const Bytes& bytes)
      : path_(directory / "patient"), bytes_(bytes) {
    test::write_bytes(path_, bytes);
    auto file = default_file_system().open(path_, Access::read_write);
    if (!file) std::abort();
    file_ = std::make_unique<File>(std::move(*file));
    auto opened = Container::open(default_file_system(), path_, Residency::map, Verify::metadata);
    if (!opened) std::abort();
    opened_ = std::make_unique<Container>(std::move(*opened));
  }

  void flip(std::uint64_t at, unsigned bit) {
    bytes_[at] ^= static_cast<std::byte>(1u << bit);
    if (!file_->pwrite(std::span(bytes_).subspan(at, 1), at)) std::abort();
  }
  void cut(std::uint64_t size) {
    if (!file_->truncate(size)) std::abort();
  }
  // Whether opening or verifying notices anything.
  bool is_noticed() const {
    const auto container =
        Container::open(default_file_system(), path_, Residency::map, Verify::metadata);
    if (!container) return true;
    const auto report = container->verify_pages(1, {}, nullptr);
    return !report || !report->findings.empty();
  }
  // The same for a change in a run, which opening does not look at.
  bool is_noticed_in_runs() const {
    const auto report = opened_->verify_pages(1, {}, nullptr);
    return !report || !report->findings.empty();
  }
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
  Bytes bytes_;
  std::unique_ptr<File> file_;
  std::unique_ptr<Container> opened_;
};

Bytes small_file() { return test::many_run_file(ToyIndex(8, 20), {2}); }

TEST(Corruption, AFlippedBitInAnyCoveredByteIsNoticed) {
  const TemporaryDirectory directory;
  const Bytes file = small_file();
  Patient patient(directory, file);
  ASSERT_FALSE(patient.is_noticed());
  const std::vector<Range> gaps = gaps_of(file);
  // One bit of each byte, each of the eight in turn; all of them where CAIRN_TEST_ALL_BITS is set.
  const unsigned bits = std::getenv("CAIRN_TEST_ALL_BITS") != nullptr ? 8 : 1;
  std::uint64_t flipped = 0;
  std::size_t gap = 0;
  for (std::uint64_t at = 0; at < file.size(); ++at) {
    if (gap < gaps.size() && at == gaps[gap].begin) {
      at = gaps[gap++].end - 1;
      continue;
    }
    for (unsigned i = 0; i < bits; ++i) {
      const unsigned bit = static_cast<unsigned>(at + i) % 8;
      patient.flip(at, bit);
      const bool is_in_run = at >= kFirstRunOffset;
      ASSERT_TRUE(is_in_run ? patient.is_noticed_in_runs() : patient.is_noticed())
          << "bit " << bit << " of byte " << at;
      patient.flip(at, bit);
      ++flipped;
    }
  }
  std::uint64_t covered = 36864;
  for (const Extent& run : test::superblock_of(file).extents) covered += run.length;
  EXPECT_EQ(flipped, bits * covered);
  EXPECT_FALSE(patient.is_noticed());
}

TEST(Corruption, EveryBitOfTheMetadataInUseIsNoticed) {
  const TemporaryDirectory directory;
  const Bytes file = small_file();
  Patient patient(directory, file);
  const std::uint64_t extents = test::superblock_of(file).extents.size();
  const Range ranges[] = {
      {0, 256},
      {header_at::kChecksum.offset, header_at::kSize},
      {kSuperblockOffsets[0], kSuperblockOffsets[0] + 320},
      {kSuperblockOffsets[0] + superblock_at::kExtents.offset,
       kSuperblockOffsets[0] + superblock_at::kExtents.offset + extents * Extent::kEncodedSize}};
  for (const Range& range : ranges) {
    for (std::uint64_t at = range.begin; at < range.end; ++at) {
      for (unsigned bit = 0; bit < 8; ++bit) {
        patient.flip(at, bit);
        ASSERT_TRUE(patient.is_noticed()) << "bit " << bit << " of byte " << at;
        patient.flip(at, bit);
      }
    }
  }
}

TEST(Corruption, OnlyTheDocumentedGapsAreUncovered) {
  const TemporaryDirectory directory;
  const Bytes file = small_file();
  const std::vector<Range> gaps = gaps_of(file);
  ASSERT_EQ(gaps.size(), 3u);
  const Range expected[] = {{4096, 65536}, {81920, 131072}, {147456, 262144}};
  Patient patient(directory, file);
  for (std::size_t i = 0; i < 3; ++i) {
    EXPECT_EQ(gaps[i].begin, expected[i].begin);
    EXPECT_EQ(gaps[i].end, expected[i].end);
    for (std::uint64_t at = gaps[i].begin; at < gaps[i].end; at += 509) {
      patient.flip(at, at % 8);
      ASSERT_FALSE(patient.is_noticed()) << at;
    }
    patient.flip(gaps[i].end - 1, 0);
    ASSERT_FALSE(patient.is_noticed());
  }
}

TEST(Corruption, ASavedFileHasZerosInItsGaps) {
  const TemporaryDirectory directory;
  ASSERT_TRUE(
      write_container(default_file_system(), directory / "a", ToyIndex(100, 9000).snapshot()));
  const Bytes file = test::read_bytes(directory / "a");
  for (const Range& gap : gaps_of(file)) {
    for (std::uint64_t at = gap.begin; at < gap.end; ++at) ASSERT_EQ(file[at], std::byte{0}) << at;
  }
}

TEST(Corruption, AFileCutOffAnywhereIsRefused) {
  const TemporaryDirectory directory;
  const Bytes file = small_file();
  Patient patient(directory, file);
  // Every length, but for most of those far from a page's end; all where CAIRN_TEST_ALL_LENGTHS is
  // set.
  const bool all = std::getenv("CAIRN_TEST_ALL_LENGTHS") != nullptr;
  for (std::uint64_t size = file.size(); size-- > 0;) {
    if (!all && size % 11 != 0 && (size + 8) % kPageSize > 16) continue;
    patient.cut(size);
    const auto container =
        Container::open(default_file_system(), patient.path(), Residency::map, Verify::metadata);
    ASSERT_FALSE(container) << size;
    const ErrorCode expected = size >= 8 ? ErrorCode::truncated : ErrorCode::not_a_cairn_file;
    ASSERT_EQ(container.error().code(), expected) << size << " " << container.error().message();
  }
}

TEST(Corruption, BytesBehindTheEndAreIgnored) {
  const TemporaryDirectory directory;
  Bytes file = small_file();
  file.resize(file.size() + 777, std::byte{7});
  test::write_bytes(directory / "a", file);
  EXPECT_TRUE(
      Container::open(default_file_system(), directory / "a", Residency::map, Verify::full));
}

}  // namespace
}  // namespace cairn::format
