// SPDX-License-Identifier: Apache-2.0
#include "engine/self_search.h"

#include <algorithm>
#include <span>

#include "engine/search_layer.h"

namespace cairn {

Stray search_for_itself(const Space& space, NodeId node, SearchScratch& scratch) {
  Stray stray;
  const GraphView& graph = space.view();
  if (!graph.is_live(node)) return stray;
  const Query query = space.prepare(node, scratch.query);
  float own = 0;
  space.distances(query, &node, 1, &own);
  const Nearest entry = descend(space, query, 0, scratch);
  search_from(space, query, 0, entry, kSelfSearchWindow, kSelfSearchWindow, scratch, own);
  const NeighborPool& found = scratch.pool;
  if (found.size() == 0 || found.distance(0) <= own) return stray;
  stray.node = node;
  for (std::size_t i = 0; i < found.size(); ++i) stray.ends[stray.size++] = found.id(i);
  return stray;
}

void lead_to(const Stray& stray, const GraphView& graph, Linker& linker,
             std::vector<NodeId>& list) {
  if (stray.size == 0 || !graph.is_live(stray.node)) return;
  const std::span ends(stray.ends.data(), stray.size);
  const auto has_room = [&](NodeId end) {
    return graph.is_live(end) && linker.append_if_room(end, 0, stray.node);
  };
  const auto can_spare = [&](NodeId end) {
    return graph.is_live(end) && linker.replace_spare_link(graph, end, stray.node, list);
  };
  if (std::none_of(ends.begin(), ends.end(), has_room)) {
    (void)std::any_of(ends.begin(), ends.end(), can_spare);
  }
}

}  // namespace cairn
