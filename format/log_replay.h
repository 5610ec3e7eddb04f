// SPDX-License-Identifier: Apache-2.0
//
// The reading end of the redo log. docs/format.md, "Recovery".
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include <cairn/error.h>

#include "format/file.h"
#include "format/file_space.h"
#include "format/log_frame.h"
#include "format/stop.h"

namespace cairn::format {

struct LogStart {
  std::uint64_t offset = 0;
  std::uint64_t salt = 0;
  std::uint64_t first_lsn = 0;
};

struct Replayed {
  std::uint64_t last_lsn = 0;  // of the last good frame; first_lsn - 1 if there is none
  std::uint64_t frames = 0;
  std::uint64_t bytes = 0;  // of good frames
  std::vector<Stretch> segments;
  // Where the next frame should be: the place to name if it turns out to have been lost.
  std::uint64_t end = 0;
};

// Calls apply(lsn, records) for every frame of the log, in order, up to the first that is not whole
// or not the next of its chain. data_loss if not even the first segment has its header; corrupt if
// a frame with a good checksum is nonsense; what apply returns.
using ApplyFrame = std::function<Result<void>(std::uint64_t lsn, std::span<const Record>)>;
Result<Replayed> replay_log(const File& file, std::uint64_t file_bytes, const LogStart& start,
                            const ApplyFrame& apply);

// Frames behind the end of a log, in the given stretches of the file: what their writer knew.
struct Traces {
  std::uint64_t highest_lsn = 0;  // of all frames of that salt
  // Some frame says that `lsn`, which is missing, was durable when it was written.
  bool was_durable = false;
};
Result<Traces> find_traces(const File& file, std::span<const Stretch> where, std::uint64_t salt,
                           std::uint64_t lsn, StopFlag stop = nullptr);

}  // namespace cairn::format
