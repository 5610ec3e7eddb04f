// SPDX-License-Identifier: Apache-2.0
#include "engine/transfer/kept_links.h"

#include <algorithm>

#include "engine/base/workers.h"
#include "engine/graph/reachability.h"
#include "engine/search/search_layer.h"

namespace cairn {

namespace {

// One damaged link in so many is too much to trust the others.
constexpr std::size_t kLinksPerDamage = 1000;
// So many of a hundred nodes may be out of the entry point's reach: those are linked one by one.
constexpr std::uint64_t kMostOutOfReach = 1;
// Nodes whose one-way links are held at once, 8 bytes each, and the part of them for one thread.
constexpr std::size_t kNodesAtOnce = 16384;
constexpr std::size_t kNodesOfAThread = 256;
// Lists that are asked for before they are read.
constexpr std::size_t kListsAhead = 8;

}  // namespace

Result<bool> KeptLinks::link(NodeStore& store, const GraphView& view) {
  Workers workers(options_.threads);
  std::vector<Scratch> scratch(workers.size());
  workers.run(node_of_row_.size(), 256, [&](unsigned worker, std::size_t begin, std::size_t end) {
    if (stopped()) return;
    for (std::size_t row = begin; row < end; ++row) {
      if (node_of_row_[row] == kNoNode) continue;
      link_row(row, node_of_row_[row], store, scratch[worker]);
    }
  });
  if (stopped()) return Error(ErrorCode::cancelled, "import: stopped by the caller");
  add_back_links(store, view, workers);
  if (stopped()) return Error(ErrorCode::cancelled, "import: stopped by the caller");
  return is_worth_it(view);
}

void KeptLinks::link_row(std::size_t row, NodeId node, NodeStore& store, Scratch& scratch) {
  const std::size_t capacity = store.parameters().m_max0;
  scratch.rows.clear();
  scratch.list.clear();
  source_.links(row, scratch.rows);
  std::size_t damaged = 0;
  bool beside_removed = false;
  for (const std::uint32_t to : scratch.rows) {
    const NodeId target = node_of(to);
    if (to >= node_of_row_.size() || to == row) {
      ++damaged;
    } else if (target == kNoNode) {
      beside_removed = true;
    } else if (!contains(scratch.list, target)) {
      if (scratch.list.size() < capacity) {
        scratch.list.push_back(target);
      } else {
        ++damaged;
      }
    }
  }
  kept_.fetch_add(scratch.list.size(), std::memory_order_relaxed);
  dropped_.fetch_add(scratch.rows.size() - scratch.list.size(), std::memory_order_relaxed);
  damaged_.fetch_add(damaged, std::memory_order_relaxed);
  for (std::size_t i = 0; beside_removed && i < scratch.rows.size(); ++i) {
    const std::uint32_t to = scratch.rows[i];
    if (to < node_of_row_.size() && node_of_row_[to] == kNoNode) {
      bridge(to, node, capacity, scratch);
    }
  }
  store.set_links(node, 0, scratch.list);
}

// What led to a removed row leads to what that led to.
void KeptLinks::bridge(std::size_t row, NodeId node, std::size_t capacity, Scratch& scratch) {
  scratch.beyond.clear();
  source_.links(row, scratch.beyond);
  for (const std::uint32_t to : scratch.beyond) {
    const NodeId target = node_of(to);
    if (target == kNoNode || target == node || contains(scratch.list, target)) continue;
    if (scratch.list.size() == capacity) return;
    scratch.list.push_back(target);
  }
}

// The links of nodes from `begin` to `end` without one back, in their order, where there is room
// for it. Lists lie far from each other: those to come are asked for.
void KeptLinks::find_one_way(const GraphView& view, std::size_t begin, std::size_t end,
                             std::vector<OneWay>& found) {
  std::vector<NodeId> list;
  for (std::size_t i = begin; i < end; ++i) {
    const NodeId node{static_cast<std::uint32_t>(i)};
    copy(view.links(node), list);
    for (std::size_t l = 0; l < std::min(kListsAhead, list.size()); ++l) {
      prefetch_links(view, list[l]);
    }
    for (std::size_t l = 0; l < list.size(); ++l) {
      if (l + kListsAhead < list.size()) prefetch_links(view, list[l + kListsAhead]);
      const LinkList back = view.links(list[l]);
      if (back.degree < view.m_max0 && !back.has(node)) found.push_back({node, list[l]});
    }
  }
}

// Links of foreign graphs often have one direction only, and ours are searched from one entry.
// Looking is for all threads, adding for one, in the order of the nodes: a back link needs none
// itself, so which lists it was looked for in before others got theirs does not matter.
void KeptLinks::add_back_links(NodeStore& store, const GraphView& view, Workers& workers) {
  std::vector<std::vector<OneWay>> found(kNodesAtOnce / kNodesOfAThread);
  for (std::size_t first = 0; first < view.count && !stopped(); first += kNodesAtOnce) {
    const std::size_t nodes = std::min<std::size_t>(kNodesAtOnce, view.count - first);
    workers.run(nodes, kNodesOfAThread, [&](unsigned, std::size_t begin, std::size_t end) {
      find_one_way(view, first + begin, first + end, found[begin / kNodesOfAThread]);
    });
    for (std::vector<OneWay>& piece : found) {
      for (std::size_t i = 0; i < piece.size(); ++i) {
        if (i + kListsAhead < piece.size()) prefetch_links(view, piece[i + kListsAhead].to);
        (void)store.append_link(piece[i].to, 0, piece[i].from);  // unless it is full by now
      }
      piece.clear();
    }
  }
}

bool KeptLinks::is_worth_it(const GraphView& view) {
  const auto text = [](std::uint64_t number) { return std::to_string(number); };
  const std::size_t links = kept_ + dropped_;
  if (damaged_ > links / kLinksPerDamage) {
    reason_ = text(damaged_) + " of its " + text(links) +
              " links lead nowhere, to themselves, or find no room in a list of " +
              text(view.m_max0);
    return false;
  }
  Reachability reachability(view);
  const std::uint64_t reached = reachability.mark_from(view.entry_point);
  const std::uint64_t out_of_reach = view.count - reached;
  if (out_of_reach * 100 > view.count * kMostOutOfReach) {
    reason_ = text(out_of_reach) + " of its " + text(view.count) +
              " vectors cannot be reached through its links";
    return false;
  }
  return true;
}

}  // namespace cairn
