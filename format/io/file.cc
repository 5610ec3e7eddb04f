// SPDX-License-Identifier: Apache-2.0
#include "format/io/file.h"

#include <algorithm>
#include <cerrno>
#include <new>
#include <string_view>
#include <system_error>

#include "engine/base/assert.h"
#include "format/io/address_space.h"

namespace cairn::format {
namespace {

// A call that is interrupted this many times in a row is not going to succeed.
constexpr int kMaxInterruptions = 10000;
constexpr int kLockAttempts = 100;
// Linux transfers at most 0x7ffff000 bytes a call; stay below on every system.
constexpr std::size_t kMaxTransfer = std::size_t{1} << 30;

Error failure(const char* operation, const std::filesystem::path& path, int error) {
  return Error(error_code_of(error), std::string(operation) + " " + path.string() + ": " +
                                         std::generic_category().message(error));
}

Error failure_at(const char* operation, const std::filesystem::path& path, std::uint64_t offset,
                 int error) {
  return Error(error_code_of(error), std::string(operation) + " " + path.string() + " at " +
                                         std::to_string(offset) + ": " +
                                         std::generic_category().message(error));
}

[[maybe_unused]] bool are_on_pages(const void* address, std::uint64_t offset) {
  constexpr std::uint64_t kLeastPage = 4096;
  return (reinterpret_cast<std::uintptr_t>(address) | offset) % kLeastPage == 0;
}

Error map_failure(const std::filesystem::path& path, std::uint64_t offset, int error) {
  const Error failed = failure_at("map", path, offset, error);
  return error == ENOMEM ? Error(failed.code(), failed.message() + limit_of_addresses()) : failed;
}

// Repeats an attempt while it is interrupted.
template <class Attempt>
IoOutcome resume(Attempt&& attempt) {
  IoOutcome outcome = attempt();
  for (int n = 1; outcome.error == EINTR && n < kMaxInterruptions; ++n) outcome = attempt();
  return outcome;
}

// Repeats transfers until `size` bytes are done, an attempt fails, or nothing more comes. Returns
// the bytes done and the error of the last attempt.
template <class Transfer>
IoOutcome transfer_all(std::size_t size, Transfer&& transfer) {
  std::size_t done = 0;
  while (done < size) {
    const std::size_t wanted = std::min(size - done, kMaxTransfer);
    const IoOutcome outcome = resume([&] { return transfer(done, wanted); });
    if (outcome.error != 0) return {static_cast<std::int64_t>(done), outcome.error};
    if (outcome.value <= 0) break;
    done += static_cast<std::size_t>(outcome.value);
  }
  return {static_cast<std::int64_t>(done), 0};
}

}  // namespace

ErrorCode error_code_of(int error) {
  switch (error) {
    case ENOSPC:
    case EDQUOT:
    case EFBIG: return ErrorCode::no_space;
    case ENOENT:
    case ENOTDIR: return ErrorCode::path_not_found;
    case EEXIST: return ErrorCode::path_exists;
    case EACCES:
    case EPERM:
    case EROFS: return ErrorCode::permission_denied;
    case ENOMEM: return ErrorCode::out_of_memory;
    case EISDIR:
    case ENAMETOOLONG:
    case ELOOP:
    case ENXIO:
    case ENODEV: return ErrorCode::invalid_argument;
    case EBUSY:
    case ETXTBSY: return ErrorCode::path_in_use;
    default: return ErrorCode::io_error;
  }
}

Error in_file(const char* operation, const std::filesystem::path& path, const Error& error) {
  const std::string name = std::string(" ").append(path.string());
  const std::string context = std::string(operation).append(name).append(": ");
  std::string what = error.message();
  if (what.starts_with(context)) return error;
  const std::size_t end_of_word = std::min(what.find(' '), what.size());
  const std::string_view rest = std::string_view(what).substr(end_of_word);
  if (rest.starts_with(name + ": ") || rest.starts_with(name + " at ")) {
    what.erase(end_of_word, name.size());
  }
  return Error(error.code(), context + what);
}

Result<std::size_t> File::pread_some(std::span<std::byte> out, std::uint64_t offset) const {
  const IoOutcome outcome = transfer_all(out.size(), [&](std::size_t done, std::size_t wanted) {
    return raw_->pread(out.data() + done, wanted, offset + done);
  });
  if (outcome.error != 0) {
    return failure_at("read", path_, offset + static_cast<std::uint64_t>(outcome.value),
                      outcome.error);
  }
  return static_cast<std::size_t>(outcome.value);
}

Result<void> File::pread(std::span<std::byte> out, std::uint64_t offset) const {
  const Result<std::size_t> done = pread_some(out, offset);
  if (!done) return done.error();
  if (*done != out.size()) {
    return Error(ErrorCode::truncated,
                 "read " + path_.string() + " at " + std::to_string(offset + *done) +
                     ": the file ends there, " + std::to_string(out.size() - *done) +
                     " more bytes were expected");
  }
  return {};
}

Result<void> File::pwrite(std::span<const std::byte> data, std::uint64_t offset) {
  const IoOutcome outcome = transfer_all(data.size(), [&](std::size_t done, std::size_t wanted) {
    return raw_->pwrite(data.data() + done, wanted, offset + done);
  });
  const auto done = static_cast<std::uint64_t>(outcome.value);
  if (outcome.error != 0) return failure_at("write", path_, offset + done, outcome.error);
  if (done != data.size()) return failure_at("write", path_, offset + done, EIO);
  return {};
}

Result<void> File::pwrite_dsync(std::span<const std::byte> data, std::uint64_t offset) {
  const IoOutcome outcome = transfer_all(data.size(), [&](std::size_t done, std::size_t wanted) {
    return raw_->pwrite_dsync(data.data() + done, wanted, offset + done);
  });
  const auto done = static_cast<std::uint64_t>(outcome.value);
  if (outcome.error != 0) return failure_at("write and sync", path_, offset + done, outcome.error);
  if (done != data.size()) return failure_at("write and sync", path_, offset + done, EIO);
  return {};
}

Result<void> File::datasync() {
  const IoOutcome outcome = resume([&] { return raw_->datasync(); });
  if (outcome.error != 0) return failure("sync", path_, outcome.error);
  return {};
}

Result<void> File::sync() {
  const IoOutcome outcome = resume([&] { return raw_->sync(); });
  if (outcome.error != 0) return failure("sync", path_, outcome.error);
  return {};
}

Error needing(const Error& error, std::uint64_t bytes) {
  if (error.code() != ErrorCode::no_space) return error;
  return Error(error.code(), error.message() + "; " + std::to_string(bytes) + " bytes are needed");
}

Result<void> File::allocate(std::uint64_t offset, std::uint64_t size) {
  const IoOutcome outcome = resume([&] { return raw_->allocate(offset, size); });
  if (outcome.error == 0) return {};
  return needing(failure_at("allocate", path_, offset, outcome.error), size);
}

Result<void> File::truncate(std::uint64_t size) {
  const IoOutcome outcome = resume([&] { return raw_->truncate(size); });
  if (outcome.error != 0) return failure_at("truncate", path_, size, outcome.error);
  return {};
}

Result<FileInfo> File::info() const {
  FileInfo info;
  const IoOutcome outcome = resume([&] { return raw_->stat(info); });
  if (outcome.error != 0) return failure("stat", path_, outcome.error);
  return info;
}

Result<std::uint64_t> File::size() const {
  const Result<FileInfo> found = info();
  if (!found) return found.error();
  return found->size_bytes;
}

std::uint64_t File::next_data(std::uint64_t offset) const {
  const IoOutcome outcome = resume([&] { return raw_->next_data(offset); });
  if (outcome.error == ENXIO) return UINT64_MAX;
  return outcome.error != 0 ? offset : static_cast<std::uint64_t>(outcome.value);
}

Result<void> File::set_mode(std::uint32_t mode) {
  const IoOutcome outcome = resume([&] { return raw_->set_mode(mode); });
  if (outcome.error != 0) return failure("set permissions of", path_, outcome.error);
  return {};
}

namespace {

// false: the user may not do that, or the file system cannot.
Result<bool> unless_refused(const IoOutcome& outcome, const char* operation,
                            const std::filesystem::path& path) {
  switch (outcome.error) {
    case 0: return true;
    case EPERM:
    case EACCES:
    case EINVAL:
    case ENOSYS:
    case EOPNOTSUPP: return false;
    default: return failure(operation, path, outcome.error);
  }
}

}  // namespace

Result<bool> File::set_owner(std::uint32_t owner, std::uint32_t group) {
  const IoOutcome outcome = resume([&] { return raw_->set_owner(owner, group); });
  return unless_refused(outcome, "set owner of", path_);
}

Result<bool> File::set_attribute(const Attribute& attribute) {
  const IoOutcome outcome = resume([&] { return raw_->set_attribute(attribute); });
  return unless_refused(outcome, "set attributes of", path_);
}

Result<bool> File::remove_attribute(const char* name) {
  const IoOutcome outcome = resume([&] { return raw_->remove_attribute(name); });
  return unless_refused(outcome, "set attributes of", path_);
}

void File::advise(Advice advice, std::uint64_t offset, std::uint64_t size) const {
  raw_->advise(advice, offset, size);
}

Result<void> File::map(void* address, std::uint64_t offset, std::size_t size, Access access) const {
  CAIRN_ASSERT(are_on_pages(address, offset));
  const IoOutcome outcome = resume([&] { return raw_->map(address, offset, size, access); });
  if (outcome.error != 0) return map_failure(path_, offset, outcome.error);
  return {};
}

Result<void> File::map_shared(void* address, std::uint64_t offset, std::size_t size,
                              Access access) const {
  CAIRN_ASSERT(are_on_pages(address, offset));
  const IoOutcome outcome = resume([&] { return raw_->map_shared(address, offset, size, access); });
  if (outcome.error != 0) return map_failure(path_, offset, outcome.error);
  return {};
}

Result<bool> File::is_locked() const {
  const IoOutcome outcome = resume([&] { return raw_->is_locked(); });
  if (outcome.error != 0) return failure("look for the lock of", path_, outcome.error);
  return outcome.value != 0;
}

Result<bool> File::try_lock() {
  const IoOutcome outcome = resume([&] { return raw_->try_lock(); });
  if (outcome.error != 0) return failure("lock", path_, outcome.error);
  return outcome.value != 0;
}

Result<File> FileSystem::open(const std::filesystem::path& path, Access access) {
  RawOpenOutcome opened;
  resume([&] {
    opened = raw_->open(path, access);
    return IoOutcome{0, opened.error};
  });
  if (opened.error != 0) return failure("open", path, opened.error);
  File file(std::move(opened.file), path);
  const Result<FileInfo> info = file.info();
  if (!info) return info.error();
  if (info->kind != FileInfo::Kind::regular) {
    return Error(ErrorCode::invalid_argument, "open " + path.string() +
                                                  (info->kind == FileInfo::Kind::directory
                                                       ? ": is a directory, not a regular file"
                                                       : ": is not a regular file"));
  }
  return file;
}

Result<File> FileSystem::create_exclusive(const std::filesystem::path& path, std::uint32_t mode) {
  std::filesystem::path name = path;  // no memory is needed once the file is there
  RawOpenOutcome opened;
  resume([&] {
    opened = raw_->create_exclusive(path, mode);
    return IoOutcome{0, opened.error};
  });
  if (opened.error != 0) return failure("create", path, opened.error);
  return File(std::move(opened.file), std::move(name));
}

Result<void> FileSystem::rename(const std::filesystem::path& from,
                                const std::filesystem::path& to) {
  const IoOutcome outcome = resume([&] { return raw_->rename(from, to); });
  if (outcome.error == 0) return {};
  const Error failed = failure("rename to", to, outcome.error);
  if (outcome.error != EBUSY) return failed;
  return Error(failed.code(),
               failed.message() +
                   "; a file that is a mount point by itself, as one that is mounted into a "
                   "container, cannot be replaced: mount its directory instead");
}

Result<void> FileSystem::rename_new(const std::filesystem::path& from,
                                    const std::filesystem::path& to) {
  const IoOutcome outcome = resume([&] { return raw_->rename_new(from, to); });
  if (outcome.error != 0) return failure("rename to", to, outcome.error);
  return {};
}

Result<void> FileSystem::unlink(const std::filesystem::path& path) {
  const IoOutcome outcome = resume([&] { return raw_->unlink(path); });
  if (outcome.error != 0) return failure("remove", path, outcome.error);
  return {};
}

Result<void> FileSystem::sync_directory(const std::filesystem::path& path) {
  const IoOutcome outcome = resume([&] { return raw_->sync_directory(path); });
  if (outcome.error != 0) return failure("sync directory", path, outcome.error);
  return {};
}

Result<void> FileSystem::check_limit(std::uint64_t bytes) const {
  const std::uint64_t most = raw_->largest_file();
  if (bytes <= most) return {};
  return Error(ErrorCode::no_space, "the file has " + std::to_string(bytes) +
                                        " bytes, and the process may write files of at most " +
                                        std::to_string(most) + " (ulimit -f)");
}

Result<FileInfo> FileSystem::info(const std::filesystem::path& path) {
  FileInfo info;
  const IoOutcome outcome = resume([&] { return raw_->stat(path, info); });
  if (outcome.error != 0) return failure("stat", path, outcome.error);
  return info;
}

Result<bool> FileSystem::is_in_place(const File& file) {
  const auto mine = file.info();
  if (!mine) return mine.error();
  const auto there = info(file.path());
  if (there) return mine->device == there->device && mine->inode == there->inode;
  if (there.error().code() == ErrorCode::path_not_found) return false;
  return there.error();
}

Result<File> FileSystem::lock_in_place(File file) {
  for (int attempt = 1;; ++attempt) {
    const auto locked = file.try_lock();
    if (!locked) return locked.error();
    if (!*locked) {
      return Error(ErrorCode::path_in_use, "it is open for writing elsewhere");
    }
    const auto in_place = is_in_place(file);
    if (!in_place) return in_place.error();
    if (*in_place) return file;
    if (attempt == kLockAttempts) {
      return Error(ErrorCode::path_in_use, "it is replaced again and again");
    }
    auto next = open(file.path(), Access::read_write);
    if (!next) return next.error();
    file = std::move(*next);
  }
}

Result<std::filesystem::path> FileSystem::resolve(const std::filesystem::path& path) {
  std::filesystem::path resolved;
  const IoOutcome outcome = resume([&] { return raw_->resolve(path, resolved); });
  if (outcome.error != 0) return failure("resolve", path, outcome.error);
  return resolved;
}

Result<std::vector<Attribute>> FileSystem::attributes(const std::filesystem::path& path) {
  std::vector<Attribute> found;
  const IoOutcome outcome = resume([&] {
    found.clear();
    return raw_->attributes(path, found);
  });
  if (outcome.error != 0) return failure("read attributes of", path, outcome.error);
  return found;
}

Result<std::vector<std::string>> FileSystem::list(const std::filesystem::path& directory,
                                                  std::string_view prefix) {
  std::vector<std::string> names;
  const IoOutcome outcome = resume([&] {
    names.clear();
    return raw_->list(directory, prefix, names);
  });
  if (outcome.error != 0) return failure("list", directory, outcome.error);
  return names;
}

Result<std::optional<std::filesystem::path>> FileSystem::read_link(
    const std::filesystem::path& path) {
  std::filesystem::path leads_to;
  const IoOutcome outcome = resume([&] { return raw_->read_link(path, leads_to); });
  if (outcome.error != 0) return failure("read link", path, outcome.error);
  if (outcome.value == 0) return std::optional<std::filesystem::path>();
  return std::optional(std::move(leads_to));
}

Unfinished::~Unfinished() {
  if (!is_there_) return;
  try {
    (void)fs_.unlink(path_);  // there is another error to tell
  } catch (const std::bad_alloc&) {
    // As above.
  }
}

FileSystem& default_file_system() {
  static FileSystem file_system(posix_file_system());
  return file_system;
}

DefaultFileSystem::DefaultFileSystem(RawFileSystem& raw) {
  default_file_system() = FileSystem(raw);
}
DefaultFileSystem::~DefaultFileSystem() { default_file_system() = FileSystem(posix_file_system()); }

}  // namespace cairn::format
