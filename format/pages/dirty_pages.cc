// SPDX-License-Identifier: Apache-2.0
#include "format/pages/dirty_pages.h"

#include <algorithm>
#include <bit>
#include <utility>

#include "engine/base/assert.h"
#include "format/bytes/coding.h"
#include "format/bytes/limits.h"

namespace cairn::format {

void DirtyPages::extend(SectionId section, std::uint64_t pages) {
  const std::lock_guard lock(mutex_);
  auto& bits = bits_[section_index(section)];
  if (bits.size() * 64 < pages) bits.resize(ceil_div(pages, 64));
}

bool DirtyPages::is_marked(const DirtyPage& page) const {
  return (bits_[page.section - 1u][page.page / 64] >> (page.page % 64) & 1) != 0;
}

void DirtyPages::mark_locked(const DirtyPage& page) {
  CAIRN_ASSERT(page.page / 64 < bits_[page.section - 1u].size());
  if (is_marked(page)) return;
  pages_.push_back(page);
  bits_[page.section - 1u][page.page / 64] |= std::uint64_t{1} << (page.page % 64);
}

void DirtyPages::mark(const DirtyPage& page) {
  const std::lock_guard lock(mutex_);
  mark_locked(page);
}

void DirtyPages::mark(SectionId section, std::uint64_t offset, std::uint64_t length) {
  CAIRN_ASSERT(length > 0);
  const std::lock_guard lock(mutex_);
  const std::uint64_t last = (offset + length - 1) / kPageSize;
  for (std::uint64_t page = offset / kPageSize; page <= last; ++page) {
    mark_locked({static_cast<std::uint16_t>(section), page});
  }
}

std::uint64_t DirtyPages::first_in(SectionId section, std::uint64_t begin,
                                   std::uint64_t end) const {
  const std::lock_guard lock(mutex_);
  const auto& bits = bits_[section_index(section)];
  for (std::uint64_t at = begin; at < end && at / 64 < bits.size(); at = (at / 64 + 1) * 64) {
    const std::uint64_t rest = bits[at / 64] >> (at % 64);
    if (rest != 0) return std::min(end, at + static_cast<std::uint64_t>(std::countr_zero(rest)));
  }
  return end;
}

std::uint64_t DirtyPages::count() const {
  const std::lock_guard lock(mutex_);
  return pages_.size();
}

std::vector<DirtyPage> DirtyPages::take() {
  const std::lock_guard lock(mutex_);
  std::vector<DirtyPage> taken = std::exchange(pages_, {});
  for (const DirtyPage& page : taken) {
    bits_[page.section - 1u][page.page / 64] &= ~(std::uint64_t{1} << (page.page % 64));
  }
  std::sort(taken.begin(), taken.end());
  return taken;
}

void DirtyPages::put_back(const std::vector<DirtyPage>& pages) {
  const std::lock_guard lock(mutex_);
  for (const DirtyPage& page : pages) mark_locked(page);
}

}  // namespace cairn::format
