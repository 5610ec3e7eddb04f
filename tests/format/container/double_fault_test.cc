// SPDX-License-Identifier: Apache-2.0
//
// One fault, another writer that goes on with what it finds, and a power loss: nothing that was
// acknowledged is lost, and no file is refused. The first fault is a write or a sync that fails
// while the page cache keeps what the disk has not got, the end of the process between two system
// calls or inside of one, or a power loss.
#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>
#include <ostream>
#include <set>
#include <string>
#include <tuple>

#include "format/bytes/checksum.h"
#include "format/container/container.h"
#include "format/container/writable_container.h"
#include "tests/support/crash_images.h"
#include "tests/support/durable_script.h"
#include "tests/support/file_image.h"
#include "tests/support/memory_file_system.h"
#include "tests/support/sanitizers.h"

namespace cairn::format {
namespace {

using test::DiskFault;
using test::DiskImage;
using test::DiskOperation;
using test::DurableScript;
using test::MemoryFileSystem;
using test::RecordingFileSystem;

const std::filesystem::path kPath = "/a";

// c commit, g commit that grows a section, k checkpoint, m checkpoint with a commit meanwhile,
// w write without sync, s sync, x close and open.
Result<void> run_step(DurableScript& script, char step) {
  const auto commit = [&](bool grow) {
    auto done = script.commit(3, grow);
    return done ? script.acknowledge() : done;
  };
  switch (step) {
    case 'c': return commit(false);
    case 'g': return commit(true);
    case 'k': return script.checkpoint();
    case 'm': return script.checkpoint_with([&] { return commit(false); });
    case 'w': return script.write_unsynced();
    case 's': return script.sync();
    default: {
      auto closed = script.close();
      return closed ? script.open() : closed;
    }
  }
}

struct Script {
  const char* first;  // until the fault; at most twelve steps
  const char* then;   // by the next writer
  Durability durability;
};

struct FirstFault {
  enum class Kind { lost, lost_but_for_sectors, killed, killed_inside, power_loss } kind;
  std::size_t operation;
  bool splits;  // durable writes are two calls
};

const char* name_of(FirstFault::Kind kind) {
  switch (kind) {
    case FirstFault::Kind::lost: return "lost";
    case FirstFault::Kind::lost_but_for_sectors: return "lost but for sectors";
    case FirstFault::Kind::killed: return "killed before";
    case FirstFault::Kind::killed_inside: return "killed in";
    case FirstFault::Kind::power_loss: return "power loss before";
  }
  return "";
}

DiskFault::Kind disk_fault_of(FirstFault::Kind kind) {
  switch (kind) {
    case FirstFault::Kind::lost:
    case FirstFault::Kind::lost_but_for_sectors: return DiskFault::Kind::lost;
    case FirstFault::Kind::killed_inside: return DiskFault::Kind::killed_inside;
    default: return DiskFault::Kind::killed;
  }
}

// Both lives: what the disk was told since `before`, and what must be there after how much of it.
struct TwoLives {
  DiskImage before;
  std::vector<DiskOperation> operations;
  std::size_t fault_at = 0;
  std::vector<test::SectionsModel> models;
  std::vector<std::pair<std::size_t, std::size_t>> acknowledged;  // after operations: commit
  std::string problem;

  std::size_t least(std::size_t done) const {
    std::size_t commit = 0;
    for (const auto& [after, number] : acknowledged) {
      if (after <= done) commit = number;
    }
    return commit;
  }
};

// Runs until the fault. Returns after how many operations the file had been created.
std::size_t live(DurableScript& script, const RecordingFileSystem& disk, const Script& steps) {
  if (!script.create()) return SIZE_MAX;
  const std::size_t created = disk.operations().size();
  for (const char* step = steps.first; *step != 0; ++step) {
    if (auto done = run_step(script, *step); !done) break;
  }
  return created;
}

TwoLives live_twice(const Script& steps, const FirstFault& fault, std::uint64_t seed) {
  MemoryFileSystem memory;
  RecordingFileSystem disk(memory);
  if (fault.splits) disk.split_durable_writes();
  DurableScript script(disk, kPath, seed, test::small_options(steps.durability));
  disk.fail({disk_fault_of(fault.kind), fault.operation});
  live(script, disk, steps);
  script.abandon();
  disk.revive();
  TwoLives lives;
  if (fault.kind == FirstFault::Kind::power_loss) {
    lives.before = test::crash_image({}, disk.operations(), seed + fault.operation);
    memory.clear();
    for (const auto& [path, bytes] : lives.before) memory.restore(path, bytes);
    disk.forget();
  }
  lives.fault_at = disk.operations().size();
  lives.acknowledged.emplace_back(0, script.acknowledged());
  if (auto again = script.reopen(); !again) {
    lives.problem = "the next writer: " + again.error().message();
    return lives;
  }
  const auto mark = [&] {
    lives.acknowledged.emplace_back(disk.operations().size(), script.acknowledged());
  };
  mark();
  for (const char* step = steps.then; *step != 0; ++step) {
    if (auto done = run_step(script, *step); !done) lives.problem = done.error().message();
    mark();
  }
  lives.operations = disk.operations();
  lives.models = script.models();
  return lives;
}

template <class AnyContainer>
std::string compare(const AnyContainer& container, const TwoLives& lives, std::size_t least) {
  const std::uint64_t commit = container.counters().applied_up_to;
  if (commit >= lives.models.size()) return "a commit that never was";
  if (commit < least) {
    return "commit " + std::to_string(commit) + ", but " + std::to_string(least) +
           " was acknowledged";
  }
  return test::difference(container, lives.models[commit]);
}

std::string check(MemoryFileSystem& memory, const TwoLives& lives, std::size_t least,
                  bool thoroughly) {
  FileSystem fs(memory);
  {
    const auto read = Container::open(fs, kPath, Residency::map, Verify::metadata);
    if (!read) return "reader: " + read.error().message();
    const std::string differs = compare(*read, lives, least);
    if (!differs.empty()) return "reader: " + differs;
  }
  if (!thoroughly) return "";
  const auto opened = WritableContainer::open(fs, kPath, test::small_options());
  if (!opened) return "writer: " + opened.error().message();
  const std::string differs = compare(*opened, lives, least);
  if (!differs.empty()) return "writer: " + differs;
  const auto report = opened->verify_pages(1, {}, nullptr);
  if (!report) return "verify: " + report.error().message();
  return report->findings.empty() ? "" : "verify: " + report->findings.front();
}

struct Totals {
  std::size_t faults = 0;
  std::size_t images = 0;
  std::size_t bad = 0;
  std::string problem;  // the first
};

void crash_after(const Script& steps, const FirstFault& fault, std::uint64_t seed, Totals& totals) {
  const TwoLives lives = live_twice(steps, fault, seed);
  const std::string where =
      std::string(name_of(fault.kind)) + " operation " + std::to_string(fault.operation);
  ++totals.faults;
  const auto found = [&](const std::string& problem) {
    if (totals.bad++ == 0) totals.problem = where + ", " + problem;
  };
  if (!lives.problem.empty()) return found(lives.problem);
  test::CrashOptions options;
  options.seed = seed + fault.operation;
  options.random_subsets = 2;
  options.first = lives.fault_at;
  options.lost_sectors = fault.kind == FirstFault::Kind::lost_but_for_sectors;
  MemoryFileSystem memory;
  std::set<std::tuple<std::uint64_t, std::uint64_t, std::size_t>> seen;
  test::for_each_crash_image(
      lives.before, lives.operations, options, [&](std::size_t done, const DiskImage& image) {
        const auto file = image.find(kPath);
        if (file == image.end()) return found("no file");
        const std::size_t least = lives.least(done);
        const Hash128 hash = hash128(file->second);
        if (!seen.insert({hash.low, hash.high, least}).second) return;
        memory.set(kPath, file->second);
        const std::string problem = check(memory, lives, least, totals.images++ % 8 == 0);
        if (!problem.empty()) {
          found("image after " + std::to_string(done - lives.fault_at) + " of " +
                std::to_string(lives.operations.size() - lives.fault_at) +
                " operations of the next writer: " + problem);
        }
      });
}

// Without faults.
std::pair<std::size_t, std::vector<DiskOperation>> operations_of(const Script& steps, bool splits,
                                                                 std::uint64_t seed) {
  MemoryFileSystem memory;
  RecordingFileSystem disk(memory);
  if (splits) disk.split_durable_writes();
  DurableScript script(disk, kPath, seed, test::small_options(steps.durability));
  const std::size_t created = live(script, disk, steps);
  auto operations = disk.operations();
  return {created, std::move(operations)};
}

bool applies_to(FirstFault::Kind kind, const DiskOperation& operation) {
  using Kind = DiskOperation::Kind;
  const bool writes = operation.kind == Kind::write || operation.kind == Kind::write_dsync;
  switch (kind) {
    case FirstFault::Kind::lost:
    case FirstFault::Kind::lost_but_for_sectors: return writes || operation.kind == Kind::sync;
    case FirstFault::Kind::killed_inside: return writes;
    default: return operation.kind != Kind::open;
  }
}

// One fault in so many is followed; 1: all.
std::size_t one_in(std::size_t usual) {
  if (std::getenv("CAIRN_TEST_DOUBLE_FAULTS") != nullptr) return 1;
  return CAIRN_TEST_SANITIZED != 0 ? 4 * usual : usual;
}

Totals crash_twice(const Script& steps, std::size_t every, std::uint64_t seed) {
  using Kind = FirstFault::Kind;
  Totals totals;
  std::size_t number = seed;
  for (const bool splits : {false, true}) {
    const auto [created, operations] = operations_of(steps, splits, seed);
    for (std::size_t at = created; at < operations.size(); ++at) {
      for (const Kind kind : {Kind::lost, Kind::lost_but_for_sectors, Kind::killed,
                              Kind::killed_inside, Kind::power_loss}) {
        if (!applies_to(kind, operations[at]) || number++ % every != 0) continue;
        crash_after(steps, {kind, at, splits}, seed, totals);
      }
    }
  }
  return totals;
}

struct Case {
  const char* name;
  Script script;
};
void PrintTo(const Case& shown, std::ostream* out) { *out << shown.name; }

class DoubleFault : public testing::TestWithParam<Case> {};

TEST_P(DoubleFault, LosesNothingThatWasAcknowledged) {
  const Totals totals = crash_twice(GetParam().script, one_in(16), 1);
  EXPECT_EQ(totals.problem, "") << totals.bad << " of " << totals.images << " images";
  EXPECT_GE(totals.faults, 2u);
  std::printf("%zu first faults, %zu different images of second ones\n", totals.faults,
              totals.images);
}

INSTANTIATE_TEST_SUITE_P(
    Scripts, DoubleFault,
    testing::Values(Case{"commits", {"gcgccgcc", "ckcx", Durability::sync}},
                    Case{"checkpoint", {"gcckccmc", "cckc", Durability::sync}},
                    Case{"growth_beside_checkpoint", {"gckgmgck", "gmcx", Durability::sync}},
                    Case{"closing", {"gccxcxgcx", "cxck", Durability::sync}},
                    Case{"unsynced", {"gcwcwkcwcwsc", "cwkcx", Durability::none}},
                    Case{"all_of_it", {"gcckxcgmcxck", "cgkcxc", Durability::sync}}),
    [](const auto& shown) { return std::string(shown.param.name); });

// Whoever renamed the file ended before the name was durable.
TEST(DoubleFaultOfAName, ACommitIsAcknowledgedUnderANameThatIsDurable) {
  const test::ToyIndex old_one(8, 20, 1);
  const test::ToyIndex new_one(8, 30, 2);
  MemoryFileSystem memory;
  RecordingFileSystem disk(memory);
  FileSystem fs(disk);
  ASSERT_TRUE(write_container(fs, kPath, old_one.snapshot()));
  ASSERT_TRUE(write_container(fs, kPath, new_one.snapshot()));
  const auto& all = disk.operations();
  ASSERT_EQ(all.back().kind, DiskOperation::Kind::sync_directory);
  std::vector<DiskOperation> operations(all.begin(), all.end() - 1);
  const std::size_t renamed_at = operations.size();
  {
    auto opened = WritableContainer::open(fs, kPath, test::small_options());
    ASSERT_TRUE(opened) << opened.error().message();
    auto counters = opened->counters();
    counters.applied_up_to = 77;
    const auto lsn = opened->commit({}, counters);
    ASSERT_TRUE(lsn);
    ASSERT_TRUE(opened->acknowledge(*lsn));
    const auto& since = disk.operations();
    operations.insert(operations.end(), since.begin() + static_cast<std::ptrdiff_t>(renamed_at) + 1,
                      since.end());
  }
  test::CrashOptions options;
  options.first = operations.size();
  std::size_t images = 0;
  test::for_each_crash_image({}, operations, options, [&](std::size_t, const DiskImage& image) {
    ++images;
    ASSERT_TRUE(image.contains(kPath));
    memory.clear();
    memory.restore(kPath, image.at(kPath));
    FileSystem after(memory);
    const auto read = Container::open(after, kPath, Residency::map, Verify::metadata);
    ASSERT_TRUE(read) << read.error().message();
    EXPECT_EQ(read->counters().live, 30u);
    EXPECT_EQ(read->counters().applied_up_to, 77u);
  });
  EXPECT_GE(images, 1u);
}

}  // namespace
}  // namespace cairn::format
