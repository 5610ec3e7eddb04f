// SPDX-License-Identifier: Apache-2.0
//
// A graph made by hand: points in the plane, links as the test says.
#pragma once

#include <initializer_list>
#include <utility>
#include <vector>

#include "engine/graph/insert.h"
#include "engine/store/node_store.h"
#include "engine/vectors/distance.h"

namespace cairn::test {

class TinyGraph {
 public:
  // Squared distance on the vectors themselves, so that a drawing tells what happens.
  explicit TinyGraph(std::uint32_t m = 4, Traversal traversal = Traversal::exact)
      : store_(NodeStore::create(NodeStore::layout(params(m, traversal))).value()) {}

  NodeId add(float x, float y, std::uint32_t level = 0) {
    const NodeId node{store_.count()};
    const std::uint32_t upper = store_.upper_count();
    store_.reserve(node.index + 1, upper + level).value();
    const std::vector<float> point = {x, y};
    QueryBuffer buffer;
    Linker(store_).write_node(node, 100 + node.index, level, level > 0 ? upper : kNoUpper,
                              point.data(), buffer);
    store_.publish(node.index + 1, upper + level, node.index + 1);
    const GraphView view = store_.view();
    if (node == NodeId{0} || level > view.max_level) store_.publish_entry(node, level);
    return node;
  }

  // Points 0 ... n - 1 of the x axis, each linked to its two neighbors.
  void add_line(std::size_t n) {
    for (std::size_t i = 0; i < n; ++i) add(static_cast<float>(i), 0);
    for (std::uint32_t i = 0; i + 1 < n; ++i) link_both({i}, {i + 1});
  }

  void link(NodeId from, NodeId to, std::uint32_t level = 0) {
    store_.append_link(from, level, to);
  }
  void link_both(NodeId a, NodeId b, std::uint32_t level = 0) {
    link(a, b, level);
    link(b, a, level);
  }

  NodeStore& store() { return store_; }
  Space space() const { return Space(store_.parameters(), store_.view()); }

 private:
  static IndexParams params(std::uint32_t m, Traversal traversal) {
    IndexParams params;
    params.dimensions = 2;
    params.metric = Metric::l2sq;
    params.m = m;
    params.traversal = traversal;
    return params;
  }

  NodeStore store_;
};

}  // namespace cairn::test
