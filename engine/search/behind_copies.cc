// SPDX-License-Identifier: Apache-2.0
#include "engine/search/behind_copies.h"

#include <algorithm>
#include <array>
#include <limits>
#include <span>

#include "engine/search/walk.h"

namespace cairn {

namespace {

// The distance of the k-th of the nodes in scratch.more, or of the last of fewer.
float distance_of_kth(const Space& space, const Query& query, std::size_t k,
                      SearchScratch& scratch) {
  const std::size_t n = scratch.effort.take_rows(scratch.more.size());
  if (n == 0) return -std::numeric_limits<float>::infinity();
  scratch.make_room(n);
  space.distances(query, scratch.more.data(), n, scratch.distances.data());
  const auto begin = scratch.distances.begin();
  const auto kth = begin + static_cast<std::ptrdiff_t>(std::min(k, n) - 1);
  std::nth_element(begin, kth, begin + static_cast<std::ptrdiff_t>(n));
  return *kth;
}

// Whether the walk has met what is nearer than that; after one on vectors, what was not known
// besides. scratch.more is sorted.
bool has_met_nearer(float distance, Query::Kind before, const SearchScratch& scratch) {
  const NeighborPool& pool = scratch.pool;
  if (before == Query::Kind::code) return pool.size() > 0 && pool.distance(0) < distance;
  for (std::size_t i = 0; i < pool.size() && pool.distance(i) < distance; ++i) {
    if (!std::binary_search(scratch.more.begin(), scratch.more.end(), pool.id(i))) return true;
  }
  return false;
}

void add_candidates(const Space& space, const Query& query, std::size_t k, const SlotSet* slots,
                    SearchScratch& scratch) {
  const std::size_t count = candidates_of_pool(space, query, k, slots, scratch).count;
  const auto ids = scratch.ids.begin();
  scratch.more.insert(scratch.more.end(), ids, ids + static_cast<std::ptrdiff_t>(count));
}

}  // namespace

bool is_cut_by_copies(const Space& space, const Query& query, std::size_t k, std::size_t ef,
                      const SearchScratch& scratch) {
  const NeighborPool& pool = scratch.pool;
  if (is_full_of_copies(space, pool, ef)) return true;
  if (query.kind != Query::Kind::code || !pool.is_full() || pool.size() <= k) return false;
  return pool.distance(k - 1) == pool.distance(pool.size() - 1);
}

std::size_t find_behind_copies(const Space& on_vectors, const Query& query, Query::Kind before,
                               std::size_t k, std::size_t ef, std::size_t found,
                               const SlotSet* slots, SearchScratch& scratch) {
  constexpr std::size_t kEntries = 16;
  const GraphView& graph = on_vectors.view();
  std::vector<NodeId>& more = scratch.more;
  more.assign(scratch.ids.begin(), scratch.ids.begin() + static_cast<std::ptrdiff_t>(found));
  std::sort(more.begin(), more.end());
  const float kth = distance_of_kth(on_vectors, query, k, scratch);
  walk_for_few(on_vectors, query, ef, slots, scratch);
  const bool is_nearer = has_met_nearer(kth, before, scratch);
  add_candidates(on_vectors, query, k, slots, scratch);
  if (is_nearer && !scratch.effort.is_walked_out()) {
    std::array<Nearest, kEntries> entries;
    const std::size_t n = std::min(kEntries, scratch.pool.size());
    for (std::size_t i = 0; i < n; ++i) entries[i] = {scratch.pool.id(i), scratch.pool.distance(i)};
    with_admission(graph, slots, ef, [&](const auto& admission) {
      search_from(on_vectors, query, 0, std::span<const Nearest>(entries.data(), n), ef, ef,
                  admission, scratch);
    });
    add_candidates(on_vectors, query, k, slots, scratch);
  }
  std::sort(more.begin(), more.end());
  more.erase(std::unique(more.begin(), more.end()), more.end());
  scratch.make_room(more.size());
  std::copy(more.begin(), more.end(), scratch.ids.begin());
  return more.size();
}

void walk_for_few(const Space& space, const Query& query, std::size_t ef, const SlotSet* slots,
                  SearchScratch& scratch) {
  const GraphView& graph = space.view();
  if (slots == nullptr) {
    walk(space, query, ef, ef, AdmitFew<AdmitLive>{{graph, ef}, few_of(ef)}, scratch);
  } else {
    walk_among(*slots, space, query, ef, ef,
               AdmitFew<AdmitPassing>{{graph, *slots, ef}, few_of(ef)}, scratch);
  }
}

}  // namespace cairn
