// SPDX-License-Identifier: Apache-2.0
#include "format/log/log_replay.h"

#include <algorithm>
#include <array>
#include <string>
#include <vector>

#include "format/bytes/limits.h"
#include "format/bytes/log_layout.h"
#include "format/bytes/superblock_layout.h"

namespace cairn::format {
namespace {

constexpr std::size_t kScanPiece = std::size_t{1} << 20;
// Frames do not overlap, but those that a copy was overtaken by may seem to.
constexpr std::uint64_t kMostTraces = 2;  // times the bytes in which they lie

Error overlap(std::uint64_t offset) {
  return Error(ErrorCode::corrupt, "log frames overlap at " + std::to_string(offset));
}

// Looks for frames in one stretch after the other.
class TraceFinder {
 public:
  TraceFinder(const File& file, std::uint64_t salt, std::uint64_t lsn)
      : file_(file), salt_(salt), lsn_(lsn) {}

  // Groups of frames begin on pages. What lies in a hole of the file is no frame.
  Result<void> look_at(const Stretch& stretch, StopFlag stop) {
    left_ = kMostTraces * stretch.length;
    std::uint64_t at = round_up(stretch.offset, kPageSize);
    while (at < stretch.end()) {
      if (is_stopped(stop)) return stopped();
      at = std::max(at, file_.next_data(at) / kPageSize * kPageSize);
      if (at >= stretch.end()) break;
      piece_.resize(std::min<std::uint64_t>(kScanPiece, stretch.end() - at));
      const auto read = file_.pread_some(piece_, at);
      if (!read) return read.error();
      for (std::size_t page = 0; page + frame_at::kSize <= *read; page += kPageSize) {
        const auto header = FrameHeader::decode(
            std::span<const std::byte, frame_at::kSize>(piece_.data() + page, frame_at::kSize));
        if (auto ok = follow_group(header, at + page, stretch.end()); !ok) return ok;
      }
      at += kScanPiece;
    }
    return {};
  }
  const Traces& traces() const { return traces_; }

 private:
  // The frame that may begin there, and those behind it up to the next page.
  Result<void> follow_group(std::optional<FrameHeader> header, std::uint64_t at,
                            std::uint64_t end) {
    while (header && header->salt == salt_ && header->lsn > lsn_ && fits(at, header->length, end)) {
      if (header->length > left_) return overlap(at);
      left_ -= header->length;
      frame_.resize(header->length);
      const auto read = file_.pread_some(frame_, at);
      if (!read) return read.error();
      // The frame that the header was read of, and no other that stands there since.
      if (*read != frame_.size() || !is_whole(frame_) ||
          load<frame_at::kChecksum>(frame_.data()) != header->checksum) {
        return {};
      }
      if (auto ok = note(*header, at); !ok) return ok;
      at += header->length;
      if (at % kPageSize == 0 || !fits(at, frame_at::kSize, end)) return {};
      std::array<std::byte, frame_at::kSize> next{};
      if (const auto more = file_.pread_some(next, at); !more) return more.error();
      header = FrameHeader::decode(next);
    }
    return {};
  }

  Result<void> note(const FrameHeader& header, std::uint64_t at) {
    if (header.lsn > kMaxNumber || header.durable_lsn >= header.lsn) {
      return Error(ErrorCode::corrupt, "log frame " + std::to_string(header.lsn) + " at " +
                                           std::to_string(at) + " says that frame " +
                                           std::to_string(header.durable_lsn) + " was on disk");
    }
    traces_.durable_lsn = std::max(traces_.durable_lsn, header.durable_lsn);
    if (header.lsn <= traces_.highest_lsn) return {};
    traces_.highest_lsn = header.lsn;
    const auto records = records_of(frame_);
    if (!records) return records.error();
    for (const Record& record : *records) {
      if (record.kind != RecordKind::counters || record.data.size() != Counters::kEncodedSize) {
        continue;
      }
      traces_.live = Counters::decode(record.data.first<Counters::kEncodedSize>()).live;
    }
    return {};
  }

  const File& file_;
  const std::uint64_t salt_;
  const std::uint64_t lsn_;
  std::uint64_t left_ = 0;  // bytes of what looks like frames, of the stretch
  std::vector<std::byte> piece_;
  std::vector<std::byte> frame_;
  Traces traces_;
};

}  // namespace

Result<Replayed> replay_frames(LogReader& log, const ApplyFrame& apply) {
  Replayed replayed;
  std::uint64_t file_bytes = 0;
  for (;;) {
    auto frame = log.next();
    if (!frame) return frame.error();
    if (!*frame) return replayed;
    if (!(*frame)->is_jump) {
      if (auto ok = apply((*frame)->lsn, (*frame)->records); !ok) return ok.error();
    }
    ++replayed.frames;
    replayed.bytes += (*frame)->bytes;
    if (replayed.bytes <= file_bytes) continue;
    const auto now = log.file_bytes();  // a writer may have made it longer
    if (!now) return now.error();
    file_bytes = *now;
    if (replayed.bytes > file_bytes) return overlap(log.at());
  }
}

Error log_is_damaged(std::uint64_t offset, std::uint64_t first_lsn) {
  return Error(ErrorCode::data_loss, "the log at " + std::to_string(offset) +
                                         ", which begins with frame " + std::to_string(first_lsn) +
                                         ", is damaged");
}

Result<Traces> find_traces(const File& file, std::span<const Stretch> where, std::uint64_t salt,
                           std::uint64_t lsn, StopFlag stop) {
  TraceFinder finder(file, salt, lsn);
  for (const Stretch& stretch : where) {
    if (auto ok = finder.look_at(stretch, stop); !ok) return ok.error();
  }
  return finder.traces();
}

}  // namespace cairn::format
