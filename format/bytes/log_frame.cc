// SPDX-License-Identifier: Apache-2.0
#include "format/bytes/log_frame.h"

#include <array>
#include <cstring>
#include <string>

#include "format/bytes/checksum.h"

namespace cairn::format {
namespace {

std::uint64_t checksum_of(std::span<const std::byte> frame) {
  return hash64(frame.first(frame_at::kChecksum.offset), frame.subspan(frame_at::kSize));
}

Error bad_frame(std::uint64_t lsn, const std::string& what) {
  return Error(ErrorCode::corrupt, "log frame " + std::to_string(lsn) + ": " + what);
}

}  // namespace

void SegmentHeader::encode(std::span<std::byte, segment_at::kSize> out) {
  using namespace segment_at;
  std::byte* const at = out.data();
  std::memset(at, 0, out.size());
  std::memcpy(at + kMagic.offset, kSegmentMagic.data(), kMagic.size);
  store<kSalt>(at, salt);
  store<kFirstLsn>(at, first_lsn);
  store<kLength>(at, length);
  store<kNumber>(at, number);
  checksum = hash64(out.first<kChecksum.offset>());
  store<kChecksum>(at, checksum);
}

std::optional<SegmentHeader> SegmentHeader::decode(
    std::span<const std::byte, segment_at::kSize> in) {
  using namespace segment_at;
  const std::byte* const at = in.data();
  if (std::memcmp(at + kMagic.offset, kSegmentMagic.data(), kMagic.size) != 0) return {};
  SegmentHeader header{load<kSalt>(at), load<kFirstLsn>(at), load<kLength>(at), load<kNumber>(at),
                       load<kChecksum>(at)};
  if (hash64(in.first<kChecksum.offset>()) != header.checksum) return {};
  return header;
}

void encode_unused_page(std::span<std::byte, unused_at::kSize> out, std::uint64_t salt,
                        std::uint64_t number) {
  using namespace unused_at;
  std::byte* const at = out.data();
  std::memset(at, 0, out.size());
  std::memcpy(at + kMagic.offset, kUnusedMagic.data(), kMagic.size);
  store<kSalt>(at, salt);
  store<kNumber>(at, number);
}

bool is_unused_page(std::span<const std::byte, unused_at::kSize> page, std::uint64_t salt,
                    std::uint64_t number) {
  std::array<std::byte, unused_at::kSize> unused;
  encode_unused_page(unused, salt, number);
  return std::memcmp(page.data(), unused.data(), unused.size()) == 0;
}

std::optional<FrameHeader> FrameHeader::decode(std::span<const std::byte, frame_at::kSize> in) {
  using namespace frame_at;
  const std::byte* const at = in.data();
  if (load<kMagic>(at) != kFrameMagic) return {};
  const FrameHeader header{load<kLength>(at),   load<kLsn>(at),        load<kSalt>(at),
                           load<kPrevious>(at), load<kDurableLsn>(at), load<kRecordCount>(at),
                           load<kChecksum>(at)};
  if (header.length < kSize || header.length % 8 != 0 || header.length > kMaxFrame) return {};
  return header;
}

FrameBuilder::FrameBuilder(std::vector<std::byte>& out, std::uint64_t lsn)
    : out_(out), begin_(out.size()) {
  out_.resize(begin_ + frame_at::kSize);
  store<frame_at::kMagic>(out_.data() + begin_, kFrameMagic);
  store<frame_at::kLength>(out_.data() + begin_, frame_at::kSize);
  store<frame_at::kLsn>(out_.data() + begin_, lsn);
}

void FrameBuilder::add(RecordKind kind, std::uint16_t section, std::uint64_t offset,
                       std::span<const std::byte> data) {
  const std::size_t at = begin_record(kind, section, offset);
  out_.insert(out_.end(), data.begin(), data.end());
  end_record(at);
}

void FrameBuilder::add(std::uint16_t section, std::span<const Patch> patches) {
  std::uint64_t end = patches.front().offset;
  const std::size_t at = begin_record(RecordKind::patches, section, end);
  for (const Patch& patch : patches) {
    append_patch(out_, patch.offset - end, patch.bytes);
    end = patch.offset + patch.bytes.size();
  }
  end_record(at);
}

std::size_t FrameBuilder::begin_record(RecordKind kind, std::uint16_t section,
                                       std::uint64_t offset) {
  const std::size_t at = out_.size();
  out_.resize(at + record_at::kSize);
  std::byte* const record = out_.data() + at;
  store<record_at::kKind>(record, static_cast<std::uint16_t>(kind));
  store<record_at::kSection>(record, section);
  store<record_at::kOffset>(record, offset);
  return at;
}

// The data is there, from behind the record's header to the end.
void FrameBuilder::end_record(std::size_t at) {
  const std::uint64_t length = out_.size() - at - record_at::kSize;
  store<record_at::kLength>(out_.data() + at, static_cast<std::uint32_t>(length));
  out_.resize(at + record_bytes(length));
  store<frame_at::kRecordCount>(out_.data() + begin_, ++records_);
  store<frame_at::kLength>(out_.data() + begin_, static_cast<std::uint32_t>(out_.size() - begin_));
}

std::uint64_t seal_frame(std::span<std::byte> frame, std::uint64_t salt, std::uint64_t previous,
                         std::uint64_t durable_lsn) {
  std::byte* const at = frame.data();
  store<frame_at::kLength>(at, static_cast<std::uint32_t>(frame.size()));
  store<frame_at::kSalt>(at, salt);
  store<frame_at::kPrevious>(at, previous);
  store<frame_at::kDurableLsn>(at, durable_lsn);
  const std::uint64_t checksum = checksum_of(frame);
  store<frame_at::kChecksum>(at, checksum);
  return checksum;
}

bool is_whole(std::span<const std::byte> frame) {
  return checksum_of(frame) == load<frame_at::kChecksum>(frame.data());
}

namespace {

// Calls take(record) for each.
template <class Take>
Result<void> for_each_record(std::span<const std::byte> frame, Take&& take) {
  const std::uint64_t lsn = load<frame_at::kLsn>(frame.data());
  const std::uint32_t count = load<frame_at::kRecordCount>(frame.data());
  std::size_t at = frame_at::kSize;
  for (std::uint32_t i = 0; i < count; ++i) {
    if (!fits(at, record_at::kSize, frame.size())) return bad_frame(lsn, "a record is cut off");
    const std::byte* const record = frame.data() + at;
    const std::uint64_t length = load<record_at::kLength>(record);
    if (!fits(at, record_bytes(length), frame.size())) return bad_frame(lsn, "a record is cut off");
    const std::uint16_t kind = load<record_at::kKind>(record);
    if (kind < 1 || kind > static_cast<std::uint16_t>(RecordKind::patches)) {
      return bad_frame(lsn, "record of unknown kind " + std::to_string(kind));
    }
    // Alone of all kinds a jump has no data: so a record takes at least 24 bytes where there are
    // many.
    if (length == 0 && (static_cast<RecordKind>(kind) != RecordKind::jump || count != 1)) {
      return bad_frame(lsn, "a record without data");
    }
    take(Record{static_cast<RecordKind>(kind), load<record_at::kSection>(record),
                load<record_at::kOffset>(record), frame.subspan(at + record_at::kSize, length)});
    at += record_bytes(length);
  }
  return {};
}

}  // namespace

// Checked before memory is taken for them.
Result<std::vector<Record>> records_of(std::span<const std::byte> frame) {
  if (auto ok = for_each_record(frame, [](const Record&) {}); !ok) return ok.error();
  std::vector<Record> records;
  records.reserve(load<frame_at::kRecordCount>(frame.data()));
  (void)for_each_record(frame, [&](const Record& record) { records.push_back(record); });
  return records;
}

}  // namespace cairn::format
