// SPDX-License-Identifier: Apache-2.0
//
// The tree of page checksums of one run. docs/format.md, "Checksums".
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include <cairn/error.h>

#include "format/extent_table.h"
#include "format/file.h"
#include "format/layout.h"

namespace cairn::format {

// Where the levels of the tree of a run of `pages` pages stand. REQUIRES: 0 < pages < 2^51.
class TreeShape {
 public:
  static constexpr std::uint64_t kFanout = kPageSize / 8;  // entries in a page
  static constexpr std::size_t kMaxDepth = 6;              // 512^6 = 2^54 pages

  explicit TreeShape(std::uint64_t pages);

  std::size_t depth() const { return depth_; }
  // Level 1 is index 0. First page of a level, counted from the beginning of the tree; and its
  // pages.
  std::uint64_t first_page(std::size_t level) const { return first_[level]; }
  std::uint64_t pages(std::size_t level) const { return pages_[level]; }
  std::uint64_t bytes() const { return total_ * kPageSize; }

 private:
  std::size_t depth_ = 0;
  std::uint64_t total_ = 0;
  std::array<std::uint64_t, kMaxDepth> first_{};
  std::array<std::uint64_t, kMaxDepth> pages_{};
};

// The whole tree of a run, made from its page checksums.
struct BuiltTree {
  std::vector<std::byte> bytes;  // TreeShape::bytes()
  std::uint64_t root = 0;
};
BuiltTree build_tree(const std::vector<std::uint64_t>& page_checksums);

// Reads the tree of one run from the file, each page checked against the level above it, one page a
// level in memory. Thread-safety: none; use one a thread.
class TreeReader {
 public:
  // `table` and `extent`, one of its entries, must outlive the reader.
  TreeReader(const File& file, const ExtentTable& table, const Extent& extent);

  const TreeShape& shape() const { return shape_; }

  // The page of level `level` (index 0: level 1), 512 checksums. corrupt: it, or one above it, has
  // another checksum than its parent says.
  Result<const std::byte*> page(std::size_t level, std::uint64_t index);

  // Where that page stands in the file.
  std::uint64_t file_offset(std::size_t level, std::uint64_t index) const;

 private:
  struct Cached {
    std::uint64_t index = UINT64_MAX;
    std::vector<std::byte> bytes;
  };

  const File& file_;
  const ExtentTable& table_;
  const Extent& extent_;
  TreeShape shape_;
  std::array<Cached, TreeShape::kMaxDepth> cache_;
};

// "HOT page 12 at 307200: checksum 0x..., stored 0x..."
Error checksum_error(const std::string& what, std::uint64_t file_offset, std::uint64_t computed,
                     std::uint64_t stored);

}  // namespace cairn::format
