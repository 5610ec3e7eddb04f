// SPDX-License-Identifier: Apache-2.0
#include "format/log/log_summary.h"

#include <set>
#include <utility>

#include "format/log/log_replay.h"

namespace cairn::format {

Result<LogSummary> summarize_log(const File& file, const Superblock& block) {
  LogSummary summary;
  summary.last_lsn = block.checkpoint_lsn;
  if (!block.has_log() || block.log_offset == 0) return summary;
  std::set<std::pair<std::uint16_t, std::uint64_t>> pages;
  const auto add = [&](std::uint16_t section, const Patch& patch) {
    const std::uint64_t last = (patch.offset + patch.bytes.size() - 1) / kPageSize;
    for (std::uint64_t page = patch.offset / kPageSize; page <= last; ++page) {
      pages.emplace(section, page);
    }
  };
  const auto collect = [&](std::uint64_t, std::span<const Record> records) -> Result<void> {
    for (const Record& record : records) {
      if (record.kind == RecordKind::bytes && !record.data.empty()) {
        add(record.section, {record.offset, record.data});
      } else if (record.kind == RecordKind::patches) {
        PatchReader patches(record.offset, record.data);
        while (const auto patch = patches.next()) add(record.section, *patch);
      }
    }
    return {};
  };
  LogReader log(file, {block.log_offset, block.log_salt, block.log_first_lsn});
  const auto replayed = replay_frames(log, collect);
  if (!replayed) return replayed.error();
  if (log.segments().empty()) return log_is_damaged(block.log_offset, block.log_first_lsn);
  summary.frames = replayed->frames;
  summary.last_lsn = log.last_lsn();
  summary.dirty_pages = pages.size();
  for (const Stretch& segment : log.segments()) summary.bytes += segment.length;
  return summary;
}

}  // namespace cairn::format
