// SPDX-License-Identifier: Apache-2.0
#include "engine/graph/remove.h"

#include <algorithm>

#include "engine/search/admission.h"

namespace cairn {

namespace {

// Width of the search for the nodes that link to a removed one.
constexpr std::size_t kSourceWidth = 64;

// Candidates that are looked at for the place of a lost link. One link for one: more of them fill
// the lists with links that later selections have to keep (docs/decisions/0014).
constexpr std::size_t kMostTries = 12;

// Reached nodes whose lists are looked through for a link that is not needed.
constexpr std::size_t kMostHosts = 16;

// The plan for the list of `source`, which is in scratch.list; null if there is none, or the list
// has changed since.
const Bypass* planned_bypass(const GraphView& graph, NodeId source, const UnlinkScratch& scratch) {
  for (std::size_t p = 0; p < scratch.planned; ++p) {
    const Bypass& bypass = scratch.bypasses[p];
    if (bypass.source != source) continue;
    const bool usable =
        bypass.before == scratch.list && (bypass.added == kNoNode || graph.is_live(bypass.added));
    return usable ? &bypass : nullptr;
  }
  return nullptr;
}

}  // namespace

void UnlinkScratch::reserve(const format::Parameters& parameters, std::uint32_t slots) {
  // Around a removed node there are its own targets, its heir, and the heir's neighbors.
  const std::size_t list_size = std::size_t{std::max(parameters.m_max0, parameters.m)} + 1;
  const std::size_t most = 3 * list_size;
  query.reserve(parameters.dimensions);
  targets.reserve(most);
  candidates.reserve(most);
  list.reserve(list_size);
  if (ids.size() < most) ids.resize(most);
  if (distances.size() < most) distances.resize(most);
  around.reserve(most, slots);
  leading.reset(slots);
  leading.reserve(most);
}

void Unlinker::find_sources(const Space& space, NodeId node, SearchScratch& search,
                            UnlinkScratch& scratch) {
  const GraphView& graph = space.view();
  const Query query = space.prepare(node, scratch.query);
  Nearest entry{node, 0};
  space.distances(query, &node, 1, &entry.distance);
  search_from(space, query, 0, entry, kSourceWidth, kSourceWidth, AdmitLive{graph, kSourceWidth},
              search);
  const VisitedSet& met = search.visited;
  scratch.sources.clear();
  scratch.planned = 0;
  for (std::size_t i = 0; i < met.met(); ++i) {
    if (i + 4 < met.met()) prefetch_links(graph, met.list()[i + 4]);
    if (links_to(graph, met.list()[i], 0, node)) scratch.sources.push_back(met.list()[i]);
  }
}

void Unlinker::plan_bypasses(const Space& space, NodeId node, UnlinkScratch& scratch) {
  const GraphView& graph = space.view();
  scratch.planned = 0;
  scratch.reserve(store_.parameters(), graph.count);
  if (!collect_targets(space, node, nullptr, scratch)) return;
  for (const NodeId source : scratch.sources) {
    if (!graph.is_live(source)) continue;
    if (scratch.bypasses.size() == scratch.planned) scratch.bypasses.emplace_back();
    Bypass& bypass = scratch.bypasses[scratch.planned];
    bypass.source = source;
    copy(graph.links(source), bypass.before);
    scratch.list = bypass.before;
    std::erase(scratch.list, node);
    bypass.added = replacement(space, source, scratch);
    ++scratch.planned;
  }
}

void Unlinker::unlink(NodeId node, LinkScratch& link, UnlinkScratch& scratch) {
  const GraphView graph = store_.view();
  const Space space(store_.parameters(), graph);
  unlink_above(space, node, link, scratch);
  if (!collect_targets(space, node, &chains(), scratch)) return;
  if (scratch.targets.empty()) {
    store_.set_links(node, 0, {});
    return;
  }
  const NodeId heir = scratch.targets.front().node;
  if (!lead_to_all(space, heir, scratch)) return;

  find_leading(graph, heir, scratch);
  for (const NodeId source : scratch.sources) {
    if (graph.is_live(source) && links_to(graph, source, 0, node)) {
      bypass(space, source, node, scratch);
    }
  }
  store_.set_links(node, 0, {&heir, 1});
}

// The live nodes that `node` leads to, directly or through tombstones. False if one of those must
// be passed. Without `chains` nothing is stored, and long ones are not followed.
bool Unlinker::collect_targets(const Space& space, NodeId node, HeirChains* chains,
                               UnlinkScratch& scratch) {
  const GraphView& graph = space.view();
  scratch.list.clear();
  for (const NodeId link : graph.links(node)) {
    const Heir heir =
        chains != nullptr ? chains->follow(link, node) : heir_of(graph, link, 0, node);
    if (heir.kind == Heir::Kind::undecided) return false;
    if (heir.kind == Heir::Kind::node && !contains(scratch.list, heir.node)) {
      scratch.list.push_back(heir.node);
    }
  }
  const std::vector<NodeId>& list = scratch.list;
  space.distances(space.prepare(node, scratch.query), list.data(), list.size(),
                  scratch.distances.data());
  scratch.targets.clear();
  for (std::size_t i = 0; i < list.size(); ++i) {
    scratch.targets.push_back({list[i], scratch.distances[i]});
  }
  std::sort(scratch.targets.begin(), scratch.targets.end());
  return true;
}

// Makes the heir reach all targets, through live nodes near by. Nearly always it does already.
bool Unlinker::lead_to_all(const Space& space, NodeId heir, UnlinkScratch& scratch) {
  const GraphView& graph = space.view();
  Vicinity& around = scratch.around;
  around.begin(graph.count);
  for (const Candidate& target : scratch.targets) around.add(target.node);
  for (const NodeId link : graph.links(heir)) {
    if (graph.is_live(link)) around.add(link);
  }
  around.mark(heir);
  around.spread(graph, 0);
  for (const Candidate& target : scratch.targets) {
    if (around.is_reached(target.node)) continue;
    if (!attach(space, target.node, heir, scratch)) return false;
    const std::size_t next = around.reached().size();
    around.mark(target.node);
    around.spread(graph, next);
  }
  return true;
}

// Any node that reaches the heir is as good as the heir itself.
void Unlinker::find_leading(const GraphView& graph, NodeId heir, UnlinkScratch& scratch) {
  VisitedSet& leading = scratch.leading;
  leading.reset(graph.count);
  leading.insert(heir);
  const auto leads = [&](NodeId node) {
    for (const NodeId link : graph.links(node)) {
      if (leading.contains(link)) return true;
    }
    return false;
  };
  for (std::size_t before = 0; before < leading.met();) {
    before = leading.met();
    for (const NodeId near : scratch.around.reached()) {
      if (!leading.contains(near) && leads(near)) leading.insert(near);
    }
  }
}

// Links to `node` from the nearest reached node that has room, or a link that is not needed.
bool Unlinker::attach(const Space& space, NodeId node, NodeId heir, UnlinkScratch& scratch) {
  const GraphView& graph = space.view();
  const auto reached = scratch.around.reached();
  const std::size_t n = reached.size();
  std::copy(reached.begin(), reached.end(), scratch.ids.begin());
  sort_by_distance(space, node, n, scratch);
  const std::vector<Candidate>& hosts = scratch.candidates;
  for (const Candidate& host : hosts) {
    if (linker_.append_if_room(host.node, 0, node)) return true;
  }
  for (std::size_t i = 0; i < std::min(hosts.size(), kMostHosts); ++i) {
    if (linker_.replace_spare_link(graph, hosts[i].node, node, scratch.list)) return true;
  }
  return linker_.hang(graph, node, heir, kNoNode);
}

// Takes the link to `node` out of the list of `source`, which is full or not, and puts in what
// suits it best among the targets, which gets a link back if it has room. A path to the heir stays.
void Unlinker::bypass(const Space& space, NodeId source, NodeId node, UnlinkScratch& scratch) {
  const GraphView& graph = space.view();
  std::vector<NodeId>& list = scratch.list;
  copy(graph.links(source), list);
  const Bypass* plan = planned_bypass(graph, source, scratch);
  std::erase(list, node);
  const std::size_t others = list.size();
  const NodeId added = plan != nullptr ? plan->added : replacement(space, source, scratch);
  if (added != kNoNode) list.push_back(added);
  const auto leads = [&](NodeId link) {
    return link < graph.count && scratch.leading.contains(link);
  };
  if (!leads(source) && std::none_of(list.begin(), list.end(), leads)) {
    if (list.size() == linker_.list_capacity(0)) list.resize(others);
    list.push_back(nearest_leading(space, source, scratch));
  }
  store_.set_links(source, 0, list);
  for (std::size_t i = others; i < list.size(); ++i) linker_.append_if_room(list[i], 0, source);
}

// Makes candidates of the first `n` of scratch.ids, nearest to `node` first.
void Unlinker::sort_by_distance(const Space& space, NodeId node, std::size_t n,
                                UnlinkScratch& scratch) {
  space.distances(space.prepare(node, scratch.query), scratch.ids.data(), n,
                  scratch.distances.data());
  scratch.candidates.clear();
  for (std::size_t i = 0; i < n; ++i) {
    scratch.candidates.push_back({scratch.ids[i], scratch.distances[i]});
  }
  std::sort(scratch.candidates.begin(), scratch.candidates.end());
}

// As selection would: the nearest target that none of scratch.list, the other neighbors of
// `source`, is nearer to than `source` itself. kNoNode if there is none.
NodeId Unlinker::replacement(const Space& space, NodeId source, UnlinkScratch& scratch) {
  const std::vector<NodeId>& list = scratch.list;
  std::size_t n = 0;
  for (const Candidate& target : scratch.targets) {
    if (target.node != source && !contains(list, target.node)) scratch.ids[n++] = target.node;
  }
  sort_by_distance(space, source, n, scratch);
  for (std::size_t t = 0; t < std::min(n, kMostTries); ++t) {
    const Candidate& candidate = scratch.candidates[t];
    space.distances(space.prepare(candidate.node, scratch.query), list.data(), list.size(),
                    scratch.distances.data());
    const auto nearer = [&](float d) { return linker_.alpha() * d < candidate.distance; };
    const auto end = scratch.distances.begin() + static_cast<std::ptrdiff_t>(list.size());
    if (std::none_of(scratch.distances.begin(), end, nearer)) return candidate.node;
  }
  return kNoNode;
}

// The target nearest to `source` that reaches the heir; the heir is one of them.
NodeId Unlinker::nearest_leading(const Space& space, NodeId source, UnlinkScratch& scratch) {
  std::size_t n = 0;
  for (const Candidate& target : scratch.targets) {
    if (scratch.leading.contains(target.node)) scratch.ids[n++] = target.node;
  }
  sort_by_distance(space, source, n, scratch);
  return scratch.candidates.front().node;
}

// On upper levels no path must be kept. Those neighbors that link back select anew, and the
// tombstone keeps a link to the nearest live one.
void Unlinker::unlink_above(const Space& space, NodeId node, LinkScratch& link,
                            UnlinkScratch& scratch) {
  const GraphView& graph = space.view();
  for (std::uint32_t level = graph.usable_level(node); level > 0; --level) {
    scratch.targets.clear();
    for (const NodeId near : graph.upper_links(node, level)) {
      if (graph.is_live(near)) scratch.targets.push_back({near, 0});
    }
    for (const Candidate& target : scratch.targets) {
      if (links_to(graph, target.node, level, node)) {
        relink_above(space, target.node, node, level, link, scratch);
      }
    }
    NodeId nearest = kNoNode;
    float least = 0;
    for (const Candidate& target : scratch.targets) {
      float distance;
      space.distances(space.prepare(node, scratch.query), &target.node, 1, &distance);
      if (nearest != kNoNode && distance >= least) continue;
      nearest = target.node;
      least = distance;
    }
    store_.set_links(node, level, {&nearest, nearest == kNoNode ? std::size_t{0} : 1});
  }
}

void Unlinker::relink_above(const Space& space, NodeId source, NodeId node, std::uint32_t level,
                            LinkScratch& link, UnlinkScratch& scratch) {
  std::vector<NodeId>& list = scratch.list;
  copy(space.view().upper_links(source, level), list);
  std::erase_if(list, [&](NodeId at) { return at == node || !space.view().is_live(at); });
  store_.set_links(source, level, list);
  list.clear();
  const LinkList now = space.view().upper_links(source, level);
  for (const Candidate& target : scratch.targets) {
    if (target.node != source && !now.has(target.node)) list.push_back(target.node);
  }
  linker_.link_back(space, source, level, list, link);
}

void Unlinker::replace_entry_point() {
  const GraphView graph = store_.view();
  // Every node of an upper level has a record for that level.
  NodeId next = kNoNode;
  std::uint32_t highest = 0;
  for (std::uint32_t i = 0; i < graph.upper_count; ++i) {
    const auto index = graph.upper_index(i);
    if (!index) break;
    const std::byte* record = graph.upper_record(*index);
    const std::uint32_t level =
        load_relaxed(GraphView::word(record + format::upper::kDegree)) >> 16;
    const NodeId owner = load_relaxed(GraphView::word(record + format::upper::kNode));
    if (level <= highest || owner >= graph.count || !graph.is_live(owner)) continue;
    if (level != graph.usable_level(owner)) continue;  // of a damaged file
    next = owner;
    highest = level;
  }
  const Heir heir = chains().follow(graph.entry_point);
  if (heir.kind == Heir::Kind::undecided) return;
  if (heir.kind == Heir::Kind::node) {
    if (next == kNoNode) next = heir.node;
    const bool reaches = next == heir.node || linker_.append_if_room(next, 0, heir.node) ||
                         linker_.hang(graph, heir.node, next, kNoNode);
    if (!reaches) return;
  }
  if (next != kNoNode) store_.publish_entry(next, highest);
}

}  // namespace cairn
