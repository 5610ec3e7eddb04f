// SPDX-License-Identifier: Apache-2.0
#include "format/pages/tree_update.h"

#include <array>
#include <span>
#include <string>
#include <utility>

#include "format/bytes/checksum.h"

namespace cairn::format {
namespace {

struct Entry {
  std::uint64_t index;  // in the level
  std::uint64_t checksum;
};

// The page of the file that is about to be overwritten must be what its checksum says.
Result<void> check_old(const File& file, const Extent& run, std::uint64_t page,
                       std::uint64_t stored) {
  std::array<std::byte, kPageSize> old;
  const std::uint64_t at = run.file_offset + page * kPageSize;
  if (auto ok = file.pread(old, at); !ok) return ok;
  const std::uint64_t computed = page_checksum(old.data());
  if (computed == stored) return {};
  return checksum_error(
      section_name(run.section) + " page " + std::to_string(run.logical_offset / kPageSize + page),
      at, computed, stored);
}

// The trees of one run; `entries` are the new checksums of its pages.
Result<void> update_run(const File& file, const ExtentTable& table, std::size_t extent,
                        std::vector<Entry> entries, TreeUpdate& update) {
  const Extent& run = table.all()[extent];
  TreeReader tree(file, table, run);
  for (std::size_t level = 0; level < tree.shape().depth(); ++level) {
    std::vector<Entry> above;
    for (std::size_t i = 0; i < entries.size();) {
      const std::uint64_t index = entries[i].index / TreeShape::kFanout;
      const auto old = tree.page(level, index);
      if (!old) return old.error();
      std::vector<std::byte> bytes(*old, *old + kPageSize);
      for (; i < entries.size() && entries[i].index / TreeShape::kFanout == index; ++i) {
        const std::uint64_t slot = entries[i].index % TreeShape::kFanout;
        if (level == 0) {
          auto ok = check_old(file, run, entries[i].index, load_u64(bytes.data(), slot));
          if (!ok) return ok;
        }
        store_u64(bytes.data(), slot, entries[i].checksum);
      }
      above.push_back({index, page_checksum(bytes.data())});
      update.pages[tree.file_offset(level, index)] = std::move(bytes);
    }
    entries = std::move(above);
  }
  update.roots.emplace_back(extent, entries.front().checksum);
  return {};
}

}  // namespace

Result<TreeUpdate> update_trees(const File& file, const ExtentTable& table,
                                const std::vector<NewPage>& pages) {
  TreeUpdate update;
  for (std::size_t i = 0; i < pages.size();) {
    const std::size_t extent = pages[i].extent;
    std::vector<Entry> entries;
    for (; i < pages.size() && pages[i].extent == extent; ++i) {
      entries.push_back({pages[i].page, pages[i].checksum});
    }
    if (auto ok = update_run(file, table, extent, std::move(entries), update); !ok) {
      return ok.error();
    }
  }
  return update;
}

}  // namespace cairn::format
