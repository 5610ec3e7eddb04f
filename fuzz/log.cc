// SPDX-License-Identifier: Apache-2.0
//
// A file whose writer was killed: changed somewhere in log, journal or superblock, its checksums
// put right so that the change gets past them, then opened by a reader and by a writer. Either both
// refuse it or both see the same, and what the writer makes of it is sound.
#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <mutex>
#include <set>
#include <vector>

#include "format/bytes/checksum.h"
#include "format/bytes/log_frame.h"
#include "format/bytes/superblock.h"
#include "format/container/container.h"
#include "format/container/writable_container.h"
#include "fuzz/input.h"
#include "tests/support/faulty_file_system.h"
#include "tests/support/memory_file_system.h"

namespace cairn::fuzz {
namespace {

using namespace format;
using Bytes = std::vector<std::byte>;

const std::filesystem::path kPath = "/a";
constexpr std::uint64_t kSegment = 32 << 10;

WriteOptions small_options(bool salvage = false) {
  WriteOptions options;
  options.salvage = salvage;
  options.segment_bytes = kSegment;
  options.first_run_bytes = kPageSize;
  options.section_addresses = std::uint64_t{64} << 20;
  return options;
}

Parameters parameters() {
  Parameters p{};
  p.dimensions = 4;
  p.metric = Metric::l2sq;
  p.scalar = Scalar::f32;
  p.traversal = Traversal::code;
  p.m = 2;
  p.ef_construction = 10;
  derive_strides(p);
  return p;
}

bool commit(WritableContainer& file, SectionId section, std::uint64_t offset, unsigned fill) {
  constexpr std::size_t kBytes = 300;
  if (!file.grow(section, offset + kBytes)) return false;
  std::memset(file.section(section).data() + offset, static_cast<int>(fill), kBytes);
  Counters counters = file.counters();
  ++counters.applied_up_to;
  const Change change{section, offset, kBytes};
  const auto lsn = file.commit({&change, 1}, counters);
  return lsn && file.acknowledge(*lsn);
}

// Commits and growth, a checkpoint in the middle; ends at raw call `end`.
void write_something(format::RawFileSystem& raw) {
  FileSystem fs(raw);
  auto file = WritableContainer::create(fs, kPath, parameters(), small_options());
  std::mutex commit_mutex;
  for (unsigned i = 0; file && i < 14; ++i) {
    const auto section = static_cast<SectionId>(1 + i % 3);
    if (!commit(*file, section, 1000 * (i % 5), i + 1)) return;
    if ((i == 6 || i == 13) && !file->checkpoint(commit_mutex)) return;
  }
}

Superblock newest(const Bytes& file, const Uuid& uuid, std::size_t* slot = nullptr) {
  Superblock best;
  best.generation = 0;
  for (std::size_t i = 0; i < kSuperblockOffsets.size(); ++i) {
    const auto block =
        Superblock::decode(std::span<const std::byte, Superblock::kEncodedSize>(
                               file.data() + kSuperblockOffsets[i], Superblock::kEncodedSize),
                           uuid);
    if (!block || block->generation <= best.generation) continue;
    best = *block;
    if (slot != nullptr) *slot = i;
  }
  return best;
}

Uuid uuid_of(const Bytes& file) {
  Uuid uuid;
  std::memcpy(uuid.data(), file.data() + header_at::kUuid.offset, uuid.size());
  return uuid;
}

// [0]: with a log, [1]: with log and journal.
const std::array<Bytes, 2>& seeds() {
  static const std::array<Bytes, 2> made = [] {
    std::array<Bytes, 2> files;
    for (std::uint64_t call = 0; files[1].empty() || files[0].empty(); ++call) {
      test::MemoryFileSystem memory;
      test::FaultyFileSystem raw(memory, {call, EIO, test::Fault::Lasts::forever});
      write_something(raw);
      require(raw.has_failed(), "a file with log and journal comes by");
      if (!memory.exists(kPath)) continue;
      const Bytes file = memory.get(kPath);
      if (file.size() < kFirstRunOffset) continue;
      const Superblock block = newest(file, uuid_of(file));
      if (block.generation < 3) continue;
      if (block.has_journal()) {
        files[1] = file;
      } else if (files[1].empty() || files[0].empty()) {
        files[0] = file;
      }
    }
    return files;
  }();
  return made;
}

struct Image {
  Bytes bytes;
  Superblock block;
  std::size_t slot = 0;
  std::vector<std::pair<std::size_t, std::size_t>> frames;  // offset, length
};

Image load(const Bytes& file) {
  Image image{file, {}, 0, {}};
  image.block = newest(file, uuid_of(file), &image.slot);
  std::size_t at = image.block.log_offset + kPageSize;
  std::uint64_t lsn = image.block.log_first_lsn;
  while (fits(at, frame_at::kSize, file.size())) {
    const auto header = FrameHeader::decode(
        std::span<const std::byte, frame_at::kSize>(file.data() + at, frame_at::kSize));
    if (!header || header->lsn != lsn++ || !fits(at, header->length, file.size())) break;
    image.frames.emplace_back(at, header->length);
    at += header->length;
  }
  return image;
}

enum class Place { superblock, segment, frame, record, journal, anywhere, count };

void change(Image& image, Input& input) {
  const auto place = static_cast<Place>(input.u8() % static_cast<unsigned>(Place::count));
  const std::size_t size = std::size_t{1} << (input.u8() % 4);
  const std::size_t index = input.u16();
  const std::size_t offset = input.u32();
  const std::uint64_t value = input.u64();
  std::size_t at = offset % image.bytes.size();
  const auto frame = [&] {
    return image.frames.empty() ? image.block.log_offset
                                : image.frames[index % image.frames.size()].first;
  };
  switch (place) {
    case Place::superblock:
      at = kSuperblockOffsets[image.slot] + offset % superblock_at::kSize;
      break;
    case Place::segment: at = image.block.log_offset + offset % 40; break;
    case Place::frame: at = frame() + offset % frame_at::kSize; break;
    case Place::record: at = frame() + frame_at::kSize + offset % 400; break;
    case Place::journal:
      at = image.block.journal_offset +
           (image.block.has_journal() ? offset % image.block.journal_bytes : 0);
      break;
    case Place::anywhere:
    case Place::count: break;
  }
  if (fits(at, size, image.bytes.size())) std::memcpy(image.bytes.data() + at, &value, size);
}

void repair(Image& image, unsigned options) {
  Bytes& bytes = image.bytes;
  if ((options & 2) == 0) {
    std::uint64_t chain = 0;
    std::byte* const segment = bytes.data() + image.block.log_offset;
    const auto head = std::span<const std::byte>(segment, segment_at::kChecksum.offset);
    chain = hash64(head);
    store<segment_at::kChecksum>(segment, chain);
    for (const auto& [at, length] : image.frames) {
      std::byte* const frame = bytes.data() + at;
      const std::uint64_t claimed = format::load<frame_at::kLength>(frame);
      const std::uint64_t salt = format::load<frame_at::kSalt>(frame);
      const std::uint64_t durable = format::load<frame_at::kDurableLsn>(frame);
      const std::uint64_t real =
          claimed >= frame_at::kSize && fits(at, claimed, bytes.size()) ? claimed : length;
      chain = seal_frame({frame, static_cast<std::size_t>(real)}, salt, chain, durable);
    }
  }
  std::byte* const block = bytes.data() + kSuperblockOffsets[image.slot];
  if ((options & 4) == 0) {
    const std::uint64_t at = format::load<superblock_at::kJournalOffset>(block);
    const std::uint64_t size = format::load<superblock_at::kJournalBytes>(block);
    if (size >= kPageSize && fits(at, size, bytes.size())) {
      const std::uint64_t pages = format::load<journal_at::kPages>(bytes.data() + at);
      const std::uint64_t head =
          pages < 1000 ? round_up(journal_at::kSize + pages * journal_entry_at::kSize, kPageSize)
                       : kPageSize;
      for (std::uint64_t i = 0; pages < 1000 && i < pages; ++i) {
        if (!fits(head + i * kPageSize, kPageSize, size)) break;
        std::byte* const entry =
            bytes.data() + at + journal_at::kSize + i * journal_entry_at::kSize;
        store<journal_entry_at::kChecksum>(entry,
                                           page_checksum(bytes.data() + at + head + i * kPageSize));
      }
      if (head <= size) {
        const auto covered =
            std::span<const std::byte>(bytes.data() + at, static_cast<std::size_t>(head));
        store<superblock_at::kJournalChecksum>(block, hash64(covered));
      }
    }
  }
  if ((options & 8) == 0) {
    const auto covered = std::span<const std::byte>(block, superblock_at::kChecksum.offset);
    hash128(covered).store(block + superblock_at::kChecksum.offset);
  }
}

void expect_a_refusal(const Error& error) {
  static const std::set<ErrorCode> refusals = {ErrorCode::not_a_cairn_file,
                                               ErrorCode::version_unsupported,
                                               ErrorCode::feature_unsupported,
                                               ErrorCode::truncated,
                                               ErrorCode::corrupt,
                                               ErrorCode::data_loss,
                                               ErrorCode::no_space};
  require(refusals.contains(error.code()), "a bad file is refused as what it is:", error.message());
}

template <class A, class B>
void expect_the_same(const A& a, const B& b) {
  require(a.counters() == b.counters(), "the same counters");
  for (std::uint16_t id = 1; id <= kDataSectionCount; ++id) {
    const Region& x = a.section(static_cast<SectionId>(id));
    const Region& y = b.section(static_cast<SectionId>(id));
    require(x.size() == y.size(), "sections of the same size");
    require(x.size() == 0 || std::memcmp(x.data(), y.data(), x.size()) == 0, "the same bytes");
  }
}

void run(const Image& image, bool salvage, bool untouched) {
  test::MemoryFileSystem memory;
  memory.set(kPath, image.bytes);
  FileSystem fs(memory);
  const auto reader = Container::open(fs, kPath, Residency::map, Verify::metadata, salvage);
  if (!reader) expect_a_refusal(reader.error());
  test::MemoryFileSystem writers;
  writers.set(kPath, image.bytes);
  FileSystem writers_fs(writers);
  {
    auto writer = WritableContainer::open(writers_fs, kPath, small_options(salvage));
    require(writer.has_value() || !untouched, "what nobody changed is opened");
    if (!writer) return expect_a_refusal(writer.error());
    require(reader.has_value(),
            "a reader opens what a writer does:", reader ? "" : reader.error().message());
    expect_the_same(*reader, *writer);
    (void)commit(*writer, SectionId::hot, 0, 77);
    if (auto closed = writer->close(); !closed) return;
  }
  const auto closed = Container::open(writers_fs, kPath, Residency::map, Verify::metadata);
  require(closed.has_value(),
          "what was closed can be opened:", closed ? "" : closed.error().message());
  require(closed->recovered_frames() == 0, "without a log");
}

}  // namespace
}  // namespace cairn::fuzz

extern "C" int LLVMFuzzerInitialize(int* /*argc*/, char*** /*argv*/) {
  cairn::fuzz::seeds();
  return 0;
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace cairn::fuzz;
  if (size > 4096) return 0;
  Input input(data, size);
  const unsigned options = input.u8();
  Image image = load(seeds()[options & 1]);
  const std::size_t cut = input.u16();
  const bool untouched = input.empty() && (options & 16) == 0;
  while (!input.empty()) change(image, input);
  repair(image, options);
  if ((options & 16) != 0) {
    image.bytes.erase(image.bytes.end() - static_cast<std::ptrdiff_t>(cut % (64 << 10)),
                      image.bytes.end());
  }
  run(image, (options & 32) != 0, untouched);
  return 0;
}
