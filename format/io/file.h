// SPDX-License-Identifier: Apache-2.0
//
// Every byte of I/O goes through here. There are two levels: RawFile and RawFileSystem make one
// attempt of one system call and say how it ended; File and FileSystem stand on them, resume what
// was interrupted or came back short, and turn failures into Errors with operation, path and
// offset. Tests replace the raw level to make any call fail, to record what was written, or both;
// nothing else in the project is virtual.
//
// Thread-safety: calls on one File may be made from several threads; positions are explicit.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <cairn/error.h>

namespace cairn::format {

// How one attempt ended: error is 0 and value is what the call returned, or error is an errno
// value.
struct IoOutcome {
  std::int64_t value = 0;
  int error = 0;
};

enum class Access { read_only, read_write };

// random: nothing is read ahead. normal: what the system does by itself. will_need: reading begins
// at once, and nobody waits for it.
enum class Advice { random, normal, will_need };

// What stands at a path or behind a descriptor.
struct FileInfo {
  enum class Kind { regular, directory, other };
  Kind kind = Kind::other;
  std::uint64_t size_bytes = 0;
  std::uint64_t device = 0;
  std::uint64_t inode = 0;
  std::uint64_t birth_ns = 0;  // when it was created; 0 where the file system does not know
  // When it was written, renamed or linked last, in nanoseconds since 1970; nobody can set it back.
  std::uint64_t changed_ns = 0;
  std::uint32_t mode = 0;  // permission bits
  std::uint32_t owner = 0;
  std::uint32_t group = 0;
  std::uint64_t names = 1;  // that the file has
};

// An extended attribute, an access control list among them.
struct Attribute {
  std::string name;
  std::string value;
};
inline constexpr const char* kAccessList = "system.posix_acl_access";
inline constexpr std::uint32_t kSameOwner = UINT32_MAX;  // leaves owner or group as it is

// One open file, one system call an operation, nothing resumed.
class RawFile {
 public:
  virtual ~RawFile() = default;

  virtual IoOutcome pread(void* out, std::size_t size, std::uint64_t offset) const = 0;
  virtual IoOutcome pwrite(const void* data, std::size_t size, std::uint64_t offset) = 0;
  virtual IoOutcome pwrite_dsync(const void* data, std::size_t size, std::uint64_t offset) = 0;
  virtual IoOutcome datasync() = 0;
  virtual IoOutcome sync() = 0;
  virtual IoOutcome allocate(std::uint64_t offset, std::uint64_t size) = 0;
  virtual IoOutcome truncate(std::uint64_t size) = 0;
  virtual IoOutcome stat(FileInfo& out) const = 0;
  // Where the first byte at `offset` or behind it may lie that is in no hole; ENXIO: in no place.
  virtual IoOutcome next_data(std::uint64_t offset) const {
    return {static_cast<std::int64_t>(offset), 0};
  }
  virtual IoOutcome set_mode(std::uint32_t mode) = 0;
  // A file system need not have owners and attributes.
  virtual IoOutcome set_owner(std::uint32_t, std::uint32_t) { return {}; }
  virtual IoOutcome set_attribute(const Attribute&) { return {}; }
  virtual IoOutcome remove_attribute(const char*) { return {}; }
  // size 0: to the end of the file.
  virtual IoOutcome advise(Advice advice, std::uint64_t offset, std::uint64_t size) const = 0;
  // Maps [offset, offset + size) privately over `address`, which is reserved already.
  virtual IoOutcome map(void* address, std::uint64_t offset, std::size_t size,
                        Access access) const = 0;
  // The same for reading what anybody writes there, now and later.
  virtual IoOutcome map_shared(void* address, std::uint64_t offset, std::size_t size,
                               Access access) const = 0;
  // value 1: locked; 0: somebody else has the lock.
  virtual IoOutcome try_lock() = 0;
  // value 1: somebody else has the lock; 0: nobody else has it. Takes nothing.
  virtual IoOutcome is_locked() const = 0;
};

struct RawOpenOutcome {
  std::unique_ptr<RawFile> file;
  int error = 0;
};

class RawFileSystem {
 public:
  virtual ~RawFileSystem() = default;

  virtual RawOpenOutcome open(const std::filesystem::path& path, Access access) = 0;
  // For reading and writing; EEXIST if anything stands at `path`.
  virtual RawOpenOutcome create_exclusive(const std::filesystem::path& path,
                                          std::uint32_t mode) = 0;
  virtual IoOutcome rename(const std::filesystem::path& from, const std::filesystem::path& to) = 0;
  // The same, but EEXIST if anything stands at `to`.
  virtual IoOutcome rename_new(const std::filesystem::path& from,
                               const std::filesystem::path& to) = 0;
  virtual IoOutcome unlink(const std::filesystem::path& path) = 0;
  virtual IoOutcome sync_directory(const std::filesystem::path& path) = 0;
  // Follows symbolic links.
  virtual IoOutcome stat(const std::filesystem::path& path, FileInfo& out) = 0;
  // The path without symbolic links.
  virtual IoOutcome resolve(const std::filesystem::path& path, std::filesystem::path& out) = 0;
  // The attributes of what stands at `path`, but for those that belong to its bytes or that may not
  // be read; up to 1 MiB. None where the file system has none.
  virtual IoOutcome attributes(const std::filesystem::path&, std::vector<Attribute>&) { return {}; }
  // Names of the regular files in a directory that begin with `prefix`.
  virtual IoOutcome list(const std::filesystem::path&, std::string_view,
                         std::vector<std::string>&) {
    return {};
  }
  // Where the symbolic link at `path` leads to; value 0: there is none.
  virtual IoOutcome read_link(const std::filesystem::path&, std::filesystem::path&) { return {}; }
  // A number that no other process is likely to get: for names of temporary files.
  virtual std::uint64_t unique_number() = 0;
  // Bytes that this process may write of a file, at most.
  virtual std::uint64_t largest_file() const { return UINT64_MAX; }
};

// The operating system's. Files are opened with O_CLOEXEC and never block on a FIFO.
RawFileSystem& posix_file_system();

// The code that stands for an errno value.
ErrorCode error_code_of(int error);

// "OPERATION PATH: " in front of what went wrong with the file at `path`. A File says operation and
// path itself: what it has in common with that is not said twice.
Error in_file(const char* operation, const std::filesystem::path& path, const Error& error);

// The same error; no_space also tells how many bytes are needed.
Error needing(const Error& error, std::uint64_t bytes);

class File {
 public:
  File(std::unique_ptr<RawFile> raw, std::filesystem::path path)
      : raw_(std::move(raw)), path_(std::move(path)) {}

  const std::filesystem::path& path() const { return path_; }
  // It has got another name. REQUIRES: no call is running.
  void renamed_to(std::filesystem::path path) noexcept { path_ = std::move(path); }

  // Puts another raw file, made from the one that is there, in its place.
  template <class Make>
  void replace_raw(Make&& make) {
    raw_ = make(std::move(raw_));
  }

  // Closes it; a lock that children of this process share stays theirs. REQUIRES: nothing but the
  // destructor follows.
  void close() { raw_.reset(); }

  // Fills `out` or fails: `truncated` if the file ends before.
  Result<void> pread(std::span<std::byte> out, std::uint64_t offset) const;
  // Fills `out` as far as the file reaches; returns how many bytes that is.
  Result<std::size_t> pread_some(std::span<std::byte> out, std::uint64_t offset) const;
  // Writes all of `data`. After an error any part of it may have been written.
  Result<void> pwrite(std::span<const std::byte> data, std::uint64_t offset);
  // The same, durable when it returns: no other dirty page of the file is waited for where the
  // system can do that.
  Result<void> pwrite_dsync(std::span<const std::byte> data, std::uint64_t offset);
  // Durable data and size. A failure is final: the system may have dropped the pages that it could
  // not write.
  Result<void> datasync();
  Result<void> sync();
  // Disk blocks for [offset, offset + size); the file grows if it ends before. no_space
  Result<void> allocate(std::uint64_t offset, std::uint64_t size);
  Result<void> truncate(std::uint64_t size);
  Result<FileInfo> info() const;
  Result<std::uint64_t> size() const;
  // All bytes from `offset` up to there are zero and take no disk; UINT64_MAX: up to the end.
  std::uint64_t next_data(std::uint64_t offset) const;
  Result<void> set_mode(std::uint32_t mode);
  // kSameOwner leaves one of them as it is. false: this user may not, here and below.
  Result<bool> set_owner(std::uint32_t owner, std::uint32_t group);
  Result<bool> set_attribute(const Attribute& attribute);
  Result<bool> remove_attribute(const char* name);  // true, too, if there is none
  // How pread should read ahead in [offset, offset + size), size 0 being all that follows; there is
  // nothing to do about a refusal.
  void advise(Advice advice, std::uint64_t offset = 0, std::uint64_t size = 0) const;
  // Maps whole pages privately over reserved addresses. REQUIRES: offset and address on pages.
  Result<void> map(void* address, std::uint64_t offset, std::size_t size, Access access) const;
  // Maps what the file holds at every moment, whoever writes it; read_write: what is stored becomes
  // the file's. REQUIRES: as map.
  Result<void> map_shared(void* address, std::uint64_t offset, std::size_t size,
                          Access access = Access::read_only) const;
  // One writer a file: the lock belongs to this open file, is lost when it closes, and keeps out
  // other processes and other opens in this process. false: somebody else has it.
  Result<bool> try_lock();
  // Whether another open file has it. Takes nothing, so nobody is kept out meanwhile.
  Result<bool> is_locked() const;

 private:
  std::unique_ptr<RawFile> raw_;
  std::filesystem::path path_;
};

class FileSystem {
 public:
  explicit FileSystem(RawFileSystem& raw) : raw_(&raw) {}

  // Regular files only, else invalid_argument.
  Result<File> open(const std::filesystem::path& path, Access access);
  Result<File> create_exclusive(const std::filesystem::path& path, std::uint32_t mode);
  // Replaces what stands at `to` in one step.
  Result<void> rename(const std::filesystem::path& from, const std::filesystem::path& to);
  // Replaces nothing: path_exists if anything stands at `to`.
  Result<void> rename_new(const std::filesystem::path& from, const std::filesystem::path& to);
  Result<void> unlink(const std::filesystem::path& path);
  // Makes the names in a directory durable.
  Result<void> sync_directory(const std::filesystem::path& path);
  Result<FileInfo> info(const std::filesystem::path& path);
  // Whether the path that the file was opened at still names it.
  Result<bool> is_in_place(const File& file);
  // Locks a file that was opened to be written, or what has taken its place meanwhile: what is
  // returned stands at the path, and whoever replaces what is locked has to lock it first.
  // path_in_use: a writer has it open.
  Result<File> lock_in_place(File file);
  Result<std::filesystem::path> resolve(const std::filesystem::path& path);
  Result<std::vector<Attribute>> attributes(const std::filesystem::path& path);
  // Names of the regular files in a directory that begin with `prefix`; links are none.
  Result<std::vector<std::string>> list(const std::filesystem::path& directory,
                                        std::string_view prefix);
  // Where the symbolic link at `path` leads to; nothing if it is none.
  Result<std::optional<std::filesystem::path>> read_link(const std::filesystem::path& path);
  std::uint64_t unique_number() { return raw_->unique_number(); }
  // no_space: some of the file's `bytes` lie beyond what this process may write of a file.
  Result<void> check_limit(std::uint64_t bytes) const;

 private:
  RawFileSystem* raw_;
};

// A file that is removed again at the end of a scope unless it has become what it was meant to be.
class Unfinished {
 public:
  // To be made before the file is.
  Unfinished(FileSystem& fs, std::filesystem::path path) : fs_(fs), path_(std::move(path)) {}
  Unfinished(const Unfinished&) = delete;
  Unfinished& operator=(const Unfinished&) = delete;
  ~Unfinished();

  void is_there() { is_there_ = true; }
  void keep() { is_there_ = false; }
  const std::filesystem::path& path() const { return path_; }

 private:
  FileSystem& fs_;
  const std::filesystem::path path_;
  bool is_there_ = false;
};

// The operating system's, unless a test has put another one in its place.
FileSystem& default_file_system();

// For tests: default_file_system() is `raw` as long as this lives. One at a time; no other thread
// uses the default meanwhile, and files that were opened through it are closed before.
class DefaultFileSystem {
 public:
  explicit DefaultFileSystem(RawFileSystem& raw);
  DefaultFileSystem(const DefaultFileSystem&) = delete;
  DefaultFileSystem& operator=(const DefaultFileSystem&) = delete;
  ~DefaultFileSystem();
};

}  // namespace cairn::format
