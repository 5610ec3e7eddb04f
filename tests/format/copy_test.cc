// SPDX-License-Identifier: Apache-2.0
//
// A plain copy that is taken while a writer works: it opens with a state that the file had
// meanwhile, or is refused.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdio>
#include <random>
#include <string>
#include <vector>

#include "format/container.h"
#include "format/writable_container.h"
#include "tests/support/durable_script.h"
#include "tests/support/memory_file_system.h"
#include "tests/support/recording_file_system.h"

namespace cairn::format {
namespace {

using test::DiskOperation;
using test::DurableScript;
using test::MemoryFileSystem;
using Bytes = std::vector<std::byte>;
using Kind = DiskOperation::Kind;

const std::filesystem::path kPath = "/a";
const std::filesystem::path kCopy = "/copy";

void carry_out(Bytes& file, const DiskOperation& operation) {
  const auto grow = [&](std::size_t size) { file.resize(std::max(file.size(), size)); };
  if (operation.kind == Kind::write || operation.kind == Kind::write_dsync) {
    grow(operation.offset + operation.data.size());
    std::copy(operation.data.begin(), operation.data.end(),
              file.begin() + static_cast<std::ptrdiff_t>(operation.offset));
  } else if (operation.kind == Kind::allocate) {
    grow(operation.offset + operation.size);
  } else if (operation.kind == Kind::truncate) {
    file.resize(operation.size);
  }
}

struct Recording {
  std::vector<DiskOperation> operations;
  std::vector<test::SectionsModel> models;
  std::vector<std::size_t> begun;  // operations before commit i was begun
  std::size_t created = 0;
};

// Two openings of the file, with many small commits and checkpoints, which use space again.
Recording record(std::uint64_t seed) {
  MemoryFileSystem memory;
  test::RecordingFileSystem raw(memory);
  Recording recording;
  DurableScript script(raw, kPath, seed);
  EXPECT_TRUE(script.create());
  recording.created = raw.operations().size();
  recording.begun.push_back(0);
  for (int i = 0; i < 70; ++i) {
    recording.begun.push_back(raw.operations().size());
    EXPECT_TRUE(script.commit(1 + static_cast<std::size_t>(i) % 4, i % 9 == 0));
    EXPECT_TRUE(script.acknowledge());
    if (i % 6 == 5) {
      EXPECT_TRUE(script.checkpoint());
    }
  }
  recording.models = script.models();
  recording.operations = raw.operations();
  return recording;
}

// A file that is opened, changed and closed again and again, by short-lived writers.
Recording record_cycles(std::uint64_t seed) {
  MemoryFileSystem memory;
  test::RecordingFileSystem raw(memory);
  Recording recording;
  DurableScript script(raw, kPath, seed);
  EXPECT_TRUE(script.create());
  recording.begun.push_back(0);
  for (int cycle = 0; cycle < 12; ++cycle) {
    if (cycle != 0) {
      EXPECT_TRUE(script.open());
    }
    for (int i = 0; i < 3; ++i) {
      recording.begun.push_back(raw.operations().size());
      EXPECT_TRUE(script.commit(2, i == 0 && cycle % 4 == 0));
      EXPECT_TRUE(script.acknowledge());
      if (i == 1 && cycle % 3 == 0) {
        EXPECT_TRUE(script.checkpoint());
      }
    }
    EXPECT_TRUE(script.close());
    if (cycle == 0) recording.created = raw.operations().size();
  }
  recording.models = script.models();
  recording.operations = raw.operations();
  return recording;
}

struct Copied {
  Bytes bytes;
  std::size_t begin = 0;  // operations that were done before its first page was read
  std::size_t end = 0;    // and before its last one was
};

// Reads `pages` pages from the front to the end between two operations of the writer.
Copied copy(const Recording& recording, std::size_t begin, std::size_t pages) {
  Copied copied;
  copied.begin = begin;
  Bytes file;
  std::size_t done = 0;
  for (; done < begin; ++done) carry_out(file, recording.operations[done]);
  while (copied.bytes.size() < file.size()) {
    const std::size_t at = copied.bytes.size();
    const std::size_t size = std::min(pages * kPageSize, file.size() - at);
    copied.bytes.insert(copied.bytes.end(), file.begin() + static_cast<std::ptrdiff_t>(at),
                        file.begin() + static_cast<std::ptrdiff_t>(at + size));
    copied.end = done;
    if (done < recording.operations.size()) carry_out(file, recording.operations[done++]);
  }
  return copied;
}

// Of a commit whose frame may have been in the file while it was copied, and been the last one.
bool was_current(const Recording& recording, std::uint64_t commit, const Copied& copied) {
  if (commit >= recording.models.size() || recording.begun[commit] > copied.end) return false;
  // The commit behind it ended after the copying had begun.
  return commit + 2 >= recording.models.size() || recording.begun[commit + 2] >= copied.begin;
}

bool is_refusal(ErrorCode code) {
  return code == ErrorCode::corrupt || code == ErrorCode::data_loss || code == ErrorCode::truncated;
}

struct Counts {
  std::size_t opened = 0;
  std::size_t refused = 0;
};

// Takes copies that begin before every second operation, at several speeds.
void take_copies(const Recording& recording, const std::string& what, Counts& counts) {
  for (const std::size_t pages : {1u, 2u, 3u, 5u, 9u, 30u, 1000u}) {
    for (std::size_t begin = recording.created; begin < recording.operations.size(); begin += 2) {
      const Copied copied = copy(recording, begin, pages);
      MemoryFileSystem memory;
      memory.set(kCopy, copied.bytes);
      FileSystem fs(memory);
      const std::string where = what + ", from operation " + std::to_string(begin) + ", " +
                                std::to_string(pages) + " pages";
      const auto read = Container::open(fs, kCopy, Residency::map, Verify::metadata);
      if (!read) {
        ASSERT_TRUE(is_refusal(read.error().code())) << where << ": " << read.error().message();
        ++counts.refused;
        continue;
      }
      ++counts.opened;
      const std::uint64_t commit = read->counters().applied_up_to;
      ASSERT_TRUE(was_current(recording, commit, copied)) << where << ": commit " << commit;
      ASSERT_EQ(test::difference(*read, recording.models[commit]), "") << where;
      const auto written = WritableContainer::open(fs, kCopy, test::small_options());
      ASSERT_TRUE(written) << where << ": " << written.error().message();
      ASSERT_EQ(test::difference(*written, recording.models[commit]), "") << where;
    }
  }
}

TEST(Copy, TakenWhileItIsWrittenIsOfOneMomentOrRefused) {
  Counts counts;
  for (const std::uint64_t seed : {1u, 2u}) {
    ASSERT_NO_FATAL_FAILURE(take_copies(record(seed), "seed " + std::to_string(seed), counts));
  }
  std::printf("%zu copies opened, %zu were refused\n", counts.opened, counts.refused);
  EXPECT_GT(counts.opened, 400u);
  EXPECT_GT(counts.refused, 400u);
}

// Some copies begin while the file is closed and end while it is closed again.
TEST(Copy, OfAFileThatIsClosedMeanwhileIsOfOneMomentOrRefused) {
  Counts counts;
  for (const std::uint64_t seed : {4u, 5u}) {
    ASSERT_NO_FATAL_FAILURE(
        take_copies(record_cycles(seed), "seed " + std::to_string(seed), counts));
  }
  std::printf("%zu copies opened, %zu were refused\n", counts.opened, counts.refused);
  EXPECT_GT(counts.opened, 400u);
  EXPECT_GT(counts.refused, 400u);
}

// As a process that is killed leaves it: every operation wholly done or, at the end, some pages of
// it.
TEST(Copy, OfAKilledWritersFileAlwaysOpens) {
  const Recording recording = record(3);
  Bytes file;
  std::mt19937_64 random(1);
  for (std::size_t done = 0; done < recording.operations.size(); ++done) {
    const DiskOperation& next = recording.operations[done];
    if (done >= recording.created) {
      Bytes torn = file;
      if (!next.data.empty()) {
        DiskOperation part = next;
        part.data.resize(random() % (next.data.size() / kPageSize + 1) * kPageSize);
        carry_out(torn, part);
      }
      MemoryFileSystem memory;
      memory.set(kCopy, torn);
      FileSystem fs(memory);
      const auto read = Container::open(fs, kCopy, Residency::map, Verify::metadata);
      ASSERT_TRUE(read) << "after " << done << " operations: " << read.error().message();
      const std::uint64_t commit = read->counters().applied_up_to;
      ASSERT_EQ(test::difference(*read, recording.models.at(commit)), "");
    }
    carry_out(file, next);
  }
}

}  // namespace
}  // namespace cairn::format
