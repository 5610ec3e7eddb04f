// SPDX-License-Identifier: Apache-2.0
#include "format/log/redo_log.h"

#include <algorithm>
#include <new>
#include <string>
#include <system_error>
#include <utility>

#include "engine/base/assert.h"

namespace cairn::format {
namespace {

// Kept free at the end of a segment for the frame that leads to the next one.
constexpr std::uint64_t kJumpReserve = kPageSize;
constexpr std::uint64_t kLargestSegment = std::uint64_t{16} << 20;
constexpr std::size_t kFillPiece = std::size_t{1} << 20;

std::uint64_t padded(std::uint64_t bytes) { return round_up(bytes, kPageSize); }

// Without memory, with a message that needs none: as short as a string that has no memory of its
// own.
Error copy_of(const Error& error) noexcept {
  try {
    return error;
  } catch (const std::bad_alloc&) {
    return Error(error.code(), "out of memory");
  }
}

}  // namespace

RedoLog::RedoLog(File& file, FileSpace& space, std::uint64_t salt, std::uint64_t first_lsn,
                 std::uint64_t segment_bytes)
    : file_(file),
      space_(space),
      salt_(salt),
      segment_bytes_(std::max(padded(segment_bytes), 4 * std::uint64_t{kPageSize})),
      next_lsn_(first_lsn),
      durable_lsn_(first_lsn - 1),
      written_lsn_(first_lsn - 1) {}

RedoLog::~RedoLog() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  appended_.notify_all();
  if (flusher_.joinable()) flusher_.join();
}

Error RedoLog::fail_locked(const Error& cause) noexcept {
  if (!failed_) {
    cause_ = copy_of(cause);
    try {
      // What failed in the file names it already.
      const std::string path = file_.path().string();
      const bool is_named = cause.message().find(path) != std::string::npos;
      failed_ = Error(ErrorCode::poisoned, "nothing more is written" +
                                               (is_named ? std::string() : " to " + path) +
                                               ", since this failed: " + cause.message());
    } catch (const std::bad_alloc&) {
      failed_ = Error(ErrorCode::poisoned, "out of memory");
    }
    flushed_.notify_all();
  }
  return copy_of(*failed_);
}

Error RedoLog::fail(const Error& cause) noexcept {
  const std::lock_guard lock(mutex_);
  return fail_locked(cause);
}

Error RedoLog::fail_unless_full(const Error& cause) noexcept {
  return cause.code() == ErrorCode::no_space ? copy_of(cause) : fail(cause);
}

Result<RedoLog::Blank> RedoLog::allocate_segment(std::uint64_t length, FileSpace::Where where) {
  std::vector<std::byte> pages(std::min<std::uint64_t>(length, kFillPiece));
  const auto scratch = space_.allocate_scratch(length, where);
  if (!scratch) return fail_unless_full(scratch.error());
  Blank blank{scratch->stretch, 0};
  {
    const std::lock_guard lock(mutex_);
    blank.number = ++numbers_;
  }
  if (auto ok = fill(*scratch, blank.number, pages); !ok) return fail(ok.error());
  return blank;
}

// Whoever copies the file can tell by these pages that nothing was written there yet. New blocks
// are synced, so that a later sync of frames need not record that they are written for the first
// time.
Result<void> RedoLog::fill(const FileSpace::Scratch& scratch, std::uint64_t number,
                           std::span<std::byte> pages) {
  const Stretch& stretch = scratch.stretch;
  for (std::size_t at = 0; at < pages.size(); at += unused_at::kSize) {
    encode_unused_page(std::span<std::byte, unused_at::kSize>(pages.data() + at, unused_at::kSize),
                       salt_, number);
  }
  for (std::uint64_t at = 0; at < stretch.length; at += pages.size()) {
    const auto piece = pages.first(std::min<std::uint64_t>(pages.size(), stretch.length - at));
    auto filled = scratch.is_new ? file_.pwrite_dsync(piece, stretch.offset + at)
                                 : file_.pwrite(piece, stretch.offset + at);
    if (!filled) return filled;
  }
  return {};
}

// All the memory that begin_segment() needs, and the first page of the segment.
RedoLog::Batch RedoLog::make_room_for(const Blank& blank, std::uint64_t first_lsn) {
  segments_.reserve(segments_.size() + 1);
  pending_.reserve(pending_.size() + 1);
  SegmentHeader header{salt_, first_lsn, blank.stretch.length, blank.number, 0};
  Batch batch;
  batch.write_at = blank.stretch.offset;
  batch.has_header = true;
  batch.bytes.resize(segment_at::kSize);
  header.encode(std::span<std::byte, segment_at::kSize>(batch.bytes));
  batch.chain = header.checksum;
  return batch;
}

void RedoLog::begin_segment(const Stretch& segment, Batch first) {
  segments_.push_back({segment, next_lsn_});
  pending_.push_back(std::move(first));
}

// A jump, and the segment that it leads to: both or, without memory, none. A jump to a segment that
// is not begun would end the log there.
void RedoLog::lead_to(const Blank& blank) {
  const Stretch& segment = blank.stretch;
  Batch first = make_room_for(blank, next_lsn_ + 1);
  append_locked([&](FrameBuilder& frame) { frame.add(RecordKind::jump, 0, segment.offset, {}); });
  begin_segment(segment, std::move(first));
}

Result<void> RedoLog::start(FileSpace::Where where) {
  const auto blank = allocate_segment(segment_bytes_, where);
  if (!blank) return blank.error();
  std::unique_lock lock(mutex_);
  begin_segment(blank->stretch, make_room_for(*blank, next_lsn_));
  return flush(lock, true);
}

// Whoever waits for the disk may write the present group before the frame comes, which then begins
// on a page of its own.
bool RedoLog::has_room(std::uint64_t bytes) const {
  const Batch& batch = pending_.back();
  return batch.write_at + padded(batch.bytes.size()) + padded(bytes) + kJumpReserve <=
         segments_.back().stretch.end();
}

Result<void> RedoLog::ensure(std::uint64_t bytes) {
  if (bytes > kMaxFrame - kPageSize) {
    return Error(ErrorCode::invalid_argument, "a log frame of " + std::to_string(bytes) +
                                                  " bytes is too large; at most 256 MiB");
  }
  std::uint64_t length = 0;
  {
    const std::lock_guard lock(mutex_);
    if (failed_) return copy_of(*failed_);
    if (has_room(bytes)) return {};
    length = std::max(2 * segments_.back().stretch.length,
                      segment_at::kSize + padded(bytes) + kJumpReserve);
    if (length > kLargestSegment) {
      length = std::max(kLargestSegment, segment_at::kSize + padded(bytes) + kJumpReserve);
    }
  }
  const auto blank = allocate_segment(length);
  if (!blank) return blank.error();
  const std::lock_guard lock(mutex_);
  if (failed_) return copy_of(*failed_);
  try {
    lead_to(*blank);
  } catch (const std::bad_alloc&) {
    space_.release(blank->stretch);
    throw;
  }
  return {};
}

Result<void> RedoLog::prepare_switch() {
  {
    const std::lock_guard lock(mutex_);
    if (failed_) return copy_of(*failed_);
    if (spare_) return {};
  }
  const auto blank = allocate_segment(segment_bytes_);
  if (!blank) return blank.error();
  const std::lock_guard lock(mutex_);
  spare_ = *blank;
  return {};
}

Result<RedoLog::Start> RedoLog::switch_segment() {
  if (auto ok = prepare_switch(); !ok) return ok.error();
  const std::lock_guard lock(mutex_);
  if (failed_) return copy_of(*failed_);
  lead_to(*spare_);
  const Stretch stretch = std::exchange(spare_, std::nullopt)->stretch;
  return Start{stretch.offset, salt_, next_lsn_, stretch.end()};
}

RedoLog::Start RedoLog::start_of_log() const {
  const std::lock_guard lock(mutex_);
  const Segment& first = segments_.front();
  return {first.stretch.offset, salt_, first.first_lsn, first.stretch.end()};
}

Result<void> RedoLog::sync(std::uint64_t lsn) {
  std::unique_lock lock(mutex_);
  lsn = std::min(lsn, next_lsn_ - 1);
  while (durable_lsn_ < lsn) {
    if (failed_) return copy_of(*failed_);
    if (flushing_) {
      flushed_.wait(lock);
    } else if (auto ok = flush(lock, true); !ok) {
      return ok;
    }
  }
  return {};
}

Result<void> RedoLog::write(std::size_t at_least) {
  std::unique_lock lock(mutex_);
  if (failed_) return copy_of(*failed_);
  std::size_t waiting = 0;
  for (const Batch& batch : pending_) waiting += batch.bytes.size();
  // Who is flushing may not have all of it; a large rest is written next time.
  if (waiting == 0 || waiting < at_least || (flushing_ && at_least != 0)) return {};
  while (flushing_) flushed_.wait(lock);
  if (failed_) return copy_of(*failed_);
  return flush(lock, false);
}

// Writes all that is pending. REQUIRES: nobody else is flushing.
Result<void> RedoLog::flush(std::unique_lock<std::mutex>& lock, bool durable) {
  CAIRN_ASSERT(lock.owns_lock() && !flushing_);
  std::vector<Batch> batches;
  try {
    batches.resize(1);
  } catch (const std::bad_alloc&) {
    return fail_locked(Error(ErrorCode::out_of_memory, "out of memory"));
  }
  batches.front().write_at = pending_.back().write_at + padded(pending_.back().bytes.size());
  batches.swap(pending_);
  flushing_ = true;
  const std::uint64_t last = next_lsn_ - 1;
  const std::uint64_t known_durable = durable_lsn_;
  const bool datasync = durable && written_lsn_ != durable_lsn_;
  lock.unlock();
  Result<void> written;
  try {
    written = write_batches(batches, known_durable, durable, datasync);
  } catch (const std::bad_alloc&) {
    written = Error(ErrorCode::out_of_memory, "out of memory");
  }
  lock.lock();
  flushing_ = false;
  if (!written) return fail_locked(written.error());
  written_lsn_ = last;
  if (durable) durable_lsn_ = last;
  flushed_.notify_all();
  return {};
}

Result<void> RedoLog::write_batches(std::vector<Batch>& batches, std::uint64_t durable_lsn,
                                    bool durable, bool datasync) {
  const bool with_sync = durable && !datasync;
  for (Batch& batch : batches) {
    if (!batch.bytes.empty()) seal(batch, durable_lsn);
  }
  // A jump is never there without the segment that it leads to.
  for (auto batch = batches.rbegin(); batch != batches.rend(); ++batch) {
    if (batch->bytes.empty()) continue;
    auto written = with_sync ? file_.pwrite_dsync(batch->bytes, batch->write_at)
                             : file_.pwrite(batch->bytes, batch->write_at);
    if (!written) return written;
  }
  // Earlier groups were written without a sync: all of the file's have to be waited for.
  return datasync ? file_.datasync() : Result<void>();
}

// Pads the group to whole pages, so that nothing that is durable is ever written again, and chains
// its frames.
void RedoLog::seal(Batch& batch, std::uint64_t durable_lsn) {
  batch.bytes.resize(padded(batch.bytes.size()));
  if (batch.has_header) chain_ = batch.chain;
  for (std::size_t i = 0; i < batch.frames.size(); ++i) {
    const std::size_t begin = batch.frames[i];
    const std::size_t end = i + 1 < batch.frames.size() ? batch.frames[i + 1] : batch.bytes.size();
    chain_ =
        seal_frame(std::span(batch.bytes).subspan(begin, end - begin), salt_, chain_, durable_lsn);
  }
}

Result<void> RedoLog::sync_every(std::chrono::milliseconds period) {
  period_ = period;
  try {
    flusher_ = std::thread([this] { run_flusher(); });
  } catch (const std::system_error& error) {
    return Error(ErrorCode::out_of_memory, "cannot start a thread: " + error.code().message());
  }
  return {};
}

void RedoLog::run_flusher() {
  std::unique_lock lock(mutex_);
  while (!stop_) {
    if (failed_) return;
    if (durable_lsn_ + 1 == next_lsn_) {
      appended_.wait(lock);
      continue;
    }
    const std::uint64_t waiting_for = next_lsn_ - 1;
    const auto until = std::chrono::steady_clock::now() + period_;
    while (!stop_ && appended_.wait_until(lock, until) != std::cv_status::timeout) {
    }
    while (!failed_ && durable_lsn_ < waiting_for) {
      if (flushing_) {
        flushed_.wait(lock);
      } else {
        (void)flush(lock, true);  // a failure is kept in failed_
      }
    }
  }
}

void RedoLog::release_before(const Start& start) {
  const std::lock_guard lock(mutex_);
  while (segments_.size() > 1 && segments_.front().first_lsn < start.first_lsn) {
    space_.release(segments_.front().stretch);
    segments_.erase(segments_.begin());
  }
}

std::uint64_t RedoLog::last_lsn() const {
  const std::lock_guard lock(mutex_);
  return next_lsn_ - 1;
}

std::uint64_t RedoLog::durable_lsn() const {
  const std::lock_guard lock(mutex_);
  return durable_lsn_;
}

std::uint64_t RedoLog::bytes() const {
  const std::lock_guard lock(mutex_);
  std::uint64_t total = 0;
  for (const Segment& segment : segments_) total += segment.stretch.length;
  return total;
}

std::vector<Stretch> RedoLog::segments() const {
  const std::lock_guard lock(mutex_);
  std::vector<Stretch> stretches;
  for (const Segment& segment : segments_) stretches.push_back(segment.stretch);
  return stretches;
}

std::optional<Error> RedoLog::failure() const noexcept {
  const std::lock_guard lock(mutex_);
  if (!failed_) return std::nullopt;
  return copy_of(*failed_);
}

std::optional<Error> RedoLog::cause() const noexcept {
  const std::lock_guard lock(mutex_);
  if (!cause_) return std::nullopt;
  return copy_of(*cause_);
}

}  // namespace cairn::format
