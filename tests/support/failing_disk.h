// SPDX-License-Identifier: Apache-2.0
//
// A disk in memory for whole indexes: calls fail on it, and its power fails.
#pragma once

#include <cstdint>
#include <filesystem>

#include "format/container/writable_container.h"
#include "format/io/file.h"
#include "tests/support/crash_images.h"
#include "tests/support/faulty_file_system.h"
#include "tests/support/memory_file_system.h"
#include "tests/support/recording_file_system.h"

namespace cairn::test {

// The default file system as long as it lives. One at a time, for one thread.
class FailingDisk {
 public:
  FailingDisk() : recording_(memory_), faulty_(recording_, {}), in_place_(faulty_) {}
  FailingDisk(const FailingDisk&) = delete;
  FailingDisk& operator=(const FailingDisk&) = delete;
  ~FailingDisk() = default;

  // For IndexParts: files are small, so that logs change their segments and sections grow.
  static format::WriteOptions small_files();

  // The call of the fault is counted from here.
  void fail(const Fault& fault);
  void heal() { faulty_.heal(); }
  // Whether the fault has happened.
  bool has_failed() const { return faulty_.has_failed(); }
  std::uint64_t calls() const { return faulty_.calls(); }

  // What is not synced is lost, torn or there, as `seed` decides; 0: all of it is there, as when
  // the process is killed and the system goes on. Heals. REQUIRES: no file is open.
  void crash(std::uint64_t seed);

  bool exists(const std::filesystem::path& path) const { return memory_.exists(path); }
  void remove(const std::filesystem::path& path);

 private:
  MemoryFileSystem memory_;
  RecordingFileSystem recording_;
  FaultyFileSystem faulty_;
  format::DefaultFileSystem in_place_;
  DiskImage synced_;
};

}  // namespace cairn::test
