// SPDX-License-Identifier: Apache-2.0
#include "tests/support/faulty_file_system.h"

#include <algorithm>
#include <utility>

namespace cairn::test {
namespace {

using format::Access;
using format::FileInfo;
using format::IoOutcome;
using format::RawFile;
using format::RawOpenOutcome;

class FaultyFile final : public RawFile {
 public:
  explicit FaultyFile(FaultyFileSystem& owner) : owner_(owner) {}
  void use(std::unique_ptr<RawFile> base) { base_ = std::move(base); }

  IoOutcome pread(void* out, std::size_t size, std::uint64_t offset) const override {
    const IoOutcome outcome =
        transfer(size, [&](std::size_t n) { return base_->pread(out, n, offset); });
    owner_.note_read(static_cast<std::uint64_t>(outcome.value));
    return outcome;
  }
  IoOutcome pwrite(const void* data, std::size_t size, std::uint64_t offset) override {
    return transfer(size, [&](std::size_t n) { return base_->pwrite(data, n, offset); });
  }
  IoOutcome pwrite_dsync(const void* data, std::size_t size, std::uint64_t offset) override {
    return transfer(size, [&](std::size_t n) { return base_->pwrite_dsync(data, n, offset); });
  }
  IoOutcome datasync() override {
    return call([&] { return base_->datasync(); });
  }
  IoOutcome sync() override {
    return call([&] { return base_->sync(); });
  }
  IoOutcome allocate(std::uint64_t offset, std::uint64_t size) override {
    return call([&] { return base_->allocate(offset, size); });
  }
  IoOutcome truncate(std::uint64_t size) override {
    return call([&] { return base_->truncate(size); });
  }
  IoOutcome stat(FileInfo& out) const override {
    return call([&] { return base_->stat(out); });
  }
  IoOutcome set_mode(std::uint32_t mode) override {
    return call([&] { return base_->set_mode(mode); });
  }
  IoOutcome set_owner(std::uint32_t owner, std::uint32_t group) override {
    return call([&] { return base_->set_owner(owner, group); });
  }
  IoOutcome set_attribute(const format::Attribute& attribute) override {
    return call([&] { return base_->set_attribute(attribute); });
  }
  IoOutcome remove_attribute(const char* name) override {
    const IoOutcome outcome = call([&] { return base_->remove_attribute(name); });
    if (outcome.error == EACCES) owner_.note_failed_advice();
    return outcome;
  }
  IoOutcome advise(format::Advice advice, std::uint64_t offset, std::uint64_t size) const override {
    const IoOutcome outcome = call([&] { return base_->advise(advice, offset, size); });
    if (outcome.error != 0) owner_.note_failed_advice();
    return outcome;
  }
  IoOutcome map(void* address, std::uint64_t offset, std::size_t size,
                Access access) const override {
    return call([&] { return base_->map(address, offset, size, access); });
  }
  IoOutcome map_shared(void* address, std::uint64_t offset, std::size_t size) const override {
    return call([&] { return base_->map_shared(address, offset, size); });
  }
  IoOutcome try_lock() override {
    const IoOutcome outcome = call([&] { return base_->try_lock(); });
    if (outcome.error != 0) owner_.note_failed_lock();
    return outcome;
  }
  IoOutcome is_locked() const override {
    return call([&] { return base_->is_locked(); });
  }

 private:
  template <class Operation>
  IoOutcome call(Operation&& operation) const {
    const int error = owner_.next();
    return error > 0 ? IoOutcome{0, error} : operation();
  }
  template <class Operation>
  IoOutcome transfer(std::size_t size, Operation&& operation) const {
    const int error = owner_.next();
    if (error > 0) return {0, error};
    return operation(error == 0 ? std::max<std::size_t>(size / 2, 1) : size);
  }

  FaultyFileSystem& owner_;
  std::unique_ptr<RawFile> base_;
};

// The memory first, as the operating system's does.
template <class Open>
RawOpenOutcome wrap(FaultyFileSystem& owner, Open&& open) {
  auto file = std::make_unique<FaultyFile>(owner);
  RawOpenOutcome opened = open();
  if (opened.error != 0) return opened;
  file->use(std::move(opened.file));
  return {std::move(file), 0};
}

}  // namespace

int FaultyFileSystem::next() {
  const std::uint64_t call = calls_++;
  if (look_) look_(call);
  const bool wrong =
      call == fault_.call || (fault_.lasts == Fault::Lasts::forever && call > fault_.call);
  return wrong ? fault_.error : -1;
}

RawOpenOutcome FaultyFileSystem::open(const std::filesystem::path& path, Access access) {
  if (const int error = next(); error > 0) return {nullptr, error};
  return wrap(*this, [&] { return base_.open(path, access); });
}

RawOpenOutcome FaultyFileSystem::create_exclusive(const std::filesystem::path& path,
                                                  std::uint32_t mode) {
  if (const int error = next(); error > 0) return {nullptr, error};
  return wrap(*this, [&] { return base_.create_exclusive(path, mode); });
}

IoOutcome FaultyFileSystem::rename(const std::filesystem::path& from,
                                   const std::filesystem::path& to) {
  if (const int error = next(); error > 0) return {0, error};
  renamed_ = true;
  return base_.rename(from, to);
}

IoOutcome FaultyFileSystem::rename_new(const std::filesystem::path& from,
                                       const std::filesystem::path& to) {
  if (const int error = next(); error > 0) return {0, error};
  return base_.rename_new(from, to);
}

IoOutcome FaultyFileSystem::unlink(const std::filesystem::path& path) {
  if (const int error = next(); error > 0) return {0, error};
  return base_.unlink(path);
}

IoOutcome FaultyFileSystem::sync_directory(const std::filesystem::path& path) {
  if (const int error = next(); error > 0) return {0, error};
  if (directories_break_ && renamed_) return {0, EIO};
  return base_.sync_directory(path);
}

IoOutcome FaultyFileSystem::stat(const std::filesystem::path& path, FileInfo& out) {
  if (const int error = next(); error > 0) return {0, error};
  return base_.stat(path, out);
}

IoOutcome FaultyFileSystem::resolve(const std::filesystem::path& path, std::filesystem::path& out) {
  if (const int error = next(); error > 0) return {0, error};
  return base_.resolve(path, out);
}

IoOutcome FaultyFileSystem::attributes(const std::filesystem::path& path,
                                       std::vector<format::Attribute>& out) {
  if (const int error = next(); error > 0) return {0, error};
  return base_.attributes(path, out);
}

IoOutcome FaultyFileSystem::list(const std::filesystem::path& directory, std::string_view prefix,
                                 std::vector<std::string>& names) {
  if (const int error = next(); error > 0) {
    note_failed_advice();  // who looks for something to remove can go without
    return {0, error};
  }
  return base_.list(directory, prefix, names);
}

IoOutcome FaultyFileSystem::read_link(const std::filesystem::path& path,
                                      std::filesystem::path& out) {
  if (const int error = next(); error > 0) return {0, error};
  return base_.read_link(path, out);
}

}  // namespace cairn::test
