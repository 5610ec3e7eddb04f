// SPDX-License-Identifier: Apache-2.0
//
// The journal of a checkpoint: images of all pages that it writes in place, made durable before the
// first of them is overwritten. docs/format.md, "Journal".
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include <cairn/error.h>

#include "format/bytes/superblock.h"
#include "format/io/file.h"

namespace cairn::format {

struct PageImage {
  std::uint64_t file_offset;
  std::uint64_t checksum;  // page_checksum() of the bytes
  const std::byte* bytes;  // a page
};

// Bytes that a journal of so many pages takes, and of its head.
std::uint64_t journal_head_bytes(std::uint64_t pages);
std::uint64_t journal_bytes(std::uint64_t pages);

// Writes the journal, not durable yet; returns its checksum.
Result<std::uint64_t> write_journal(File& file, std::uint64_t offset, std::uint64_t generation,
                                    std::span<const PageImage> images);

// Writes the images where they belong, neighbours together, not durable yet.
Result<void> write_in_place(File& file, std::span<const PageImage> images);

// The journal of a superblock, with every checksum checked. corrupt
class Journal {
 public:
  static Result<Journal> read(const File& file, const Superblock& block);

  // By file offset, all different.
  const std::vector<PageImage>& images() const { return images_; }

 private:
  Result<void> read_up_to(std::uint64_t bytes, const File& file, std::uint64_t offset);

  std::vector<std::byte> bytes_;
  std::vector<PageImage> images_;
};

// A file that reads as if the images had been written in place. It cannot be written. `raw` reads
// the file itself.
std::unique_ptr<RawFile> overlay_journal(std::unique_ptr<RawFile> raw, Journal journal);

}  // namespace cairn::format
