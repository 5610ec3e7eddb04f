// SPDX-License-Identifier: Apache-2.0
//
// Brings checksum trees up to date with pages that change, at a cost that is proportional to their
// number: only the pages of a tree that cover them are read and made anew.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <vector>

#include <cairn/error.h>

#include "format/bytes/extent_table.h"
#include "format/io/file.h"
#include "format/pages/checksum_tree.h"

namespace cairn::format {

// A page of a section that is about to be written over what the file holds.
struct NewPage {
  std::size_t extent;      // index in the table
  std::uint64_t page;      // of the run
  std::uint64_t checksum;  // page_checksum() of the new bytes
};

struct TreeUpdate {
  // New bytes of tree pages, by file offset.
  std::map<std::uint64_t, std::vector<std::byte>> pages;
  // (extent, new root)
  std::vector<std::pair<std::size_t, std::uint64_t>> roots;
};

// `pages` is sorted by extent, then page. The page that each replaces is compared with the checksum
// that the tree has for it, so that damage of the file does not get a new, right checksum: corrupt.
Result<TreeUpdate> update_trees(const File& file, const ExtentTable& table,
                                const std::vector<NewPage>& pages);

}  // namespace cairn::format
