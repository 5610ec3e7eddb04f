// SPDX-License-Identifier: Apache-2.0
//
// Sections in memory: their runs one behind the other, mapped from the file or read from it.
#pragma once

#include <array>
#include <cstdint>

#include <cairn/error.h>
#include <cairn/params.h>

#include "format/bytes/extent_table.h"
#include "format/bytes/sections.h"
#include "format/io/address_space.h"
#include "format/io/file.h"
#include "format/io/stop.h"

namespace cairn::format {

// What sections get besides the addresses that their runs need.
struct Reservation {
  SectionAddresses at_least{};
  bool grows = false;  // runs may follow; a section that does not grow may need no addresses at all
};

// Residency::map.
Result<void> map_sections(const File& file, const ExtentTable& table,
                          std::array<Region, kDataSectionCount>& sections, bool writable,
                          const Reservation& reservation);

// Residency::load: memory of the process, on huge pages where the system has them, and every page
// of the runs checked. Uses all processors. corrupt, truncated, cancelled.
Result<void> load_sections(const File& file, const ExtentTable& table,
                           std::array<Region, kDataSectionCount>& sections,
                           const Reservation& reservation, StopFlag stop);

// A run that the file has grown by, behind what its section has.
Result<void> append_run(const File& file, const Extent& run, Residency residency, Region& section);

}  // namespace cairn::format
