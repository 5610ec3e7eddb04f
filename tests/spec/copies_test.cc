// SPDX-License-Identifier: Apache-2.0
//
// Files that were not closed, as copies and as the files that they are, changed in one place each:
// library and second reader open the same ones, with the same pages and counters, and refuse the
// others for the same reason. docs/format.md, "Redo log", "Journal", "Recovery" and "Copies".
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <functional>
#include <initializer_list>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "format/bytes/checksum.h"
#include "format/bytes/coding.h"
#include "format/bytes/log_frame.h"
#include "format/container/container.h"
#include "format/container/container_state.h"
#include "tests/spec/second_reader.h"
#include "tests/support/copies.h"
#include "tests/support/file_image.h"
#include "tests/support/temporary_directory.h"

namespace cairn {
namespace {

using namespace format;
using test::Bytes;

constexpr const char* kTen = "ten_l2sq_d3.cairn";
constexpr const char* kLog = "forty_with_log.cairn";
constexpr const char* kJournal = "forty_with_journal.cairn";

template <std::size_t kSize>
std::span<const std::byte, kSize> piece(const Bytes& file, std::uint64_t at) {
  return std::span<const std::byte, kSize>(file.data() + at, kSize);
}

void put(Bytes& file, std::uint64_t at, std::span<const std::byte> bytes) {
  file.resize(std::max<std::size_t>(file.size(), at + bytes.size()));
  std::copy(bytes.begin(), bytes.end(), file.begin() + static_cast<std::ptrdiff_t>(at));
}

Superblock newest(const Bytes& file) {
  const Superblock blocks[] = {test::superblock_of(file, 0), test::superblock_of(file, 1)};
  return blocks[blocks[1].generation > blocks[0].generation ? 1 : 0];
}

template <class Change>
void change_block(Bytes& file, Change&& change) {
  Superblock block = newest(file);
  change(block);
  test::set_superblock(file, block);
}

// Where the log of a file ends, and how it goes on.
struct End {
  std::uint64_t at = 0;
  std::uint64_t lsn = 0;
  std::uint64_t salt = 0;
  std::uint64_t previous = 0;
  SegmentHeader segment{};  // the last one
  std::uint64_t last = 0;   // where the last frame begins
  Counters counters{};      // of the last frame

  void enter(const Bytes& file, std::uint64_t offset) {
    segment = *SegmentHeader::decode(piece<segment_at::kSize>(file, offset));
    previous = segment.checksum;
    at = offset + kPageSize;
  }
};

std::optional<FrameHeader> next_frame(const Bytes& file, const End& end) {
  const auto header = FrameHeader::decode(piece<frame_at::kSize>(file, end.at));
  const bool is_next = header && header->lsn == end.lsn && header->salt == end.salt &&
                       is_whole(std::span(file).subspan(end.at, header->length));
  return is_next ? header : std::nullopt;
}

End end_of_log(const Bytes& file) {
  const Superblock block = newest(file);
  End end;
  end.salt = block.log_salt;
  end.lsn = block.log_first_lsn;
  end.counters = block.counters;
  end.enter(file, block.log_offset);
  while (const auto header = next_frame(file, end)) {
    const auto records = records_of(std::span(file).subspan(end.at, header->length));
    end.last = std::exchange(end.at, end.at + header->length);
    end.previous = header->checksum;
    ++end.lsn;
    for (const Record& record : *records) {
      if (record.kind == RecordKind::jump) end.enter(file, record.offset);
      if (record.kind == RecordKind::counters) {
        end.counters = Counters::decode(record.data.first<Counters::kEncodedSize>());
      }
    }
  }
  return end;
}

using Fill = std::function<void(FrameBuilder&)>;

// The frame behind the end, and the end behind it. `length` 0: as many pages as that takes.
Bytes frame_at_end(End& end, const Fill& fill, std::size_t length = 0) {
  Bytes frame;
  FrameBuilder builder(frame, end.lsn);
  fill(builder);
  frame.resize(length != 0 ? length : round_up(frame.size(), kPageSize));
  end.previous = seal_frame(frame, end.salt, end.previous, end.lsn - 1);
  end.at += frame.size();
  ++end.lsn;
  return frame;
}

void add_counters(FrameBuilder& frame, Counters counters, std::uint16_t section = 0,
                  std::uint64_t offset = 0) {
  counters.applied_up_to = 4711;
  Bytes bytes(Counters::kEncodedSize);
  counters.encode(std::span<std::byte, Counters::kEncodedSize>(bytes));
  frame.add(RecordKind::counters, section, offset, bytes);
}

void append_frame(Bytes& file, const Fill& fill) {
  End end = end_of_log(file);
  const std::uint64_t at = end.at;
  put(file, at, frame_at_end(end, fill));
}

void append_patches(Bytes& file, std::uint16_t section, std::uint64_t offset,
                    std::initializer_list<int> data) {
  Bytes bytes;
  for (const int byte : data) bytes.push_back(static_cast<std::byte>(byte));
  append_frame(
      file, [&](FrameBuilder& frame) { frame.add(RecordKind::patches, section, offset, bytes); });
}

Bytes unused_page(std::uint64_t salt, std::uint64_t number) {
  Bytes page(unused_at::kSize);
  encode_unused_page(std::span<std::byte, unused_at::kSize>(page), salt, number);
  return page;
}

// A later frame, which tells that all up to `durable` were on disk.
Bytes frame_that_tells(const Bytes& file, std::uint64_t durable, std::uint64_t other_salt = 0) {
  End end = end_of_log(file);
  ++end.lsn;
  Bytes frame = frame_at_end(end, [](FrameBuilder&) {});
  seal_frame(frame, end.salt + other_salt, end.previous, durable);
  return frame;
}

// As if the last frame had not been written yet.
void take_last_frame_back(Bytes& file) {
  const End end = end_of_log(file);
  for (std::uint64_t at = end.last; at < end.at; at += kPageSize) {
    put(file, at, unused_page(end.salt, end.segment.number));
  }
}

// A group of two frames that takes three pages, of which `written` have reached the file. The
// second frame begins in the first page and ends in the third.
void write_group(Bytes& file, std::size_t written) {
  const Counters counters = end_of_log(file).counters;
  take_last_frame_back(file);
  End end = end_of_log(file);
  const std::uint64_t at = end.at;
  const auto fill = [&](FrameBuilder& frame) { add_counters(frame, counters); };
  Bytes group = frame_at_end(end, fill, 400);
  const Bytes second = frame_at_end(end, fill, 3 * kPageSize - group.size());
  group.insert(group.end(), second.begin(), second.end());
  put(file, at, std::span(group).first(written * kPageSize));
}

// A segment at the end of the file, and a jump to it. `filled`: with unused pages.
void jump_to_new_segment(Bytes& file, bool filled, std::uint64_t pages = 3) {
  End end = end_of_log(file);
  const std::uint64_t begin = file.size();
  append_frame(file, [&](FrameBuilder& frame) { frame.add(RecordKind::jump, 0, begin, {}); });
  SegmentHeader header{end.salt, end.lsn + 1, pages * kPageSize, end.segment.number + 100, 0};
  Bytes page(segment_at::kSize);
  header.encode(std::span<std::byte, segment_at::kSize>(page));
  put(file, begin, page);
  for (std::uint64_t i = 1; i < pages; ++i) {
    put(file, begin + i * kPageSize,
        filled ? unused_page(end.salt, header.number) : Bytes(kPageSize));
  }
}

std::uint64_t bytes_of(const Bytes& file, SectionId section) {
  std::uint64_t bytes = 0;
  for (const Extent& run : newest(file).extents) {
    if (run.section == static_cast<std::uint16_t>(section)) bytes += run.length;
  }
  return bytes;
}

void add_run(FrameBuilder& frame, const Extent& run, std::uint64_t offset = 0,
             std::uint16_t section = 0) {
  Bytes bytes(Extent::kEncodedSize);
  run.encode(std::span<std::byte, Extent::kEncodedSize>(bytes));
  frame.add(RecordKind::run, section != 0 ? section : run.section, offset, bytes);
}

// A run of HOT behind the end of the file, with its tree in a run of CHECKSUM of two pages, of
// which it needs one.
struct NewRuns {
  Extent hot{};
  Extent checksum{};

  explicit NewRuns(const Bytes& file) {
    checksum.section = static_cast<std::uint16_t>(SectionId::checksum);
    checksum.logical_offset = bytes_of(file, SectionId::checksum);
    checksum.length = 2 * kPageSize;
    checksum.file_offset = file.size() + kPageSize;
    hot.section = static_cast<std::uint16_t>(SectionId::hot);
    hot.logical_offset = bytes_of(file, SectionId::hot);
    hot.length = kPageSize;
    hot.file_offset = file.size();
    hot.tree_offset = checksum.logical_offset;
  }
  std::uint64_t end() const { return checksum.file_offset + checksum.length; }
};

// Grows the file by the runs; one byte in them, `dirty` behind their beginning, is not zero.
void grow(Bytes& file, std::optional<std::uint64_t> dirty = std::nullopt) {
  const NewRuns runs(file);
  append_frame(file, [&](FrameBuilder& frame) {
    add_run(frame, runs.hot);
    add_run(frame, runs.checksum);
  });
  file.resize(runs.end());
  if (dirty) file[runs.hot.file_offset + *dirty] = std::byte{1};
}

// The same with a change that no writer makes.
void grow_wrongly(Bytes& file, const std::function<void(FrameBuilder&, NewRuns&)>& add) {
  NewRuns runs(file);
  append_frame(file, [&](FrameBuilder& frame) { add(frame, runs); });
  file.resize(runs.end());
}

// The last page of CHECKSUM, which belongs to no tree.
std::uint64_t free_tree_page(const Bytes& file) {
  return test::place_of(file, SectionId::checksum, bytes_of(file, SectionId::checksum) - kPageSize);
}

std::byte* journal_entry(Bytes& file, std::size_t entry) {
  return file.data() + newest(file).journal_offset + journal_at::kSize +
         entry * journal_entry_at::kSize;
}

void repair_journal(Bytes& file) {
  change_block(file, [&](Superblock& block) {
    const std::uint64_t pages = load<journal_at::kPages>(file.data() + block.journal_offset);
    const std::uint64_t head =
        round_up(journal_at::kSize + pages * journal_entry_at::kSize, kPageSize);
    block.journal_checksum = hash64(std::span(file).subspan(block.journal_offset, head));
  });
}

struct Case {
  const char* name;
  const char* golden;
  // What opening a copy gives, and the file itself after a crash; nothing: it opens.
  std::optional<ErrorCode> copy;
  std::optional<ErrorCode> file;
  void (*apply)(Bytes& file);
};

constexpr std::optional<ErrorCode> kOpens;
constexpr ErrorCode kCorrupt = ErrorCode::corrupt;
constexpr ErrorCode kDataLoss = ErrorCode::data_loss;

const Case kCases[] = {
    // Superblock.
    {"log as it is", kLog, kOpens, kOpens, [](Bytes&) {}},
    {"journal as it is", kJournal, kOpens, kOpens, [](Bytes&) {}},
    {"closed_size of all the file", kLog, kOpens, kOpens,
     [](Bytes& f) { change_block(f, [](Superblock& b) { b.closed_size = b.file_size; }); }},
    {"closed_size beyond the file", kLog, kCorrupt, kCorrupt,
     [](Bytes& f) { change_block(f, [](Superblock& b) { b.closed_size = b.file_size + 4096; }); }},
    {"closed_size of no page", kLog, kCorrupt, kCorrupt,
     [](Bytes& f) { change_block(f, [](Superblock& b) { b.closed_size = 8; }); }},
    {"log_offset without log", kTen, kOpens, kOpens,
     [](Bytes& f) { change_block(f, [](Superblock& b) { b.log_offset = 4097; }); }},
    {"log_first_lsn", kLog, kCorrupt, kCorrupt,
     [](Bytes& f) { change_block(f, [](Superblock& b) { ++b.log_first_lsn; }); }},
    {"neither log nor journal", kLog, kCorrupt, kCorrupt,
     [](Bytes& f) { change_block(f, [](Superblock& b) { b.log_offset = 0; }); }},
    {"journal without log", kJournal, kOpens, kOpens,
     [](Bytes& f) { change_block(f, [](Superblock& b) { b.log_offset = 0; }); }},

    // A closed file.
    {"longer than it should be", kTen, kOpens, kOpens, [](Bytes& f) { f.resize(f.size() + 4096); }},
    {"longer, with a page of another moment", kTen, kCorrupt, kCorrupt,
     [](Bytes& f) {
       f[test::place_of(f, SectionId::key, 0)] ^= std::byte{1};
       f.resize(f.size() + 4096);
     }},
    {"longer, with a tree of another moment", kTen, kCorrupt, kCorrupt,
     [](Bytes& f) {
       f[test::place_of(f, SectionId::checksum, 0)] ^= std::byte{1};
       f.resize(f.size() + 4096);
     }},
    {"longer, with a page without a tree that was written", kTen, kCorrupt, kOpens,
     [](Bytes& f) {
       change_block(f, [](Superblock& b) {
         b.extents.back().length += kPageSize;
         b.file_size += kPageSize;
       });
       f.resize(f.size() + kPageSize, std::byte{1});
       f.resize(f.size() + kPageSize);
     }},
    {"shorter", kTen, ErrorCode::truncated, ErrorCode::truncated,
     [](Bytes& f) { f.resize(f.size() - 4096); }},

    // Pages.
    {"a page of another moment", kLog, kCorrupt, kCorrupt,
     [](Bytes& f) { f[test::place_of(f, SectionId::exact, 0)] ^= std::byte{1}; }},
    {"a page without a tree, written", kLog, kCorrupt, kOpens,
     [](Bytes& f) { f[free_tree_page(f)] ^= std::byte{1}; }},
    {"a page that is in the journal", kJournal, kOpens, kOpens,
     [](Bytes& f) {
       const auto at = load<journal_entry_at::kFileOffset>(journal_entry(f, 0));
       f[at] ^= std::byte{1};
     }},

    // Where the log ends.
    {"the first segment is none", kLog, kDataLoss, kDataLoss,
     [](Bytes& f) { f[newest(f).log_offset] ^= std::byte{1}; }},
    {"no unused page behind the log", kLog, kDataLoss, kOpens,
     [](Bytes& f) { put(f, end_of_log(f).at, Bytes(kPageSize)); }},
    {"an unused page of another segment", kLog, kDataLoss, kOpens,
     [](Bytes& f) {
       const End end = end_of_log(f);
       put(f, end.at, unused_page(end.salt, end.segment.number - 1));
     }},
    {"an unused page of another opening", kLog, kDataLoss, kOpens,
     [](Bytes& f) {
       const End end = end_of_log(f);
       put(f, end.at, unused_page(end.salt - 1, end.segment.number));
     }},
    {"the last byte of the unused page", kLog, kDataLoss, kOpens,
     [](Bytes& f) { f[end_of_log(f).at + kPageSize - 1] = std::byte{1}; }},
    {"the page behind the unused one", kLog, kOpens, kOpens,
     [](Bytes& f) { put(f, end_of_log(f).at + kPageSize, Bytes(kPageSize)); }},
    {"one frame more", kLog, kOpens, kOpens,
     [](Bytes& f) {
       const Counters counters = end_of_log(f).counters;
       append_frame(f, [&](FrameBuilder& frame) { add_counters(frame, counters); });
     }},
    {"a frame that is cut off inside a page", kLog, kDataLoss, kOpens,
     [](Bytes& f) {
       const std::uint64_t at = end_of_log(f).at;
       append_frame(f, [](FrameBuilder&) {});
       std::fill(f.begin() + static_cast<std::ptrdiff_t>(at + 512),
                 f.begin() + static_cast<std::ptrdiff_t>(at + kPageSize), std::byte{1});
     }},
    {"no page of a group", kLog, kOpens, kOpens, [](Bytes& f) { write_group(f, 0); }},
    {"one page of a group", kLog, kOpens, kOpens, [](Bytes& f) { write_group(f, 1); }},
    {"two pages of a group", kLog, kOpens, kOpens, [](Bytes& f) { write_group(f, 2); }},
    {"a group up to the end of its segment", kLog, kDataLoss, kOpens,
     [](Bytes& f) { write_group(f, 3); }},
    {"two pages of a group, something else in the third", kLog, kDataLoss, kOpens,
     [](Bytes& f) {
       write_group(f, 2);
       put(f, round_up(end_of_log(f).at, kPageSize) + kPageSize, Bytes(kPageSize));
     }},
    {"a group without its second page", kLog, kDataLoss, kOpens,
     [](Bytes& f) {
       const End end = end_of_log(f);
       write_group(f, 3);
       put(f, end.last + kPageSize, unused_page(end.salt, end.segment.number));
     }},
    {"a jump to nothing", kLog, kDataLoss, kOpens,
     [](Bytes& f) {
       const std::uint64_t at = end_of_log(f).at;
       append_frame(f, [&](FrameBuilder& frame) { frame.add(RecordKind::jump, 0, at, {}); });
     }},
    {"a jump beyond the file", kLog, kDataLoss, kOpens,
     [](Bytes& f) {
       const std::uint64_t at = f.size();
       append_frame(f, [&](FrameBuilder& frame) { frame.add(RecordKind::jump, 0, at, {}); });
     }},
    {"a jump to an empty segment", kLog, kOpens, kOpens,
     [](Bytes& f) { jump_to_new_segment(f, true); }},
    {"a jump to a segment without unused pages", kLog, kDataLoss, kOpens,
     [](Bytes& f) { jump_to_new_segment(f, false); }},
    {"an unused page behind the segment", kLog, kDataLoss, kOpens,
     [](Bytes& f) {
       jump_to_new_segment(f, true, 2);
       append_frame(f, [](FrameBuilder&) {});
       const End end = end_of_log(f);
       put(f, end.at, unused_page(end.salt, end.segment.number));
     }},
    {"a jump to a segment that is cut off", kLog, kDataLoss, kOpens,
     [](Bytes& f) {
       jump_to_new_segment(f, true);
       f.resize(f.size() - kPageSize);
     }},

    // Frames that are missing.
    {"a frame is lost", kJournal, kDataLoss, kDataLoss,
     [](Bytes& f) { put(f, f.size(), frame_that_tells(f, end_of_log(f).lsn)); }},
    {"a frame was not on disk", kJournal, kOpens, kOpens,
     [](Bytes& f) { put(f, f.size(), frame_that_tells(f, end_of_log(f).lsn - 1)); }},
    {"a frame that tells of a loss is cut off", kJournal, kOpens, kOpens,
     [](Bytes& f) {
       put(f, f.size(), frame_that_tells(f, end_of_log(f).lsn));
       f.resize(f.size() - 8);
     }},
    {"a frame of another opening tells", kJournal, kOpens, kOpens,
     [](Bytes& f) { put(f, f.size(), frame_that_tells(f, end_of_log(f).lsn, 1)); }},

    // Growth in the log.
    {"new runs", kLog, kOpens, kOpens, [](Bytes& f) { grow(f); }},
    {"a new run that is not zero", kLog, kCorrupt, kOpens, [](Bytes& f) { grow(f, 100); }},
    {"a new tree that is not zero", kLog, kCorrupt, kOpens, [](Bytes& f) { grow(f, 4096); }},
    {"a new page without a tree that is not zero", kLog, kCorrupt, kOpens,
     [](Bytes& f) { grow(f, 8192 + 4000); }},
    {"new runs beyond the file", kLog, kCorrupt, kCorrupt,
     [](Bytes& f) {
       grow(f);
       f.resize(f.size() - 4096);
     }},
    {"a new run without room for its tree", kLog, kCorrupt, kCorrupt,
     [](Bytes& f) {
       grow_wrongly(f, [](FrameBuilder& frame, NewRuns& runs) { add_run(frame, runs.hot); });
     }},
    {"a new run over an old one", kLog, kCorrupt, kCorrupt,
     [](Bytes& f) {
       grow_wrongly(f, [](FrameBuilder& frame, NewRuns& runs) {
         runs.hot.file_offset = kFirstRunOffset;
         add_run(frame, runs.hot);
         add_run(frame, runs.checksum);
       });
     }},
    {"a new run with a root", kLog, kCorrupt, kCorrupt,
     [](Bytes& f) {
       grow_wrongly(f, [](FrameBuilder& frame, NewRuns& runs) {
         runs.hot.root = 1;
         add_run(frame, runs.hot);
         add_run(frame, runs.checksum);
       });
     }},
    {"a new run with an offset", kLog, kCorrupt, kCorrupt,
     [](Bytes& f) {
       grow_wrongly(f, [](FrameBuilder& frame, NewRuns& runs) {
         add_run(frame, runs.hot, 8);
         add_run(frame, runs.checksum);
       });
     }},
    {"a new run of two sections", kLog, kCorrupt, kCorrupt,
     [](Bytes& f) {
       grow_wrongly(f, [](FrameBuilder& frame, NewRuns& runs) {
         add_run(frame, runs.hot, 0, 2);
         add_run(frame, runs.checksum);
       });
     }},
    {"a new run of no section", kLog, kCorrupt, kCorrupt,
     [](Bytes& f) {
       grow_wrongly(f, [](FrameBuilder& frame, NewRuns& runs) {
         runs.checksum.section = 8;
         add_run(frame, runs.checksum);
       });
     }},
    {"a new run of another size", kLog, kCorrupt, kCorrupt,
     [](Bytes& f) {
       append_frame(f, [](FrameBuilder& frame) { frame.add(RecordKind::run, 1, 0, Bytes(56)); });
     }},
    {"more runs than there may be", kLog, kCorrupt, kCorrupt,
     [](Bytes& f) {
       const std::size_t runs = newest(f).extents.size();
       jump_to_new_segment(f, true, 10);
       append_frame(f, [&](FrameBuilder& frame) {
         Extent run = NewRuns(f).checksum;
         for (std::size_t i = runs; i <= kMaxExtents; ++i) {
           add_run(frame, run);
           run.logical_offset += run.length;
           run.file_offset += run.length;
         }
       });
       f.resize(f.size() + (4 << 20));
     }},

    // Other records.
    {"counters of a section", kLog, kCorrupt, kCorrupt,
     [](Bytes& f) {
       const Counters counters = end_of_log(f).counters;
       append_frame(f, [&](FrameBuilder& frame) { add_counters(frame, counters, 1); });
     }},
    {"counters with an offset", kLog, kCorrupt, kCorrupt,
     [](Bytes& f) {
       const Counters counters = end_of_log(f).counters;
       append_frame(f, [&](FrameBuilder& frame) { add_counters(frame, counters, 0, 8); });
     }},
    {"counters that cannot be", kLog, kCorrupt, kCorrupt,
     [](Bytes& f) {
       Counters counters = end_of_log(f).counters;
       counters.slots_used = 1u << 20;
       append_frame(f, [&](FrameBuilder& frame) { add_counters(frame, counters); });
     }},
    {"bytes of no section", kLog, kCorrupt, kCorrupt,
     [](Bytes& f) {
       append_frame(f, [](FrameBuilder& frame) { frame.add(RecordKind::bytes, 7, 0, Bytes(8)); });
     }},
    {"bytes behind a section", kLog, kCorrupt, kCorrupt,
     [](Bytes& f) {
       const std::uint64_t end = bytes_of(f, SectionId::hot);
       append_frame(
           f, [&](FrameBuilder& frame) { frame.add(RecordKind::bytes, 1, end - 4, Bytes(8)); });
     }},
    {"no bytes", kLog, kCorrupt, kCorrupt,
     [](Bytes& f) {
       append_frame(f, [](FrameBuilder& frame) { frame.add(RecordKind::bytes, 1, 0, {}); });
     }},
    {"bytes in front of the run that they are in", kLog, kOpens, kOpens,
     [](Bytes& f) {
       grow_wrongly(f, [](FrameBuilder& frame, NewRuns& runs) {
         frame.add(RecordKind::bytes, 1, runs.hot.logical_offset, Bytes(8, std::byte{7}));
         add_run(frame, runs.checksum);
         add_run(frame, runs.hot);
       });
     }},
    {"patches", kLog, kOpens, kOpens,
     [](Bytes& f) {
       append_patches(f, 1, bytes_of(f, SectionId::hot) - 200, {0, 1, 7, 0x80, 1, 2, 7, 7});
     }},
    {"patches up to the end of a section", kLog, kOpens, kOpens,
     [](Bytes& f) { append_patches(f, 1, bytes_of(f, SectionId::hot) - 8, {0, 1, 7, 6, 1, 7}); }},
    {"patches behind a section", kLog, kCorrupt, kCorrupt,
     [](Bytes& f) { append_patches(f, 1, bytes_of(f, SectionId::hot) - 8, {0, 1, 7, 7, 1, 7}); }},
    {"patches of no section", kLog, kCorrupt, kCorrupt,
     [](Bytes& f) { append_patches(f, 7, 0, {0, 1, 7}); }},
    {"no patches", kLog, kCorrupt, kCorrupt, [](Bytes& f) { append_patches(f, 1, 0, {}); }},
    {"a patch of no bytes", kLog, kCorrupt, kCorrupt,
     [](Bytes& f) { append_patches(f, 1, 0, {0, 0}); }},
    {"a patch that is cut off", kLog, kCorrupt, kCorrupt,
     [](Bytes& f) { append_patches(f, 1, 0, {0, 1, 7, 0, 2, 7}); }},
    {"a patch without a length", kLog, kCorrupt, kCorrupt,
     [](Bytes& f) { append_patches(f, 1, 0, {0, 1, 7, 0}); }},
    {"a number of a patch that does not end", kLog, kCorrupt, kCorrupt,
     [](Bytes& f) { append_patches(f, 1, 0, {0x80, 0x80}); }},
    {"a number of a patch of ten bytes", kLog, kCorrupt, kCorrupt,
     [](Bytes& f) {
       append_patches(f, 1, 0, {0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0, 1, 7});
     }},
    {"a patch beyond 2^64", kLog, kCorrupt, kCorrupt,
     [](Bytes& f) { append_patches(f, 1, ~std::uint64_t{0}, {1, 1, 7}); }},
    {"a jump that is not alone", kLog, kCorrupt, kCorrupt,
     [](Bytes& f) {
       append_frame(f, [](FrameBuilder& frame) {
         frame.add(RecordKind::bytes, 1, 0, Bytes(8));
         frame.add(RecordKind::jump, 0, kFirstRunOffset, {});
       });
     }},
    {"a jump with data", kLog, kCorrupt, kCorrupt,
     [](Bytes& f) {
       append_frame(f, [](FrameBuilder& frame) {
         frame.add(RecordKind::jump, 0, kFirstRunOffset, Bytes(8));
       });
     }},
    {"a record of no kind", kLog, kCorrupt, kCorrupt,
     [](Bytes& f) {
       append_frame(f,
                    [](FrameBuilder& frame) { frame.add(static_cast<RecordKind>(6), 0, 0, {}); });
     }},

    // Journal.
    {"journal of another generation", kJournal, kCorrupt, kCorrupt,
     [](Bytes& f) {
       store<journal_at::kGeneration>(f.data() + newest(f).journal_offset, 4);
       repair_journal(f);
     }},
    {"journal of more pages", kJournal, kCorrupt, kCorrupt,
     [](Bytes& f) {
       store<journal_at::kPages>(f.data() + newest(f).journal_offset, 10);
       repair_journal(f);
     }},
    {"journal with a wrong head", kJournal, kCorrupt, kCorrupt,
     [](Bytes& f) { f[newest(f).journal_offset + 24] ^= std::byte{1}; }},
    {"journal with an image of another moment", kJournal, kCorrupt, kCorrupt,
     [](Bytes& f) { f[newest(f).journal_offset + kPageSize] ^= std::byte{1}; }},
    {"journal of a page outside all runs", kJournal, kCorrupt, kCorrupt,
     [](Bytes& f) {
       store<journal_entry_at::kFileOffset>(journal_entry(f, 8), f.size() - kPageSize);
       repair_journal(f);
     }},
    {"journal in another order", kJournal, kCorrupt, kCorrupt,
     [](Bytes& f) {
       const auto at = load<journal_entry_at::kFileOffset>(journal_entry(f, 1));
       store<journal_entry_at::kFileOffset>(journal_entry(f, 0), at);
       repair_journal(f);
     }},
    {"journal beyond the file", kJournal, kCorrupt, kCorrupt,
     [](Bytes& f) { change_block(f, [](Superblock& b) { b.journal_offset = b.file_size; }); }},
    {"journal of no whole pages", kJournal, kCorrupt, kCorrupt,
     [](Bytes& f) { change_block(f, [](Superblock& b) { b.journal_bytes -= 8; }); }},
};

// Makes it what its own writer left behind, not a copy. The file stays the same one.
void call_it_its_own(const std::filesystem::path& path, Bytes file) {
  const auto opened = default_file_system().open(path, Access::read_only);
  ASSERT_TRUE(opened) << opened.error().message();
  const auto info = opened->info();
  ASSERT_TRUE(info) << info.error().message();
  for (std::size_t slot = 0; slot < kSuperblockOffsets.size(); ++slot) {
    Superblock block = test::superblock_of(file, slot);
    block.identity = identity_of(*info);
    Bytes bytes(Superblock::kEncodedSize);
    block.encode(std::span<std::byte, Superblock::kEncodedSize>(bytes));
    put(file, kSuperblockOffsets[slot], bytes);
  }
  test::write_bytes(path, file);
}

// The library must say that, and the second reader what the library says. Both read every page.
void expect_same(const std::filesystem::path& path, std::optional<ErrorCode> expected,
                 const nlohmann::json& seen) {
  const auto container =
      Container::open(default_file_system(), path, Residency::load, Verify::metadata);
  EXPECT_EQ(container.has_value(), !expected)
      << (container ? "opens" : container.error().message());
  if (!container) {
    EXPECT_EQ(container.error().code(), expected) << container.error().message();
  }
  if (!seen.is_null()) test::expect_same_pages(container, seen);
}

// All cases, each as a copy and as the file itself.
std::vector<std::filesystem::path> write_cases(const test::TemporaryDirectory& directory) {
  std::vector<std::filesystem::path> paths;
  for (const Case& one : kCases) {
    Bytes file =
        test::read_bytes(std::filesystem::path(CAIRN_SOURCE_DIR "/tests/golden") / one.golden);
    one.apply(file);
    for (const bool is_copy : {true, false}) {
      paths.push_back(directory / ("file" + std::to_string(paths.size())));
      test::write_bytes(paths.back(), file);
      if (!is_copy) call_it_its_own(paths.back(), file);
    }
  }
  return paths;
}

std::string name_of(std::size_t number) {
  return std::string(kCases[number / 2].name) +
         (number % 2 == 0 ? ", a copy" : ", the file itself");
}

TEST(Copies, AreOpenedOrRefusedByLibraryAndSecondReader) {
  const test::TemporaryDirectory directory;
  const auto paths = write_cases(directory);
  const bool has_reader = test::have_second_reader();
  const auto seen =
      has_reader ? test::read_pages_with_second_reader(paths) : std::vector<nlohmann::json>();
  ASSERT_EQ(seen.size(), has_reader ? paths.size() : 0u);
  for (std::size_t i = 0; i < paths.size(); ++i) {
    SCOPED_TRACE(name_of(i));
    const Case& one = kCases[i / 2];
    expect_same(paths[i], i % 2 == 0 ? one.copy : one.file,
                has_reader ? seen[i] : nlohmann::json());
  }
  if (!has_reader) GTEST_SKIP() << "no Python with numpy";
}

TEST(Copies, AreSalvagedByLibraryAndSecondReader) {
  if (!test::have_second_reader()) GTEST_SKIP() << "no Python with numpy";
  const test::TemporaryDirectory directory;
  const auto paths = write_cases(directory);
  const auto seen = test::read_pages_with_second_reader(paths, "--salvage");
  ASSERT_EQ(seen.size(), paths.size());
  for (std::size_t i = 0; i < paths.size(); ++i) {
    SCOPED_TRACE(name_of(i));
    const auto container =
        Container::open(default_file_system(), paths[i], Residency::load, Verify::metadata, true);
    EXPECT_TRUE(container || container.error().code() != ErrorCode::data_loss);
    test::expect_same_pages(container, seen[i]);
  }
}

// Copies that begin before every `step`-th operation, at several speeds.
void expect_same_copies(const test::WriterRecording& recording, std::size_t step) {
  const test::TemporaryDirectory directory;
  std::vector<std::filesystem::path> paths;
  for (const std::size_t pages : {1u, 2u, 5u, 1000u}) {
    for (std::size_t i = recording.created; i < recording.operations.size(); i += step) {
      paths.push_back(directory / ("copy" + std::to_string(paths.size())));
      test::write_bytes(paths.back(), test::take_copy(recording, i, pages).bytes);
    }
  }
  const auto seen = test::read_pages_with_second_reader(paths);
  ASSERT_EQ(seen.size(), paths.size());
  std::size_t opened = 0;
  for (std::size_t i = 0; i < paths.size(); ++i) {
    SCOPED_TRACE(paths[i].filename().string());
    const auto container =
        Container::open(default_file_system(), paths[i], Residency::map, Verify::metadata);
    test::expect_same_pages(container, seen[i]);
    opened += container ? 1u : 0u;
  }
  std::printf("%zu copies opened, %zu were refused\n", opened, paths.size() - opened);
  EXPECT_GT(opened, paths.size() / 8);
  EXPECT_GT(paths.size() - opened, paths.size() / 8);
}

TEST(Copies, TakenWhileAWriterWorksAreSeenAlike) {
  if (!test::have_second_reader()) GTEST_SKIP() << "no Python with numpy";
  expect_same_copies(test::record_writer(21), 9);
}

TEST(Copies, TakenWhileAFileIsClosedAndOpenedAreSeenAlike) {
  if (!test::have_second_reader()) GTEST_SKIP() << "no Python with numpy";
  expect_same_copies(test::record_cycles(22), 9);
}

// The second reader beside a writer: it reads what has been committed.
TEST(Copies, AFileIsReadWhileItIsOpenForWriting) {
  if (!test::have_second_reader()) GTEST_SKIP() << "no Python with numpy";
  const test::TemporaryDirectory directory;
  const std::vector<std::filesystem::path> paths = {directory / "a"};
  test::DurableScript script(posix_file_system(), paths[0], 23);
  ASSERT_TRUE(script.create());
  for (int i = 0; i < 6; ++i) {
    SCOPED_TRACE(i);
    ASSERT_TRUE(script.commit(3, i % 2 == 0));
    ASSERT_TRUE(script.acknowledge());
    if (i % 3 == 2) {
      ASSERT_TRUE(script.checkpoint());
    }
    if (i == 4) {
      ASSERT_TRUE(script.close());
    }
    const auto container =
        Container::open(default_file_system(), paths[0], Residency::map, Verify::metadata);
    ASSERT_TRUE(container) << container.error().message();
    EXPECT_EQ(container->counters().applied_up_to, script.commits());
    test::expect_same_pages(container, test::read_pages_with_second_reader(paths).at(0));
    if (i == 4) {
      ASSERT_TRUE(script.open());
    }
  }
}

}  // namespace
}  // namespace cairn
