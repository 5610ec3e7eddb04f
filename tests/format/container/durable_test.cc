// SPDX-License-Identifier: Apache-2.0
//
// A file that is open for writing: commits, growth, checkpoints, reopening, locks and failures.
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <cstring>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "format/container/container.h"
#include "format/container/writable_container.h"
#include "tests/support/durable_script.h"
#include "tests/support/file_image.h"
#include "tests/support/memory_file_system.h"
#include "tests/support/recording_file_system.h"
#include "tests/support/temporary_directory.h"

namespace cairn::format {
namespace {

using test::difference;
using test::DurableScript;
using test::small_options;
using test::small_parameters;
using test::TemporaryDirectory;

FileSystem& fs() { return default_file_system(); }

#define ASSERT_GOOD(expression)                  \
  do {                                           \
    const auto good = (expression);              \
    ASSERT_TRUE(good) << good.error().message(); \
  } while (false)

TEST(Durable, WhatIsCommittedIsThereAfterClosing) {
  const TemporaryDirectory directory;
  const auto path = directory / "a";
  DurableScript script(posix_file_system(), path, 1);
  ASSERT_GOOD(script.create());
  for (int round = 0; round < 4; ++round) {
    for (std::size_t i = 0; i < 30; ++i) {
      ASSERT_GOOD(script.commit(1 + i % 7, i % 9 == 0));
      ASSERT_GOOD(script.acknowledge());
      if (i == 20) ASSERT_GOOD(script.checkpoint());
    }
    ASSERT_EQ(difference(script.container(), script.models().back()), "");
    const auto report = script.container().verify_pages(1, {}, nullptr);
    ASSERT_TRUE(report);
    EXPECT_TRUE(report->findings.empty()) << report->findings.front();
    ASSERT_GOOD(script.close());
    for (const Residency residency : {Residency::map, Residency::load}) {
      const auto read = Container::open(fs(), path, residency, Verify::full);
      ASSERT_TRUE(read) << read.error().message();
      EXPECT_EQ(difference(*read, script.models().back()), "");
      EXPECT_LE(read->bytes_read_at_open(), 36u << 10);
      EXPECT_EQ(read->file_bytes(), std::filesystem::file_size(path));
    }
    ASSERT_GOOD(script.open());
    EXPECT_EQ(script.container().stats().recovered_frames, 0u);
    ASSERT_EQ(difference(script.container(), script.models().back()), "");
  }
}

TEST(Durable, AnotherProcessSeesWhatIsCommittedBeforeItIsClosed) {
  const TemporaryDirectory directory;
  const auto path = directory / "a";
  DurableScript script(posix_file_system(), path, 2);
  ASSERT_GOOD(script.create());
  for (int i = 0; i < 20; ++i) {
    ASSERT_GOOD(script.commit(3, i % 5 == 0));
    ASSERT_GOOD(script.acknowledge());
    if (i == 10) ASSERT_GOOD(script.checkpoint());
    for (const Residency residency : {Residency::map, Residency::load}) {
      const auto read = Container::open(fs(), path, residency, Verify::full);
      ASSERT_TRUE(read) << read.error().message();
      EXPECT_EQ(difference(*read, script.models().back()), "");
      EXPECT_EQ(read->recovered_frames() > 0, i != 10);
    }
  }
}

TEST(Durable, ASecondWriterIsRefused) {
  const TemporaryDirectory directory;
  const auto path = directory / "a";
  DurableScript script(posix_file_system(), path, 1);
  ASSERT_GOOD(script.create());
  const auto is_refused = [&] {
    const auto second = WritableContainer::open(fs(), path, small_options());
    return !second && second.error().code() == ErrorCode::path_in_use;
  };
  EXPECT_TRUE(is_refused());
  // Another descriptor of the file that is closed takes no lock away.
  (void)test::read_bytes(path);
  EXPECT_TRUE(is_refused());
  const auto again = WritableContainer::create(fs(), path, small_parameters(), small_options());
  ASSERT_FALSE(again);
  EXPECT_EQ(again.error().code(), ErrorCode::path_exists);
  ASSERT_GOOD(script.close());
  EXPECT_FALSE(is_refused());
}

TEST(Durable, NothingIsSavedOverAFileThatIsOpenForWriting) {
  const TemporaryDirectory directory;
  const auto path = directory / "a";
  DurableScript script(posix_file_system(), path, 1);
  ASSERT_GOOD(script.create());
  ASSERT_GOOD(script.commit(3, true));
  const test::ToyIndex index(10, 20);
  const auto refused = write_container(fs(), path, index.snapshot());
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code(), ErrorCode::path_in_use);
  EXPECT_EQ(directory.entries(), 1u);
  ASSERT_GOOD(script.close());
  ASSERT_GOOD(write_container(fs(), path, index.snapshot()));
}

TEST(Durable, WhatIsNoRegularFileOrNotThereIsRefused) {
  const TemporaryDirectory directory;
  const auto code = [&](const std::filesystem::path& path) {
    return WritableContainer::open(fs(), path, small_options()).error().code();
  };
  EXPECT_EQ(code(directory / "none"), ErrorCode::path_not_found);
  EXPECT_EQ(code(directory.path()), ErrorCode::invalid_argument);
  test::write_bytes(directory / "text", test::Bytes(100));
  EXPECT_EQ(code(directory / "text"), ErrorCode::not_a_cairn_file);
  Parameters bad = small_parameters();
  bad.m = 1;
  EXPECT_EQ(WritableContainer::create(fs(), directory / "b", bad, small_options()).error().code(),
            ErrorCode::invalid_argument);
  EXPECT_EQ(directory.entries(), 1u);
}

TEST(Durable, ASavedFileIsWrittenInPlace) {
  const TemporaryDirectory directory;
  const auto path = directory / "a";
  const test::ToyIndex index(10, 3000);
  ASSERT_GOOD(write_container(fs(), path, index.snapshot()));
  auto opened = WritableContainer::open(fs(), path, small_options());
  ASSERT_TRUE(opened) << opened.error().message();
  EXPECT_EQ(opened->stats().recovered_frames, 0u);
  ASSERT_GOOD(opened->grow(SectionId::hot, (std::uint64_t{3} << 20)));
  std::mutex commit_mutex;
  const std::uint64_t places[] = {0, 4095, 300000, (std::uint64_t{3} << 20) - 1};
  for (const std::uint64_t at : places) {
    opened->section(SectionId::hot).data()[at] = std::byte{0x5A};
    const auto lsn = opened->commit(std::vector<Change>{{SectionId::hot, at, 1}}, index.counters);
    ASSERT_TRUE(lsn) << lsn.error().message();
    ASSERT_GOOD(opened->acknowledge(*lsn));
  }
  EXPECT_EQ(opened->stats().dirty_pages, 3u);
  ASSERT_GOOD(opened->checkpoint(commit_mutex));
  EXPECT_EQ(opened->stats().dirty_pages, 0u);
  ASSERT_GOOD(opened->close());
  const auto read = Container::open(fs(), path, Residency::map, Verify::full);
  ASSERT_TRUE(read) << read.error().message();
  for (const std::uint64_t at : places) {
    EXPECT_EQ(read->section(SectionId::hot).data()[at], std::byte{0x5A});
  }
  EXPECT_EQ(std::memcmp(read->section(SectionId::exact).data(), index.sections[1].data(),
                        index.sections[1].size()),
            0);
}

TEST(Durable, ACheckpointCostsWhatChanged) {
  const TemporaryDirectory directory;
  const auto path = directory / "a";
  ASSERT_GOOD(write_container(fs(), path, test::ToyIndex(100, 9000).snapshot()));
  test::RecordingFileSystem raw(posix_file_system());
  FileSystem recording(raw);
  auto opened = WritableContainer::open(recording, path, small_options());
  ASSERT_TRUE(opened);
  ASSERT_TRUE(opened->commit(std::vector<Change>{{SectionId::hot, 5000, 100}}, opened->counters()));
  std::mutex commit_mutex;
  ASSERT_GOOD(opened->checkpoint(commit_mutex));
  std::size_t bytes = 0;
  for (const auto& operation : raw.operations()) bytes += operation.data.size();
  // Two log segments, seven superblocks; one page and three pages of trees, twice; the journal's
  // head.
  EXPECT_LE(bytes, 2 * (16u << 10) + 3 * 4096u + 7 * (16u << 10) + 9 * 4096u);
}

TEST(Durable, ACancelledCheckpointHasChangedNothing) {
  const TemporaryDirectory directory;
  DurableScript script(posix_file_system(), directory / "a", 1);
  ASSERT_GOOD(script.create());
  ASSERT_GOOD(script.commit(30, true));
  const std::uint64_t dirty = script.container().stats().dirty_pages;
  const std::uint64_t generation = script.container().stats().generation;
  ASSERT_GT(dirty, 0u);
  std::mutex commit_mutex;
  const std::atomic<bool> stop{true};
  const auto stopped = script.container().checkpoint(commit_mutex, &stop);
  ASSERT_FALSE(stopped);
  EXPECT_EQ(stopped.error().code(), ErrorCode::cancelled);
  EXPECT_EQ(script.container().stats().dirty_pages, dirty);
  EXPECT_EQ(script.container().stats().generation, generation);
  ASSERT_GOOD(script.commit(3, true));
  ASSERT_GOOD(script.checkpoint());
  EXPECT_EQ(script.container().stats().checkpoints, 1u);
  ASSERT_GOOD(script.close());
}

TEST(Durable, GroupsAreOnDiskWithinTheirTime) {
  const TemporaryDirectory directory;
  WriteOptions options = small_options(Durability::group);
  options.group_ms = 1;
  DurableScript script(posix_file_system(), directory / "a", 1, options);
  ASSERT_GOOD(script.create());
  for (int i = 0; i < 20; ++i) {
    ASSERT_GOOD(script.commit(3, i % 5 == 0));
    ASSERT_GOOD(script.acknowledge());
  }
  const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  while (script.container().stats().durable_lsn < script.container().stats().last_lsn) {
    ASSERT_LT(std::chrono::steady_clock::now(), until);
    std::this_thread::yield();
  }
  const auto read = Container::open(fs(), directory / "a", Residency::map, Verify::full);
  ASSERT_TRUE(read);
  EXPECT_EQ(difference(*read, script.models().back()), "");
}

TEST(Durable, AnAbandonedFileIsLeftAsItIs) {
  test::MemoryFileSystem memory;
  DurableScript script(memory, "/a", 3);
  ASSERT_GOOD(script.create());
  ASSERT_GOOD(script.commit(5, true));
  script.container().abandon();
  ASSERT_GOOD(script.acknowledge());
  const test::Bytes before = memory.get("/a");
  ASSERT_GOOD(script.close());
  EXPECT_EQ(memory.get("/a"), before);
  FileSystem fs(memory);
  const auto read = Container::open(fs, "/a", Residency::map, Verify::full);
  ASSERT_TRUE(read) << read.error().message();
  EXPECT_EQ(difference(*read, script.models().back()), "");
}

TEST(Durable, ACommitOfWhatIsNotThereIsRefusedForGood) {
  const TemporaryDirectory directory;
  DurableScript script(posix_file_system(), directory / "a", 1);
  ASSERT_GOOD(script.create());
  ASSERT_GOOD(script.commit(3, true));
  ASSERT_GOOD(script.acknowledge());
  const auto lsn =
      script.container().commit(std::vector<Change>{{SectionId::hot, std::uint64_t{1} << 40, 1}},
                                script.container().counters());
  ASSERT_FALSE(lsn);
  EXPECT_EQ(lsn.error().code(), ErrorCode::poisoned);
  EXPECT_EQ(script.container().health().error().code(), ErrorCode::poisoned);
}

TEST(Durable, WhatIsStoredDuringACheckpointOutlivesItBeforeItIsCommitted) {
  test::MemoryFileSystem memory;
  DurableScript script(memory, "/a", 9);
  ASSERT_TRUE(script.create());
  ASSERT_TRUE(script.commit(4, false));
  WritableContainer& file = script.container();
  const Change change{SectionId::hot, 40, 3};
  std::byte* const at = file.section(SectionId::hot).data() + change.offset;
  {
    const std::lock_guard running(file.checkpoint_mutex());
    at[0] = std::byte{1};
    ASSERT_TRUE(file.commit({&change, 1}, file.counters()));  // its page is written
    ASSERT_TRUE(file.prepare_freeze());
    ASSERT_TRUE(file.freeze());
    at[1] = std::byte{77};
    ASSERT_TRUE(file.write_frozen(nullptr));
    file.thaw({&change, 1});
  }
  EXPECT_EQ(at[1], std::byte{77});
  ASSERT_TRUE(file.commit({&change, 1}, file.counters()));
  ASSERT_TRUE(script.checkpoint());
  EXPECT_EQ(at[1], std::byte{77});
}

}  // namespace
}  // namespace cairn::format
