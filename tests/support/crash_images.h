// SPDX-License-Identifier: Apache-2.0
//
// What a disk may hold after a crash. The model: what was synced is there; of what was not, any
// part may be there, in any order. Writes are torn into sectors of 512 bytes, each of which is old,
// new or garbage; a name may have been made, moved and removed or not, a rename being atomic; what
// a file grew by may hold garbage where nothing was written, even if something behind it is
// durable. A write that is durable when it returns is torn while it lasts. What was lost (see
// DiskFault) never gets there by itself, or by sectors.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <vector>

#include "tests/support/recording_file_system.h"

namespace cairn::test {

// What stands on the disk: the names that exist, and their files' bytes.
using DiskImage = std::map<std::filesystem::path, std::vector<std::byte>>;

struct CrashOptions {
  std::uint64_t seed = 1;
  std::size_t random_subsets = 16;  // of torn sectors, at each crash point
  std::size_t first = 0;            // operations before the first crash
  bool lost_sectors = false;        // of what was lost, some sectors are there
};

// Calls visit(n, image) for images of a crash after the first n operations, for every n from 0:
// nothing unsynced, everything, everything but one operation, one operation alone, every prefix,
// and random subsets of sectors. Returns how many images that were.
std::size_t for_each_crash_image(const DiskImage& before,
                                 const std::vector<DiskOperation>& operations,
                                 const CrashOptions& options,
                                 const std::function<void(std::size_t, const DiskImage&)>& visit);

// One image of a crash after all operations: what was not synced is torn by `seed`; 0: it is all
// there, as after the end of the process alone.
DiskImage crash_image(const DiskImage& before, const std::vector<DiskOperation>& operations,
                      std::uint64_t seed);

}  // namespace cairn::test
