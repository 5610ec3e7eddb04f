// SPDX-License-Identifier: Apache-2.0
#include "engine/insert.h"

#include <algorithm>
#include <cstring>

#include "engine/codec.h"
#include "engine/search_layer.h"

namespace cairn {

namespace {

// Chosen together with the width of the lists: docs/algorithms.md. Inner products are no distances, so relaxing their
// comparison means nothing.
float alpha_of(Metric metric) { return metric == Metric::inner_product ? 1.0f : 1.1f; }

// A list that was full is selected down to this many links.
std::size_t shrunk(std::size_t capacity) { return capacity - capacity / 16; }

// A new node chooses half of what its list holds on level 0; the other half is for nodes that will choose it.
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

std::size_t Linker::link_back(const Space& space, NodeId target, std::uint32_t level,
                              std::span<const NodeId> sources, LinkScratch& scratch) {
  const std::size_t capacity = list_capacity(level);
  const LinkList links = space.view().links_on(target, level);
  if (links.degree + sources.size() <= capacity) {
    for (const NodeId source : sources) store_.append_link(target, level, source);
    return sources.size();
  }

  Selection& selection = scratch.selection;
  selection.ids.clear();
  for (std::uint32_t i = 0; i < links.degree; ++i) selection.ids.push_back(links.link(i));
  selection.ids.insert(selection.ids.end(), sources.begin(), sources.end());
  const std::size_t n = selection.ids.size();
  selection.distances.resize(n);
  space.distances(space.prepare(target), selection.ids.data(), n, selection.distances.data());
  selection.candidates.clear();
  for (std::size_t i = 0; i < n; ++i) {
    selection.candidates.push_back({selection.ids[i], selection.distances[i]});
  }
  std::sort(selection.candidates.begin(), selection.candidates.end());
  select_neighbors(space, shrunk(capacity), alpha_, selection);
  store_.set_links(target, level, selection.selected);
  return static_cast<std::size_t>(
      std::count_if(sources.begin(), sources.end(), [&](NodeId source) {
        const auto& kept = selection.selected;
        return std::find(kept.begin(), kept.end(), source) != kept.end();
      }));
}

void Linker::link_to(const Space& space, NodeId node, std::uint32_t level, LinkScratch& scratch) {
  std::vector<NodeId>& targets = scratch.search.ids;
  const std::uint32_t top = std::min(level, space.view().max_level);
  for (std::uint32_t l = top + 1; l-- > 0;) {
    const LinkList links = space.view().links_on(node, l);
    targets.clear();
    for (std::uint32_t i = 0; i < links.degree; ++i) targets.push_back(links.link(i));
    std::size_t kept = 0;
    for (const NodeId target : targets) kept += link_back(space, target, l, {&node, 1}, scratch);
    if (l > 0 || kept > 0) continue;
    // Every list was full and selected anew without the node; but it has room since.
    for (const NodeId target : targets) {
      if (append_if_room(target, l, node)) break;
    }
  }
}

bool Linker::append_if_room(NodeId target, std::uint32_t level, NodeId source) {
  const LinkList links = store_.view().links_on(target, level);
  if (links.degree >= list_capacity(level)) return false;
  store_.append_link(target, level, source);
  return true;
}

}  // namespace cairn
