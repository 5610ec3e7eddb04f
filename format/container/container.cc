// SPDX-License-Identifier: Apache-2.0
//
// Opening a file. docs/format.md, "Reading a file".
#include "format/container/container.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <cstring>
#include <memory>
#include <optional>
#include <system_error>
#include <utility>

#include "format/bytes/checksum.h"
#include "format/container/container_state.h"
#include "format/log/journal.h"
#include "format/log/log_apply.h"
#include "format/pages/checksum_tree.h"
#include "format/pages/section_memory.h"

namespace cairn::format {
namespace {

// A writer at work can make a reader see two states at once; it tries again so often.
constexpr int kOpenAttempts = 10;

Error busy() {
  return Error(ErrorCode::busy, "it is being written, and changed while it was opened");
}

using HeaderBytes = std::array<std::byte, StaticHeader::kEncodedSize>;

Result<StaticHeader> read_header(const File& file, std::uint64_t& bytes_read) {
  HeaderBytes bytes;
  auto size = file.pread_some(bytes, kHeaderOffset);
  if (!size) return size.error();
  bytes_read += *size;
  if (*size == bytes.size()) return StaticHeader::decode(bytes);
  if (*size >= kHeaderMagic.size() &&
      std::memcmp(bytes.data(), kHeaderMagic.data(), kHeaderMagic.size()) == 0) {
    return Error(ErrorCode::truncated,
                 "the file has " + std::to_string(*size) + " bytes, the header alone takes 4096");
  }
  return Error(ErrorCode::not_a_cairn_file,
               "it has " + std::to_string(*size) + " bytes and does not begin with a header");
}

// The newest valid slot.
Result<void> read_superblock(const File& file, Metadata& metadata) {
  bool found = false;
  std::string problems;
  ErrorCode code = ErrorCode::corrupt;
  for (std::size_t slot = 0; slot < kSuperblockOffsets.size(); ++slot) {
    SlotOutcome outcome = read_slot(file, slot, metadata.header.uuid);
    if (!outcome.read) return outcome.read.error();
    metadata.bytes_read += *outcome.read;
    if (outcome.block) {
      if (!found || outcome.block->generation > metadata.block.generation) {
        metadata.block = std::move(*outcome.block);
        metadata.newest_slot = slot;
        metadata.newest_bytes = std::move(outcome.bytes);
      }
      found = true;
      continue;
    }
    if (*outcome.read < Superblock::kEncodedSize) code = ErrorCode::truncated;
    if (!problems.empty()) problems += "; ";
    problems += outcome.block.error().message();
  }
  if (found) return {};
  // Each was being written when it was read.
  const auto locked = code == ErrorCode::corrupt ? file.is_locked() : Result<bool>(false);
  if (!locked) return locked.error();
  return *locked ? busy() : Error(code, problems);
}

Result<void> protect_sections(Container::State& state) {
  for (Region& region : state.sections) {
    if (auto ok = region.protect(); !ok) return ok;
  }
  return {};
}

Result<void> replay(Container::State& state, std::uint64_t file_bytes, Residency residency,
                    bool salvage, StopFlag stop) {
  if (!state.block.has_log() || state.block.log_offset == 0) return {};
  const auto begin = std::chrono::steady_clock::now();
  const Superblock checkpoint = state.block;
  state.log.emplace(state.file,
                    LogStart{checkpoint.log_offset, checkpoint.log_salt, checkpoint.log_first_lsn});
  LogApplier applier = applier_of(state, residency);
  const auto recovered = recover_log(
      state.file, file_bytes, checkpoint, *state.log,
      [&](std::uint64_t lsn, std::span<const Record> records) {
        return applier.apply(lsn, records);
      },
      salvage, stop);
  if (!recovered) return recovered.error();
  if (auto ok = check_log_space(state.table, checkpoint, state.log->segments()); !ok) return ok;
  state.recovered_frames = recovered->frames;
  state.loss = recovered->loss;
  state.bytes_replayed = recovered->bytes;
  state.recovery_ns = static_cast<std::uint64_t>(
      std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::steady_clock::now() - begin)
          .count());
  state.bytes_read += recovered->bytes;
  return {};
}

Result<void> lay_journal_over(Container::State& state) {
  if (!state.block.has_journal()) return {};
  auto journal = Journal::read(state.file, state.block);
  if (!journal) return journal.error();
  state.bytes_read += state.block.journal_bytes;
  state.file.replace_raw([&](std::unique_ptr<RawFile> raw) {
    return overlay_journal(std::move(raw), std::move(*journal));
  });
  return {};
}

// A copy of a file that was not closed is good if it proves it: every page is what the superblock
// says, and the log ends where nothing had been written yet. docs/format.md, "Copies".
Result<void> check_copy(const Container::State& state, bool salvage, StopFlag stop) {
  auto good = check_all_pages(state.file, state.table, stop);
  if (good) good = check_free_tree_pages(state.file, state.table);
  if (!good) return good.error().with_context("a copy that was taken while it was written");
  if (!state.log || salvage) return {};
  const auto ends = state.log->ends_unwritten();
  if (!ends) return ends.error();
  if (*ends) return {};
  return Error(ErrorCode::data_loss, "a copy that was taken while it was written: the log at " +
                                         std::to_string(state.log->at()) +
                                         " goes on, but not with frame " +
                                         std::to_string(state.log->last_lsn() + 1));
}

// Whether the view is of one moment, now that it has been made.
Result<void> settle_view(Container::State& state) {
  const Superblock& block = state.block;
  state.watch.watch({block.checkpoint_lsn, state.log ? state.log->salt() : 0,
                     state.log ? state.log->last_lsn() : block.checkpoint_lsn});
  const InPlaceMark mark = state.watch.mark();
  if (state.watch.is_whole()) return {};
  const auto locked = state.file.is_locked();
  if (!locked) return locked.error();
  const auto now = mark_of_slots(state.file);
  if (!now) return now.error();
  if (*locked || *now != state.mark) return busy();
  // Nobody writes, and nobody has made a checkpoint meanwhile: it is of an earlier life.
  state.watch.accept(mark);
  return {};
}

Result<void> read_checksums(Container::State& state, StopFlag stop) {
  auto made = FirstUse::make(
      state.file, state.base,
      [&state] {
        const auto now = mark_of_slots(state.file);
        return !now || *now != state.opened_mark;
      },
      stop);
  if (!made) return made.error();
  state.first_use = std::move(*made);
  return {};
}

Result<void> fill_state(Container::State& state, Residency residency, bool salvage, StopFlag stop,
                        Check check = Check::none) {
  auto watch = PageWatch::map(state.file);
  const auto info = state.file.info();
  if (!info) return info.error();
  state.info = *info;
  state.file.advise(Advice::random);
  const auto mark = mark_of_slots(state.file);
  if (!mark) return mark.error();
  state.mark = state.opened_mark = *mark;
  auto metadata = read_metadata(state.file);
  if (!metadata) return metadata.error();
  if (!watch) return watch.error();
  state.watch = std::move(*watch);
  state.file.advise(Advice::normal);
  state.header = metadata->header;
  state.block = std::move(metadata->block);
  state.table = state.base = std::move(metadata->table);
  state.bytes_read += metadata->bytes_read;
  if (auto ok = lay_journal_over(state); !ok) return ok;
  const bool has_log = state.block.has_log();
  const Reservation reservation{.grows = has_log};  // a log adds runs
  auto filled = residency == Residency::load
                    ? load_sections(state.file, state.table, state.sections, reservation, stop)
                    : map_sections(state.file, state.table, state.sections, has_log, reservation);
  if (!filled) return filled;
  if (check == Check::on_first_use && residency == Residency::map) {
    if (auto ok = read_checksums(state, stop); !ok) return ok;
  }
  if (auto ok = replay(state, metadata->file_bytes, residency, salvage, stop); !ok) return ok;
  if (may_be_mixed(state.block, state.info)) {
    if (auto ok = check_copy(state, salvage, stop); !ok) return ok;
  }
  if (residency == Residency::load) {
    if (auto ok = protect_sections(state); !ok) return ok;
  }
  return {};
}

// What looks damaged while a writer makes checkpoints may be whole a moment later.
Result<std::unique_ptr<Container::State>> open_file(FileSystem& fs,
                                                    const std::filesystem::path& path,
                                                    Residency residency, bool salvage,
                                                    StopFlag stop, Check check) {
  for (int attempt = 1;; ++attempt) {
    auto file = fs.open(path, Access::read_only);
    if (!file) return file.error();
    auto state = std::make_unique<Container::State>(std::move(*file));
    auto filled = fill_state(*state, residency, salvage, stop, check);
    if (filled) filled = settle_view(*state);
    if (filled) {
      if (residency == Residency::load) state->watch = {};  // nobody can change what is its own
      return state;
    }
    const auto now = mark_of_slots(state->file);
    const bool may_pass = filled.error().code() == ErrorCode::busy ||
                          (state->mark != SlotMark() && now && *now != state->mark);
    if (!may_pass) return filled.error();
    if (attempt == kOpenAttempts) return busy();
  }
}

}  // namespace

Result<Metadata> read_metadata(const File& file) {
  // All pieces at once: from a cold disk that is one wait instead of four. The runtime block is
  // read through its mapping; without this the kernel would read megabytes around it.
  file.advise(Advice::will_need, kRuntimeOffset, kPageSize);
  file.advise(Advice::will_need, kHeaderOffset, StaticHeader::kEncodedSize);
  for (const std::uint64_t offset : kSuperblockOffsets) {
    file.advise(Advice::will_need, offset, Superblock::kEncodedSize);
  }
  Metadata metadata;
  const auto size = file.size();
  if (!size) return size.error();
  metadata.file_bytes = *size;
  auto header = read_header(file, metadata.bytes_read);
  if (!header) return header.error();
  metadata.header = *header;
  if (auto ok = read_superblock(file, metadata); !ok) return ok.error();
  auto table = metadata.block.check(metadata.header, *size);
  if (!table) return table.error();
  metadata.table = std::move(*table);
  return metadata;
}

std::uint64_t identity_of(const FileInfo& info) {
  std::array<std::byte, 16> bytes;
  store_u64(bytes.data(), 0, info.inode);
  store_u64(bytes.data(), 1, info.birth_ns);
  return std::max<std::uint64_t>(hash64(bytes), 1);
}

bool may_be_mixed(const Superblock& block, const FileInfo& info) {
  if (block.identity == identity_of(info)) return false;
  // No other closed file was as long as this one says: what is longer was opened meanwhile.
  return block.has_log() || info.size_bytes > block.file_size;
}

Result<SlotMark> mark_of_slots(const File& file) {
  SlotMark newest;
  for (const std::uint64_t offset : kSuperblockOffsets) {
    std::array<std::byte, superblock_at::kLogSalt.offset + superblock_at::kLogSalt.size> bytes{};
    const auto read = file.pread_some(bytes, offset);
    if (!read) return read.error();
    const auto generation = load<superblock_at::kGeneration>(bytes.data());
    if (generation <= newest.generation) continue;
    newest = {generation, load<superblock_at::kLogSalt>(bytes.data())};
  }
  return newest;
}

Result<RecoveredLog> recover_log(const File& file, std::uint64_t file_bytes,
                                 const Superblock& block, LogReader& log, const ApplyFrame& apply,
                                 bool salvage, StopFlag stop) {
  RecoveredLog recovered;
  const auto go_on = [&]() -> Result<void> {
    auto replayed = replay_frames(log, [&](std::uint64_t lsn, std::span<const Record> records) {
      return is_stopped(stop) ? stopped() : apply(lsn, records);
    });
    if (!replayed) return replayed.error();
    recovered.frames += replayed->frames;
    recovered.bytes += replayed->bytes;
    return {};
  };
  if (auto ok = go_on(); !ok) return ok.error();
  if (log.segments().empty() && !salvage) {
    return log_is_damaged(block.log_offset, block.log_first_lsn);
  }
  std::vector<Stretch> used;
  for (const Extent& run : block.extents) used.push_back({run.file_offset, run.length});
  if (block.has_journal()) used.push_back({block.journal_offset, block.journal_bytes});
  const auto traces = find_traces(file, gaps_between(std::move(used), kFirstRunOffset, file_bytes),
                                  block.log_salt, log.last_lsn() + 1, stop);
  if (!traces) return traces.error();
  // Frames that a writer at work has added since.
  if (traces->durable_lsn > log.last_lsn()) {
    if (auto ok = go_on(); !ok) return ok.error();
  }
  if (traces->durable_lsn > log.last_lsn() && !salvage) {
    return Error(ErrorCode::data_loss, "the log is damaged at " + std::to_string(log.at()) +
                                           ": frame " + std::to_string(log.last_lsn() + 1) +
                                           " was on disk and cannot be read");
  }
  const std::uint64_t last = log.last_lsn();
  const std::uint64_t known = std::max({last, traces->durable_lsn, traces->highest_lsn});
  if (traces->durable_lsn > last || log.segments().empty()) {
    recovered.loss = {last + 1, known, traces->live};
  }
  recovered.next_lsn = known + 1;
  return recovered;
}

LogApplier applier_of(Container::State& state, Residency residency) {
  return LogApplier(state.file, state.header, state.block, state.table, state.sections, residency,
                    [&state](SectionId section, std::uint64_t offset, std::uint64_t bytes) {
                      if (state.first_use) state.first_use->set_changed(section, offset, bytes);
                    });
}

SlotOutcome read_slot(const File& file, std::size_t slot, const Uuid& uuid) {
  const std::uint64_t offset = kSuperblockOffsets[slot];
  const std::string name = "superblock " + std::to_string(slot) + " at " + std::to_string(offset);
  std::vector<std::byte> bytes(Superblock::kEncodedSize);
  SlotOutcome outcome{file.pread_some(bytes, offset),
                      Error(ErrorCode::truncated, name + ": the file ends before"),
                      {}};
  if (!outcome.read || *outcome.read < bytes.size()) return outcome;
  outcome.block =
      Superblock::decode(std::span<const std::byte, Superblock::kEncodedSize>(bytes), uuid);
  if (!outcome.block) outcome.block = outcome.block.error().with_context(name);
  outcome.bytes = std::move(bytes);
  return outcome;
}

Result<void> check_by_reading(FileSystem& fs, const std::filesystem::path& path, bool salvage,
                              StopFlag stop) {
  auto file = fs.open(path, Access::read_only);
  if (!file) return file.error();
  Container::State state(std::move(*file));
  return fill_state(state, Residency::map, salvage, stop);
}

Result<void> check_as_it_is(FileSystem& fs, const std::filesystem::path& path, const FileInfo& file,
                            StopFlag stop) {
  auto opened = fs.open(path, Access::read_only);
  if (!opened) return opened.error();
  const auto info = opened->info();
  if (!info) return info.error();
  if (info->device != file.device || info->inode != file.inode) {
    return Error(ErrorCode::busy, path.string() + " is another file now");
  }
  Container::State state(std::move(*opened));
  auto metadata = read_metadata(state.file);
  if (!metadata) return metadata.error();
  state.block = std::move(metadata->block);
  if (auto ok = lay_journal_over(state); !ok) return ok;
  return check_all_pages(state.file, metadata->table, stop);
}

Result<Container> Container::open(FileSystem& fs, const std::filesystem::path& path,
                                  Residency residency, Verify verify, bool salvage, StopFlag stop,
                                  Check check) {
  const auto failed = [&](const Error& error) { return in_file("open", path, error); };
  for (int attempt = 1;; ++attempt) {
    std::error_code unknown;  // then the path as it was given must do
    auto place = std::filesystem::absolute(path, unknown);
    if (unknown) place = path;
    auto state = open_file(fs, path, residency, salvage, stop, check);
    if (!state) return failed(state.error());
    (*state)->residency = residency;
    (*state)->fs = &fs;
    (*state)->place = std::move(place);
    Container container(std::move(*state));
    if (residency == Residency::load || verify == Verify::metadata) return container;
    const auto report = container.verify_pages(0, {}, stop);
    if (!report) return failed(report.error());
    if (report->findings.empty()) return container;
    const auto superseded = container.is_superseded();
    if (!superseded) return failed(superseded.error());
    if (!*superseded) return failed(report->first());
    if (attempt == kOpenAttempts) return failed(busy());
  }
}

Container::Container(std::unique_ptr<State> state) : state_(std::move(state)) {}
Container::Container(Container&&) noexcept = default;
Container& Container::operator=(Container&&) noexcept = default;
Container::~Container() = default;

Result<void> Container::warm() const {
  // Cold sections first: what is read last stays longest where memory is short.
  for (const SectionId id : {SectionId::exact, SectionId::overflow, SectionId::hash, SectionId::key,
                             SectionId::upper, SectionId::hot}) {
    if (auto ok = section(id).advise_needed(); !ok) {
      const std::string name = section_name(static_cast<std::uint16_t>(id));
      return ok.error().with_context(state_->file.path().string() + ": section " + name);
    }
  }
  return {};
}

Result<void> Container::release() const {
  for (const Region& region : state_->sections) {
    if (auto ok = region.advise_not_needed(); !ok) {
      return ok.error().with_context(state_->file.path().string());
    }
  }
  return {};
}

const Parameters& Container::parameters() const { return state_->header.parameters; }
std::optional<std::uint64_t> Container::hash_seed() const {
  return hash_seed_of(state_->header, state_->block);
}
const Counters& Container::counters() const { return state_->block.counters; }
std::uint64_t Container::generation() const { return state_->block.generation; }
std::uint64_t Container::file_bytes() const { return state_->block.file_size; }
std::uint64_t Container::bytes_read_at_open() const { return state_->bytes_read; }
std::uint64_t Container::recovered_frames() const { return state_->recovered_frames; }
const LogLoss& Container::loss() const { return state_->loss; }
std::uint64_t Container::recovery_ns() const { return state_->recovery_ns; }
const Region& Container::section(SectionId id) const { return state_->sections[section_index(id)]; }
Region& Container::section(SectionId id) { return state_->sections[section_index(id)]; }

}  // namespace cairn::format
