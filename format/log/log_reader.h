// SPDX-License-Identifier: Apache-2.0
//
// A place in the redo log: gives its frames one after the other, and goes on later where it stood,
// when there are more. docs/format.md, "Redo log".
//
// Thread-safety: none, but const calls may be made from several threads.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include <cairn/error.h>

#include "format/bytes/log_frame.h"
#include "format/io/file.h"
#include "format/pages/file_space.h"

namespace cairn::format {

struct LogStart {
  std::uint64_t offset = 0;
  std::uint64_t salt = 0;
  std::uint64_t first_lsn = 0;
};

class LogReader {
 public:
  // The file outlives the reader. A jump to what is no segment of the log ends it, until there is
  // one.
  LogReader(const File& file, const LogStart& start)
      : file_(&file), salt_(start.salt), next_lsn_(start.first_lsn), entrance_(start.offset) {}

  // A frame that is whole and the next one of the log. `records` are good until the next call.
  struct Frame {
    std::uint64_t lsn = 0;
    std::uint64_t bytes = 0;
    bool is_jump = false;
    std::vector<Record> records;
  };
  // Nothing if none follows. corrupt: a frame with a right checksum is nonsense.
  Result<std::optional<Frame>> next();

  // Whether something stands behind the last frame that looks like the next one.
  Result<bool> has_next() const;

  // Whether what stands behind the last frame proves that nothing had been written there yet,
  // within this segment.
  Result<bool> ends_unwritten() const;

  std::uint64_t salt() const { return salt_; }
  std::uint64_t last_lsn() const { return next_lsn_ - 1; }
  // Where the next frame should be: the place to name if it turns out to have been lost.
  std::uint64_t at() const { return entrance_ ? *entrance_ : at_; }
  Result<std::uint64_t> file_bytes() const { return file_->size(); }
  // Those that have been entered.
  const std::vector<Stretch>& segments() const { return segments_; }

 private:
  struct Entered {
    Stretch stretch;
    std::uint64_t number;
    std::uint64_t chain;
  };
  Result<std::optional<Entered>> segment_at_entrance() const;
  Result<bool> enter();
  Result<std::optional<FrameHeader>> next_header() const;

  const File* file_;
  std::uint64_t salt_;
  std::uint64_t next_lsn_;
  std::optional<std::uint64_t> entrance_;  // of a segment that has not been entered yet
  std::uint64_t number_ = 0;               // of the segment
  std::uint64_t chain_ = 0;                // what `previous` of the next frame must be
  std::uint64_t at_ = 0;
  std::vector<Stretch> segments_;
  std::vector<std::byte> frame_;
};

}  // namespace cairn::format
