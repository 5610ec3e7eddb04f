// SPDX-License-Identifier: Apache-2.0
//
// The data of a log record of kind `patches`: other bytes at several places of a section, each
// place told by its distance from the one before. docs/format.md, "Patches".
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace cairn::format {

struct Patch {
  std::uint64_t offset;              // in the section
  std::span<const std::byte> bytes;  // at least one
};

// What append_patch() appends.
std::uint64_t patch_bytes(std::uint64_t gap, std::uint64_t bytes);
// Appends a patch `gap` bytes behind the end of the one before. REQUIRES: bytes is not empty, gap
// and its length are below 2^63.
void append_patch(std::vector<std::byte>& out, std::uint64_t gap, std::span<const std::byte> bytes);

// Reads patches one after the other; the data may be anything.
class PatchReader {
 public:
  // `offset` and `data` of the record; the latter must outlive the reader.
  PatchReader(std::uint64_t offset, std::span<const std::byte> data) : end_(offset), left_(data) {}

  // Nothing behind the last one, and where the next is none.
  std::optional<Patch> next();
  // Whether what follows is no patch.
  bool is_broken() const { return is_broken_; }

 private:
  std::optional<std::uint64_t> number();

  std::uint64_t end_;  // of the patch before
  std::span<const std::byte> left_;
  bool is_broken_ = false;
};

}  // namespace cairn::format
