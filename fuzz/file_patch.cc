// SPDX-License-Identifier: Apache-2.0
#include "fuzz/file_patch.h"

#include <algorithm>
#include <cstring>
#include <span>

#include "format/bytes/checksum.h"
#include "format/bytes/header_layout.h"
#include "format/bytes/limits.h"
#include "format/bytes/named_field.h"
#include "format/bytes/parameters.h"
#include "format/bytes/record_layout.h"
#include "format/bytes/superblock_layout.h"
#include "format/pages/checksum_tree.h"
#include "fuzz/input.h"

namespace cairn::fuzz {
namespace {

using format::Extent;
using format::SectionId;

struct Change {
  Place place;
  std::uint8_t
      operation;  // bits 0 - 1: log2 of the width; 2 - 3: set, add, xor, set to value pages
  std::uint16_t a;
  std::uint32_t b;
  std::uint64_t value;
};

Change read_change(Input& input) {
  Change change{};
  change.place = static_cast<Place>(input.u8() % static_cast<unsigned>(Place::count));
  change.operation = input.u8();
  change.a = input.u16();
  change.b = input.u32();
  change.value = input.u64();
  return change;
}

// A number of the file that a change changes.
class Patcher {
 public:
  Patcher(const SeedFile& seed, std::vector<std::byte>& image) : seed_(seed), image_(image) {}

  void apply(const Change& change) {
    switch (change.place) {
      case Place::header: return put(change, change.a % format::header_at::kSize);
      case Place::both_slots: return put_slots(change, change.a % format::superblock_at::kSize);
      case Place::one_slot:
        return put(change, format::kSuperblockOffsets[change.b % 2] +
                               change.a % format::superblock_at::kSize);
      case Place::header_field: return put(change, field(change, format::header_at::kFields));
      case Place::slot_field:
        return put_slots(change, field(change, format::superblock_at::kFields));
      case Place::counter:
        return put_slots(change, format::superblock_at::kCounters.offset +
                                     field(change, format::counters_at::kFields));
      case Place::extent:
        return put_slots(change, format::superblock_at::kExtents.offset +
                                     change.b % 8 * Extent::kEncodedSize +
                                     field(change, format::extent_at::kFields));
      case Place::section:
        return put_record(change, static_cast<SectionId>(change.a % format::kSectionCount + 1), 1,
                          change.b);
      case Place::node: {
        const format::Parameters& parameters = seed_.header.parameters;
        const std::size_t words = (parameters.hot_stride - parameters.hot_factor_offset) / 4;
        return put_record(change, SectionId::hot, parameters.hot_stride, change.b,
                          parameters.hot_factor_offset + change.a % words * 4);
      }
      case Place::upper: {
        const std::size_t stride = seed_.header.parameters.upper_stride;
        return put_record(change, SectionId::upper, stride, change.b, change.a % (stride / 2) * 2);
      }
      case Place::bucket: return put_bucket(change);
      case Place::vector: {
        const format::Parameters& parameters = seed_.header.parameters;
        const std::size_t at = change.a % parameters.dimensions * sizeof(float);
        if (parameters.exact_stride == 0) {
          return put_record(change, SectionId::hot, parameters.hot_stride, change.b, at);
        }
        return put_record(change, SectionId::exact, parameters.exact_stride, change.b, at);
      }
      case Place::parameters: return put_parameters(change);
      case Place::file_size: return image_.resize(change.b % (seed_.bytes.size() + 8192));
      case Place::count: return;
    }
  }

 private:
  static std::size_t field(const Change& change, std::span<const format::NamedField> fields) {
    return fields[change.a % fields.size()].field.offset;
  }

  void put(const Change& change, std::uint64_t at) {
    const std::size_t width = std::size_t{1} << (change.operation & 3);
    if (!format::fits(at, width, image_.size())) return;
    std::uint64_t number = 0;
    std::memcpy(&number, image_.data() + at, width);
    switch (change.operation >> 2 & 3) {
      case 0: number = change.value; break;
      case 1: number += change.value; break;
      case 2: number ^= change.value; break;
      case 3: number = change.value * format::kPageSize; break;
    }
    std::memcpy(image_.data() + at, &number, width);
  }

  void put_slots(const Change& change, std::uint64_t at) {
    for (const std::uint64_t slot : format::kSuperblockOffsets) put(change, slot + at);
  }

  // Byte `at` of a record, where the seed file has that section.
  void put_record(const Change& change, SectionId section, std::size_t stride, std::uint64_t record,
                  std::size_t at = 0) {
    const Extent* run = seed_.run(section);
    if (run == nullptr) return;
    put(change, run->file_offset + record % (run->length / stride) * stride + at);
  }

  void put_bucket(const Change& change) {
    namespace bucket = format::bucket;
    const SectionId section = change.a % 2 == 0 ? SectionId::hash : SectionId::overflow;
    const std::size_t number = change.a / 2 % (2 * bucket::kEntries + 1);
    std::size_t at = bucket::kNext;
    if (number < bucket::kEntries) {
      at = bucket::kEntry + 4 * number;
    } else if (number < 2 * bucket::kEntries) {
      at = bucket::kTag + 2 * (number - bucket::kEntries);
    }
    // The section is a page or two, mostly unused: the beginning is what counts.
    const format::Counters& counters = seed_.superblock.counters;
    const std::uint64_t used =
        section == SectionId::hash ? counters.hash_buckets : counters.overflow_used;
    put_record(change, section, bucket::kSize, change.b % (used + 1), at);
  }

  // Other parameters, with the strides that follow from them: a header that is valid, over
  // sections that were written for another one.
  void put_parameters(const Change& change) {
    format::StaticHeader header = seed_.header;
    format::Parameters& parameters = header.parameters;
    const auto number = static_cast<std::uint32_t>(change.value);
    switch (change.a % 4) {
      case 0: parameters.dimensions = 1 + number % std::uint32_t{format::kMaxDimensions}; break;
      case 1: parameters.dimensions = 1 + number % 64; break;
      case 2: parameters.metric = static_cast<Metric>(1 + number % 3); break;
      case 3: parameters.seed = change.value; break;
    }
    if ((change.operation & 1) != 0) {
      parameters.traversal =
          parameters.traversal == Traversal::code ? Traversal::exact : Traversal::code;
    }
    if ((change.operation & 2) != 0) parameters.m = format::kMinM + change.b % 255;
    format::derive_strides(parameters);
    if (image_.size() < format::StaticHeader::kEncodedSize) return;
    header.encode(std::span(image_).first<format::StaticHeader::kEncodedSize>());
  }

  const SeedFile& seed_;
  std::vector<std::byte>& image_;
};

// Puts the page checksums of changed pages into the trees, and the roots into both slots, where the
// seed file has them. Seed files are so small that a tree is one page.
void repair_pages(const SeedFile& seed, std::vector<std::byte>& image) {
  const Extent* trees = seed.run(SectionId::checksum);
  for (std::size_t i = 0; i < seed.superblock.extents.size(); ++i) {
    const Extent& run = seed.superblock.extents[i];
    if (&run == trees || trees == nullptr) continue;
    const std::uint64_t tree = trees->file_offset + run.tree_offset;
    const std::uint64_t pages = run.length / format::kPageSize;
    require(format::TreeShape(pages).depth() == 1, "a seed file is small");
    if (!format::fits(run.file_offset, run.length, image.size())) continue;
    if (!format::fits(tree, format::kPageSize, image.size())) continue;
    for (std::uint64_t page = 0; page < pages; ++page) {
      const std::uint64_t at = run.file_offset + page * format::kPageSize;
      if (std::memcmp(&image[at], &seed.bytes[at], format::kPageSize) == 0) continue;
      format::store_u64(&image[tree], page, format::page_checksum(&image[at]));
    }
    if (std::memcmp(&image[tree], &seed.bytes[tree], format::kPageSize) == 0) continue;
    const std::uint64_t root = format::page_checksum(&image[tree]);
    for (const std::uint64_t slot : format::kSuperblockOffsets) {
      std::byte* entry =
          &image[slot + format::superblock_at::kExtents.offset + i * Extent::kEncodedSize];
      format::store<format::extent_at::kRoot>(entry, root);
    }
  }
}

void repair_block(std::vector<std::byte>& image, std::uint64_t at, format::Field checksum) {
  if (!format::fits(at, checksum.offset + checksum.size, image.size())) return;
  const auto block = std::span<std::byte>(image).subspan(at);
  format::hash128(block.first(checksum.offset)).store(block.data() + checksum.offset);
}

}  // namespace

Script run_script(const std::uint8_t* data, std::size_t size) {
  Input input(data, size);
  const auto& seeds = seed_files();
  Script script{};
  script.seed = &seeds[input.u8() % seeds.size()];
  script.options = input.u8();
  script.queries = input.u16();
  script.image = script.seed->bytes;
  Patcher patcher(*script.seed, script.image);
  while (!input.empty()) patcher.apply(read_change(input));
  if ((script.options & kBrokenPages) == 0) repair_pages(*script.seed, script.image);
  if ((script.options & kBrokenSlots) == 0) {
    for (const std::uint64_t slot : format::kSuperblockOffsets) {
      repair_block(script.image, slot, format::superblock_at::kChecksum);
    }
  }
  if ((script.options & kBrokenHeader) == 0) {
    repair_block(script.image, format::kHeaderOffset, format::header_at::kChecksum);
  }
  return script;
}

}  // namespace cairn::fuzz
