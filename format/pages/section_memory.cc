// SPDX-License-Identifier: Apache-2.0
#include "format/pages/section_memory.h"

#include <unistd.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <utility>

#include "format/bytes/limits.h"
#include "format/bytes/sections.h"
#include "format/bytes/superblock_layout.h"
#include "format/pages/page_check.h"

namespace cairn::format {
namespace {

std::uint64_t physical_memory() {
  const auto pages = ::sysconf(_SC_PHYS_PAGES);
  const auto page = ::sysconf(_SC_PAGESIZE);
  return pages < 0 || page < 0
             ? 0
             : static_cast<std::uint64_t>(pages) * static_cast<std::uint64_t>(page);
}

Result<Region> reserve_for(const ExtentTable& table, SectionId id, const Reservation& reservation) {
  const std::uint64_t bytes =
      std::max(table.section_bytes(id), reservation.at_least[section_index(id)]);
  auto region = reservation.grows ? Region::reserve_growing(bytes)
                : bytes == 0      ? Result<Region>(Region())
                                  : Region::reserve(bytes, bytes);
  if (region) return region;
  return region.error().with_context("section " + section_name(static_cast<std::uint16_t>(id)));
}

// Reads and checks one unit straight into the memory of its section.
Result<void> load_unit(const ExtentTable& table, std::array<Region, kDataSectionCount>& sections,
                       PageChecker& checker, const PageUnit& unit) {
  const Extent& extent = table.all()[unit.extent];
  if (extent.section > kDataSectionCount) return {};
  const auto checksums = checker.tree(unit.extent).page(0, unit.first_page / TreeShape::kFanout);
  if (!checksums) return checksums.error();
  std::byte* const memory =
      sections[extent.section - 1u].data() + extent.logical_offset + unit.first_page * kPageSize;
  if (auto ok = checker.read(unit, memory); !ok) return ok;
  std::optional<Error> first;
  checker.compare(unit, memory, *checksums, [&](Error error) {
    if (!first) first = std::move(error);
  });
  if (first) return *first;
  return {};
}

}  // namespace

Result<void> map_sections(const File& file, const ExtentTable& table,
                          std::array<Region, kDataSectionCount>& sections, bool writable,
                          const Reservation& reservation) {
  std::uint64_t mapped_bytes = 0;
  for (std::size_t i = 0; i < kDataSectionCount; ++i) {
    const auto id = static_cast<SectionId>(i + 1);
    auto region = reserve_for(table, id, reservation);
    if (!region) return region.error();
    for (const Extent& run : table.section(id)) {
      auto mapped = region->append_file(file, run.file_offset, static_cast<std::size_t>(run.length),
                                        writable);
      if (!mapped) return mapped;
    }
    // Searches read all over HOT, which comes first, and EXACT: docs/decisions/0012.
    mapped_bytes += region->size();
    if (mapped_bytes <= physical_memory() / 2) region->advise_huge();
    sections[i] = std::move(*region);
  }
  return {};
}

Result<void> load_sections(const File& file, const ExtentTable& table,
                           std::array<Region, kDataSectionCount>& sections,
                           const Reservation& reservation, StopFlag stop) {
  for (std::size_t i = 0; i < kDataSectionCount; ++i) {
    const auto id = static_cast<SectionId>(i + 1);
    const std::uint64_t bytes = table.section_bytes(id);
    auto region = reserve_for(table, id, reservation);
    if (!region) return region.error();
    if (auto ok = region->append_anonymous(static_cast<std::size_t>(bytes)); !ok) return ok;
    sections[i] = std::move(*region);
  }
  const PageUnits units(table);
  return for_each_unit(units.count(), 0, stop, [&]() -> UnitWork {
    auto checker = std::make_shared<PageChecker>(file, table);
    return [&table, &sections, &units, checker](std::uint64_t number) {
      return load_unit(table, sections, *checker, units.unit(number));
    };
  });
}

Result<void> append_run(const File& file, const Extent& run, Residency residency, Region& section) {
  const auto length = static_cast<std::size_t>(run.length);
  if (residency == Residency::load) return section.append_anonymous(length);
  return section.append_file(file, run.file_offset, length, true);
}

}  // namespace cairn::format
