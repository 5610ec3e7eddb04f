// SPDX-License-Identifier: Apache-2.0
//
// A file and a file system that hand each call on to another one, or refuse it. Who wants something
// else of a call overrides that one alone.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "format/io/file.h"

namespace cairn::test {

// next_data() is not handed on: the files have no holes.
class ForwardingFile : public format::RawFile {
 public:
  explicit ForwardingFile(std::unique_ptr<format::RawFile> base = nullptr)
      : base_(std::move(base)) {}
  void use(std::unique_ptr<format::RawFile> base) { base_ = std::move(base); }

  format::IoOutcome pread(void* out, std::size_t size, std::uint64_t offset) const override {
    return unless_refused([&] { return base_->pread(out, size, offset); });
  }
  format::IoOutcome pwrite(const void* data, std::size_t size, std::uint64_t offset) override {
    return unless_refused([&] { return base_->pwrite(data, size, offset); });
  }
  format::IoOutcome pwrite_dsync(const void* data, std::size_t size,
                                 std::uint64_t offset) override {
    return unless_refused([&] { return base_->pwrite_dsync(data, size, offset); });
  }
  format::IoOutcome datasync() override {
    return unless_refused([&] { return base_->datasync(); });
  }
  format::IoOutcome sync() override {
    return unless_refused([&] { return base_->sync(); });
  }
  format::IoOutcome allocate(std::uint64_t offset, std::uint64_t size) override {
    return unless_refused([&] { return base_->allocate(offset, size); });
  }
  format::IoOutcome truncate(std::uint64_t size) override {
    return unless_refused([&] { return base_->truncate(size); });
  }
  format::IoOutcome stat(format::FileInfo& out) const override {
    return unless_refused([&] { return base_->stat(out); });
  }
  format::IoOutcome set_mode(std::uint32_t mode) override {
    return unless_refused([&] { return base_->set_mode(mode); });
  }
  format::IoOutcome set_owner(std::uint32_t owner, std::uint32_t group) override {
    return unless_refused([&] { return base_->set_owner(owner, group); });
  }
  format::IoOutcome set_attribute(const format::Attribute& attribute) override {
    return unless_refused([&] { return base_->set_attribute(attribute); });
  }
  format::IoOutcome remove_attribute(const char* name) override {
    return unless_refused([&] { return base_->remove_attribute(name); });
  }
  format::IoOutcome advise(format::Advice advice, std::uint64_t offset,
                           std::uint64_t size) const override {
    return unless_refused([&] { return base_->advise(advice, offset, size); });
  }
  format::IoOutcome map(void* address, std::uint64_t offset, std::size_t size,
                        format::Access access) const override {
    return unless_refused([&] { return base_->map(address, offset, size, access); });
  }
  format::IoOutcome map_shared(void* address, std::uint64_t offset, std::size_t size,
                               format::Access access) const override {
    return unless_refused([&] { return base_->map_shared(address, offset, size, access); });
  }
  format::IoOutcome try_lock() override {
    return unless_refused([&] { return base_->try_lock(); });
  }
  format::IoOutcome is_locked() const override {
    return unless_refused([&] { return base_->is_locked(); });
  }

 protected:
  // Asked before each call that is handed on: 0, or the errno with which it fails instead.
  virtual int refuse() const { return 0; }
  format::RawFile& base() const { return *base_; }

  template <class Call>
  format::IoOutcome unless_refused(Call&& call) const {
    const int error = refuse();
    return error > 0 ? format::IoOutcome{0, error} : call();
  }

 private:
  std::unique_ptr<format::RawFile> base_;
};

// The two calls that open a file are not handed on.
class ForwardingFileSystem : public format::RawFileSystem {
 public:
  explicit ForwardingFileSystem(format::RawFileSystem& base) : base_(base) {}

  format::IoOutcome rename(const std::filesystem::path& from,
                           const std::filesystem::path& to) override {
    return unless_refused([&] { return base_.rename(from, to); });
  }
  format::IoOutcome rename_new(const std::filesystem::path& from,
                               const std::filesystem::path& to) override {
    return unless_refused([&] { return base_.rename_new(from, to); });
  }
  format::IoOutcome unlink(const std::filesystem::path& path) override {
    return unless_refused([&] { return base_.unlink(path); });
  }
  format::IoOutcome sync_directory(const std::filesystem::path& path) override {
    return unless_refused([&] { return base_.sync_directory(path); });
  }
  format::IoOutcome stat(const std::filesystem::path& path, format::FileInfo& out) override {
    return unless_refused([&] { return base_.stat(path, out); });
  }
  format::IoOutcome resolve(const std::filesystem::path& path,
                            std::filesystem::path& out) override {
    return unless_refused([&] { return base_.resolve(path, out); });
  }
  format::IoOutcome attributes(const std::filesystem::path& path,
                               std::vector<format::Attribute>& out) override {
    return unless_refused([&] { return base_.attributes(path, out); });
  }
  format::IoOutcome list(const std::filesystem::path& directory, std::string_view prefix,
                         std::vector<std::string>& names) override {
    return unless_refused([&] { return base_.list(directory, prefix, names); });
  }
  format::IoOutcome read_link(const std::filesystem::path& path,
                              std::filesystem::path& out) override {
    return unless_refused([&] { return base_.read_link(path, out); });
  }
  std::uint64_t unique_number() override { return base_.unique_number(); }
  std::uint64_t largest_file() const override { return base_.largest_file(); }

 protected:
  virtual int refuse() { return 0; }
  format::RawFileSystem& base() const { return base_; }

  template <class Call>
  format::IoOutcome unless_refused(Call&& call) {
    const int error = refuse();
    return error > 0 ? format::IoOutcome{0, error} : call();
  }

 private:
  format::RawFileSystem& base_;
};

}  // namespace cairn::test
