// SPDX-License-Identifier: Apache-2.0
#include "format/container/save_target.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdint>
#include <cstring>
#include <new>
#include <string>
#include <string_view>
#include <utility>

#include "format/bytes/checksum.h"
#include "format/bytes/header_layout.h"
#include "format/bytes/superblock_layout.h"

namespace cairn::format {
namespace {

constexpr std::size_t kMaxNameInTemporary = 200;  // of 255 that file systems allow
constexpr std::size_t kDigits = 16;
constexpr std::string_view kSuffix = ".tmp";
constexpr int kNameAttempts = 16;
constexpr int kMostLinks = 40;                // as Linux
constexpr std::uint32_t kPermissions = 0777;  // without set-user-id and set-group-id
constexpr std::uint32_t kGroupPermissions = 0070;

std::filesystem::path directory_of(const std::filesystem::path& path) {
  const auto directory = path.parent_path();
  return directory.empty() ? "." : directory;
}

// Names of temporary files of a target are this, a number in hexadecimal digits, and kSuffix.
std::string temporary_prefix(const std::filesystem::path& path) {
  std::string prefix(".");
  prefix.append(path.filename().string(), 0, kMaxNameInTemporary).append(".");
  return prefix;
}

// path_in_use if a writer has the file open. Who may not open it for writing may still replace it.
Result<std::optional<File>> lock_against_writers(FileSystem& fs,
                                                 const std::filesystem::path& path) {
  auto file = fs.open(path, Access::read_write);
  if (!file) {
    if (file.error().code() == ErrorCode::permission_denied) return std::optional<File>();
    return file.error();
  }
  auto locked = fs.lock_in_place(std::move(*file));
  if (locked) return std::optional<File>(std::move(*locked));
  if (locked.error().code() != ErrorCode::path_in_use) return locked.error();
  return Error(ErrorCode::path_in_use, "it is open for writing");
}

// What is to be created where nothing stands: the path, or where its link leads to.
Result<Target> new_target(FileSystem& fs, std::filesystem::path path, Existing existing) {
  for (int links = 0; links <= kMostLinks; ++links) {
    auto leads_to = fs.read_link(path);
    if (!leads_to) return leads_to.error();
    if (!*leads_to) return Target{std::move(path), std::nullopt};
    if (existing == Existing::refuse) {
      return Error(ErrorCode::path_exists,
                   "it is a link to " + (*leads_to)->string() + ", which does not exist");
    }
    path = path.parent_path() / **leads_to;  // which is **leads_to if that is absolute
    if (path.filename().empty()) break;
  }
  return Error(ErrorCode::invalid_argument, "its link leads to no file");
}

Result<void> make_target_like(FileSystem& fs, Target& target) {
  auto attributes = fs.attributes(target.path);
  if (!attributes) return attributes.error();
  target.attributes = std::move(*attributes);
  return {};
}

bool is_temporary_name(std::string_view name, std::string_view prefix) {
  if (name.size() != prefix.size() + kDigits + kSuffix.size()) return false;
  const std::string_view digits = name.substr(prefix.size(), kDigits);
  return name.starts_with(prefix) && name.ends_with(kSuffix) &&
         digits.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

// Whether a file begins as one of ours does, while it is written and afterwards.
bool begins_as_ours(const File& file) {
  std::array<std::byte, kHeaderMagic.size()> head{};
  if (!file.pread_some(head, kHeaderOffset)) return false;
  const bool is_zero =
      std::all_of(head.begin(), head.end(), [](std::byte byte) { return byte == std::byte{0}; });
  return is_zero || std::memcmp(head.data(), kHeaderMagic.data(), head.size()) == 0;
}

// Whether it was changed last so long ago. What is of the future, or of no known time, was not.
bool is_left_alone(const File& file, std::chrono::nanoseconds left_alone) {
  if (left_alone.count() == 0) return true;
  const auto info = file.info();
  if (!info || info->changed_ns == 0) return false;
  const std::chrono::nanoseconds changed(static_cast<std::int64_t>(info->changed_ns));
  return std::chrono::system_clock::now().time_since_epoch() - changed >= left_alone;
}

// Locks a temporary file that has just been made. false: somebody has taken it for a stale one.
Result<bool> hold_temporary(FileSystem& fs, File& file) {
  const auto locked = file.try_lock();
  if (!locked) return true;  // without locks nobody removes it either
  if (!*locked) return false;
  return fs.is_in_place(file);
}

// In a directory with the sticky bit, only its owner, that of a file, and root may replace the
// file.
Result<void> check_sticky(FileSystem& fs, const Target& target, const File& mine) {
  constexpr std::uint32_t kSticky = 01000;
  if (!target.there) return {};
  const auto directory = fs.info(directory_of(target.path));
  if (!directory) return directory.error();
  const auto made = mine.info();
  if (!made) return made.error();
  const std::uint32_t user = made->owner;
  if ((directory->mode & kSticky) == 0 || user == 0 || user == directory->owner ||
      user == target.there->owner) {
    return {};
  }
  return Error(ErrorCode::permission_denied,
               "it is another user's, in a directory where only that user may replace it");
}

}  // namespace

Result<Target> find_target(FileSystem& fs, const std::filesystem::path& path, Existing existing) {
  if (path.filename().empty()) {
    return Error(ErrorCode::invalid_argument, "the path names no file");
  }
  auto there = fs.info(path);
  if (!there) {
    if (there.error().code() != ErrorCode::path_not_found) return there.error();
    return new_target(fs, path, existing);
  }
  if (there->kind != FileInfo::Kind::regular) {
    return Error(ErrorCode::invalid_argument, there->kind == FileInfo::Kind::directory
                                                  ? "is a directory"
                                                  : "is not a regular file");
  }
  if (existing == Existing::refuse) return Error(ErrorCode::path_exists, "it is there already");
  auto resolved = fs.resolve(path);
  if (!resolved) return resolved.error();
  auto locked = lock_against_writers(fs, *resolved);
  if (!locked) return locked.error();
  Target target{std::move(*resolved), *there};
  target.locked = std::move(*locked);
  if (target.locked) {
    // What is replaced is what is locked, whatever stood there before.
    there = target.locked->info();
    if (!there) return there.error();
    target.there = *there;
  }
  if (auto ok = make_target_like(fs, target); !ok) return ok.error();
  return target;
}

Result<Target> target_of_writer(FileSystem& fs, const std::filesystem::path& path) {
  const auto there = fs.info(path);
  if (!there) return there.error();
  Target target{path, *there};
  if (auto ok = make_target_like(fs, target); !ok) return ok.error();
  return target;
}

Result<File> create_temporary(FileSystem& fs, const Target& target,
                              std::optional<Unfinished>& made) {
  remove_stale(fs, target.path);
  const std::string prefix = temporary_prefix(target.path);
  for (int attempt = 1;; ++attempt) {
    std::array<char, 19> number;
    std::string name = prefix;
    name.append(hex(fs.unique_number(), number) + 2).append(kSuffix);
    made.emplace(fs, target.path.parent_path() / name);
    auto file = fs.create_exclusive(made->path(), target.there ? 0600 : 0666);
    if (file) {
      made->is_there();
      const auto held = hold_temporary(fs, *file);
      if (!held) return held.error();
      if (*held) return file;
      made->keep();  // it is no longer ours
    }
    if (attempt == kNameAttempts) {
      return file ? Error(ErrorCode::io_error, "new files are removed again and again")
                  : file.error();
    }
    if (!file && file.error().code() != ErrorCode::path_exists) return file.error();
  }
}

Result<void> keep_access(const Target& target, File& file) {
  if (!target.there) return {};
  const auto made = file.info();
  if (!made) return made.error();
  const FileInfo& old = *target.there;
  bool has_group = made->group == old.group;
  if (made->owner != old.owner || !has_group) {
    auto owned = file.set_owner(old.owner, old.group);
    if (owned && !*owned && !has_group) owned = file.set_owner(kSameOwner, old.group);
    if (!owned) return owned.error();
    has_group = has_group || *owned;
  }
  const auto list = std::find_if(target.attributes.begin(), target.attributes.end(),
                                 [](const Attribute& it) { return it.name == kAccessList; });
  const bool has_list = list != target.attributes.end();
  // A list that came from the directory would give more than what is replaced. Where there is a
  // list, the bits of the group are not its permissions, but what the list may give at most.
  if (auto removed = file.remove_attribute(kAccessList); !removed) return removed.error();
  const std::uint32_t kept =
      has_group && !has_list ? kPermissions : kPermissions & ~kGroupPermissions;
  if (auto ok = file.set_mode(old.mode & kept); !ok) return ok;
  for (const Attribute& attribute : target.attributes) {
    if (attribute.name == kAccessList && !has_group) continue;
    if (auto set = file.set_attribute(attribute); !set) return set.error();
  }
  return {};
}

Result<void> put_in_place(FileSystem& fs, const Target& target, Unfinished& made) {
  auto renamed =
      target.there ? fs.rename(made.path(), target.path) : fs.rename_new(made.path(), target.path);
  if (renamed) made.keep();
  return renamed;
}

bool remove_if_left(FileSystem& fs, const std::filesystem::path& path,
                    std::chrono::nanoseconds left_alone) {
  auto file = fs.open(path, Access::read_write);
  if (!file || !begins_as_ours(*file)) return false;
  const auto locked = file->try_lock();
  if (!locked || !*locked || !is_left_alone(*file, left_alone)) return false;
  const auto in_place = fs.is_in_place(*file);
  return in_place && *in_place && fs.unlink(path);
}

void remove_stale(FileSystem& fs, const std::filesystem::path& path) {
  try {
    const std::string prefix = temporary_prefix(path);
    const auto names = fs.list(directory_of(path), prefix);
    if (!names) return;
    for (const std::string& name : *names) {
      if (!is_temporary_name(name, prefix)) continue;
      (void)remove_if_left(fs, path.parent_path() / name, std::chrono::nanoseconds(0));
    }
  } catch (const std::bad_alloc&) {
    // The next save comes by as well.
  }
}

Result<void> check_target(FileSystem& fs, const std::filesystem::path& path, Existing existing) {
  const auto target = find_target(fs, path, existing);
  if (!target) return target.error().with_context("save " + path.string());
  std::optional<Unfinished> made;
  const auto file = create_temporary(fs, *target, made);
  if (!file) return file.error().with_context("save " + path.string());
  if (auto ok = check_sticky(fs, *target, *file); !ok) {
    return ok.error().with_context("save " + path.string());
  }
  return {};
}

}  // namespace cairn::format
