// SPDX-License-Identifier: Apache-2.0
//
// What a crash at any moment leaves behind is opened: every acknowledged commit is there to the
// bit, every other wholly or not at all, and the file is sound.
#include <gtest/gtest.h>

#include <cstdio>
#include <string>

#include "format/container.h"
#include "format/writable_container.h"
#include "tests/support/crash_images.h"
#include "tests/support/durable_script.h"
#include "tests/support/memory_file_system.h"

namespace cairn::format {
namespace {

using test::difference;
using test::DiskImage;
using test::DiskOperation;
using test::DurableScript;
using test::MemoryFileSystem;
using test::SectionsModel;
using test::small_options;

const std::filesystem::path kPath = "/a";

#define REQUIRE_GOOD(expression)                                    \
  do {                                                              \
    const auto good = (expression);                                 \
    if (!good) {                                                    \
      std::fprintf(stderr, "%s\n", good.error().message().c_str()); \
      std::abort();                                                 \
    }                                                               \
  } while (false)

// A script that has run, and how much of it was acknowledged after how many operations.
struct Recording {
  std::vector<DiskOperation> operations;
  std::vector<SectionsModel> models;
  struct Mark {
    std::size_t operations;
    std::size_t acknowledged;
  };
  std::vector<Mark> marks;
  std::size_t created_at = 0;

  // Commits that must be there after a crash behind the first `done` operations.
  std::size_t acknowledged(std::size_t done) const {
    std::size_t number = 0;
    for (const Mark& mark : marks) {
      if (mark.operations <= done) number = mark.acknowledged;
    }
    return number;
  }
};

using Steps = std::function<void(DurableScript&, const std::function<void()>& mark)>;

Recording record(std::uint64_t seed, const WriteOptions& options, const Steps& steps) {
  MemoryFileSystem memory;
  test::RecordingFileSystem raw(memory);
  Recording recording;
  {
    DurableScript script(raw, kPath, seed, options);
    const auto mark = [&] {
      recording.marks.push_back({raw.operations().size(), script.acknowledged()});
    };
    REQUIRE_GOOD(script.create());
    recording.created_at = raw.operations().size();
    steps(script, mark);
    mark();
    recording.models = script.models();
    recording.operations = raw.operations();
    // What the destructor does is not part of the script.
  }
  return recording;
}

struct Checked {
  std::uint64_t commit = 0;  // that the file was found to hold
  std::string problem;
};

template <class AnyContainer>
Checked compare(const AnyContainer& container, const Recording& recording, std::size_t least) {
  const std::uint64_t commit = container.counters().applied_up_to;
  if (commit >= recording.models.size()) return {commit, "a commit that never was"};
  if (commit < least) {
    return {commit, "commit " + std::to_string(commit) + ", but " + std::to_string(least) +
                        " was acknowledged"};
  }
  return {commit, difference(container, recording.models[commit])};
}

std::string check_reader(FileSystem& fs, const Recording& recording, std::size_t least,
                         Residency residency, std::uint64_t& commit) {
  const auto read = Container::open(fs, kPath, residency, Verify::metadata);
  if (!read) return "reader: " + read.error().message();
  const Checked checked = compare(*read, recording, least);
  commit = checked.commit;
  return checked.problem.empty() ? "" : "reader: " + checked.problem;
}

// Opens the file at kPath for writing, which recovers it, and closes it.
std::string check_writer(FileSystem& fs, const Recording& recording, std::size_t least,
                         std::uint64_t commit, bool thoroughly) {
  {
    auto opened = WritableContainer::open(fs, kPath, small_options());
    if (!opened) return "writer: " + opened.error().message();
    const Checked checked = compare(*opened, recording, least);
    if (!checked.problem.empty()) return "writer: " + checked.problem;
    if (checked.commit != commit) return "writer and reader disagree";
    const auto report = opened->verify_pages(1, {}, nullptr);
    if (!report) return "verify: " + report.error().message();
    if (!report->findings.empty()) return "verify: " + report->findings.front();
    if (!thoroughly) return "";
    if (auto closed = opened->close(); !closed) return "close: " + closed.error().message();
  }
  const auto read = Container::open(fs, kPath, Residency::load, Verify::full);
  if (!read) return "reader afterwards: " + read.error().message();
  if (read->recovered_frames() != 0) return "a log after closing";
  return compare(*read, recording, least).problem;
}

std::string check_image(MemoryFileSystem& memory, const Recording& recording, std::size_t least,
                        std::size_t number) {
  FileSystem fs(memory);
  std::uint64_t commit = 0;
  const Residency residency = number % 4 == 0 ? Residency::load : Residency::map;
  const std::string problem = check_reader(fs, recording, least, residency, commit);
  if (!problem.empty()) return problem;
  return check_writer(fs, recording, least, commit, number % 8 == 0);
}

// Crashes again while the file recovers, at every operation of that.
std::size_t crash_in_recovery(const std::vector<std::byte>& image, const Recording& recording,
                              std::size_t least) {
  MemoryFileSystem memory;
  memory.set(kPath, image);
  std::vector<DiskOperation> operations;
  std::uint64_t commit = 0;
  {
    test::RecordingFileSystem raw(memory);
    FileSystem fs(raw);
    {
      auto opened = WritableContainer::open(fs, kPath, small_options());
      if (!opened) {
        ADD_FAILURE() << opened.error().message();
        return 0;
      }
      commit = opened->counters().applied_up_to;
      operations = raw.operations();
    }
  }
  std::size_t number = 0;
  bool good = true;
  test::CrashOptions options;
  options.random_subsets = 2;
  return test::for_each_crash_image(
      {{kPath, image}}, operations, options, [&](std::size_t done, const DiskImage& again) {
        if (!good) return;
        memory.set(kPath, again.at(kPath));
        FileSystem fs(memory);
        std::uint64_t found = 0;
        std::string problem = check_reader(fs, recording, least, Residency::map, found);
        if (problem.empty() && found != commit) problem = "recovery changed its mind";
        if (problem.empty()) {
          problem = check_writer(fs, recording, least, commit, number % 8 == 0);
        }
        EXPECT_EQ(problem, "") << "after " << done << " operations of recovery";
        good = problem.empty();
        ++number;
      });
}

struct Totals {
  std::size_t images = 0;
  std::size_t recoveries = 0;
};

// `every`: of so many images one is crashed again during recovery.
Totals enumerate(const Recording& recording, const test::CrashOptions& options, std::size_t every) {
  MemoryFileSystem memory;
  Totals totals;
  bool good = true;
  totals.images = test::for_each_crash_image(
      {}, recording.operations, options, [&](std::size_t done, const DiskImage& image) {
        if (!good) return;
        const std::size_t number = totals.images++;
        const auto found = image.find(kPath);
        if (done < recording.created_at) return;  // create() has not returned
        ASSERT_TRUE(found != image.end());
        const std::size_t least = recording.acknowledged(done);
        memory.set(kPath, found->second);
        const std::string problem = check_image(memory, recording, least, number);
        good = problem.empty();
        ASSERT_EQ(problem, "") << "image " << number << " after " << done << " of "
                               << recording.operations.size() << " operations";
        if (every != 0 && number % every == 0) {
          totals.recoveries += crash_in_recovery(found->second, recording, least);
        }
      });
  return totals;
}

void commits(DurableScript& script, const std::function<void()>& mark, int count, int grow_every) {
  for (int i = 0; i < count; ++i) {
    REQUIRE_GOOD(script.commit(1 + static_cast<std::size_t>(i) % 5, i % grow_every == 0));
    REQUIRE_GOOD(script.acknowledge());
    mark();
  }
}

TEST(DurableCrash, CommitsAndGrowth) {
  const Recording recording =
      record(1, small_options(),
             [](DurableScript& script, const auto& mark) { commits(script, mark, 40, 5); });
  const Totals totals = enumerate(recording, {}, 50);
  std::printf("%zu images, %zu crashes in recovery\n", totals.images, totals.recoveries);
}

TEST(DurableCrash, CheckpointsWithCommitsMeanwhile) {
  const Recording recording =
      record(2, small_options(), [](DurableScript& script, const auto& mark) {
        for (int round = 0; round < 3; ++round) {
          commits(script, mark, 6, 4);
          REQUIRE_GOOD(script.checkpoint_with([&]() -> Result<void> {
            commits(script, mark, 4, 3);
            return {};
          }));
          mark();
        }
        commits(script, mark, 3, 3);
      });
  const Totals totals = enumerate(recording, {}, 100);
  std::printf("%zu images, %zu crashes in recovery\n", totals.images, totals.recoveries);
}

TEST(DurableCrash, ClosingAndOpeningAgain) {
  const Recording recording =
      record(3, small_options(), [](DurableScript& script, const auto& mark) {
        for (int round = 0; round < 3; ++round) {
          commits(script, mark, 5, 4);
          REQUIRE_GOOD(script.close());
          mark();
          REQUIRE_GOOD(script.open());
          mark();
        }
      });
  const Totals totals = enumerate(recording, {}, 100);
  std::printf("%zu images, %zu crashes in recovery\n", totals.images, totals.recoveries);
}

}  // namespace
}  // namespace cairn::format
