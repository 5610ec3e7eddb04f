// SPDX-License-Identifier: Apache-2.0
//
// How groups of near copies are linked. Each member leads to some of its own group, which would
// fill its list, and to some of the others (docs/decisions/0044).
#include <algorithm>
#include <array>
#include <cmath>

#include "engine/graph/insert.h"
#include "engine/search/admission.h"

namespace cairn {

namespace {

// Of what lies in other groups so many are looked at.
constexpr std::size_t kMostFar = 64;

// Of the links of a node so many lead to other groups, if there are others.
std::size_t least_far(std::size_t max) { return std::max<std::size_t>(1, max / 8); }

// Of the links of a near copy under inner products so many are selected by these. The longest of a
// group have the largest with all, and nearly all that is dropped is dropped for them.
std::size_t most_by_product(std::size_t max) { return std::max<std::size_t>(1, max / 2); }

bool has(std::span<const NodeId> nodes, NodeId node) {
  return std::find(nodes.begin(), nodes.end(), node) != nodes.end();
}

bool has(std::span<const Candidate> candidates, NodeId node) {
  return std::any_of(candidates.begin(), candidates.end(),
                     [&](const Candidate& one) { return one.node == node; });
}

// Near copies have nearly the same inner product with any node, and lie side by side.
bool holds_near_copies(const Space& space, std::span<const Candidate> candidates) {
  constexpr std::size_t kPairs = 16;
  constexpr std::size_t kAlike = 3;  // so many of these lie among near copies
  const std::size_t step = std::max<std::size_t>(1, candidates.size() / kPairs);
  std::size_t alike = 0;
  for (std::size_t i = 1; i < candidates.size() && alike < kAlike; i += step) {
    if (space.are_alike(candidates[i - 1].node, candidates[i].node)) ++alike;
  }
  return alike >= kAlike;
}

// Adds those of the sorted candidates that lie in other groups.
void add_far(const Space& space, std::span<const Candidate> candidates,
             std::vector<Candidate>& far) {
  const auto differs = [&](const Candidate& c) { return c.distance > space.rounding(); };
  const auto first = std::find_if(candidates.begin(), candidates.end(), differs);
  if (first == candidates.end()) return;
  const float beyond = kOtherGroup * first->distance;
  for (std::size_t i = candidates.size(); i-- > 0 && candidates[i].distance > beyond;) {
    far.push_back(candidates[i]);
  }
}

}  // namespace

bool Linker::tells_apart(const Space& space, NodeId node,
                         std::span<const Candidate> candidates) const {
  if (!space.walks_codes()) return true;
  // Inner products do not say how near two vectors are.
  if (parameters_.metric == Metric::inner_product) return !holds_near_copies(space, candidates);
  const auto differs = [&](const Candidate& c) { return c.distance > space.rounding(); };
  const auto first = std::find_if(candidates.begin(), candidates.end(), differs);
  return first == candidates.end() || !space.are_alike(node, first->node);
}

// Where a window holds near copies alone: what the search has met elsewhere.
void Linker::note_far(const Space& space, std::uint32_t level, std::size_t ef,
                      LinkScratch& scratch) const {
  const GraphView& graph = space.view();
  const NeighborPool& found = scratch.search.pool;
  scratch.far.clear();
  if (parameters_.metric == Metric::inner_product || found.size() < ef) return;
  const Met& met = scratch.met;
  const float beyond = kOtherGroup * found.distance(ef - 1);
  for (std::size_t i = 0; i < met.nodes.size(); ++i) {
    if (!(met.distances[i] > beyond) || std::isinf(met.distances[i])) continue;
    const NodeId node = met.nodes[i];
    if (graph.is_live(node) && graph.level(node) >= level) {
      scratch.far.push_back({node, met.distances[i]});
    }
  }
}

// Where a node has come to a group of near copies, and has met others: a search with few of each
// group in its window finds what is around, however many members the groups have that were met.
// Groups that came one after the other would else hang on each other like a tree.
void Linker::look_for_groups(const Space& space, NodeId node, const Query& query,
                             std::uint32_t level, LinkScratch& scratch) const {
  const std::span<const Candidate> candidates(scratch.candidates);
  std::vector<Candidate>& far = scratch.far;
  if (parameters_.metric == Metric::inner_product || candidates.empty()) return;
  const bool has_noted = !far.empty();
  if (!has_noted) add_far(space, candidates, far);
  if (far.empty()) return;
  const Candidate nearest = *std::min_element(far.begin(), far.end());
  // As far as near copies of the node reach, others of a group differ in their distance from it.
  const auto is_near = [&](const Candidate& c) {
    return kOtherGroup * c.distance < nearest.distance;
  };
  const auto own = std::partition_point(candidates.begin(), candidates.end(), is_near);
  if (own == candidates.begin() || tells_apart(space, node, candidates)) {
    if (!has_noted) far.clear();  // selection adds these
    return;
  }
  find_groups(space, query, level, (own - 1)->distance, scratch);
}

// scratch.far := a few of each group of near copies around it, found from some of these. `reach`:
// how far the node's own group reaches.
void Linker::find_groups(const Space& space, const Query& query, std::uint32_t level, float reach,
                         LinkScratch& scratch) const {
  constexpr std::size_t kWindow = 32;
  constexpr std::size_t kOfEach = 2;
  constexpr std::size_t kEntries = 8;
  std::vector<Candidate>& far = scratch.far;
  const Candidate nearest = *std::min_element(far.begin(), far.end());
  const float width = 2.0f * std::sqrt(nearest.distance * reach);
  std::array<Nearest, kEntries> entries;
  std::size_t n = 0;
  entries[n++] = {nearest.node, nearest.distance};
  const std::size_t step = std::max<std::size_t>(1, far.size() / kEntries);
  for (std::size_t i = 0; i < far.size() && n < kEntries; i += step) {
    if (far[i].node != nearest.node) entries[n++] = {far[i].node, far[i].distance};
  }
  const GraphView& graph = space.view();
  const AdmitLive live{graph, kWindow};
  search_from(space, query, level, {entries.data(), n}, kWindow, kWindow,
              AdmitFew<AdmitLive>{live, kOfEach, width}, scratch.search);
  const NeighborPool& found = scratch.search.pool;
  far.clear();
  for (std::size_t i = 0; i < found.size(); ++i) {
    const bool is_far = found.distance(i) >= nearest.distance / 2;
    if (is_far && graph.level(found.id(i)) >= level) {
      far.push_back({found.id(i), found.distance(i)});
    }
  }
}

std::span<const NodeId> Linker::select(const Space& space, NodeId node,
                                       std::vector<Candidate>& candidates, std::size_t count,
                                       LinkScratch& scratch) const {
  scratch.far.clear();
  return select_and_lead_far(space, node, candidates, count, scratch);
}

// The same; what lies far beyond the candidates stands in scratch.far.
std::span<const NodeId> Linker::select_and_lead_far(const Space& space, NodeId node,
                                                    std::vector<Candidate>& candidates,
                                                    std::size_t count, LinkScratch& scratch) const {
  SelectionScratch& selection = scratch.selection;
  const bool is_product = parameters_.metric == Metric::inner_product;
  if (tells_apart(space, node, candidates)) {
    if (!is_product) add_far(space, candidates, scratch.far);
    (void)select_neighbors(space, node, candidates, count, alpha_, selection);
  } else if (is_product) {
    return select_among_copies(space, node, count, scratch);
  } else {
    const Space on_vectors = space.on_vectors();
    const auto ranked =
        rank_on_vectors(space, node, candidates, selection.distances, selection.ids);
    add_far(on_vectors, ranked, scratch.far);
    (void)select_near_copies(on_vectors, parameters_, node, ranked, count, alpha_, selection);
  }
  if (!scratch.far.empty()) lead_far(space, node, count, scratch);
  return selection.selected;
}

// The same for a full list of near copies: what these differ from the node by ranks them, too, and
// each is read once. More room is made than elsewhere, as their vectors are read for that.
std::span<const NodeId> Linker::select_near_copies_anew(const Space& space, NodeId node,
                                                        std::span<const NodeId> nodes,
                                                        std::size_t count,
                                                        LinkScratch& scratch) const {
  SelectionScratch& selection = scratch.selection;
  const Space on_vectors = space.on_vectors();
  count -= count / 8;
  const auto ranked =
      rank_near_copies(on_vectors, parameters_, node, nodes, scratch.candidates, selection);
  scratch.far.clear();
  add_far(on_vectors, ranked, scratch.far);
  (void)select_near_copies(on_vectors, parameters_, node, ranked, count, alpha_, selection, nodes);
  if (!scratch.far.empty()) lead_far(space, node, count, scratch);
  return selection.selected;
}

// Sees to it that some of the selected links lead to other groups, those in scratch.far: to the
// nearest of each direction, by Algorithm 4; but to other ones and to other members of them from
// each node, as a hash has it. A window of near copies then leads everywhere.
void Linker::lead_far(const Space& space, NodeId node, std::size_t count,
                      LinkScratch& scratch) const {
  std::vector<Candidate>& far = scratch.far;
  std::vector<NodeId>& selected = scratch.selection.selected;
  std::vector<NodeId>& ids = scratch.selection.ids;
  std::vector<Candidate>& groups = scratch.groups;
  const std::size_t wanted = least_far(count);
  std::size_t leading = 0;  // of the selected ones
  for (const NodeId one : selected) leading += std::size_t{has(far, one)};
  const auto by_hash = [&](const Candidate& a, const Candidate& b) {
    return rank_of_link(node, a.node) < rank_of_link(node, b.node);
  };
  if (far.size() > kMostFar) {
    std::nth_element(far.begin(), far.begin() + kMostFar, far.end(), by_hash);
    far.resize(kMostFar);
  }
  std::sort(far.begin(), far.end());
  groups.clear();
  for (std::span<Candidate> left(far); !left.empty();) {
    ids.clear();
    for (const Candidate& one : left) ids.push_back(one.node);
    const auto distances = distances_from(space, ids.front(), ids, scratch.selection.distances);
    Candidate member = left.front();
    std::size_t n = 0;
    for (std::size_t i = 1; i < left.size(); ++i) {
      if (kOtherGroup * distances[i] < left[i].distance) {
        if (by_hash(left[i], member)) member = left[i];
      } else if (distances[i] >= left[i].distance) {
        left[n++] = left[i];
      }
    }
    groups.push_back(member);
    left = left.first(n);
  }
  std::sort(groups.begin(), groups.end(), by_hash);
  groups.resize(std::min(groups.size(), wanted));
  for (const Candidate& one : groups) {
    if (has(selected, one.node)) continue;
    if (selected.size() == count) {
      // In the place of the last one of those that are too many.
      const bool gives_far = leading >= wanted;
      std::size_t at = count;
      while (at > 0 && (has(far, selected[at - 1]) != gives_far || has(groups, selected[at - 1]))) {
        --at;
      }
      if (at == 0) return;
      selected.erase(selected.begin() + static_cast<std::ptrdiff_t>(at - 1));
      leading -= std::size_t{gives_far};
    }
    selected.push_back(one.node);
    ++leading;
  }
}

// The vectors by their squared distances, whatever the metric.
Space Linker::by_differences(const Space& space) const {
  format::Parameters parameters = parameters_;
  parameters.metric = Metric::l2sq;
  return Space(parameters, space.view()).on_vectors();
}

// The neighbors of a node among near copies of it, under inner products, which do not tell what is
// near it: it is looked for by distances, and found in scratch.candidates otherwise.
std::span<const NodeId> Linker::choose_among_copies(const Space& space, NodeId node,
                                                    std::uint32_t level, std::size_t count,
                                                    LinkScratch& scratch) const {
  constexpr std::size_t kEntries = 16;
  std::vector<Candidate>& candidates = scratch.candidates;
  const GraphView& graph = space.view();
  const std::size_t ef = candidates.size();
  // What else was met, if that is nearly all near copies.
  if (space.are_near_copies(node, candidates.back().node)) {
    const Met& met = scratch.met;
    const float last = candidates.back().distance;
    std::vector<Candidate>& far = scratch.far;
    far.clear();
    for (std::size_t i = 0; i < met.nodes.size(); ++i) {
      const NodeId one = met.nodes[i];
      if (!(met.distances[i] > last) || !graph.is_live(one) || graph.level(one) < level) continue;
      far.push_back({one, met.distances[i]});
    }
    const std::size_t most = std::min(far.size(), kMostFar);
    std::partial_sort(far.begin(), far.begin() + static_cast<std::ptrdiff_t>(most), far.end());
    candidates.insert(candidates.end(), far.begin(),
                      far.begin() + static_cast<std::ptrdiff_t>(most));
  }
  const Space differences = by_differences(space);
  const Query query = differences.prepare(node, scratch.search.query);
  std::array<Nearest, kEntries> entries;
  std::size_t n = 0;
  for (std::size_t i = 0; i < ef && n < kEntries; ++i) {
    if (!space.are_near_copies(node, candidates[i].node)) continue;
    entries[n] = {candidates[i].node, 0};
    differences.distances(query, &entries[n].node, 1, &entries[n].distance);
    ++n;
  }
  if (n > 0) {
    search_from(differences, query, level, {entries.data(), n}, ef, ef, AdmitLive{graph, ef},
                scratch.search);
    const NeighborPool& found = scratch.search.pool;
    for (std::size_t i = 0; i < found.size(); ++i) {
      if (graph.level(found.id(i)) >= level) candidates.push_back({found.id(i), 0});
    }
    const std::size_t members = place_in_group(ef);
    const float reach = found.size() > members ? found.distance(members) : 0.0f;
    std::vector<Candidate>& far = scratch.far;
    far.clear();
    for (const Candidate& one : candidates) {
      if (!space.are_near_copies(node, one.node)) far.push_back(one);
    }
    if (!far.empty() && reach > 0) {
      for (Candidate& one : far) differences.distances(query, &one.node, 1, &one.distance);
      find_groups(differences, query, level, reach, scratch);
      candidates.insert(candidates.end(), far.begin(), far.end());
    }
  }
  std::sort(candidates.begin(), candidates.end(),
            [](const Candidate& a, const Candidate& b) { return a.node < b.node; });
  const auto same = [](const Candidate& a, const Candidate& b) { return a.node == b.node; };
  candidates.erase(std::unique(candidates.begin(), candidates.end(), same), candidates.end());
  return select_among_copies(space, node, count, scratch);
}

// Half of the links are selected by inner products, which lead to what is long, and the others
// among near copies by distances, as for other metrics; of those some lead to other groups.
std::span<const NodeId> Linker::select_among_copies(const Space& space, NodeId node,
                                                    std::size_t count, LinkScratch& scratch) const {
  SelectionScratch& selection = scratch.selection;
  std::vector<Candidate>& candidates = scratch.candidates;
  std::vector<NodeId>& near = scratch.near;
  std::vector<NodeId>& others = scratch.others;
  const Space on_vectors = space.on_vectors();
  near.clear();
  others.clear();
  selection.ids.clear();
  for (const Candidate& one : candidates) {
    (space.are_near_copies(node, one.node) ? near : others).push_back(one.node);
    selection.ids.push_back(one.node);
  }
  const auto all =
      rank_by_distance(on_vectors, node, selection.ids, candidates, selection.distances);
  const std::size_t most = near.empty() ? count : most_by_product(count);
  (void)select_neighbors(on_vectors, node, all, most, alpha_, selection);
  if (near.empty()) return selection.selected;
  std::vector<NodeId>& by_product = scratch.by_product;
  by_product = selection.selected;
  const std::size_t left = count - by_product.size();

  const Space differences = by_differences(space);
  format::Parameters parameters = parameters_;
  parameters.metric = Metric::l2sq;
  const auto ranked = rank_by_distance(differences, node, near, candidates, selection.distances);
  (void)select_near_copies(differences, parameters, node, ranked, left, alpha_, selection);
  if (!others.empty()) {
    const auto far = rank_by_distance(differences, node, others, candidates, selection.distances);
    scratch.far.assign(far.begin(), far.end());
    lead_far(differences, node, left, scratch);
  }
  std::vector<NodeId>& selected = selection.selected;
  for (const NodeId one : by_product) {
    if (!has(selected, one)) selected.push_back(one);
  }
  return selected;
}

}  // namespace cairn
