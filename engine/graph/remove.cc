// SPDX-License-Identifier: Apache-2.0
#include "engine/graph/remove.h"

#include <algorithm>
#include <utility>

#include "engine/base/assert.h"
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

// The plan for the list of `source`, which is `list`; null if there is none, or the list has
// changed since.
const Bypass* usable_bypass(const GraphView& graph, std::span<const Bypass> bypasses, NodeId source,
                            const std::vector<NodeId>& list) {
  const auto planned = std::find_if(bypasses.begin(), bypasses.end(),
                                    [&](const Bypass& one) { return one.source == source; });
  if (planned == bypasses.end() || planned->before != list) return nullptr;
  const bool is_usable = planned->added == kNoNode || graph.is_live(planned->added);
  return is_usable ? &*planned : nullptr;
}

// A live node of the highest level above 0; kNoNode if there is none.
struct Highest {
  NodeId node = kNoNode;
  std::uint32_t level = 0;
};
Highest highest_live_node(const GraphView& graph) {
  // Every node of an upper level has a record for that level.
  Highest highest;
  for (std::uint32_t i = 0; i < graph.upper_count; ++i) {
    const auto index = graph.upper_index(i);
    if (!index) break;
    const auto [owner, degree, level] = graph.upper_head(*index);
    if (level <= highest.level || owner >= graph.count || !graph.is_live(owner)) continue;
    if (level == graph.usable_level(owner)) highest = {owner, level};  // not so in a damaged file
  }
  return highest;
}

}  // namespace

bool UnlinkScratch::is_reserved(const format::Parameters& parameters) const {
  return targets.capacity() >= 3 * longest_list(parameters);
}

void UnlinkScratch::reserve(const format::Parameters& parameters, std::uint32_t slots) {
  // Around a removed node there are its own targets, its heir, and the heir's neighbors.
  const std::size_t list_size = longest_list(parameters);
  const std::size_t most = 3 * list_size;
  distances.query.reserve(parameters.dimensions);
  distances.distances.reserve(most);
  targets.reserve(most);
  candidates.reserve(most);
  list.reserve(list_size);
  ids.reserve(most);
  around.reserve(most, slots);
  reaching.reset(slots);
  reaching.reserve(most);
}

std::vector<NodeId> Unlinker::find_sources(const Space& space, NodeId node, SearchScratch& search) {
  const GraphView& graph = space.view();
  const Query query = space.prepare(node, search.query);
  Nearest entry{node, 0};
  space.distances(query, &node, 1, &entry.distance);
  search_from(space, query, 0, entry, kSourceWidth, kSourceWidth, AdmitLive{graph, kSourceWidth},
              search);
  const VisitedSet& met = search.visited;
  std::vector<NodeId> sources;
  for (std::size_t i = 0; i < met.met(); ++i) {
    if (i + 4 < met.met()) prefetch_links(graph, met.list()[i + 4]);
    if (links_to(graph, met.list()[i], 0, node)) sources.push_back(met.list()[i]);
  }
  return sources;
}

RemovalPlan Unlinker::plan_removal(const Space& space, NodeId node, SearchScratch& search,
                                   UnlinkScratch& scratch) const {
  const GraphView& graph = space.view();
  RemovalPlan plan{find_sources(space, node, search), {}};
  scratch.reserve(store_.parameters(), graph.count);
  const auto targets = live_targets(space, node, nullptr, scratch);
  if (!targets) return plan;
  plan.bypasses.reserve(plan.sources.size());
  for (const NodeId source : plan.sources) {
    if (!graph.is_live(source)) continue;
    std::vector<NodeId>& others = scratch.list;
    copy(graph.links(source), others);
    Bypass bypass{source, others, kNoNode};
    std::erase(others, node);
    bypass.added = replacement(space, source, others, *targets, scratch);
    plan.bypasses.push_back(std::move(bypass));
  }
  return plan;
}

void Unlinker::unlink(NodeId node, const RemovalPlan& plan, HeirChains& chains, LinkScratch& link,
                      UnlinkScratch& scratch) {
  CAIRN_ASSERT(scratch.is_reserved(store_.parameters()));
  const GraphView graph = store_.view();
  const Space space(store_.parameters(), graph);
  unlink_above(space, node, link, scratch);
  const auto targets = live_targets(space, node, &chains, scratch);
  if (!targets) return;
  if (targets->empty()) {
    store_.set_links(node, 0, {});
    return;
  }
  const NodeId heir = targets->front().node;
  const Vicinity* around = make_heir_reach(space, heir, *targets, scratch);
  if (around == nullptr) return;

  const auto& reaching = nodes_reaching(graph, heir, around->reached(), scratch.reaching);
  const Gap gap{node, *targets, reaching, plan.bypasses};
  for (const NodeId source : plan.sources) {
    if (graph.is_live(source) && links_to(graph, source, 0, node)) {
      bypass(space, source, gap, scratch);
    }
  }
  store_.set_links(node, 0, {&heir, 1});
}

// The live nodes that `node` links to, directly or through tombstones, nearest first, in
// scratch.targets. Nothing if one of those must be passed. Without `chains` nothing is stored, and
// long ones are not followed.
std::optional<std::span<const Candidate>> Unlinker::live_targets(const Space& space, NodeId node,
                                                                 HeirChains* chains,
                                                                 UnlinkScratch& scratch) {
  const GraphView& graph = space.view();
  std::vector<NodeId>& list = scratch.list;
  list.clear();
  for (const NodeId link : graph.links(node)) {
    const Heir heir =
        chains != nullptr ? chains->follow(link, node) : heir_of(graph, link, 0, node);
    if (heir.kind == Heir::Kind::undecided) return std::nullopt;
    if (heir.kind == Heir::Kind::node && !contains(list, heir.node)) list.push_back(heir.node);
  }
  return rank_by_distance(space, node, list, scratch.targets, scratch.distances);
}

// Makes the heir reach all targets, through live nodes near by. Nearly always it does already.
// Returns what it reaches, in scratch.around; null if it cannot be made to.
const Vicinity* Unlinker::make_heir_reach(const Space& space, NodeId heir,
                                          std::span<const Candidate> targets,
                                          UnlinkScratch& scratch) {
  const GraphView& graph = space.view();
  Vicinity& around = scratch.around;
  around.begin(graph.count);
  for (const Candidate& target : targets) around.add(target.node);
  for (const NodeId link : graph.links(heir)) {
    if (graph.is_live(link)) around.add(link);
  }
  around.mark(heir);
  around.spread(graph, 0);
  for (const Candidate& target : targets) {
    if (around.is_reached(target.node)) continue;
    if (!attach(space, target.node, heir, around.reached(), scratch)) return nullptr;
    const std::size_t next = around.reached().size();
    around.mark(target.node);
    around.spread(graph, next);
  }
  return &around;
}

// The heir and those of `near` that reach it, all of which are as good as the heir itself: in
// `set`.
const VisitedSet& Unlinker::nodes_reaching(const GraphView& graph, NodeId heir,
                                           std::span<const NodeId> near, VisitedSet& set) {
  set.reset(graph.count);
  set.insert(heir);
  const auto links_there = [&](NodeId node) {
    for (const NodeId link : graph.links(node)) {
      if (set.contains(link)) return true;
    }
    return false;
  };
  for (std::size_t before = 0; before < set.met();) {
    before = set.met();
    for (const NodeId node : near) {
      if (!set.contains(node) && links_there(node)) set.insert(node);
    }
  }
  return set;
}

// Links to `node` from the nearest of `hosts` that has room, or a link that is not needed.
bool Unlinker::attach(const Space& space, NodeId node, NodeId heir, std::span<const NodeId> hosts,
                      UnlinkScratch& scratch) {
  const GraphView& graph = space.view();
  const auto ranked = rank_by_distance(space, node, hosts, scratch.candidates, scratch.distances);
  for (const Candidate& host : ranked) {
    if (linker_.append_if_room(host.node, 0, node)) return true;
  }
  for (const Candidate& host : ranked.first(std::min(ranked.size(), kMostHosts))) {
    if (linker_.replace_spare_link(graph, host.node, node, scratch.list)) return true;
  }
  return linker_.hang(graph, node, heir, kNoNode);
}

// Takes the link to the gap out of the list of `source`, which is full or not, and puts in what
// suits it best among the targets, which gets a link back if it has room. A path to the heir stays.
void Unlinker::bypass(const Space& space, NodeId source, const Gap& gap, UnlinkScratch& scratch) {
  const GraphView& graph = space.view();
  std::vector<NodeId>& list = scratch.list;
  copy(graph.links(source), list);
  const Bypass* planned = usable_bypass(graph, gap.bypasses, source, list);
  std::erase(list, gap.node);
  const std::size_t others = list.size();
  const NodeId added =
      planned != nullptr ? planned->added : replacement(space, source, list, gap.targets, scratch);
  if (added != kNoNode) list.push_back(added);
  const auto reaches = [&](NodeId link) {
    return link < graph.count && gap.reaching.contains(link);
  };
  if (!reaches(source) && std::none_of(list.begin(), list.end(), reaches)) {
    if (list.size() == linker_.list_capacity(0)) list.resize(others);
    list.push_back(nearest_reaching(space, source, gap, scratch));
  }
  store_.set_links(source, 0, list);
  for (std::size_t i = others; i < list.size(); ++i) linker_.append_if_room(list[i], 0, source);
}

// As selection would: the nearest target that none of the `others` in the list of `source` is
// nearer to than `source` itself. kNoNode if there is none.
NodeId Unlinker::replacement(const Space& space, NodeId source, std::span<const NodeId> others,
                             std::span<const Candidate> targets, UnlinkScratch& scratch) const {
  std::vector<NodeId>& ids = scratch.ids;
  ids.clear();
  for (const Candidate& target : targets) {
    if (target.node != source && !contains(others, target.node)) ids.push_back(target.node);
  }
  const auto ranked = rank_by_distance(space, source, ids, scratch.candidates, scratch.distances);
  for (const Candidate& candidate : ranked.first(std::min(ranked.size(), kMostTries))) {
    const auto from_others = distances_from(space, candidate.node, others, scratch.distances);
    const auto nearer = [&](float d) { return linker_.alpha() * d < candidate.distance; };
    if (std::none_of(from_others.begin(), from_others.end(), nearer)) return candidate.node;
  }
  return kNoNode;
}

// The target nearest to `source` that reaches the heir; the heir is one of them.
NodeId Unlinker::nearest_reaching(const Space& space, NodeId source, const Gap& gap,
                                  UnlinkScratch& scratch) {
  std::vector<NodeId>& ids = scratch.ids;
  ids.clear();
  for (const Candidate& target : gap.targets) {
    if (gap.reaching.contains(target.node)) ids.push_back(target.node);
  }
  return rank_by_distance(space, source, ids, scratch.candidates, scratch.distances).front().node;
}

// On upper levels no path must be kept. Those neighbors that link back select anew, and the
// tombstone keeps a link to the nearest live one.
void Unlinker::unlink_above(const Space& space, NodeId node, LinkScratch& link,
                            UnlinkScratch& scratch) {
  const GraphView& graph = space.view();
  for (std::uint32_t level = graph.usable_level(node); level > 0; --level) {
    std::vector<NodeId>& targets = scratch.ids;
    targets.clear();
    for (const NodeId near : graph.upper_links(node, level)) {
      if (graph.is_live(near)) targets.push_back(near);
    }
    for (const NodeId target : targets) {
      if (!links_to(graph, target, level, node)) continue;
      relink_above(space, target, node, level, targets, link, scratch.list);
    }
    if (targets.empty()) {
      store_.set_links(node, level, {});
    } else {
      const std::size_t at = nearest(space, node, targets, scratch.distances);
      store_.set_links(node, level, {&targets[at], 1});
    }
  }
}

// Takes the link to `node` out of the list of `source`, and selects among the others and `targets`.
void Unlinker::relink_above(const Space& space, NodeId source, NodeId node, std::uint32_t level,
                            std::span<const NodeId> targets, LinkScratch& link,
                            std::vector<NodeId>& list) {
  copy(space.view().upper_links(source, level), list);
  std::erase_if(list, [&](NodeId at) { return at == node || !space.view().is_live(at); });
  store_.set_links(source, level, list);
  list.clear();
  const LinkList now = space.view().upper_links(source, level);
  for (const NodeId target : targets) {
    if (target != source && !now.has(target)) list.push_back(target);
  }
  linker_.link_back(space, source, level, list, link);
}

void Unlinker::replace_entry_point(HeirChains& chains) {
  const GraphView graph = store_.view();
  Highest next = highest_live_node(graph);
  const Heir heir = chains.follow(graph.entry_point);
  if (heir.kind == Heir::Kind::undecided) return;
  if (heir.kind == Heir::Kind::node) {
    if (next.node == kNoNode) next.node = heir.node;
    const bool reaches = next.node == heir.node ||
                         linker_.append_if_room(next.node, 0, heir.node) ||
                         linker_.hang(graph, heir.node, next.node, kNoNode);
    if (!reaches) return;
  }
  if (next.node != kNoNode) store_.publish_entry(next.node, next.level);
}

}  // namespace cairn
