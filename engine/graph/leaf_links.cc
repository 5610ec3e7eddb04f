// SPDX-License-Identifier: Apache-2.0
#include "engine/graph/leaf_links.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "simd/kernels.h"

namespace cairn {

namespace {

// Of the nearest to a node in a leaf so many are looked at, and those of them are kept that
// selection would take, up to kPerLeaf. If they are fewer than kFew, all are looked at.
constexpr std::size_t kLooked = 8;
constexpr std::size_t kPerLeaf = 4;
constexpr std::size_t kFew = 2;
// One of m nodes, those of higher levels, looks at all, so that groups hang together.
constexpr std::size_t kPerLeafFar = 16;

// Pairs are merged by the shard of their first node, each by one worker.
constexpr std::size_t kPairShards = 128;

// Of the time that linking takes, as progress tells it.
constexpr double kShareOfLeaves = 0.7;

// Groups that are carved before their pairs are merged hold so many nodes together.
constexpr std::size_t kNodesPerRound = 1 << 18;

}  // namespace

LeafLinker::LeafLinker(NodeStore& store, const GraphView& view, Linker& linker, Workers& workers,
                       std::vector<LinkScratch>& scratch)
    : store_(store),
      view_(view),
      linker_(linker),
      workers_(workers),
      scratch_(scratch),
      space_(store.parameters(), view),
      carver_(space_, store.parameters().seed),
      leaf_scratch_(workers.size()) {}

// The first carving, in parallel: each node goes to some of up to a thousand leaders.
std::vector<Grove> LeafLinker::plant(std::span<const NodeId> nodes) {
  const Carver::Leaders leaders = carver_.leaders(nodes, 0, 0);
  const std::size_t fanout = Carver::fanout(0, leaders.nodes.size());
  std::vector<std::uint32_t> places(nodes.size() * fanout);
  workers_.run(
      nodes.size(), 32 * simd::kTileRows, [&](unsigned worker, std::size_t begin, std::size_t end) {
        auto to = places.begin() + static_cast<std::ptrdiff_t>(begin * fanout);
        carver_.nearest_leaders(nodes.subspan(begin, end - begin), leaders, fanout,
                                leaf_scratch_[worker].carving,
                                [&](std::size_t, std::uint32_t leader) { *to++ = leader; });
      });
  std::vector<Grove> groves(leaders.nodes.size());
  for (std::size_t i = 0; i < groves.size(); ++i) groves[i] = {{}, i + 1, 1};
  for (std::size_t i = 0; i < places.size(); ++i)
    groves[places[i]].nodes.push_back(nodes[i / fanout]);
  return carver_.join_small(std::move(groves));
}

// matrix[i][j] is the distance between nodes i and j of the leaf, taken from the smaller number.
void LeafLinker::compare_all(std::span<const NodeId> leaf, LeafScratch& scratch) {
  const std::size_t n = leaf.size();
  const std::size_t stride =
      (n + simd::kPanelColumns - 1) / simd::kPanelColumns * simd::kPanelColumns;
  scratch.stride = stride;
  scratch.matrix.resize(n * stride);
  float* matrix = scratch.matrix.data();
  if (space_.traverses_codes()) {
    compare_on_codes(leaf, scratch);
  } else {
    for (std::size_t j = 0; j + 1 < n; ++j) {
      const Query query = space_.prepare(leaf[j], scratch.carving.query);
      scratch.carving.closer.resize(n);
      space_.distances(query, leaf.data() + j + 1, n - j - 1, scratch.carving.closer.data());
      for (std::size_t i = j + 1; i < n; ++i) {
        matrix[i * stride + j] = scratch.carving.closer[i - j - 1];
      }
    }
  }
  constexpr std::size_t kSide = 32;  // of a block whose rows stay in the first cache
  for (std::size_t low = 0; low < n; low += kSide) {
    for (std::size_t i = low; i < n; ++i) {
      const std::size_t end = std::min(low + kSide, i);
      for (std::size_t j = low; j < end; ++j) matrix[j * stride + i] = matrix[i * stride + j];
    }
  }
  for (std::size_t i = 0; i < n; ++i) matrix[i * stride + i] = 0;
}

// The part of the matrix below its diagonal.
void LeafLinker::compare_on_codes(std::span<const NodeId> leaf, LeafScratch& scratch) {
  const std::size_t n = leaf.size();
  scratch.panels.reset(space_, n);
  for (std::size_t j = 0; j < n; ++j) {
    scratch.panels.set(j, space_.prepare(leaf[j], scratch.carving.query));
  }
  scratch.panels.pack();
  scratch.unsure.clear();
  NodeTile& tile = scratch.carving.tile;
  for (std::size_t first = 0; first < n; first += simd::kTileRows) {
    const std::size_t count = std::min(simd::kTileRows, n - first);
    tile.set(space_, leaf.subspan(first, count));
    for (std::size_t column = 0; column + 1 < first + count; column += simd::kPanelColumns) {
      tile.score(scratch.panels, column / simd::kPanelColumns,
                 scratch.matrix.data() + first * scratch.stride + column, scratch.stride,
                 [&](std::size_t i, std::size_t j) {
                   if (column + j >= first + i) return;
                   scratch.unsure.emplace_back(column + j, first + i);
                 });
    }
  }
  look_closer(leaf, scratch);
}

void LeafLinker::look_closer(std::span<const NodeId> leaf, LeafScratch& scratch) {
  std::sort(scratch.unsure.begin(), scratch.unsure.end());
  std::vector<float>& distances = scratch.carving.closer;
  for (std::size_t begin = 0; begin < scratch.unsure.size();) {
    const std::uint32_t j = scratch.unsure[begin].first;
    scratch.asked.clear();
    std::size_t end = begin;
    for (; end < scratch.unsure.size() && scratch.unsure[end].first == j; ++end) {
      scratch.asked.push_back(leaf[scratch.unsure[end].second]);
    }
    distances.resize(scratch.asked.size());
    const Query query = space_.prepare(leaf[j], scratch.carving.query);
    space_.distances(query, scratch.asked.data(), scratch.asked.size(), distances.data());
    for (std::size_t at = begin; at < end; ++at) {
      scratch.matrix[scratch.unsure[at].second * scratch.stride + j] = distances[at - begin];
    }
    begin = end;
  }
}

// scratch.kept := of the kLooked nearest to node i of the leaf those that selection would take, at
// most kPerLeaf.
void LeafLinker::keep_of_nearest(std::size_t i, std::span<const float> distances,
                                 LeafScratch& scratch) const {
  constexpr std::size_t kNearest = kLooked + 1;  // the node itself is one
  static_assert(kNearest <= simd::kMostFew);
  const simd::KernelTable& kernels = simd::kernels();
  scratch.few.resize(distances.size());
  const std::size_t count =
      kernels.nearest_few(distances.data(), distances.size(), kNearest, scratch.few.data());
  scratch.few_distances.resize(count);
  for (std::size_t f = 0; f < count; ++f) scratch.few_distances[f] = distances[scratch.few[f]];
  NeighborPool& near = scratch.near;
  near.reset(kNearest, kNearest);
  near.insert(kernels, scratch.few.data(), scratch.few_distances.data(), count);
  const float alpha = linker_.alpha();
  scratch.kept.clear();
  for (std::size_t k = 0; k < near.size() && scratch.kept.size() < kPerLeaf; ++k) {
    const std::uint32_t c = near.id(k).index;
    if (c == i) continue;
    const auto occludes = [&](std::uint32_t s) {
      return alpha * scratch.matrix[s * scratch.stride + c] <= near.distance(k);
    };
    if (std::none_of(scratch.kept.begin(), scratch.kept.end(), occludes)) scratch.kept.push_back(c);
  }
}

// The same of all in the leaf, at most `most`.
void LeafLinker::keep_of_all(std::size_t i, std::size_t most, std::span<const float> distances,
                             LeafScratch& scratch) const {
  const simd::KernelTable& kernels = simd::kernels();
  constexpr float kGone = std::numeric_limits<float>::infinity();
  std::vector<float>& left = scratch.left;
  left.assign(scratch.stride, kGone);
  std::copy(distances.begin(), distances.end(), left.begin());
  left[i] = kGone;
  scratch.kept.clear();
  std::size_t from = i;
  float alpha = kGone;
  while (scratch.kept.size() < most) {
    const float* row = scratch.matrix.data() + from * scratch.stride;
    from = kernels.next_diverse(left.data(), row, alpha, scratch.stride);
    if (from == scratch.stride) return;
    alpha = linker_.alpha();
    scratch.kept.push_back(static_cast<std::uint32_t>(from));
    left[from] = kGone;
  }
}

// What each node of the leaf would select from the nearest of the others, in both directions.
void LeafLinker::choose_pairs(std::span<const NodeId> leaf, LeafScratch& scratch) {
  const std::size_t n = leaf.size();
  compare_all(leaf, scratch);
  for (std::size_t i = 0; i < n; ++i) {
    const std::span<const float> row(scratch.matrix.data() + i * scratch.stride, n);
    if (view_.level(leaf[i]) > 0) {
      keep_of_all(i, kPerLeafFar, row, scratch);
    } else {
      keep_of_nearest(i, row, scratch);
      // Those nearest to a node of a tight group occlude each other.
      if (scratch.kept.size() < kFew) keep_of_all(i, kPerLeaf, row, scratch);
    }
    for (const std::uint32_t c : scratch.kept) {
      scratch.pairs[leaf[i].index % kPairShards].push_back({leaf[i], leaf[c], row[c]});
      scratch.pairs[leaf[c].index % kPairShards].push_back({leaf[c], leaf[i], row[c]});
    }
  }
}

// Which pairs stay does not depend on their order: what falls out is farther than all that stay.
void LeafLinker::keep(const Pair& pair) {
  Candidate* list = kept_.data() + std::size_t{pair.node.index} * kKept;
  std::uint8_t& count = kept_count_[pair.node.index];
  const Candidate wanted{pair.neighbor, pair.distance};
  if (count == kKept && !(wanted < list[kKept - 1])) return;
  Candidate* const place = std::lower_bound(list, list + count, wanted);
  if (place != list + count && place->node == wanted.node) return;
  Candidate* const end = list + (count == kKept ? kKept - 1 : count);
  std::move_backward(place, end, end + 1);
  *place = wanted;
  if (count < kKept) ++count;
}

void LeafLinker::merge(std::size_t shard) {
  for (LeafScratch& scratch : leaf_scratch_) {
    for (const Pair& pair : scratch.pairs[shard]) keep(pair);
    scratch.pairs[shard].clear();
  }
}

// From what the leaves have shown a node, and from its neighbors among the fewer nodes of the
// levels above, which lead farther.
void LeafLinker::select(NodeId node, LinkScratch& scratch) {
  const std::span<const Candidate> shown = candidates_of(node);
  scratch.candidates.assign(shown.begin(), shown.end());
  scratch.before.clear();
  for (std::uint32_t level = 1; level <= view_.level(node); ++level) {
    for (const NodeId other : view_.links_on(node, level)) scratch.before.push_back(other);
  }
  if (!scratch.before.empty()) {
    const auto distances =
        distances_from(space_, node, scratch.before, scratch.selection.distances);
    for (std::size_t i = 0; i < scratch.before.size(); ++i) {
      scratch.candidates.push_back({scratch.before[i], distances[i]});
    }
    std::sort(scratch.candidates.begin(), scratch.candidates.end());
    const auto same = [](const Candidate& a, const Candidate& b) { return a.node == b.node; };
    scratch.candidates.erase(
        std::unique(scratch.candidates.begin(), scratch.candidates.end(), same),
        scratch.candidates.end());
  }
  const std::size_t most = shrunk(linker_.list_capacity(0));
  const auto selected = linker_.select(space_, node, scratch.candidates, most, scratch);
  scratch.kept.assign(selected.begin(), selected.end());
  fill_up(node, most, scratch);
  store_.set_links(node, 0, scratch.kept);
}

// A list that selection leaves half empty costs more hops than its links save distances. So the
// nearest of those that others occlude follow, but no copies.
void LeafLinker::fill_up(NodeId node, std::size_t most, LinkScratch& scratch) const {
  std::vector<NodeId>& list = scratch.kept;
  const float copies = space_.rounding();
  for (const Candidate& candidate : candidates_of(node)) {
    if (list.size() >= most) return;
    if (candidate.distance <= copies) continue;
    if (std::find(list.begin(), list.end(), candidate.node) != list.end()) continue;
    list.push_back(candidate.node);
  }
}

Result<void> LeafLinker::link(std::span<const NodeId> nodes, const Step& step) {
  kept_.resize(std::size_t{view_.count} * kKept);
  kept_count_.assign(view_.count, 0);
  for (LeafScratch& scratch : leaf_scratch_) scratch.pairs.resize(kPairShards);
  std::vector<Grove> groves = plant(nodes);
  for (std::size_t begin = 0; begin < groves.size();) {
    if (auto ok =
            step(kShareOfLeaves * static_cast<double>(begin) / static_cast<double>(groves.size()));
        !ok)
      return ok;
    std::size_t end = begin;
    for (std::size_t size = 0; end < groves.size() && size < kNodesPerRound; ++end) {
      size += groves[end].nodes.size();
    }
    workers_.run(end - begin, 1, [&](unsigned worker, std::size_t first, std::size_t last) {
      LeafScratch& scratch = leaf_scratch_[worker];
      for (std::size_t i = first; i < last; ++i) {
        carver_.carve(std::move(groves[begin + i]), scratch.carving,
                      [&](std::vector<NodeId>& leaf) { choose_pairs(leaf, scratch); });
      }
    });
    workers_.run(kPairShards, 1, [&](unsigned, std::size_t first, std::size_t last) {
      for (std::size_t shard = first; shard < last; ++shard) merge(shard);
    });
    begin = end;
  }
  constexpr std::size_t kAtOnce = 1 << 16;
  for (std::size_t begin = 0; begin < nodes.size(); begin += kAtOnce) {
    if (auto ok = step(kShareOfLeaves + (1 - kShareOfLeaves) * static_cast<double>(begin) /
                                            static_cast<double>(nodes.size()));
        !ok)
      return ok;
    const std::size_t size = std::min(kAtOnce, nodes.size() - begin);
    workers_.run(size, 64, [&](unsigned worker, std::size_t first, std::size_t last) {
      for (std::size_t i = first; i < last; ++i) select(nodes[begin + i], scratch_[worker]);
    });
  }
  return {};
}

}  // namespace cairn
