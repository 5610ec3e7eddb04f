// SPDX-License-Identifier: Apache-2.0
#include "engine/graph/sweeper.h"

#include <algorithm>

#include "engine/base/assert.h"
#include "engine/graph/heirs.h"

namespace cairn {

namespace {

// Slots that one change sweeps. A lap takes slots / 32 changes, a removed node waits for less than
// two of them: tombstones are less than a sixteenth of all slots as long as changes are removals.
constexpr std::uint32_t kSlotsPerStep = 32;

template <class T>
void make_room(std::vector<T>& list, std::size_t n) {
  if (list.capacity() < n) list.reserve(std::max(n, 2 * list.capacity()));
}

}  // namespace

void Sweeper::reserve(std::size_t n) {
  const std::size_t most = store_.deleted() + n;
  make_room(recent_, most);
  make_room(dying_, most);
  make_room(kept_, most);
  make_room(unlinked_, first_ + most);
}

void Sweeper::buried(NodeId node) {
  // What the lap has not passed yet it will find, unless it passes over it.
  CAIRN_ASSERT(recent_.size() < recent_.capacity());
  const bool is_to_come = collecting_ && node >= cursor_ && node < slots_;
  if (!is_to_come || is_taken(node)) recent_.push_back(node);
}

void Sweeper::reserve_taken() {
  if (collecting_ && taken_.empty()) taken_.resize(slots_);
}

void Sweeper::taken(NodeId node) {
  if (collecting_ && node < slots_) taken_[node.index] = true;
}

void Sweeper::all_buried() {
  if (collecting_) {
    for (; left_ > 0; --left_, ++cursor_.index) collect(cursor_);
    end_collecting();
  }
  for (const NodeId node : dying_) unlinked_.push_back({node, epochs_.now()});
  for (const NodeId node : recent_) unlinked_.push_back({node, epochs_.now()});
  dying_.clear();
  kept_.clear();
  recent_.clear();
  left_ = 0;
}

void Sweeper::adopt() {
  clear();
  if (!store_.view().tombstones) return;
  collecting_ = true;
  cursor_ = {0};
  slots_ = store_.count();
  left_ = slots_;
}

void Sweeper::clear() {
  recent_.clear();
  dying_.clear();
  kept_.clear();
  unlinked_.clear();
  first_ = 0;
  left_ = 0;
  end_collecting();
}

// A node that is being added carries the flag, too.
void Sweeper::collect(NodeId node) {
  if ((store_.view().flags(node) & format::hot::kFlagDeleted) == 0 || is_taken(node)) return;
  // A damaged file may have more tombstones than it says.
  if (recent_.size() < store_.deleted()) recent_.push_back(node);
}

void Sweeper::end_collecting() {
  collecting_ = false;
  taken_.clear();
}

void Sweeper::begin_lap() {
  dying_.swap(recent_);
  std::sort(dying_.begin(), dying_.end());
  kept_.assign(dying_.size(), 0);
  slots_ = store_.count();
  left_ = slots_;
  if (cursor_ >= slots_) cursor_ = {0};
}

void Sweeper::end_lap() {
  end_collecting();
  const NodeId entry_point = store_.view().entry_point;
  for (std::size_t i = 0; i < dying_.size(); ++i) {
    if (kept_[i] != 0 || dying_[i] == entry_point) {
      recent_.push_back(dying_[i]);
    } else {
      unlinked_.push_back({dying_[i], epochs_.now()});
    }
  }
  dying_.clear();
  kept_.clear();
}

void Sweeper::step(HeirChains& chains, LinkScratch& link, UnlinkScratch& scratch) {
  if (left_ == 0 && !recent_.empty()) begin_lap();
  for (std::uint32_t i = 0; i < kSlotsPerStep && left_ > 0; ++i) {
    if (collecting_) collect(cursor_);
    visit(cursor_, chains, link, scratch);
    cursor_ = {cursor_.index + 1 < slots_ ? cursor_.index + 1 : 0};
    if (--left_ == 0) end_lap();
  }
  reclaim();
}

void Sweeper::visit(NodeId node, HeirChains& chains, LinkScratch& link, UnlinkScratch& scratch) {
  const GraphView graph = store_.view();
  const Space space(store_.parameters(), graph);
  const std::uint8_t flags = graph.flags(node);
  if (flags == 0) return;
  const bool tombstone = (flags & format::hot::kFlagDeleted) != 0;
  if (tombstone && !unlinker_.is_decided(node)) unlinker_.unlink(node, {}, chains, link, scratch);
  if (tombstone && node == graph.entry_point) unlinker_.replace_entry_point(chains);
  for (std::uint32_t level = graph.usable_level(node) + 1; level-- > 0;) {
    heal(chains, space, node, level, link.list, link.selection);
    note_kept_links(node, level);
  }
}

void Sweeper::note_kept_links(NodeId node, std::uint32_t level) {
  const GraphView graph = store_.view();
  for (const NodeId target : graph.links_on(node, level)) {
    if (graph.is_live(target)) continue;
    const auto at = std::lower_bound(dying_.begin(), dying_.end(), target);
    if (at == dying_.end() || *at != target) continue;
    kept_[static_cast<std::size_t>(at - dying_.begin())] = 1;
  }
}

void Sweeper::reclaim() {
  if (first_ == unlinked_.size()) return;
  epochs_.advance();
  for (std::uint32_t i = 0; i < kMostReleased && first_ < unlinked_.size(); ++i) {
    if (!epochs_.passed(unlinked_[first_].epoch)) break;
    const NodeId node = unlinked_[first_++].node;
    // Node 0 stays as it is: where a list becomes shorter, a search may read 0 behind its end.
    if (node == NodeId{0}) {
      // It goes on to exist, so it must not link to slots that are given to others.
      for (std::uint32_t level = store_.view().usable_level({0}) + 1; level-- > 0;) {
        store_.set_links({0}, level, {});
      }
      store_.park_first();
    } else {
      store_.release_deleted(node);
    }
  }
  if (2 * first_ < unlinked_.size()) return;
  unlinked_.erase(unlinked_.begin(), unlinked_.begin() + static_cast<std::ptrdiff_t>(first_));
  first_ = 0;
}

}  // namespace cairn
