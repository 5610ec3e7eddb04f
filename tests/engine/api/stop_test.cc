// SPDX-License-Identifier: Apache-2.0
//
// What was stopped is as if it had never begun, and what stats() counts. The places where a long
// operation asks for its flag are those of tests/format/container/stop_test.cc and the calls of its
// progress.
#include <gtest/gtest.h>

#include <atomic>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include <cairn/cairn.h>

#include "tests/support/temporary_directory.h"
#include "tests/support/vectors.h"

namespace cairn {
namespace {

using test::TemporaryDirectory;
using test::Vectors;

constexpr std::size_t kDims = 8;
constexpr std::size_t kRows = 300;

IndexParams small_params() {
  IndexParams params;
  params.dimensions = kDims;
  params.metric = Metric::l2sq;
  params.m = 4;
  params.ef_construction = 30;
  return params;
}

const Vectors& vectors() {
  static const Vectors made = test::random_vectors(kRows, kDims, 5);
  return made;
}

// Adds all, removes two of three: much for a compaction to heal.
void fill(Index& index) {
  for (std::size_t i = 0; i < kRows; ++i) ASSERT_TRUE(index.add(i, vectors().vector(i)));
  for (std::size_t i = 0; i < kRows; ++i) {
    if (i % 3 != 0) {
      ASSERT_TRUE(index.remove(i));
    }
  }
}

void expect_what_fill_left(const Index& index) {
  EXPECT_EQ(index.size(), kRows / 3);
  std::vector<float> stored(kDims);
  for (std::size_t i = 0; i < kRows; ++i) {
    ASSERT_EQ(index.contains(i), i % 3 == 0) << i;
    if (i % 3 != 0) continue;
    ASSERT_TRUE(index.get(i, stored));
    const float* const row = vectors().row(i);
    EXPECT_EQ(stored, std::vector<float>(row, row + kDims));
    const auto found = index.search(vectors().vector(i), {.k = 1, .ef = 64});
    ASSERT_TRUE(found);
    ASSERT_EQ(found->size(), 1u);
    EXPECT_EQ(found->front().key, i);
  }
  const auto report = index.verify();
  ASSERT_TRUE(report);
  EXPECT_EQ(report->findings, std::vector<std::string>{});
  EXPECT_EQ(report->unreachable, 0u);
}

OpenOptions to_write() {
  OpenOptions options;
  options.mode = Mode::read_write;
  options.durability = Durability::none;
  return options;
}

Index create_at(const std::filesystem::path& path) {
  CreateOptions options;
  options.durability = Durability::none;
  return Index::create(path, small_params(), options).value();
}

// Compacts with a flag that is set by the n-th call of the progress; false once there are fewer.
bool stop_at(Index& index, std::size_t n) {
  std::atomic<bool> stop{false};
  std::size_t calls = 0;
  std::size_t last = 0;
  BuildOptions options;
  options.stop = &stop;
  options.progress = [&](std::size_t done, std::size_t total) {
    EXPECT_LE(last, done);
    EXPECT_LE(done, total);
    last = done;
    EXPECT_GT(index.stats().live, 0u);  // may be asked meanwhile
    if (++calls == n) stop = true;
  };
  const auto done = index.compact(options);
  if (done) return false;
  EXPECT_EQ(done.error().code(), ErrorCode::cancelled);
  EXPECT_EQ(done.error().message().rfind("compact: ", 0), 0u) << done.error().message();
  return true;
}

TEST(StopCompact, InMemoryAtAnyPointChangesNothing) {
  Index index = Index::create(small_params()).value();
  fill(index);
  std::size_t n = 1;
  while (stop_at(index, n)) {
    expect_what_fill_left(index);
    if (HasFailure()) return;
    ++n;
  }
  EXPECT_GT(n, 4u);
  EXPECT_EQ(index.stats().compactions, 1u);
  EXPECT_EQ(index.stats().slots, kRows / 3);
  expect_what_fill_left(index);
}

TEST(StopCompact, OfAFileAtAnyPointLeavesTheFileAndNothingBesideIt) {
  const TemporaryDirectory directory;
  const auto path = directory / "a";
  std::optional<Index> index = create_at(path);
  fill(*index);
  ASSERT_TRUE(index->sync());
  const std::size_t live = index->stats().live;
  std::size_t n = 1;
  while (stop_at(*index, n)) {
    EXPECT_EQ(directory.entries(), 1u) << n;
    EXPECT_EQ(index->stats().live, live);
    if (n % 4 == 1) {  // as the file is after a crash, and after a clean end
      std::filesystem::copy_file(path, directory / "copy");
      expect_what_fill_left(Index::open(directory / "copy").value());
      std::filesystem::remove(directory / "copy");
      index.reset();
      index = Index::open(path, to_write()).value();
      expect_what_fill_left(*index);
    }
    ASSERT_TRUE(index->upsert(0, vectors().vector(0)));
    if (HasFailure()) return;
    ++n;
  }
  EXPECT_GT(n, 6u);
  EXPECT_EQ(index->stats().compactions, 1u);
  EXPECT_EQ(index->stats().slots, kRows / 3);
  index.reset();
  expect_what_fill_left(Index::open(path).value());
}

TEST(StopFlag, ThatIsSetEndsEverythingThatIsLong) {
  const TemporaryDirectory directory;
  const auto path = directory / "a";
  const std::atomic<bool> stop{true};
  const auto expect_cancelled = [](const auto& outcome, const std::string& what) {
    ASSERT_FALSE(outcome) << what;
    EXPECT_EQ(outcome.error().code(), ErrorCode::cancelled) << outcome.error().message();
    EXPECT_EQ(outcome.error().message().rfind(what, 0), 0u) << outcome.error().message();
  };
  Index index = create_at(path);
  fill(index);
  const Stats before = index.stats();
  expect_cancelled(index.checkpoint(&stop), "checkpoint: ");
  expect_cancelled(index.save(directory / "b", &stop), "save ");
  expect_cancelled(index.backup(directory / "b", &stop), "save ");
  EXPECT_EQ(directory.entries(), 1u);
  EXPECT_EQ(index.stats().generation, before.generation);
  EXPECT_EQ(index.stats().dirty_pages, before.dirty_pages);
  EXPECT_EQ(index.stats().failed_checkpoints, 0u);
  ASSERT_TRUE(index.sync());
  std::filesystem::copy_file(path, directory / "crashed");
  OpenOptions options = to_write();
  options.stop = &stop;
  expect_cancelled(Index::open(directory / "crashed", options), "open ");
  for (const bool salvage : {false, true}) {
    OpenOptions to_read;
    to_read.salvage = salvage;
    to_read.stop = &stop;
    expect_cancelled(Index::open(directory / "crashed", to_read), "open ");
  }
  ASSERT_TRUE(index.checkpoint());
  expect_what_fill_left(index);
  const Index recovered = Index::open(directory / "crashed", to_write()).value();
  EXPECT_GT(recovered.stats().recovered_frames, kRows);
  expect_what_fill_left(recovered);
}

TEST(StopFlag, EndsTheCheckOfEveryPageAtOpenAndLoading) {
  const TemporaryDirectory directory;
  const auto path = directory / "a";
  {
    Index index = create_at(path);
    fill(index);
  }
  const std::atomic<bool> stop{true};
  for (const Mode mode : {Mode::read_only, Mode::read_write}) {
    OpenOptions options;
    options.mode = mode;
    options.verify = Verify::full;
    options.stop = &stop;
    const auto opened = Index::open(path, options);
    ASSERT_FALSE(opened);
    EXPECT_EQ(opened.error().code(), ErrorCode::cancelled);
  }
  OpenOptions options;
  options.residency = Residency::load;
  options.stop = &stop;
  const auto loaded = Index::open(path, options);
  ASSERT_FALSE(loaded);
  EXPECT_EQ(loaded.error().code(), ErrorCode::cancelled);
  expect_what_fill_left(Index::open(path).value());
}

TEST(StopFlag, IsForgottenOnceAReaderIsOpen) {
  const TemporaryDirectory directory;
  const auto path = directory / "a";
  {
    Index index = create_at(path);
    fill(index);
  }
  std::atomic<bool> stop{false};
  OpenOptions options;
  options.stop = &stop;
  options.verify = Verify::full;
  Index reader = Index::open(path, options).value();
  stop = true;
  EXPECT_TRUE(reader.refresh());
}

TEST(Stats, CountWhatWasDone) {
  const TemporaryDirectory directory;
  const auto path = directory / "a";
  Index index = Index::create(path, small_params()).value();
  fill(index);
  Stats stats = index.stats();
  EXPECT_EQ(stats.adds, kRows);
  EXPECT_EQ(stats.removes, kRows - kRows / 3);
  EXPECT_EQ(stats.searches, 0u);
  EXPECT_GE(stats.log_frames, stats.adds + stats.removes);
  EXPECT_EQ(stats.last_lsn, stats.durable_lsn);  // Durability::sync
  EXPECT_FALSE(stats.poisoned);
  ASSERT_TRUE(index.search(vectors().vector(0)));
  std::vector<Match> out(5);
  std::vector<std::size_t> counts(5);
  ASSERT_TRUE(index.search_batch(MatrixView::f32(vectors().values.data(), 5, kDims), {.k = 1}, out,
                                 counts, 2));
  ASSERT_TRUE(index.checkpoint());
  stats = index.stats();
  EXPECT_EQ(stats.searches, 6u);
  EXPECT_EQ(stats.checkpoints, 1u);
  EXPECT_EQ(stats.log_frames, 0u);
  EXPECT_EQ(stats.dirty_pages, 0u);
  ASSERT_TRUE(index.compact());
  EXPECT_EQ(index.stats().compactions, 1u);
  EXPECT_EQ(index.stats().checkpoints, 1u);  // of all files that it has had
  ASSERT_TRUE(index.add(1, vectors().vector(1)));
  ASSERT_TRUE(index.checkpoint());
  EXPECT_EQ(index.stats().checkpoints, 2u);
  EXPECT_EQ(index.stats().open_ns, 0u);
  EXPECT_EQ(index.stats().recovered_frames, 0u);
}

TEST(Stats, TellTheRecoveryApartFromTheOpen) {
  const TemporaryDirectory directory;
  Index index = create_at(directory / "a");
  fill(index);
  ASSERT_TRUE(index.sync());
  std::filesystem::copy_file(directory / "a", directory / "crashed");
  {
    const Stats reader = Index::open(directory / "crashed").value().stats();
    EXPECT_GT(reader.recovered_frames, kRows);
    EXPECT_GT(reader.recovery_ns, 0u);
    EXPECT_GT(reader.open_ns, reader.recovery_ns);
    std::size_t last = 0;
    std::size_t total_of_last = 0;
    OpenOptions options = to_write();
    options.progress = [&](std::size_t done, std::size_t total) {
      EXPECT_EQ(done, last + 1);
      last = done;
      total_of_last = total;
    };
    const Stats writer = Index::open(directory / "crashed", options).value().stats();
    EXPECT_EQ(last, total_of_last);
    EXPECT_GE(last, kRows);
    EXPECT_EQ(writer.recovered_frames, reader.recovered_frames);
    EXPECT_GT(writer.open_ns, writer.recovery_ns);
    EXPECT_GT(writer.recovery_ns, 0u);
    EXPECT_EQ(writer.checkpoints, 1u);
  }
  const Stats again = Index::open(directory / "crashed", to_write()).value().stats();
  EXPECT_EQ(again.recovered_frames, 0u);
  EXPECT_EQ(again.recovery_ns, 0u);
}

}  // namespace
}  // namespace cairn
