// SPDX-License-Identifier: Apache-2.0
//
// Long operations that are stopped, by a flag that is set just before the n-th call to the system,
// for every n: each ends with `cancelled` as if it had never begun, or it has done all of it.
#include <gtest/gtest.h>

#include <atomic>
#include <cstdint>
#include <functional>
#include <mutex>
#include <string>
#include <vector>

#include "format/bytes/limits.h"
#include "format/bytes/log_layout.h"
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
using test::FaultyFileSystem;
using test::MemoryFileSystem;
using test::SectionsModel;
using test::unclosed_file;

const std::filesystem::path kPath = "/a";

// The same with the first frame of the log damaged: four commits are left.
Bytes damaged() {
  Bytes file = unclosed_file().file;
  const Superblock a = test::superblock_of(file, 0);
  const Superblock b = test::superblock_of(file, 1);
  const std::uint64_t log = (b.generation > a.generation ? b : a).log_offset;
  file[log + kPageSize + frame_at::kSize] ^= std::byte{1};
  return file;
}

// Runs `operation` with a flag that is set before call 0, 1, 2, ... until a run makes fewer calls.
// `after(stopped)` looks at what it has left. Returns how many runs were stopped.
struct Attempt {
  MemoryFileSystem memory;
  FaultyFileSystem raw{memory, {}};
  FileSystem fs{raw};
  std::atomic<bool> stop{false};
};
std::size_t stop_everywhere(const Bytes& file,
                            const std::function<Result<void>(Attempt&)>& operation,
                            const std::function<void(Attempt&, bool stopped)>& after) {
  std::size_t stopped = 0;
  for (std::uint64_t call = 0;; ++call) {
    Attempt attempt;
    if (!file.empty()) attempt.memory.set(kPath, file);
    std::uint64_t first = UINT64_MAX;
    attempt.raw.watch([&](std::uint64_t number) {
      if (first == UINT64_MAX) first = number;
      if (number - first == call) attempt.stop = true;
    });
    const auto done = operation(attempt);
    attempt.raw.watch({});
    if (!done) {
      EXPECT_EQ(done.error().code(), ErrorCode::cancelled) << call << done.error().message();
      EXPECT_TRUE(attempt.stop);
      ++stopped;
    }
    after(attempt, !done);
    if (testing::Test::HasFailure() || !attempt.stop) return stopped;
  }
}

Result<WritableContainer> open_writer(MemoryFileSystem& memory, bool salvage = false) {
  FileSystem fs(memory);
  WriteOptions options = test::small_options();
  options.salvage = salvage;
  return WritableContainer::open(fs, kPath, options);
}

void expect_model(MemoryFileSystem& memory, const SectionsModel& model) {
  const auto opened = open_writer(memory);
  ASSERT_TRUE(opened) << opened.error().message();
  EXPECT_EQ(difference(*opened, model), "");
  const auto report = opened->verify_pages(1, {}, nullptr);
  ASSERT_TRUE(report);
  EXPECT_EQ(report->findings, std::vector<std::string>{});
}

TEST(Stop, ARecoveryThatIsStoppedAnywhereLosesNothing) {
  const auto recover = [](Attempt& attempt) -> Result<void> {
    WriteOptions options = test::small_options();
    options.stop = &attempt.stop;
    const auto opened = WritableContainer::open(attempt.fs, kPath, options);
    return opened ? Result<void>() : opened.error();
  };
  const auto after = [](Attempt& attempt, bool) {
    expect_model(attempt.memory, unclosed_file().models.back());
  };
  EXPECT_GT(stop_everywhere(unclosed_file().file, recover, after), 20u);
}

TEST(Stop, ASalvageThatIsStoppedLeavesTheLossVisible) {
  const auto salvage = [](Attempt& attempt) -> Result<void> {
    WriteOptions options = test::small_options();
    options.salvage = true;
    options.stop = &attempt.stop;
    const auto opened = WritableContainer::open(attempt.fs, kPath, options);
    return opened ? Result<void>() : opened.error();
  };
  const auto after = [](Attempt& attempt, bool stopped) {
    if (stopped) {
      const auto opened = open_writer(attempt.memory);
      ASSERT_FALSE(opened);
      EXPECT_EQ(opened.error().code(), ErrorCode::data_loss);
      ASSERT_TRUE(open_writer(attempt.memory, true));
    }
    expect_model(attempt.memory, unclosed_file().models[4]);
  };
  EXPECT_GT(stop_everywhere(damaged(), salvage, after), 10u);
}

TEST(Stop, AReaderCanBeStoppedWhileItRecoversLoadsAndChecks) {
  for (const Residency residency : {Residency::map, Residency::load}) {
    const auto read = [&](Attempt& attempt) -> Result<void> {
      const auto opened =
          Container::open(attempt.fs, kPath, residency, Verify::full, false, &attempt.stop);
      return opened ? Result<void>() : opened.error();
    };
    const auto after = [](Attempt& attempt, bool) {
      EXPECT_EQ(attempt.memory.get(kPath), unclosed_file().file);
    };
    EXPECT_GT(stop_everywhere(unclosed_file().file, read, after), 20u);
  }
}

TEST(Stop, ACheckpointThatIsStoppedAnywhereHasChangedNothing) {
  std::size_t stopped = 0;
  for (std::uint64_t call = 0;; ++call) {
    MemoryFileSystem memory;
    FaultyFileSystem raw(memory, {});
    DurableScript script(raw, kPath, 7);
    ASSERT_TRUE(script.create());
    for (int i = 0; i < 4; ++i) ASSERT_TRUE(script.commit(20, true));
    ASSERT_TRUE(script.acknowledge());
    const auto before = script.container().stats();
    std::atomic<bool> stop{false};
    const std::uint64_t first = raw.calls();
    raw.watch([&](std::uint64_t number) { stop = stop || number - first == call; });
    std::mutex commit_mutex;
    const auto done = script.container().checkpoint(commit_mutex, &stop);
    raw.watch({});
    const auto after = script.container().stats();
    if (!done) {
      ++stopped;
      EXPECT_EQ(done.error().code(), ErrorCode::cancelled) << done.error().message();
      EXPECT_EQ(after.generation, before.generation);
      EXPECT_EQ(after.dirty_pages, before.dirty_pages);
      EXPECT_EQ(after.checkpoints, 0u);
    }
    // As the file is now, and as it becomes when the writer goes on.
    MemoryFileSystem copy;
    copy.set(kPath, memory.get(kPath));
    expect_model(copy, script.models()[4]);
    ASSERT_TRUE(script.commit(3, true));
    ASSERT_TRUE(script.checkpoint());
    ASSERT_EQ(difference(script.container(), script.models()[5]), "");
    ASSERT_TRUE(script.close());
    expect_model(memory, script.models()[5]);
    if (HasFailure() || !stop) break;
  }
  EXPECT_GT(stopped, 3u);
}

TEST(Stop, ASaveThatIsStoppedAnywhereLeavesNoFile) {
  const test::ToyIndex index(300, 5000);
  const auto save = [&](Attempt& attempt) -> Result<void> {
    return write_container(attempt.fs, kPath, index.snapshot(), {.stop = &attempt.stop});
  };
  const auto after = [&](Attempt& attempt, bool stopped) {
    EXPECT_EQ(attempt.memory.files(), stopped ? 0u : 1u);
    EXPECT_EQ(attempt.memory.exists(kPath), !stopped);
  };
  EXPECT_GT(stop_everywhere({}, save, after), 8u);
}

TEST(Stop, ASaveTellsHowFarItIs) {
  const test::ToyIndex index(300, 5000);
  MemoryFileSystem memory;
  FileSystem fs(memory);
  std::uint64_t last = 0;
  std::uint64_t all = 0;
  const SaveOptions options{.stop = nullptr,
                            .progress = [&](std::uint64_t done, std::uint64_t total) {
                              EXPECT_GT(done, last);
                              last = done;
                              all = total;
                            }};
  ASSERT_TRUE(write_container(fs, kPath, index.snapshot(), options));
  EXPECT_GT(all, 0u);
  EXPECT_EQ(last, all);
}

TEST(Stop, ARecoveryTellsHowFarItIs) {
  MemoryFileSystem memory;
  memory.set(kPath, unclosed_file().file);
  FileSystem fs(memory);
  WriteOptions options = test::small_options();
  std::vector<std::uint64_t> done;
  options.progress = [&](std::uint64_t frames, std::uint64_t total) {
    done.push_back(frames);
    EXPECT_EQ(total, 6u);
  };
  ASSERT_TRUE(WritableContainer::open(fs, kPath, options));
  EXPECT_EQ(done, (std::vector<std::uint64_t>{1, 2, 3, 4, 5, 6}));
}

}  // namespace
}  // namespace cairn::format
