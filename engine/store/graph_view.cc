// SPDX-License-Identifier: Apache-2.0
#include "engine/store/graph_view.h"

#include "engine/base/assert.h"

namespace cairn {

namespace {

bool is_zero(const std::byte* begin, const std::byte* end) {
  return std::all_of(begin, end, [](std::byte b) { return b == std::byte{0}; });
}

}  // namespace

// A free slot has its generation, and the next one of the chain in the place of an UPPER record.
bool GraphView::is_zero_slot(NodeId node) const {
  CAIRN_ASSERT(node < count);
  const std::byte* at = record(node);
  const std::byte* head = header_of(node);
  const bool is_hot_zero = is_zero(at, head + format::hot::kUpper) &&
                           is_zero(head + format::hot::kLevel, head + format::hot::kGeneration) &&
                           is_zero(head + format::hot::kDegree, at + hot_stride);
  const bool has_exact = exact != hot;
  const bool is_exact_zero = !has_exact || is_zero(vector(node), vector(node) + exact_stride);
  return is_hot_zero && is_exact_zero && key(node) == 0;
}

// A free block has kNoNode, its size, and the next one of the chain in the place of a link.
bool GraphView::is_zero_block(UpperIndex first, std::uint32_t level) const {
  CAIRN_ASSERT(std::uint64_t{first.value()} + level <= upper_count);
  const std::byte* at = upper_record(first);
  return is_zero(at + format::upper::kLinks + sizeof(std::uint32_t), at + level * upper_stride);
}

}  // namespace cairn
