// SPDX-License-Identifier: Apache-2.0
//
// Pages of a mapped file that are checked when they are first used. They are read by pread, not
// through the mapping, and compared with the checksums of the last checkpoint, which were read when
// the file was opened: 8 bytes and 2 bits a page.
//
// Thread-safety: check() from any number of threads, without locks; several may check one page at
// once. Nothing else beside it.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include <cairn/error.h>

#include "format/bytes/extent_table.h"
#include "format/bytes/limits.h"
#include "format/bytes/sections.h"
#include "format/io/file.h"
#include "format/io/stop.h"

namespace cairn::format {

class FirstUse {
 public:
  // Reads the checksum trees of `base`. `is_superseded` tells whether a superblock has been written
  // since; what it asks, and `file`, must outlive this. corrupt: a page of a tree.
  static Result<std::unique_ptr<FirstUse>> make(const File& file, const ExtentTable& base,
                                                std::function<bool()> is_superseded, StopFlag stop);

  // What the log has changed in memory: a writer may put the same into the file's page.
  void set_changed(SectionId section, std::uint64_t offset, std::uint64_t bytes);

  // Nothing if the pages that these bytes are in are what their checksums say, or have none: those
  // of runs that the log has added. A page is read once as long as it is good.
  std::optional<Error> check(SectionId section, std::uint64_t offset, std::uint64_t bytes) const {
    if (bytes == 0) return std::nullopt;
    const Pages& pages = sections_[section_index(section)];
    const std::uint64_t last = (offset + bytes - 1) / kPageSize;
    for (std::uint64_t page = offset / kPageSize; page <= last; ++page) {
      if (page >= pages.checksums.size() || pages.good.has(page)) continue;
      if (auto bad = check_page(section, page)) return bad;
    }
    return std::nullopt;
  }

 private:
  class Bits {
   public:
    void resize(std::uint64_t bits) {
      words_ = std::make_unique<std::atomic<std::uint64_t>[]>(bits / 64 + 1);
    }
    // Relaxed: a bit says something of bytes in the file, and nothing of memory.
    bool has(std::uint64_t bit) const {
      return (words_[bit / 64].load(std::memory_order_relaxed) >> (bit % 64) & 1) != 0;
    }
    void set(std::uint64_t bit) const {
      words_[bit / 64].fetch_or(std::uint64_t{1} << (bit % 64), std::memory_order_relaxed);
    }

   private:
    std::unique_ptr<std::atomic<std::uint64_t>[]> words_;
  };
  // Of one section, by page.
  struct Pages {
    std::vector<std::uint64_t> checksums;
    Bits good;
    Bits changed;
  };

  FirstUse(const File& file, const ExtentTable& base, std::function<bool()> is_superseded);
  std::optional<Error> check_page(SectionId section, std::uint64_t page) const;

  const File& file_;
  const ExtentTable base_;
  const std::function<bool()> is_superseded_;
  std::array<Pages, kDataSectionCount> sections_;
};

}  // namespace cairn::format
