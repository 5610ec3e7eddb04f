// SPDX-License-Identifier: Apache-2.0
//
// The raw level on POSIX systems: one system call an operation.
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/uio.h>
#include <sys/xattr.h>
#include <time.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "format/io/address_space.h"
#include "format/io/file.h"
#include "format/io/fork_watch.h"
#include "format/io/lock_offset.h"

namespace cairn::format {
namespace {

constexpr unsigned kNoReplace = 1;  // RENAME_NOREPLACE

IoOutcome outcome_of(long long returned) {
  if (returned < 0) return {0, errno};
  return {returned, 0};
}

// What stands at `path`, relative to the descriptor; "": behind it.
IoOutcome describe(int fd, const char* path, int flags, FileInfo& out) {
  struct statx found {};
  const IoOutcome outcome =
      outcome_of(::statx(fd, path, flags, STATX_BASIC_STATS | STATX_BTIME, &found));
  if (outcome.error != 0) return outcome;
  out.kind = S_ISREG(found.stx_mode)   ? FileInfo::Kind::regular
             : S_ISDIR(found.stx_mode) ? FileInfo::Kind::directory
                                       : FileInfo::Kind::other;
  out.size_bytes = found.stx_size;
  out.device = makedev(found.stx_dev_major, found.stx_dev_minor);
  out.inode = found.stx_ino;
  out.changed_ns =
      static_cast<std::uint64_t>(found.stx_ctime.tv_sec) * 1'000'000'000 + found.stx_ctime.tv_nsec;
  out.birth_ns = 0;
  if ((found.stx_mask & STATX_BTIME) != 0) {
    out.birth_ns = static_cast<std::uint64_t>(found.stx_btime.tv_sec) * 1'000'000'000 +
                   found.stx_btime.tv_nsec;
  }
  out.mode = found.stx_mode & 07777u;
  out.owner = found.stx_uid;
  out.group = found.stx_gid;
  out.names = found.stx_nlink;
  return outcome;
}

class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  int get() const { return fd_; }

 private:
  int fd_;
};

constexpr int kFirstOwn = STDERR_FILENO + 1;

// In a process that has closed standard descriptors, a file must not get one of their numbers: the
// next message to standard error would go into it. As long as this lives, numbers that nobody has
// are taken, by what nobody can write to.
class StandardDescriptors {
 public:
  StandardDescriptors() {
    for (int fd = 0; fd < kFirstOwn; ++fd) {
      if (::fcntl(fd, F_GETFD) >= 0 || errno != EBADF) continue;
      const int got = ::open("/", O_PATH | O_CLOEXEC);
      if (got >= kFirstOwn) ::close(got);  // another thread has just got it
      if (got >= 0 && got < kFirstOwn) taken_[got] = true;
    }
  }
  StandardDescriptors(const StandardDescriptors&) = delete;
  StandardDescriptors& operator=(const StandardDescriptors&) = delete;
  ~StandardDescriptors() {
    for (int fd = 0; fd < kFirstOwn; ++fd) {
      if (taken_[fd]) ::close(fd);
    }
  }

 private:
  bool taken_[kFirstOwn] = {};
};

// What `open` returns, never a standard descriptor; -1 and errno.
template <class Open>
int open_above_standard(Open&& open) {
  const StandardDescriptors taken;
  const int fd = open();
  if (fd < 0 || fd >= kFirstOwn) return fd;
  // One was closed meanwhile.
  const int moved = ::fcntl(fd, F_DUPFD_CLOEXEC, kFirstOwn);
  const int error = errno;
  ::close(fd);
  errno = error;
  return moved;
}

class PosixFile final : public RawFile {
 public:
  PosixFile() = default;
  PosixFile(const PosixFile&) = delete;
  PosixFile& operator=(const PosixFile&) = delete;
  ~PosixFile() override {
    if (descriptor_ < 0) return;
    // Children that have been forked meanwhile share the open file, and would go on holding the
    // lock. They themselves only close it.
    if (locked_by_ && locked_by_->is_here()) {
      struct flock unlock = lock_of_writers();
      unlock.l_type = F_UNLCK;
      (void)::fcntl(descriptor_, F_OFD_SETLK, &unlock);
    }
    ::close(descriptor_);
  }
  void use(int descriptor) { descriptor_ = descriptor; }

  IoOutcome pread(void* out, std::size_t size, std::uint64_t offset) const override {
    return outcome_of(::pread(fd(), out, size, static_cast<off_t>(offset)));
  }

  IoOutcome pwrite(const void* data, std::size_t size, std::uint64_t offset) override {
    return outcome_of(::pwrite(fd(), data, size, static_cast<off_t>(offset)));
  }

  IoOutcome pwrite_dsync(const void* data, std::size_t size, std::uint64_t offset) override {
    iovec piece{const_cast<void*>(data), size};
    const ssize_t written = ::pwritev2(fd(), &piece, 1, static_cast<off_t>(offset), RWF_DSYNC);
    if (written >= 0 || (errno != EOPNOTSUPP && errno != ENOSYS)) return outcome_of(written);
    const IoOutcome plain = pwrite(data, size, offset);
    if (plain.error != 0) return plain;
    const IoOutcome synced = datasync();
    return synced.error != 0 ? synced : plain;
  }

  IoOutcome datasync() override { return outcome_of(::fdatasync(fd())); }
  IoOutcome sync() override { return outcome_of(::fsync(fd())); }

  IoOutcome allocate(std::uint64_t offset, std::uint64_t size) override {
    return {0, ::posix_fallocate(fd(), static_cast<off_t>(offset), static_cast<off_t>(size))};
  }

  IoOutcome truncate(std::uint64_t size) override {
    return outcome_of(::ftruncate(fd(), static_cast<off_t>(size)));
  }

  IoOutcome stat(FileInfo& out) const override { return describe(fd(), "", AT_EMPTY_PATH, out); }

  IoOutcome next_data(std::uint64_t offset) const override {
    const off_t found = ::lseek(fd(), static_cast<off_t>(offset), SEEK_DATA);
    return found < 0 ? IoOutcome{0, errno} : IoOutcome{found, 0};
  }

  IoOutcome set_mode(std::uint32_t mode) override {
    return outcome_of(::fchmod(fd(), static_cast<mode_t>(mode)));
  }

  IoOutcome set_owner(std::uint32_t owner, std::uint32_t group) override {
    return outcome_of(::fchown(fd(), owner, group));
  }

  IoOutcome set_attribute(const Attribute& attribute) override {
    const std::string& value = attribute.value;
    return outcome_of(::fsetxattr(fd(), attribute.name.c_str(), value.data(), value.size(), 0));
  }

  IoOutcome remove_attribute(const char* name) override {
    const IoOutcome outcome = outcome_of(::fremovexattr(fd(), name));
    return outcome.error == ENODATA ? IoOutcome{} : outcome;
  }

  IoOutcome advise(Advice advice, std::uint64_t offset, std::uint64_t size) const override {
    const int value = advice == Advice::random   ? POSIX_FADV_RANDOM
                      : advice == Advice::normal ? POSIX_FADV_NORMAL
                                                 : POSIX_FADV_WILLNEED;
    return {0, ::posix_fadvise(fd(), static_cast<off_t>(offset), static_cast<off_t>(size), value)};
  }

  IoOutcome map(void* address, std::uint64_t offset, std::size_t size,
                Access access) const override {
    return {0, map_over(fd(), address, offset, size, access)};
  }

  IoOutcome map_shared(void* address, std::uint64_t offset, std::size_t size,
                       Access access) const override {
    return {0, map_shared_over(fd(), address, offset, size, access)};
  }

  IoOutcome try_lock() override {
    struct flock lock = lock_of_writers();
    if (::fcntl(fd(), F_OFD_SETLK, &lock) == 0) {
      locked_by_.emplace();
      return {1, 0};
    }
    if (errno == EAGAIN || errno == EACCES) return {0, 0};
    return {0, errno};
  }

  IoOutcome is_locked() const override {
    struct flock lock = lock_of_writers();
    if (::fcntl(fd(), F_OFD_GETLK, &lock) != 0) return {0, errno};
    return {lock.l_type == F_UNLCK ? 0 : 1, 0};
  }

 private:
  int fd() const { return descriptor_; }
  static struct flock lock_of_writers() {
    struct flock lock {};
    lock.l_type = F_WRLCK;
    lock.l_whence = SEEK_SET;
    lock.l_start = kLockOffset;
    lock.l_len = 1;
    return lock;
  }

  int descriptor_ = -1;
  std::optional<HomeProcess> locked_by_;
};

// The memory first: without it no file is opened, and none created.
template <class Open>
RawOpenOutcome open_file(Open&& open) {
  auto file = std::make_unique<PosixFile>();
  const int fd = open_above_standard(std::forward<Open>(open));
  if (fd < 0) return {nullptr, errno};
  file->use(fd);
  return {std::move(file), 0};
}

constexpr std::size_t kLongestPath = 4096;
// Limits of Linux for the names of all attributes, and for the value of one.
constexpr std::size_t kLongestAttribute = std::size_t{64} << 10;
constexpr std::size_t kMostAttributes = std::size_t{1} << 20;

// Attributes that say something of the bytes of a file, and would be wrong of others.
bool belongs_to_bytes(std::string_view name) {
  return name == "security.capability" || name == "security.ima" || name == "security.evm";
}

IoOutcome read_attributes(const std::filesystem::path& path, std::vector<Attribute>& out) {
  std::vector<char> names(kLongestAttribute);
  const ssize_t length = ::listxattr(path.c_str(), names.data(), names.size());
  if (length < 0) {
    const bool has_none = errno == ENOTSUP || errno == ENOSYS || errno == E2BIG || errno == ERANGE;
    return {0, has_none ? 0 : errno};
  }
  std::vector<char> value(kLongestAttribute);
  std::size_t total = 0;
  for (const char* name = names.data(); name < names.data() + length;
       name += std::strlen(name) + 1) {
    if (belongs_to_bytes(name)) continue;
    const ssize_t size = ::getxattr(path.c_str(), name, value.data(), value.size());
    if (size < 0) continue;  // gone, or not for this user
    total += std::strlen(name) + static_cast<std::size_t>(size);
    if (total > kMostAttributes) break;
    out.push_back({name, std::string(value.data(), static_cast<std::size_t>(size))});
  }
  return {};
}

IoOutcome list_directory(const std::filesystem::path& path, std::string_view prefix,
                         std::vector<std::string>& names) {
  const std::unique_ptr<DIR, int (*)(DIR*)> directory(::opendir(path.c_str()), &::closedir);
  if (!directory) return {0, errno};
  for (;;) {
    errno = 0;
    const dirent* const entry = ::readdir(directory.get());
    if (entry == nullptr) return {0, errno};
    if (!std::string_view(entry->d_name).starts_with(prefix)) continue;
    FileInfo info;
    const int fd = ::dirfd(directory.get());
    const IoOutcome found = describe(fd, entry->d_name, AT_SYMLINK_NOFOLLOW, info);
    if (found.error == 0 && info.kind == FileInfo::Kind::regular) names.emplace_back(entry->d_name);
  }
}

class PosixFileSystem final : public RawFileSystem {
 public:
  RawOpenOutcome open(const std::filesystem::path& path, Access access) override {
    // O_NONBLOCK: opening a FIFO returns at once; it means nothing on a regular file.
    const int mode = access == Access::read_only ? O_RDONLY : O_RDWR;
    return open_file([&] { return ::open(path.c_str(), mode | O_CLOEXEC | O_NONBLOCK); });
  }

  RawOpenOutcome create_exclusive(const std::filesystem::path& path, std::uint32_t mode) override {
    return open_file([&] {
      return ::open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, static_cast<mode_t>(mode));
    });
  }

  IoOutcome rename(const std::filesystem::path& from, const std::filesystem::path& to) override {
    return outcome_of(::rename(from.c_str(), to.c_str()));
  }

  IoOutcome rename_new(const std::filesystem::path& from,
                       const std::filesystem::path& to) override {
    // Not every C library has a function for it.
    if (::syscall(SYS_renameat2, AT_FDCWD, from.c_str(), AT_FDCWD, to.c_str(), kNoReplace) == 0) {
      return {};
    }
    if (errno != EINVAL && errno != ENOSYS) return {0, errno};
    // Not every file system can do that, nor link a file.
    const IoOutcome linked = outcome_of(::link(from.c_str(), to.c_str()));
    if (linked.error == 0) (void)::unlink(from.c_str());  // one name too many is no harm
    if (linked.error != EPERM && linked.error != EOPNOTSUPP) return linked;
    // The name is taken with an empty file of our own, which then is what is replaced.
    const Descriptor taken(open_above_standard([&] {
      return ::open(to.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, S_IRUSR | S_IWUSR);
    }));
    if (taken.get() < 0) return {0, errno};
    const IoOutcome renamed = rename(from, to);
    if (renamed.error != 0) (void)::unlink(to.c_str());
    return renamed;
  }

  IoOutcome unlink(const std::filesystem::path& path) override {
    return outcome_of(::unlink(path.c_str()));
  }

  IoOutcome sync_directory(const std::filesystem::path& path) override {
    const Descriptor directory(open_above_standard(
        [&] { return ::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC); }));
    if (directory.get() < 0) return {0, errno};
    const IoOutcome outcome = outcome_of(::fsync(directory.get()));
    // A file system whose directories have nothing to sync answers EINVAL.
    return outcome.error == EINVAL ? IoOutcome{} : outcome;
  }

  IoOutcome stat(const std::filesystem::path& path, FileInfo& out) override {
    return describe(AT_FDCWD, path.c_str(), 0, out);
  }

  IoOutcome resolve(const std::filesystem::path& path, std::filesystem::path& out) override {
    const std::unique_ptr<char, decltype(&std::free)> resolved(::realpath(path.c_str(), nullptr),
                                                               &std::free);
    if (!resolved) return {0, errno};
    out = resolved.get();
    return {};
  }

  IoOutcome attributes(const std::filesystem::path& path, std::vector<Attribute>& out) override {
    return read_attributes(path, out);
  }

  IoOutcome list(const std::filesystem::path& directory, std::string_view prefix,
                 std::vector<std::string>& names) override {
    return list_directory(directory, prefix, names);
  }

  IoOutcome read_link(const std::filesystem::path& path, std::filesystem::path& out) override {
    std::vector<char> text(kLongestPath);
    const ssize_t length = ::readlink(path.c_str(), text.data(), text.size());
    if (length < 0) return {0, errno == EINVAL || errno == ENOENT ? 0 : errno};
    out = std::string(text.data(), static_cast<std::size_t>(length));
    return {1, 0};
  }

  std::uint64_t largest_file() const override {
    rlimit limit{};
    const bool has_limit =
        ::getrlimit(RLIMIT_FSIZE, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY;
    return has_limit ? limit.rlim_cur : UINT64_MAX;
  }

  std::uint64_t unique_number() override {
    std::uint64_t number = 0;
    if (::getrandom(&number, sizeof number, GRND_NONBLOCK) == sizeof number) return number;
    timespec now{};
    ::clock_gettime(CLOCK_MONOTONIC, &now);
    return (static_cast<std::uint64_t>(::getpid()) << 32) ^ static_cast<std::uint64_t>(now.tv_nsec);
  }
};

}  // namespace

RawFileSystem& posix_file_system() {
  static PosixFileSystem file_system;
  return file_system;
}

}  // namespace cairn::format
