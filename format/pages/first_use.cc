// SPDX-License-Identifier: Apache-2.0
#include "format/pages/first_use.h"

#include <algorithm>
#include <string>
#include <utility>

#include "format/bytes/checksum.h"
#include "format/bytes/limits.h"
#include "format/bytes/superblock_layout.h"
#include "format/pages/checksum_tree.h"

namespace cairn::format {

FirstUse::FirstUse(const File& file, const ExtentTable& base, std::function<bool()> is_superseded)
    : file_(file), base_(base), is_superseded_(std::move(is_superseded)) {}

Result<std::unique_ptr<FirstUse>> FirstUse::make(const File& file, const ExtentTable& base,
                                                 std::function<bool()> is_superseded,
                                                 StopFlag stop) {
  std::unique_ptr<FirstUse> made(new FirstUse(file, base, std::move(is_superseded)));
  for (std::size_t i = 0; i < kDataSectionCount; ++i) {
    Pages& pages = made->sections_[i];
    const std::uint64_t count =
        made->base_.section_bytes(static_cast<SectionId>(i + 1)) / kPageSize;
    pages.checksums.reserve(count);
    pages.good.resize(count);
    pages.changed.resize(count);
    for (const Extent& run : made->base_.section(static_cast<SectionId>(i + 1))) {
      TreeReader tree(file, made->base_, run);
      const std::uint64_t end = run.length / kPageSize;
      for (std::uint64_t first = 0; first < end; first += TreeShape::kFanout) {
        if (is_stopped(stop)) return stopped();
        const auto entries = tree.page(0, first / TreeShape::kFanout);
        if (!entries) return entries.error();
        for (std::uint64_t page = first; page < std::min(end, first + TreeShape::kFanout); ++page) {
          pages.checksums.push_back(load_u64(*entries, page - first));
        }
      }
    }
  }
  return made;
}

void FirstUse::set_changed(SectionId section, std::uint64_t offset, std::uint64_t bytes) {
  if (bytes == 0) return;
  const Pages& pages = sections_[section_index(section)];
  const std::uint64_t end =
      std::min<std::uint64_t>((offset + bytes - 1) / kPageSize + 1, pages.checksums.size());
  for (std::uint64_t page = offset / kPageSize; page < end; ++page) pages.changed.set(page);
}

std::optional<Error> FirstUse::check_page(SectionId section, std::uint64_t page) const {
  const Pages& pages = sections_[section_index(section)];
  const std::uint64_t place = base_.file_offset(section, page * kPageSize);
  alignas(64) std::array<std::byte, kPageSize> bytes;
  if (auto read = file_.pread(bytes, place); !read) return read.error();
  const std::uint64_t computed = page_checksum(bytes.data());
  const std::uint64_t stored = pages.checksums[page];
  if (computed == stored) {
    pages.good.set(page);
    return std::nullopt;
  }
  // A page that a checkpoint has written since belongs to a later moment. Where the log has changed
  // it, memory has what is there; elsewhere the call sees that itself, and begins again.
  if (pages.changed.has(page) && is_superseded_()) return std::nullopt;
  return checksum_error(
      section_name(static_cast<std::uint16_t>(section)) + " page " + std::to_string(page), place,
      computed, stored);
}

}  // namespace cairn::format
