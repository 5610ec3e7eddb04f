// SPDX-License-Identifier: Apache-2.0
//
// Whole Cairn files in memory: made by hand, taken apart, damaged, and made to look undamaged
// again.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <vector>

#include "format/bytes/superblock.h"
#include "format/container/container.h"

namespace cairn::test {

using Bytes = std::vector<std::byte>;

Bytes read_bytes(const std::filesystem::path& path);
void write_bytes(const std::filesystem::path& path, std::span<const std::byte> bytes);

// Parameters and counters of an index of `nodes` vectors, and sections of the lengths that they
// need, full of arbitrary bytes: enough for whatever does not look into the sections.
struct ToyIndex {
  format::Parameters parameters{};
  format::Counters counters{};
  std::array<Bytes, format::kDataSectionCount> sections;

  ToyIndex(std::uint32_t dimensions, std::uint64_t nodes, std::uint64_t seed = 1);
  format::Snapshot snapshot() const;
};

// The blocks of a file, decoded without judging them.
format::StaticHeader header_of(const Bytes& file);
format::Superblock superblock_of(const Bytes& file, std::size_t slot = 0);
void set_header(Bytes& file, const format::StaticHeader& header);
// Into both slots.
void set_superblock(Bytes& file, const format::Superblock& block);

// Recomputes the checksum of the static header, of a slot.
void repair_header(Bytes& file);
void repair_slot(Bytes& file, std::size_t slot);
// Recomputes the checksum trees of all runs, their roots, and the superblocks, which must be good
// but for that.
void repair_pages(Bytes& file);

// Where a byte of a section stands in the file.
std::size_t place_of(const Bytes& file, format::SectionId section, std::uint64_t offset);

// A file whose sections consist of many runs (REQUIRES: at most 240, trees included): each section
// is cut into pieces of the lengths in `pieces` (in pages, again from the beginning when they are
// used up), and the pieces of all sections alternate in the file.
Bytes many_run_file(const ToyIndex& index, const std::vector<std::uint64_t>& pieces);

}  // namespace cairn::test
