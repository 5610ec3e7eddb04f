// SPDX-License-Identifier: Apache-2.0
//
// The keys that are nearest of all that were met, each with its nearest node: what tells a scan how
// far it must look where a key may have several vectors.
//
// Thread-safety: none.
#pragma once

#include <algorithm>
#include <cstddef>
#include <vector>

#include <cairn/types.h>

#include "engine/store/node_id.h"

namespace cairn {

class NearestKeys {
 public:
  // Empties it. At most so many keys.
  void reset(std::size_t most) {
    most_ = most;
    keys_.clear();
    nodes_.clear();
  }

  void insert(Key key, NodeId node, float distance) {
    const auto there = std::find(keys_.begin(), keys_.end(), key);
    if (there != keys_.end()) {
      const auto at = there - keys_.begin();
      if (nodes_[static_cast<std::size_t>(at)].distance <= distance) return;
      keys_.erase(there);
      nodes_.erase(nodes_.begin() + at);
    } else if (keys_.size() == most_) {
      if (nodes_.back().distance <= distance) return;
      keys_.pop_back();
      nodes_.pop_back();
    }
    const auto after = std::upper_bound(nodes_.begin(), nodes_.end(), distance,
                                        [](float d, const Node& one) { return d < one.distance; });
    keys_.insert(keys_.begin() + (after - nodes_.begin()), key);
    nodes_.insert(after, {node, distance});
  }

  std::size_t size() const { return keys_.size(); }
  NodeId id(std::size_t i) const { return nodes_[i].node; }
  float distance(std::size_t i) const { return nodes_[i].distance; }

 private:
  struct Node {
    NodeId node;
    float distance;
  };

  // Nearest first.
  std::vector<Key> keys_;
  std::vector<Node> nodes_;
  std::size_t most_ = 0;
};

}  // namespace cairn
