// SPDX-License-Identifier: Apache-2.0
#include "engine/heirs.h"

#include <algorithm>
#include <span>

#include "engine/visited_set.h"

namespace cairn {

namespace {

// Chains grow while nobody heals the lists that lead to them: far, if vectors that lie along a line
// are removed in their order. Longer ones count as undecided for those who may not shorten them.
constexpr int kLongestChain = 64;

bool has_heir(const GraphView& graph, NodeId node) {
  return node < graph.count && !graph.is_live(node) && graph.links(node).degree == 1;
}

// The flags of a list's nodes lie all over memory: asked for at once, they arrive together.
bool has_tombstone(const GraphView& graph, const LinkList& links) {
  for (std::uint32_t i = 0; i < links.degree; ++i) {
    if (links.link(i) < graph.count) __builtin_prefetch(graph.header_of(links.link(i)));
  }
  for (std::uint32_t i = 0; i < links.degree; ++i) {
    if (links.link(i) < graph.count && !graph.is_live(links.link(i))) return true;
  }
  return false;
}

// Whether a live one of `list` links to `node`.
bool is_led_to(const GraphView& graph, const std::vector<NodeId>& list, NodeId node) {
  return std::any_of(list.begin(), list.end(), [&](NodeId link) {
    return graph.is_live(link) && links_to(graph, link, 0, node);
  });
}

// The nearest to `node` of the heir and those of its neighbors that link to it; none of `list`.
NodeId nearest_leading(const Space& space, NodeId node, NodeId heir,
                       const std::vector<NodeId>& list, Selection& selection) {
  const GraphView& graph = space.view();
  std::vector<NodeId>& ids = selection.ids;
  ids.assign(1, heir);
  const LinkList links = graph.links(heir);
  for (std::uint32_t i = 0; i < links.degree; ++i) {
    const NodeId link = links.link(i);
    if (link >= graph.count || link == node || !graph.is_live(link)) continue;
    if (!contains(list, link) && links_to(graph, link, 0, heir)) ids.push_back(link);
  }
  return ids[nearest(space, node, ids, selection)];
}

}  // namespace

Heir heir_of(const GraphView& graph, NodeId node, std::uint32_t level, NodeId from) {
  for (int step = 0; step < kLongestChain; ++step) {
    if (node >= graph.count) break;
    if (node == from) return {Heir::Kind::nothing, kNoNode};
    if (graph.is_live(node)) return {Heir::Kind::node, node};
    const LinkList links = graph.links_on(node, level);
    if (links.degree == 0) return {Heir::Kind::nothing, kNoNode};
    if (links.degree > 1) break;
    node = links.link(0);
  }
  return {Heir::Kind::undecided, kNoNode};
}

// No chain is longer than there are tombstones, but for those of a hostile file that lead round in
// a circle, and so nowhere.
Heir HeirChains::follow(NodeId node, NodeId from) {
  const GraphView graph = store_.view();
  const Heir heir = heir_of(graph, node, 0, from);
  if (heir.kind != Heir::Kind::undecided) return heir;
  NodeId end = node;
  for (std::uint64_t left = store_.deleted(); left > 0 && end != from && has_heir(graph, end);
       --left) {
    end = graph.links(end).link(0);
  }
  if (end == from) return {Heir::Kind::nothing, kNoNode};
  if (has_heir(graph, end)) {
    shorten(graph, node, kNoNode);
    return {Heir::Kind::nothing, kNoNode};
  }
  const Heir found = heir_of(graph, end, 0);
  if (found.kind != Heir::Kind::undecided) shorten(graph, node, found.node);
  return found;
}

// Links are made to live nodes only: the sweep relies on it.
void HeirChains::shorten(const GraphView& graph, NodeId node, NodeId heir) {
  const std::span<const NodeId> list(&heir, heir == kNoNode ? 0 : 1);
  for (; left_ > 0 && has_heir(graph, node); --left_) {
    const NodeId next = graph.links(node).link(0);
    store_.set_links(node, 0, list);
    node = next;
  }
}

bool links_to(const GraphView& graph, NodeId from, std::uint32_t level, NodeId to) {
  const LinkList links = graph.links_on(from, level);
  for (std::uint32_t i = 0; i < links.degree; ++i) {
    if (links.link(i) == to) return true;
  }
  return false;
}

void heal(HeirChains& chains, const Space& space, NodeId node, std::uint32_t level,
          std::vector<NodeId>& list, Selection& selection) {
  const GraphView& graph = space.view();
  const LinkList links = graph.links_on(node, level);
  if (!has_tombstone(graph, links)) return;
  list.clear();
  for (std::uint32_t i = 0; i < links.degree; ++i) {
    const NodeId link = links.link(i);
    if (link < graph.count && graph.is_live(link)) list.push_back(link);
  }
  for (std::uint32_t i = 0; i < links.degree; ++i) {
    const NodeId link = links.link(i);
    if (link >= graph.count || graph.is_live(link)) continue;
    const Heir heir = level == 0 ? chains.follow(link) : heir_of(graph, link, level);
    if (heir.kind == Heir::Kind::undecided && level == 0) list.push_back(link);
    if (heir.kind != Heir::Kind::node || heir.node == node || contains(list, heir.node)) continue;
    if (level > 0) {
      list.push_back(heir.node);
    } else if (!is_led_to(graph, list, heir.node)) {
      list.push_back(nearest_leading(space, node, heir.node, list, selection));
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
