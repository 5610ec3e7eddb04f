// SPDX-License-Identifier: Apache-2.0
#include "engine/graph/self_search.h"

#include <algorithm>
#include <span>

#include "engine/base/assert.h"
#include "engine/search/admission.h"

namespace cairn {

Stray search_for_itself(const Space& space, NodeId node, SearchScratch& scratch) {
  Stray stray;
  const GraphView& graph = space.view();
  CAIRN_ASSERT(node < graph.count);
  if (graph.entry_point == kNoNode || !graph.is_live(node)) return stray;
  const Query query = space.prepare(node, scratch.query);
  float own = 0;
  space.distances(query, &node, 1, &own);
  own = std::max(own, space.rounding());  // copies are as near
  const Nearest entry = descend(space, query, 0, scratch);
  search_from(space, query, 0, entry, kSelfSearchWindow, kSelfSearchWindow,
              AdmitLive{graph, kSelfSearchWindow}, scratch, own);
  const NeighborPool& found = scratch.pool;
  if (found.size() == 0 || found.distance(0) <= own) return stray;
  stray.node = node;
  for (std::size_t i = 0; i < found.size(); ++i) stray.ends[stray.size++] = found.id(i);
  return stray;
}

void link_stray(const Stray& stray, const GraphView& graph, Linker& linker,
                std::vector<NodeId>& list) {
  if (stray.size == 0 || !graph.is_live(stray.node)) return;
  const std::span ends(stray.ends.data(), stray.size);
  std::size_t links = 0;
  for (const NodeId end : ends) {
    if (graph.is_live(end) && linker.append_if_room(end, 0, stray.node)) ++links;
    if (links == kLinksToStray) return;
  }
  const auto can_spare = [&](NodeId end) {
    return graph.is_live(end) && linker.replace_spare_link(graph, end, stray.node, list);
  };
  if (links == 0) (void)std::any_of(ends.begin(), ends.end(), can_spare);
}

Result<void> link_all_strays(const Space& space, Linker& linker, Workers& workers,
                             std::vector<LinkScratch>& scratch, const StrayStep& step) {
  constexpr std::uint32_t kAtOnce = 16384;
  const GraphView& graph = space.view();
  std::vector<Stray> strays(std::min(kAtOnce, graph.count));
  for (std::uint32_t first = 0; first < graph.count;) {
    if (auto ok = step(first); !ok) return ok;
    const std::uint32_t size = std::min(kAtOnce, graph.count - first);
    workers.run(size, 64, [&](unsigned worker, std::size_t begin, std::size_t end) {
      for (std::size_t i = begin; i < end; ++i) {
        const NodeId node{first + static_cast<std::uint32_t>(i)};
        strays[i] = search_for_itself(space, node, scratch[worker].search);
      }
    });
    for (std::uint32_t i = 0; i < size; ++i) link_stray(strays[i], graph, linker, scratch[0].list);
    first += size;
  }
  return {};
}

SelfSearchTurns::Nodes SelfSearchTurns::next(std::uint32_t slots) {
  Nodes nodes;
  nodes.fill(kNoNode);
  if (added_ > 0) nodes[0] = recent_[--added_];
  for (std::size_t i = 1; i <= of_the_round() && slots > 0; ++i) {
    if (cursor_ >= slots) cursor_ = {0};
    nodes[i] = {cursor_.index++};
  }
  return nodes;
}

void SelfSearchTurns::looked(std::size_t nodes, std::size_t strays) {
  constexpr std::size_t kLimit = (kMost - kFewest) * kExcessPerLook;
  const std::size_t more = excess_ + strays * kNodesPerStray;
  excess_ = std::min(kLimit, more - std::min(more, nodes));
}

}  // namespace cairn
