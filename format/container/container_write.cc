// SPDX-License-Identifier: Apache-2.0
//
// Writing a whole file. docs/format.md, "Writing a file".
#include <algorithm>
#include <array>
#include <cstring>
#include <string>
#include <utility>
#include <vector>

#include "format/bytes/checksum.h"
#include "format/bytes/superblock.h"
#include "format/container/container.h"
#include "format/container/save_target.h"
#include "format/pages/checksum_tree.h"

namespace cairn::format {
namespace {

// A piece stays in a cache from its checksums to its writing.
constexpr std::size_t kWriteSize = std::size_t{256} << 10;

// Runs of 2 MiB and more begin at multiples of 2 MiB, which leaves gaps. Sections that are small
// and not walked by searches are cut into runs that fit into them.
constexpr std::uint64_t kSmallSection = std::uint64_t{16} << 20;
constexpr std::uint64_t kSmallRun = std::uint64_t{1} << 20;

std::uint64_t longest_run(SectionId section, std::uint64_t length) {
  const bool walked = section == SectionId::hot || section == SectionId::exact;
  return walked || length >= kSmallSection ? length : kSmallRun;
}

struct Gap {
  std::uint64_t begin;
  std::uint64_t end;
};

// Gives every run a place in the file; returns the file's size.
std::uint64_t place_runs(std::vector<Extent>& extents) {
  std::vector<Gap> gaps;
  std::uint64_t end = kFirstRunOffset;
  for (Extent& extent : extents) {
    if (extent.length < kHugePage) continue;
    extent.file_offset = round_up(end, kHugePage);
    gaps.push_back({end, extent.file_offset});
    end = extent.file_offset + extent.length;
  }
  for (Extent& extent : extents) {
    if (extent.length >= kHugePage) continue;
    const auto gap = std::find_if(gaps.begin(), gaps.end(), [&](const Gap& candidate) {
      return candidate.end - candidate.begin >= extent.length;
    });
    std::uint64_t& begin = gap == gaps.end() ? end : gap->begin;
    extent.file_offset = begin;
    begin += extent.length;
  }
  return end;
}

// The blocks of a file that holds `snapshot`, without checksums of its pages.
struct Plan {
  StaticHeader header;
  Superblock block;
};

Result<Plan> plan(const Snapshot& snapshot) {
  Plan result;
  result.header.parameters = snapshot.parameters;
  set_hash_seed(snapshot.hash_seed, result.header, result.block);
  set_several_per_key(snapshot.parameters.several_per_key, result.header, result.block);
  result.block.counters = snapshot.counters;
  std::vector<Extent>& extents = result.block.extents;
  std::uint64_t checksum_bytes = 0;
  for (std::size_t i = 0; i < kDataSectionCount; ++i) {
    if (snapshot.sections[i].empty()) continue;
    const auto section = static_cast<SectionId>(i + 1);
    const std::uint64_t end = round_up(snapshot.sections[i].size(), kPageSize);
    const std::uint64_t longest = longest_run(section, end);
    for (std::uint64_t begin = 0; begin < end; begin += longest) {
      const std::uint64_t length = std::min(longest, end - begin);
      extents.push_back({.section = static_cast<std::uint16_t>(section),
                         .flags = 0,
                         .logical_offset = begin,
                         .length = length,
                         .file_offset = 0,
                         .tree_offset = checksum_bytes,
                         .root = 0});
      checksum_bytes += TreeShape(length / kPageSize).bytes();
    }
  }
  if (checksum_bytes != 0) {
    extents.push_back({.section = kChecksumId,
                       .flags = 0,
                       .logical_offset = 0,
                       .length = checksum_bytes,
                       .file_offset = 0,
                       .tree_offset = 0,
                       .root = 0});
  }
  result.block.file_size = place_runs(extents);

  // What no reader would open is not written.
  std::array<std::byte, StaticHeader::kEncodedSize> encoded;
  result.header.encode(encoded);
  if (auto ok = StaticHeader::decode(encoded); !ok) {
    return Error(ErrorCode::internal, ok.error().message());
  }
  if (auto ok = result.block.check(result.header, result.block.file_size); !ok) {
    return Error(ErrorCode::internal, ok.error().message());
  }
  return result;
}

// Tells how far the writing is, and asks whether to go on.
class Pace {
 public:
  Pace(const Snapshot& snapshot, const SaveOptions& options) : options_(options) {
    for (const auto& section : snapshot.sections) total_ += section.size();
  }

  Result<void> wrote(std::uint64_t bytes) {
    done_ += bytes;
    if (options_.progress) options_.progress(done_, total_);
    return go_on();
  }
  Result<void> go_on() const { return is_stopped(options_.stop) ? stopped() : Result<void>(); }

 private:
  const SaveOptions& options_;
  std::uint64_t done_ = 0;
  std::uint64_t total_ = 0;
};

// Writes one run, zeros up to the end of its last page; returns the checksums of its pages. What is
// written is what the checksums are about: of a copy, as others may change the pages of a mapped
// file.
Result<std::vector<std::uint64_t>> write_run(File& file, const Extent& extent,
                                             std::span<const std::byte> bytes, Pace& pace) {
  std::vector<std::uint64_t> checksums;
  checksums.reserve(extent.length / kPageSize);
  std::vector<std::byte> copy(std::min<std::uint64_t>(kWriteSize, extent.length));
  for (std::size_t at = 0; at < bytes.size(); at += kWriteSize) {
    const auto piece = bytes.subspan(at, std::min(kWriteSize, bytes.size() - at));
    const std::size_t end = round_up(piece.size(), kPageSize);
    std::memcpy(copy.data(), piece.data(), piece.size());
    std::memset(copy.data() + piece.size(), 0, end - piece.size());
    for (std::size_t page = 0; page < end; page += kPageSize) {
      checksums.push_back(page_checksum(copy.data() + page));
    }
    if (auto ok = file.pwrite(std::span(copy).first(end), extent.file_offset + at); !ok) {
      return ok.error();
    }
    if (auto ok = pace.wrote(piece.size()); !ok) return ok.error();
  }
  return checksums;
}

Result<void> write_sections(File& file, const Snapshot& snapshot, Superblock& block, Pace& pace) {
  std::vector<std::byte> trees;
  for (Extent& extent : block.extents) {
    if (extent.section == kChecksumId) {
      if (auto ok = file.pwrite(trees, extent.file_offset); !ok) return ok;
      continue;
    }
    const auto section = snapshot.sections[extent.section - 1u].subspan(extent.logical_offset);
    const auto run = section.first(std::min<std::uint64_t>(section.size(), extent.length));
    const auto checksums = write_run(file, extent, run, pace);
    if (!checksums) return checksums.error();
    const BuiltTree tree = build_tree(*checksums);
    extent.root = tree.root;
    trees.insert(trees.end(), tree.bytes.begin(), tree.bytes.end());
  }
  return {};
}

Result<void> write_blocks(File& file, Plan& planned) {
  planned.header.uuid = content_uuid(planned.header, planned.block);
  planned.block.uuid = planned.header.uuid;
  std::vector<std::byte> bytes(Superblock::kEncodedSize);
  planned.block.encode(std::span<std::byte, Superblock::kEncodedSize>(bytes));
  for (const std::uint64_t offset : kSuperblockOffsets) {
    if (auto ok = file.pwrite(bytes, offset); !ok) return ok;
  }
  bytes.resize(StaticHeader::kEncodedSize);
  planned.header.encode(std::span<std::byte, StaticHeader::kEncodedSize>(bytes));
  return file.pwrite(bytes, kHeaderOffset);
}

Result<void> write_file(File& file, const Snapshot& snapshot, Plan& planned, Pace& pace) {
  if (auto ok = file.truncate(planned.block.file_size); !ok) return ok;
  if (auto ok = write_sections(file, snapshot, planned.block, pace); !ok) return ok;
  if (auto ok = write_blocks(file, planned); !ok) return ok;
  return file.sync();
}

Result<void> fill(const Snapshot& snapshot, Plan& planned, const Target& target,
                  const SaveOptions& options, File& file) {
  if (auto ok = keep_access(target, file); !ok) return ok;
  Pace pace(snapshot, options);
  if (auto ok = write_file(file, snapshot, planned, pace); !ok) return ok;
  if (auto ok = pace.go_on(); !ok || !options.confirm) return ok;
  return options.confirm();
}

Result<File> write_beside(FileSystem& fs, const Target& target, const Snapshot& snapshot,
                          const SaveOptions& options, std::optional<Unfinished>& made) {
  auto planned = plan(snapshot);
  if (!planned) return planned.error();
  auto file = create_temporary(fs, target, made);
  if (!file) return file;
  const std::uint64_t bytes = planned->block.file_size;
  if (auto ok = fill(snapshot, *planned, target, options, *file); !ok) {
    return needing(ok.error(), bytes);
  }
  return file;
}

Result<void> write_target(FileSystem& fs, const std::filesystem::path& path,
                          const Snapshot& snapshot, const SaveOptions& options) {
  const auto target = find_target(fs, path, options.existing);
  if (!target) return target.error();
  std::optional<Unfinished> made;
  {
    const auto file = write_beside(fs, *target, snapshot, options, made);  // locked until then
    if (!file) return file.error();
    if (auto ok = put_in_place(fs, *target, *made); !ok) return ok;
  }
  const auto directory = target->path.parent_path();
  if (auto ok = fs.sync_directory(directory.empty() ? "." : directory); !ok) {
    return ok.error().with_context("the new file is in place, but a power loss may undo that");
  }
  return {};
}

}  // namespace

Result<void> write_container(FileSystem& fs, const std::filesystem::path& path,
                             const Snapshot& snapshot, const SaveOptions& options) {
  auto written = write_target(fs, path, snapshot, options);
  if (!written) return written.error().with_context("save " + path.string());
  return {};
}

Result<void> write_container_beside(FileSystem& fs, const std::filesystem::path& path,
                                    const Snapshot& snapshot, const SaveOptions& options,
                                    std::optional<Unfinished>& made) {
  const auto target = target_of_writer(fs, path);
  if (!target) return target.error();
  const auto file = write_beside(fs, *target, snapshot, options, made);
  return file ? Result<void>() : file.error();
}

}  // namespace cairn::format
