// SPDX-License-Identifier: Apache-2.0
#include "format/io/shared_lock.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "format/io/lock_offset.h"

namespace cairn::format {

namespace {

int set_lock(int descriptor, short type) {
  struct flock lock {};
  lock.l_type = type;
  lock.l_whence = SEEK_SET;
  lock.l_start = kLockOffset;
  lock.l_len = 1;
  return ::fcntl(descriptor, F_OFD_SETLK, &lock);
}

}  // namespace

SharedLock::SharedLock(SharedLock&& other) noexcept
    : home_(other.home_), descriptor_(std::exchange(other.descriptor_, -1)) {}

SharedLock& SharedLock::operator=(SharedLock&& other) noexcept {
  if (this == &other) return *this;
  release();
  home_ = other.home_;
  descriptor_ = std::exchange(other.descriptor_, -1);
  return *this;
}

SharedLock::~SharedLock() { release(); }

void SharedLock::release() noexcept {
  if (descriptor_ < 0) return;
  // Children that have been forked meanwhile share the open file, and would go on holding it.
  if (home_.is_here()) (void)set_lock(descriptor_, F_UNLCK);
  (void)::close(std::exchange(descriptor_, -1));
}

SharedLock::Outcome SharedLock::take(const std::filesystem::path& path) {
  release();
  const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
  if (descriptor < 0) return Outcome::none;
  if (set_lock(descriptor, F_RDLCK) == 0) {
    home_ = {};
    descriptor_ = descriptor;
    return Outcome::taken;
  }
  const bool is_refused = errno == EAGAIN || errno == EACCES;
  (void)::close(descriptor);
  return is_refused ? Outcome::refused : Outcome::none;
}

bool SharedLock::is_in_place(const std::filesystem::path& path) const {
  struct stat there {};
  struct stat here {};
  return ::stat(path.c_str(), &there) == 0 && ::fstat(descriptor_, &here) == 0 &&
         there.st_dev == here.st_dev && there.st_ino == here.st_ino;
}

}  // namespace cairn::format
