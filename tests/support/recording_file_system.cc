// SPDX-License-Identifier: Apache-2.0
#include "tests/support/recording_file_system.h"

#include <algorithm>
#include <cerrno>
#include <memory>
#include <utility>

namespace cairn::test {
namespace {

using format::Access;
using format::IoOutcome;
using format::RawFile;
using format::RawOpenOutcome;
using Kind = DiskOperation::Kind;

class RecordingFile final : public ForwardingFile {
 public:
  RecordingFile(RecordingFileSystem& owner, std::size_t number, std::unique_ptr<RawFile> base)
      : ForwardingFile(std::move(base)), owner_(owner), number_(number) {}

  IoOutcome pwrite(const void* data, std::size_t size, std::uint64_t offset) override {
    return write(Kind::write, data, size, offset);
  }
  IoOutcome pwrite_dsync(const void* data, std::size_t size, std::uint64_t offset) override {
    if (!owner_.splits()) return write(Kind::write_dsync, data, size, offset);
    const IoOutcome plain = write(Kind::write, data, size, offset);
    if (plain.error != 0) return plain;
    const IoOutcome synced = datasync();
    return synced.error != 0 ? synced : plain;
  }
  IoOutcome datasync() override { return all_durable(); }
  IoOutcome sync() override { return all_durable(); }
  IoOutcome allocate(std::uint64_t offset, std::uint64_t size) override {
    if (owner_.next_fault() != DiskFault::Kind::none) return {0, EIO};
    return done({Kind::allocate, 0, offset, size}, base().allocate(offset, size));
  }
  IoOutcome truncate(std::uint64_t size) override {
    if (owner_.next_fault() != DiskFault::Kind::none) return {0, EIO};
    return done({Kind::truncate, 0, 0, size}, base().truncate(size));
  }

 private:
  IoOutcome done(DiskOperation operation, IoOutcome outcome) {
    operation.file = number_;
    if (outcome.error == 0) owner_.record(std::move(operation));
    return outcome;
  }
  IoOutcome write(Kind kind, const void* data, std::size_t size, std::uint64_t offset) {
    const DiskFault::Kind fault = owner_.next_fault();
    if (fault == DiskFault::Kind::killed) return {0, EIO};
    if (fault == DiskFault::Kind::killed_inside) {
      kind = Kind::write;
      size = std::max<std::size_t>(size / 2, 1);
    }
    if (fault == DiskFault::Kind::lost) kind = Kind::lost_write;
    const IoOutcome outcome = base().pwrite(data, size, offset);
    const auto* const bytes = static_cast<const std::byte*>(data);
    DiskOperation operation{kind, 0, offset};
    operation.data.assign(bytes, bytes + outcome.value);
    done(std::move(operation), outcome);
    return fault == DiskFault::Kind::none ? outcome : IoOutcome{0, EIO};
  }
  IoOutcome all_durable() {
    const DiskFault::Kind fault = owner_.next_fault();
    if (fault == DiskFault::Kind::lost) done({Kind::lost_sync}, {});
    return fault == DiskFault::Kind::none ? done({Kind::sync}, base().sync()) : IoOutcome{0, EIO};
  }

  RecordingFileSystem& owner_;
  std::size_t number_;
};

DiskOperation named(Kind kind, const std::filesystem::path& path, std::filesystem::path to = {}) {
  DiskOperation operation{kind};
  operation.path = path;
  operation.to = std::move(to);
  return operation;
}

}  // namespace

DiskFault::Kind RecordingFileSystem::next_fault() {
  if (fault_.kind == DiskFault::Kind::none || operations_.size() < fault_.operation) {
    return DiskFault::Kind::none;
  }
  const DiskFault::Kind kind = fault_.kind;
  has_failed_ = true;
  // What has ended does nothing more.
  fault_.kind = kind == DiskFault::Kind::lost ? DiskFault::Kind::none : DiskFault::Kind::killed;
  return kind;
}

RawOpenOutcome RecordingFileSystem::open(const std::filesystem::path& path, Access access) {
  RawOpenOutcome opened = base().open(path, access);
  if (opened.error != 0) return opened;
  DiskOperation operation = named(Kind::open, path);
  operation.file = files_;
  record(std::move(operation));
  opened.file = std::make_unique<RecordingFile>(*this, files_++, std::move(opened.file));
  return opened;
}

RawOpenOutcome RecordingFileSystem::create_exclusive(const std::filesystem::path& path,
                                                     std::uint32_t mode) {
  if (next_fault() != DiskFault::Kind::none) return {nullptr, EIO};
  RawOpenOutcome opened = base().create_exclusive(path, mode);
  if (opened.error != 0) return opened;
  DiskOperation operation = named(Kind::create, path);
  operation.file = files_;
  record(std::move(operation));
  opened.file = std::make_unique<RecordingFile>(*this, files_++, std::move(opened.file));
  return opened;
}

IoOutcome RecordingFileSystem::rename(const std::filesystem::path& from,
                                      const std::filesystem::path& to) {
  if (next_fault() != DiskFault::Kind::none) return {0, EIO};
  const IoOutcome outcome = base().rename(from, to);
  if (outcome.error == 0) record(named(Kind::rename, from, to));
  return outcome;
}

IoOutcome RecordingFileSystem::rename_new(const std::filesystem::path& from,
                                          const std::filesystem::path& to) {
  if (next_fault() != DiskFault::Kind::none) return {0, EIO};
  const IoOutcome outcome = base().rename_new(from, to);
  if (outcome.error == 0) record(named(Kind::rename, from, to));
  return outcome;
}

IoOutcome RecordingFileSystem::unlink(const std::filesystem::path& path) {
  if (next_fault() != DiskFault::Kind::none) return {0, EIO};
  const IoOutcome outcome = base().unlink(path);
  if (outcome.error == 0) record(named(Kind::unlink, path));
  return outcome;
}

IoOutcome RecordingFileSystem::sync_directory(const std::filesystem::path& path) {
  if (next_fault() != DiskFault::Kind::none) return {0, EIO};
  const IoOutcome outcome = base().sync_directory(path);
  if (outcome.error == 0) record(named(Kind::sync_directory, path));
  return outcome;
}

}  // namespace cairn::test
