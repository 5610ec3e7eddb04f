// SPDX-License-Identifier: Apache-2.0
#include "engine/change/durable.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <new>
#include <string>
#include <system_error>
#include <tuple>
#include <utility>

#include "engine/graph/self_search.h"
#include "engine/graph/sweeper.h"
#include "format/bytes/log_frame.h"
#include "format/bytes/superblock.h"

namespace cairn {

using format::Change;
using format::SectionId;

namespace {

// Of one change: a list is one, and a replaced node's neighbors and the sweep write a few hundred.
constexpr std::size_t kMostChanges = 4096;
// So much log, and a checkpoint makes it short again: bounds the time of a recovery.
constexpr std::uint64_t kLogBytes = std::uint64_t{128} << 20;
// So many pages that differ from the file, and a checkpoint comes earlier: bounds the memory that
// they take, 1 GiB, and once more while they are written. Not for less than so much log.
constexpr std::uint64_t kDirtyPages = std::uint64_t{1} << 18;
constexpr std::uint64_t kLeastLogBytes = kLogBytes / 8;
// What the log takes beside the bytes that have changed: of a commit, and of each change.
constexpr std::uint64_t kBytesOfCommit =
    format::frame_at::kSize + format::record_bytes(format::Counters::kEncodedSize);
constexpr std::uint64_t kBytesOfChange = 4;
// Bytes between two changes that cost no more than what the log takes for another one.
constexpr std::uint64_t kWorthJoining = 2;

// What one change may log: its own node, the lists around it and around the one it replaces, the
// slots that it releases before and after, the heirs of tombstones, and the links to strays.
std::uint64_t most_bytes(const format::Parameters& parameters) {
  const std::uint64_t list = format::hot::kLinks + sizeof(NodeId) * parameters.m_max0;
  const std::uint64_t node = std::uint64_t{parameters.hot_stride} + parameters.exact_stride;
  const std::uint64_t heir = format::hot::kLinks + sizeof(NodeId);
  return node + 4 * parameters.m_max0 * list + 2 * Sweeper::kMostReleased * (node + list) +
         HeirChains::kMostShortened * heir +
         std::tuple_size_v<SelfSearchTurns::Nodes> * kLinksToStray * list;
}

// All pages: where a store that could not be noted may be in any of them.
std::span<const Change> whole_sections(const format::WritableContainer& file,
                                       std::array<Change, format::kDataSectionCount>& out) {
  std::size_t n = 0;
  for (std::uint16_t id = 1; id <= format::kDataSectionCount; ++id) {
    const auto section = static_cast<SectionId>(id);
    if (const std::size_t size = file.section(section).size(); size != 0) {
      out[n++] = {section, 0, size};
    }
  }
  return std::span(out).first(n);
}

}  // namespace

Durable::Durable(File file, NodeStore& store, KeyTable& table, CommitMutex& commit)
    : file_(std::move(file)),
      store_(store),
      table_(table),
      commit_(commit),
      at_open_(file_->stats()),
      applied_up_to_(file_->counters().applied_up_to),
      advised_ef_(file_->counters().advised_ef) {
  store_.report_to(this);
  table_.report_to(this);
}

Result<void> Durable::start() {
  try {
    checkpointer_->thread = std::thread([this] { make_checkpoints(); });
    return {};
  } catch (const std::system_error& error) {
    return Error(ErrorCode::out_of_memory, "cannot start a thread: " + error.code().message());
  }
}

Durable::~Durable() {
  if (!home_.is_here()) {
    // The thread is not here, and what it waited for would wait for it.
    (void)checkpointer_.release();
    return;
  }
  stop_checkpoints();
  {
    const std::lock_guard lock(commit_);
    store_.report_to(nullptr);
    table_.report_to(nullptr);
    // What failed has been told, or nobody waits for it: a slot that was taken and not linked.
    try {
      if (!changes_.empty() && begin()) (void)commit();
    } catch (const std::bad_alloc&) {
      // As above.
    }
  }
  (void)file_->close();
}

void Durable::changed(SectionId section, std::uint64_t offset, std::size_t length) noexcept {
  try {
    changes_.push_back({section, offset, length});
  } catch (const std::bad_alloc&) {
    lost_ = true;
  }
}

// `poisoned`, with the path of the file.
Error Durable::end_of_writing() noexcept {
  try {
    return file_->fail(
        Error(ErrorCode::out_of_memory, "no memory was left to note what had been stored"));
  } catch (const std::bad_alloc&) {
    return file_->fail(Error(ErrorCode::out_of_memory, ""));
  }
}

Result<void> Durable::grow(SectionId section, format::Region&, std::uint64_t bytes) {
  return file_->grow(section, bytes);
}

Result<void> Durable::begin(std::uint64_t more_lists) {
  if (lost_) return end_of_writing();
  if (auto healthy = file_->health(); !healthy) return healthy;
  const std::uint64_t bytes_of_list =
      format::hot::kLinks + sizeof(NodeId) * store_.parameters().m_max0;
  // However often a list is written, it is logged once; a quarter is for entries of the key table.
  const std::uint64_t lists = std::uint64_t{store_.count()} + store_.upper_count();
  more_lists = std::min(more_lists, lists + lists / 4);
  const std::size_t most = changes_.size() + kMostChanges + 2 * more_lists;
  std::uint64_t bytes = most_bytes(store_.parameters()) + more_lists * bytes_of_list;
  for (const Change& change : changes_) bytes += change.length;
  // Not the memory for notes before the log has said that there is room.
  if (auto room = file_->reserve(most, bytes); !room) return room;
  changes_.reserve(most);
  return {};
}

// Sorted and without overlaps: lists are written more than once.
void Durable::merge_changes() {
  std::sort(changes_.begin(), changes_.end(), [](const Change& a, const Change& b) {
    return std::tie(a.section, a.offset) < std::tie(b.section, b.offset);
  });
  std::size_t last = 0;
  for (std::size_t i = 1; i < changes_.size(); ++i) {
    Change& before = changes_[last];
    const Change& next = changes_[i];
    const std::uint64_t end = before.offset + before.length;
    if (next.section == before.section && next.offset <= end + kWorthJoining) {
      before.length = std::max(end, next.offset + next.length) - before.offset;
    } else {
      changes_[++last] = next;
    }
  }
  if (!changes_.empty()) changes_.resize(last + 1);
}

Result<Durable::Pending> Durable::commit() {
  if (lost_) return end_of_writing();
  merge_changes();
  format::Counters counters{};
  store_.store(counters);
  table_.store(counters);
  counters.applied_up_to = applied_up_to_;
  counters.advised_ef = advised_ef_;
  auto lsn = file_->commit(changes_, counters);
  if (!lsn) return lsn.error();
  logged_ += kBytesOfCommit;
  for (const Change& change : changes_) logged_ += change.length + kBytesOfChange;
  changes_.clear();
  if (logged_ >= kLogBytes ||
      (logged_ >= kLeastLogBytes && file_->stats().dirty_pages >= kDirtyPages)) {
    logged_ = 0;
    const std::lock_guard lock(checkpointer_->mutex);
    checkpointer_->is_wanted = true;
    checkpointer_->wake.notify_one();
  }
  return Pending{file_, *lsn};
}

Result<void> Durable::commit_part() {
  if (changes_.empty()) return {};
  const auto committed = commit();
  if (!committed) return committed.error();
  if (auto ok = file_->write(); !ok) return ok;
  return begin();
}

std::uint64_t Durable::checkpoints() const {
  return earlier_checkpoints_ + file_->stats().checkpoints;
}

void Durable::exchange(File file) {
  earlier_checkpoints_ += file_->stats().checkpoints;
  file_ = std::move(file);
  changes_.clear();
  logged_ = 0;
  store_.report_to(this);
  table_.report_to(this);
}

Result<void> Durable::acknowledge(const Pending& pending) {
  if (!pending.file) return {};
  return pending.file->acknowledge(pending.lsn);
}

Result<void> Durable::sync() {
  File file;
  {
    const std::lock_guard lock(commit_);
    file = file_;
  }
  return file->sync();
}

Result<void> Durable::checkpoint(format::StopFlag stop) {
  if (format::is_stopped(stop)) return format::stopped();
  auto made = make_checkpoint(stop);
  if (!made && made.error().code() != ErrorCode::cancelled) ++failed_checkpoints_;
  return made;
}

Result<void> Durable::make_checkpoint(format::StopFlag stop) {
  File file;
  {
    const std::lock_guard lock(commit_);
    file = file_;
  }
  const std::lock_guard running(file->checkpoint_mutex());
  if (auto ok = file->prepare_freeze(); !ok) return ok;
  {
    const std::lock_guard lock(commit_);
    if (file != file_) return {};  // replaced meanwhile by one that is up to date
    // Changes that are under way have stored to the pages, too.
    if (lost_ || !changes_.empty()) {
      if (auto ok = begin(); !ok) return ok;
      if (auto ok = commit(); !ok) return ok.error();
    }
    if (auto ok = file->freeze(); !ok) return ok;
    logged_ = 0;
  }
  auto written = file->write_frozen(stop);
  std::array<Change, format::kDataSectionCount> everything;
  const std::lock_guard lock(commit_);
  // What other changes have stored since is in no commit yet, and must outlive this.
  if (file != file_) {
    file->thaw({});
  } else if (lost_) {
    file->thaw(whole_sections(*file, everything));
  } else {
    file->thaw(changes_);
  }
  return written;
}

// A checkpoint that fails is tried again when as much has been logged once more; if the file is
// poisoned, the next change says so.
void Durable::make_checkpoints() {
  Checkpointer& own = *checkpointer_;
  std::unique_lock lock(own.mutex);
  for (;;) {
    own.wake.wait(lock, [&] { return own.is_wanted || own.is_stopping; });
    if (own.is_stopping) return;
    own.is_wanted = false;
    lock.unlock();
    try {
      (void)checkpoint();
    } catch (const std::bad_alloc&) {
      ++failed_checkpoints_;
    }
    lock.lock();
  }
}

void Durable::stop_checkpoints() {
  {
    const std::lock_guard lock(checkpointer_->mutex);
    checkpointer_->is_stopping = true;
    checkpointer_->wake.notify_one();
  }
  if (checkpointer_->thread.joinable()) checkpointer_->thread.join();
}

}  // namespace cairn
