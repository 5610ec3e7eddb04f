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

#include "format/io/file.h"

namespace cairn {

class FileWriter {
 public:
  static Result<FileWriter> create(const std::filesystem::path& path) {
    format::FileSystem& fs = format::default_file_system();
    std::string name = ".";
    name.append(path.filename().string(), 0, kMostOfName);
    name.append(".").append(std::to_string(fs.unique_number())).append(".tmp");
    FileWriter writer(fs, path, path.parent_path() / name);
    auto file = fs.create_exclusive(writer.made_->path(), 0666);
    if (!file) return file.error();
    writer.made_->is_there();
    writer.file_.emplace(std::move(*file));
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
    if (auto ok = fs_->rename(made_->path(), path_); !ok) return ok;
    made_->keep();
    const auto directory = path_.parent_path();
    return fs_->sync_directory(directory.empty() ? "." : directory);
  }

 private:
  static constexpr std::size_t kFlushed = std::size_t{1} << 20;
  static constexpr std::size_t kMostOfName = 200;

  FileWriter(format::FileSystem& fs, std::filesystem::path path, std::filesystem::path temporary)
      : fs_(&fs),
        path_(std::move(path)),
        made_(std::make_unique<format::Unfinished>(fs, std::move(temporary))) {}

  void flush() {
    if (!error_ && !buffer_.empty()) {
      if (auto ok = file_->pwrite(buffer_, at_); !ok) error_ = ok.error();
      at_ += buffer_.size();
    }
    buffer_.clear();
  }

  format::FileSystem* fs_;
  std::filesystem::path path_;
  std::unique_ptr<format::Unfinished> made_;
  std::optional<format::File> file_;
  std::vector<std::byte> buffer_;
  std::uint64_t at_ = 0;
  std::optional<Error> error_;
};

}  // namespace cairn
