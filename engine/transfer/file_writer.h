// SPDX-License-Identifier: Apache-2.0
//
// A file that is written from its beginning to its end, beside the place that it then takes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <cairn/error.h>

#include "format/container/save_target.h"
#include "format/io/file.h"

namespace cairn {

class FileWriter {
 public:
  // Errors of format::find_target().
  static Result<FileWriter> create(const std::filesystem::path& path) {
    format::FileSystem& fs = format::default_file_system();
    auto target = format::find_target(fs, path, Existing::replace);
    if (!target) return target.error();
    FileWriter writer(fs, std::move(*target));
    auto file = format::create_temporary(fs, writer.target_, *writer.made_);
    if (!file) return file.error();
    writer.file_.emplace(std::move(*file));
    if (auto ok = format::keep_access(writer.target_, *writer.file_); !ok) return ok.error();
    return writer;
  }

  // The first error stays, and finish() returns it.
  void put(std::span<const std::byte> bytes) {
    buffer_.insert(buffer_.end(), bytes.begin(), bytes.end());
    if (buffer_.size() >= kFlushed) flush();
  }
  template <class T>
  void number(T value) {
    put(std::as_bytes(std::span(&value, 1)));
  }
  void zeros(std::size_t size) {
    buffer_.resize(buffer_.size() + size);
    if (buffer_.size() >= kFlushed) flush();
  }

  // On disk, in the place of what stood there.
  Result<void> finish() {
    flush();
    if (error_) return *error_;
    if (auto ok = file_->sync(); !ok) return ok;
    if (auto ok = format::put_in_place(*fs_, target_, **made_); !ok) return ok;
    const auto directory = target_.path.parent_path();
    return fs_->sync_directory(directory.empty() ? "." : directory);
  }

 private:
  static constexpr std::size_t kFlushed = std::size_t{1} << 20;

  FileWriter(format::FileSystem& fs, format::Target target)
      : fs_(&fs),
        target_(std::move(target)),
        made_(std::make_unique<std::optional<format::Unfinished>>()) {}

  void flush() {
    if (!error_ && !buffer_.empty()) {
      if (auto ok = file_->pwrite(buffer_, at_); !ok) error_ = ok.error();
      at_ += buffer_.size();
    }
    buffer_.clear();
  }

  format::FileSystem* fs_;
  format::Target target_;
  std::unique_ptr<std::optional<format::Unfinished>> made_;
  std::optional<format::File> file_;
  std::vector<std::byte> buffer_;
  std::uint64_t at_ = 0;
  std::optional<Error> error_;
};

}  // namespace cairn
