// SPDX-License-Identifier: Apache-2.0
//
// Nodes without links: for what looks at vectors and codes alone.
#pragma once

#include <cstdint>

#include "engine/graph/insert.h"
#include "engine/store/node_store.h"
#include "tests/support/vectors.h"

namespace cairn::test {

inline NodeStore unlinked_nodes(Metric metric, const Vectors& vectors) {
  IndexParams params;
  params.dimensions = static_cast<std::uint32_t>(vectors.dims);
  params.metric = metric;
  NodeStore store = NodeStore::create(NodeStore::layout(params)).value();
  store.reserve(vectors.rows(), 0).value();
  QueryBuffer buffer;
  const auto count = static_cast<std::uint32_t>(vectors.rows());
  for (const NodeId node : nodes_below(count)) {
    Linker(store).write_node(node, vectors.keys[node.index], 0, kNoUpper, vectors.row(node.index),
                             buffer);
  }
  store.publish(count, 0, count);
  return store;
}

}  // namespace cairn::test
