// SPDX-License-Identifier: Apache-2.0
//
// A file system that does everything for real and notes down what changes the disk, in order.
// crash_images.h makes of the notes what a crash could have left behind.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "format/io/file.h"
#include "tests/support/forwarding_file_system.h"

namespace cairn::test {

struct DiskOperation {
  enum class Kind {
    create,          // file `file` gets the name `path`
    open,            // file `file` had the name `path` already
    write,           // `data` at `offset`
    write_dsync,     // the same, durable, and what else of the file lies in the range
    allocate,        // `size` bytes at `offset`
    truncate,        // to `size`
    sync,            // all of the file is durable (datasync and sync)
    rename,          // `path` to `to`
    unlink,          // `path`
    sync_directory,  // the names in `path` are durable
    lost_write,      // `data` at `offset` is in the page cache and will never be on the disk
    lost_sync,       // so is all that was written and not synced before
  };
  Kind kind;
  std::size_t file = 0;  // number of the file, in the order in which they were opened or created
  std::uint64_t offset = 0;
  std::uint64_t size = 0;
  std::vector<std::byte> data = {};
  std::filesystem::path path = {};
  std::filesystem::path to = {};
};

// What goes wrong with one recorded operation.
struct DiskFault {
  enum class Kind {
    none,
    // The call fails, and the page cache keeps what was written as if it had been: what Linux does
    // after a failed write-back.
    lost,
    // The process ends before the operation, or in the middle of a write. The page cache stays.
    killed,
    killed_inside,
  };
  Kind kind = Kind::none;
  std::size_t operation = 0;  // counted from 0
};

// Not thread-safe. Only operations that succeed are recorded, and those that are lost. Files that
// it opened must not outlive it.
class RecordingFileSystem final : public ForwardingFileSystem {
 public:
  explicit RecordingFileSystem(format::RawFileSystem& base) : ForwardingFileSystem(base) {}

  const std::vector<DiskOperation>& operations() const { return operations_; }
  // What comes is recorded as if nothing had been before. REQUIRES: no file is open.
  void forget() {
    operations_.clear();
    files_ = 0;
  }

  void fail(DiskFault fault) { fault_ = fault; }
  bool has_failed() const { return has_failed_; }
  // Another process goes on with what the page cache holds.
  void revive() { fault_ = {}; }
  // Writes that are durable when they return are a write and a sync, as where there is no
  // RWF_DSYNC.
  void split_durable_writes() { splits_ = true; }
  bool splits() const { return splits_; }

  // Whether the next operation that changes the disk is the one of the fault, or comes after a
  // kill.
  DiskFault::Kind next_fault();

  format::RawOpenOutcome open(const std::filesystem::path& path, format::Access access) override;
  format::RawOpenOutcome create_exclusive(const std::filesystem::path& path,
                                          std::uint32_t mode) override;
  format::IoOutcome rename(const std::filesystem::path& from,
                           const std::filesystem::path& to) override;
  format::IoOutcome rename_new(const std::filesystem::path& from,
                               const std::filesystem::path& to) override;
  format::IoOutcome unlink(const std::filesystem::path& path) override;
  format::IoOutcome sync_directory(const std::filesystem::path& path) override;

  void record(DiskOperation operation) { operations_.push_back(std::move(operation)); }

 private:
  std::vector<DiskOperation> operations_;
  std::size_t files_ = 0;
  DiskFault fault_;
  bool has_failed_ = false;
  bool splits_ = false;
};

}  // namespace cairn::test
