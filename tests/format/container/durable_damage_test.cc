// SPDX-License-Identifier: Apache-2.0
//
// Damage to log, journal and pages of a file that was not closed; recovery that is stopped or
// fails.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <functional>
#include <string>
#include <vector>

#include "format/bytes/log_frame.h"
#include "format/container/container.h"
#include "format/container/writable_container.h"
#include "tests/support/durable_script.h"
#include "tests/support/faulty_file_system.h"
#include "tests/support/file_image.h"
#include "tests/support/memory_file_system.h"

namespace cairn::format {
namespace {

using test::Bytes;
using test::difference;
using test::DurableScript;
using test::Fault;
using test::FaultyFileSystem;
using test::MemoryFileSystem;
using test::SectionsModel;
using test::Unclosed;
using test::unclosed_file;

const std::filesystem::path kPath = "/a";

Superblock newest(const Bytes& file) {
  const Superblock a = test::superblock_of(file, 0);
  const Superblock b = test::superblock_of(file, 1);
  return b.generation > a.generation ? b : a;
}

// The same as unclosed_file() in the middle of a checkpoint: the pages are not all in place.
const Unclosed& in_checkpoint() {
  static const Unclosed made = [] {
    for (std::uint64_t call = 0;; ++call) {
      MemoryFileSystem memory;
      FaultyFileSystem raw(memory, {call, EIO, Fault::Lasts::forever});
      DurableScript script(raw, kPath, 4);
      bool good = script.create().has_value();
      for (int i = 0; i < 6; ++i) {
        good = good && script.commit(4, i < 3) && script.acknowledge();
      }
      good = good && script.checkpoint_with([&]() -> Result<void> {
        auto done = script.commit(2, false);
        return done ? script.acknowledge() : done;
      });
      if (good || script.commits() < 7) continue;
      const Bytes file = memory.get(kPath);
      if (newest(file).has_journal()) return Unclosed{file, script.models()};
    }
  }();
  return made;
}

struct Frame {
  std::size_t offset;
  FrameHeader header;
};

// Of a log that lies in one segment.
std::vector<Frame> frames_of(const Bytes& file) {
  std::vector<Frame> frames;
  std::size_t at = newest(file).log_offset + kPageSize;
  std::uint64_t lsn = newest(file).log_first_lsn;
  for (;; ++lsn) {
    const auto header = FrameHeader::decode(
        std::span<const std::byte, frame_at::kSize>(file.data() + at, frame_at::kSize));
    if (!header || header->lsn != lsn) return frames;
    frames.push_back({at, *header});
    at += header->length;
  }
}

Result<WritableContainer> open_writer(MemoryFileSystem& memory, bool salvage = false) {
  FileSystem fs(memory);
  WriteOptions options = test::small_options();
  options.salvage = salvage;
  return WritableContainer::open(fs, kPath, options);
}

Result<Container> open_reader(MemoryFileSystem& memory, bool salvage = false) {
  FileSystem fs(memory);
  return Container::open(fs, kPath, Residency::map, Verify::full, salvage);
}

// The commit that the file holds for a reader and for a writer, or their common error.
Result<std::uint64_t> commit_in(const Bytes& file, const std::vector<SectionsModel>& models,
                                bool salvage = false) {
  MemoryFileSystem memory;
  memory.set(kPath, file);
  const auto read = open_reader(memory, salvage);
  const auto written = open_writer(memory, salvage);
  EXPECT_EQ(read.has_value(), written.has_value());
  if (!read) {
    EXPECT_TRUE(written || read.error().code() == written.error().code());
    return read.error();
  }
  if (!written) return written.error();
  const std::uint64_t commit = read->counters().applied_up_to;
  EXPECT_EQ(difference(*read, models.at(commit)), "");
  EXPECT_EQ(difference(*written, models.at(commit)), "");
  return commit;
}

TEST(DurableDamage, AFileThatWasNotClosedIsRecovered) {
  const auto commit = commit_in(unclosed_file().file, unclosed_file().models);
  ASSERT_TRUE(commit) << commit.error().message();
  EXPECT_EQ(*commit, 10u);
  EXPECT_EQ(frames_of(unclosed_file().file).size(), 6u);
  MemoryFileSystem memory;
  memory.set(kPath, unclosed_file().file);
  const auto written = open_writer(memory);
  EXPECT_EQ(written->stats().recovered_frames, 6u);
  EXPECT_EQ(written->stats().checkpoints, 1u);
  EXPECT_EQ(written->stats().log_frames, 0u);
}

TEST(DurableDamage, AnAcknowledgedFrameThatIsDamagedIsDataLossUnlessItIsTheLast) {
  const auto frames = frames_of(unclosed_file().file);
  for (std::size_t i = 0; i < frames.size(); ++i) {
    for (const std::size_t at : {0u, 8u, 17u, 25u, 33u, 60u, 64u, 200u}) {
      Bytes file = unclosed_file().file;
      file[frames[i].offset + at] ^= std::byte{16};
      const auto commit = commit_in(file, unclosed_file().models);
      if (i + 1 == frames.size()) {
        ASSERT_TRUE(commit) << commit.error().message();
        EXPECT_EQ(*commit, 9u);
        continue;
      }
      ASSERT_FALSE(commit) << "frame " << i << " byte " << at;
      EXPECT_EQ(commit.error().code(), ErrorCode::data_loss);
      EXPECT_EQ(commit.error().message(),
                "open /a: the log is damaged at " + std::to_string(frames[i].offset) + ": frame " +
                    std::to_string(frames[i].header.lsn) + " was on disk and cannot be read");
      const auto salvaged = commit_in(file, unclosed_file().models, true);
      ASSERT_TRUE(salvaged) << salvaged.error().message();
      EXPECT_EQ(*salvaged, 4 + i);
    }
  }
}

TEST(DurableDamage, NothingThatWasLostComesBackAfterSalvage) {
  const auto frames = frames_of(unclosed_file().file);
  MemoryFileSystem memory;
  Bytes file = unclosed_file().file;
  file[frames[1].offset + 70] ^= std::byte{1};
  memory.set(kPath, file);
  std::uint64_t lsn = 0;
  {
    auto opened = open_writer(memory, true);
    ASSERT_TRUE(opened);
    // Greater than any that was seen.
    EXPECT_GE(opened->stats().last_lsn, frames.back().header.lsn);
    lsn = opened->stats().last_lsn;
    Counters counters = opened->counters();
    counters.applied_up_to = 1234;
    const auto committed = opened->commit({}, counters);
    ASSERT_TRUE(committed);
    EXPECT_GT(*committed, lsn);
    ASSERT_TRUE(opened->sync());
    file = memory.get(kPath);
  }
  memory.set(kPath, file);
  const auto again = open_writer(memory);
  ASSERT_TRUE(again) << again.error().message();
  EXPECT_EQ(again->counters().applied_up_to, 1234u);
}

TEST(DurableDamage, TheFirstPageOfTheLogIsMissed) {
  Bytes file = unclosed_file().file;
  file[newest(file).log_offset + 9] ^= std::byte{1};
  EXPECT_EQ(commit_in(file, unclosed_file().models).error().code(), ErrorCode::data_loss);
  const auto salvaged = commit_in(file, unclosed_file().models, true);
  ASSERT_TRUE(salvaged);
  EXPECT_EQ(*salvaged, 4u);
}

TEST(DurableDamage, AFrameThatIsWholeAndNonsenseIsCorrupt) {
  const auto frames = frames_of(unclosed_file().file);
  const auto changed = [&](const std::function<void(std::byte * record)>& change) {
    Bytes file = unclosed_file().file;
    const Frame& last = frames.back();
    std::byte* const frame = file.data() + last.offset;
    change(frame + frame_at::kSize);
    seal_frame({frame, last.header.length}, last.header.salt, last.header.previous,
               last.header.durable_lsn);
    const auto commit = commit_in(file, unclosed_file().models);
    return commit ? "" : std::string(error_name(commit.error().code()));
  };
  EXPECT_EQ(changed([](std::byte*) {}), "");
  EXPECT_EQ(changed([](std::byte* r) { store<record_at::kKind>(r, 0); }), "corrupt");
  EXPECT_EQ(changed([](std::byte* r) { store<record_at::kKind>(r, 2); }), "corrupt");
  EXPECT_EQ(changed([](std::byte* r) { store<record_at::kKind>(r, 3); }), "corrupt");
  EXPECT_EQ(changed([](std::byte* r) { store<record_at::kKind>(r, 4); }), "corrupt");
  EXPECT_EQ(changed([](std::byte* r) { store<record_at::kKind>(r, 5); }), "corrupt");
  EXPECT_EQ(changed([](std::byte* r) { store<record_at::kSection>(r, 0); }), "corrupt");
  EXPECT_EQ(changed([](std::byte* r) { store<record_at::kSection>(r, 7); }), "corrupt");
  EXPECT_EQ(changed([](std::byte* r) { store<record_at::kSection>(r, 0xFFFF); }), "corrupt");
  EXPECT_EQ(changed([](std::byte* r) { store<record_at::kLength>(r, 0); }), "corrupt");
  EXPECT_EQ(changed([](std::byte* r) { store<record_at::kLength>(r, 0xFFFFFFFF); }), "corrupt");
  EXPECT_EQ(changed([](std::byte* r) { store<record_at::kOffset>(r, UINT64_MAX); }), "corrupt");
  EXPECT_EQ(changed([](std::byte* r) { store<record_at::kOffset>(r, 1 << 20); }), "corrupt");
}

// Opens it in every way; each must refuse it, and read little.
void expect_corrupt_and_little_read(const Bytes& file) {
  for (const bool salvage : {false, true}) {
    for (const bool writes : {false, true}) {
      MemoryFileSystem memory;
      memory.set(kPath, file);
      FaultyFileSystem raw(memory, {});
      FileSystem fs(raw);
      WriteOptions options = test::small_options();
      options.salvage = salvage;
      options.progress = [](std::uint64_t, std::uint64_t) {};
      const auto error = [](const auto& opened) {
        return opened ? std::string("opened") : std::string(error_name(opened.error().code()));
      };
      EXPECT_EQ(writes
                    ? error(WritableContainer::open(fs, kPath, options))
                    : error(Container::open(fs, kPath, Residency::map, Verify::metadata, salvage)),
                "corrupt");
      EXPECT_LT(raw.bytes_read(), 8 * file.size());
    }
  }
}

constexpr std::size_t kForged = std::size_t{4} << 20;

TEST(DurableDamage, WhatOnlyLooksLikeLaterFramesIsNotReadAgainAndAgain) {
  Bytes file = unclosed_file().file;
  const Superblock block = newest(file);
  const std::size_t end = file.size();
  file.resize(end + kForged);
  for (std::size_t at = end; at < file.size(); at += kPageSize) {
    std::byte* const frame = file.data() + at;
    store<frame_at::kMagic>(frame, kFrameMagic);
    store<frame_at::kLength>(frame, static_cast<std::uint32_t>(file.size() - at));
    store<frame_at::kLsn>(frame, block.log_first_lsn + 1000);
    store<frame_at::kSalt>(frame, block.log_salt);
  }
  expect_corrupt_and_little_read(file);
}

// Each in a segment of its own within the one before, whose checksum is therefore right.
TEST(DurableDamage, FramesWithinFramesAreNotReplayed) {
  Bytes file = unclosed_file().file;
  Superblock block = newest(file);
  const std::size_t begin = file.size();
  file.resize(begin + kForged);
  const std::size_t depth = kForged / kPageSize / 3;
  // Segment i: its first page, a frame up to the last page, and there the jump to segment i + 1.
  const auto first_page = [&](std::size_t i) { return begin + 2 * i * kPageSize; };
  const auto jump = [&](std::size_t i) { return file.size() - (i + 1) * kPageSize; };
  for (std::size_t i = depth; i-- > 0;) {
    SegmentHeader header{block.log_salt, block.log_first_lsn + 2 * i,
                         jump(i) + kPageSize - first_page(i), i, 0};
    header.encode(
        std::span<std::byte, segment_at::kSize>(file.data() + first_page(i), segment_at::kSize));
    Bytes frame;
    FrameBuilder(frame, header.first_lsn);
    const std::size_t at = first_page(i) + kPageSize;
    std::copy(frame.begin(), frame.end(), file.begin() + static_cast<std::ptrdiff_t>(at));
    const std::uint64_t chain =
        seal_frame({file.data() + at, jump(i) - at}, block.log_salt, header.checksum, 0);
    frame.clear();
    FrameBuilder(frame, header.first_lsn + 1).add(RecordKind::jump, 0, first_page(i + 1), {});
    frame.resize(kPageSize);
    seal_frame(frame, block.log_salt, chain, 0);
    std::copy(frame.begin(), frame.end(), file.begin() + static_cast<std::ptrdiff_t>(jump(i)));
  }
  block.log_offset = begin;
  block.file_size = file.size();
  test::set_superblock(file, block);
  expect_corrupt_and_little_read(file);
}

void expect_refused(const Bytes& file, const char* because) {
  MemoryFileSystem memory;
  for (const bool salvage : {false, true}) {
    memory.restore(kPath, file);
    FileSystem fs(memory);
    const auto read = Container::open(fs, kPath, Residency::map, Verify::metadata, salvage);
    ASSERT_FALSE(read) << because;
    EXPECT_EQ(read.error().code(), ErrorCode::corrupt) << read.error().message();
    EXPECT_NE(read.error().message().find(because), std::string::npos) << read.error().message();
    const auto written = open_writer(memory, salvage);
    ASSERT_FALSE(written) << because;
    EXPECT_EQ(written.error().code(), ErrorCode::corrupt) << written.error().message();
    EXPECT_EQ(memory.get(kPath).size(), file.size());
  }
}

// The segment is as it was, in the middle of a run that its only frame adds.
TEST(DurableDamage, ALogSegmentInARunIsRefused) {
  const Unclosed& made = unclosed_file();
  Superblock block = newest(made.file);
  Bytes file = made.file;
  const Extent last = block.extents[block.extents.size() - 1];
  ASSERT_EQ(last.section, kChecksumId);
  const std::uint64_t begin = round_up(file.size(), kPageSize);
  file.resize(begin + 8 * kPageSize);
  const std::uint64_t segment = begin + 2 * kPageSize;
  ++block.log_salt;  // of the old log nothing is left
  SegmentHeader header{block.log_salt, block.log_first_lsn, 2 * kPageSize, 99, 0};
  header.encode(std::span<std::byte, segment_at::kSize>(file.data() + segment, segment_at::kSize));
  const Extent run{kChecksumId, 0, last.logical_offset + last.length, 8 * kPageSize, begin, 0, 0};
  std::array<std::byte, Extent::kEncodedSize> encoded;
  run.encode(encoded);
  Bytes frame;
  FrameBuilder(frame, block.log_first_lsn).add(RecordKind::run, run.section, 0, encoded);
  frame.resize(kPageSize);
  seal_frame(frame, block.log_salt, header.checksum, 0);
  std::copy(frame.begin(), frame.end(),
            file.begin() + static_cast<std::ptrdiff_t>(segment + kPageSize));
  block.log_offset = segment;
  block.file_size = file.size();
  test::set_superblock(file, block);
  expect_refused(file, "overlaps");
}

TEST(DurableDamage, FramesThatCannotBeAreRefused) {
  const std::vector<Frame> frames = frames_of(unclosed_file().file);
  const Frame& gap = frames[frames.size() - 3];
  const Frame& later = frames[frames.size() - 2];
  for (const auto& [lsn, durable] : std::vector<std::pair<std::uint64_t, std::uint64_t>>{
           {UINT64_MAX, 1}, {kMaxNumber + 1, 1}, {later.header.lsn, UINT64_MAX}}) {
    Bytes file = unclosed_file().file;
    file[gap.offset] ^= std::byte{1};
    store<frame_at::kLsn>(file.data() + later.offset, lsn);
    seal_frame({file.data() + later.offset, later.header.length}, later.header.salt,
               later.header.previous, durable);
    expect_refused(file, "says that frame");
  }
}

TEST(DurableDamage, AWriterRefusesNumbersThatItCannotCountOnFrom) {
  MemoryFileSystem memory;
  Bytes file = unclosed_file().file;
  Superblock block = newest(file);
  block.generation = kMaxNumber / 2 + 1;
  test::set_superblock(file, block);
  memory.restore(kPath, file);
  FileSystem fs(memory);
  EXPECT_TRUE(Container::open(fs, kPath, Residency::map, Verify::metadata));
  const auto written = open_writer(memory);
  ASSERT_FALSE(written);
  EXPECT_EQ(written.error().code(), ErrorCode::corrupt);
}

TEST(DurableDamage, ACheckpointThatWasCutShortIsFinished) {
  ASSERT_TRUE(newest(in_checkpoint().file).has_journal());
  const auto commit = commit_in(in_checkpoint().file, in_checkpoint().models);
  ASSERT_TRUE(commit) << commit.error().message();
  EXPECT_EQ(*commit, 7u);
}

TEST(DurableDamage, AJournalThatIsDamagedIsCorrupt) {
  const Superblock block = newest(in_checkpoint().file);
  for (std::uint64_t at = 0; at < block.journal_bytes; at += 1021) {
    Bytes file = in_checkpoint().file;
    file[block.journal_offset + at] ^= std::byte{4};
    const auto commit = commit_in(file, in_checkpoint().models);
    ASSERT_FALSE(commit) << at;
    EXPECT_EQ(commit.error().code(), ErrorCode::corrupt);
  }
}

TEST(DurableDamage, RecoveryThatFailsAtAnyCallCanBeRepeated) {
  for (const Unclosed* const made : {&unclosed_file(), &in_checkpoint()}) {
    for (const int error : {EIO, ENOSPC, EINTR, ENOMEM, 0}) {
      std::uint64_t failed = 0;
      for (std::uint64_t call = 0;; ++call) {
        MemoryFileSystem memory;
        memory.set(kPath, made->file);
        FaultyFileSystem raw(memory, {call, error, Fault::Lasts::once});
        FileSystem fs(raw);
        bool happened = false;
        {
          const auto opened = WritableContainer::open(fs, kPath, test::small_options());
          happened = raw.has_failed();
          if (!opened) {
            ++failed;
            EXPECT_TRUE(error != EINTR && error != 0);
            EXPECT_EQ(opened.error().code(), error_code_of(error)) << opened.error().message();
          }
        }
        const auto commit = commit_in(memory.get(kPath), made->models);
        ASSERT_TRUE(commit) << call << ": " << commit.error().message();
        ASSERT_EQ(*commit, made->models.size() - 1) << call;
        if (!happened) break;
      }
      EXPECT_EQ(failed > 15, error != EINTR && error != 0);
    }
  }
}

TEST(DurableDamage, RecoveryCanBeStopped) {
  MemoryFileSystem memory;
  memory.set(kPath, unclosed_file().file);
  const std::atomic<bool> stop{true};
  WriteOptions options = test::small_options();
  options.stop = &stop;
  FileSystem fs(memory);
  const auto stopped = WritableContainer::open(fs, kPath, options);
  ASSERT_FALSE(stopped);
  EXPECT_EQ(stopped.error().code(), ErrorCode::cancelled);
  EXPECT_EQ(*commit_in(memory.get(kPath), unclosed_file().models), 10u);
}

TEST(DurableDamage, ADamagedPageGetsNoNewChecksum) {
  MemoryFileSystem memory;
  DurableScript script(memory, kPath, 5);
  ASSERT_TRUE(script.create());
  ASSERT_TRUE(script.commit(1, false));
  ASSERT_TRUE(script.commit(40, true));
  ASSERT_TRUE(script.close());
  Bytes file = memory.get(kPath);
  for (const Extent& run : newest(file).extents) {
    if (run.section == static_cast<std::uint16_t>(SectionId::checksum)) continue;
    for (std::uint64_t at = 5; at < run.length; at += kPageSize) {
      file[run.file_offset + at] ^= std::byte{1};
    }
  }
  memory.set(kPath, file);
  ASSERT_TRUE(script.open());
  const auto lsn = script.container().commit(std::vector<Change>{{SectionId::hot, 100, 1}},
                                             script.container().counters());
  ASSERT_TRUE(lsn);
  const auto done = script.checkpoint();
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().code(), ErrorCode::corrupt);
  EXPECT_NE(done.error().message().find("HOT page 0"), std::string::npos);
  EXPECT_TRUE(script.container().health());
  EXPECT_EQ(script.container().stats().dirty_pages, 1u);
  const auto report = script.container().verify_pages(1, {}, nullptr);
  ASSERT_TRUE(report);
  EXPECT_FALSE(report->findings.empty());
}

}  // namespace
}  // namespace cairn::format
