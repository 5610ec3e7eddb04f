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

#include "format/container/container.h"
#include "format/container/writable_container.h"
#include "tests/support/copies.h"
#include "tests/support/memory_file_system.h"

namespace cairn::format {
namespace {

using test::carry_out;
using test::DiskOperation;
using test::MemoryFileSystem;
using test::TakenCopy;
using test::WriterRecording;
using Bytes = std::vector<std::byte>;

const std::filesystem::path kCopy = "/copy";

// Of a commit whose frame may have been in the file while it was copied, and been the last one.
bool was_current(const WriterRecording& recording, std::uint64_t commit, const TakenCopy& copied) {
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
void take_copies(const WriterRecording& recording, const std::string& what, Counts& counts) {
  for (const std::size_t pages : {1u, 2u, 3u, 5u, 9u, 30u, 1000u}) {
    for (std::size_t begin = recording.created; begin < recording.operations.size(); begin += 2) {
      const TakenCopy copied = take_copy(recording, begin, pages);
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
    ASSERT_NO_FATAL_FAILURE(
        take_copies(test::record_writer(seed), "seed " + std::to_string(seed), counts));
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
        take_copies(test::record_cycles(seed), "seed " + std::to_string(seed), counts));
  }
  std::printf("%zu copies opened, %zu were refused\n", counts.opened, counts.refused);
  EXPECT_GT(counts.opened, 400u);
  EXPECT_GT(counts.refused, 400u);
}

// As a process that is killed leaves it: every operation wholly done or, at the end, some pages of
// it.
TEST(Copy, OfAKilledWritersFileAlwaysOpens) {
  const WriterRecording recording = test::record_writer(3);
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
