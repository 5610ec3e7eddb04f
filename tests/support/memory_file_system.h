// SPDX-License-Identifier: Apache-2.0
//
// A file system in memory, whose files can be mapped. Nothing waits for a disk, so that tests can
// open very many files.
#pragma once

#include <cstddef>
#include <filesystem>
#include <map>
#include <memory>
#include <set>
#include <span>
#include <vector>

#include "format/io/file.h"

namespace cairn::test {

// Not thread-safe. Files that it opened must not outlive it. Locks are kept as the system's are.
class MemoryFileSystem final : public format::RawFileSystem {
 public:
  MemoryFileSystem();
  ~MemoryFileSystem() override;
  MemoryFileSystem(const MemoryFileSystem&) = delete;
  MemoryFileSystem& operator=(const MemoryFileSystem&) = delete;

  // What stands at a path. REQUIRES for get: something does. What is set is the same file with
  // other content, as after a crash; at another path it is a copy.
  void set(const std::filesystem::path& path, std::span<const std::byte> bytes);
  // The same after a power failure: the file is the one that its content says it is, under whatever
  // name it was made.
  void restore(const std::filesystem::path& path, std::span<const std::byte> bytes);
  std::vector<std::byte> get(const std::filesystem::path& path) const;
  bool exists(const std::filesystem::path& path) const { return files_.contains(path); }
  std::size_t files() const { return files_.size(); }
  void clear() { files_.clear(); }

  format::RawOpenOutcome open(const std::filesystem::path& path, format::Access access) override;
  format::RawOpenOutcome create_exclusive(const std::filesystem::path& path,
                                          std::uint32_t mode) override;
  format::IoOutcome rename(const std::filesystem::path& from,
                           const std::filesystem::path& to) override;
  format::IoOutcome rename_new(const std::filesystem::path& from,
                               const std::filesystem::path& to) override;
  format::IoOutcome unlink(const std::filesystem::path& path) override;
  format::IoOutcome sync_directory(const std::filesystem::path&) override { return {}; }
  format::IoOutcome stat(const std::filesystem::path& path, format::FileInfo& out) override;
  format::IoOutcome resolve(const std::filesystem::path& path, std::filesystem::path& out) override;
  format::IoOutcome list(const std::filesystem::path& directory, std::string_view prefix,
                         std::vector<std::string>& names) override;
  std::uint64_t unique_number() override { return ++numbers_ * 0x9E3779B97F4A7C15u; }

  struct Inode;

 private:
  std::map<std::filesystem::path, std::shared_ptr<Inode>> files_;
  std::set<std::uint64_t> made_;  // of all files that were made
  std::uint64_t numbers_ = 0;
};

}  // namespace cairn::test
