// SPDX-License-Identifier: Apache-2.0
//
// Checking every page of an open file against its checksum tree.
#include <algorithm>
#include <chrono>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "format/bytes/checksum.h"
#include "format/bytes/header_layout.h"
#include "format/bytes/limits.h"
#include "format/bytes/superblock_layout.h"
#include "format/container/container_state.h"
#include "format/pages/checksum_tree.h"
#include "format/pages/file_space.h"
#include "format/pages/page_check.h"

namespace cairn::format {
namespace {

// Header and two superblock slots.
constexpr std::uint64_t kBlockPages =
    (StaticHeader::kEncodedSize + 2 * Superblock::kEncodedSize) / kPageSize;
// A file that is damaged all over is not described page by page.
constexpr std::size_t kMaxFindings = 1000;
// Fewer pages than this are hashed before threads have begun.
constexpr std::uint64_t kWorthThreads = 4096;
// A writer at work can make pages look damaged that are whole a moment later.
constexpr int kCheckAttempts = 10;
// Writing a superblock takes microseconds, unless the writer has to wait for memory or the disk.
constexpr int kSlotAttempts = 1000;
constexpr std::chrono::milliseconds kSlotPause{1};

// Neither the disk nor a file that became shorter has the bytes.
bool is_unreadable(const Error& error) {
  return error.code() == ErrorCode::io_error || error.code() == ErrorCode::truncated;
}

// Collects findings and counts pages, from several threads.
class Collector {
 public:
  explicit Collector(const std::function<void(std::uint64_t)>& progress) : progress_(progress) {}

  void find(std::uint64_t order, Error error) {
    const std::lock_guard lock(mutex_);
    ++found_;
    if (!unreadable_ && is_unreadable(error)) unreadable_ = error;
    if (findings_.size() < kMaxFindings) findings_.emplace_back(order, std::move(error));
  }

  void count(std::uint64_t pages) {
    const std::lock_guard lock(mutex_);
    pages_ += pages;
    if (progress_) progress_(pages_);
  }

  // In file order, whatever thread came first.
  Container::PageReport report() {
    sort();
    Container::PageReport report;
    report.pages_checked = pages_;
    for (const auto& finding : findings_) report.findings.push_back(finding.second.message());
    report.unreadable = std::move(unreadable_);
    if (found_ > findings_.size()) {
      report.findings.push_back(std::to_string(found_ - findings_.size()) + " more findings");
    }
    return report;
  }
  // Of damage and what cannot be read, the latter: the disk is what has to be seen to.
  Result<void> first() {
    sort();
    if (unreadable_) return *unreadable_;
    return findings_.empty() ? Result<void>() : findings_.front().second;
  }

 private:
  void sort() {
    std::stable_sort(findings_.begin(), findings_.end(),
                     [](const auto& a, const auto& b) { return a.first < b.first; });
  }

  const std::function<void(std::uint64_t)>& progress_;
  std::mutex mutex_;
  std::vector<std::pair<std::uint64_t, Error>> findings_;
  std::optional<Error> unreadable_;
  std::uint64_t found_ = 0;
  std::uint64_t pages_ = 0;
};

// A slot that is being written looks damaged. It is, if that does not pass while a writer has the
// file open, or if nobody had it between two looks.
SlotOutcome read_settled_slot(const File& file, std::size_t slot, const Uuid& uuid) {
  bool was_locked = true;
  for (int attempt = 1;; ++attempt) {
    SlotOutcome outcome = read_slot(file, slot, uuid);
    const bool is_bad = outcome.read && !outcome.block;
    if (!is_bad || !was_locked || attempt == kSlotAttempts) return outcome;
    if (attempt > 1) std::this_thread::sleep_for(kSlotPause);
    const auto locked = file.is_locked();
    if (!locked) return outcome;
    was_locked = *locked;
  }
}

void check_blocks(const File& file, const Uuid& uuid, Collector& collector) {
  std::vector<std::byte> bytes(StaticHeader::kEncodedSize);
  if (auto read = file.pread(bytes, kHeaderOffset); !read) {
    collector.find(0, read.error());
  } else if (auto header = StaticHeader::decode(
                 std::span<const std::byte, StaticHeader::kEncodedSize>(bytes));
             !header) {
    collector.find(0, header.error());
  } else if (header->uuid != uuid) {
    collector.find(0, Error(ErrorCode::corrupt, "header at 0: another file than was opened"));
  }
  for (std::size_t slot = 0; slot < kSuperblockOffsets.size(); ++slot) {
    const SlotOutcome outcome = read_settled_slot(file, slot, uuid);
    if (!outcome.read) {
      collector.find(0, outcome.read.error());
    } else if (!outcome.block) {
      collector.find(0, outcome.block.error());
    }
  }
  collector.count(kBlockPages);
}

// Levels 2 and up of all trees; level 1 belongs to the units.
void check_upper_levels(const File& file, const ExtentTable& table, Collector& collector) {
  PageChecker checker(file, table);
  const auto extents = table.all();
  for (std::size_t i = 0; i < extents.size(); ++i) {
    if (extents[i].section == kChecksumId) continue;
    TreeReader& tree = checker.tree(i);
    for (std::size_t level = tree.shape().depth(); level-- > 1;) {
      for (std::uint64_t page = 0; page < tree.shape().pages(level); ++page) {
        // Under a page that is damaged nothing can be told: that one alone is the finding.
        if (level + 1 < tree.shape().depth() && !tree.page(level + 1, page / TreeShape::kFanout)) {
          continue;
        }
        if (const auto found = tree.page(level, page); !found) {
          collector.find(1, found.error());
        }
      }
      collector.count(tree.shape().pages(level));
    }
  }
}

// Reads a unit and compares it with `checksums`, if there are any: where they are damaged it must
// still be known whether the pages can be read. What cannot be read as one is read page by page.
void check_pages_of(const PageChecker& checker, const PageUnit& unit, const std::byte* checksums,
                    std::vector<std::byte>& buffer, Collector& collector) {
  const auto find = [&](Error error) { collector.find(unit.number + 2, std::move(error)); };
  if (checker.is_hole(unit)) {
    if (checksums != nullptr) checker.compare(unit, nullptr, checksums, find);
    return;
  }
  if (buffer.size() < unit.pages * kPageSize) buffer.resize(unit.pages * kPageSize);
  if (checker.read(unit, buffer.data())) {
    if (checksums != nullptr) checker.compare(unit, buffer.data(), checksums, find);
    return;
  }
  for (std::size_t i = 0; i < unit.pages; ++i) {
    const PageUnit page{unit.number, unit.extent, unit.first_page + i, 1};
    if (auto read = checker.read(page, buffer.data()); !read) {
      find(read.error());
    } else if (checksums != nullptr) {
      checker.compare(page, buffer.data(), checksums + i * sizeof(std::uint64_t), find);
    }
  }
}

void check_unit(PageChecker& checker, const PageUnit& unit, std::vector<std::byte>& buffer,
                Collector& collector) {
  TreeReader& tree = checker.tree(unit.extent);
  const std::uint64_t index = unit.first_page / TreeShape::kFanout;
  const bool parent_is_good =
      tree.shape().depth() == 1 || tree.page(1, index / TreeShape::kFanout).has_value();
  const std::byte* checksums = nullptr;
  if (parent_is_good) {
    if (const auto found = tree.page(0, index)) {
      checksums = *found;
    } else {
      collector.find(unit.number + 2, found.error());
    }
  }
  check_pages_of(checker, unit, checksums, buffer, collector);
  collector.count(unit.pages + 1);
}

// Pages and trees of all runs.
Result<void> check_runs(const File& file, const ExtentTable& table, unsigned threads,
                        const std::atomic<bool>* stop, Collector& collector) {
  check_upper_levels(file, table, collector);
  const PageUnits units(table);
  return for_each_unit(units.count(), threads, stop, [&]() -> UnitWork {
    auto checker = std::make_shared<PageChecker>(file, table);
    auto buffer = std::make_shared<std::vector<std::byte>>();
    return [&units, &collector, checker, buffer](std::uint64_t number) -> Result<void> {
      check_unit(*checker, units.unit(number), *buffer, collector);
      return {};
    };
  });
}

}  // namespace

// What belongs to no tree was never written: a tree that begins there later is one of zeros.
Result<void> check_free_tree_pages(const File& file, const ExtentTable& table) {
  std::vector<Stretch> trees;
  for (const Extent& run : table.all()) {
    if (run.section == kChecksumId) continue;
    trees.push_back({run.tree_offset, TreeShape(run.length / kPageSize).bytes()});
  }
  std::vector<std::byte> page(kPageSize);
  const std::uint64_t end = table.section_bytes(SectionId::checksum);
  for (const Stretch& gap : gaps_between(std::move(trees), 0, end)) {
    for (std::uint64_t at = gap.offset; at < gap.end(); at += kPageSize) {
      const std::uint64_t place = table.file_offset(SectionId::checksum, at);
      if (auto read = file.pread(page, place); !read) return read;
      const std::uint64_t checksum = page_checksum(page.data());
      if (checksum != 0) return checksum_error("CHECKSUM page without a tree", place, checksum, 0);
    }
  }
  return {};
}

Result<Container::PageReport> verify_file(const File& file, const StaticHeader& header,
                                          const ExtentTable& table, unsigned threads,
                                          const std::function<void(std::uint64_t)>& progress,
                                          const std::atomic<bool>* stop,
                                          std::vector<std::string> more_findings) {
  Collector collector(progress);
  for (std::string& finding : more_findings) {
    collector.find(0, Error(ErrorCode::corrupt, std::move(finding)));
  }
  check_blocks(file, header.uuid, collector);
  if (auto done = check_runs(file, table, threads, stop, collector); !done) return done.error();
  return collector.report();
}

Result<void> check_all_pages(const File& file, const ExtentTable& table, StopFlag stop) {
  const std::function<void(std::uint64_t)> no_progress;
  Collector collector(no_progress);
  const unsigned threads = PageUnits(table).data_pages() < kWorthThreads ? 1 : 0;
  auto done = check_runs(file, table, threads, stop, collector);
  return done ? collector.first() : done;
}

Result<void> Container::check_pages(StopFlag stop) const {
  const State& state = *state_;
  if (state.residency == Residency::load) return {};
  auto checked = check_all_pages(state.file, state.table, stop);
  SlotMark mark = state.opened_mark;
  for (int attempt = 1; !checked && !is_stopped(stop); ++attempt) {
    const auto now = mark_of_slots(state.file);
    if (!now) return now.error();
    if (*now == mark) return checked;
    if (attempt == kCheckAttempts) {
      return Error(ErrorCode::busy, "it is being written, and changed while it was checked");
    }
    mark = *now;
    checked = check_as_it_is(*state.fs, state.place, state.info, stop);
  }
  return checked;
}

std::uint64_t Container::page_count() const {
  const PageUnits units(state_->base);
  return kBlockPages + units.data_pages() + units.tree_pages();
}

Result<Container::PageReport> Container::verify_pages(
    unsigned threads, const std::function<void(std::uint64_t)>& progress,
    const std::atomic<bool>* stop) const {
  return verify_file(state_->file, state_->header, state_->base, threads, progress, stop, {});
}

}  // namespace cairn::format
