// SPDX-License-Identifier: Apache-2.0
//
// Opening a file. docs/format.md, "Reading a file".
#include "format/container.h"

#include <cstring>
#include <memory>
#include <optional>
#include <utility>

#include "format/checksum_tree.h"
#include "format/container_state.h"
#include "format/page_check.h"

namespace cairn::format {
namespace {

using HeaderBytes = std::array<std::byte, StaticHeader::kEncodedSize>;

Result<StaticHeader> read_header(Container::State& state) {
  HeaderBytes bytes;
  auto size = state.file.pread_some(bytes, kHeaderOffset);
  if (!size) return size.error();
  state.bytes_read += *size;
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
Result<Superblock> read_superblock(Container::State& state) {
  std::optional<Superblock> newest;
  std::string problems;
  ErrorCode code = ErrorCode::corrupt;
  for (std::size_t slot = 0; slot < kSuperblockOffsets.size(); ++slot) {
    SlotOutcome outcome = read_slot(state.file, slot, state.header.uuid);
    if (!outcome.read) return outcome.read.error();
    state.bytes_read += *outcome.read;
    if (outcome.block) {
      if (!newest || outcome.block->generation > newest->generation) {
        newest = std::move(*outcome.block);
      }
      continue;
    }
    if (*outcome.read < Superblock::kEncodedSize) code = ErrorCode::truncated;
    if (!problems.empty()) problems += "; ";
    problems += outcome.block.error().message();
  }
  if (!newest) return Error(code, problems);
  return std::move(*newest);
}

Result<Region> reserve_for(std::uint64_t bytes) {
  if (bytes == 0) return Region();
  return Region::reserve(static_cast<std::size_t>(bytes), static_cast<std::size_t>(bytes));
}

Result<void> map_sections(Container::State& state) {
  for (std::size_t i = 0; i < kDataSectionCount; ++i) {
    const auto id = static_cast<SectionId>(i + 1);
    auto region = reserve_for(state.table.section_bytes(id));
    if (!region) return region.error();
    for (const Extent& run : state.table.section(id)) {
      auto mapped = region->append_file(state.file, run.file_offset,
                                        static_cast<std::size_t>(run.length), false);
      if (!mapped) return mapped;
    }
    state.sections[i] = std::move(*region);
  }
  return {};
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

Result<void> load_sections(Container::State& state) {
  for (std::size_t i = 0; i < kDataSectionCount; ++i) {
    const std::uint64_t bytes = state.table.section_bytes(static_cast<SectionId>(i + 1));
    auto region = reserve_for(bytes);
    if (!region) return region.error();
    if (auto ok = region->grow_anonymous(static_cast<std::size_t>(bytes)); !ok) return ok;
    state.sections[i] = std::move(*region);
  }
  const PageUnits units(state.table);
  auto loaded = for_each_unit(units.count(), 0, nullptr, [&]() -> UnitWork {
    auto checker = std::make_shared<PageChecker>(state.file, state.table);
    return [&state, &units, checker](std::uint64_t number) {
      return load_unit(state, *checker, units.unit(number));
    };
  });
  if (!loaded) return loaded;
  for (Region& region : state.sections) {
    if (auto ok = region.protect(); !ok) return ok;
  }
  return {};
}

Result<void> read_metadata(Container::State& state) {
  const auto size = state.file.size();
  if (!size) return size.error();
  state.file.advise(Advice::random);
  auto header = read_header(state);
  if (!header) return header.error();
  state.header = *header;
  auto block = read_superblock(state);
  if (!block) return block.error();
  state.block = std::move(*block);
  auto table = state.block.check(state.header, *size);
  if (!table) return table.error();
  state.table = std::move(*table);
  return {};
}

}  // namespace

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
                                  Residency residency, Verify verify) {
  auto file = fs.open(path, Access::read_only);
  if (!file) return file.error();
  const auto in_file = [&](const Error& error) {
    return error.with_context("open " + path.string());
  };
  Container container(std::make_unique<State>(std::move(*file)));
  State& state = *container.state_;
  if (auto ok = read_metadata(state); !ok) return in_file(ok.error());
  state.file.advise(Advice::normal);
  if (residency == Residency::load) {
    if (auto ok = load_sections(state); !ok) return in_file(ok.error());
    return container;
  }
  if (auto ok = map_sections(state); !ok) return in_file(ok.error());
  if (verify == Verify::full) {
    const auto report = container.verify_pages(0, {}, nullptr);
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
const Region& Container::section(SectionId id) const { return state_->sections[section_index(id)]; }
Region& Container::section(SectionId id) { return state_->sections[section_index(id)]; }

}  // namespace cairn::format
