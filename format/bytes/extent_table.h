// SPDX-License-Identifier: Apache-2.0
//
// The runs of pages that the sections consist of. docs/format.md, "Runs".
//
// Invariants, which check() establishes for entries from a file: sorted by section and logical
// offset; each section without gaps from 0; whole pages; inside the file, disjoint; large runs
// aligned to huge pages; checksum trees inside CHECKSUM, disjoint. So all arithmetic on them is
// free of overflow.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include <cairn/error.h>

#include "format/bytes/sections.h"
#include "format/bytes/superblock_layout.h"

namespace cairn::format {

class ExtentTable {
 public:
  ExtentTable() = default;

  // corrupt, with a message that names the entry. `sections` is the number of sections of the file.
  static Result<ExtentTable> check(std::vector<Extent> entries, std::uint64_t file_size,
                                   std::uint32_t sections);

  std::span<const Extent> all() const { return entries_; }
  // The runs of one section, by logical offset.
  std::span<const Extent> section(std::uint16_t id) const;
  std::span<const Extent> section(SectionId id) const {
    return section(static_cast<std::uint16_t>(id));
  }
  std::uint64_t section_bytes(SectionId id) const;

  // Where byte `logical` of a section stands in the file. REQUIRES: it is in the section.
  std::uint64_t file_offset(SectionId id, std::uint64_t logical) const;

 private:
  explicit ExtentTable(std::vector<Extent> entries) : entries_(std::move(entries)) {}

  std::vector<Extent> entries_;
};

// "HOT", "EXACT", ...; "section 9" for one that this version does not know.
std::string section_name(std::uint16_t id);

}  // namespace cairn::format
