// SPDX-License-Identifier: Apache-2.0
//
// Removing generations that nobody needs: docs/shards.md, "Older generations".
#include <algorithm>
#include <charconv>
#include <chrono>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/base/guarded.h"
#include "engine/shards/set_folder.h"
#include "format/container/save_target.h"

namespace cairn {

namespace fs = std::filesystem;

namespace {

constexpr std::string_view kPrefix = "manifest-";

// That of the manifest which is called so; 0: it is no manifest.
std::uint64_t generation_of(const std::string& name) {
  std::uint64_t generation = 0;
  std::from_chars(name.data() + kPrefix.size(), name.data() + name.size(), generation);
  return name == manifest_name(generation) ? generation : 0;
}

// The generations up to `last` whose manifests are there, the latest first.
Result<std::vector<std::uint64_t>> generations_in(const fs::path& folder, std::uint64_t last) {
  const auto names = format::default_file_system().list(folder, kPrefix);
  if (!names) return names.error();
  std::vector<std::uint64_t> found;
  for (const std::string& name : *names) {
    const std::uint64_t generation = generation_of(name);
    if (generation != 0 && generation <= last) found.push_back(generation);
  }
  std::sort(found.rbegin(), found.rend());
  return found;
}

// A generation that is to go, and that no reader has, nor gets while this is held.
struct Doomed {
  std::uint64_t generation;
  format::File manifest;
};

void add_names(const ShardManifest& manifest, std::set<std::string>& names) {
  for (const ShardFile& file : manifest.shards) names.insert(file.file);
  for (const auto* file : {&manifest.router, &manifest.fresh}) {
    if (*file) names.insert((*file)->file);
  }
}

// Nothing: it is not there.
Result<std::optional<std::uint64_t>> remove_file(const fs::path& path) {
  format::FileSystem& files = format::default_file_system();
  const auto info = files.info(path);
  const auto removed = info ? files.unlink(path) : Result<void>(info.error());
  if (removed) return std::optional(info->size_bytes);
  if (removed.error().code() == ErrorCode::path_not_found) return std::optional<std::uint64_t>();
  return removed.error();
}

// Whether a shard may be called so: by its contents, or as one that changes.
bool is_shard_name(std::string_view name) {
  constexpr std::string_view kSuffix = ".cairn";
  constexpr std::string_view kLive = "live-";
  constexpr std::size_t kHashDigits = 32;
  if (!name.ends_with(kSuffix)) return false;
  name.remove_suffix(kSuffix.size());
  if (name.starts_with(kLive)) {
    name.remove_prefix(kLive.size());
    const std::size_t end = name.find('-');
    if (end == 0 || end == std::string_view::npos) return false;
    const auto is_number = [](std::string_view text) {
      return !text.empty() && text.find_first_not_of("0123456789") == std::string_view::npos;
    };
    const std::string_view which = name.substr(end + 1);
    return is_number(name.substr(0, end)) && (which == "fresh" || is_number(which));
  }
  return name.size() == kHashDigits &&
         name.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

// Removes the shards in the folder that none of the manifests names. REQUIRES: the folder's lock.
Result<void> remove_unnamed(const fs::path& folder, const std::set<std::string>& needed,
                            std::chrono::seconds after, PruneReport& report) {
  format::FileSystem& files = format::default_file_system();
  const auto names = files.list(folder, "");
  if (!names) return names.error();
  for (const std::string& name : *names) {
    if (needed.count(name) != 0 || !is_shard_name(name)) continue;
    const auto info = files.info(folder / name);
    if (!info || !format::remove_if_left(files, folder / name, after)) continue;
    ++report.files;
    ++report.unnamed;
    report.bytes += info->size_bytes;
  }
  return {};
}

}  // namespace

Result<PruneReport> prune_shards(const fs::path& folder, const PruneOptions& options) {
  return guarded("prune", [&]() -> Result<PruneReport> {
    const auto invalid = [](const char* problem) {
      return Error(ErrorCode::invalid_argument, std::string("prune: ") + problem);
    };
    if (options.keep == 0) return invalid("at least the generation that holds is kept");
    if (options.unnamed_after && (*options.unnamed_after < std::chrono::seconds(0) ||
                                  *options.unnamed_after > std::chrono::hours(24 * 36500))) {
      return invalid("unnamed_after is not from 0 to 100 years");
    }
    // Before a lock is left in a folder that is none of a set.
    auto current = read_shard_manifest(folder);
    if (!current) return current.error();
    const auto lock = SetLock::take(folder);
    if (!lock) return lock.error();
    current = read_shard_manifest(folder);
    if (!current) return current.error();
    const auto there = generations_in(folder, current->generation);
    if (!there) return there.error();
    PruneReport report;
    std::set<std::string> needed;
    std::set<std::string> named;
    std::vector<Doomed> doomed;
    for (std::size_t i = 0; i < there->size(); ++i) {
      const std::uint64_t generation = (*there)[i];
      // Before anything is removed: what cannot be read may name anything.
      const auto manifest = read_generation(folder, generation);
      if (!manifest) return manifest.error();
      const bool is_wanted =
          std::find(options.also.begin(), options.also.end(), generation) != options.also.end();
      if (i < options.keep || is_wanted) {
        add_names(*manifest, needed);
        continue;
      }
      auto file = format::default_file_system().open(folder / manifest_name(generation),
                                                     format::Access::read_write);
      if (!file) return file.error();
      const auto locked = file->try_lock();
      if (!locked) return locked.error();
      if (!*locked) {
        report.in_use.push_back(generation);
        add_names(*manifest, needed);
        continue;
      }
      add_names(*manifest, named);
      doomed.push_back({generation, *std::move(file)});
    }
    // Manifests last: as long as one is there, another call finds what it names.
    for (const std::string& name : named) {
      if (needed.count(name) != 0) continue;
      const auto bytes = remove_file(folder / name);
      if (!bytes) return bytes.error();
      if (!*bytes) continue;
      ++report.files;
      report.bytes += **bytes;
    }
    if (options.unnamed_after) {
      auto ok = remove_unnamed(folder, needed, *options.unnamed_after, report);
      if (!ok) return ok.error();
    }
    for (const Doomed& one : doomed) {
      const auto removed = remove_file(folder / manifest_name(one.generation));
      if (!removed) return removed.error();
      report.removed.push_back(one.generation);
    }
    if (auto ok = format::default_file_system().sync_directory(folder); !ok) return ok.error();
    return report;
  });
}

}  // namespace cairn
