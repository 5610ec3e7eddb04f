// SPDX-License-Identifier: Apache-2.0
#include "engine/graph/insert.h"

#include <algorithm>
#include <utility>

#include "engine/base/assert.h"
#include "engine/base/hash.h"
#include "engine/graph/noting_pool.h"
#include "engine/search/admission.h"
#include "engine/vectors/codec.h"
#include "engine/vectors/components.h"
#include "engine/vectors/metric.h"

namespace cairn {

namespace {

// Candidates of a node on upper levels alone, where level 0 is given: what they are for is an entry
// to it. With 64 instead of 200 an import of 20,000 x 128 took a fifth fewer instructions, and
// recall at ef 10 to 64 stayed what it was.
constexpr std::size_t kUpperWindow = 64;

// Grows with the width of the lists, from 1 at 24 links to 1.1 at 50 and more: docs/algorithms.md.
// Less where the metric allows less.
float alpha_of(const format::Parameters& parameters) {
  return std::clamp(1.0f + (static_cast<float>(parameters.m_max0) - 24) / 256, 1.0f,
                    row_of(parameters.metric).largest_alpha);
}

// Steps that hang() takes at most; a handful even among millions of copies.
constexpr std::uint64_t kLongestWalk = 256;

// A new node chooses half of what its list holds on level 0; the other half is for nodes that will
// choose it, and for links that it takes over.
std::size_t chosen(std::size_t capacity, std::uint32_t level) {
  return level == 0 ? capacity - capacity / 2 : capacity;
}

// Adds what a search has found to the candidates.
void collect(const GraphView& graph, std::uint32_t level, const NeighborPool& found,
             std::vector<Candidate>& candidates) {
  for (std::size_t i = 0; i < found.size(); ++i) {
    // A list that becomes shorter meanwhile shows zeros behind its end: node 0, which may be on
    // lower levels alone.
    if (graph.level(found.id(i)) < level) continue;
    candidates.push_back({found.id(i), found.distance(i)});
  }
}

// Whether codes can order what a search for `node` has found. (Under other metrics they say so pair
// by pair.)
bool codes_order(const Space& space, const Query& query, Metric metric, const NeighborPool& found) {
  if (metric != Metric::inner_product || !space.walks_codes()) return true;
  return is_resolved(space, query, found);
}

}  // namespace

bool LinkScratch::is_reserved(const format::Parameters& parameters) const {
  return selection.selected.capacity() >= longest_list(parameters);
}

void LinkScratch::reserve(const format::Parameters& parameters, std::uint32_t slots) {
  const std::size_t most = longest_list(parameters);
  search.make_room(most);
  search.query.reserve(parameters.dimensions);
  selection.distances.query.reserve(parameters.dimensions);
  selection.distances.distances.reserve(most);
  candidates.reserve(most);
  before.reserve(most);
  kept.reserve(most);
  targets.reserve(most);
  list.reserve(most);
  selection.ids.reserve(most);
  selection.equal.reserve(most);
  selection.more.reserve(most);
  selection.selected.reserve(most);
  selection.places.reserve(most);
  far.reserve(most);
  groups.reserve(most);
  near.reserve(most);
  others.reserve(most);
  by_product.reserve(most);
  const bool is_product = parameters.metric == Metric::inner_product;
  if ((Residuals::suit(parameters) || is_product) && parameters.traversal == Traversal::code) {
    selection.residuals.reserve(most, parameters.dimensions);
  }
  around.reserve(most, slots);
}

Linker::Linker(NodeStore& store)
    : store_(store), parameters_(store.parameters()), alpha_(alpha_of(parameters_)) {}

bool Linker::write_node(NodeId node, Key key, std::uint32_t level, std::uint32_t upper,
                        const void* vector, QueryBuffer& buffer, std::uint8_t flags) {
  store_.init_node(node, key, level, upper, flags);
  store_.set_vector(node, vector);
  const std::byte* stored = store_.stored_vector(node);
  const bool is_good = well_formed(view_of(parameters_.scalar, stored, parameters_.dimensions));
  if (is_good) {
    const Code factors = factors_of(parameters_, stored, buffer.floats, store_.mutable_code(node));
    store_.set_factors(node, factors.a, factors.b, factors.usable ? 0 : format::hot::kFlagNoCode);
  }
  store_.note_written(node);
  return is_good;
}

Choice Linker::choose_neighbors(const Space& index, NodeId node, std::uint32_t level,
                                LinkScratch& scratch, std::uint32_t lowest) const {
  CAIRN_ASSERT(index.view().entry_point != kNoNode);
  Space space = index;
  const std::uint32_t top = std::min(level, space.view().max_level);
  const std::size_t ef = lowest == 0
                             ? parameters_.ef_construction
                             : std::min<std::size_t>(parameters_.ef_construction, kUpperWindow);
  Query query = space.prepare(node, scratch.search.query);
  const AdmitLive live{space.view(), ef};
  Choice choice;
  Nearest entry = descend(space, query, top, scratch.search);
  for (std::uint32_t l = top + 1; l-- > lowest;) {
    std::vector<Candidate>& candidates = scratch.candidates;
    candidates.clear();
    const auto search = [&](const auto& admission) {
      scratch.met.clear();
      search_from(space, query, l, entry, ef, ef, AdmitNoted{admission, scratch.met},
                  scratch.search);
      collect(space.view(), l, scratch.search.pool, candidates);
    };
    search(live);
    const bool is_among_copies =
        parameters_.metric == Metric::inner_product && !tells_apart(space, node, candidates);
    if (!is_among_copies && !codes_order(space, query, parameters_.metric, scratch.search.pool)) {
      space = space.on_vectors();
      query = space.prepare(node, scratch.search.query);
      space.distances(query, &entry.node, 1, &entry.distance);
      candidates.clear();
      search(live);
    }
    if (search_past_group(space, query, l, ef, ef, AdmitNoted{live, scratch.met}, scratch.search)) {
      candidates.clear();
      collect(space.view(), l, scratch.search.pool, candidates);
    }
    if (is_full_of_copies(space, scratch.search.pool, ef)) {
      if (parameters_.metric == Metric::inner_product && space.walks_codes()) {
        // What codes take for copies may be none, and lie behind those.
        space = space.on_vectors();
        query = space.prepare(node, scratch.search.query);
        scratch.before.clear();
        for (const Candidate& one : candidates) scratch.before.push_back(one.node);
        (void)rank_by_distance(space, node, scratch.before, candidates,
                               scratch.selection.distances);
      }
      // Once more, for what lies behind the copies.
      search(AdmitFew<AdmitLive>{live, few_of(ef)});
      std::sort(candidates.begin(), candidates.end());
      const auto same = [](const Candidate& a, const Candidate& b) { return a.node == b.node; };
      candidates.erase(std::unique(candidates.begin(), candidates.end(), same), candidates.end());
    }
    if (candidates.empty()) continue;
    entry = {candidates.front().node, candidates.front().distance};
    const std::size_t count = chosen(list_capacity(l), l);
    std::span<const NodeId> selected;
    if (is_among_copies) {
      selected = choose_among_copies(space, node, l, count, scratch);
      query = space.prepare(node, scratch.search.query);
    } else {
      note_far(space, l, ef, scratch);
      look_for_groups(space, node, query, l, scratch);
      selected = select_and_lead_far(space, node, candidates, count, scratch);
    }
    choice.neighbors[l].assign(selected.begin(), selected.end());
  }
  return choice;
}

void Linker::write_lists(NodeId node, std::uint32_t level, const Choice& choice,
                         std::uint32_t lowest) {
  for (std::uint32_t l = lowest; l <= level; ++l) store_.set_links(node, l, choice.neighbors[l]);
}

namespace {

bool all_live(const GraphView& graph, std::span<const NodeId> nodes) {
  return std::all_of(nodes.begin(), nodes.end(), [&](NodeId node) { return graph.is_live(node); });
}

// Those nodes of a list that it keeps are reached, of the others nothing is known yet.
void begin(const GraphView& graph, std::span<const NodeId> before, std::span<const NodeId> kept,
           Vicinity& around) {
  around.begin(graph.count);
  for (const NodeId node : before) around.add(node);
  for (const NodeId node : kept) around.mark(node);
}

// What the plan found to be reached, as far as the links to it still exist.
void follow(const GraphView& graph, const std::vector<LinkPlan::Reached>& reached,
            Vicinity& around) {
  for (const LinkPlan::Reached& step : reached) {
    if (around.is_reached(step.from) && links_to(graph, step.from, 0, step.node)) {
      around.mark(step.node, step.from);
    }
  }
}

// A list and new links behind it, in `list`.
std::span<const NodeId> join(const LinkList& links, std::span<const NodeId> sources,
                             std::vector<NodeId>& list) {
  copy(links, list);
  list.insert(list.end(), sources.begin(), sources.end());
  return list;
}

// The plan for the list of `target`; null if there is none, or the list has changed since.
const LinkPlan* usable_plan(const std::vector<LinkPlan>& plans, NodeId target,
                            const LinkList& links) {
  const auto plan = std::find_if(plans.begin(), plans.end(),
                                 [&](const LinkPlan& one) { return one.target == target; });
  if (plan == plans.end() || plan->before.size() != links.degree + std::size_t{1}) return nullptr;
  for (std::uint32_t i = 0; i < links.degree; ++i) {
    if (links.unchecked(i) != plan->before[i].index) return nullptr;
  }
  return &*plan;
}

}  // namespace

std::vector<LinkPlan> Linker::plan_back_links(const Space& space, NodeId node,
                                              std::span<const NodeId> targets,
                                              LinkScratch& scratch) const {
  const GraphView& graph = space.view();
  const std::size_t capacity = list_capacity(0);
  std::vector<LinkPlan> plans;
  for (const NodeId target : targets) {
    const LinkList links = graph.links(target);
    if (links.degree < capacity) continue;
    const auto before = join(links, {&node, 1}, scratch.before);
    const auto selected = select_anew(space, target, before, shrunk(capacity), scratch);
    LinkPlan plan{target, {before.begin(), before.end()}, {selected.begin(), selected.end()}, {}};
    Vicinity& around = scratch.around;
    begin(graph, before, selected, around);
    around.spread(graph, 0);
    for (std::size_t i = selected.size(); i < around.reached().size(); ++i) {
      plan.reached.push_back({around.reached()[i], around.from(i)});
    }
    plans.push_back(std::move(plan));
  }
  return plans;
}

void Linker::link_back(const Space& space, NodeId target, std::uint32_t level,
                       std::span<const NodeId> sources, LinkScratch& scratch) {
  const std::size_t capacity = list_capacity(level);
  const LinkList links = space.view().links_on(target, level);
  if (links.degree + sources.size() <= capacity) {
    for (const NodeId source : sources) (void)store_.append_link(target, level, source);
    return;
  }
  const auto nodes = join(links, sources, scratch.before);
  store_.set_links(target, level, select_anew(space, target, nodes, shrunk(capacity), scratch));
}

std::span<const NodeId> Linker::select_anew(const Space& space, NodeId target,
                                            std::span<const NodeId> nodes, std::size_t count,
                                            LinkScratch& scratch) const {
  if (Residuals::suit(parameters_) && space.walks_codes() &&
      space.are_alike(target, nodes.front())) {
    return select_near_copies_anew(space, target, nodes, count, scratch);
  }
  (void)rank_by_distance(space, target, nodes, scratch.candidates, scratch.selection.distances);
  return select(space, target, scratch.candidates, count, scratch);
}

bool Linker::hand_over(const Space& space, NodeId node, std::span<const NodeId> kept,
                       SelectionScratch& scratch) {
  std::vector<NodeId>& hosts = scratch.ids;
  hosts.clear();
  for (const NodeId host : kept) {
    if (space.view().links(host).degree < list_capacity(0)) hosts.push_back(host);
  }
  if (hosts.empty()) return false;
  const std::size_t at = nearest(space, node, hosts, scratch.distances);
  return append_if_room(hosts[at], 0, node);
}

// No list that add() writes loses a path: where the new selection drops a link, the kept neighbors
// reach the same node, or the one nearest to it takes the link over. So all that the entry point
// reached before, it reaches after. Where every list around is full (copies of one vector), the
// list stays as it is.
bool Linker::link_back_keeping_paths(const Space& space, NodeId target, NodeId newcomer,
                                     const std::vector<LinkPlan>& plans, HeirChains& chains,
                                     LinkScratch& scratch) {
  const GraphView& graph = space.view();
  const std::size_t capacity = list_capacity(0);
  if (graph.tombstones) heal(chains, space, target, 0, scratch.list, scratch.selection);
  if (append_if_room(target, 0, newcomer)) return true;
  const LinkList links = graph.links(target);
  const LinkPlan* plan = usable_plan(plans, target, links);
  const std::span<const NodeId> before =
      plan != nullptr ? plan->before : join(links, {&newcomer, 1}, scratch.before);
  const std::span<const NodeId> selected =
      plan != nullptr ? plan->selected
                      : select_anew(space, target, before, shrunk(capacity), scratch);
  // A link to a tombstone that must be passed can be given to nobody else.
  if (graph.tombstones && !all_live(graph, before)) return false;
  std::vector<NodeId>& kept = scratch.kept;
  kept.assign(selected.begin(), selected.end());
  Vicinity& around = scratch.around;
  begin(graph, before, kept, around);
  if (plan != nullptr) {
    follow(graph, plan->reached, around);
  } else {
    around.spread(graph, 0);
  }
  for (const NodeId node : before) {
    if (node == newcomer || around.is_reached(node)) continue;
    if (!hand_over(space, node, kept, scratch.selection)) {
      if (kept.size() < capacity) {
        kept.push_back(node);
      } else if (!hang(graph, node, kept.front(), target)) {
        return false;
      }
    }
    const std::size_t next = around.reached().size();
    around.mark(node);
    around.spread(graph, next);
  }
  store_.set_links(target, 0, kept);
  return contains(kept, newcomer);
}

bool Linker::replace_spare_link(const GraphView& graph, NodeId host, NodeId node,
                                std::vector<NodeId>& list) {
  copy(graph.links(host), list);
  for (std::size_t i = list.size(); i-- > 0;) {
    const NodeId spare = list[i];
    if (!graph.is_live(spare)) continue;
    for (const NodeId other : list) {
      if (other == spare || !graph.is_live(other) || !links_to(graph, other, 0, spare)) continue;
      list[i] = node;
      store_.set_links(host, 0, list);
      return true;
    }
  }
  return false;
}

bool Linker::hang(const GraphView& graph, NodeId node, NodeId host, NodeId avoided) {
  for (std::uint64_t step = 0; step < kLongestWalk; ++step) {
    if (host != node && graph.is_live(host) && append_if_room(host, 0, node)) return true;
    const LinkList links = graph.links(host);
    if (links.degree == 0) return false;
    const auto next =
        links.link(static_cast<std::uint32_t>(mix64(node.index ^ step << 32) % links.degree));
    if (!next) return false;  // of a file that was damaged
    if (*next != avoided) host = *next;
  }
  return false;
}

// Puts `newcomer` in the place of one link of `target`, whose list is full, and that link into its
// own. False if the list holds nothing but tombstones that must be passed.
bool Linker::squeeze_in(const GraphView& graph, NodeId target, NodeId newcomer,
                        std::vector<NodeId>& list) {
  copy(graph.links(target), list);
  if (list.empty()) return false;
  // Not one of those that were selected, which come first; and not always the last, so that no
  // chain grows long.
  const std::size_t selected = std::min(list.size() - 1, shrunk(list.size()));
  std::size_t at = selected + mix64(newcomer.index) % (list.size() - selected);
  for (std::size_t i = 0; i < list.size() && !graph.is_live(list[at]); ++i) at = i;
  if (!graph.is_live(list[at]) || !append_if_room(newcomer, 0, list[at])) return false;
  list[at] = newcomer;
  store_.set_links(target, 0, list);
  return true;
}

void Linker::link_to(const Space& space, NodeId node, std::uint32_t level, NodeId below,
                     const std::vector<LinkPlan>& plans, HeirChains& chains, LinkScratch& scratch) {
  const GraphView& graph = space.view();
  std::vector<NodeId>& targets = scratch.targets;
  CAIRN_ASSERT(scratch.is_reserved(parameters_));
  for (std::uint32_t l = std::min(level, graph.max_level); l > 0; --l) {
    copy(graph.links_on(node, l), targets);
    for (const NodeId target : targets) {
      if (graph.tombstones) heal(chains, space, target, l, scratch.list, scratch.selection);
      link_back(space, target, l, {&node, 1}, scratch);
    }
  }
  copy(graph.links(node), targets);
  if (below != kNoNode) append_if_room(node, 0, below);
  bool linked = false;
  for (const NodeId target : targets) {
    linked = link_back_keeping_paths(space, target, node, plans, chains, scratch) || linked;
  }
  for (std::size_t i = 0; i < targets.size() && !linked; ++i) {
    linked = squeeze_in(graph, targets[i], node, scratch.list);
  }
  if (!linked && !targets.empty()) hang(graph, node, targets.front(), kNoNode);
}

bool Linker::append_if_room(NodeId target, std::uint32_t level, NodeId source) {
  return store_.has_link(target, level, source) || store_.append_link(target, level, source);
}

}  // namespace cairn
