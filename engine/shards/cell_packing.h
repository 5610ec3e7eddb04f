// SPDX-License-Identifier: Apache-2.0
//
// Small clusters, the cells, are packed into shards of about the same size, so that those whose
// vectors are near each other come together. Whole numbers alone: the same on every machine.
#pragma once

#include <cstddef>
#include <cstdint>
#include <unordered_map>
#include <utility>
#include <vector>

namespace cairn {

// How many rows are in each cell, and how many have two cells near.
class CellGraph {
 public:
  explicit CellGraph(std::size_t cells) : rows_(cells), links_(cells) {}

  void add_row(std::uint32_t cell) { ++rows_[cell]; }
  void add_link(std::uint32_t a, std::uint32_t b, std::uint64_t weight) {
    links_[a][b] += weight;
    links_[b][a] += weight;
  }

  std::size_t size() const { return rows_.size(); }
  std::uint64_t rows(std::size_t cell) const { return rows_[cell]; }
  // Cells that rows of this one have near, and how much: in ascending order.
  std::vector<std::pair<std::uint32_t, std::uint64_t>> links(std::size_t cell) const;

 private:
  std::vector<std::uint64_t> rows_;
  std::vector<std::unordered_map<std::uint32_t, std::uint64_t>> links_;
};

// The shard of each cell; the largest has at most `largest` times the mean of the rows, as far as
// cells can be divided so. Every shard has a cell. REQUIRES: at least as many cells as shards
std::vector<std::uint32_t> pack_cells(const CellGraph& graph, std::size_t shards, double largest);

}  // namespace cairn
