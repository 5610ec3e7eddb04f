// SPDX-License-Identifier: Apache-2.0
#include "tests/support/faulty_file_system.h"

#include <algorithm>
#include <memory>
#include <utility>

namespace cairn::test {
namespace {

using format::Access;
using format::IoOutcome;
using format::RawFile;
using format::RawOpenOutcome;

class FaultyFile final : public ForwardingFile {
 public:
  explicit FaultyFile(FaultyFileSystem& owner) : owner_(owner) {}

  IoOutcome pread(void* out, std::size_t size, std::uint64_t offset) const override {
    const IoOutcome outcome =
        transfer(size, [&](std::size_t n) { return base().pread(out, n, offset); });
    owner_.note_read(static_cast<std::uint64_t>(outcome.value));
    return outcome;
  }
  IoOutcome pwrite(const void* data, std::size_t size, std::uint64_t offset) override {
    return transfer(size, [&](std::size_t n) { return base().pwrite(data, n, offset); });
  }
  IoOutcome pwrite_dsync(const void* data, std::size_t size, std::uint64_t offset) override {
    return transfer(size, [&](std::size_t n) { return base().pwrite_dsync(data, n, offset); });
  }
  IoOutcome remove_attribute(const char* name) override {
    const IoOutcome outcome = ForwardingFile::remove_attribute(name);
    if (outcome.error == EACCES) owner_.note_failed_advice();
    return outcome;
  }
  IoOutcome advise(format::Advice advice, std::uint64_t offset, std::uint64_t size) const override {
    const IoOutcome outcome = ForwardingFile::advise(advice, offset, size);
    if (outcome.error != 0) owner_.note_failed_advice();
    return outcome;
  }
  IoOutcome try_lock() override {
    const IoOutcome outcome = ForwardingFile::try_lock();
    if (outcome.error != 0) owner_.note_failed_lock();
    return outcome;
  }

 private:
  int refuse() const override { return owner_.next(); }

  template <class Operation>
  IoOutcome transfer(std::size_t size, Operation&& operation) const {
    const int error = owner_.next();
    if (error > 0) return {0, error};
    return operation(error == 0 ? std::max<std::size_t>(size / 2, 1) : size);
  }

  FaultyFileSystem& owner_;
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
  return wrap(*this, [&] { return base().open(path, access); });
}

RawOpenOutcome FaultyFileSystem::create_exclusive(const std::filesystem::path& path,
                                                  std::uint32_t mode) {
  if (const int error = next(); error > 0) return {nullptr, error};
  return wrap(*this, [&] { return base().create_exclusive(path, mode); });
}

IoOutcome FaultyFileSystem::rename(const std::filesystem::path& from,
                                   const std::filesystem::path& to) {
  return unless_refused([&] {
    renamed_ = true;
    return base().rename(from, to);
  });
}

IoOutcome FaultyFileSystem::sync_directory(const std::filesystem::path& path) {
  return unless_refused([&] {
    return directories_break_ && renamed_ ? IoOutcome{0, EIO} : base().sync_directory(path);
  });
}

IoOutcome FaultyFileSystem::list(const std::filesystem::path& directory, std::string_view prefix,
                                 std::vector<std::string>& names) {
  if (const int error = next(); error > 0) {
    note_failed_advice();  // who looks for something to remove can go without
    return {0, error};
  }
  return base().list(directory, prefix, names);
}

}  // namespace cairn::test
