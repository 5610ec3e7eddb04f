// SPDX-License-Identifier: Apache-2.0
#include "engine/graph/heirs.h"

#include <algorithm>
#include <span>
#include <utility>

#include "engine/search/visited_set.h"

namespace cairn {

namespace {

// Chains grow while nobody heals the lists that lead to them: far, if vectors that lie along a line
// are removed in their order. Longer ones count as undecided for those who may not shorten them.
constexpr std::uint64_t kLongestChain = 64;

bool has_heir(const GraphView& graph, NodeId node) {
  return node < graph.count && !graph.is_live(node) && graph.links(node).degree == 1;
}

// kNoNode if the list has become empty, or holds no node.
NodeId heir_in(const LinkList& links) {
  return links.degree == 0 ? kNoNode : links.link(0).value_or(kNoNode);
}

// The flags of a list's nodes lie all over memory: asked for at once, they arrive together.
bool has_tombstone(const GraphView& graph, const LinkList& links) {
  for (const NodeId link : links) graph.prefetch_header(link);
  for (const NodeId link : links) {
    if (!graph.is_live(link)) return true;
  }
  return false;
}

// Whether a live one of `list` links to `node`.
bool is_linked_from(const GraphView& graph, const std::vector<NodeId>& list, NodeId node) {
  return std::any_of(list.begin(), list.end(), [&](NodeId link) {
    return graph.is_live(link) && links_to(graph, link, 0, node);
  });
}

// The nearest to `node` of the heir and those of its neighbors that link to it; none of `list`.
NodeId nearest_to_link(const Space& space, NodeId node, NodeId heir,
                       const std::vector<NodeId>& list, SelectionScratch& scratch) {
  const GraphView& graph = space.view();
  std::vector<NodeId>& ids = scratch.ids;
  ids.assign(1, heir);
  for (const NodeId link : graph.links(heir)) {
    if (link == node || !graph.is_live(link)) continue;
    if (!contains(list, link) && links_to(graph, link, 0, heir)) ids.push_back(link);
  }
  return ids[nearest(space, node, ids, scratch.distances)];
}

// Takes the steps it makes off `steps`. Circles, which only a hostile file has, are noticed as in
// Brent's algorithm (1980): a node that was met is met again.
Heir walk(const GraphView& graph, NodeId node, std::uint32_t level, NodeId from,
          std::uint64_t& steps) {
  NodeId met = kNoNode;
  for (std::uint64_t made = 0, next = 1;; ++made) {
    if (node >= graph.count) return {Heir::Kind::undecided, kNoNode};
    if (node == from || node == met) return {Heir::Kind::nothing, kNoNode};
    if (graph.is_live(node)) return {Heir::Kind::node, node};
    const LinkList links = graph.links_on(node, level);
    if (links.degree == 0) return {Heir::Kind::nothing, kNoNode};
    if (links.degree > 1 || steps == 0) return {Heir::Kind::undecided, kNoNode};
    if (made == next) {
      met = node;
      next *= 2;
    }
    --steps;
    node = links.link(0).value_or(kNoNode);
  }
}

}  // namespace

Heir heir_of(const GraphView& graph, NodeId node, std::uint32_t level, NodeId from) {
  std::uint64_t steps = kLongestChain;
  return walk(graph, node, level, from, steps);
}

Heir HeirChains::follow(NodeId node, NodeId from) {
  if (node < ends_.size() && from == kNoNode) return ends_[node.index];
  const GraphView graph = store_.view();
  std::uint64_t steps = kLongestChain + steps_;
  const Heir heir = walk(graph, node, 0, from, steps);
  if (steps >= steps_) return heir;
  steps_ = steps;
  // What leads to nothing but `from` will lead to its heir.
  const bool for_all =
      heir.kind == Heir::Kind::node || (heir.kind == Heir::Kind::nothing && from == kNoNode);
  if (for_all) shorten(graph, node, heir.node);
  return heir;
}

void HeirChains::follow_all() {
  const GraphView graph = store_.view();
  std::vector<Heir> ends(graph.count);
  std::vector<bool> met(graph.count);
  std::vector<NodeId> chain;
  for (const NodeId node : nodes_below(graph.count)) {
    NodeId end = node;
    for (; has_heir(graph, end) && !met[end.index]; end = heir_in(graph.links(end))) {
      met[end.index] = true;
      ends[end.index] = {Heir::Kind::nothing, kNoNode};  // if the chain comes back here
      chain.push_back(end);
    }
    const bool known = end < graph.count && met[end.index];
    const Heir heir = known ? ends[end.index] : heir_of(graph, end, 0);
    for (const NodeId tombstone : chain) ends[tombstone.index] = heir;
    chain.clear();
    if (!met[node.index]) ends[node.index] = heir;
  }
  ends_ = std::move(ends);
}

// Links are made to live nodes only: the sweep relies on it.
void HeirChains::shorten(const GraphView& graph, NodeId node, NodeId heir) {
  const std::span<const NodeId> list(&heir, heir == kNoNode ? 0 : 1);
  for (; left_ > 0 && has_heir(graph, node); --left_) {
    const NodeId next = heir_in(graph.links(node));
    store_.set_links(node, 0, list);
    node = next;
  }
}

bool links_to(const GraphView& graph, NodeId from, std::uint32_t level, NodeId to) {
  return graph.links_on(from, level).has(to);
}

void heal(HeirChains& chains, const Space& space, NodeId node, std::uint32_t level,
          std::vector<NodeId>& list, SelectionScratch& scratch) {
  const GraphView& graph = space.view();
  const LinkList links = graph.links_on(node, level);
  if (!has_tombstone(graph, links)) return;
  list.clear();
  for (const NodeId link : links) {
    if (graph.is_live(link)) list.push_back(link);
  }
  for (const NodeId link : links) {
    if (graph.is_live(link)) continue;
    const Heir heir = level == 0 ? chains.follow(link) : heir_of(graph, link, level);
    if (heir.kind == Heir::Kind::undecided && level == 0) list.push_back(link);
    if (heir.kind != Heir::Kind::node || heir.node == node || contains(list, heir.node)) continue;
    if (level > 0) {
      list.push_back(heir.node);
    } else if (!is_linked_from(graph, list, heir.node)) {
      list.push_back(nearest_to_link(space, node, heir.node, list, scratch));
    }
  }
  const bool same = list.size() == links.degree &&
                    std::all_of(list.begin(), list.end(),
                                [&](NodeId link) { return links_to(graph, node, level, link); });
  if (!same) chains.store().set_links(node, level, list);
}

NodeId some_live_node(const GraphView& graph) {
  if (graph.entry_point >= graph.count) return kNoNode;
  VisitedSet met;
  met.reset(graph.count);
  met.insert(graph.entry_point);
  for (std::size_t next = 0; next < met.met(); ++next) {
    const NodeId node = met.list()[next];
    if (graph.is_live(node)) return node;
    met.insert_new(graph.links(node));
  }
  return kNoNode;
}

}  // namespace cairn
