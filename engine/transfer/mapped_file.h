// SPDX-License-Identifier: Apache-2.0
//
// A file of others, mapped for reading.
#pragma once

#include <cstddef>
#include <filesystem>
#include <span>
#include <string>

#include <cairn/error.h>

#include "format/io/address_space.h"

namespace cairn {

class MappedFile {
 public:
  // invalid_argument: not a regular file.
  static Result<MappedFile> open(const std::filesystem::path& path);

  std::span<const std::byte> bytes() const { return {region_.data(), size_}; }
  const std::string& name() const { return name_; }

 private:
  format::Region region_;
  std::size_t size_ = 0;
  std::string name_;
};

}  // namespace cairn
