// SPDX-License-Identifier: Apache-2.0
//
// Whole files to start from, made by the library itself at start-up, so that the corpus holds only
// what is changed in them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "format/bytes/superblock.h"

namespace cairn::fuzz {

struct SeedFile {
  std::vector<std::byte> bytes;
  format::StaticHeader header;
  format::Superblock superblock;

  // The run of a section; nullptr if it has none.
  const format::Extent* run(format::SectionId id) const;
};

// Different metrics, traversals and sizes; the first is the most usual one, the last one is empty.
const std::vector<SeedFile>& seed_files();

}  // namespace cairn::fuzz
