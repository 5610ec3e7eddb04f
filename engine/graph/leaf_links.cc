// SPDX-License-Identifier: Apache-2.0
#include "engine/graph/leaf_links.h"

#include <algorithm>
#include <utility>

#include "simd/kernels.h"

namespace cairn {

namespace {

// Of the nearest to a node in a leaf so many are looked at, and those of them are kept that
// selection would take, up to kPerLeaf. If they are fewer than kFew, more are looked at.
constexpr std::size_t kLooked = 8;
constexpr std::size_t kPerLeaf = 4;
constexpr std::size_t kFew = 2;
// One of m nodes, those of higher levels, looks farther, so that groups hang together.
constexpr std::size_t kLookedFar = 256;
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
  const std::vector<NodeId> leaders = carver_.leaders(nodes, 0);
  const std::size_t fanout = Carver::fanout(0, leaders.size());
  std::vector<NodeId> places(nodes.size() * fanout);
  workers_.run(nodes.size(), 256, [&](unsigned worker, std::size_t begin, std::size_t end) {
    for (std::size_t i = begin; i < end; ++i) {
      const auto nearest =
          carver_.nearest_leaders(nodes[i], leaders, fanout, leaf_scratch_[worker].carving);
      std::copy(nearest.begin(), nearest.end(),
                places.begin() + static_cast<std::ptrdiff_t>(i * fanout));
    }
  });
  std::vector<Grove> groves(leaders.size());
  for (std::size_t i = 0; i < groves.size(); ++i) groves[i] = {{}, i + 1, 1};
  for (std::size_t i = 0; i < places.size(); ++i)
    groves[places[i]].nodes.push_back(nodes[i / fanout]);
  return carver_.join_small(std::move(groves));
}

// matrix[i][j] is the distance between nodes i and j of the leaf, taken from the smaller number.
void LeafLinker::compare_all(std::span<const NodeId> leaf, LeafScratch& scratch) {
  const std::size_t n = leaf.size();
  scratch.matrix.resize(n * n);
  float* matrix = scratch.matrix.data();
  for (std::size_t i = 0; i + 1 < n; ++i) {
    const Query query = space_.prepare(leaf[i], scratch.carving.query);
    space_.distances(query, leaf.data() + i + 1, n - i - 1, matrix + i * n + i + 1);
  }
  for (std::size_t i = 0; i < n; ++i) {
    matrix[i * n + i] = 0;
    for (std::size_t j = 0; j < i; ++j) matrix[i * n + j] = matrix[j * n + i];
  }
}

// Those of `near`, places in a leaf of n nodes, that selection would take for node i of it; at most
// `most`.
void LeafLinker::keep_diverse(std::size_t i, const NeighborPool& near, std::size_t n,
                              std::size_t most, LeafScratch& scratch) const {
  const float alpha = linker_.alpha();
  scratch.kept.clear();
  for (std::size_t k = 0; k < near.size() && scratch.kept.size() < most; ++k) {
    const NodeId c = near.id(k);
    if (c == i) continue;
    const auto occludes = [&](std::uint32_t s) {
      return alpha * scratch.matrix[s * n + c] <= near.distance(k);
    };
    if (std::none_of(scratch.kept.begin(), scratch.kept.end(), occludes)) scratch.kept.push_back(c);
  }
}

// What each node of the leaf would select from the nearest of the others, in both directions.
void LeafLinker::choose_pairs(std::span<const NodeId> leaf, LeafScratch& scratch) {
  const std::size_t n = leaf.size();
  compare_all(leaf, scratch);
  scratch.places.resize(n);
  for (std::size_t i = 0; i < n; ++i) scratch.places[i] = static_cast<NodeId>(i);
  NeighborPool pool;
  const simd::KernelTable& kernels = simd::kernels();
  for (std::size_t i = 0; i < n; ++i) {
    const float* row = scratch.matrix.data() + i * n;
    // Those nearest to a node of a tight group occlude each other: then farther ones are looked at.
    const bool leads_far = view_.level(leaf[i]) > 0;
    for (std::size_t look = (leads_far ? kLookedFar : kLooked) + 1;; look *= 8) {
      pool.reset(look, look);
      pool.insert(kernels, scratch.places.data(), row, n);
      keep_diverse(i, pool, n, leads_far ? kPerLeafFar : kPerLeaf, scratch);
      if (scratch.kept.size() >= kFew || look >= n) break;
    }
    for (const std::uint32_t c : scratch.kept) {
      scratch.pairs[leaf[i] % kPairShards].push_back({leaf[i], leaf[c], row[c]});
      scratch.pairs[leaf[c] % kPairShards].push_back({leaf[c], leaf[i], row[c]});
    }
  }
}

// Which pairs stay does not depend on their order: what falls out is farther than all that stay.
void LeafLinker::keep(const Pair& pair) {
  Candidate* list = kept_.data() + std::size_t{pair.node} * kKept;
  std::uint8_t& count = kept_count_[pair.node];
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
