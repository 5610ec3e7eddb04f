// SPDX-License-Identifier: Apache-2.0
#include "format/bytes/extent_table.h"

#include <algorithm>
#include <utility>

#include "engine/base/assert.h"
#include "format/bytes/limits.h"
#include "format/bytes/superblock_layout.h"
#include "format/bytes/tree_shape.h"

namespace cairn::format {
namespace {

Error bad_entry(std::size_t entry, const std::string& what) {
  return Error(ErrorCode::corrupt, "extent " + std::to_string(entry) + ": " + what);
}

// A stretch of some address space and the entry that claims it.
struct Claim {
  std::uint64_t begin;
  std::uint64_t end;
  std::size_t entry;
};

// corrupt if two claims overlap.
Result<void> check_disjoint(std::vector<Claim> claims, const char* what) {
  std::sort(claims.begin(), claims.end(),
            [](const Claim& a, const Claim& b) { return a.begin < b.begin; });
  for (std::size_t i = 1; i < claims.size(); ++i) {
    if (claims[i].begin < claims[i - 1].end) {
      return bad_entry(claims[i].entry,
                       std::string(what) + " at " + std::to_string(claims[i].begin) +
                           " overlaps that of extent " + std::to_string(claims[i - 1].entry) +
                           ", which ends at " + std::to_string(claims[i - 1].end));
    }
  }
  return {};
}

// One entry by itself.
Result<void> check_entry(const Extent& extent, std::size_t i, std::uint64_t file_size,
                         std::uint32_t sections) {
  if (extent.section == 0 || extent.section > sections) {
    return bad_entry(i, "section " + std::to_string(extent.section) + ", the file has 1 ... " +
                            std::to_string(sections));
  }
  if (extent.flags != 0) {
    return bad_entry(i, "flags " + std::to_string(extent.flags) + ", must be 0");
  }
  if (extent.length == 0 || extent.length % kPageSize != 0) {
    return bad_entry(
        i, "length " + std::to_string(extent.length) + ", must be a multiple of 4096 and not 0");
  }
  if (extent.file_offset < kFirstRunOffset || extent.file_offset % kPageSize != 0 ||
      !fits(extent.file_offset, extent.length, file_size)) {
    return bad_entry(i, "run of " + std::to_string(extent.length) + " bytes at " +
                            std::to_string(extent.file_offset) +
                            " is not whole pages between 262144 and the file's end at " +
                            std::to_string(file_size));
  }
  if (extent.length >= kHugePage && (extent.file_offset - extent.logical_offset) % kHugePage != 0) {
    return bad_entry(i, "run of 2 MiB or more at " + std::to_string(extent.file_offset) +
                            " does not agree with its logical offset " +
                            std::to_string(extent.logical_offset) + " modulo 2 MiB");
  }
  return {};
}

// Order and continuity of the sections.
Result<void> check_order(const std::vector<Extent>& entries) {
  for (std::size_t i = 0; i < entries.size(); ++i) {
    const bool first = i == 0 || entries[i - 1].section != entries[i].section;
    if (first && i > 0 && entries[i].section < entries[i - 1].section) {
      return bad_entry(i, "section " + std::to_string(entries[i].section) + " after section " +
                              std::to_string(entries[i - 1].section));
    }
    // The sum cannot overflow: earlier entries are sums of disjoint stretches of one file, or fail
    // below.
    const std::uint64_t expected =
        first ? 0 : entries[i - 1].logical_offset + entries[i - 1].length;
    if (entries[i].logical_offset != expected) {
      return bad_entry(i, "logical offset " + std::to_string(entries[i].logical_offset) +
                              ", the section goes on at " + std::to_string(expected));
    }
  }
  return {};
}

Result<void> check_trees(const std::vector<Extent>& entries, std::uint64_t checksum_bytes) {
  std::vector<Claim> claims;
  for (std::size_t i = 0; i < entries.size(); ++i) {
    const Extent& extent = entries[i];
    if (extent.section == kChecksumId) {
      if (extent.tree_offset != 0 || extent.root != 0) {
        return bad_entry(i, "a run of CHECKSUM has a checksum tree");
      }
      continue;
    }
    const std::uint64_t length = TreeShape(extent.length / kPageSize).bytes();
    if (extent.tree_offset % kPageSize != 0 || !fits(extent.tree_offset, length, checksum_bytes)) {
      return bad_entry(i, "checksum tree of " + std::to_string(length) + " bytes at " +
                              std::to_string(extent.tree_offset) + " is not whole pages in the " +
                              std::to_string(checksum_bytes) + " bytes of CHECKSUM");
    }
    claims.push_back({extent.tree_offset, extent.tree_offset + length, i});
  }
  return check_disjoint(std::move(claims), "checksum tree");
}

}  // namespace

Result<ExtentTable> ExtentTable::check(std::vector<Extent> entries, std::uint64_t file_size,
                                       std::uint32_t sections) {
  std::vector<Claim> claims;
  for (std::size_t i = 0; i < entries.size(); ++i) {
    if (auto ok = check_entry(entries[i], i, file_size, sections); !ok) return ok.error();
    claims.push_back({entries[i].file_offset, entries[i].file_offset + entries[i].length, i});
  }
  if (auto ok = check_disjoint(std::move(claims), "run"); !ok) return ok.error();
  if (auto ok = check_order(entries); !ok) return ok.error();
  ExtentTable table(std::move(entries));
  if (auto ok = check_trees(table.entries_, table.section_bytes(SectionId::checksum)); !ok) {
    return ok.error();
  }
  return table;
}

std::span<const Extent> ExtentTable::section(std::uint16_t id) const {
  const auto less = [](const Extent& extent, std::uint16_t wanted) {
    return extent.section < wanted;
  };
  const auto begin = std::lower_bound(entries_.begin(), entries_.end(), id, less);
  const auto end = std::find_if(begin, entries_.end(),
                                [&](const Extent& extent) { return extent.section != id; });
  return {begin, end};
}

std::uint64_t ExtentTable::section_bytes(SectionId id) const {
  const auto runs = section(id);
  return runs.empty() ? 0 : runs.back().logical_offset + runs.back().length;
}

std::uint64_t ExtentTable::file_offset(SectionId id, std::uint64_t logical) const {
  const auto runs = section(id);
  const auto behind = std::upper_bound(
      runs.begin(), runs.end(), logical,
      [](std::uint64_t at, const Extent& extent) { return at < extent.logical_offset; });
  CAIRN_ASSERT(behind != runs.begin());
  const Extent& run = *(behind - 1);
  CAIRN_ASSERT(logical - run.logical_offset < run.length);
  return run.file_offset + (logical - run.logical_offset);
}

std::string section_name(std::uint16_t id) {
  static constexpr const char* kNames[] = {"HOT",  "EXACT",    "KEY",     "UPPER",
                                           "HASH", "OVERFLOW", "CHECKSUM"};
  if (id >= 1 && id <= std::size(kNames)) return kNames[id - 1];
  return "section " + std::to_string(id);
}

}  // namespace cairn::format
