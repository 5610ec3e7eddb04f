// SPDX-License-Identifier: Apache-2.0
#include "engine/graph/select_neighbors.h"

#include <algorithm>
#include <cmath>
#include <cstdint>

#include "engine/base/hash.h"

namespace cairn {

namespace {

// Whether rounding alone can make two distances differ.
bool near(float a, float b) { return std::fabs(a - b) <= 1e-5f * std::max(1.0f, std::fabs(b)); }

// Equal vectors, and those that distances cannot tell from them: what is one node's neighbor as
// well as another's.
class Copies {
 public:
  // `own` is the distance of `node` from itself.
  Copies(const Space& space, NodeId node, float own)
      : space_(space),
        node_(node),
        rounding_(space.rounding()),
        own_(own),
        compares_(own > rounding_) {}

  bool contain(NodeId other, float distance) const {
    return distance <= rounding_ ||
           (compares_ && near(distance, own_) && space_.same_vector(node_, other));
  }

 private:
  const Space& space_;
  NodeId node_;
  float rounding_;
  float own_;
  bool compares_;  // distances do not tell: inner products, zeros under cosine
};

// Of copies a node links to those that are first in an order of its own. Both ends of a link put it
// in the same place, so that who chooses a copy is mostly chosen by it; and different nodes choose
// different copies, so that no list overflows and a group hangs together.
std::uint64_t rank(NodeId a, NodeId b) {
  return mix64(std::uint64_t{std::max(a, b).index} << 32 | std::min(a, b).index);
}

// Moves those `most` of `copies` that are first for `node` to the front.
void rank_copies(NodeId node, std::size_t most, std::vector<NodeId>& copies) {
  const auto end = copies.begin() + static_cast<std::ptrdiff_t>(std::min(most, copies.size()));
  std::partial_sort(copies.begin(), end, copies.end(),
                    [&](NodeId a, NodeId b) { return rank(node, a) < rank(node, b); });
}

// Of the links of a node a quarter may be copies of it.
std::size_t most_copies(std::size_t max) { return std::max<std::size_t>(1, max / 4); }

// Of so many copies of a neighbor one more is linked where there is room. A search fills its window
// with them when they are many, and comes on only by what is linked with one of those.
constexpr std::size_t kCopiesPerLink = 8;

// To what lies so many times as far as a neighbor (as distances are measured: 16 times as far),
// node and neighbor lead alike. Not relaxed there, selection leaves that link to the one of them
// that is nearer. So the members of a tight group lead to different ones of the other groups, where
// otherwise all would lead to the same few.
constexpr float kFar = 256.0f;

// Moves the copies of `node`, as many as it may have, from the candidates to the selection. Returns
// the other candidates.
std::span<Candidate> select_copies(const Space& space, NodeId node, std::size_t max,
                                   std::span<Candidate> candidates, QueryBuffer& buffer,
                                   std::vector<NodeId>& selected) {
  const Query query = space.prepare(node, buffer);
  float own = 0;
  space.distances(query, &node, 1, &own);
  const Copies copies(space, node, own);
  std::size_t left = 0;
  for (const Candidate candidate : candidates) {
    if (copies.contain(candidate.node, candidate.distance)) {
      selected.push_back(candidate.node);
    } else {
      candidates[left++] = candidate;
    }
  }
  rank_copies(node, most_copies(max), selected);
  // All lead to the first of those that they know: ties go to small keys, if these came first.
  const auto least = std::min_element(selected.begin(), selected.end());
  if (least != selected.end()) std::iter_swap(selected.begin(), least);
  if (selected.size() > most_copies(max)) selected.resize(most_copies(max));
  return candidates.first(left);
}

}  // namespace

std::span<const float> distances_from(const Space& space, NodeId node,
                                      std::span<const NodeId> nodes, DistanceScratch& scratch) {
  scratch.distances.resize(nodes.size());
  const Query query = space.prepare(node, scratch.query);
  space.distances(query, nodes.data(), nodes.size(), scratch.distances.data());
  return scratch.distances;
}

std::size_t nearest(const Space& space, NodeId node, std::span<const NodeId> nodes,
                    DistanceScratch& scratch) {
  const std::span<const float> distances = distances_from(space, node, nodes, scratch);
  const auto least = std::min_element(distances.begin(), distances.end());
  return static_cast<std::size_t>(least - distances.begin());
}

std::span<Candidate> rank_by_distance(const Space& space, NodeId node,
                                      std::span<const NodeId> nodes, std::vector<Candidate>& list,
                                      DistanceScratch& scratch) {
  const std::span<const float> distances = distances_from(space, node, nodes, scratch);
  list.clear();
  for (std::size_t i = 0; i < nodes.size(); ++i) list.push_back({nodes[i], distances[i]});
  std::sort(list.begin(), list.end());
  return list;
}

std::span<const NodeId> select_neighbors(const Space& space, NodeId node,
                                         std::span<Candidate> candidates, std::size_t max,
                                         float alpha, SelectionScratch& scratch) {
  auto& [distances, buffer] = scratch.distances;
  std::vector<NodeId>& ids = scratch.ids;
  std::vector<NodeId>& equal = scratch.equal;
  std::vector<NodeId>& selected = scratch.selected;
  selected.clear();
  scratch.more.clear();
  ids.resize(candidates.size());
  distances.resize(candidates.size());
  std::span<Candidate> remaining = select_copies(space, node, max, candidates, buffer, selected);
  // Each neighbor that is kept is compared with all candidates that are left in one list: the same
  // number of distances as comparing each candidate with all that were kept, but the query stays in
  // registers.
  while (!remaining.empty() && selected.size() < max) {
    const NodeId kept = remaining.front().node;
    const float far = kFar * remaining.front().distance;
    const std::size_t n = remaining.size();
    for (std::size_t i = 0; i < n; ++i) ids[i] = remaining[i].node;
    const Query query = space.prepare(kept, buffer);
    space.distances(query, ids.data(), n, distances.data());
    // The kept one comes first in its own list: distances[0] is what its copies have.
    const Copies copies(space, kept, distances[0]);
    equal.assign(1, kept);
    std::size_t left = 0;
    for (std::size_t i = 1; i < n; ++i) {
      const Candidate candidate = remaining[i];
      const float distance = distances[i];
      if (copies.contain(candidate.node, distance)) {
        equal.push_back(candidate.node);
      } else if ((candidate.distance < far ? alpha : 1.0f) * distance >= candidate.distance) {
        remaining[left++] = candidate;
      }
    }
    remaining = remaining.first(left);
    const std::size_t more = equal.size() / kCopiesPerLink;
    rank_copies(node, 1 + more, equal);
    selected.push_back(equal.front());
    for (std::size_t i = 1; i <= more; ++i) scratch.more.push_back(equal[i]);
  }
  const std::size_t room = std::min(max - selected.size(), scratch.more.size());
  for (std::size_t i = 0; i < room; ++i) selected.push_back(scratch.more[i]);
  return selected;
}

}  // namespace cairn
