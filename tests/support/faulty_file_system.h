// SPDX-License-Identifier: Apache-2.0
//
// A file system in which one raw call goes wrong, or every call from one on.
#pragma once

#include <cerrno>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "format/io/file.h"
#include "tests/support/forwarding_file_system.h"

namespace cairn::test {

struct Fault {
  std::uint64_t call = UINT64_MAX;  // the first raw call that goes wrong, counted from 0
  int error = EIO;  // 0: a transfer moves half of its bytes (at least one), other calls are good
  enum class Lasts { once, forever } lasts = Lasts::once;
};

// Not thread-safe. Files that it opened must not outlive it.
class FaultyFileSystem final : public ForwardingFileSystem {
 public:
  FaultyFileSystem(format::RawFileSystem& base, Fault fault)
      : ForwardingFileSystem(base), fault_(fault) {}

  std::uint64_t calls() const { return calls_; }
  std::uint64_t bytes_read() const { return bytes_read_; }
  void note_read(std::uint64_t bytes) { bytes_read_ += bytes; }
  bool has_failed() const { return calls_ > fault_.call; }
  // Whether what failed was advice, which may fail without harm.
  bool has_failed_advice() const { return advice_failed_; }
  void note_failed_advice() { advice_failed_ = true; }
  // How many locks could not be taken for an error.
  std::uint64_t failed_locks() const { return failed_locks_; }
  void note_failed_lock() { ++failed_locks_; }
  void heal() { fault_.call = UINT64_MAX; }
  // Whether directories can be synced once something has been renamed.
  void break_directories_at_rename(bool broken) {
    directories_break_ = broken;
    renamed_ = false;
  }
  // Calls `look(number)` before each call.
  void watch(std::function<void(std::uint64_t)> look) { look_ = std::move(look); }
  // Another fault, whose call is counted from here.
  void fail(Fault fault) {
    fault.call = fault.call < UINT64_MAX - calls_ ? fault.call + calls_ : UINT64_MAX;
    fault_ = fault;
  }

  format::RawOpenOutcome open(const std::filesystem::path& path, format::Access access) override;
  format::RawOpenOutcome create_exclusive(const std::filesystem::path& path,
                                          std::uint32_t mode) override;
  format::IoOutcome rename(const std::filesystem::path& from,
                           const std::filesystem::path& to) override;
  format::IoOutcome sync_directory(const std::filesystem::path& path) override;
  format::IoOutcome list(const std::filesystem::path& directory, std::string_view prefix,
                         std::vector<std::string>& names) override;

  // Counts a call; what is to go wrong with it: -1 nothing, 0 a short transfer, else an errno.
  int next();

 private:
  int refuse() override { return next(); }

  Fault fault_;
  std::uint64_t calls_ = 0;
  std::uint64_t bytes_read_ = 0;
  bool advice_failed_ = false;
  std::uint64_t failed_locks_ = 0;
  bool directories_break_ = false;
  bool renamed_ = false;
  std::function<void(std::uint64_t)> look_;
};

}  // namespace cairn::test
