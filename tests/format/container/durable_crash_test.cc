// SPDX-License-Identifier: Apache-2.0
//
// What a crash at any moment leaves behind is opened: every acknowledged commit is there to the
// bit, every other wholly or not at all, and the file is sound.
#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <functional>
#include <optional>
#include <ostream>
#include <set>
#include <string>
#include <tuple>

#include "format/bytes/checksum.h"
#include "format/container/container.h"
#include "format/container/writable_container.h"
#include "tests/support/crash_images.h"
#include "tests/support/durable_script.h"
#include "tests/support/memory_file_system.h"
#include "tests/support/sanitizers.h"

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

// Without this there is nothing to crash.
void require_good(const Result<void>& done) {
  if (done) return;
  std::fprintf(stderr, "%s\n", done.error().message().c_str());
  std::abort();
}

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
    require_good(script.create());
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
                         std::uint64_t commit, std::size_t number) {
  const bool thoroughly = number % 8 == 0;
  WriteOptions options = small_options();
  options.residency = number % 6 == 0 ? Residency::load : Residency::map;
  {
    auto opened = WritableContainer::open(fs, kPath, options);
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
  return check_writer(fs, recording, least, commit, number);
}

// Images that have been checked. Many crashes leave the same bytes behind, of which as much is
// expected.
class Checks {
 public:
  bool is_new(const std::vector<std::byte>& image, std::size_t least) {
    const Hash128 hash = hash128(image);
    return seen_.insert({hash.low, hash.high, least}).second;
  }

 private:
  std::set<std::tuple<std::uint64_t, std::uint64_t, std::size_t>> seen_;
};

// Crashes again while the file recovers, at every operation of that.
std::size_t crash_in_recovery(const std::vector<std::byte>& image, const Recording& recording,
                              std::size_t least, std::string& problem) {
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
        problem = "recovery: " + opened.error().message();
        return 0;
      }
      commit = opened->counters().applied_up_to;
      operations = raw.operations();
    }
  }
  std::size_t number = 0;
  Checks checks;
  test::CrashOptions options;
  options.random_subsets = 4;
  test::for_each_crash_image(
      {{kPath, image}}, operations, options, [&](std::size_t done, const DiskImage& again) {
        if (!problem.empty() || !checks.is_new(again.at(kPath), least)) return;
        memory.set(kPath, again.at(kPath));
        FileSystem fs(memory);
        std::uint64_t found = 0;
        problem = check_reader(fs, recording, least, Residency::map, found);
        if (problem.empty() && found != commit) problem = "recovery changed its mind";
        if (problem.empty()) {
          problem = check_writer(fs, recording, least, commit, number);
        }
        if (!problem.empty()) {
          problem += ", after " + std::to_string(done) + " operations of recovery";
        }
        ++number;
      });
  return number;
}

// CAIRN_TEST_CRASH_IMAGE, a number that a failure has named: no other image is looked at, and this
// one is also written to `crash_image.cairn` (docs/debugging.md).
std::optional<std::size_t> wanted_image() {
  const char* const wanted = std::getenv("CAIRN_TEST_CRASH_IMAGE");
  if (wanted == nullptr) return std::nullopt;
  return static_cast<std::size_t>(std::strtoull(wanted, nullptr, 10));
}

void write_image(const std::vector<std::byte>& image) {
  std::ofstream out("crash_image.cairn", std::ios::binary);
  out.write(reinterpret_cast<const char*>(image.data()),
            static_cast<std::streamsize>(image.size()));
}

struct Totals {
  std::size_t crashes = 0;
  std::size_t images = 0;  // that differ
  std::size_t recoveries = 0;
  std::string problem;  // the first one, which ends it
};

// `every`: of so many images one is crashed again during recovery; 0: none.
Totals enumerate(const Recording& recording, const test::CrashOptions& options, std::size_t every) {
  MemoryFileSystem memory;
  Totals totals;
  Checks checks;
  const std::optional<std::size_t> wanted = wanted_image();
  test::for_each_crash_image(
      {}, recording.operations, options, [&](std::size_t done, const DiskImage& image) {
        // Before create() has returned nothing was promised.
        if (!totals.problem.empty() || done < recording.created_at) return;
        ++totals.crashes;
        const auto found = image.find(kPath);
        const std::size_t least = recording.acknowledged(done);
        if (found != image.end() && !checks.is_new(found->second, least)) return;
        const std::size_t number = totals.images++;
        if (wanted && number != *wanted) return;
        if (wanted && found != image.end()) write_image(found->second);
        std::string problem = "no file";
        if (found != image.end()) {
          memory.set(kPath, found->second);
          problem = check_image(memory, recording, least, number);
        }
        if (problem.empty() && every != 0 && number % every == 0) {
          totals.recoveries += crash_in_recovery(found->second, recording, least, problem);
        }
        if (!problem.empty()) {
          totals.problem = "image " + std::to_string(number) + " after " + std::to_string(done) +
                           " of " + std::to_string(recording.operations.size()) +
                           " operations: " + problem;
        }
      });
  return totals;
}

void commits(DurableScript& script, const std::function<void()>& mark, int count, int grow_every) {
  for (int i = 0; i < count; ++i) {
    require_good(script.commit(1 + static_cast<std::size_t>(i) % 5, i % grow_every == 0));
    require_good(script.acknowledge());
    mark();
  }
}

void commits_and_growth(DurableScript& script, const std::function<void()>& mark) {
  commits(script, mark, 40, 5);
}

void large_commits(DurableScript& script, const std::function<void()>& mark) {
  for (std::size_t i = 0; i < 8; ++i) {
    require_good(script.commit(30 * i, i % 2 == 0));
    require_good(script.acknowledge());
    mark();
  }
}

void checkpoints(DurableScript& script, const std::function<void()>& mark) {
  for (int round = 0; round < 3; ++round) {
    commits(script, mark, 6, 4);
    require_good(script.checkpoint_with([&]() -> Result<void> {
      commits(script, mark, 4, 3);
      return {};
    }));
    mark();
  }
  commits(script, mark, 3, 3);
}

void closing_and_opening(DurableScript& script, const std::function<void()>& mark) {
  for (int round = 0; round < 3; ++round) {
    commits(script, mark, 5, 4);
    require_good(script.close());
    mark();
    require_good(script.open());
    mark();
  }
}

// Groups of several commits, some synced and some not.
void groups(DurableScript& script, const std::function<void()>& mark) {
  for (int round = 0; round < 12; ++round) {
    for (int i = 0; i < 3; ++i) require_good(script.commit(2, (round + i) % 4 == 0));
    if (round % 3 == 2) {
      require_good(script.acknowledge());
      mark();
    }
    if (round == 7) require_good(script.checkpoint());
  }
}

// Without syncs only checkpoints and sync() promise anything.
void without_syncs(DurableScript& script, const std::function<void()>& mark) {
  for (int round = 0; round < 5; ++round) {
    for (int i = 0; i < 10; ++i) {
      require_good(script.commit(3, i % 4 == 0));
      require_good(script.write_unsynced());
    }
    if (round == 2) require_good(script.checkpoint());
    if (round == 3) require_good(script.sync());
    mark();
  }
}

// Under sanitizers, which are slow, a sample of the images.
constexpr bool kSampled = CAIRN_TEST_SANITIZED != 0;

// Each script runs with the seeds 1 ... this.
std::uint64_t seeds() {
  const char* const wanted = std::getenv("CAIRN_TEST_CRASH_SEEDS");
  return wanted != nullptr ? std::strtoull(wanted, nullptr, 10) : kSampled ? 1 : 2;
}

struct Case {
  const char* name;
  void (*steps)(DurableScript&, const std::function<void()>&);
  Durability durability;
  std::size_t random_subsets;
  std::size_t every;
};
void PrintTo(const Case& shown, std::ostream* out) { *out << shown.name; }

class DurableCrash : public testing::TestWithParam<std::tuple<Case, std::uint64_t>> {};

TEST_P(DurableCrash, LeavesEveryAcknowledgedCommit) {
  const auto& [chosen, seed] = GetParam();
  const Recording recording = record(seed, small_options(chosen.durability), chosen.steps);
  test::CrashOptions options;
  options.seed = seed;
  options.random_subsets = kSampled ? chosen.random_subsets / 6 : chosen.random_subsets;
  const Totals totals = enumerate(recording, options, chosen.every);
  EXPECT_EQ(totals.problem, "");
  if (wanted_image()) return;
  EXPECT_GT(totals.crashes, 500u);
  EXPECT_GT(totals.images, kSampled ? 60u : 400u);
  EXPECT_GT(totals.recoveries, 10u);
  std::printf("%zu crashes, %zu different images, %zu different ones of crashes in recovery\n",
              totals.crashes, totals.images, totals.recoveries);
}

INSTANTIATE_TEST_SUITE_P(
    Scripts, DurableCrash,
    testing::Combine(
        testing::Values(Case{"commits_and_growth", commits_and_growth, Durability::sync, 160, 400},
                        Case{"large_commits", large_commits, Durability::sync, 160, 400},
                        Case{"checkpoints", checkpoints, Durability::sync, 160, 400},
                        Case{"closing_and_opening", closing_and_opening, Durability::sync, 160,
                             200},
                        Case{"groups", groups, Durability::sync, 160, 200},
                        Case{"without_syncs", without_syncs, Durability::none, 160, 1000}),
        testing::Range(std::uint64_t{1}, seeds() + 1)),
    [](const auto& shown) {
      return std::string(std::get<0>(shown.param).name) + "_" +
             std::to_string(std::get<1>(shown.param));
    });

// The enumeration is worth something only if it finds what is missing.
TEST(DurableCrashItself, EverySyncThatIsLeftOutIsNoticed) {
  using Kind = DiskOperation::Kind;
  for (const std::uint64_t seed : {2u, 5u}) {
    const Recording good =
        record(seed, small_options(), [](DurableScript& script, const auto& mark) {
          commits(script, mark, 6, 3);
          require_good(script.checkpoint());
          mark();
        });
    std::size_t syncs = 0;
    for (std::size_t i = good.created_at; i < good.operations.size(); ++i) {
      if (good.operations[i].kind != Kind::sync) continue;
      ++syncs;
      Recording worse = good;
      // It does nothing any more, and no operation changes its number.
      worse.operations[i].kind = Kind::sync_directory;
      test::CrashOptions options;
      options.random_subsets = 64;
      EXPECT_NE(enumerate(worse, options, 0).problem, "")
          << "recording " << seed << ", operation " << i;
    }
    EXPECT_GE(syncs, 4u);
  }
}

TEST(DurableCrashItself, WritesThatAreNotSyncedAreNoticed) {
  using Kind = DiskOperation::Kind;
  Recording worse = record(6, small_options(), commits_and_growth);
  for (std::size_t i = worse.created_at; i < worse.operations.size(); ++i) {
    if (worse.operations[i].kind == Kind::write_dsync) worse.operations[i].kind = Kind::write;
  }
  EXPECT_NE(enumerate(worse, {}, 0).problem, "");
}

}  // namespace
}  // namespace cairn::format
