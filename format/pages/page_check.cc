// SPDX-License-Identifier: Apache-2.0
#include "format/pages/page_check.h"

#include <algorithm>
#include <mutex>
#include <new>
#include <system_error>
#include <thread>

#include "format/bytes/checksum.h"
#include "format/bytes/limits.h"
#include "format/bytes/superblock_layout.h"

namespace cairn::format {

PageUnits::PageUnits(const ExtentTable& table) : table_(table) {
  std::uint64_t units = 0;
  for (const Extent& extent : table.all()) {
    if (extent.section != kChecksumId) {
      const std::uint64_t pages = extent.length / kPageSize;
      units += ceil_div(pages, TreeShape::kFanout);
      data_pages_ += pages;
      tree_pages_ += TreeShape(pages).bytes() / kPageSize;
    }
    ends_.push_back(units);
  }
}

PageUnit PageUnits::unit(std::uint64_t number) const {
  const auto found = std::upper_bound(ends_.begin(), ends_.end(), number);
  const auto extent = static_cast<std::size_t>(found - ends_.begin());
  const std::uint64_t begin = extent == 0 ? 0 : ends_[extent - 1];
  const std::uint64_t first_page = (number - begin) * TreeShape::kFanout;
  const std::uint64_t pages = table_.all()[extent].length / kPageSize - first_page;
  return {number, extent, first_page,
          static_cast<std::size_t>(std::min(pages, TreeShape::kFanout))};
}

TreeReader& PageChecker::tree(std::size_t extent) {
  if (extent_ != extent) {
    tree_.emplace(file_, table_, table_.all()[extent]);
    extent_ = extent;
  }
  return *tree_;
}

Result<void> PageChecker::read(const PageUnit& unit, std::byte* out) const {
  return file_.pread({out, unit.pages * kPageSize},
                     table_.all()[unit.extent].file_offset + unit.first_page * kPageSize);
}

bool PageChecker::is_hole(const PageUnit& unit) const {
  const std::uint64_t begin = table_.all()[unit.extent].file_offset + unit.first_page * kPageSize;
  return file_.next_data(begin) >= begin + unit.pages * kPageSize;
}

void PageChecker::compare(const PageUnit& unit, const std::byte* pages, const std::byte* checksums,
                          const std::function<void(Error)>& bad) const {
  const Extent& extent = table_.all()[unit.extent];
  for (std::size_t i = 0; i < unit.pages; ++i) {
    const std::uint64_t computed = pages == nullptr ? 0 : page_checksum(pages + i * kPageSize);
    const std::uint64_t stored = load_u64(checksums, i);
    if (computed == stored) continue;
    const std::uint64_t page = unit.first_page + i;
    bad(checksum_error(section_name(extent.section) + " page " +
                           std::to_string(extent.logical_offset / kPageSize + page),
                       extent.file_offset + page * kPageSize, computed, stored));
  }
}

Result<void> for_each_unit(std::uint64_t count, unsigned threads, StopFlag stop,
                           const std::function<UnitWork()>& make) {
  std::atomic<std::uint64_t> next{0};
  std::atomic<bool> failed{false};
  std::mutex mutex;
  std::optional<Error> first_error;  // guarded by mutex
  const auto fail = [&](Error error) {
    const std::lock_guard lock(mutex);
    if (!first_error) first_error = std::move(error);
    failed.store(true, std::memory_order_relaxed);
  };
  const auto run = [&] {
    try {
      const UnitWork work = make();
      while (!failed.load(std::memory_order_relaxed)) {
        if (is_stopped(stop)) return fail(stopped());
        const std::uint64_t number = next.fetch_add(1, std::memory_order_relaxed);
        if (number >= count) return;
        if (auto done = work(number); !done) return fail(done.error());
      }
    } catch (const std::bad_alloc&) {
      fail(Error(ErrorCode::out_of_memory, "out of memory"));  // short: it needs none itself
    }
  };

  if (threads == 0) threads = std::max(1u, std::thread::hardware_concurrency());
  const std::uint64_t helpers =
      std::min<std::uint64_t>(threads, std::max<std::uint64_t>(count, 1)) - 1;
  std::vector<std::thread> pool;
  pool.reserve(helpers);
  try {
    for (std::uint64_t i = 0; i < helpers; ++i) pool.emplace_back(run);
  } catch (const std::exception&) {  // std::system_error, std::bad_alloc
    // No more threads to be had: those that run do all of it.
  }
  run();
  for (std::thread& thread : pool) thread.join();
  if (first_error) return *first_error;
  return {};
}

}  // namespace cairn::format
