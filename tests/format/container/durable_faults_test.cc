// SPDX-License-Identifier: Apache-2.0
//
// Writing in place while calls fail: what cannot be done is told, nothing more is acknowledged, and
// the file holds everything that was.
#include <gtest/gtest.h>

#include <cerrno>
#include <functional>
#include <memory>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "format/container/container.h"
#include "format/container/writable_container.h"
#include "tests/support/durable_script.h"
#include "tests/support/faulty_file_system.h"
#include "tests/support/forwarding_file_system.h"
#include "tests/support/memory_file_system.h"

namespace cairn::format {
namespace {

using test::difference;
using test::DurableScript;
using test::Fault;
using test::FaultyFileSystem;
using test::MemoryFileSystem;

const std::filesystem::path kPath = "/a";

using Step = std::function<Result<void>(DurableScript&)>;

std::vector<Step> all_steps() {
  const auto commit = [](std::size_t places, bool grow) {
    return [=](DurableScript& script) -> Result<void> {
      if (auto done = script.commit(places, grow); !done) return done;
      return script.acknowledge();
    };
  };
  const Step checkpoint = [](DurableScript& script) { return script.checkpoint(); };
  std::vector<Step> steps = {[](DurableScript& script) { return script.create(); }};
  const auto some_commits = [&] {
    for (std::size_t i = 0; i < 5; ++i) steps.emplace_back(commit(1 + 12 * i, i % 2 == 0));
  };
  some_commits();
  steps.push_back(checkpoint);
  some_commits();
  steps.push_back(checkpoint);
  steps.emplace_back(commit(3, false));
  steps.emplace_back([](DurableScript& script) { return script.close(); });
  steps.emplace_back([](DurableScript& script) { return script.open(); });
  steps.emplace_back(commit(3, true));
  steps.emplace_back([](DurableScript& script) { return script.close(); });
  return steps;
}

// Nothing that would write works any more, and what is in memory can still be read.
void expect_poisoned(DurableScript& script) {
  const auto expect = [](const auto& outcome) {
    ASSERT_FALSE(outcome);
    EXPECT_EQ(outcome.error().code(), ErrorCode::poisoned) << outcome.error().message();
  };
  expect(script.container().health());
  expect(script.container().commit({}, script.container().counters()));
  expect(script.container().grow(SectionId::key, 1 << 20));
  expect(script.container().reserve(1, 1));
  expect(script.sync());  // also where everything that was committed is on disk
  expect(script.checkpoint());
  const std::string problem = difference(script.container(), script.models()[script.commits()]);
  const std::string before =
      script.commits() == 0 ? problem
                            : difference(script.container(), script.models()[script.commits() - 1]);
  EXPECT_TRUE(problem.empty() || before.empty()) << problem;
}

void expect_everything_acknowledged(MemoryFileSystem& memory, const DurableScript& script) {
  FileSystem fs(memory);
  const auto opened = WritableContainer::open(fs, kPath, test::small_options());
  ASSERT_TRUE(opened) << opened.error().message();
  const std::uint64_t commit = opened->counters().applied_up_to;
  ASSERT_GE(commit, script.acknowledged());
  ASSERT_LE(commit, script.commits());
  ASSERT_EQ(difference(*opened, script.models()[commit]), "");
  const auto report = opened->verify_pages(1, {}, nullptr);
  ASSERT_TRUE(report) << report.error().message();
  ASSERT_TRUE(report->findings.empty()) << report->findings.front();
}

struct Outcome {
  bool fault_happened = false;
  bool failed = false;    // some step was refused
  bool poisoned = false;  // for good
};

// Runs the script; a step that fails without poisoning is tried again once.
Outcome run(const Fault& fault) {
  MemoryFileSystem memory;
  FaultyFileSystem raw(memory, fault);
  Outcome outcome;
  {
    DurableScript script(raw, kPath, 1);
    for (const Step& step : all_steps()) {
      const bool was_open = script.is_open();
      auto done = step(script);
      if (!done && script.is_open() && !script.container().health()) {
        outcome.failed = outcome.poisoned = true;
        EXPECT_EQ(done.error().code(), ErrorCode::poisoned) << done.error().message();
        expect_poisoned(script);
        break;
      }
      if (!done) {
        outcome.failed = true;
        EXPECT_NE(done.error().code(), ErrorCode::internal) << done.error().message();
        if (fault.lasts == Fault::Lasts::forever) break;
        // A close() that failed has closed: the file is opened for it again.
        if (!script.is_open() && script.is_created() && was_open) {
          done = script.open();
          EXPECT_TRUE(done) << done.error().message();
        }
        done = step(script);
        EXPECT_TRUE(done) << done.error().message();
        if (!done) break;
      }
    }
    outcome.fault_happened = raw.has_failed();
    raw.heal();
    if (script.is_open()) {
      EXPECT_EQ(script.close().has_value(), !outcome.poisoned);
    }
    if (script.is_created()) {
      expect_everything_acknowledged(memory, script);
    } else if (fault.lasts == Fault::Lasts::once) {
      EXPECT_FALSE(memory.exists(kPath));
    }
  }
  return outcome;
}

class DurableFaults : public testing::TestWithParam<std::tuple<int, Fault::Lasts>> {};

TEST_P(DurableFaults, AtAnyCallLoseNothingThatWasAcknowledged) {
  const auto& [error, lasts] = GetParam();
  std::size_t failed = 0;
  std::size_t poisoned = 0;
  std::uint64_t call = 0;
  for (;; ++call) {
    SCOPED_TRACE("call " + std::to_string(call));
    const Outcome outcome = run({call, error, lasts});
    if (testing::Test::HasFailure()) return;
    if (!outcome.fault_happened) break;
    failed += outcome.failed ? 1 : 0;
    poisoned += outcome.poisoned ? 1 : 0;
    if (error == 0 || (error == EINTR && lasts == Fault::Lasts::once)) {
      EXPECT_FALSE(outcome.failed);
    }
  }
  EXPECT_GT(call, 150u);
  if (error == EIO) {
    EXPECT_GT(poisoned, 60u);
    EXPECT_GT(failed, call / 2);
  }
}

INSTANTIATE_TEST_SUITE_P(Errors, DurableFaults,
                         testing::Combine(testing::Values(EIO, ENOSPC, EINTR, ENOMEM, 0),
                                          testing::Values(Fault::Lasts::once,
                                                          Fault::Lasts::forever)));

// A disk that is full says so when space is allocated, and that harms nothing.
class FullDisk final : public test::ForwardingFileSystem {
 public:
  using ForwardingFileSystem::ForwardingFileSystem;
  bool is_full = false;

  RawOpenOutcome open(const std::filesystem::path& path, Access access) override {
    return wrap(base().open(path, access));
  }
  RawOpenOutcome create_exclusive(const std::filesystem::path& path, std::uint32_t mode) override {
    return wrap(base().create_exclusive(path, mode));
  }

 private:
  class FullFile final : public test::ForwardingFile {
   public:
    FullFile(FullDisk& owner, std::unique_ptr<RawFile> base)
        : ForwardingFile(std::move(base)), owner_(owner) {}
    IoOutcome allocate(std::uint64_t offset, std::uint64_t size) override {
      if (!owner_.is_full) return base().allocate(offset, size);
      // Half of it is had before the disk is full.
      (void)base().allocate(offset, size / 2);
      return {0, ENOSPC};
    }

   private:
    FullDisk& owner_;
  };

  RawOpenOutcome wrap(RawOpenOutcome opened) {
    if (opened.error == 0) opened.file = std::make_unique<FullFile>(*this, std::move(opened.file));
    return opened;
  }
};

TEST(DurableFullDisk, RefusesGrowthLogAndCheckpointAndGoesOnWhenThereIsRoom) {
  MemoryFileSystem memory;
  FullDisk disk(memory);
  DurableScript script(disk, kPath, 7);
  ASSERT_TRUE(script.create());
  for (int i = 0; i < 6; ++i) {
    ASSERT_TRUE(script.commit(4, true));
    ASSERT_TRUE(script.acknowledge());
  }
  for (int round = 0; round < 3; ++round) {
    disk.is_full = true;
    const std::uint64_t size = memory.get(kPath).size();
    const auto grown = script.commit(1, true);
    ASSERT_FALSE(grown);
    EXPECT_EQ(grown.error().code(), ErrorCode::no_space);
    EXPECT_EQ(memory.get(kPath).size(), size) << "what was had of it is given back";
    // Commits go on as long as the log has room; then they are refused before anything is stored.
    Result<void> done;
    while ((done = script.commit(20, false))) ASSERT_TRUE(script.acknowledge());
    EXPECT_EQ(done.error().code(), ErrorCode::no_space);
    EXPECT_EQ(script.checkpoint().error().code(), ErrorCode::no_space);
    EXPECT_TRUE(script.container().health());
    EXPECT_EQ(difference(script.container(), script.models().back()), "");
    disk.is_full = false;
    ASSERT_TRUE(script.commit(20, true));
    ASSERT_TRUE(script.acknowledge());
    ASSERT_TRUE(script.checkpoint());
    EXPECT_EQ(script.container().stats().dirty_pages, 0u);
  }
  ASSERT_TRUE(script.close());
  FileSystem fs(disk);
  const auto read = Container::open(fs, kPath, Residency::load, Verify::full);
  ASSERT_TRUE(read) << read.error().message();
  EXPECT_EQ(difference(*read, script.models().back()), "");
}

TEST(DurableFullDisk, NothingIsCreated) {
  MemoryFileSystem memory;
  FullDisk disk(memory);
  disk.is_full = true;
  DurableScript script(disk, kPath, 7);
  EXPECT_EQ(script.create().error().code(), ErrorCode::no_space);
  EXPECT_FALSE(memory.exists(kPath));
}

}  // namespace
}  // namespace cairn::format
