// SPDX-License-Identifier: Apache-2.0
#include "format/bytes/log_patches.h"

#include <algorithm>
#include <bit>
#include <limits>

#include "engine/base/assert.h"
#include "format/bytes/coding.h"

namespace cairn::format {
namespace {

constexpr unsigned kBitsPerByte = 7;
constexpr std::uint64_t kMore = 0x80;  // another byte follows
constexpr std::size_t kMostNumberBytes = 9;

void append_number(std::vector<std::byte>& out, std::uint64_t value) {
  CAIRN_ASSERT(value <= std::numeric_limits<std::int64_t>::max());
  for (; value >= kMore; value >>= kBitsPerByte) {
    out.push_back(static_cast<std::byte>(value | kMore));
  }
  out.push_back(static_cast<std::byte>(value));
}

std::uint64_t number_bytes(std::uint64_t value) {
  return ceil_div(std::max<std::uint64_t>(std::bit_width(value), 1), kBitsPerByte);
}

}  // namespace

std::uint64_t patch_bytes(std::uint64_t gap, std::uint64_t bytes) {
  return number_bytes(gap) + number_bytes(bytes) + bytes;
}

void append_patch(std::vector<std::byte>& out, std::uint64_t gap,
                  std::span<const std::byte> bytes) {
  CAIRN_ASSERT(!bytes.empty());
  append_number(out, gap);
  append_number(out, bytes.size());
  out.insert(out.end(), bytes.begin(), bytes.end());
}

std::optional<std::uint64_t> PatchReader::number() {
  std::uint64_t value = 0;
  for (std::size_t i = 0; i < kMostNumberBytes && i < left_.size(); ++i) {
    const auto byte = std::to_integer<std::uint64_t>(left_[i]);
    value |= (byte & ~kMore) << (kBitsPerByte * i);
    if ((byte & kMore) != 0) continue;
    left_ = left_.subspan(i + 1);
    return value;
  }
  return std::nullopt;
}

std::optional<Patch> PatchReader::next() {
  if (left_.empty() || is_broken_) return std::nullopt;
  const auto gap = number();
  const auto length = number();
  // Both are below 2^63, so that no sum of two wraps around.
  is_broken_ = !gap || !length || *length == 0 || *length > left_.size() ||
               end_ > std::numeric_limits<std::int64_t>::max();
  if (is_broken_) return std::nullopt;
  const Patch patch{end_ + *gap, left_.first(static_cast<std::size_t>(*length))};
  left_ = left_.subspan(patch.bytes.size());
  end_ = patch.offset + patch.bytes.size();
  return patch;
}

}  // namespace cairn::format
