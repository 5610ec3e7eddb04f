// SPDX-License-Identifier: Apache-2.0
//
// When the slot of a removed node may be used again. Nobody counts links. Instead a sweep goes
// round the slots, a few with each change, and heals every list that it passes. No link to a
// tombstone is ever made, so after a whole lap nothing links to those that were tombstones when it
// began, but for links that could not be healed, which the sweep has seen. Such a slot is free once
// every search that was running then has ended. Slot 0 alone is never used again: a search that
// reads a list while it becomes shorter may take the zeros behind its end for links. The first lap
// over a store that was filled elsewhere also collects what tombstones there are.
#pragma once

#include <cstdint>
#include <vector>

#include "engine/base/epochs.h"
#include "engine/graph/remove.h"
#include "engine/store/node_store.h"

namespace cairn {

class Sweeper {
 public:
  // So many slots a call of reclaim() releases at most: each is erased, and that is logged. More
  // than a change of one vector buries, so none wait for long.
  static constexpr std::uint32_t kMostReleased = 8;

  // All outlive it.
  Sweeper(NodeStore& store, Unlinker& unlinker, Epochs& epochs)
      : store_(store), unlinker_(unlinker), epochs_(epochs) {}

  // Makes room for `n` more tombstones. May throw std::bad_alloc, with nothing changed.
  void reserve(std::size_t n = 1);

  // A node became a tombstone. REQUIRES: reserve()
  void buried(NodeId node);

  // Before a slot is taken for a new node, and after. May throw std::bad_alloc, with nothing
  // changed; does not throw.
  void reserve_taken();
  void taken(NodeId node);

  // The last live node was removed: nothing can be reached, so all tombstones are unlinked.
  void all_buried();

  // The store was filled elsewhere (an opened file), by changes that have all ended.
  void adopt();

  // A part of a lap, and the release of what is out of reach. `chains` are the change's.
  void step(HeirChains& chains, LinkScratch& link, UnlinkScratch& scratch);

  // Releases some of what is out of every search's reach.
  void reclaim();

  // The store has been emptied or replaced.
  void clear();

 private:
  struct Unlinked {
    NodeId node;
    std::uint64_t epoch;
  };

  bool is_taken(NodeId node) const { return node < taken_.size() && taken_[node.index]; }
  void collect(NodeId node);
  void end_collecting();
  void begin_lap();
  void end_lap();
  void visit(NodeId node, HeirChains& chains, LinkScratch& link, UnlinkScratch& scratch);
  void note_kept_links(NodeId node, std::uint32_t level);

  NodeStore& store_;
  Unlinker& unlinker_;
  Epochs& epochs_;

  std::vector<NodeId> recent_;      // tombstones that are younger than the lap
  std::vector<NodeId> dying_;       // those that the lap is for, sorted
  std::vector<std::uint8_t> kept_;  // of each: something still links to it
  std::vector<Unlinked> unlinked_;  // oldest first
  std::size_t first_ = 0;           // of them, that is not released yet
  bool collecting_ = false;         // the lap is the first over a store filled elsewhere
  std::vector<bool> taken_;         // slots for new nodes since it began; empty: none
  NodeId cursor_{0};                // next slot of the lap
  std::uint32_t left_ = 0;          // slots until its end
  std::uint32_t slots_ = 0;         // that there were when it began
};

}  // namespace cairn
