// SPDX-License-Identifier: Apache-2.0
//
// Saving and opening while calls fail, and what a crash during a save leaves behind.
#include <gtest/gtest.h>

#include <sys/stat.h>
#include <sys/xattr.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <functional>
#include <optional>
#include <set>
#include <string>
#include <utility>

#include "format/container/container.h"
#include "format/container/save_target.h"
#include "format/container/writable_container.h"
#include "tests/support/crash_images.h"
#include "tests/support/durable_script.h"
#include "tests/support/faulty_file_system.h"
#include "tests/support/file_image.h"
#include "tests/support/memory_file_system.h"
#include "tests/support/recording_file_system.h"
#include "tests/support/temporary_directory.h"

namespace cairn::format {
namespace {

using test::Bytes;
using test::DiskImage;
using test::DiskOperation;
using test::Fault;
using test::FaultyFileSystem;
using test::TemporaryDirectory;
using test::ToyIndex;

const ToyIndex& old_index() {
  static const ToyIndex index(10, 20, 1);
  return index;
}
const ToyIndex& new_index() {
  static const ToyIndex index(10, 300, 2);
  return index;
}

Bytes bytes_of(const ToyIndex& index) {
  const TemporaryDirectory directory;
  if (!write_container(default_file_system(), directory / "a", index.snapshot())) std::abort();
  return test::read_bytes(directory / "a");
}

struct SaveOutcome {
  Result<void> written;
  bool fault_happened;
  bool is_harmless;  // advice, or the lock of the new file
};

SaveOutcome save_with(const std::filesystem::path& path, const Fault& fault) {
  FaultyFileSystem raw(posix_file_system(), fault);
  FileSystem fs(raw);
  auto written = write_container(fs, path, new_index().snapshot());
  return {std::move(written), raw.has_failed(), raw.has_failed_advice() || raw.failed_locks() != 0};
}

class SaveFaults : public testing::TestWithParam<int> {};

// The directory's sync is the last call; by then the new file has its name.
TEST_P(SaveFaults, AFailureAtAnyCallLeavesTheOldFileAndIsTold) {
  const int error = GetParam();
  const Bytes old_bytes = bytes_of(old_index());
  const Bytes new_bytes = bytes_of(new_index());
  const ErrorCode expected = error == EINTR ? ErrorCode::io_error : error_code_of(error);
  for (const auto lasts : {Fault::Lasts::once, Fault::Lasts::forever}) {
    std::uint64_t failures = 0;
    std::uint64_t replaced = 0;
    for (std::uint64_t call = 0;; ++call) {
      const TemporaryDirectory directory;
      test::write_bytes(directory / "a", old_bytes);
      const SaveOutcome outcome = save_with(directory / "a", {call, error, lasts});
      if (!outcome.fault_happened) {
        EXPECT_TRUE(outcome.written);
        EXPECT_GT(call, 15u);
        break;
      }
      const Bytes left = test::read_bytes(directory / "a");
      if (outcome.written) {
        // Only an interruption can be got over; and who may not write the old file does not lock
        // it.
        EXPECT_TRUE(error == EINTR || outcome.is_harmless ||
                    (error == EACCES && (call == 2 || call == 3)))
            << call;
        EXPECT_EQ(left, new_bytes) << call;
        continue;
      }
      ++failures;
      EXPECT_EQ(outcome.written.error().code(), expected) << outcome.written.error().message();
      if (left == new_bytes) {
        ++replaced;
        EXPECT_NE(outcome.written.error().message().find("the new file is in place"),
                  std::string::npos);
      } else {
        EXPECT_EQ(left, old_bytes) << call;
      }
      if (lasts == Fault::Lasts::once) {
        EXPECT_EQ(directory.entries(), 1u) << call;
      }
    }
    const bool is_told = error != EINTR || lasts == Fault::Lasts::forever;
    EXPECT_EQ(failures > 15, is_told);
    EXPECT_EQ(replaced, is_told ? 1u : 0u);
  }
}

INSTANTIATE_TEST_SUITE_P(Errors, SaveFaults, testing::Values(EIO, ENOSPC, EINTR, EACCES));

TEST(SaveFaults, ShortWritesAreResumedAtAnyCall) {
  const Bytes expected = bytes_of(new_index());
  for (const auto lasts : {Fault::Lasts::once, Fault::Lasts::forever}) {
    for (std::uint64_t call = 0;; ++call) {
      const TemporaryDirectory directory;
      const SaveOutcome outcome = save_with(directory / "a", {call, 0, lasts});
      ASSERT_TRUE(outcome.written) << outcome.written.error().message();
      ASSERT_EQ(test::read_bytes(directory / "a"), expected);
      if (!outcome.fault_happened) break;
    }
  }
}

TEST(SaveFaults, WithoutAnOldFileNothingIsLeft) {
  for (std::uint64_t call = 0;; ++call) {
    const TemporaryDirectory directory;
    const SaveOutcome outcome = save_with(directory / "a", {call, EIO, Fault::Lasts::once});
    if (!outcome.fault_happened) break;
    const bool in_place = outcome.written || outcome.written.error().message().find(
                                                 "the new file is in place") != std::string::npos;
    EXPECT_EQ(directory.entries(), in_place ? 1u : 0u) << call;
  }
}

TEST(OpenFaults, AFailureAtAnyCallIsAnErrorAndShortReadsAreResumed) {
  const TemporaryDirectory directory;
  test::write_bytes(directory / "a", bytes_of(new_index()));
  for (const Residency residency : {Residency::map, Residency::load}) {
    for (const int error : {EIO, EINTR, ENOMEM, 0}) {
      for (std::uint64_t call = 0;; ++call) {
        FaultyFileSystem raw(posix_file_system(), {call, error, Fault::Lasts::once});
        FileSystem fs(raw);
        const auto container = Container::open(fs, directory / "a", residency, Verify::metadata);
        if (!raw.has_failed()) break;
        if (error == EINTR || error == 0) {
          ASSERT_TRUE(container) << container.error().message();
        } else if (!container) {
          EXPECT_EQ(container.error().code(), error_code_of(error));
        } else {
          EXPECT_TRUE(raw.has_failed_advice()) << call;
        }
      }
    }
  }
}

std::set<std::string> names_in(const TemporaryDirectory& directory) {
  std::set<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(directory.path())) {
    names.insert(entry.path().filename().string());
  }
  return names;
}

TEST(SaveTemporaries, ThoseThatNobodyHasLockedAreRemovedByTheNextSave) {
  const TemporaryDirectory directory;
  const Bytes ours = bytes_of(old_index());
  const Bytes zeros(5000);
  const Bytes others(20, std::byte{'x'});
  test::write_bytes(directory / ".a.0123456789abcdef.tmp", ours);
  test::write_bytes(directory / ".a.0123456789abcde0.tmp", zeros);
  test::write_bytes(directory / ".a.0123456789abcde1.tmp", {});
  const std::set<std::string> kept = {
      ".a.0123456789abcde2.tmp",  // of somebody else, by its content
      ".a.0123456789abcde3.tmp",  // which somebody writes
      ".a.0123456789abcde4.tmp",  // a link
      ".a.0123456789ABCDEF.tmp", ".a.0123456789abcdef.tmp2", ".a.123456789abcdef.tmp",
      ".b.0123456789abcdef.tmp", "a.0123456789abcdef.tmp"};
  for (const std::string& name : kept) test::write_bytes(directory / name, zeros);
  test::write_bytes(directory / ".a.0123456789abcde2.tmp", others);
  std::filesystem::remove(directory / ".a.0123456789abcde4.tmp");
  std::filesystem::create_symlink("b", directory / ".a.0123456789abcde4.tmp");
  auto written =
      default_file_system().open(directory / ".a.0123456789abcde3.tmp", Access::read_write);
  ASSERT_TRUE(written && *written->try_lock());

  ASSERT_TRUE(write_container(default_file_system(), directory / "a", new_index().snapshot()));
  std::set<std::string> expected = kept;
  expected.insert("a");
  EXPECT_EQ(names_in(directory), expected);
}

TEST(SaveTemporaries, TheOneThatIsWrittenIsLocked) {
  const TemporaryDirectory directory;
  bool is_kept = false;
  const auto look = [&]() -> Result<void> {
    remove_stale(default_file_system(), directory / "a");
    is_kept = directory.entries() == 1;
    return {};
  };
  const auto saved = write_container(default_file_system(), directory / "a", new_index().snapshot(),
                                     {.confirm = look});
  EXPECT_TRUE(saved);
  EXPECT_TRUE(is_kept);
}

TEST(SaveTarget, WhatIsNotToBeReplacedIsKeptWheneverItAppears) {
  for (const bool is_link : {false, true}) {
    const TemporaryDirectory directory;
    test::write_bytes(directory / "victim", bytes_of(old_index()));
    const auto appear = [&]() -> Result<void> {
      if (is_link) {
        std::filesystem::create_symlink(directory / "victim", directory / "a");
      } else {
        std::filesystem::copy(directory / "victim", directory / "a");
      }
      return {};
    };
    const SaveOptions options{.existing = Existing::refuse, .confirm = appear};
    for (int attempt = 0; attempt < 2; ++attempt) {
      const auto saved =
          write_container(default_file_system(), directory / "a", new_index().snapshot(), options);
      ASSERT_FALSE(saved);
      EXPECT_EQ(saved.error().code(), ErrorCode::path_exists) << saved.error().message();
    }
    EXPECT_EQ(test::read_bytes(directory / "a"), bytes_of(old_index()));
    EXPECT_EQ(directory.entries(), 2u);
  }
}

TEST(SaveTarget, ALinkThatLeadsNowhereIsFollowedOrRefused) {
  const TemporaryDirectory directory;
  std::filesystem::create_symlink("b", directory / "a");
  std::filesystem::create_symlink("loop", directory / "loop");
  FileSystem& fs = default_file_system();
  const auto refused =
      write_container(fs, directory / "a", new_index().snapshot(), {.existing = Existing::refuse});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code(), ErrorCode::path_exists);
  EXPECT_FALSE(write_container(fs, directory / "loop", new_index().snapshot()));
  ASSERT_TRUE(write_container(fs, directory / "a", new_index().snapshot()));
  EXPECT_TRUE(std::filesystem::is_symlink(directory / "a"));
  EXPECT_EQ(test::read_bytes(directory / "b"), bytes_of(new_index()));
}

TEST(SaveTarget, WhatASaveWouldRefuseIsKnownBefore) {
  const TemporaryDirectory directory;
  FileSystem& fs = default_file_system();
  const auto code = [&](const std::filesystem::path& path, Existing existing) {
    const auto checked = check_target(fs, path, existing);
    return checked ? 0 : static_cast<int>(checked.error().code());
  };
  const auto number = [](ErrorCode wanted) { return static_cast<int>(wanted); };
  EXPECT_EQ(code(directory / "a", Existing::refuse), 0);
  EXPECT_EQ(code(directory / "a", Existing::replace), 0);
  EXPECT_EQ(directory.entries(), 0u);
  EXPECT_EQ(code("", Existing::replace), number(ErrorCode::invalid_argument));
  EXPECT_EQ(code("/dev/null", Existing::replace), number(ErrorCode::invalid_argument));
  EXPECT_EQ(code(directory / "no/a", Existing::replace), number(ErrorCode::path_not_found));
  EXPECT_NE(code("/proc/a", Existing::replace), 0);
  test::write_bytes(directory / "a", bytes_of(old_index()));
  EXPECT_EQ(code(directory / "a", Existing::refuse), number(ErrorCode::path_exists));
  EXPECT_EQ(code(directory / "a", Existing::replace), 0);
  {
    const auto writer = WritableContainer::open(fs, directory / "a", test::small_options());
    ASSERT_TRUE(writer);
    EXPECT_EQ(code(directory / "a", Existing::replace), number(ErrorCode::path_in_use));
  }
  EXPECT_EQ(directory.entries(), 1u);
}

TEST(SaveAccess, PermissionsAndAttributesAreThoseOfWhatIsReplaced) {
  const TemporaryDirectory directory;
  const std::string path = directory / "a";
  test::write_bytes(path, bytes_of(old_index()));
  ASSERT_EQ(::chmod(path.c_str(), 06751), 0);
  const std::string value("\0two\xFF", 5);
  const bool has_attributes =
      ::setxattr(path.c_str(), "user.cairn.test", value.data(), value.size(), 0) == 0;
  ASSERT_TRUE(write_container(default_file_system(), path, new_index().snapshot()));
  const auto info = default_file_system().info(path);
  ASSERT_TRUE(info);
  EXPECT_EQ(info->mode, 0751u) << "never to run as somebody else";
  if (!has_attributes) GTEST_SKIP() << "no attributes here";
  std::array<char, 16> kept{};
  ASSERT_EQ(::getxattr(path.c_str(), "user.cairn.test", kept.data(), kept.size()), 5);
  EXPECT_EQ(std::string(kept.data(), 5), value);
}

// An access control list as Linux keeps it: version 2, then tag, permissions and id of each entry.
std::string access_list_for(std::uint32_t user) {
  struct Entry {
    std::uint16_t tag, permissions;
    std::uint32_t id;
  };
  const std::uint32_t none = ~0u;
  std::string list("\2\0\0\0", 4);
  for (const Entry& entry : {Entry{1, 6, none}, Entry{2, 4, user}, Entry{4, 0, none},
                             Entry{16, 4, none}, Entry{32, 0, none}}) {
    list.append(reinterpret_cast<const char*>(&entry), sizeof entry);
  }
  return list;
}

TEST(SaveAccess, AccessControlListsAreKeptAndNotInherited) {
  const TemporaryDirectory directory;
  const std::string path = directory / "a";
  test::write_bytes(path, bytes_of(old_index()));
  const std::string list = access_list_for(65534);
  const auto folder = directory.path().string();
  if (::setxattr(folder.c_str(), "system.posix_acl_default", list.data(), list.size(), 0) != 0) {
    GTEST_SKIP() << "no access control lists here";
  }
  std::array<char, 64> kept{};
  const auto list_of_file = [&] {
    return ::getxattr(path.c_str(), kAccessList, kept.data(), kept.size());
  };
  ASSERT_EQ(::chmod(path.c_str(), 0640), 0);
  ASSERT_TRUE(write_container(default_file_system(), path, new_index().snapshot()));
  EXPECT_EQ(list_of_file(), -1) << "that of the folder would let somebody else read";
  EXPECT_EQ(default_file_system().info(path)->mode, 0640u);

  ASSERT_EQ(::setxattr(path.c_str(), kAccessList, list.data(), list.size(), 0), 0);
  ASSERT_TRUE(write_container(default_file_system(), path, old_index().snapshot()));
  ASSERT_EQ(list_of_file(), static_cast<ssize_t>(list.size()));
  EXPECT_EQ(std::string(kept.data(), list.size()), list);
}

// A disk on which something happens just before a raw call, at a path that is saved to.
struct Meanwhile {
  test::MemoryFileSystem memory;
  FaultyFileSystem raw{memory, {}};
  FileSystem fs{raw};        // of who is watched
  FileSystem aside{memory};  // of who comes in between
  bool has_happened = false;

  void before(std::uint64_t call, std::function<void()> act) {
    raw.watch([this, call, act = std::move(act)](std::uint64_t n) {
      if (n != call || has_happened) return;
      has_happened = true;
      act();
    });
  }
  Result<WritableContainer> create(const std::filesystem::path& path) {
    auto made =
        WritableContainer::create(aside, path, old_index().parameters, test::small_options());
    if (!made) return made;
    Counters counters = made->counters();
    counters.applied_up_to = 7;
    const auto lsn = made->commit({}, counters);
    EXPECT_TRUE(lsn && made->acknowledge(*lsn));
    return made;
  }
  std::uint64_t position_in(const std::filesystem::path& path) {
    const auto read = Container::open(aside, path, Residency::map, Verify::full);
    EXPECT_TRUE(read) << read.error().message();
    return read ? read->counters().applied_up_to : 0;
  }
};

TEST(SaveMeanwhile, AFileThatIsCreatedAtThePathIsKept) {
  for (std::uint64_t call = 0;; ++call) {
    Meanwhile disk;
    std::optional<Result<WritableContainer>> writer;
    disk.before(call, [&] { writer.emplace(disk.create("/a")); });
    const auto saved = write_container(disk.fs, "/a", new_index().snapshot());
    if (!disk.has_happened) break;
    if (!*writer) {
      EXPECT_EQ(writer->error().code(), ErrorCode::path_exists);
      EXPECT_TRUE(saved) << call << ": " << saved.error().message();
      continue;
    }
    ASSERT_FALSE(saved) << call;
    EXPECT_EQ(saved.error().code(), call == 0 ? ErrorCode::path_in_use : ErrorCode::path_exists);
    EXPECT_EQ(disk.memory.files(), 1u);
    EXPECT_EQ(disk.position_in("/a"), 7u);
  }
}

// As compact() does: the new file is open for writing before it gets the name.
TEST(SaveMeanwhile, AWriterThatReplacesItsFileKeepsThePath) {
  for (std::uint64_t call = 0;; ++call) {
    Meanwhile disk;
    disk.memory.set("/a", bytes_of(old_index()));
    auto writer = disk.create("/b");
    ASSERT_TRUE(writer);
    bool is_locked = false;
    disk.before(call, [&] {
      is_locked = *disk.aside.open("/a", Access::read_only)->is_locked();
      if (!is_locked) {
        ASSERT_TRUE(disk.aside.rename("/b", "/a"));
      }
    });
    const auto saved = write_container(disk.fs, "/a", new_index().snapshot());
    if (is_locked) {
      EXPECT_GT(call, 3u);
      EXPECT_TRUE(saved);
      break;
    }
    ASSERT_FALSE(saved) << call;
    EXPECT_EQ(saved.error().code(), ErrorCode::path_in_use);
    EXPECT_EQ(disk.memory.files(), 1u);
    EXPECT_EQ(disk.position_in("/a"), 7u);
  }
}

TEST(SaveMeanwhile, WhatIsSavedOverAFileThatIsBeingCreatedIsKept) {
  std::size_t kept = 0;
  for (std::uint64_t call = 0;; ++call) {
    Meanwhile disk;
    Result<void> saved;
    disk.before(call, [&] { saved = write_container(disk.aside, "/a", new_index().snapshot()); });
    const auto created =
        WritableContainer::create(disk.fs, "/a", old_index().parameters, test::small_options());
    if (!disk.has_happened) break;
    ASSERT_NE(saved.has_value(), created.has_value()) << call;
    if (created) continue;
    EXPECT_EQ(created.error().code(), call == 0 ? ErrorCode::path_exists : ErrorCode::path_in_use);
    EXPECT_EQ(disk.memory.files(), 1u);
    EXPECT_EQ(disk.memory.get("/a"), bytes_of(new_index()));
    ++kept;
  }
  EXPECT_GT(kept, 1u);
}

// What the image holds at `path`: 'o' the old content, 'n' the new, '-' nothing, '?' anything else.
char content_of(const DiskImage& image, const std::filesystem::path& path, const Bytes& old_bytes,
                const Bytes& new_bytes) {
  const auto found = image.find(path);
  if (found == image.end()) return '-';
  if (found->second == old_bytes) return 'o';
  return found->second == new_bytes ? 'n' : '?';
}

struct Recorded {
  TemporaryDirectory directory;
  DiskImage before;
  std::vector<DiskOperation> operations;
  Bytes old_bytes = bytes_of(old_index());
  Bytes new_bytes = bytes_of(new_index());

  Recorded() {
    test::write_bytes(path(), old_bytes);
    before[path()] = old_bytes;
    test::RecordingFileSystem raw(posix_file_system());
    FileSystem fs(raw);
    if (!write_container(fs, path(), new_index().snapshot())) std::abort();
    operations = raw.operations();
  }
  std::filesystem::path path() const { return std::filesystem::canonical(directory.path()) / "a"; }
};

TEST(SaveCrash, AtAnyPointThePathHoldsTheOldOrTheNewContent) {
  const Recorded recorded;
  for (const Bytes& bytes : {recorded.old_bytes, recorded.new_bytes}) {
    test::write_bytes(recorded.directory / "b", bytes);
    const auto container = Container::open(default_file_system(), recorded.directory / "b",
                                           Residency::load, Verify::full);
    ASSERT_TRUE(container) << container.error().message();
    EXPECT_EQ(container->counters(),
              bytes == recorded.old_bytes ? old_index().counters : new_index().counters);
  }
  std::size_t old_content = 0;
  std::size_t new_content = 0;
  const std::size_t images = test::for_each_crash_image(
      recorded.before, recorded.operations, {}, [&](std::size_t done, const DiskImage& image) {
        const char content =
            content_of(image, recorded.path(), recorded.old_bytes, recorded.new_bytes);
        ASSERT_TRUE(content == 'o' || content == 'n') << content << " after " << done;
        // Once save() has returned, the new content is there to stay.
        if (done == recorded.operations.size()) {
          ASSERT_EQ(content, 'n');
        }
        ++(content == 'o' ? old_content : new_content);
      });
  EXPECT_GT(images, 300u);
  EXPECT_GT(old_content, 100u);
  EXPECT_GT(new_content, 1u);
}

// The enumeration is worth something only if it finds a missing sync.
TEST(SaveCrash, LeavingOutASyncIsNoticed) {
  using Kind = DiskOperation::Kind;
  for (const Kind kind : {Kind::sync, Kind::sync_directory}) {
    Recorded recorded;
    const auto removed = std::erase_if(recorded.operations, [&](const DiskOperation& operation) {
      return operation.kind == kind;
    });
    ASSERT_EQ(removed, 1u);
    std::size_t torn = 0;
    std::size_t lost = 0;
    test::for_each_crash_image(
        recorded.before, recorded.operations, {}, [&](std::size_t done, const DiskImage& image) {
          const char content =
              content_of(image, recorded.path(), recorded.old_bytes, recorded.new_bytes);
          if (content == '?') ++torn;
          if (content == 'o' && done == recorded.operations.size()) ++lost;
        });
    if (kind == Kind::sync) {
      EXPECT_GT(torn, 0u);
    } else {
      EXPECT_GT(lost, 0u);
    }
  }
}

TEST(SaveCrash, PublishingBeforeTheDataIsSyncedIsNoticed) {
  using Kind = DiskOperation::Kind;
  Recorded recorded;
  const auto is = [](Kind kind) {
    return [kind](const DiskOperation& operation) { return operation.kind == kind; };
  };
  auto& operations = recorded.operations;
  const auto sync = std::find_if(operations.begin(), operations.end(), is(Kind::sync));
  const auto rename = std::find_if(operations.begin(), operations.end(), is(Kind::rename));
  ASSERT_EQ(rename - sync, 1);
  std::iter_swap(sync, rename);
  std::size_t torn = 0;
  test::for_each_crash_image(
      recorded.before, operations, {}, [&](std::size_t, const DiskImage& image) {
        if (content_of(image, recorded.path(), recorded.old_bytes, recorded.new_bytes) == '?') {
          ++torn;
        }
      });
  EXPECT_GT(torn, 0u);
}

}  // namespace
}  // namespace cairn::format
