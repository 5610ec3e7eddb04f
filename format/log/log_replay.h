// SPDX-License-Identifier: Apache-2.0
//
// The reading end of the redo log. docs/format.md, "Recovery".
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <vector>

#include <cairn/error.h>

#include "format/bytes/log_frame.h"
#include "format/io/file.h"
#include "format/io/stop.h"
#include "format/log/log_reader.h"
#include "format/pages/file_space.h"

namespace cairn::format {

// Calls apply(lsn, records) for every frame that follows in the log, jumps excepted, up to the
// first that is not whole or not the next of its chain. corrupt if a frame with a good checksum is
// nonsense, or all together are longer than the file; what apply returns.
struct Replayed {
  std::uint64_t frames = 0;
  std::uint64_t bytes = 0;
};
using ApplyFrame = std::function<Result<void>(std::uint64_t lsn, std::span<const Record>)>;
Result<Replayed> replay_frames(LogReader& log, const ApplyFrame& apply);

// data_loss: not even the first segment of the log has its header.
Error log_is_damaged(std::uint64_t offset, std::uint64_t first_lsn);

// Frames later than `lsn`, in the given stretches of the file: what their writer knew. corrupt if
// so many overlap that reading them would cost much more than reading the stretches.
struct Traces {
  std::uint64_t highest_lsn = 0;      // of all frames of that salt
  std::uint64_t durable_lsn = 0;      // all frames up to this one were on disk once
  std::optional<std::uint64_t> live;  // vectors, as of the newest of these frames that tells
};
Result<Traces> find_traces(const File& file, std::span<const Stretch> where, std::uint64_t salt,
                           std::uint64_t lsn, StopFlag stop = nullptr);

}  // namespace cairn::format
