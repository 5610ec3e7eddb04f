// SPDX-License-Identifier: Apache-2.0
#include "format/container/commit_frame.h"

#include <algorithm>

#include "format/bytes/superblock.h"

namespace cairn::format {
namespace {

constexpr std::size_t kMostTogether = 64;  // of the memory for them
constexpr std::uint64_t kAround = frame_at::kSize + record_bytes(Counters::kEncodedSize);

// How many changes from `begin` on share a record.
std::size_t together(std::span<const Change> changes, std::size_t begin) {
  const std::size_t most = std::min(changes.size() - begin, kMostTogether);
  std::size_t n = 1;
  for (; n < most; ++n) {
    const Change& before = changes[begin + n - 1];
    const Change& next = changes[begin + n];
    if (next.section != before.section || next.offset < before.offset + before.length) break;
  }
  return n;
}

}  // namespace

// A change alone takes a record and the padding. Several in a record take less than that each:
// numbers of bytes take five bytes, and offsets, which are addresses, seven.
std::uint64_t most_frame_bytes(std::size_t changes, std::uint64_t bytes) {
  return kAround + changes * (record_at::kSize + 8) + bytes;
}

std::uint64_t frame_bytes_of(std::span<const Change> changes) {
  std::uint64_t bytes = kAround;
  for (std::size_t begin = 0; begin < changes.size();) {
    const std::size_t n = together(changes, begin);
    if (n == 1) {
      bytes += record_bytes(changes[begin].length);
    } else {
      std::uint64_t data = 0;
      std::uint64_t end = changes[begin].offset;
      for (const Change& change : changes.subspan(begin, n)) {
        data += patch_bytes(change.offset - end, change.length);
        end = change.offset + change.length;
      }
      bytes += record_bytes(data);
    }
    begin += n;
  }
  return bytes;
}

void add_changes(const std::array<Region, kDataSectionCount>& sections,
                 std::span<const Change> changes, FrameBuilder& frame) {
  std::array<Patch, kMostTogether> patches;
  for (std::size_t begin = 0; begin < changes.size();) {
    const std::size_t n = together(changes, begin);
    const SectionId section = changes[begin].section;
    const std::byte* const data = sections[section_index(section)].data();
    for (std::size_t i = 0; i < n; ++i) {
      const Change& change = changes[begin + i];
      patches[i] = {change.offset, {data + change.offset, static_cast<std::size_t>(change.length)}};
    }
    const auto id = static_cast<std::uint16_t>(section);
    if (n == 1) {
      frame.add(RecordKind::bytes, id, patches[0].offset, patches[0].bytes);
    } else {
      frame.add(id, std::span(patches).first(n));
    }
    begin += n;
  }
}

}  // namespace cairn::format
