// SPDX-License-Identifier: Apache-2.0
//
// How many pages of checksums a run has, and where. docs/format.md, "Checksums".
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "engine/base/assert.h"
#include "format/bytes/limits.h"

namespace cairn::format {

// Where the levels of the tree of a run of `pages` pages stand. REQUIRES: 0 < pages < 2^51.
class TreeShape {
 public:
  static constexpr std::uint64_t kFanout = kPageSize / 8;  // entries in a page
  static constexpr std::size_t kMaxDepth = 6;              // 512^6 = 2^54 pages

  explicit TreeShape(std::uint64_t pages) {
    CAIRN_ASSERT(0 < pages && pages < std::uint64_t{1} << 51);
    do {
      pages = ceil_div(pages, kFanout);
      first_[depth_] = total_;
      pages_[depth_] = pages;
      total_ += pages;
      ++depth_;
    } while (pages > 1);
  }

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

}  // namespace cairn::format
