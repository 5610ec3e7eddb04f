// SPDX-License-Identifier: Apache-2.0
#include "format/pages/file_space.h"

#include <algorithm>
#include <string>

#include "format/bytes/limits.h"
#include "format/bytes/superblock_layout.h"

namespace cairn::format {

std::vector<Stretch> gaps_between(std::vector<Stretch> used, std::uint64_t begin,
                                  std::uint64_t end) {
  std::sort(used.begin(), used.end(),
            [](const Stretch& a, const Stretch& b) { return a.offset < b.offset; });
  std::vector<Stretch> gaps;
  for (const Stretch& stretch : used) {
    const std::uint64_t until = std::min(stretch.offset, end);
    if (until > begin) gaps.push_back({begin, until - begin});
    begin = std::max(begin, stretch.end());
  }
  if (begin < end) gaps.push_back({begin, end - begin});
  return gaps;
}

void FileSpace::use(const Stretch& stretch) {
  const std::lock_guard lock(mutex_);
  used_[stretch.offset] = stretch.length;
}

void FileSpace::release(const Stretch& stretch) {
  const std::lock_guard lock(mutex_);
  used_.erase(stretch.offset);
}

std::uint64_t FileSpace::end() const {
  const std::lock_guard lock(mutex_);
  std::uint64_t end = kFirstRunOffset;
  for (const auto& [offset, length] : used_) end = std::max(end, offset + length);
  return end;
}

// Allocates [begin, begin + length) behind a file of `size` bytes.
Result<Stretch> FileSpace::allocate_behind(std::uint64_t size, std::uint64_t begin,
                                           std::uint64_t length) {
  if (!fits(begin, length, kMaxFileSize)) {
    return Error(ErrorCode::no_space, "the file would grow beyond 2^62 bytes");
  }
  if (auto ok = file_.allocate(begin, length); !ok) {
    // What was had of it is given back, for good before anything else is written.
    if (auto cut = file_.truncate(size); !cut) return cut.error();
    if (auto synced = file_.datasync(); !synced) return synced.error();
    return ok.error();
  }
  used_[begin] = length;
  return Stretch{begin, length};
}

Result<Stretch> FileSpace::allocate_run(std::uint64_t length, std::uint64_t logical) {
  const std::lock_guard lock(mutex_);
  const auto size = file_.size();
  if (!size) return size.error();
  std::uint64_t begin = std::max(round_up(*size, kPageSize), kFirstRunOffset);
  if (length >= kHugePage) begin += (logical - begin) % kHugePage;
  return allocate_behind(*size, begin, length);
}

// The first gap of a file of `size` bytes that has room.
std::optional<Stretch> FileSpace::find_gap(std::uint64_t size, std::uint64_t length) const {
  std::vector<Stretch> used;
  used.reserve(used_.size());
  for (const auto& [offset, bytes] : used_) used.push_back({offset, bytes});
  for (const Stretch& gap : gaps_between(std::move(used), kFirstRunOffset, size)) {
    const std::uint64_t begin = round_up(gap.offset, kPageSize);
    if (begin <= gap.end() && gap.end() - begin >= length) return Stretch{begin, length};
  }
  return std::nullopt;
}

Result<FileSpace::Scratch> FileSpace::allocate_scratch(std::uint64_t length, Where where) {
  const std::lock_guard lock(mutex_);
  const auto size = file_.size();
  if (!size) return size.error();
  const auto gap = where == Where::behind ? std::nullopt : find_gap(*size, length);
  if (gap) {
    if (auto ok = file_.allocate(gap->offset, length); !ok) return ok.error();
    used_[gap->offset] = length;
    return Scratch{*gap, false};
  }
  auto behind =
      allocate_behind(*size, std::max(round_up(*size, kPageSize), kFirstRunOffset), length);
  if (!behind) return behind.error();
  return Scratch{*behind, true};
}

}  // namespace cairn::format
