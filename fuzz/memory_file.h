// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <filesystem>
#include <string>
#include <vector>

#include "format/bytes/limits.h"
#include "fuzz/input.h"

namespace cairn::fuzz {

// A file in memory that has a path. Only pages that differ from the last content are written.
class MemoryFile {
 public:
  MemoryFile() : descriptor_(memfd_create("cairn-fuzz", MFD_CLOEXEC)) {
    require(descriptor_ >= 0, "a file in memory can be made");
  }
  MemoryFile(const MemoryFile&) = delete;
  MemoryFile& operator=(const MemoryFile&) = delete;
  ~MemoryFile() { close(descriptor_); }

  std::filesystem::path path() const { return "/proc/self/fd/" + std::to_string(descriptor_); }

  void set(const std::vector<std::byte>& content) {
    if (content.size() != content_.size()) {
      require(ftruncate(descriptor_, static_cast<off_t>(content.size())) == 0, "ftruncate");
      content_.resize(content.size());
    }
    for (std::size_t at = 0; at < content.size(); at += format::kPageSize) {
      const std::size_t size = std::min(format::kPageSize, content.size() - at);
      if (std::memcmp(&content[at], &content_[at], size) == 0) continue;
      const ssize_t written = pwrite(descriptor_, &content[at], size, static_cast<off_t>(at));
      require(written == static_cast<ssize_t>(size), "pwrite");
      std::memcpy(&content_[at], &content[at], size);
    }
  }

 private:
  int descriptor_;
  std::vector<std::byte> content_;
};

}  // namespace cairn::fuzz
