// SPDX-License-Identifier: Apache-2.0
#include "format/bytes/parameters.h"

#include <cstddef>

#include "engine/base/assert.h"
#include "format/bytes/coding.h"
#include "format/bytes/limits.h"
#include "format/bytes/record_layout.h"

namespace cairn::format {

void derive_strides(Parameters& p) {
  CAIRN_ASSERT(p.dimensions > 0 && p.dimensions <= kMaxDimensions && p.m <= kMaxM);
  CAIRN_ASSERT(p.traversal == Traversal::code || p.traversal == Traversal::exact);
  const std::uint64_t exact = vector_bytes(p.scalar, p.dimensions);
  const std::uint64_t code = p.traversal == Traversal::code ? p.dimensions : exact;
  const std::uint64_t factor_offset = round_up(code, 4);
  const std::uint64_t fixed = factor_offset + hot::kLinks;
  const std::uint64_t stride = round_up(fixed + std::uint64_t{12} * p.m, hot::kAlignment);
  p.hot_factor_offset = static_cast<std::uint32_t>(factor_offset);
  p.hot_stride = static_cast<std::uint32_t>(stride);
  p.m_max0 = static_cast<std::uint32_t>((stride - fixed) / 4);
  p.exact_stride = p.traversal == Traversal::code ? static_cast<std::uint32_t>(exact) : 0;
  p.upper_stride = static_cast<std::uint32_t>(upper::kLinks + std::size_t{4} * p.m);
}

std::uint64_t record_stride(const Parameters& parameters, SectionId id) {
  switch (id) {
    case SectionId::hot: return parameters.hot_stride;
    case SectionId::exact: return parameters.exact_stride;
    case SectionId::key:
    case SectionId::checksum: return 8;
    case SectionId::upper: return parameters.upper_stride;
    case SectionId::hash:
    case SectionId::overflow: return bucket::kSize;
  }
  return 0;
}

}  // namespace cairn::format
