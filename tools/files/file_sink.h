// SPDX-License-Identifier: Apache-2.0
//
// A file that is written from its beginning to its end, beside the place that it then takes in one
// step. What is not finished leaves nothing behind.
#pragma once

#include <cstddef>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <cairn/error.h>

#include "tools/files/byte_source.h"

namespace cairn::tools {

struct NewFile {
  std::string name;
  Descriptor descriptor;  // open for writing
};

// A file that had not been there, for what is to be renamed to `path`: `.NAME.NUMBER.tmp` in its
// folder, NAME cut at 200 bytes and NUMBER by chance. Nothing that stands there is written to, and
// no link is followed. path_not_found, permission_denied, io_error.
Result<NewFile> create_beside(const std::filesystem::path& path);

class FileSink {
 public:
  // path_not_found, permission_denied, io_error.
  static Result<FileSink> create(const std::string& path);
  ~FileSink();
  FileSink(FileSink&& other) noexcept;
  FileSink& operator=(FileSink&&) = delete;

  // The first error stays, and finish() returns it.
  void put(std::span<const std::byte> bytes);
  void text(std::string_view text) { put(std::as_bytes(std::span(text))); }
  template <class T>
  void number(T value) {
    put(std::as_bytes(std::span(&value, 1)));
  }

  // On disk, in the place of what stood there.
  Result<void> finish();

 private:
  FileSink(std::string path, std::string temporary, Descriptor descriptor)
      : path_(std::move(path)),
        temporary_(std::move(temporary)),
        descriptor_(std::move(descriptor)) {}
  void flush();

  std::string path_;
  std::string temporary_;  // "": it is no more
  Descriptor descriptor_;
  std::vector<std::byte> buffer_;
  std::optional<Error> error_;
};

}  // namespace cairn::tools
