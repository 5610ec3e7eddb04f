// SPDX-License-Identifier: Apache-2.0
#include "format/log_replay.h"

#include <algorithm>
#include <vector>

namespace cairn::format {
namespace {

constexpr std::size_t kScanPiece = std::size_t{1} << 20;
// Frames do not overlap, but those that a copy was overtaken by may seem to.
constexpr std::uint64_t kMostTraces = 2;  // times the bytes in which they lie

Error overlap(std::uint64_t offset) {
  return Error(ErrorCode::corrupt, "log frames overlap at " + std::to_string(offset));
}

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
  Traces traces;
  std::vector<std::byte> piece;
  std::vector<std::byte> frame;
  for (const Stretch& stretch : where) {
    std::uint64_t left = kMostTraces * stretch.length;
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
        if (header->length > left) return overlap(at + page);
        left -= header->length;
        frame.resize(header->length);
        const auto whole = file.pread_some(frame, at + page);
        if (!whole) return whole.error();
        if (*whole != frame.size() || !is_whole(frame)) continue;
        if (header->lsn > kMaxNumber || header->durable_lsn >= header->lsn) {
          return Error(ErrorCode::corrupt, "log frame " + std::to_string(header->lsn) + " at " +
                                               std::to_string(at + page) + " says that frame " +
                                               std::to_string(header->durable_lsn) +
                                               " was on disk");
        }
        traces.highest_lsn = std::max(traces.highest_lsn, header->lsn);
        traces.durable_lsn = std::max(traces.durable_lsn, header->durable_lsn);
      }
    }
  }
  return traces;
}

}  // namespace cairn::format
