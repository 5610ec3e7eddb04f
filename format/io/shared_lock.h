// SPDX-License-Identifier: Apache-2.0
//
// A lock that several may have on a file at once, and nobody who has File::try_lock() on it: "I am
// using this". It needs no right to write. Of the system's own file systems alone: files of others
// have none.
//
// Thread-safety: none. After a fork it is its parent's.
#pragma once

#include <filesystem>

#include "format/io/fork_watch.h"

namespace cairn::format {

class SharedLock {
 public:
  // Nobody's.
  SharedLock() = default;
  SharedLock(SharedLock&& other) noexcept;
  SharedLock& operator=(SharedLock&& other) noexcept;
  SharedLock(const SharedLock&) = delete;
  SharedLock& operator=(const SharedLock&) = delete;
  ~SharedLock();

  // none: the file is not there, may not be read, or its file system has no locks.
  enum class Outcome { taken, refused, none };
  Outcome take(const std::filesystem::path& path);
  // Whether the path still names what is locked. REQUIRES: taken
  bool is_in_place(const std::filesystem::path& path) const;

 private:
  void release() noexcept;

  HomeProcess home_;
  int descriptor_ = -1;
};

}  // namespace cairn::format
