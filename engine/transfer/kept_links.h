// SPDX-License-Identifier: Apache-2.0
//
// The links of a foreign file's level 0 in our lists: those that are no link left out, removed
// vectors bridged, and back links added where there is room.
#pragma once

#include <atomic>
#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include <cairn/error.h>
#include <cairn/params.h>

#include "engine/base/workers.h"
#include "engine/store/node_store.h"
#include "engine/transfer/graph_source.h"

namespace cairn {

class KeptLinks {
 public:
  // `node_of_row` has kNoNode for rows that are not in the index; both outlive the object.
  KeptLinks(const GraphSource& source, std::span<const NodeId> node_of_row,
            const BuildOptions& options)
      : source_(source), node_of_row_(node_of_row), options_(options) {}

  // Fills the lists of level 0. False, and reason() tells why, if what they make is no graph to
  // search in. The result does not depend on the number of threads. REQUIRES: as LinkLevel0.
  Result<bool> link(NodeStore& store, const GraphView& view);

  const std::string& reason() const { return reason_; }
  std::size_t kept() const { return kept_; }
  std::size_t dropped() const { return dropped_; }

 private:
  struct Scratch {
    std::vector<std::uint32_t> rows;
    std::vector<std::uint32_t> beyond;  // links of a removed row
    std::vector<NodeId> list;
  };

  bool stopped() const {
    return options_.stop != nullptr && options_.stop->load(std::memory_order_relaxed);
  }
  void link_row(std::size_t row, NodeId node, NodeStore& store, Scratch& scratch);
  void bridge(std::size_t row, NodeId node, std::size_t capacity, Scratch& scratch);
  NodeId node_of(std::uint32_t row) const {
    return row < node_of_row_.size() ? node_of_row_[row] : kNoNode;
  }
  struct OneWay {
    NodeId from, to;
  };
  static void find_one_way(const GraphView& view, std::size_t begin, std::size_t end,
                           std::vector<OneWay>& found);
  void add_back_links(NodeStore& store, const GraphView& view, Workers& workers);
  bool is_worth_it(const GraphView& view);

  const GraphSource& source_;
  std::span<const NodeId> node_of_row_;
  const BuildOptions& options_;
  std::atomic<std::size_t> kept_{0};
  std::atomic<std::size_t> dropped_{0};
  std::atomic<std::size_t> damaged_{0};  // of the dropped: what no writer stores
  std::string reason_;
};

}  // namespace cairn
