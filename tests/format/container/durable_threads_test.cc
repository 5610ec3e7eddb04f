// SPDX-License-Identifier: Apache-2.0
//
// Several threads commit while others checkpoint, verify and read.
#include <gtest/gtest.h>

#include <atomic>
#include <cstring>
#include <mutex>
#include <thread>
#include <vector>

#include "format/container/container.h"
#include "format/container/writable_container.h"
#include "tests/support/durable_script.h"
#include "tests/support/temporary_directory.h"

namespace cairn::format {
namespace {

constexpr std::size_t kThreads = 4;
constexpr std::size_t kCommits = 200;
constexpr std::size_t kBlock = 64;  // bytes of a commit

// Each thread appends blocks to a section of its own, filled with their number.
class Writers {
 public:
  Writers(WritableContainer& container, std::mutex& commit_mutex)
      : container_(container), commit_mutex_(commit_mutex) {}

  void run(std::size_t thread) {
    const auto section = static_cast<SectionId>(thread + 1);
    for (std::size_t i = 0; i < kCommits; ++i) {
      const auto lsn = append(section, i);
      ASSERT_TRUE(lsn) << lsn.error().message();
      const auto done = container_.acknowledge(*lsn);
      ASSERT_TRUE(done) << done.error().message();
      ASSERT_GE(container_.stats().durable_lsn, *lsn);
    }
  }

 private:
  Result<std::uint64_t> append(SectionId section, std::size_t i) {
    const std::lock_guard lock(commit_mutex_);
    const std::uint64_t offset = i * kBlock;
    if (auto ok = container_.grow(section, offset + kBlock); !ok) return ok.error();
    if (auto ok = container_.reserve(1, kBlock); !ok) return ok.error();
    std::memset(container_.section(section).data() + offset, static_cast<int>(i % 251 + 1), kBlock);
    Counters counters = container_.counters();
    ++counters.applied_up_to;
    return container_.commit(std::vector<Change>{{section, offset, kBlock}}, counters);
  }

  WritableContainer& container_;
  std::mutex& commit_mutex_;
};

template <class AnyContainer>
void expect_all(const AnyContainer& container) {
  EXPECT_EQ(container.counters().applied_up_to, kThreads * kCommits);
  for (std::size_t thread = 0; thread < kThreads; ++thread) {
    const std::byte* const data = container.section(static_cast<SectionId>(thread + 1)).data();
    for (std::size_t at = 0; at < kCommits * kBlock; ++at) {
      ASSERT_EQ(data[at], static_cast<std::byte>(at / kBlock % 251 + 1));
    }
  }
}

TEST(DurableThreads, CommitCheckpointAndVerifyAtOnce) {
  const test::TemporaryDirectory directory;
  FileSystem& fs = default_file_system();
  const auto path = directory / "a";
  auto container =
      WritableContainer::create(fs, path, test::small_parameters(), test::small_options());
  ASSERT_TRUE(container) << container.error().message();
  std::mutex commit_mutex;
  Writers writers(*container, commit_mutex);
  std::atomic<bool> done{false};
  std::vector<std::thread> threads;
  for (std::size_t i = 0; i < kThreads; ++i) threads.emplace_back([&, i] { writers.run(i); });
  std::thread checkpoints([&] {
    while (!done) {
      const auto made = container->checkpoint(commit_mutex);
      ASSERT_TRUE(made) << made.error().message();
    }
  });
  std::thread verifies([&] {
    while (!done) {
      const auto report = container->verify_pages(1, {}, nullptr);
      ASSERT_TRUE(report) << report.error().message();
      ASSERT_TRUE(report->findings.empty()) << report->findings.front();
    }
  });
  for (std::thread& thread : threads) thread.join();
  // All may have been committed before the checkpoints got a processor.
  while (!HasFatalFailure() && container->stats().checkpoints < 2) std::this_thread::yield();
  done = true;
  checkpoints.join();
  verifies.join();
  expect_all(*container);
  EXPECT_GT(container->stats().checkpoints, 1u);
  ASSERT_TRUE(container->close());
  const auto read = Container::open(fs, path, Residency::load, Verify::full);
  ASSERT_TRUE(read) << read.error().message();
  expect_all(*read);
}

}  // namespace
}  // namespace cairn::format
