// SPDX-License-Identifier: Apache-2.0
//
// The writing end of the redo log: frames are put into memory in order, and written in groups, one
// sync for all that wait. docs/format.md, "Redo log".
//
// Thread-safety: ensure(), append() and switch_segment() under the caller's commit mutex; all other
// calls from any thread.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <optional>
#include <span>
#include <thread>
#include <vector>

#include <cairn/error.h>

#include "engine/base/assert.h"
#include "format/bytes/log_frame.h"
#include "format/io/file.h"
#include "format/pages/file_space.h"

namespace cairn::format {

class RedoLog {
 public:
  // The first frame will have number first_lsn. Segments begin at segment_bytes and double while
  // they fill up.
  RedoLog(File& file, FileSpace& space, std::uint64_t salt, std::uint64_t first_lsn,
          std::uint64_t segment_bytes);
  RedoLog(const RedoLog&) = delete;
  RedoLog& operator=(const RedoLog&) = delete;
  ~RedoLog();

  // Allocates the first segment there and makes its header durable. Call once, first.
  Result<void> start(FileSpace::Where where);

  // Sees to it that a frame of `bytes` bytes can be appended. no_space, with nothing changed.
  Result<void> ensure(std::uint64_t bytes);

  // Puts a frame into memory; `fill` adds its records. Returns its number.
  // REQUIRES: ensure() for at least its bytes before, and nothing appended since.
  template <class Fill>
  Result<std::uint64_t> append(Fill&& fill) {
    const std::lock_guard lock(mutex_);
    if (failed_) return *failed_;
    return append_locked(fill);
  }

  // Allocates the segment that switch_segment() will take, so that it need not wait for the disk.
  Result<void> prepare_switch();
  // From here on frames go into a segment of their own. Returns where a log that holds all later
  // frames, and only them, begins.
  struct Start {
    std::uint64_t offset;
    std::uint64_t salt;
    std::uint64_t first_lsn;
    std::uint64_t end;  // of its first segment
  };
  Result<Start> switch_segment();
  Start start_of_log() const;

  // Returns when all frames up to `lsn` are durable; poisoned if that cannot be any more.
  Result<void> sync(std::uint64_t lsn);
  // Writes what is in memory if that is at least so much, without waiting for the disk.
  Result<void> write(std::size_t at_least);
  // From now on whatever is appended is durable at most so much later. out_of_memory
  Result<void> sync_every(std::chrono::milliseconds period);

  // Gives the segments before `start` back.
  void release_before(const Start& start);

  std::uint64_t last_lsn() const;     // appended
  std::uint64_t durable_lsn() const;  // on disk
  std::uint64_t bytes() const;        // in segments that are in use
  std::vector<Stretch> segments() const;
  std::optional<Error> failure() const noexcept;
  std::optional<Error> cause() const noexcept;  // of the failure, with its own code
  // Nothing is written any more, every call returns the error as `poisoned`. The first one stays.
  // Needs no memory.
  Error fail(const Error& cause) noexcept;
  // The same, but for a full disk, which is met before anything is written.
  Error fail_unless_full(const Error& cause) noexcept;

 private:
  // Frames that are written with one call.
  struct Batch {
    std::uint64_t write_at = 0;
    bool has_header = false;  // begins with a segment header
    std::uint64_t chain = 0;  // the header's checksum
    std::vector<std::byte> bytes;
    std::vector<std::size_t> frames;  // where they begin
  };
  struct Segment {
    Stretch stretch;
    std::uint64_t first_lsn;
  };
  // Space for a segment, filled with unused pages.
  struct Blank {
    Stretch stretch;
    std::uint64_t number;
  };

  template <class Fill>
  std::uint64_t append_locked(Fill&& fill) {
    Batch& batch = pending_.back();
    const std::size_t begin = batch.bytes.size();
    batch.frames.push_back(begin);
    try {
      FrameBuilder frame(batch.bytes, next_lsn_);
      fill(frame);
      CAIRN_ASSERT(batch.write_at + batch.bytes.size() <= segments_.back().stretch.end());
    } catch (...) {  // std::bad_alloc
      batch.frames.pop_back();
      batch.bytes.resize(begin);
      throw;
    }
    appended_.notify_one();
    return next_lsn_++;
  }
  Result<Blank> allocate_segment(std::uint64_t length,
                                 FileSpace::Where where = FileSpace::Where::anywhere);
  Result<void> fill(const FileSpace::Scratch& scratch, std::uint64_t number,
                    std::span<std::byte> pages);
  Batch make_room_for(const Blank& blank, std::uint64_t first_lsn);
  void begin_segment(const Stretch& segment, Batch first);
  void lead_to(const Blank& blank);
  Error fail_locked(const Error& cause) noexcept;
  bool has_room(std::uint64_t bytes) const;
  Result<void> flush(std::unique_lock<std::mutex>& lock, bool durable);
  Result<void> write_batches(std::vector<Batch>& batches, std::uint64_t durable_lsn, bool durable,
                             bool datasync);
  void seal(Batch& batch, std::uint64_t durable_lsn);
  void run_flusher();

  File& file_;
  FileSpace& space_;
  const std::uint64_t salt_;
  const std::uint64_t segment_bytes_;

  mutable std::mutex mutex_;
  std::condition_variable flushed_;
  std::condition_variable appended_;
  // All guarded by mutex_.
  std::vector<Segment> segments_;  // the log's, in order; the last one takes new frames
  std::vector<Batch> pending_;     // never empty; the last one belongs to the last segment
  std::uint64_t next_lsn_;
  std::uint64_t durable_lsn_;
  std::uint64_t written_lsn_;   // with or without sync
  std::optional<Blank> spare_;  // not part of the log yet
  std::uint64_t numbers_ = 0;   // of segments that were given out
  bool flushing_ = false;
  std::optional<Error> failed_;
  std::optional<Error> cause_;
  std::chrono::milliseconds period_{0};
  bool stop_ = false;
  std::thread flusher_;

  std::uint64_t chain_ = 0;  // checksum of the last sealed frame; belongs to who set flushing_
};

}  // namespace cairn::format
