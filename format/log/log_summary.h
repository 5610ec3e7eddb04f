// SPDX-License-Identifier: Apache-2.0
//
// What a recovery would have to do, without doing it.
#pragma once

#include <cstdint>

#include <cairn/error.h>

#include "format/bytes/superblock.h"
#include "format/io/file.h"

namespace cairn::format {

struct LogSummary {
  std::uint64_t frames = 0;       // good ones since the checkpoint of the superblock
  std::uint64_t bytes = 0;        // of the segments that hold them
  std::uint64_t last_lsn = 0;     // of the last frame, or of the checkpoint if there is none
  std::uint64_t dirty_pages = 0;  // of 4 KiB, of sections: those that the frames change
};

// Reads the log of a superblock once. Without a log: zeros, and the LSN of the checkpoint. Errors
// as replaying: data_loss if the log does not even begin, corrupt, io_error, out_of_memory.
Result<LogSummary> summarize_log(const File& file, const Superblock& block);

}  // namespace cairn::format
