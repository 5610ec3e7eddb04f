// SPDX-License-Identifier: Apache-2.0
//
// The decoders of static header, superblock and extent table. The input is a list of changes to a
// valid pair of blocks, whose checksums are then put right (or not); what the decoders let through
// must hold in arithmetic that cannot overflow, and encode to what was decoded.
#include <algorithm>
#include <array>
#include <cstring>
#include <span>
#include <vector>

#include "format/bytes/checksum.h"
#include "format/bytes/superblock.h"
#include "format/pages/checksum_tree.h"
#include "fuzz/input.h"

namespace cairn::fuzz {
namespace {

using format::Extent;
using format::StaticHeader;
using format::Superblock;

__extension__ typedef unsigned __int128 Wide;

struct Blocks {
  std::array<std::byte, StaticHeader::kEncodedSize> header;
  std::array<std::byte, Superblock::kEncodedSize> superblock;
  std::uint64_t real_size;
};

StaticHeader valid_header(Input& input) {
  StaticHeader header;
  header.uuid.fill(7);
  format::Parameters& parameters = header.parameters;
  parameters.dimensions = static_cast<std::uint32_t>(1 + input.below(300));
  parameters.metric = static_cast<Metric>(1 + input.below(3));
  parameters.scalar = Scalar::f32;
  parameters.traversal = input.u8() % 2 == 0 ? Traversal::code : Traversal::exact;
  parameters.m = static_cast<std::uint32_t>(2 + input.below(255));
  parameters.ef_construction = 200;
  parameters.seed = 42;
  format::derive_strides(parameters);
  return header;
}

// One run a section, one behind the other; those of 2 MiB or more are aligned.
Superblock valid_superblock(const StaticHeader& header, std::uint64_t slots) {
  Superblock superblock;
  superblock.uuid = header.uuid;
  format::Counters& counters = superblock.counters;
  counters.slots_used = slots;
  counters.live = slots;
  counters.upper_used = slots / 8;
  counters.hash_buckets = slots / 6 + 1;
  counters.overflow_used = slots / 60;
  counters.overflow_free = format::kNoNode;
  counters.entry_point = slots == 0 ? format::kNoNode : 0;
  counters.slot_free = format::kNoNode;
  counters.upper_free.fill(format::kNoNode);
  const std::array<std::uint64_t, format::kDataSectionCount> records = {
      slots, slots, slots, counters.upper_used, counters.hash_buckets, counters.overflow_used};
  std::uint64_t at = format::kFirstRunOffset;
  std::uint64_t trees = 0;
  const auto place = [&](std::uint16_t section, std::uint64_t bytes, std::uint64_t tree_offset) {
    const std::uint64_t length = format::round_up(bytes, format::kPageSize);
    if (length >= format::kHugePage) at = format::round_up(at, format::kHugePage);
    superblock.extents.push_back(Extent{section, 0, 0, length, at, tree_offset, 1});
    at += length;
    return length;
  };
  for (std::uint16_t section = 1; section <= format::kDataSectionCount; ++section) {
    const auto id = static_cast<format::SectionId>(section);
    const std::uint64_t bytes =
        records[section - 1u] * format::record_stride(header.parameters, id);
    if (bytes == 0) continue;
    const std::uint64_t length = place(section, bytes, trees);
    trees += format::TreeShape(length / format::kPageSize).bytes();
  }
  if (trees != 0) {
    place(static_cast<std::uint16_t>(format::SectionId::checksum), trees, 0);
    superblock.extents.back().root = 0;
  }
  superblock.file_size = at;
  return superblock;
}

// A change of one number: at one of the named fields, or anywhere.
void change(Input& input, Blocks& blocks) {
  const unsigned what = input.u8();
  const std::uint64_t value = input.u64();
  std::size_t at = input.u16();
  std::size_t width = std::size_t{1} << (what >> 3 & 3);
  std::span<std::byte> block = blocks.superblock;
  const auto field = [&](std::span<const format::NamedField> fields, std::size_t base) {
    const format::Field chosen = fields[at % fields.size()].field;
    at = base + chosen.offset;
    width = std::min(width, chosen.size);
  };
  switch (what % 8) {
    case 0: block = blocks.header; break;
    case 1: break;
    case 2:
      block = blocks.header;
      field(format::header_at::kFields, 0);
      break;
    case 3: field(format::superblock_at::kFields, 0); break;
    case 4: field(format::counters_at::kFields, format::superblock_at::kCounters.offset); break;
    case 5:
    case 6: {
      const std::size_t entry = at / 16 % 16;
      field(format::extent_at::kFields,
            format::superblock_at::kExtents.offset + entry * Extent::kEncodedSize);
      break;
    }
    case 7: blocks.real_size = what >> 5 == 0 ? value : blocks.real_size + value % 5000; return;
  }
  at %= block.size() - 8;
  std::uint64_t number = 0;
  std::memcpy(&number, block.data() + at, width);
  switch (what >> 5 & 3) {
    case 0: number = value; break;
    case 1: number += value; break;
    case 2: number ^= value; break;
    case 3: number = value * format::kPageSize; break;
  }
  std::memcpy(block.data() + at, &number, width);
}

void repair(std::span<std::byte> block, format::Field checksum) {
  format::hash128(block.first(checksum.offset)).store(block.data() + checksum.offset);
}

bool inside(Wide begin, Wide length, Wide end) { return begin + length <= end; }

bool disjoint(Wide a, Wide a_length, Wide b, Wide b_length) {
  return a + a_length <= b || b + b_length <= a;
}

std::uint64_t section_bytes(std::span<const Extent> extents, std::size_t section) {
  std::uint64_t bytes = 0;
  for (const Extent& extent : extents) bytes += extent.section == section ? extent.length : 0;
  return bytes;
}

std::uint64_t tree_bytes(const Extent& extent) {
  return format::TreeShape(extent.length / format::kPageSize).bytes();
}

constexpr auto kChecksumSection = static_cast<std::uint16_t>(format::SectionId::checksum);

void check_runs(const Superblock& superblock, std::span<const Extent> all) {
  const std::uint64_t trees = section_bytes(all, kChecksumSection);
  for (std::size_t i = 0; i < all.size(); ++i) {
    const Extent& run = all[i];
    require(run.length != 0 && run.length % format::kPageSize == 0, "whole pages");
    require(run.file_offset % format::kPageSize == 0, "runs begin on pages");
    require(run.file_offset >= format::kFirstRunOffset, "runs begin behind the blocks");
    require(inside(run.file_offset, run.length, superblock.file_size), "runs end in the file");
    require(run.length < format::kHugePage ||
                (run.file_offset - run.logical_offset) % format::kHugePage == 0,
            "large runs are aligned");
    const bool continues = i != 0 && all[i - 1].section == run.section;
    const std::uint64_t begin = continues ? all[i - 1].logical_offset + all[i - 1].length : 0;
    require(run.logical_offset == begin, "runs of a section follow each other");
    require(i == 0 || all[i - 1].section <= run.section, "runs are sorted");
    const bool has_tree = run.section != kChecksumSection;
    if (has_tree) {
      require(run.tree_offset % format::kPageSize == 0, "trees begin on pages");
      require(inside(run.tree_offset, tree_bytes(run), trees), "trees end in CHECKSUM");
    }
    for (const Extent& other : all.first(i)) {
      require(disjoint(run.file_offset, run.length, other.file_offset, other.length),
              "no two runs share a byte");
      require(!has_tree ||
                  disjoint(run.tree_offset, tree_bytes(run), other.tree_offset, tree_bytes(other)),
              "no two trees share a byte");
    }
  }
}

void check_counters(const StaticHeader& header, const Superblock& superblock,
                    std::span<const Extent> all) {
  const format::Counters& counters = superblock.counters;
  const std::array<std::uint64_t, format::kDataSectionCount> records = {
      counters.slots_used, counters.slots_used,   counters.slots_used,
      counters.upper_used, counters.hash_buckets, counters.overflow_used};
  for (std::size_t section = 1; section <= format::kDataSectionCount; ++section) {
    const auto id = static_cast<format::SectionId>(section);
    const std::uint64_t stride = format::record_stride(header.parameters, id);
    require(Wide{records[section - 1]} * stride <= section_bytes(all, section),
            "every record has its bytes");
  }
  const auto none_or_below = [](std::uint32_t number, std::uint64_t end) {
    return number == format::kNoNode || number < end;
  };
  require(counters.slots_used <= format::kMaxRecords && counters.upper_used <= format::kMaxRecords,
          "numbers of records fit into u32");
  require(Wide{counters.live} + counters.deleted <= counters.slots_used, "live and deleted");
  require(none_or_below(counters.entry_point, counters.slots_used), "entry_point");
  require(counters.entry_point != format::kNoNode || counters.live == 0, "entry_point of live");
  require(counters.max_level < format::kMaxLevels, "max_level");
  require(none_or_below(counters.slot_free, counters.slots_used), "slot_free");
  require(none_or_below(counters.overflow_free, counters.overflow_used), "overflow_free");
  require(counters.hash_buckets > 0 || counters.live == 0, "hash_buckets");
  for (const std::uint32_t first : counters.upper_free) {
    require(none_or_below(first, counters.upper_used), "upper_free");
  }
}

void decode(const Blocks& blocks) {
  const auto header = StaticHeader::decode(blocks.header);
  if (!header) return require(!header.error().message().empty(), "an error has a message");
  const format::Parameters& parameters = header->parameters;
  require(parameters.dimensions >= 1 && parameters.dimensions <= format::kMaxDimensions, "dims");
  require(parameters.m >= format::kMinM && parameters.m <= format::kMaxM, "m");
  format::Parameters derived = parameters;
  format::derive_strides(derived);
  require(derived == parameters, "strides follow from the other parameters");
  std::array<std::byte, StaticHeader::kEncodedSize> header_bytes;
  header->encode(header_bytes);
  const auto header_again = StaticHeader::decode(header_bytes);
  require(header_again && header_again->parameters == parameters &&
              header_again->uuid == header->uuid &&
              header_again->section_count == header->section_count,
          "a header can be encoded and decoded");

  const auto superblock = Superblock::decode(blocks.superblock, header->uuid);
  if (!superblock) return;
  const auto table = superblock->check(*header, blocks.real_size);
  if (!table) return require(!table.error().message().empty(), "an error has a message");
  require(superblock->generation >= 1, "generation");
  require((superblock->feature_incompat & ~format::kKnownIncompat) == 0,
          "no unknown incompatible feature");
  require(superblock->file_size <= blocks.real_size, "file_size");
  check_runs(*superblock, table->all());
  check_counters(*header, *superblock, table->all());

  std::array<std::byte, Superblock::kEncodedSize> bytes;
  superblock->encode(bytes);
  const auto again = Superblock::decode(bytes, header->uuid);
  require(again && again->counters == superblock->counters &&
              again->extents == superblock->extents && again->file_size == superblock->file_size &&
              again->generation == superblock->generation,
          "a superblock can be encoded and decoded");
}

}  // namespace
}  // namespace cairn::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace cairn::fuzz;
  Input input(data, size);
  const unsigned options = input.u8();
  const StaticHeader header = valid_header(input);
  const Superblock superblock = valid_superblock(header, input.u16());
  Blocks blocks{};
  header.encode(blocks.header);
  superblock.encode(blocks.superblock);
  blocks.real_size = superblock.file_size;
  require(StaticHeader::decode(blocks.header).has_value(), "the unchanged header is valid");
  const auto table = superblock.check(header, blocks.real_size);
  require(table.has_value(),
          "the unchanged superblock is valid:", table ? "" : table.error().message());
  while (!input.empty()) change(input, blocks);
  if ((options & 1) == 0) repair(blocks.header, cairn::format::header_at::kChecksum);
  if ((options & 2) == 0) repair(blocks.superblock, cairn::format::superblock_at::kChecksum);
  decode(blocks);
  return 0;
}
