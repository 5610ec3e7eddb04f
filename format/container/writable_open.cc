// SPDX-License-Identifier: Apache-2.0
//
// Creating a file and opening it for writing. docs/format.md, "Recovery".
#include <algorithm>
#include <array>
#include <chrono>
#include <cstring>
#include <new>
#include <string>
#include <utility>

#include "format/container/container_state.h"
#include "format/container/writable_state.h"
#include "format/log/journal.h"
#include "format/log/log_apply.h"
#include "format/pages/section_memory.h"

namespace cairn::format {
namespace {

using State = WritableContainer::State;

std::uint64_t nanoseconds_since(std::chrono::steady_clock::time_point begin) {
  const auto passed = std::chrono::steady_clock::now() - begin;
  return static_cast<std::uint64_t>(
      std::chrono::duration_cast<std::chrono::nanoseconds>(passed).count());
}

Error in_use() { return Error(ErrorCode::path_in_use, "it is open for writing elsewhere"); }

Result<File> open_locked(FileSystem& fs, const std::filesystem::path& path) {
  auto file = fs.open(path, Access::read_write);
  return file ? fs.lock_in_place(std::move(*file)) : file.error();
}

// False: between its creation and its lock somebody else, who may replace it, has had the file.
Result<bool> lock_new(FileSystem& fs, File& file) {
  const auto locked = file.try_lock();
  return locked && *locked ? fs.is_in_place(file) : locked;
}

// Whoever gave the file its name may have ended before that was durable. A directory that may not
// be read cannot be synced: then the names in it are as durable as who made them saw to.
Result<void> sync_name(FileSystem& fs, const std::filesystem::path& path) {
  const auto there = fs.resolve(path);
  if (!there) return there.error();
  auto synced = fs.sync_directory(there->has_parent_path() ? there->parent_path() : ".");
  if (!synced && synced.error().code() == ErrorCode::permission_denied) return {};
  return synced;
}

Reservation addresses_for(const State& state) {
  Reservation reservation{.grows = true};
  if (const auto& more = state.options.more_addresses) {
    reservation.at_least = more(state.header.parameters);
  }
  for (std::uint64_t& bytes : reservation.at_least) {
    bytes = std::max(bytes, state.options.section_addresses);
  }
  return reservation;
}

// Why writing has ended, as the error that it was.
Error cause_of(const State& state, const Error& error) {
  const auto cause = state.log ? state.log->cause() : std::nullopt;
  return cause ? *cause : error;
}

Result<void> start_log(State& state, std::uint64_t first_lsn) {
  state.log = std::make_unique<RedoLog>(state.file, state.space, state.salt, first_lsn,
                                        state.options.segment_bytes);
  // A file that was closed becomes longer, so that a copy begun before tells that it has been
  // opened.
  const bool was_closed = !state.block.has_log();
  return state.log->start(was_closed ? FileSpace::Where::behind : FileSpace::Where::anywhere);
}

Result<void> start_flusher(State& state) {
  if (state.options.durability != Durability::group) return {};
  return state.log->sync_every(std::chrono::milliseconds(state.options.group_ms));
}

// A superblock that says where the log is, of a file whose sections are up to date.
Superblock with_log(State& state, Superblock block) {
  const RedoLog::Start start = state.log->start_of_log();
  block.feature_incompat |= kIncompatOfLog;
  block.flags = 0;
  block.identity = state.identity;
  block.checkpoint_lsn = start.first_lsn - 1;
  block.log_offset = start.offset;
  block.log_salt = start.salt;
  block.log_first_lsn = start.first_lsn;
  block.journal_offset = block.journal_bytes = block.journal_checksum = 0;
  block.file_size = std::max(block.file_size, start.end);
  return block;
}

void mark_changed(State& state, SectionId section, std::uint64_t offset, std::uint64_t length) {
  state.dirty.extend(section, state.sections[section_index(section)].size() / kPageSize);
  if (length != 0) state.dirty.mark(section, offset, length);
}

LogReader log_of(const State& state) {
  return {state.file, {state.block.log_offset, state.block.log_salt, state.block.log_first_lsn}};
}

// Counts the frames that will be applied, where somebody wants to know how far it is.
Result<std::uint64_t> count_frames(const State& state) {
  LogReader log = log_of(state);
  std::uint64_t count = 0;  // without those that lead from segment to segment
  const auto counted =
      replay_frames(log, [&](std::uint64_t, std::span<const Record>) -> Result<void> {
        ++count;
        return is_stopped(state.options.stop) ? stopped() : Result<void>();
      });
  if (!counted) return counted.error();
  return count;
}

Result<void> fill_sections(State& state) {
  const Reservation addresses = addresses_for(state);
  if (state.options.residency == Residency::load) {
    return load_sections(state.file, state.table, state.sections, addresses, state.options.stop);
  }
  return map_sections(state.file, state.table, state.sections, true, addresses);
}

// Fills the sections and brings them up to date in memory.
Result<RecoveredLog> replay(State& state, std::uint64_t file_bytes,
                            std::vector<Stretch>& segments) {
  if (auto ok = fill_sections(state); !ok) return ok.error();
  for (std::size_t i = 0; i < kDataSectionCount; ++i) {
    mark_changed(state, static_cast<SectionId>(i + 1), 0, 0);
  }
  if (!state.block.has_log() || state.block.log_offset == 0) {
    RecoveredLog nothing;
    nothing.next_lsn = state.block.checkpoint_lsn + 1;
    return nothing;
  }
  LogApplier applier(state.file, state.header, state.current, state.table, state.sections,
                     state.options.residency,
                     [&](SectionId section, std::uint64_t offset, std::uint64_t length) {
                       mark_changed(state, section, offset, length);
                     });
  const auto& progress = state.options.progress;
  const auto total = progress ? count_frames(state) : Result<std::uint64_t>(0);
  if (!total) return total.error();
  LogReader log = log_of(state);
  auto recovered = recover_log(
      state.file, file_bytes, state.block, log,
      [&, done = std::uint64_t{0}](std::uint64_t lsn,
                                   std::span<const Record> records) mutable -> Result<void> {
        if (auto ok = applier.apply(lsn, records); !ok) return ok;
        if (progress) progress(++done, *total);
        return {};
      },
      state.options.salvage, state.options.stop);
  if (!recovered) return recovered;
  segments = log.segments();
  if (auto ok = check_log_space(state.table, state.block, segments); !ok) return ok.error();
  return recovered;
}

// Tells readers who writes from now on; before anything else is written.
Result<void> announce(State& state) {
  return write_mark(state.file, {state.salt, state.block.checkpoint_lsn});
}

// The slots to write so that both are the chosen block on the disk, in the order in which a power
// loss at any moment leaves a block that nothing has been overwritten for. Slot 0 is written first
// when a block is published, so if both are the same it is slot 1 that may be in the page cache
// alone. A slot that is not valid was being written when the chosen one was durable already.
Result<std::vector<std::size_t>> slots_to_write(const State& state, std::size_t chosen,
                                                std::span<const std::byte> bytes) {
  const std::size_t other = 1 - chosen;
  std::vector<std::byte> there(Superblock::kEncodedSize);
  if (auto ok = state.file.pread(there, kSuperblockOffsets[other]); !ok) return ok.error();
  if (std::equal(bytes.begin(), bytes.end(), there.begin())) return std::vector<std::size_t>{1};
  const auto block = Superblock::decode(std::span<const std::byte, Superblock::kEncodedSize>(there),
                                        state.header.uuid);
  return block ? std::vector{chosen, other} : std::vector{other};
}

// A superblock that was found may be in the page cache alone: its sync failed, or its writer ended
// before it. The disk then still has the one before. So that is made up for before anything else is
// written, and what dirty pages a writer has left goes first.
// `bytes`: of the slot, as they were when it was chosen.
Result<void> make_durable(State& state, std::size_t chosen, std::span<const std::byte> bytes) {
  const auto slots = slots_to_write(state, chosen, bytes);
  if (!slots) return slots.error();
  if (auto ok = state.file.datasync(); !ok) return ok;
  for (const std::size_t slot : *slots) {
    if (auto ok = state.file.pwrite_dsync(bytes, kSuperblockOffsets[slot]); !ok) return ok;
  }
  return {};
}

// Pages of a checkpoint that was not finished, from its journal.
Result<void> finish_journal(State& state) {
  if (!state.block.has_journal()) return {};
  const auto journal = Journal::read(state.file, state.block);
  if (!journal) return journal.error();
  if (auto ok = announce(state); !ok) return ok;
  if (auto ok = write_in_place(state.file, journal->images()); !ok) return ok;
  return state.file.datasync();
}

// Whoever writes needs numbers that are greater still, and readers accept.
Result<void> check_numbers(const State& state, std::uint64_t next_lsn) {
  constexpr std::uint64_t kMostToWrite = kMaxNumber / 2;
  if (state.block.generation <= kMostToWrite && next_lsn <= kMostToWrite) return {};
  return Error(ErrorCode::corrupt, "generation " + std::to_string(state.block.generation) +
                                       " and log frame " + std::to_string(next_lsn) +
                                       " leave no numbers to write with: at most 2^62");
}

// What the old superblock refers to is left alone until the new one is durable.
void use_everything(State& state, const std::vector<Stretch>& segments) {
  for (const Extent& run : state.table.all()) state.space.use({run.file_offset, run.length});
  for (const Stretch& segment : segments) state.space.use(segment);
  if (state.block.has_journal()) {
    state.space.use({state.block.journal_offset, state.block.journal_bytes});
  }
}

// Makes the recovered state that of the file, with a new log. A salvage goes through: it overwrites
// what tells that frames are lost.
Result<void> settle(State& state, std::uint64_t next_lsn, const std::vector<Stretch>& segments) {
  const Stretch old_journal{state.block.journal_offset, state.block.journal_bytes};
  if (auto ok = start_log(state, next_lsn); !ok) return ok;
  if (!state.block.has_log()) {
    Superblock block = with_log(state, state.block);
    block.closed_size = state.block.file_size;
    return publish(state, std::move(block));
  }
  freeze_pages(state, next_lsn - 1, state.log->start_of_log());
  auto written = write_checkpoint(state, state.options.salvage ? nullptr : state.options.stop);
  finish_checkpoint(state);
  if (!written) return written;
  for (const Stretch& segment : segments) state.space.release(segment);
  if (old_journal.length != 0) state.space.release(old_journal);
  return {};
}

// Who writes from now on; and the pages, if they may be of several moments.
Result<void> begin_writing(State& state, FileSystem& fs, const std::filesystem::path& path) {
  const auto info = state.file.info();
  if (!info) return info.error();
  state.identity = identity_of(*info);
  state.salt = fs.unique_number();
  if (!may_be_mixed(state.block, *info)) return {};
  return check_by_reading(fs, path, state.options.salvage, state.options.stop);
}

Result<std::unique_ptr<State>> open_state(FileSystem& fs, const std::filesystem::path& path,
                                          const WriteOptions& options) {
  auto file = open_locked(fs, path);
  if (!file) return file.error();
  auto opened = std::make_unique<State>(std::move(*file), options);
  State& state = *opened;
  auto metadata = read_metadata(state.file);
  if (!metadata) return metadata.error();
  if ((metadata->block.feature_ro_compat & ~kKnownRoCompat) != 0) {
    return Error(ErrorCode::feature_unsupported,
                 "the file has features that this version can only read");
  }
  // Behind the limit nothing can be written, not even what is there already, and a write that fails
  // would be the end of writing.
  if (auto ok = fs.check_limit(metadata->file_bytes); !ok) return ok.error();
  state.header = metadata->header;
  state.block = std::move(metadata->block);
  state.table = state.base_table = std::move(metadata->table);
  state.current = state.block;
  state.generation = state.block.generation;
  state.checkpoint_lsn = state.block.checkpoint_lsn;
  const auto begin = std::chrono::steady_clock::now();
  if (auto ok = begin_writing(state, fs, path); !ok) return ok.error();
  auto durable = make_durable(state, metadata->newest_slot, metadata->newest_bytes);
  if (!durable) return durable.error();
  if (auto ok = sync_name(fs, path); !ok) return ok.error();
  if (auto ok = finish_journal(state); !ok) return ok.error();
  std::vector<Stretch> segments;
  const auto recovered = replay(state, metadata->file_bytes, segments);
  if (!recovered) return recovered.error();
  state.recovered_frames = recovered->frames;
  state.loss = recovered->loss;
  if (auto ok = check_numbers(state, recovered->next_lsn); !ok) return ok.error();
  if (is_stopped(options.stop)) return stopped();
  if (auto ok = announce(state); !ok) return ok.error();
  use_everything(state, segments);
  const std::uint64_t end = std::max(state.space.end(), state.block.file_size);
  if (metadata->file_bytes > end) {
    // Durable before the file grows again, so that it cannot cut off what is written from here on.
    if (auto ok = state.file.truncate(end); !ok) return ok.error();
    if (auto ok = state.file.datasync(); !ok) return ok.error();
  }
  const bool was_closed = !state.block.has_log();
  if (auto ok = settle(state, recovered->next_lsn, segments); !ok) {
    return cause_of(state, ok.error());
  }
  if (!was_closed) state.recovery_ns = nanoseconds_since(begin);
  if (auto ok = start_flusher(state); !ok) return ok.error();
  return opened;
}

Counters no_counters() {
  Counters counters{};
  counters.overflow_free = counters.entry_point = counters.slot_free = kNoNode;
  counters.upper_free.fill(kNoNode);
  return counters;
}

// Both blocks, the header last: without it there is no file yet.
Result<void> write_blocks(State& state, FileSystem& fs, const std::filesystem::path& path) {
  std::vector<std::byte> bytes(Superblock::kEncodedSize);
  state.block.encode(std::span<std::byte, Superblock::kEncodedSize>(bytes));
  for (const std::uint64_t offset : kSuperblockOffsets) {
    if (auto ok = state.file.pwrite(bytes, offset); !ok) return ok;
  }
  if (auto ok = state.file.sync(); !ok) return ok;
  bytes.resize(StaticHeader::kEncodedSize);
  state.header.encode(std::span<std::byte, StaticHeader::kEncodedSize>(bytes));
  if (auto ok = state.file.pwrite(bytes, kHeaderOffset); !ok) return ok;
  if (auto ok = state.file.sync(); !ok) return ok;
  const auto directory = path.parent_path();
  return fs.sync_directory(directory.empty() ? "." : directory);
}

Result<void> fill_new(State& state, FileSystem& fs, const std::filesystem::path& path) {
  for (std::size_t i = 0; i < state.header.uuid.size(); i += sizeof(std::uint64_t)) {
    const std::uint64_t number = fs.unique_number();
    std::memcpy(state.header.uuid.data() + i, &number, sizeof number);
  }
  const auto info = state.file.info();
  if (!info) return info.error();
  state.identity = identity_of(*info);
  state.salt = fs.unique_number();
  set_hash_seed(fs.unique_number(), state.header, state.block);
  set_several_per_key(state.header.parameters.several_per_key, state.header, state.block);
  if (auto ok = start_log(state, 1); !ok) return ok;
  state.block.uuid = state.header.uuid;
  state.block.counters = no_counters();
  state.block.file_size = kFirstRunOffset;
  state.block = with_log(state, state.block);
  state.current = state.block;
  state.generation = state.block.generation;
  if (auto ok = write_blocks(state, fs, path); !ok) return ok;
  if (auto ok = fill_sections(state); !ok) return ok;
  return start_flusher(state);
}

// What no reader would open is not created.
Result<void> check_parameters(const Parameters& parameters) {
  StaticHeader header;
  header.parameters = parameters;
  std::array<std::byte, StaticHeader::kEncodedSize> encoded;
  header.encode(encoded);
  auto decoded = StaticHeader::decode(encoded);
  if (!decoded) return Error(ErrorCode::invalid_argument, decoded.error().message());
  return {};
}

}  // namespace

Result<WritableContainer> WritableContainer::create(FileSystem& fs,
                                                    const std::filesystem::path& path,
                                                    const Parameters& parameters,
                                                    const WriteOptions& options) {
  const auto failed = [&](const Error& error) { return in_file("create", path, error); };
  if (auto ok = check_parameters(parameters); !ok) return failed(ok.error());
  try {
    Unfinished made(fs, path);
    auto file = fs.create_exclusive(path, 0666);
    if (!file) return file.error();
    made.is_there();
    const auto locked = lock_new(fs, *file);
    if (!locked) return failed(locked.error());
    if (!*locked) {
      made.keep();
      return failed(in_use());
    }
    auto state = std::make_unique<State>(std::move(*file), options);
    state->header.parameters = parameters;
    auto filled = fill_new(*state, fs, path);
    if (!filled) return failed(cause_of(*state, filled.error()));
    made.keep();
    return WritableContainer(std::move(state));
  } catch (const std::bad_alloc&) {
    return failed(Error(ErrorCode::out_of_memory, "no memory"));
  }
}

Result<WritableContainer> WritableContainer::open(FileSystem& fs, const std::filesystem::path& path,
                                                  const WriteOptions& options) {
  const auto failed = [&](const Error& error) { return in_file("open", path, error); };
  try {
    auto state = open_state(fs, path, options);
    if (!state) return failed(state.error());
    return WritableContainer(std::move(*state));
  } catch (const std::bad_alloc&) {
    return failed(Error(ErrorCode::out_of_memory, "no memory"));
  }
}

}  // namespace cairn::format
