// SPDX-License-Identifier: Apache-2.0
#include "format/log/log_reader.h"

#include <array>
#include <string>

#include "engine/base/assert.h"
#include "format/bytes/limits.h"
#include "format/bytes/log_layout.h"
#include "format/bytes/superblock_layout.h"

namespace cairn::format {
namespace {

// Where the frame sends the reader, if it does.
Result<std::optional<std::uint64_t>> jump_of(std::uint64_t lsn, std::span<const Record> records) {
  for (const Record& record : records) {
    if (record.kind != RecordKind::jump) continue;
    if (records.size() != 1 || !record.data.empty() || record.section != 0) {
      return Error(ErrorCode::corrupt,
                   "log frame " + std::to_string(lsn) + ": a jump with something else");
    }
    return std::optional(record.offset);
  }
  return std::optional<std::uint64_t>();
}

// False if the file ends before: a writer may have cut off a log that is not needed any more.
Result<bool> read_whole(const File& file, std::span<std::byte> out, std::uint64_t offset) {
  const auto read = file.pread_some(out, offset);
  return read ? Result<bool>(*read == out.size()) : Result<bool>(read.error());
}

}  // namespace

Result<std::optional<LogReader::Entered>> LogReader::segment_at_entrance() const {
  using Found = std::optional<Entered>;
  const std::uint64_t offset = *entrance_;
  const auto file_bytes = file_->size();
  if (!file_bytes) return file_bytes.error();
  if (offset < kFirstRunOffset || offset % kPageSize != 0 ||
      !fits(offset, segment_at::kSize, *file_bytes)) {
    return Found();
  }
  std::array<std::byte, segment_at::kSize> page{};
  const auto read = read_whole(*file_, page, offset);
  if (!read) return read.error();
  const auto header = SegmentHeader::decode(page);
  if (!*read || !header || header->salt != salt_ || header->first_lsn != next_lsn_ ||
      header->length < segment_at::kSize || header->length % kPageSize != 0 ||
      !fits(offset, header->length, *file_bytes)) {
    return Found();
  }
  return Found(Entered{{offset, header->length}, header->number, header->checksum});
}

Result<bool> LogReader::enter() {
  if (!entrance_) return true;
  const auto found = segment_at_entrance();
  if (!found) return found.error();
  if (!*found) return false;
  segments_.push_back((*found)->stretch);
  number_ = (*found)->number;
  chain_ = (*found)->chain;
  at_ = *entrance_ + segment_at::kSize;
  entrance_.reset();
  return true;
}

// REQUIRES: !entrance_
Result<std::optional<FrameHeader>> LogReader::next_header() const {
  CAIRN_ASSERT(!entrance_);
  using Found = std::optional<FrameHeader>;
  const std::uint64_t end = segments_.back().end();
  std::array<std::byte, frame_at::kSize> head{};
  if (!fits(at_, head.size(), end)) return Found();
  const auto read = read_whole(*file_, head, at_);
  if (!read) return read.error();
  auto header = FrameHeader::decode(head);
  if (!*read || !header || header->salt != salt_ || header->lsn != next_lsn_ ||
      header->previous != chain_ || !fits(at_, header->length, end)) {
    return Found();
  }
  return header;
}

Result<std::optional<LogReader::Frame>> LogReader::next() {
  using Found = std::optional<Frame>;
  const auto inside = enter();
  if (!inside) return inside.error();
  if (!*inside) return Found();
  const auto header = next_header();
  if (!header) return header.error();
  if (!*header) return Found();
  frame_.resize((*header)->length);
  const auto read = read_whole(*file_, frame_, at_);
  if (!read) return read.error();
  if (!*read || !is_whole(frame_) ||
      load<frame_at::kChecksum>(frame_.data()) != (*header)->checksum) {
    return Found();
  }
  auto records = records_of(frame_);
  if (!records) return records.error();
  const auto jump = jump_of(next_lsn_, *records);
  if (!jump) return jump.error();
  Frame frame{next_lsn_, frame_.size(), jump->has_value(), std::move(*records)};
  chain_ = (*header)->checksum;
  at_ += (*header)->length;
  entrance_ = *jump;
  ++next_lsn_;
  return Found(std::move(frame));
}

Result<bool> LogReader::has_next() const {
  if (entrance_) {
    const auto found = segment_at_entrance();
    return found ? Result<bool>(found->has_value()) : Result<bool>(found.error());
  }
  const auto header = next_header();
  return header ? Result<bool>(header->has_value()) : Result<bool>(header.error());
}

Result<bool> LogReader::ends_unwritten() const {
  if (entrance_) return false;
  // Groups are written page by page, from the first to the last. If the next frame has begun, what
  // is missing of it is its end.
  const auto header = next_header();
  if (!header) return header.error();
  const std::uint64_t page =
      *header ? (at_ + (*header)->length - 1) / kPageSize * kPageSize : round_up(at_, kPageSize);
  if (!fits(page, kPageSize, segments_.back().end())) return false;
  std::array<std::byte, unused_at::kSize> bytes{};
  const auto read = read_whole(*file_, bytes, page);
  if (!read) return read.error();
  return *read && is_unused_page(bytes, salt_, number_);
}

}  // namespace cairn::format
