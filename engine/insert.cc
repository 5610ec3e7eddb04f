// SPDX-License-Identifier: Apache-2.0
#include "engine/insert.h"

#include <algorithm>
#include <cstring>

#include "engine/codec.h"
#include "engine/hash.h"
#include "engine/search_layer.h"

namespace cairn {

namespace {

// Chosen together with the width of the lists: docs/algorithms.md. Inner products are no distances,
// so relaxing their comparison means nothing.
float alpha_of(Metric metric) { return metric == Metric::inner_product ? 1.0f : 1.1f; }

// A list that was full is selected down to this many links.
std::size_t shrunk(std::size_t capacity) {
  return capacity - std::max<std::size_t>(1, capacity / 16);
}

// Steps that hang() takes at most; a handful among millions of copies.
constexpr std::uint64_t kLongestWalk = 256;

// A new node chooses half of what its list holds on level 0; the other half is for nodes that will
// choose it.
std::size_t chosen(std::size_t capacity, std::uint32_t level) {
  return level == 0 ? capacity - capacity / 2 : capacity;
}

}  // namespace

Linker::Linker(NodeStore& store)
    : store_(store), parameters_(store.parameters()), alpha_(alpha_of(parameters_.metric)) {}

void Linker::write_node(NodeId node, Key key, std::uint32_t level, std::uint32_t upper,
                        const float* vector) {
  store_.init_node(node, key, level, upper);
  const std::size_t dims = parameters_.dimensions;
  std::byte* record = store_.mutable_record(node);
  Code factors;
  if (parameters_.traversal == Traversal::code) {
    std::memcpy(store_.mutable_exact(node), vector, dims * sizeof(float));
    factors = encode(parameters_.metric, vector, dims, reinterpret_cast<std::int8_t*>(record));
  } else {
    std::memcpy(record, vector, dims * sizeof(float));
    factors = exact_factors(parameters_.metric, vector, dims);
  }
  store_.set_factors(node, factors.a, factors.b, factors.usable ? 0 : format::hot::kFlagNoCode);
}

void Linker::choose_neighbors(const Space& space, NodeId node, std::uint32_t level,
                              LinkScratch& scratch) {
  const std::uint32_t top = std::min(level, space.view().max_level);
  const std::size_t ef = parameters_.ef_construction;
  const Query query = space.prepare(node);
  Nearest entry = descend(space, query, top, scratch.search);
  for (std::uint32_t l = top + 1; l-- > 0;) {
    begin_at(space, entry, ef, ef, scratch.search);
    search_layer(space, query, l, scratch.search);

    const NeighborPool& found = scratch.search.pool;
    auto& candidates = scratch.selection.candidates;
    candidates.clear();
    for (std::size_t i = 0; i < found.size(); ++i) {
      candidates.push_back({found.id(i), found.distance(i)});
    }
    entry = {candidates.front().node, candidates.front().distance};
    select_neighbors(space, chosen(list_capacity(l), l), alpha_, scratch.selection);
    store_.set_links(node, l, scratch.selection.selected);
  }
}

void Linker::link_back(const Space& space, NodeId target, std::uint32_t level,
                       std::span<const NodeId> sources, Orphans orphans, LinkScratch& scratch) {
  const std::size_t capacity = list_capacity(level);
  const LinkList links = space.view().links_on(target, level);
  if (links.degree + sources.size() <= capacity) {
    for (const NodeId source : sources) store_.append_link(target, level, source);
    return;
  }

  std::vector<NodeId>& before = scratch.before;
  before.clear();
  for (std::uint32_t i = 0; i < links.degree; ++i) before.push_back(links.link(i));
  before.insert(before.end(), sources.begin(), sources.end());
  Selection& selection = scratch.selection;
  selection.distances.resize(before.size());
  space.distances(space.prepare(target), before.data(), before.size(), selection.distances.data());
  selection.candidates.clear();
  for (std::size_t i = 0; i < before.size(); ++i) {
    selection.candidates.push_back({before[i], selection.distances[i]});
  }
  std::sort(selection.candidates.begin(), selection.candidates.end());
  select_neighbors(space, shrunk(capacity), alpha_, selection);
  if (level == 0 && orphans == Orphans::prevent) keep_reachable(space.view(), target, scratch);
  store_.set_links(target, level, selection.selected);
}

namespace {

bool links_to(const GraphView& graph, NodeId from, NodeId to) {
  const LinkList links = graph.links(from);
  for (std::uint32_t i = 0; i < links.degree; ++i) {
    if (links.link(i) == to) return true;
  }
  return false;
}

// Whether one of the node's own neighbors, an older one and not `except`, links back to it. Nearly
// always one of the first does.
bool linked_by_older(const GraphView& graph, NodeId node, NodeId except) {
  const LinkList links = graph.links(node);
  for (std::uint32_t i = 0; i < links.degree; ++i) {
    const NodeId neighbor = links.link(i);
    if (neighbor < node && neighbor != except && links_to(graph, neighbor, node)) return true;
  }
  return false;
}

}  // namespace

// Two rules hold for every node that add() has inserted, and make any two of them reach each other:
// an older node links to it, and it links to an older node. The new selection of `target` may have
// dropped the last such link, which happens among many equal vectors.
void Linker::keep_reachable(const GraphView& graph, NodeId target, LinkScratch& scratch) {
  std::vector<NodeId>& kept = scratch.selection.selected;
  const std::size_t selected = kept.size();
  const auto is_kept = [&](NodeId node) {
    const auto end = kept.begin() + static_cast<std::ptrdiff_t>(selected);
    return std::find(kept.begin(), end, node) != end;
  };
  const auto older = [&](NodeId node) { return node < target; };
  const auto& before = scratch.before;
  if (std::none_of(kept.begin(), kept.end(), older)) {
    const auto link = std::find_if(before.begin(), before.end(), older);
    if (link != before.end() && selected < list_capacity(0)) {
      kept.push_back(*link);
    } else if (link != before.end()) {
      kept.back() = *link;  // what stood there is looked after below
    }
  }
  for (const NodeId node : before) {
    if (node < target || is_kept(node) || linked_by_older(graph, node, target)) continue;
    if (kept.size() < list_capacity(0)) {
      kept.push_back(node);
    } else {
      hang(graph, node, kept.back(), target);
    }
  }
}

// Links `node` from a node that has room, at or below `host`: from list to list, preferring copies
// of `node`.
void Linker::hang(const GraphView& graph, NodeId node, NodeId host, NodeId except) {
  const Space space(parameters_, graph);
  for (std::uint64_t step = 0; step < kLongestWalk; ++step) {
    if (host < node && host != except && append_if_room(host, 0, node)) return;
    const LinkList links = graph.links(host);
    if (links.degree == 0) return;
    const std::uint64_t start = mix64(node ^ step << 32);
    NodeId next = links.link(static_cast<std::uint32_t>(start % links.degree));
    for (std::uint32_t i = 0; i < links.degree; ++i) {
      const NodeId other = links.link(static_cast<std::uint32_t>((start + i) % links.degree));
      if (other == node || !space.same_vector(other, node)) continue;
      next = other;
      break;
    }
    if (next != node) host = next;
  }
}

void Linker::link_to(const Space& space, NodeId node, std::uint32_t level, LinkScratch& scratch) {
  std::vector<NodeId> targets;
  const std::uint32_t top = std::min(level, space.view().max_level);
  for (std::uint32_t l = top + 1; l-- > 0;) {
    const LinkList links = space.view().links_on(node, l);
    targets.clear();
    for (std::uint32_t i = 0; i < links.degree; ++i) targets.push_back(links.link(i));
    for (const NodeId target : targets) {
      if (l == 0 && links_to(space.view(), target, node)) continue;  // it hangs there already
      link_back(space, target, l, {&node, 1}, Orphans::prevent, scratch);
    }
  }
}

bool Linker::append_if_room(NodeId target, std::uint32_t level, NodeId source) {
  const LinkList links = store_.view().links_on(target, level);
  for (std::uint32_t i = 0; i < links.degree; ++i) {
    if (links.link(i) == source) return true;
  }
  if (links.degree >= list_capacity(level)) return false;
  store_.append_link(target, level, source);
  return true;
}

}  // namespace cairn
