// SPDX-License-Identifier: Apache-2.0
//
// The bytes of the redo log: segments, frames and records, without any I/O. docs/format.md, "Log
// segment", "Log frame" and "Log record".
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include <cairn/error.h>

#include "format/bytes/log_layout.h"

namespace cairn::format {

// The first page of a segment.
struct SegmentHeader {
  std::uint64_t salt = 0;
  std::uint64_t first_lsn = 0;  // of the first frame behind it
  std::uint64_t length = 0;     // of the segment, this page included
  std::uint64_t number = 0;     // its own among all of that salt
  std::uint64_t checksum = 0;   // what the first frame's `previous` must be; set by encode()

  void encode(std::span<std::byte, segment_at::kSize> out);
  // Nothing if magic or checksum are wrong.
  static std::optional<SegmentHeader> decode(std::span<const std::byte, segment_at::kSize> in);
};

// The pages of a segment before anything is written to them.
void encode_unused_page(std::span<std::byte, unused_at::kSize> out, std::uint64_t salt,
                        std::uint64_t number);
bool is_unused_page(std::span<const std::byte, unused_at::kSize> page, std::uint64_t salt,
                    std::uint64_t number);

struct FrameHeader {
  std::uint64_t length = 0;  // of the frame, with header, records and padding
  std::uint64_t lsn = 0;
  std::uint64_t salt = 0;
  std::uint64_t previous = 0;
  std::uint64_t durable_lsn = 0;
  std::uint32_t records = 0;
  std::uint64_t checksum = 0;

  // Nothing if the magic number is wrong or the length impossible.
  static std::optional<FrameHeader> decode(std::span<const std::byte, frame_at::kSize> in);
};

struct Record {
  RecordKind kind;
  std::uint16_t section;
  std::uint64_t offset;
  std::span<const std::byte> data;
};

// Bytes of a record with `data_bytes` bytes of data.
constexpr std::uint64_t record_bytes(std::uint64_t data_bytes) {
  return record_at::kSize + round_up(data_bytes, 8);
}

// Writes one frame behind what `out` holds: header fields that are known, and records.
class FrameBuilder {
 public:
  FrameBuilder(std::vector<std::byte>& out, std::uint64_t lsn);
  void add(RecordKind kind, std::uint16_t section, std::uint64_t offset,
           std::span<const std::byte> data);

 private:
  std::vector<std::byte>& out_;
  std::size_t begin_;
  std::uint32_t records_ = 0;
};

// Completes a frame whose bytes are there: all of `frame`, padding included. Returns its checksum.
std::uint64_t seal_frame(std::span<std::byte> frame, std::uint64_t salt, std::uint64_t previous,
                         std::uint64_t durable_lsn);

// Whether the checksum of a frame, all of whose bytes are there, is right.
bool is_whole(std::span<const std::byte> frame);

// The records of a whole frame. corrupt if they do not lie in it.
Result<std::vector<Record>> records_of(std::span<const std::byte> frame);

}  // namespace cairn::format
