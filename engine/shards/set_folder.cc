// SPDX-License-Identifier: Apache-2.0
#include "engine/shards/set_folder.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>
#include <cstddef>
#include <optional>
#include <span>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "engine/base/guarded.h"
#include "engine/base/hash.h"
#include "engine/shards/manifest.h"
#include "format/bytes/checksum.h"
#include "format/container/save_target.h"

namespace cairn {

namespace fs = std::filesystem;

namespace {

constexpr const char* kCurrent = "CURRENT";
constexpr const char* kLock = "LOCK";
constexpr std::size_t kMaxCurrentBytes = 64;

// A file of at most `most` bytes; corrupt if there are more.
Result<std::string> read_whole(const fs::path& path, std::size_t most) {
  const auto file = format::default_file_system().open(path, format::Access::read_only);
  if (!file) return file.error();
  const auto size = file->size();
  if (!size) return size.error();
  if (*size > most) {
    return Error(ErrorCode::corrupt, path.string() + ": it has " + std::to_string(*size) +
                                         " bytes, more than the " + std::to_string(most) +
                                         " of any that was written");
  }
  std::string text(*size, '\0');
  if (auto ok = file->pread(std::as_writable_bytes(std::span(text)), 0); !ok) return ok.error();
  return text;
}

// Written beside its name, synced, renamed: whole or not there. The folder is not synced.
Result<void> write_whole(const fs::path& path, std::string_view text) {
  format::FileSystem& files = format::default_file_system();
  std::string name = ".";
  name.append(path.filename().string()).append(".");
  name.append(std::to_string(files.unique_number())).append(".tmp");
  format::Unfinished made(files, path.parent_path() / name);
  auto file = files.create_exclusive(made.path(), 0666);
  if (!file) return file.error();
  made.is_there();
  if (auto ok = file->pwrite(std::as_bytes(std::span(text)), 0); !ok) return ok;
  if (auto ok = file->sync(); !ok) return ok;
  if (auto ok = files.rename(made.path(), path); !ok) return ok;
  made.keep();
  return {};
}

Error published_meanwhile(const fs::path& folder, std::uint64_t expected, std::uint64_t found) {
  return Error(ErrorCode::path_in_use, folder.string() + ": generation " + std::to_string(found) +
                                           " has been published meanwhile; this one is to follow " +
                                           std::to_string(expected));
}

// The file is there, and is what the manifest says, as far as its size tells.
Result<void> check_file(const fs::path& folder, const ShardFile& file) {
  const fs::path path = folder / file.file;
  const auto info = format::default_file_system().info(path);
  if (!info) return info.error();
  if (!file.sealed || info->size_bytes == file.bytes) return {};
  return Error(ErrorCode::corrupt, path.string() + " has " + std::to_string(info->size_bytes) +
                                       " bytes, and is to be published with " +
                                       std::to_string(file.bytes));
}

std::string hex_of(format::Hash128 hash) {
  std::string text;
  std::array<char, 19> buffer;
  text.append(format::hex(hash.high, buffer) + 2).append(format::hex(hash.low, buffer) + 2);
  return text;
}

Result<std::string> hash_of_file(const fs::path& path, const std::atomic<bool>* stop) {
  constexpr std::size_t kPiece = 1 << 20;
  const auto file = format::default_file_system().open(path, format::Access::read_only);
  if (!file) return file.error();
  file->advise(format::Advice::normal);
  std::vector<std::byte> piece(kPiece);
  format::HashStream stream;
  for (std::uint64_t at = 0;;) {
    if (stop != nullptr && stop->load(std::memory_order_relaxed))
      return Error(ErrorCode::cancelled, path.string() + ": stopped");
    const auto read = file->pread_some(piece, at);
    if (!read) return read.error();
    if (*read == 0) return hex_of(stream.hash());
    stream.add(std::span(piece).first(*read));
    at += *read;
  }
}

// As current_generation(); path_not_found: none has been published.
Result<std::uint64_t> generation_that_holds(const fs::path& folder) {
  const auto generation = current_generation(folder);
  if (generation && *generation == 0) {
    return Error(ErrorCode::path_not_found,
                 folder.string() + ": it has no CURRENT, and so is no set of shards");
  }
  return generation;
}

// What is built is called so until it is known what it is to be called.
constexpr std::string_view kUnfinished = ".shard.";
constexpr std::string_view kTemporary = ".tmp";
// Locked as soon as it is written: between the two, for no more than moments, a lock tells nothing.
constexpr std::chrono::minutes kLeftAlone{10};

bool is_unfinished_name(std::string_view name) {
  if (!name.starts_with(kUnfinished) || !name.ends_with(kTemporary)) return false;
  if (name.size() <= kUnfinished.size() + kTemporary.size()) return false;
  const std::string_view digits =
      name.substr(kUnfinished.size(), name.size() - kUnfinished.size() - kTemporary.size());
  return digits.find_first_not_of("0123456789") == std::string_view::npos;
}

// What builds and copies that were killed have left, and the temporary files of their saves. What
// cannot be looked at or removed stays.
void remove_unfinished(const fs::path& folder) {
  format::FileSystem& files = format::default_file_system();
  if (const auto names = files.list(folder, kUnfinished)) {
    for (const std::string& name : *names) {
      if (is_unfinished_name(name)) (void)remove_if_left(files, folder / name, kLeftAlone);
    }
  }
  std::string of_saves(1, '.');
  of_saves += kUnfinished;
  if (const auto names = files.list(folder, of_saves)) {
    for (const std::string& name : *names) {
      // "." + the target's name + "." + a number + ".tmp"
      const std::size_t end = name.find(kTemporary);
      if (end == std::string::npos) continue;
      const std::string target = name.substr(1, end + kTemporary.size() - 1);
      if (is_unfinished_name(target)) format::remove_stale(files, folder / target);
    }
  }
}

// Those of write_whole(). REQUIRES: the folder's lock, without which nobody writes any.
void remove_unpublished(const fs::path& folder) {
  format::FileSystem& files = format::default_file_system();
  for (const std::string_view prefix : {".manifest-", ".CURRENT."}) {
    const auto names = files.list(folder, prefix);
    if (!names) continue;
    for (const std::string& name : *names) {
      if (name.ends_with(kTemporary)) (void)files.unlink(folder / name);
    }
  }
}

// What write(path) puts into the folder, named by its contents.
template <class Write>
Result<ShardFile> add_named(const fs::path& folder, const std::atomic<bool>* stop,
                            const Write& write) {
  std::error_code failed;
  fs::create_directories(folder, failed);
  if (failed) {
    return Error(format::error_code_of(failed.value()),
                 "create " + folder.string() + ": " + failed.message());
  }
  format::FileSystem& files = format::default_file_system();
  remove_unfinished(folder);
  // What it is to be called is known once it is written.
  std::string unfinished(kUnfinished);
  unfinished.append(std::to_string(files.unique_number())).append(kTemporary);
  format::Unfinished made(files, folder / unfinished);
  // A save that fails may have put the file in place, and could not make that durable.
  auto written = write(made.path());
  if (written || written.error().code() != ErrorCode::path_exists) made.is_there();
  if (!written) return written.error();
  // Whoever removes what others have left looks for a lock; without locks nobody does.
  auto held = files.open(made.path(), format::Access::read_write);
  if (held) (void)held->try_lock();
  auto file = describe_shard_file(made.path(), stop);
  if (!file) return file.error();
  if (auto ok = files.rename(made.path(), folder / file->file); !ok) return ok.error();
  made.keep();
  if (auto ok = files.sync_directory(folder); !ok) return ok.error();
  return file;
}

}  // namespace

std::string manifest_name(std::uint64_t generation) {
  return "manifest-" + std::to_string(generation) + ".json";
}

Result<std::uint64_t> current_generation(const fs::path& folder) {
  const fs::path path = folder / kCurrent;
  const auto text = read_whole(path, kMaxCurrentBytes);
  if (!text && text.error().code() == ErrorCode::path_not_found) return std::uint64_t{0};
  if (!text) return text.error();
  constexpr std::string_view kBeforeNumber = "manifest-";
  std::uint64_t generation = 0;
  if (text->size() > kBeforeNumber.size()) {
    std::from_chars(text->data() + kBeforeNumber.size(), text->data() + text->size(), generation);
  }
  if (generation != 0 && *text == manifest_name(generation) + "\n") return generation;
  return Error(ErrorCode::corrupt, path.string() + " names no manifest");
}

Result<ShardManifest> read_generation(const fs::path& folder, std::uint64_t generation) {
  const fs::path path = folder / manifest_name(generation);
  const auto text = read_whole(path, kMaxManifestBytes);
  if (!text) return text.error();
  auto manifest = parse_shard_manifest(*text, path.string());
  if (!manifest || manifest->generation == generation) return manifest;
  return Error(ErrorCode::corrupt,
               path.string() + ": it is of generation " + std::to_string(manifest->generation));
}

Result<SetLock> SetLock::take(const fs::path& folder) {
  format::FileSystem& files = format::default_file_system();
  const fs::path path = folder / kLock;
  auto file = files.open(path, format::Access::read_write);
  if (!file && file.error().code() == ErrorCode::path_not_found) {
    file = files.create_exclusive(path, 0666);
    if (!file && file.error().code() == ErrorCode::path_exists)
      file = files.open(path, format::Access::read_write);
  }
  if (!file) return file.error();
  const auto locked = file->try_lock();
  if (!locked) return locked.error();
  if (*locked) return SetLock(folder, *std::move(file));
  return Error(ErrorCode::path_in_use, folder.string() + ": somebody else publishes or changes it");
}

Result<void> SetLock::publish(ShardManifest& manifest) {
  format::FileSystem& files = format::default_file_system();
  const auto current = current_generation(folder_);
  if (!current) return current.error();
  if (*current != manifest.generation)
    return published_meanwhile(folder_, manifest.generation, *current);
  remove_unpublished(folder_);
  for (const ShardFile& file : manifest.shards) {
    if (auto ok = check_file(folder_, file); !ok) return ok;
  }
  for (const auto* file : {&manifest.router, &manifest.fresh}) {
    if (!*file) continue;
    if (auto ok = check_file(folder_, **file); !ok) return ok;
  }
  ShardManifest next = manifest;
  ++next.generation;
  const auto text = shard_manifest_text(next);
  if (!text) return text.error();
  const std::string name = manifest_name(next.generation);
  if (auto ok = write_whole(folder_ / name, *text); !ok) return ok;
  if (auto ok = files.sync_directory(folder_); !ok) return ok;
  if (auto ok = write_whole(folder_ / kCurrent, name + "\n"); !ok) return ok;
  manifest.generation = next.generation;  // it holds, whether or not the disk knows already
  return files.sync_directory(folder_);
}

Result<ShardManifest> read_shard_manifest(const fs::path& folder) {
  return guarded("read_shard_manifest", [&]() -> Result<ShardManifest> {
    const auto generation = generation_that_holds(folder);
    if (!generation) return generation.error();
    return read_generation(folder, *generation);
  });
}

Result<HeldManifest> read_and_hold(const fs::path& folder) {
  std::uint64_t before = 0;
  for (;;) {
    const auto generation = generation_that_holds(folder);
    if (!generation) return generation.error();
    const fs::path path = folder / manifest_name(*generation);
    HeldManifest held;
    const auto outcome = held.hold.take(path);
    const bool is_going =
        outcome == format::SharedLock::Outcome::refused ||
        (outcome == format::SharedLock::Outcome::taken && !held.hold.is_in_place(path));
    auto manifest = is_going
                        ? Error(ErrorCode::path_not_found, path.string() + ": it is being removed")
                        : read_generation(folder, *generation);
    const bool is_gone = !manifest && manifest.error().code() == ErrorCode::path_not_found;
    if (is_gone && before != *generation) {
      // Another one may hold by now.
      before = *generation;
      continue;
    }
    if (!manifest) return manifest.error();
    held.manifest = *std::move(manifest);
    return held;
  }
}

Result<void> publish_shards(const fs::path& folder, ShardManifest& manifest) {
  return guarded("publish", [&]() -> Result<void> {
    auto lock = SetLock::take(folder);
    return lock ? lock->publish(manifest) : lock.error();
  });
}

Result<ShardFile> describe_shard_file(const fs::path& file, const std::atomic<bool>* stop) {
  return guarded("describe", [&]() -> Result<ShardFile> {
    OpenOptions options;
    options.stop = stop;
    const auto index = Index::open(file, options);
    if (!index) return index.error();
    auto hash = hash_of_file(file, stop);
    if (!hash) return hash.error();
    const std::string name = *hash + ".cairn";
    return ShardFile{name, index->size(), index->stats().file_bytes, true, *std::move(hash)};
  });
}

Result<ShardFile> add_shard_file(const fs::path& folder, const Index& index,
                                 const std::atomic<bool>* stop) {
  return guarded("add_shard_file", [&] {
    return add_named(folder, stop, [&](const fs::path& path) {
      return index.backup(path, SaveOptions{Existing::refuse, stop});
    });
  });
}

Result<ShardFile> build_shard_file(const fs::path& folder, const IndexParams& params,
                                   std::span<const Key> keys, MatrixView rows,
                                   const BuildOptions& options) {
  return guarded("build_shard_file", [&] {
    return add_named(folder, options.stop, [&](const fs::path& path) {
      return build_file(path, params, keys, rows, options,
                        SaveOptions{Existing::refuse, options.stop});
    });
  });
}

std::size_t shard_of_key(Key key, std::uint64_t seed, std::size_t shards) noexcept {
  // The upper half of the product of two numbers of 64 bits, the second of which has 32 at most.
  const std::uint64_t hash = key_hash(key, seed);
  const std::uint64_t low = (hash & 0xFFFFFFFFu) * shards >> 32;
  return static_cast<std::size_t>(((hash >> 32) * shards + low) >> 32);
}

}  // namespace cairn
