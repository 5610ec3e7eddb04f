// SPDX-License-Identifier: Apache-2.0
//
// The tree of page checksums of one run. docs/format.md, "Checksums".
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include <cairn/error.h>

#include "format/bytes/extent_table.h"
#include "format/bytes/superblock_layout.h"
#include "format/bytes/tree_shape.h"
#include "format/io/file.h"

namespace cairn::format {

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
