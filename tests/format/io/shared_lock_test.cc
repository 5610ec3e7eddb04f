// SPDX-License-Identifier: Apache-2.0
#include "format/io/shared_lock.h"

#include <gtest/gtest.h>

#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <utility>

#include "format/io/file.h"
#include "tests/support/temporary_directory.h"

namespace cairn::format {
namespace {

using Outcome = SharedLock::Outcome;

// A file that is there, and one who wants it alone.
struct Locked {
  test::TemporaryDirectory folder;
  std::filesystem::path path = folder / "file";
  Locked() { std::ofstream(path) << "x"; }
  File open() const { return default_file_system().open(path, Access::read_write).value(); }
};

TEST(SharedLock, SeveralHaveItAndKeepOutWhoWantsTheFileAlone) {
  const Locked file;
  File alone = file.open();
  SharedLock first;
  ASSERT_EQ(first.take(file.path), Outcome::taken);
  {
    SharedLock second;
    ASSERT_EQ(second.take(file.path), Outcome::taken);
    EXPECT_FALSE(alone.try_lock().value());
    first = std::move(second);  // gives up its own
    EXPECT_FALSE(alone.try_lock().value());
  }
  EXPECT_FALSE(alone.try_lock().value());
  first = {};
  EXPECT_TRUE(alone.try_lock().value());
  EXPECT_EQ(first.take(file.path), Outcome::refused);
}

TEST(SharedLock, NeedsNoRightToWriteAndAFileThatIsThere) {
  const Locked file;
  SharedLock lock;
  EXPECT_EQ(lock.take(file.folder / "none"), Outcome::none);
  ASSERT_EQ(::chmod(file.path.c_str(), 0444), 0);
  EXPECT_EQ(lock.take(file.path), Outcome::taken);
}

TEST(SharedLock, TellsWhetherItsFileIsStillInPlace) {
  const Locked file;
  SharedLock lock;
  ASSERT_EQ(lock.take(file.path), Outcome::taken);
  EXPECT_TRUE(lock.is_in_place(file.path));
  std::filesystem::rename(file.path, file.folder / "aside");
  EXPECT_FALSE(lock.is_in_place(file.path));
  std::ofstream(file.path) << "another";
  EXPECT_FALSE(lock.is_in_place(file.path));
  EXPECT_TRUE(lock.is_in_place(file.folder / "aside"));
}

// A child shares the open file, and must not go on holding what its parent gives up.
TEST(SharedLock, IsItsParentsAfterAFork) {
  const Locked file;
  File alone = file.open();
  SharedLock lock;
  ASSERT_EQ(lock.take(file.path), Outcome::taken);
  int ends[2];
  ASSERT_EQ(::pipe(ends), 0);
  const pid_t child = ::fork();
  if (child == 0) {
    char byte = 0;
    ::close(ends[1]);
    ::_exit(::read(ends[0], &byte, 1) == 0 ? 0 : 1);
  }
  lock = {};
  EXPECT_TRUE(alone.try_lock().value());
  ::close(ends[0]);
  ::close(ends[1]);
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
}

}  // namespace
}  // namespace cairn::format
