// SPDX-License-Identifier: Apache-2.0
//
// Commits, growth and closing of a file that is open for writing.
#include "format/container/writable_container.h"

#include <algorithm>
#include <new>
#include <string>
#include <utility>

#include "format/container/commit_frame.h"
#include "format/container/container_state.h"
#include "format/container/writable_state.h"
#include "format/log/log_apply.h"
#include "format/log/log_replay.h"
#include "format/pages/checksum_tree.h"
#include "format/pages/section_memory.h"

namespace cairn::format {
namespace {

using State = WritableContainer::State;

// Without syncs, frames are written when so much of them waits.
constexpr std::size_t kUnsyncedBytes = std::size_t{256} << 10;
constexpr std::uint64_t kDoubleUpTo = std::uint64_t{1} << 30;

Error no_memory(const char* what) noexcept {
  try {
    return Error(ErrorCode::out_of_memory, std::string("no memory to ") + what);
  } catch (const std::bad_alloc&) {
    return Error(ErrorCode::out_of_memory, "out of memory");
  }
}

// The length of the run that makes a section of `size` bytes at least `wanted` bytes long.
std::uint64_t run_length(std::uint64_t size, std::uint64_t wanted, std::uint64_t first) {
  const std::uint64_t step = size == 0 ? first : (size <= kDoubleUpTo ? size : size / 4);
  return round_up(std::max(wanted - size, step), kPageSize);
}

// One behind the last byte of CHECKSUM that belongs to a tree.
std::uint64_t end_of_trees(const std::vector<Extent>& extents) {
  std::uint64_t end = 0;
  for (const Extent& run : extents) {
    if (run.section == kChecksumId) continue;
    end = std::max(end, run.tree_offset + TreeShape(run.length / kPageSize).bytes());
  }
  return end;
}

// The runs that one growth adds: of the section, and of CHECKSUM if the new tree needs it.
struct Growth {
  std::vector<Extent> runs;
};

Result<Growth> plan_growth(State& state, SectionId section, std::uint64_t bytes) {
  const std::uint64_t size = state.table.section_bytes(section);
  Region& memory = state.sections[section_index(section)];
  std::uint64_t length = run_length(size, bytes, state.options.first_run_bytes);
  if (!memory.reserve_more(size + length)) {
    // What is needed, without a reserve.
    if (auto ok = memory.reserve_more(round_up(bytes, kPageSize)); !ok) {
      return ok.error().with_context("grow section " +
                                     section_name(static_cast<std::uint16_t>(section)));
    }
    length = (memory.capacity() - size) / kPageSize * kPageSize;
  }
  Growth growth;
  const std::uint64_t tree = end_of_trees(state.current.extents);
  growth.runs.push_back({.section = static_cast<std::uint16_t>(section),
                         .flags = 0,
                         .logical_offset = size,
                         .length = length,
                         .file_offset = 0,
                         .tree_offset = tree,
                         .root = 0});
  const std::uint64_t trees = tree + TreeShape(length / kPageSize).bytes();
  const std::uint64_t checksums = state.table.section_bytes(SectionId::checksum);
  if (trees > checksums) {
    growth.runs.push_back({.section = kChecksumId,
                           .flags = 0,
                           .logical_offset = checksums,
                           .length = run_length(checksums, trees, 4 * kPageSize),
                           .file_offset = 0,
                           .tree_offset = 0,
                           .root = 0});
  }
  if (state.current.extents.size() + growth.runs.size() > kMaxExtents) {
    return Error(ErrorCode::no_space, "the file has " +
                                          std::to_string(state.current.extents.size()) +
                                          " runs and can have no more");
  }
  return growth;
}

void give_back(State& state, const Growth& growth) {
  for (const Extent& run : growth.runs) {
    if (run.file_offset != 0) state.space.release({run.file_offset, run.length});
  }
}

// Disk for the runs, room in the log, memory: all that can be refused.
Result<ExtentTable> allocate_growth(State& state, Growth& growth) {
  for (Extent& run : growth.runs) {
    const auto stretch = state.space.allocate_run(run.length, run.logical_offset);
    if (!stretch) return state.log->fail_unless_full(stretch.error());
    run.file_offset = stretch->offset;
  }
  // From now on the new pages read as zeros, whatever happens.
  if (auto ok = state.file.datasync(); !ok) return state.log->fail(ok.error());
  std::vector<Extent> extents = state.current.extents;
  for (const Extent& run : growth.runs) insert_extent(extents, run);
  auto table = ExtentTable::check(std::move(extents), kMaxFileSize, state.header.section_count);
  if (!table) return Error(ErrorCode::internal, table.error().message());
  const std::uint64_t frame =
      frame_at::kSize + growth.runs.size() * record_bytes(Extent::kEncodedSize);
  if (auto ok = state.log->ensure(frame); !ok) return ok.error();
  const Extent& run = growth.runs.front();
  const auto section = static_cast<SectionId>(run.section);
  state.dirty.extend(section, (run.logical_offset + run.length) / kPageSize);
  auto appended =
      append_run(state.file, run, state.options.residency, state.sections[section_index(section)]);
  if (!appended) return appended.error();
  return table;
}

Result<void> do_grow(State& state, SectionId section, std::uint64_t bytes) {
  auto growth = plan_growth(state, section, bytes);
  if (!growth) return growth.error();
  auto table = allocate_growth(state, *growth);
  if (!table) {
    give_back(state, *growth);
    return table.error();
  }
  state.current.extents.assign(table->all().begin(), table->all().end());
  state.table = std::move(*table);
  const auto logged = state.log->append([&](FrameBuilder& frame) {
    for (const Extent& run : growth->runs) {
      std::array<std::byte, Extent::kEncodedSize> encoded;
      run.encode(encoded);
      frame.add(RecordKind::run, run.section, 0, encoded);
    }
  });
  if (!logged) return logged.error();
  return {};
}

// Larger changes are cut, since a record's length is 32 bits wide.
Result<void> check_changes(const State& state, std::span<const Change> changes) {
  for (const Change& change : changes) {
    const auto id = static_cast<std::uint16_t>(change.section);
    if (id == 0 || id > kDataSectionCount || change.length == 0 || change.length > kMaxFrame ||
        !fits(change.offset, change.length, state.table.section_bytes(change.section))) {
      return Error(ErrorCode::internal, "commit of " + std::to_string(change.length) +
                                            " bytes at " + std::to_string(change.offset) +
                                            ", which are not in section " + std::to_string(id));
    }
  }
  return {};
}

Result<std::uint64_t> do_commit(State& state, std::span<const Change> changes,
                                const Counters& counters) {
  if (auto ok = check_changes(state, changes); !ok) return ok.error();
  if (auto ok = check_counters(state.header.parameters, counters, state.table); !ok) {
    return Error(ErrorCode::internal, ok.error().message());
  }
  if (auto ok = state.log->ensure(frame_bytes_of(changes)); !ok) return ok.error();
  auto lsn = state.log->append([&](FrameBuilder& frame) {
    add_changes(state.sections, changes, frame);
    std::array<std::byte, Counters::kEncodedSize> encoded;
    counters.encode(encoded);
    frame.add(RecordKind::counters, 0, 0, encoded);
  });
  if (!lsn) return lsn;
  for (const Change& change : changes) {
    state.dirty.mark(change.section, change.offset, change.length);
  }
  state.current.counters = counters;
  return lsn;
}

Result<void> do_close(State& state) {
  const bool is_clean = !state.block.has_log();
  if (!is_clean) {
    freeze_pages(state, state.log->last_lsn(), std::nullopt);
    auto written = write_checkpoint(state, nullptr);
    finish_checkpoint(state);
    if (!written) return written;
  }
  // The log and whatever else lay behind the runs.
  if (auto ok = state.file.truncate(state.block.file_size); !ok) return state.log->fail(ok.error());
  if (auto ok = state.file.sync(); !ok) return state.log->fail(ok.error());
  return {};
}

// That the log can be read as far as it was written.
std::vector<std::string> check_log_of(const State& state) {
  const std::uint64_t durable = state.log->durable_lsn();
  const auto start = state.log->start_of_log();
  LogReader log(state.file, {start.offset, start.salt, start.first_lsn});
  const auto replayed =
      replay_frames(log, [](std::uint64_t, std::span<const Record>) { return Result<void>(); });
  if (!replayed) return {replayed.error().message()};
  if (log.last_lsn() >= durable) return {};
  return {"log at " + std::to_string(log.at()) + ": frame " + std::to_string(log.last_lsn() + 1) +
          " was on disk and cannot be read"};
}

}  // namespace

Error opened_elsewhere() {
  return Error(ErrorCode::unsupported,
               "it was opened for writing before this process was forked: only the process that "
               "opened it may go on with it");
}

WritableContainer::WritableContainer(std::unique_ptr<State> state) : state_(std::move(state)) {}
WritableContainer::WritableContainer(WritableContainer&&) noexcept = default;

WritableContainer::~WritableContainer() {
  if (!state_) return;
  if (state_->home.is_here()) {
    (void)close();
    return;
  }
  // What threads of the parent have locked, or wait for, can never be destroyed here.
  state_->let_go();
  (void)state_.release();
}

const Parameters& WritableContainer::parameters() const { return state_->header.parameters; }
std::optional<std::uint64_t> WritableContainer::hash_seed() const {
  return hash_seed_of(state_->header, state_->block);
}
const Counters& WritableContainer::counters() const { return state_->current.counters; }
const Region& WritableContainer::section(SectionId id) const {
  return state_->sections[section_index(id)];
}
Region& WritableContainer::section(SectionId id) { return state_->sections[section_index(id)]; }

Result<void> WritableContainer::grow(SectionId section, std::uint64_t bytes) {
  if (auto healthy = health(); !healthy) return healthy;
  if (bytes <= state_->table.section_bytes(section)) return {};
  try {
    return do_grow(*state_, section, bytes);
  } catch (const std::bad_alloc&) {
    return state_->log->fail(no_memory("grow a section"));
  }
}

Result<void> WritableContainer::reserve(std::size_t changes, std::uint64_t bytes) {
  if (!state_->home.is_here()) return opened_elsewhere();
  try {
    if (bytes > kMaxFrame) return state_->log->ensure(bytes);
    return state_->log->ensure(most_frame_bytes(changes, bytes));
  } catch (const std::bad_alloc&) {
    return no_memory("make room in the log");
  }
}

Result<std::uint64_t> WritableContainer::commit(std::span<const Change> changes,
                                                const Counters& counters) {
  if (!state_->home.is_here()) return opened_elsewhere();
  // The stores are there already: what cannot be logged now never will be.
  try {
    auto lsn = do_commit(*state_, changes, counters);
    if (!lsn && lsn.error().code() != ErrorCode::poisoned) return state_->log->fail(lsn.error());
    return lsn;
  } catch (const std::bad_alloc&) {
    return state_->log->fail(no_memory("log a commit"));
  }
}

Result<void> WritableContainer::acknowledge(std::uint64_t lsn) {
  if (!state_->home.is_here()) return opened_elsewhere();
  switch (state_->options.durability) {
    case Durability::sync: return state_->log->sync(lsn);
    case Durability::group: return health();
    case Durability::none: return state_->log->write(kUnsyncedBytes);
  }
  return {};
}

Result<void> WritableContainer::write() {
  if (!state_->home.is_here()) return opened_elsewhere();
  return state_->log->write(0);
}

Result<void> WritableContainer::sync() {
  if (auto healthy = health(); !healthy) return healthy;
  return state_->log->sync(state_->log->last_lsn());
}

std::mutex& WritableContainer::checkpoint_mutex() { return state_->checkpoint_mutex; }

Result<void> WritableContainer::prepare_freeze() {
  if (!state_->home.is_here()) return opened_elsewhere();
  try {
    return state_->log->prepare_switch();
  } catch (const std::bad_alloc&) {
    return no_memory("begin a checkpoint");
  }
}

Result<void> WritableContainer::freeze() {
  try {
    const auto start = state_->log->switch_segment();
    if (!start) return start.error();
    freeze_pages(*state_, start->first_lsn - 1, *start);
    return {};
  } catch (const std::bad_alloc&) {
    return no_memory("begin a checkpoint");
  }
}

Result<void> WritableContainer::write_frozen(const std::atomic<bool>* stop) {
  try {
    return write_checkpoint(*state_, stop);
  } catch (const std::bad_alloc&) {
    // Before the first byte is written nothing has happened; afterwards recovery has to decide.
    if (state_->frozen->journal.length == 0) return no_memory("make a checkpoint");
    return state_->log->fail(no_memory("make a checkpoint"));
  }
}

void WritableContainer::thaw(std::span<const Change> under_way) {
  try {
    for (const Change& change : under_way) {
      state_->dirty.mark(change.section, change.offset, change.length);
    }
    finish_checkpoint(*state_);
  } catch (const std::bad_alloc&) {
    (void)state_->log->fail(no_memory("end a checkpoint"));
  }
}

Result<void> WritableContainer::close() {
  if (!state_->home.is_here()) return opened_elsewhere();
  const std::lock_guard running(state_->checkpoint_mutex);
  if (state_->is_closed || state_->is_abandoned) return {};
  state_->is_closed = true;
  try {
    if (auto healthy = health(); !healthy) return healthy;
    auto closed = do_close(*state_);
    (void)state_->log->fail(Error(ErrorCode::internal, "it is closed"));
    return closed;
  } catch (const std::bad_alloc&) {
    return state_->log->fail(no_memory("close"));
  }
}

void WritableContainer::abandon() noexcept { state_->is_abandoned = true; }

Result<void> WritableContainer::check_place(FileSystem& fs,
                                            const std::filesystem::path& path) const {
  const auto mine = state_->file.info();
  if (!mine) return mine.error();
  const auto there = fs.info(path);
  if (!there) return there.error();
  if (mine->device == there->device && mine->inode == there->inode) return {};
  return Error(ErrorCode::path_exists,
               path.string() + " is another file by now, which is not replaced");
}

void WritableContainer::renamed_to(std::filesystem::path path) noexcept {
  state_->file.renamed_to(std::move(path));
}

Error WritableContainer::fail(const Error& cause) noexcept { return state_->log->fail(cause); }

Result<void> WritableContainer::health() const {
  if (!state_->home.is_here()) return opened_elsewhere();
  if (const auto failure = state_->log->failure()) return *failure;
  return {};
}

WriteStats WritableContainer::stats() const {
  WriteStats stats;
  stats.generation = state_->generation;
  stats.file_bytes = state_->space.end();
  stats.log_bytes = state_->log->bytes();
  stats.last_lsn = state_->log->last_lsn();
  stats.durable_lsn = state_->log->durable_lsn();
  stats.log_frames = stats.last_lsn - std::min(stats.last_lsn, state_->checkpoint_lsn.load());
  stats.dirty_pages = state_->dirty.count();
  stats.checkpoints = state_->checkpoints;
  stats.recovered_frames = state_->recovered_frames;
  stats.recovery_ns = state_->recovery_ns;
  stats.loss = state_->loss;
  return stats;
}

Result<Container::PageReport> WritableContainer::verify_pages(
    unsigned threads, const std::function<void(std::uint64_t)>& progress,
    const std::atomic<bool>* stop) const {
  if (!state_->home.is_here()) return opened_elsewhere();
  const std::lock_guard running(state_->checkpoint_mutex);
  if (auto healthy = health(); !healthy) return healthy.error();
  return verify_file(state_->file, state_->header, state_->base_table, threads, progress, stop,
                     check_log_of(*state_));
}

Result<void> WritableContainer::check_pages(StopFlag stop) const {
  if (!state_->home.is_here()) return opened_elsewhere();
  if (state_->options.residency == Residency::load) return {};
  const std::lock_guard running(state_->checkpoint_mutex);
  if (auto healthy = health(); !healthy) return healthy;
  return check_all_pages(state_->file, state_->base_table, stop);
}

}  // namespace cairn::format
