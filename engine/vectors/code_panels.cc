// SPDX-License-Identifier: Apache-2.0
#include "engine/vectors/code_panels.h"

#include <algorithm>
#include <iterator>
#include <limits>

#include "engine/base/assert.h"

namespace cairn {

namespace {

constexpr float kNothing = -std::numeric_limits<float>::infinity();  // no distance is within it

}  // namespace

void QueryPanels::reset(const Space& space, std::size_t queries) {
  dims_ = space.dimensions();
  panel_bytes_ = simd::column_panel_bytes(dims_);
  const std::size_t count = (queries + simd::kPanelColumns - 1) / simd::kPanelColumns;
  codes_.assign(queries, nullptr);
  factors_.assign(count, {});
  for (simd::PanelQueries& panel : factors_) {
    std::fill(std::begin(panel.limit), std::end(panel.limit), kNothing);
  }
  if (packed_.size() < count * panel_bytes_) packed_.resize(count * panel_bytes_);
  if (none_.size() < dims_) none_.resize(dims_);
}

void QueryPanels::set(std::size_t i, const Query& query) {
  simd::PanelQueries& panel = factors_[i / simd::kPanelColumns];
  const std::size_t c = i % simd::kPanelColumns;
  if (query.kind != Query::Kind::code) {
    codes_[i] = none_.data();
    panel.limit[c] = std::numeric_limits<float>::infinity();
    return;
  }
  codes_[i] = query.code.code;
  panel.c0[c] = query.code.c0;
  panel.k[c] = query.code.k;
  panel.limit[c] = query.sure;
  panel.w = query.code.w;
}

void QueryPanels::set_limit(std::size_t i, float limit) {
  factors_[i / simd::kPanelColumns].limit[i % simd::kPanelColumns] = limit;
}

void QueryPanels::pack() {
  for (std::size_t first = 0; first < codes_.size(); first += simd::kPanelColumns) {
    const std::size_t n = std::min(simd::kPanelColumns, codes_.size() - first);
    simd::kernels().pack_columns(codes_.data() + first, n, dims_,
                                 packed_.data() + first / simd::kPanelColumns * panel_bytes_);
  }
}

void NodeTile::set(const Space& space, std::span<const NodeId> nodes) {
  CAIRN_ASSERT(!nodes.empty() && nodes.size() <= simd::kTileRows);
  const GraphView& graph = space.view();
  space.will_look_at(nodes);
  count_ = nodes.size();
  largest_step_ = 0;
  const std::int8_t* codes[simd::kTileRows];
  for (std::size_t i = 0; i < count_; ++i) {
    codes[i] = graph.code(nodes[i]);
    factors_[i] = {graph.factor_a(nodes[i]), graph.factor_b(nodes[i])};
    if (factors_[i].a > largest_step_) largest_step_ = factors_[i].a;  // NaN is not
  }
  const std::size_t bytes = simd::row_tile_bytes(space.dimensions());
  if (packed_.size() < bytes) packed_.resize(bytes);
  simd::kernels().pack_rows(codes, count_, space.dimensions(), packed_.data());
}

void NodeTile::score(const QueryPanels& queries, std::size_t panel, float* out, std::size_t stride,
                     std::uint32_t* near) const {
  simd::kernels().score_tile(packed_.data(), count_, factors_,
                             queries.packed_.data() + panel * queries.panel_bytes_,
                             queries.factors_[panel], queries.dims_, out, stride, near);
}

}  // namespace cairn
