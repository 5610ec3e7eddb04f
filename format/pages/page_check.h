// SPDX-License-Identifier: Apache-2.0
//
// Reading pages and comparing them with their checksums, by several threads. A unit of work is what
// one page of level 1 of a checksum tree covers: up to 512 pages, 2 MiB.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include <cairn/error.h>

#include "format/bytes/extent_table.h"
#include "format/io/file.h"
#include "format/io/stop.h"
#include "format/pages/checksum_tree.h"

namespace cairn::format {

struct PageUnit {
  std::uint64_t number;      // of all units of the file
  std::size_t extent;        // index in the table
  std::uint64_t first_page;  // in the run
  std::size_t pages;         // 1 ... 512
};

// All units of the runs that have a checksum tree, numbered in table order.
class PageUnits {
 public:
  explicit PageUnits(const ExtentTable& table);

  std::uint64_t count() const { return ends_.empty() ? 0 : ends_.back(); }
  PageUnit unit(std::uint64_t number) const;
  // Pages of data, and of the trees that cover them.
  std::uint64_t data_pages() const { return data_pages_; }
  std::uint64_t tree_pages() const { return tree_pages_; }

 private:
  const ExtentTable& table_;
  std::vector<std::uint64_t> ends_;  // by extent: units up to and with its own
  std::uint64_t data_pages_ = 0;
  std::uint64_t tree_pages_ = 0;
};

// What a thread needs to check units of one file. Thread-safety: none; use one a thread.
class PageChecker {
 public:
  PageChecker(const File& file, const ExtentTable& table) : file_(file), table_(table) {}

  TreeReader& tree(std::size_t extent);

  // Fills `out`, unit.pages pages, from the file.
  Result<void> read(const PageUnit& unit, std::byte* out) const;

  // Whether the unit lies in a hole of the file: its pages are zeros that need not be read.
  bool is_hole(const PageUnit& unit) const;

  // Compares pages, or zeros if it is null, with `checksums`, the unit's page of level 1; calls
  // bad(error) for each that differs.
  void compare(const PageUnit& unit, const std::byte* pages, const std::byte* checksums,
               const std::function<void(Error)>& bad) const;

 private:
  const File& file_;
  const ExtentTable& table_;
  std::size_t extent_ = SIZE_MAX;
  std::optional<TreeReader> tree_;
};

// Calls work(number) for 0 ... count - 1 from up to `threads` threads (0: one a core), each with a
// callable of its own that make() gives. The first error, or `cancelled` when *stop becomes true,
// ends it. out_of_memory if a callable throws std::bad_alloc.
using UnitWork = std::function<Result<void>(std::uint64_t number)>;
Result<void> for_each_unit(std::uint64_t count, unsigned threads, StopFlag stop,
                           const std::function<UnitWork()>& make);

}  // namespace cairn::format
