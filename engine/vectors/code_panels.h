// SPDX-License-Identifier: Apache-2.0
//
// Many queries against many nodes: distances on codes in blocks of nodes by queries, so that a code
// that is in the caches is compared with all of them (simd/panels.h). They are the bits of
// Space::distances(), except where that looks closer or at the vectors: such pairs are named, and
// asked for there.
//
// Thread-safety: a block of nodes or queries that has been laid out may be read by all.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <vector>

#include "engine/vectors/distance.h"
#include "simd/kernels.h"

namespace cairn {

// The queries, by panels of simd::kPanelColumns.
class QueryPanels {
 public:
  // For so many queries of the space. None are set.
  void reset(const Space& space, std::size_t queries);
  // One that is not Kind::code is near everything.
  void set(std::size_t i, const Query& query);
  // Once all are set.
  void pack();

  // Pairs at a distance up to this are named: query.sure, unless it is more.
  void set_limit(std::size_t i, float limit);
  // No pair of the query is named any more.
  void close(std::size_t i) { set_limit(i, -std::numeric_limits<float>::infinity()); }

  std::size_t size() const { return codes_.size(); }
  std::size_t panels() const { return factors_.size(); }

 private:
  friend class NodeTile;
  std::size_t dims_ = 0;
  std::size_t panel_bytes_ = 0;
  std::vector<const std::int8_t*> codes_;
  std::vector<simd::PanelQueries> factors_;
  std::vector<std::int8_t> none_;  // the code of a query that has none
  std::vector<std::byte> packed_;
};

// Up to simd::kTileRows nodes.
class NodeTile {
 public:
  void set(const Space& space, std::span<const NodeId> nodes);

  // The largest step of their codes.
  float largest_step() const { return largest_step_; }

  // out[i * stride + j] = distance of node i to query j of the panel, of which there are
  // simd::kPanelColumns whether they are set or not. Calls name(i, j) for the pairs whose distance
  // is not beyond the query's limit.
  template <class Name>
  void score(const QueryPanels& queries, std::size_t panel, float* out, std::size_t stride,
             Name&& name) const {
    std::uint32_t near[simd::kTileRows];
    score(queries, panel, out, stride, near);
    const std::size_t first = panel * simd::kPanelColumns;
    std::uint32_t rows = 0;  // that have some: most have none, which no branch can foresee
    for (std::size_t i = 0; i < count_; ++i) rows |= (near[i] != 0 ? 1U : 0U) << i;
    for (; rows != 0; rows &= rows - 1) {
      const auto i = static_cast<std::size_t>(std::countr_zero(rows));
      for (std::uint32_t bits = near[i]; bits != 0; bits &= bits - 1) {
        const auto j = static_cast<std::size_t>(std::countr_zero(bits));
        if (first + j < queries.size()) name(i, j);
      }
    }
  }

 private:
  void score(const QueryPanels& queries, std::size_t panel, float* out, std::size_t stride,
             std::uint32_t* near) const;

  std::size_t count_ = 0;
  float largest_step_ = 0;
  simd::RowFactors factors_[simd::kTileRows] = {};
  std::vector<std::byte> packed_;
};

}  // namespace cairn
