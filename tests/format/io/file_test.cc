// SPDX-License-Identifier: Apache-2.0
#include "format/io/file.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cstring>
#include <vector>

#include "tests/support/faulty_file_system.h"
#include "tests/support/file_image.h"
#include "tests/support/temporary_directory.h"

namespace cairn::format {
namespace {

using test::Bytes;
using test::Fault;
using test::FaultyFileSystem;
using test::TemporaryDirectory;

Bytes pattern(std::size_t size) {
  Bytes bytes(size);
  for (std::size_t i = 0; i < size; ++i) bytes[i] = static_cast<std::byte>(i * 7 + i / 256);
  return bytes;
}

TEST(File, ReadsBackWhatItWrote) {
  const TemporaryDirectory directory;
  FileSystem& fs = default_file_system();
  auto file = fs.create_exclusive(directory / "a", 0666);
  ASSERT_TRUE(file) << file.error().message();
  const Bytes data = pattern(10000);
  ASSERT_TRUE(file->pwrite(data, 5000));
  ASSERT_TRUE(file->pwrite_dsync(data, 20000));
  ASSERT_TRUE(file->datasync());
  ASSERT_TRUE(file->sync());
  EXPECT_EQ(file->size().value(), 30000u);
  Bytes read(10000);
  ASSERT_TRUE(file->pread(read, 5000));
  EXPECT_EQ(read, data);
  ASSERT_TRUE(file->pread(read, 20000));
  EXPECT_EQ(read, data);
}

TEST(FileSystem, AMountPointThatCannotBeReplacedIsToldWithWhatToDo) {
  const TemporaryDirectory directory;
  test::write_bytes(directory / "a", pattern(10));
  FaultyFileSystem raw(posix_file_system(), {0, EBUSY, Fault::Lasts::forever});
  FileSystem fs(raw);
  const auto outcome = fs.rename(directory / "a", directory / "b");
  ASSERT_FALSE(outcome);
  EXPECT_EQ(outcome.error().code(), ErrorCode::path_in_use);
  EXPECT_NE(outcome.error().message().find("mount its directory instead"), std::string::npos)
      << outcome.error().message();
}

TEST(File, ReadingBeyondTheEndIsTruncatedAndTellsWhere) {
  const TemporaryDirectory directory;
  test::write_bytes(directory / "a", pattern(100));
  auto file = default_file_system().open(directory / "a", Access::read_only);
  ASSERT_TRUE(file);
  Bytes buffer(64);
  const auto outcome = file->pread(buffer, 50);
  ASSERT_FALSE(outcome);
  EXPECT_EQ(outcome.error().code(), ErrorCode::truncated);
  EXPECT_NE(outcome.error().message().find("at 100: the file ends there, 14 more bytes"),
            std::string::npos)
      << outcome.error().message();
  EXPECT_EQ(file->pread_some(buffer, 50).value(), 50u);
  EXPECT_EQ(file->pread_some(buffer, 100).value(), 0u);
}

TEST(File, ShortTransfersAreResumed) {
  const TemporaryDirectory directory;
  const Fault fault{0, 0, Fault::Lasts::forever};
  FaultyFileSystem raw(posix_file_system(), fault);
  FileSystem fs(raw);
  auto file = fs.create_exclusive(directory / "a", 0666);
  ASSERT_TRUE(file);
  const Bytes data = pattern(1000);
  ASSERT_TRUE(file->pwrite(data, 3));
  ASSERT_TRUE(file->pwrite_dsync(data, 2000));
  Bytes read(1000);
  const std::uint64_t calls_before = raw.calls();
  ASSERT_TRUE(file->pread(read, 3));
  EXPECT_GT(raw.calls() - calls_before, 8u);
  EXPECT_EQ(read, data);
  ASSERT_TRUE(file->pread(read, 2000));
  EXPECT_EQ(read, data);
}

TEST(File, InterruptedCallsAreRepeated) {
  const TemporaryDirectory directory;
  for (std::uint64_t call = 0; call < 9; ++call) {
    FaultyFileSystem raw(posix_file_system(), Fault{call, EINTR, Fault::Lasts::once});
    FileSystem fs(raw);
    const auto path = directory / std::to_string(call);
    auto file = fs.create_exclusive(path, 0666);
    ASSERT_TRUE(file);
    EXPECT_TRUE(file->pwrite(pattern(10), 0));
    EXPECT_TRUE(file->truncate(20));
    EXPECT_TRUE(file->allocate(0, 4096));
    EXPECT_TRUE(file->set_mode(0600));
    EXPECT_TRUE(file->sync());
    EXPECT_TRUE(file->datasync());
    EXPECT_TRUE(file->try_lock().value());
    EXPECT_TRUE(fs.unlink(path));
    EXPECT_TRUE(raw.has_failed()) << call;
  }
}

TEST(File, EndlessInterruptionIsAnError) {
  const TemporaryDirectory directory;
  FaultyFileSystem raw(posix_file_system(), Fault{1, EINTR, Fault::Lasts::forever});
  FileSystem fs(raw);
  auto file = fs.create_exclusive(directory / "a", 0666);
  ASSERT_TRUE(file);
  const auto outcome = file->pwrite(pattern(10), 0);
  ASSERT_FALSE(outcome);
  EXPECT_EQ(outcome.error().code(), ErrorCode::io_error);
}

TEST(File, ErrorsNameOperationPathPlaceAndReason) {
  const TemporaryDirectory directory;
  FaultyFileSystem raw(posix_file_system(), Fault{1, ENOSPC, Fault::Lasts::once});
  FileSystem fs(raw);
  auto file = fs.create_exclusive(directory / "a", 0666);
  ASSERT_TRUE(file);
  const auto outcome = file->pwrite(pattern(10), 77);
  ASSERT_FALSE(outcome);
  EXPECT_EQ(outcome.error().code(), ErrorCode::no_space);
  EXPECT_EQ(outcome.error().message(), "write " + (directory / "a").string() +
                                           " at 77: " + std::generic_category().message(ENOSPC));
}

TEST(File, ErrnoValuesBecomeErrorCodes) {
  EXPECT_EQ(error_code_of(ENOSPC), ErrorCode::no_space);
  EXPECT_EQ(error_code_of(EDQUOT), ErrorCode::no_space);
  EXPECT_EQ(error_code_of(ENOENT), ErrorCode::path_not_found);
  EXPECT_EQ(error_code_of(EEXIST), ErrorCode::path_exists);
  EXPECT_EQ(error_code_of(EACCES), ErrorCode::permission_denied);
  EXPECT_EQ(error_code_of(EPERM), ErrorCode::permission_denied);
  EXPECT_EQ(error_code_of(EROFS), ErrorCode::permission_denied);
  EXPECT_EQ(error_code_of(ENOMEM), ErrorCode::out_of_memory);
  EXPECT_EQ(error_code_of(EISDIR), ErrorCode::invalid_argument);
  EXPECT_EQ(error_code_of(EIO), ErrorCode::io_error);
}

TEST(File, OneLockAtATimeEvenInOneProcess) {
  const TemporaryDirectory directory;
  test::write_bytes(directory / "a", pattern(10));
  FileSystem& fs = default_file_system();
  auto second = fs.open(directory / "a", Access::read_write);
  {
    auto first = fs.open(directory / "a", Access::read_write);
    EXPECT_TRUE(first->try_lock().value());
    EXPECT_TRUE(first->try_lock().value());
    EXPECT_FALSE(second->try_lock().value());
    // Another descriptor of the file that comes and goes takes nothing away.
    { auto third = fs.open(directory / "a", Access::read_write); }
    EXPECT_FALSE(second->try_lock().value());
  }
  EXPECT_TRUE(second->try_lock().value());
}

TEST(FileSystem, OpensOnlyRegularFiles) {
  const TemporaryDirectory directory;
  FileSystem& fs = default_file_system();
  const auto folder = fs.open(directory.path(), Access::read_only);
  ASSERT_FALSE(folder);
  EXPECT_EQ(folder.error().code(), ErrorCode::invalid_argument);
  EXPECT_EQ(folder.error().message(),
            "open " + directory.path().string() + ": is a directory, not a regular file");

  ASSERT_EQ(::mkfifo((directory / "fifo").c_str(), 0600), 0);
  const auto fifo = fs.open(directory / "fifo", Access::read_only);
  ASSERT_FALSE(fifo);
  EXPECT_EQ(fifo.error().code(), ErrorCode::invalid_argument);

  const auto device = fs.open("/dev/null", Access::read_only);
  ASSERT_FALSE(device);
  EXPECT_EQ(device.error().code(), ErrorCode::invalid_argument);
}

TEST(FileSystem, RenamingReplacesUnlessItMustNot) {
  const TemporaryDirectory directory;
  FileSystem& fs = default_file_system();
  test::write_bytes(directory / "a", test::Bytes(1));
  test::write_bytes(directory / "b", test::Bytes(2));
  const auto refused = fs.rename_new(directory / "a", directory / "b");
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code(), ErrorCode::path_exists);
  EXPECT_EQ(fs.info(directory / "b")->size_bytes, 2u);
  ASSERT_TRUE(fs.rename_new(directory / "a", directory / "c"));
  EXPECT_EQ(fs.info(directory / "c")->size_bytes, 1u);
  EXPECT_FALSE(fs.info(directory / "a"));
  ASSERT_TRUE(fs.rename(directory / "c", directory / "b"));
  EXPECT_EQ(fs.info(directory / "b")->size_bytes, 1u);
  EXPECT_EQ(directory.entries(), 1u);
}

TEST(InFile, OperationAndPathAreSaidOnce) {
  const auto message = [](const char* what) {
    return in_file("open", "a.cairn", Error(ErrorCode::io_error, what)).message();
  };
  EXPECT_EQ(message("header at 0: cut"), "open a.cairn: header at 0: cut");
  EXPECT_EQ(message("open a.cairn: No such file"), "open a.cairn: No such file");
  EXPECT_EQ(message("allocate a.cairn at 4096: full"), "open a.cairn: allocate at 4096: full");
  EXPECT_EQ(message("stat a.cairn: no"), "open a.cairn: stat: no");
  EXPECT_EQ(message("read a.cairn.tmp at 0: no"), "open a.cairn: read a.cairn.tmp at 0: no");
  EXPECT_EQ(message(""), "open a.cairn: ");
}

TEST(FileSystem, MissingAndExistingPathsAreTold) {
  const TemporaryDirectory directory;
  FileSystem& fs = default_file_system();
  EXPECT_EQ(fs.open(directory / "none", Access::read_only).error().code(),
            ErrorCode::path_not_found);
  EXPECT_EQ(fs.info(directory / "none").error().code(), ErrorCode::path_not_found);
  EXPECT_EQ(fs.unlink(directory / "none").error().code(), ErrorCode::path_not_found);
  EXPECT_EQ(fs.sync_directory(directory / "none").error().code(), ErrorCode::path_not_found);
  test::write_bytes(directory / "a", pattern(1));
  EXPECT_EQ(fs.create_exclusive(directory / "a", 0666).error().code(), ErrorCode::path_exists);
  EXPECT_TRUE(fs.rename(directory / "a", directory / "b"));
  EXPECT_TRUE(fs.sync_directory(directory.path()));
  EXPECT_EQ(fs.info(directory / "b")->size_bytes, 1u);
  EXPECT_EQ(fs.info(directory.path())->kind, FileInfo::Kind::directory);
}

}  // namespace
}  // namespace cairn::format
