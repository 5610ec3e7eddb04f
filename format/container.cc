// SPDX-License-Identifier: Apache-2.0
//
// Opening a file. docs/format.md, "Reading a file".
#include "format/container.h"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <memory>
#include <optional>
#include <utility>

#include "format/checksum_tree.h"
#include "format/container_state.h"
#include "format/journal.h"
#include "format/log_apply.h"
#include "format/page_check.h"

namespace cairn::format {
namespace {

// A writer at work can make a reader see two states at once; it tries again so often.
constexpr int kOpenAttempts = 3;

bool may_pass(const Error& error) {
  return error.code() == ErrorCode::busy || error.code() == ErrorCode::data_loss;
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
      }
      found = true;
      continue;
    }
    if (*outcome.read < Superblock::kEncodedSize) code = ErrorCode::truncated;
    if (!problems.empty()) problems += "; ";
    problems += outcome.block.error().message();
  }
  if (!found) return Error(code, problems);
  return {};
}

Result<Region> reserve_for(std::uint64_t bytes) {
  if (bytes == 0) return Region();
  return Region::reserve(static_cast<std::size_t>(bytes), static_cast<std::size_t>(bytes));
}

// Reads and checks one unit straight into the memory of its section.
Result<void> load_unit(Container::State& state, PageChecker& checker, const PageUnit& unit) {
  const Extent& extent = state.table.all()[unit.extent];
  if (extent.section > kDataSectionCount) return {};
  const auto checksums = checker.tree(unit.extent).page(0, unit.first_page / TreeShape::kFanout);
  if (!checksums) return checksums.error();
  std::byte* const memory = state.sections[extent.section - 1u].data() + extent.logical_offset +
                            unit.first_page * kPageSize;
  if (auto ok = checker.read(unit, memory); !ok) return ok;
  std::optional<Error> first;
  checker.compare(unit, memory, *checksums, [&](Error error) {
    if (!first) first = std::move(error);
  });
  if (first) return *first;
  return {};
}

Result<void> load_sections(Container::State& state, const Reservation& reservation, StopFlag stop) {
  for (std::size_t i = 0; i < kDataSectionCount; ++i) {
    const std::uint64_t bytes = state.table.section_bytes(static_cast<SectionId>(i + 1));
    auto region = reserve_for(std::max(bytes, reservation.max_addresses));
    if (!region) return region.error();
    if (auto ok = region->grow_anonymous(static_cast<std::size_t>(bytes)); !ok) return ok;
    state.sections[i] = std::move(*region);
  }
  const PageUnits units(state.table);
  return for_each_unit(units.count(), 0, stop, [&]() -> UnitWork {
    auto checker = std::make_shared<PageChecker>(state.file, state.table);
    return [&state, &units, checker](std::uint64_t number) {
      return load_unit(state, *checker, units.unit(number));
    };
  });
}

Result<void> protect_sections(Container::State& state) {
  for (Region& region : state.sections) {
    if (auto ok = region.protect(); !ok) return ok;
  }
  return {};
}

// What the log says, into the memory of the sections.
Result<void> replay(Container::State& state, std::uint64_t file_bytes, Residency residency,
                    bool salvage, StopFlag stop) {
  if (!state.block.has_log() || state.block.log_offset == 0) return {};
  const auto begin = std::chrono::steady_clock::now();
  const Superblock checkpoint = state.block;
  LogApplier applier(
      state.file, file_bytes, state.header, state.block, state.table, state.sections,
      residency == Residency::load ? LogApplier::NewRuns::anonymous : LogApplier::NewRuns::map,
      [](SectionId, std::uint64_t, std::uint64_t) {});
  const auto recovered = recover_log(
      state.file, file_bytes, checkpoint,
      [&](std::uint64_t lsn, std::span<const Record> records) {
        return applier.apply(lsn, records);
      },
      salvage, stop);
  if (!recovered) return recovered.error();
  state.recovered_frames = recovered->frames;
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

Result<std::unique_ptr<Container::State>> open_once(FileSystem& fs,
                                                    const std::filesystem::path& path,
                                                    Residency residency, bool salvage,
                                                    StopFlag stop) {
  auto file = fs.open(path, Access::read_only);
  if (!file) return file.error();
  auto opened = std::make_unique<Container::State>(std::move(*file));
  Container::State& state = *opened;
  state.file.advise(Advice::random);
  auto metadata = read_metadata(state.file);
  if (!metadata) return metadata.error();
  state.file.advise(Advice::normal);
  state.header = metadata->header;
  state.block = std::move(metadata->block);
  state.table = state.base = std::move(metadata->table);
  state.bytes_read = metadata->bytes_read;
  if (auto ok = lay_journal_over(state); !ok) return ok.error();
  // A log may add runs, all of them in the file.
  const bool has_log = state.block.has_log();
  const Reservation reservation{0, has_log ? metadata->file_bytes : 0};
  auto filled = residency == Residency::load
                    ? load_sections(state, reservation, stop)
                    : map_sections(state.file, state.table, state.sections, has_log, reservation);
  if (!filled) return filled.error();
  auto replayed = replay(state, metadata->file_bytes, residency, salvage, stop);
  if (!replayed) return replayed.error();
  if (residency == Residency::load || has_log) {
    if (auto ok = protect_sections(state); !ok) return ok.error();
  }
  if (has_log) {
    // A writer that is at work may have changed pages meanwhile.
    const auto again = read_metadata(state.file);
    if (!again) return again.error();
    if (again->block.generation != state.block.generation) {
      return Error(ErrorCode::busy, "it is being written, and changed while it was opened");
    }
  }
  return opened;
}

}  // namespace

Result<Metadata> read_metadata(const File& file) {
  // All three pieces at once: from a cold disk that is one wait instead of three.
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

Result<void> map_sections(const File& file, const ExtentTable& table,
                          std::array<Region, kDataSectionCount>& sections, bool writable,
                          const Reservation& reservation) {
  for (std::size_t i = 0; i < kDataSectionCount; ++i) {
    const auto id = static_cast<SectionId>(i + 1);
    const std::uint64_t bytes = table.section_bytes(id);
    const std::uint64_t least = std::max(bytes, reservation.min_addresses);
    const std::uint64_t most = std::max(least, reservation.max_addresses);
    if (most == 0) continue;
    auto region = Region::reserve(static_cast<std::size_t>(least), static_cast<std::size_t>(most));
    if (!region) return region.error();
    for (const Extent& run : table.section(id)) {
      auto mapped = region->append_file(file, run.file_offset, static_cast<std::size_t>(run.length),
                                        writable);
      if (!mapped) return mapped;
    }
    sections[i] = std::move(*region);
  }
  return {};
}

Result<RecoveredLog> recover_log(const File& file, std::uint64_t file_bytes,
                                 const Superblock& block, const ApplyFrame& apply, bool salvage,
                                 StopFlag stop) {
  const LogStart start{block.log_offset, block.log_salt, block.log_first_lsn};
  auto replayed =
      replay_log(file, file_bytes, start, [&](std::uint64_t lsn, std::span<const Record> records) {
        return is_stopped(stop) ? stopped() : apply(lsn, records);
      });
  if (!replayed && (!salvage || replayed.error().code() != ErrorCode::data_loss)) {
    return replayed.error();
  }
  RecoveredLog recovered;
  std::uint64_t last = start.first_lsn - 1;
  std::uint64_t end = start.offset;
  if (replayed) {
    last = replayed->last_lsn;
    end = replayed->end;
    recovered.frames = replayed->frames;
    recovered.bytes = replayed->bytes;
    recovered.segments = std::move(replayed->segments);
  }
  std::vector<Stretch> used;
  for (const Extent& run : block.extents) used.push_back({run.file_offset, run.length});
  if (block.has_journal()) used.push_back({block.journal_offset, block.journal_bytes});
  const auto traces = find_traces(file, gaps_between(std::move(used), kFirstRunOffset, file_bytes),
                                  start.salt, last + 1, stop);
  if (!traces) return traces.error();
  if (traces->was_durable && !salvage) {
    return Error(ErrorCode::data_loss, "the log is damaged at " + std::to_string(end) + ": frame " +
                                           std::to_string(last + 1) +
                                           " was on disk and cannot be read");
  }
  recovered.next_lsn = std::max(last, traces->highest_lsn) + 1;
  return recovered;
}

SlotOutcome read_slot(const File& file, std::size_t slot, const Uuid& uuid) {
  const std::uint64_t offset = kSuperblockOffsets[slot];
  const std::string name = "superblock " + std::to_string(slot) + " at " + std::to_string(offset);
  std::vector<std::byte> bytes(Superblock::kEncodedSize);
  SlotOutcome outcome{file.pread_some(bytes, offset),
                      Error(ErrorCode::truncated, name + ": the file ends before")};
  if (!outcome.read || *outcome.read < bytes.size()) return outcome;
  outcome.block =
      Superblock::decode(std::span<const std::byte, Superblock::kEncodedSize>(bytes), uuid);
  if (!outcome.block) outcome.block = outcome.block.error().with_context(name);
  return outcome;
}

Result<Container> Container::open(FileSystem& fs, const std::filesystem::path& path,
                                  Residency residency, Verify verify, bool salvage, StopFlag stop) {
  const auto in_file = [&](const Error& error) {
    return error.with_context("open " + path.string());
  };
  auto state = open_once(fs, path, residency, salvage, stop);
  for (int attempt = 1; !state && may_pass(state.error()) && attempt < kOpenAttempts; ++attempt) {
    state = open_once(fs, path, residency, salvage, stop);
  }
  if (!state) return in_file(state.error());
  Container container(std::move(*state));
  if (residency == Residency::map && verify == Verify::full) {
    const auto report = container.verify_pages(0, {}, stop);
    if (!report) return in_file(report.error());
    if (!report->findings.empty()) {
      return in_file(Error(ErrorCode::corrupt, report->findings.front()));
    }
  }
  return container;
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
      return ok.error().with_context("section " + section_name(static_cast<std::uint16_t>(id)));
    }
  }
  return {};
}

Result<void> Container::release() const {
  for (const Region& region : state_->sections) {
    if (auto ok = region.advise_not_needed(); !ok) return ok;
  }
  return {};
}

const Parameters& Container::parameters() const { return state_->header.parameters; }
const Counters& Container::counters() const { return state_->block.counters; }
std::uint64_t Container::generation() const { return state_->block.generation; }
std::uint64_t Container::file_bytes() const { return state_->block.file_size; }
std::uint64_t Container::bytes_read_at_open() const { return state_->bytes_read; }
std::uint64_t Container::recovered_frames() const { return state_->recovered_frames; }
std::uint64_t Container::recovery_ns() const { return state_->recovery_ns; }
const Region& Container::section(SectionId id) const { return state_->sections[section_index(id)]; }
Region& Container::section(SectionId id) { return state_->sections[section_index(id)]; }

}  // namespace cairn::format
