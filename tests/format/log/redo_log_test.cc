// SPDX-License-Identifier: Apache-2.0
//
// The log stays within its segments.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include "format/bytes/log_frame.h"
#include "format/log/redo_log.h"
#include "format/pages/file_space.h"
#include "tests/support/memory_file_system.h"

namespace cairn::format {
namespace {

void append(RedoLog& log, std::uint64_t bytes) {
  const std::vector<std::byte> data(bytes, std::byte{7});
  ASSERT_TRUE(log.append([&](FrameBuilder& frame) { frame.add(RecordKind::bytes, 1, 0, data); }));
}

TEST(RedoLog, AGroupWrittenBetweenMakingRoomAndTheFrameLeavesRoomForIt) {
  constexpr std::uint64_t kSegment = 4 * kPageSize;
  for (std::uint64_t bytes = 1; bytes < kSegment; bytes += 61) {
    test::MemoryFileSystem memory;
    FileSystem fs(memory);
    auto file = fs.create_exclusive("a", 0600);
    ASSERT_TRUE(file);
    FileSpace space(*file);
    RedoLog log(*file, space, 5, 1, kSegment);
    ASSERT_TRUE(log.start(FileSpace::Where::anywhere));
    const auto behind = space.allocate_run(kPageSize, 0);
    ASSERT_TRUE(behind);
    const std::vector<std::byte> mine(kPageSize, std::byte{9});
    ASSERT_TRUE(file->pwrite(mine, behind->offset));

    ASSERT_TRUE(log.ensure(frame_at::kSize + record_bytes(10)));
    append(log, 10);
    ASSERT_TRUE(log.ensure(frame_at::kSize + record_bytes(bytes)));
    ASSERT_TRUE(log.write(0));  // as another thread may
    append(log, bytes);
    ASSERT_TRUE(log.write(0));
    ASSERT_TRUE(log.ensure(2 * kSegment));  // which leads to another segment
    ASSERT_TRUE(log.write(0));

    std::vector<std::byte> found(kPageSize);
    ASSERT_TRUE(file->pread(found, behind->offset));
    ASSERT_EQ(found, mine) << bytes;
  }
}

TEST(RedoLog, AFailureNamesTheFileOnce) {
  test::MemoryFileSystem memory;
  FileSystem fs(memory);
  auto file = fs.create_exclusive("index", 0600);
  ASSERT_TRUE(file);
  FileSpace space(*file);
  for (const char* cause : {"out of memory", "write index at 5: Input/output error"}) {
    RedoLog log(*file, space, 5, 1, kPageSize);
    const Error failed = log.fail(Error(ErrorCode::out_of_memory, cause));
    EXPECT_EQ(failed.code(), ErrorCode::poisoned);
    const std::size_t at = failed.message().find("index");
    ASSERT_NE(at, std::string::npos) << failed.message();
    EXPECT_EQ(failed.message().find("index", at + 1), std::string::npos) << failed.message();
  }
}

}  // namespace
}  // namespace cairn::format
