// SPDX-License-Identifier: Apache-2.0
#include "engine/shards/cell_packing.h"

#include <algorithm>
#include <cstdint>
#include <limits>

namespace cairn {

namespace {

constexpr std::uint32_t kNotPacked = 0xFFFFFFFF;
constexpr int kPasses = 30;  // of refinement: it ends by itself long before

using Links = std::vector<std::vector<std::pair<std::uint32_t, std::uint64_t>>>;

// Shards grow cell by cell; then cells change places as long as that brings near ones together.
class Packing {
 public:
  Packing(const CellGraph& graph, std::size_t shards, double largest)
      : graph_(graph), of_cell_(graph.size(), kNotPacked), rows_(shards), cells_(shards) {
    std::uint64_t all = 0;
    for (std::size_t cell = 0; cell < graph.size(); ++cell) {
      links_.push_back(graph.links(cell));
      all += graph.rows(cell);
    }
    mean_ = static_cast<double>(all) / static_cast<double>(shards);
    cap_ = static_cast<std::uint64_t>(mean_ * largest);
  }

  // One shard after the other: from the free cell that is most at the edge, the free cell with the
  // strongest links to what it has, until it has its part of what is left.
  void grow() {
    std::uint64_t left = 0;
    for (std::size_t cell = 0; cell < graph_.size(); ++cell) left += graph_.rows(cell);
    std::size_t free = graph_.size();
    for (std::size_t shard = 0; shard < rows_.size(); ++shard) {
      const std::size_t after = rows_.size() - shard - 1;
      const std::uint64_t wanted = left / (after + 1);
      std::vector<std::uint64_t> pull(graph_.size());
      while (free > after) {
        const std::uint32_t cell = next_cell(pull, cells_[shard] == 0);
        const bool is_full =
            cells_[shard] != 0 && after != 0 && rows_[shard] + graph_.rows(cell) / 2 > wanted;
        if (is_full) break;
        put(cell, static_cast<std::uint32_t>(shard));
        --free;
        for (const auto& [other, weight] : links_[cell]) pull[other] += weight;
      }
      left -= rows_[shard];
    }
  }

  // What is in too large a shard goes where it costs least; then whatever gains by moving.
  void refine() {
    for (int pass = 0; pass < kPasses; ++pass) {
      bool has_moved = false;
      for (std::size_t cell = 0; cell < graph_.size(); ++cell)
        has_moved |= move_or_swap(static_cast<std::uint32_t>(cell));
      if (!has_moved) return;
    }
  }

  std::vector<std::uint32_t> take() { return std::move(of_cell_); }

 private:
  void put(std::uint32_t cell, std::uint32_t shard) {
    const std::uint32_t before = of_cell_[cell];
    if (before != kNotPacked) {
      rows_[before] -= graph_.rows(cell);
      --cells_[before];
    }
    of_cell_[cell] = shard;
    rows_[shard] += graph_.rows(cell);
    ++cells_[shard];
  }

  // The free cell that is pulled most; the first of a shard is the one with the fewest free links.
  std::uint32_t next_cell(const std::vector<std::uint64_t>& pull, bool is_first) const {
    std::uint32_t best = kNotPacked;
    std::uint64_t best_weight = 0;
    for (std::uint32_t cell = 0; cell < graph_.size(); ++cell) {
      if (of_cell_[cell] != kNotPacked) continue;
      std::uint64_t weight = pull[cell];
      if (is_first) {
        std::uint64_t linked = 0;
        for (const auto& [other, w] : links_[cell]) linked += of_cell_[other] == kNotPacked ? w : 0;
        weight = std::numeric_limits<std::uint64_t>::max() - linked;
      }
      if (best != kNotPacked && weight <= best_weight) continue;
      best = cell;
      best_weight = weight;
    }
    return best;
  }

  // The links of a cell into each shard that it has any into.
  void sum_links(std::uint32_t cell, std::vector<std::uint64_t>& sums) const {
    sums.assign(rows_.size(), 0);
    for (const auto& [other, weight] : links_[cell]) sums[of_cell_[other]] += weight;
  }

  bool move_or_swap(std::uint32_t cell) {
    const std::uint32_t own = of_cell_[cell];
    if (cells_[own] == 1) return false;
    sum_links(cell, sums_);
    const std::uint64_t size = graph_.rows(cell);
    const bool must_go = rows_[own] > cap_;
    std::uint32_t best = kNotPacked;
    for (std::uint32_t shard = 0; shard < rows_.size(); ++shard) {
      if (shard == own || rows_[shard] + size > cap_) continue;
      if (!must_go && sums_[shard] <= sums_[own]) continue;
      if (best == kNotPacked || sums_[shard] > sums_[best]) best = shard;
    }
    if (best != kNotPacked) {
      put(cell, best);
      return true;
    }
    return swap(cell, own);
  }

  // With a cell of a shard that it is drawn to and that has no room.
  bool swap(std::uint32_t cell, std::uint32_t own) {
    std::uint32_t best = kNotPacked;
    std::int64_t best_gain = 0;
    for (const auto& [near, ignored] : links_[cell]) {
      const std::uint32_t shard = of_cell_[near];
      if (shard == own || sums_[shard] <= sums_[own]) continue;
      const std::int64_t gain_here = difference(sums_[shard], sums_[own]);
      for (const auto& [other, weight] : links_[near]) {
        if (other == cell || of_cell_[other] != shard || !fits(cell, own, other, shard)) continue;
        sum_links(other, others_);
        const std::int64_t gain = gain_here + difference(others_[own], others_[shard]) -
                                  2 * static_cast<std::int64_t>(link(cell, other));
        if (gain > best_gain) {
          best = other;
          best_gain = gain;
        }
      }
    }
    if (best == kNotPacked) return false;
    const std::uint32_t shard = of_cell_[best];
    put(cell, shard);
    put(best, own);
    return true;
  }

  static std::int64_t difference(std::uint64_t a, std::uint64_t b) {
    return static_cast<std::int64_t>(a) - static_cast<std::int64_t>(b);
  }
  std::uint64_t link(std::uint32_t a, std::uint32_t b) const {
    for (const auto& [other, weight] : links_[a]) {
      if (other == b) return weight;
    }
    return 0;
  }
  bool fits(std::uint32_t a, std::uint32_t shard_a, std::uint32_t b, std::uint32_t shard_b) const {
    return rows_[shard_a] - graph_.rows(a) + graph_.rows(b) <= cap_ &&
           rows_[shard_b] - graph_.rows(b) + graph_.rows(a) <= cap_;
  }

  const CellGraph& graph_;
  Links links_;
  std::vector<std::uint32_t> of_cell_;
  std::vector<std::uint64_t> rows_;  // of a shard
  std::vector<std::size_t> cells_;   // the same
  double mean_ = 0;
  std::uint64_t cap_ = 0;
  std::vector<std::uint64_t> sums_;
  std::vector<std::uint64_t> others_;
};

}  // namespace

std::vector<std::pair<std::uint32_t, std::uint64_t>> CellGraph::links(std::size_t cell) const {
  std::vector<std::pair<std::uint32_t, std::uint64_t>> sorted(links_[cell].begin(),
                                                              links_[cell].end());
  std::sort(sorted.begin(), sorted.end());
  return sorted;
}

std::vector<std::uint32_t> pack_cells(const CellGraph& graph, std::size_t shards, double largest) {
  Packing packing(graph, shards, largest);
  packing.grow();
  packing.refine();
  return packing.take();
}

}  // namespace cairn
