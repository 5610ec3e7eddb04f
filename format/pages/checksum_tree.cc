// SPDX-License-Identifier: Apache-2.0
#include "format/pages/checksum_tree.h"

#include <string>

#include "format/bytes/checksum.h"
#include "format/bytes/limits.h"
#include "format/bytes/superblock_layout.h"

namespace cairn::format {

BuiltTree build_tree(const std::vector<std::uint64_t>& page_checksums) {
  const TreeShape shape(page_checksums.size());
  BuiltTree tree;
  tree.bytes.resize(shape.bytes());
  for (std::size_t i = 0; i < page_checksums.size(); ++i) {
    store_u64(tree.bytes.data(), i, page_checksums[i]);
  }
  for (std::size_t level = 1; level < shape.depth(); ++level) {
    const std::byte* const below = tree.bytes.data() + shape.first_page(level - 1) * kPageSize;
    std::byte* const entries = tree.bytes.data() + shape.first_page(level) * kPageSize;
    for (std::uint64_t i = 0; i < shape.pages(level - 1); ++i) {
      store_u64(entries, i, page_checksum(below + i * kPageSize));
    }
  }
  tree.root = page_checksum(tree.bytes.data() + shape.first_page(shape.depth() - 1) * kPageSize);
  return tree;
}

TreeReader::TreeReader(const File& file, const ExtentTable& table, const Extent& extent)
    : file_(file), table_(table), extent_(extent), shape_(extent.length / kPageSize) {}

std::uint64_t TreeReader::file_offset(std::size_t level, std::uint64_t index) const {
  return table_.file_offset(SectionId::checksum,
                            extent_.tree_offset + (shape_.first_page(level) + index) * kPageSize);
}

Result<const std::byte*> TreeReader::page(std::size_t level, std::uint64_t index) {
  Cached& cached = cache_[level];
  if (cached.index == index) return cached.bytes.data();
  std::uint64_t stored = extent_.root;
  if (level + 1 < shape_.depth()) {
    const auto parent = page(level + 1, index / TreeShape::kFanout);
    if (!parent) return parent.error();
    stored = load_u64(*parent, index % TreeShape::kFanout);
  }
  cached.index = UINT64_MAX;
  cached.bytes.resize(kPageSize);
  const std::uint64_t at = file_offset(level, index);
  if (auto ok = file_.pread(cached.bytes, at); !ok) return ok.error();
  const std::uint64_t computed = page_checksum(cached.bytes.data());
  if (computed != stored) {
    return checksum_error("checksum tree of " + section_name(extent_.section) +
                              " at logical offset " + std::to_string(extent_.logical_offset) +
                              ", level " + std::to_string(level + 1) + " page " +
                              std::to_string(index),
                          at, computed, stored);
  }
  cached.index = index;
  return cached.bytes.data();
}

Error checksum_error(const std::string& what, std::uint64_t file_offset, std::uint64_t computed,
                     std::uint64_t stored) {
  std::array<char, 19> a;
  std::array<char, 19> b;
  return Error(ErrorCode::corrupt, what + " at " + std::to_string(file_offset) + ": checksum " +
                                       hex(computed, a) + ", stored " + hex(stored, b));
}

}  // namespace cairn::format
