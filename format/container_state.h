// SPDX-License-Identifier: Apache-2.0
//
// What an open Container consists of. Private to container*.cc.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <utility>

#include "format/address_space.h"
#include "format/container.h"
#include "format/extent_table.h"
#include "format/file.h"
#include "format/superblock.h"

namespace cairn::format {

struct Container::State {
  explicit State(File opened) : file(std::move(opened)) {}

  File file;
  StaticHeader header;
  Superblock block;
  ExtentTable table;
  std::array<Region, kDataSectionCount> sections;
  std::uint64_t bytes_read = 0;
};

// One superblock slot: how many bytes of it there are, and the block or why it is not valid.
struct SlotOutcome {
  Result<std::size_t> read;
  Result<Superblock> block;
};
SlotOutcome read_slot(const File& file, std::size_t slot, const Uuid& uuid);

}  // namespace cairn::format
