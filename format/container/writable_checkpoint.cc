// SPDX-License-Identifier: Apache-2.0
//
// docs/format.md, "Checkpoint": every step here has its number there.
#include <algorithm>
#include <cstring>
#include <string>
#include <utility>

#include "format/bytes/checksum.h"
#include "format/container/writable_state.h"
#include "format/io/stop.h"
#include "format/log/journal.h"
#include "format/pages/page_watch.h"
#include "format/pages/tree_update.h"

namespace cairn::format {
namespace {

using State = WritableContainer::State;

constexpr std::size_t kPagesPerCheck = 1024;  // of the stop flag: a fraction of a millisecond

Result<void> write_slot(State& state, const Superblock& block, std::size_t slot) {
  std::vector<std::byte> bytes(Superblock::kEncodedSize);
  block.encode(std::span<std::byte, Superblock::kEncodedSize>(bytes));
  auto written = state.file.pwrite_dsync(bytes, kSuperblockOffsets[slot]);
  if (!written) return state.log->fail(written.error());
  return {};
}

std::size_t extent_of(const ExtentTable& table, const DirtyPage& page) {
  const auto runs = table.section(page.section);
  const auto behind =
      std::upper_bound(runs.begin(), runs.end(), page.page * kPageSize,
                       [](std::uint64_t at, const Extent& run) { return at < run.logical_offset; });
  return static_cast<std::size_t>(&*(behind - 1) - table.all().data());
}

// What the checkpoint writes in place: data pages and pages of checksum trees, by file offset.
struct Images {
  TreeUpdate trees;
  std::vector<PageImage> pages;
  std::vector<Extent> extents;  // with their new roots
};

Result<Images> make_images(const State& state, StopFlag stop) {
  const State::Frozen& frozen = *state.frozen;
  const auto extents = frozen.table.all();
  Images images;
  std::vector<NewPage> changed;
  for (std::size_t i = 0; i < frozen.pages.size(); ++i) {
    if (i % kPagesPerCheck == 0 && is_stopped(stop)) return stopped();
    const std::byte* const bytes = frozen.bytes.get() + i * kPageSize;
    const std::size_t extent = extent_of(frozen.table, frozen.pages[i]);
    const std::uint64_t in_run = frozen.pages[i].page * kPageSize - extents[extent].logical_offset;
    const std::uint64_t checksum = page_checksum(bytes);
    changed.push_back({extent, in_run / kPageSize, checksum});
    images.pages.push_back({extents[extent].file_offset + in_run, checksum, bytes});
  }
  auto trees = update_trees(state.file, frozen.table, changed);
  if (!trees) return trees.error();
  images.trees = std::move(*trees);
  for (const auto& [offset, bytes] : images.trees.pages) {
    images.pages.push_back({offset, page_checksum(bytes.data()), bytes.data()});
  }
  std::sort(images.pages.begin(), images.pages.end(),
            [](const PageImage& a, const PageImage& b) { return a.file_offset < b.file_offset; });
  images.extents.assign(extents.begin(), extents.end());
  for (const auto& [extent, root] : images.trees.roots) images.extents[extent].root = root;
  return images;
}

// The size of a closed file whose runs end at `end`. No size comes back soon, so that a copy that
// was begun while the file was closed tells whether it has been opened since (docs/format.md,
// "Copies"). A growth makes the file longer anyway.
std::uint64_t size_when_closed(std::uint64_t end, std::uint64_t closed_before) {
  constexpr std::uint64_t kMostPadding = std::uint64_t{1} << 20;
  const std::uint64_t longer = closed_before + kPageSize;
  return longer > end && longer - end <= kMostPadding ? longer : end;
}

// The superblock of the frozen state, without a journal.
Superblock next_block(const State& state, const std::vector<Extent>& extents) {
  const State::Frozen& frozen = *state.frozen;
  Superblock block = state.block;
  block.identity = state.identity;
  block.checkpoint_lsn = frozen.lsn;
  block.counters = frozen.counters;
  block.extents = extents;
  block.journal_offset = block.journal_bytes = block.journal_checksum = 0;
  std::uint64_t end = kFirstRunOffset;
  for (const Extent& run : extents) end = std::max(end, run.file_offset + run.length);
  if (frozen.start) {
    block.feature_incompat |= kIncompatOfLog;
    block.flags = 0;
    block.log_offset = frozen.start->offset;
    block.log_salt = frozen.start->salt;
    block.log_first_lsn = frozen.start->first_lsn;
    block.file_size = std::max({block.file_size, end, frozen.start->end});
  } else {
    block.feature_incompat &= ~kIncompatOfLog;
    block.flags = kSuperblockClean;
    block.log_offset = block.log_salt = block.log_first_lsn = 0;
    block.file_size = size_when_closed(end, block.closed_size);
    block.closed_size = 0;
  }
  return block;
}

// The same while its pages are being written.
Superblock with_journal(const State& state, Superblock block, std::uint64_t checksum) {
  block.feature_incompat |= kIncompatOfLog;
  block.flags = 0;
  block.log_first_lsn = block.checkpoint_lsn + 1;
  block.journal_offset = state.frozen->journal.offset;
  block.journal_bytes = state.frozen->journal.length;
  block.journal_checksum = checksum;
  block.file_size = std::max({block.file_size, state.block.file_size, state.frozen->journal.end()});
  block.closed_size = state.block.closed_size;
  return block;
}

// Readers learn that pages are about to change before the first one does.
Result<void> mark_in_place(State& state) {
  auto written = write_mark(state.file, {state.salt, state.frozen->lsn});
  return written ? written : state.log->fail(written.error());
}

// Steps 3 to 5.
Result<void> write_pages(State& state, const Images& images, const Superblock& next,
                         StopFlag stop) {
  const auto journal = state.space.allocate_scratch(journal_bytes(images.pages.size()));
  if (!journal) return state.log->fail_unless_full(journal.error());
  state.frozen->journal = journal->stretch;
  const auto checksum =
      write_journal(state.file, journal->stretch.offset, state.block.generation + 1, images.pages);
  if (!checksum) return state.log->fail(checksum.error());
  if (auto ok = state.file.datasync(); !ok) return state.log->fail(ok.error());
  if (is_stopped(stop)) return stopped();
  if (auto ok = publish(state, with_journal(state, next, *checksum)); !ok) return ok;
  if (auto ok = mark_in_place(state); !ok) return ok;
  if (auto ok = write_in_place(state.file, images.pages); !ok) return state.log->fail(ok.error());
  if (auto ok = state.file.datasync(); !ok) return state.log->fail(ok.error());
  return {};
}

// Of entries that are known to be good.
ExtentTable table_of(const std::vector<Extent>& extents, const State& state) {
  auto table = ExtentTable::check(extents, kMaxFileSize, state.header.section_count);
  return table ? std::move(*table) : ExtentTable();
}

// Pages that are the same in the file need no memory of this process. What lies between two of them
// and is no dirty page is the same too: each call interrupts all threads that search, on other
// processors, so few of them are made.
void drop_written_pages(State& state) {
  constexpr std::uint64_t kFarthest = 32;
  const std::vector<DirtyPage>& pages = state.frozen->pages;
  for (std::size_t i = 0; i < pages.size();) {
    const auto section = static_cast<SectionId>(pages[i].section);
    const std::uint64_t begin = pages[i].page;
    std::uint64_t end = begin + 1;
    for (++i; i < pages.size() && pages[i].section == pages[i - 1].section; ++i) {
      if (pages[i].page - end > kFarthest) break;
      end = pages[i].page + 1;
    }
    const Region& memory = state.sections[section_index(section)];
    for (std::uint64_t at = begin; at < end;) {
      const std::uint64_t kept = state.dirty.first_in(section, at, end);
      if (kept > at) memory.drop_private(at * kPageSize, (kept - at) * kPageSize);
      at = kept + 1;
    }
  }
}

}  // namespace

Result<void> publish(State& state, Superblock block) {
  block.generation = state.block.generation + 1;
  for (std::size_t slot = 0; slot < kSuperblockOffsets.size(); ++slot) {
    if (auto ok = write_slot(state, block, slot); !ok) return ok;
  }
  state.generation = block.generation;
  state.block = std::move(block);
  return {};
}

void freeze_pages(State& state, std::uint64_t lsn, const std::optional<RedoLog::Start>& start) {
  State::Frozen frozen;
  frozen.counters = state.current.counters;
  frozen.table = state.table;
  frozen.lsn = lsn;
  frozen.start = start;
  frozen.bytes = std::make_unique_for_overwrite<std::byte[]>(state.dirty.count() * kPageSize);
  frozen.pages = state.dirty.take();
  for (std::size_t i = 0; i < frozen.pages.size(); ++i) {
    const DirtyPage& page = frozen.pages[i];
    std::memcpy(frozen.bytes.get() + i * kPageSize,
                state.sections[page.section - 1u].data() + page.page * kPageSize, kPageSize);
  }
  state.frozen = std::move(frozen);
}

Result<void> write_checkpoint(State& state, StopFlag stop) {
  if (is_stopped(stop)) return stopped();
  // Step 2. What the log says so far is durable before a superblock makes it superfluous.
  if (auto ok = state.log->sync(state.frozen->lsn); !ok) return ok;
  const auto images = make_images(state, stop);
  if (!images) return images.error();
  if (is_stopped(stop)) return stopped();
  const Superblock next = next_block(state, images->extents);
  if (!images->pages.empty()) {
    if (auto ok = write_pages(state, *images, next, stop); !ok) return ok;
  }
  // Step 6.
  if (auto ok = publish(state, next); !ok) return ok;
  state.frozen->is_done = true;
  state.checkpoint_lsn = next.checkpoint_lsn;
  ++state.checkpoints;
  return {};
}

void finish_checkpoint(State& state) {
  State::Frozen& frozen = *state.frozen;
  if (frozen.is_done) {
    // The roots of the file; runs that are newer keep theirs.
    for (const Extent& run : state.block.extents) {
      for (Extent& known : state.current.extents) {
        if (known.file_offset == run.file_offset) known.root = run.root;
      }
    }
    state.table = table_of(state.current.extents, state);
    state.base_table = table_of(state.block.extents, state);
    drop_written_pages(state);
    if (frozen.start) state.log->release_before(*frozen.start);
  } else {
    state.dirty.put_back(frozen.pages);
  }
  // After a failed write the file may refer to the journal.
  if (frozen.journal.length != 0 && !state.log->failure()) state.space.release(frozen.journal);
  state.frozen.reset();
}

}  // namespace cairn::format
