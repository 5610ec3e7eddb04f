// SPDX-License-Identifier: Apache-2.0
#include "format/log_replay.h"

#include <algorithm>
#include <array>
#include <optional>
#include <string>

namespace cairn::format {
namespace {

constexpr std::size_t kScanPiece = std::size_t{1} << 20;

class LogReader {
 public:
  LogReader(const File& file, std::uint64_t file_bytes, const LogStart& start)
      : file_(file), file_bytes_(file_bytes), salt_(start.salt), next_lsn_(start.first_lsn) {}

  // false: no header of a segment that continues the log stands there.
  Result<bool> enter(std::uint64_t offset) {
    if (offset < kFirstRunOffset || offset % kPageSize != 0 ||
        !fits(offset, segment_at::kSize, file_bytes_)) {
      return false;
    }
    std::array<std::byte, segment_at::kSize> page;
    if (auto ok = file_.pread(page, offset); !ok) return ok.error();
    const auto header = SegmentHeader::decode(page);
    if (!header || header->salt != salt_ || header->first_lsn != next_lsn_ ||
        header->length < segment_at::kSize || header->length % kPageSize != 0 ||
        !fits(offset, header->length, file_bytes_)) {
      return false;
    }
    segment_ = {offset, header->length};
    at_ = offset + segment_at::kSize;
    chain_ = header->checksum;
    return true;
  }

  // The next frame, or nothing if none follows.
  Result<std::optional<std::span<const std::byte>>> next() {
    using Frame = std::optional<std::span<const std::byte>>;
    std::array<std::byte, frame_at::kSize> head;
    if (!fits(at_, head.size(), segment_.end())) return Frame();
    if (auto ok = file_.pread(head, at_); !ok) return ok.error();
    const auto header = FrameHeader::decode(head);
    if (!header || header->salt != salt_ || header->lsn != next_lsn_ ||
        header->previous != chain_ || !fits(at_, header->length, segment_.end())) {
      return Frame();
    }
    frame_.resize(header->length);
    if (auto ok = file_.pread(frame_, at_); !ok) return ok.error();
    if (!is_whole(frame_) || load<frame_at::kChecksum>(frame_.data()) != header->checksum) {
      return Frame();
    }
    chain_ = header->checksum;
    at_ += header->length;
    ++next_lsn_;
    return Frame(frame_);
  }

  const Stretch& segment() const { return segment_; }
  std::uint64_t at() const { return at_; }

 private:
  const File& file_;
  const std::uint64_t file_bytes_;
  const std::uint64_t salt_;
  std::uint64_t next_lsn_;
  std::uint64_t chain_ = 0;
  Stretch segment_;
  std::uint64_t at_ = 0;
  std::vector<std::byte> frame_;
};

// Where the frame sends the reader, if it does.
Result<std::optional<std::uint64_t>> jump_of(std::uint64_t lsn, std::span<const Record> records) {
  for (std::size_t i = 0; i < records.size(); ++i) {
    if (records[i].kind != RecordKind::jump) continue;
    if (records.size() != 1 || !records[i].data.empty() || records[i].section != 0) {
      return Error(ErrorCode::corrupt,
                   "log frame " + std::to_string(lsn) + ": a jump with something else");
    }
    return std::optional(records[i].offset);
  }
  return std::optional<std::uint64_t>();
}

}  // namespace

Result<Replayed> replay_log(const File& file, std::uint64_t file_bytes, const LogStart& start,
                            const ApplyFrame& apply) {
  LogReader reader(file, file_bytes, start);
  Replayed replayed;
  replayed.last_lsn = start.first_lsn - 1;
  replayed.end = start.offset;
  auto entered = reader.enter(start.offset);
  if (!entered) return entered.error();
  if (!*entered) {
    return Error(ErrorCode::data_loss, "the log at " + std::to_string(start.offset) +
                                           ", which begins with frame " +
                                           std::to_string(start.first_lsn) + ", is damaged");
  }
  replayed.segments.push_back(reader.segment());
  for (;;) {
    replayed.end = reader.at();
    auto frame = reader.next();
    if (!frame) return frame.error();
    if (!*frame) return replayed;
    const auto records = records_of(**frame);
    if (!records) return records.error();
    const std::uint64_t lsn = replayed.last_lsn + 1;
    const auto jump = jump_of(lsn, *records);
    if (!jump) return jump.error();
    if (!*jump) {
      if (auto ok = apply(lsn, *records); !ok) return ok.error();
    }
    replayed.last_lsn = lsn;
    ++replayed.frames;
    replayed.bytes += (*frame)->size();
    if (!*jump) continue;
    replayed.end = **jump;
    entered = reader.enter(**jump);
    if (!entered) return entered.error();
    if (!*entered) return replayed;
    replayed.segments.push_back(reader.segment());
  }
}

Result<Traces> find_traces(const File& file, std::span<const Stretch> where, std::uint64_t salt,
                           std::uint64_t lsn, StopFlag stop) {
  Traces traces;
  std::vector<std::byte> piece;
  std::vector<std::byte> frame;
  for (const Stretch& stretch : where) {
    // Groups of frames begin on pages.
    for (std::uint64_t at = round_up(stretch.offset, kPageSize); at < stretch.end();
         at += kScanPiece) {
      if (is_stopped(stop)) return stopped();
      piece.resize(std::min<std::uint64_t>(kScanPiece, stretch.end() - at));
      const auto read = file.pread_some(piece, at);
      if (!read) return read.error();
      for (std::size_t page = 0; page + frame_at::kSize <= *read; page += kPageSize) {
        const auto header = FrameHeader::decode(
            std::span<const std::byte, frame_at::kSize>(piece.data() + page, frame_at::kSize));
        if (!header || header->salt != salt || header->lsn <= lsn ||
            !fits(at + page, header->length, stretch.end())) {
          continue;
        }
        frame.resize(header->length);
        const auto whole = file.pread_some(frame, at + page);
        if (!whole) return whole.error();
        if (*whole != frame.size() || !is_whole(frame)) continue;
        traces.highest_lsn = std::max(traces.highest_lsn, header->lsn);
        traces.was_durable = traces.was_durable || header->durable_lsn >= lsn;
      }
    }
  }
  return traces;
}

}  // namespace cairn::format
