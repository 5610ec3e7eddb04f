// SPDX-License-Identifier: Apache-2.0
#include "engine/graph/select_neighbors.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <functional>
#include <numeric>

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

// Moves those `most` of `copies` that are first for `node` to the front.
void rank_copies(NodeId node, std::size_t most, std::vector<NodeId>& copies) {
  const auto end = copies.begin() + static_cast<std::ptrdiff_t>(std::min(most, copies.size()));
  std::partial_sort(copies.begin(), end, copies.end(), [&](NodeId a, NodeId b) {
    return rank_of_link(node, a) < rank_of_link(node, b);
  });
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

std::uint64_t rank_of_link(NodeId a, NodeId b) {
  return mix64(std::uint64_t{std::max(a, b).index} << 32 | std::min(a, b).index);
}

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

std::span<Candidate> rank_on_vectors(const Space& space, NodeId node, std::vector<Candidate>& list,
                                     DistanceScratch& scratch, std::vector<NodeId>& ids) {
  const Query query = space.prepare(node, scratch.query);
  const auto is_of_codes = [&](const Candidate& one) {
    return space.is_of_codes(query, one.node, one.distance);
  };
  const auto of_codes = std::partition(list.begin(), list.end(), std::not_fn(is_of_codes));
  ids.clear();
  for (auto one = of_codes; one != list.end(); ++one) ids.push_back(one->node);
  if (!ids.empty()) {
    const auto distances = distances_from(space.on_vectors(), node, ids, scratch);
    for (std::size_t i = 0; i < ids.size(); ++i)
      of_codes[static_cast<std::ptrdiff_t>(i)].distance = distances[i];
  }
  std::sort(list.begin(), list.end());
  return list;
}

namespace {

// Compares a neighbor that is kept, the first of `nodes`, with all candidates that are left.
class ByDistances {
 public:
  ByDistances(const Space& space, SelectionScratch& scratch) : space_(space), scratch_(scratch) {}

  void measure(std::span<const NodeId> nodes) {
    auto& [distances, buffer] = scratch_.distances;
    const Query query = space_.prepare(nodes[0], buffer);
    space_.distances(query, nodes.data(), nodes.size(), distances.data());
  }
  void keep(std::size_t, std::size_t) {}

 private:
  const Space& space_;
  SelectionScratch& scratch_;
};

// The same on residuals, whose codes cost as much as comparing each candidate with a few on its
// vector. So it begins on the vectors: the first neighbors may leave little to compare, as they do
// on a line. Where the first leaves nearly all, others will as well.
class ByResiduals {
 public:
  ByResiduals(const Space& on_vectors, const format::Parameters& parameters, NodeId node,
              std::span<const NodeId> coded, SelectionScratch& scratch)
      : by_distances_(on_vectors, scratch),
        space_(on_vectors),
        parameters_(parameters),
        node_(node),
        coded_(coded),
        scratch_(scratch) {}

  void measure(std::span<const NodeId> nodes) {
    if (measured_ == 0) first_ = nodes.size();
    const bool leaves_nearly_all = measured_ == 1 && 8 * nodes.size() >= 7 * first_;
    if (!coded_.empty() || leaves_nearly_all) measured_ = std::max(measured_, kOnVectors);
    if (measured_ < kOnVectors) by_distances_.measure(nodes);
    if (measured_ == kOnVectors) place(nodes);
    if (measured_ >= kOnVectors) {
      auto& [distances, buffer] = scratch_.distances;
      scratch_.residuals.distances(nodes, {scratch_.places.data(), nodes.size()}, buffer,
                                   distances.data());
    }
    ++measured_;
  }
  // The i-th that is left becomes the one at `to`.
  void keep(std::size_t i, std::size_t to) {
    if (measured_ > kOnVectors) scratch_.places[to] = scratch_.places[i];
  }

 private:
  static constexpr int kOnVectors = 2;  // neighbors

  // Codes the nodes, or finds their codes.
  void place(std::span<const NodeId> nodes) {
    std::vector<std::uint32_t>& places = scratch_.places;
    places.resize(nodes.size());
    std::iota(places.begin(), places.end(), 0u);
    if (coded_.empty()) return scratch_.residuals.assign(space_, parameters_, node_, nodes);
    for (std::size_t i = 0; i < nodes.size(); ++i) {
      const auto at = std::find(coded_.begin(), coded_.end(), nodes[i]);
      places[i] = static_cast<std::uint32_t>(at - coded_.begin());
    }
  }

  ByDistances by_distances_;
  const Space& space_;
  const format::Parameters& parameters_;
  NodeId node_;
  std::span<const NodeId> coded_;  // before the selection began
  SelectionScratch& scratch_;
  std::size_t first_ = 0;  // how many the first was compared with
  int measured_ = 0;
};

// `remaining` are the candidates but for copies of the node, of which scratch.selected has some.
template <class Compare>
std::span<const NodeId> select_among(const Space& space, NodeId node,
                                     std::span<Candidate> remaining, std::size_t max, float alpha,
                                     SelectionScratch& scratch, Compare&& compare) {
  std::vector<float>& distances = scratch.distances.distances;
  std::vector<NodeId>& ids = scratch.ids;
  std::vector<NodeId>& equal = scratch.equal;
  std::vector<NodeId>& selected = scratch.selected;
  scratch.more.clear();
  ids.resize(remaining.size());
  distances.resize(remaining.size());
  // Each neighbor that is kept is compared with all candidates that are left in one list: the same
  // number of distances as comparing each candidate with all that were kept, but the query stays in
  // registers.
  while (!remaining.empty() && selected.size() < max) {
    const NodeId kept = remaining.front().node;
    const float far = kFar * remaining.front().distance;
    const std::size_t n = remaining.size();
    for (std::size_t i = 0; i < n; ++i) ids[i] = remaining[i].node;
    compare.measure({ids.data(), n});
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
        compare.keep(i, left);
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

}  // namespace

std::span<const NodeId> select_neighbors(const Space& space, NodeId node,
                                         std::span<Candidate> candidates, std::size_t max,
                                         float alpha, SelectionScratch& scratch) {
  scratch.selected.clear();
  const std::span<Candidate> others =
      select_copies(space, node, max, candidates, scratch.distances.query, scratch.selected);
  return select_among(space, node, others, max, alpha, scratch, ByDistances(space, scratch));
}

std::span<Candidate> rank_near_copies(const Space& on_vectors, const format::Parameters& parameters,
                                      NodeId node, std::span<const NodeId> nodes,
                                      std::vector<Candidate>& list, SelectionScratch& scratch) {
  scratch.residuals.assign(on_vectors, parameters, node, nodes);
  list.clear();
  Query query{};
  for (std::size_t i = 0; i < nodes.size(); ++i) {
    list.push_back({nodes[i], scratch.residuals.distance(i)});
    float& distance = list.back().distance;
    if (!std::isnan(distance)) continue;
    query = on_vectors.prepare(node, scratch.distances.query);
    on_vectors.distances(query, &nodes[i], 1, &distance);
  }
  std::sort(list.begin(), list.end());
  return list;
}

std::span<const NodeId> select_near_copies(const Space& on_vectors,
                                           const format::Parameters& parameters, NodeId node,
                                           std::span<Candidate> candidates, std::size_t max,
                                           float alpha, SelectionScratch& scratch,
                                           std::span<const NodeId> coded) {
  if (!Residuals::suit(parameters)) {
    return select_neighbors(on_vectors, node, candidates, max, alpha, scratch);
  }
  scratch.selected.clear();
  const std::span<Candidate> others =
      select_copies(on_vectors, node, max, candidates, scratch.distances.query, scratch.selected);
  return select_among(on_vectors, node, others, max, alpha, scratch,
                      ByResiduals(on_vectors, parameters, node, coded, scratch));
}

}  // namespace cairn
