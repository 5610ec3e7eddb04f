// SPDX-License-Identifier: Apache-2.0
#include "tests/support/file_image.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <random>

#include "format/bytes/checksum.h"
#include "format/bytes/header_layout.h"
#include "format/bytes/limits.h"
#include "format/bytes/parameters.h"
#include "format/bytes/sections.h"
#include "format/bytes/superblock_layout.h"
#include "format/pages/checksum_tree.h"

namespace cairn::test {
namespace {

using namespace format;

template <std::size_t kSize>
std::span<std::byte, kSize> piece(Bytes& file, std::uint64_t offset) {
  return std::span<std::byte, kSize>(file.data() + offset, kSize);
}

Bytes random_bytes(std::size_t size, std::mt19937_64& random) {
  Bytes bytes(size);
  for (std::byte& byte : bytes) byte = static_cast<std::byte>(random());
  return bytes;
}

// The tree of a run, from the pages in the file.
BuiltTree tree_of(const Bytes& file, const Extent& run) {
  std::vector<std::uint64_t> checksums;
  for (std::uint64_t at = 0; at < run.length; at += kPageSize) {
    checksums.push_back(page_checksum(file.data() + run.file_offset + at));
  }
  return build_tree(checksums);
}

bool is_checksum(const Extent& run) {
  return run.section == static_cast<std::uint16_t>(SectionId::checksum);
}

}  // namespace

Bytes read_bytes(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  if (!in) std::abort();
  Bytes bytes(std::filesystem::file_size(path));
  in.read(reinterpret_cast<char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
  if (!in) std::abort();
  return bytes;
}

void write_bytes(const std::filesystem::path& path, std::span<const std::byte> bytes) {
  std::ofstream out(path, std::ios::binary | std::ios::trunc);
  out.write(reinterpret_cast<const char*>(bytes.data()),
            static_cast<std::streamsize>(bytes.size()));
  if (!out.flush()) std::abort();
}

ToyIndex::ToyIndex(std::uint32_t dimensions, std::uint64_t nodes, std::uint64_t seed) {
  std::mt19937_64 random(seed);
  parameters.dimensions = dimensions;
  parameters.metric = Metric::l2sq;
  parameters.scalar = Scalar::f32;
  parameters.traversal = Traversal::code;
  parameters.m = 16;
  parameters.ef_construction = 200;
  parameters.seed = seed;
  derive_strides(parameters);
  counters.slots_used = nodes;
  counters.live = nodes;
  counters.upper_used = nodes / 4;
  counters.hash_buckets = nodes == 0 ? 0 : nodes / 8 + 1;
  counters.overflow_used = nodes / 16;
  counters.overflow_free = kNoNode;
  counters.entry_point = nodes == 0 ? kNoNode : 0;
  counters.slot_free = kNoNode;
  counters.upper_free.fill(kNoNode);
  const std::array<std::uint64_t, kDataSectionCount> records = {
      nodes, nodes, nodes, counters.upper_used, counters.hash_buckets, counters.overflow_used};
  for (std::size_t i = 0; i < kDataSectionCount; ++i) {
    sections[i] =
        random_bytes(records[i] * record_stride(parameters, static_cast<SectionId>(i + 1)), random);
  }
}

Snapshot ToyIndex::snapshot() const {
  Snapshot snapshot{parameters, {}, counters, {}};
  for (std::size_t i = 0; i < kDataSectionCount; ++i) snapshot.sections[i] = sections[i];
  return snapshot;
}

StaticHeader header_of(const Bytes& file) {
  auto header = StaticHeader::decode(std::span<const std::byte, StaticHeader::kEncodedSize>(
      file.data(), StaticHeader::kEncodedSize));
  if (!header) std::abort();
  return *header;
}

Superblock superblock_of(const Bytes& file, std::size_t slot) {
  auto block =
      Superblock::decode(std::span<const std::byte, Superblock::kEncodedSize>(
                             file.data() + kSuperblockOffsets[slot], Superblock::kEncodedSize),
                         header_of(file).uuid);
  if (!block) std::abort();
  return *block;
}

void set_header(Bytes& file, const StaticHeader& header) {
  header.encode(piece<StaticHeader::kEncodedSize>(file, kHeaderOffset));
}

void set_superblock(Bytes& file, const Superblock& block) {
  for (const std::uint64_t offset : kSuperblockOffsets) {
    block.encode(piece<Superblock::kEncodedSize>(file, offset));
  }
}

void repair_header(Bytes& file) {
  hash128(std::span(file).first(header_at::kChecksum.offset))
      .store(file.data() + header_at::kChecksum.offset);
}

void repair_slot(Bytes& file, std::size_t slot) {
  const auto block = std::span(file).subspan(kSuperblockOffsets[slot]);
  hash128(block.first(superblock_at::kChecksum.offset))
      .store(block.data() + superblock_at::kChecksum.offset);
}

void repair_pages(Bytes& file) {
  Superblock block = superblock_of(file);
  const auto table = ExtentTable::check(block.extents, file.size(), kSectionCount);
  if (!table) std::abort();
  for (Extent& run : block.extents) {
    if (is_checksum(run)) continue;
    const BuiltTree tree = tree_of(file, run);
    for (std::size_t at = 0; at < tree.bytes.size(); at += kPageSize) {
      std::memcpy(file.data() + table->file_offset(SectionId::checksum, run.tree_offset + at),
                  tree.bytes.data() + at, kPageSize);
    }
    run.root = tree.root;
  }
  set_superblock(file, block);
}

std::size_t place_of(const Bytes& file, SectionId section, std::uint64_t offset) {
  const auto table =
      ExtentTable::check(superblock_of(file).extents, file.size(), header_of(file).section_count);
  if (!table || offset >= table->section_bytes(section)) std::abort();
  return table->file_offset(section, offset);
}

Bytes many_run_file(const ToyIndex& index, const std::vector<std::uint64_t>& pieces) {
  StaticHeader header;
  header.parameters = index.parameters;
  Superblock block;
  block.counters = index.counters;
  std::uint64_t tree_bytes = 0;
  for (std::size_t i = 0; i < kDataSectionCount; ++i) {
    const std::uint64_t length = round_up(index.sections[i].size(), kPageSize);
    std::size_t next = 0;
    for (std::uint64_t at = 0; at < length;) {
      const std::uint64_t size = std::min(pieces[next++ % pieces.size()] * kPageSize, length - at);
      block.extents.push_back({static_cast<std::uint16_t>(i + 1), 0, at, size, 0, tree_bytes, 0});
      tree_bytes += TreeShape(size / kPageSize).bytes();
      at += size;
    }
  }
  constexpr auto kChecksumId = static_cast<std::uint16_t>(SectionId::checksum);
  for (std::uint64_t at = 0; at < tree_bytes; at += kPageSize) {
    block.extents.push_back({kChecksumId, 0, at, kPageSize, 0, 0, 0});
  }
  if (block.extents.size() > kMaxExtents) std::abort();

  // First pieces of all sections, then second ones, ...
  std::vector<Extent*> order;
  for (Extent& run : block.extents) order.push_back(&run);
  std::stable_sort(order.begin(), order.end(), [](const Extent* a, const Extent* b) {
    return a->logical_offset < b->logical_offset;
  });
  std::uint64_t end = kFirstRunOffset;
  for (Extent* const run : order) {
    if (run->length >= kHugePage) end += (run->logical_offset - end) % kHugePage;
    run->file_offset = end;
    end += run->length;
  }
  block.file_size = end;

  Bytes file(end);
  for (const Extent& run : block.extents) {
    if (is_checksum(run)) continue;
    const Bytes& section = index.sections[run.section - 1u];
    const std::uint64_t size =
        std::min<std::uint64_t>(run.length, section.size() - run.logical_offset);
    std::memcpy(file.data() + run.file_offset, section.data() + run.logical_offset, size);
  }
  header.uuid = content_uuid(header, block);
  block.uuid = header.uuid;
  set_header(file, header);
  set_superblock(file, block);
  repair_pages(file);
  return file;
}

}  // namespace cairn::test
