// SPDX-License-Identifier: Apache-2.0
//
// The pages of the sections that differ from the file: what the next checkpoint has to write.
// Costs O(1) a page that becomes dirty, and one bit a page of the sections.
//
// Thread-safety: all calls may be made from several threads.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <vector>

#include "format/bytes/sections.h"

namespace cairn::format {

struct DirtyPage {
  std::uint16_t section;
  std::uint64_t page;  // of the section
  friend bool operator==(const DirtyPage&, const DirtyPage&) = default;
  friend bool operator<(const DirtyPage& a, const DirtyPage& b) {
    return a.section != b.section ? a.section < b.section : a.page < b.page;
  }
};

class DirtyPages {
 public:
  // Room for marks up to page `pages` of a section.
  void extend(SectionId section, std::uint64_t pages);
  // REQUIRES: 0 < length, and extend() has been called for the last page.
  void mark(SectionId section, std::uint64_t offset, std::uint64_t length);
  void mark(const DirtyPage& page);
  // The first marked page of a section in [begin, end); `end` if there is none.
  std::uint64_t first_in(SectionId section, std::uint64_t begin, std::uint64_t end) const;
  std::uint64_t count() const;

  // All of them, in order; afterwards there are none.
  std::vector<DirtyPage> take();
  // Marks them again.
  void put_back(const std::vector<DirtyPage>& pages);

 private:
  bool is_marked(const DirtyPage& page) const;
  void mark_locked(const DirtyPage& page);

  mutable std::mutex mutex_;
  std::array<std::vector<std::uint64_t>, kDataSectionCount> bits_;  // guarded by mutex_
  std::vector<DirtyPage> pages_;                                    // guarded by mutex_
};

}  // namespace cairn::format
