// SPDX-License-Identifier: Apache-2.0
//
// What log frames say, done to sections in memory.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include <cairn/error.h>
#include <cairn/params.h>

#include "format/bytes/extent_table.h"
#include "format/bytes/log_frame.h"
#include "format/bytes/superblock.h"
#include "format/io/address_space.h"
#include "format/io/file.h"

namespace cairn::format {

// Puts a run where it belongs among the entries of a table.
void insert_extent(std::vector<Extent>& extents, const Extent& run);

class LogApplier {
 public:
  // Regions are writable and have room to grow. All references must outlive the applier; `block`,
  // `table` and `sections` change. `changed` is told which bytes did.
  LogApplier(const File& file, const StaticHeader& header, Superblock& block, ExtentTable& table,
             std::array<Region, kDataSectionCount>& sections, Residency residency,
             std::function<void(SectionId, std::uint64_t, std::uint64_t)> changed)
      : file_(file),
        header_(header),
        block_(block),
        table_(table),
        sections_(sections),
        residency_(residency),
        changed_(std::move(changed)) {}

  // All of the frame or, if it is nonsense (corrupt), nothing of it.
  Result<void> apply(std::uint64_t lsn, std::span<const Record> records);

 private:
  Result<void> add_runs(std::span<const Record> records);
  Result<void> check(const Record& record) const;
  Result<void> check_bytes(std::uint16_t section, const Patch& patch) const;
  void put(std::uint16_t section, const Patch& patch);
  void do_record(const Record& record);

  const File& file_;
  const StaticHeader& header_;
  Superblock& block_;
  ExtentTable& table_;
  std::array<Region, kDataSectionCount>& sections_;
  const Residency residency_;  // of runs that are added
  const std::function<void(SectionId, std::uint64_t, std::uint64_t)> changed_;
};

}  // namespace cairn::format
