// SPDX-License-Identifier: Apache-2.0
#include "engine/shards/shard_merge.h"

#include <algorithm>
#include <bit>
#include <limits>

#include <cairn/convert.h>

#include "engine/base/hash.h"
#include "engine/vectors/components.h"
#include "engine/vectors/exact_distance.h"

namespace cairn {

void GivenKeys::begin(std::size_t most) {
  ++round_;
  size_ = 0;
  const std::size_t wanted = std::bit_ceil(std::max<std::size_t>(2 * most, 16));
  if (places_.size() < wanted) places_.assign(wanted, {});
}

bool GivenKeys::insert(Key key) {
  if (2 * (size_ + 1) > places_.size()) grow(2 * places_.size());
  const std::size_t mask = places_.size() - 1;
  for (std::size_t at = mix64(key) & mask;; at = (at + 1) & mask) {
    Place& place = places_[at];
    if (place.round != round_) {
      place = {key, round_};
      ++size_;
      return true;
    }
    if (place.key == key) return false;
  }
}

void GivenKeys::grow(std::size_t places) {
  std::vector<Place> old(places);
  old.swap(places_);
  size_ = 0;
  for (const Place& place : old) {
    if (place.round == round_) (void)insert(place.key);
  }
}

Merge::Merge(VectorView query, const IndexParams& params, bool reported, MergeScratch& scratch)
    : query_(query),
      params_(params),
      // Numbers of bits are exact.
      by_vectors_(reported && params.metric != Metric::hamming),
      scratch_(scratch) {}

std::optional<VectorView> Merge::vector_of(const Index& index, Key key) {
  scratch_.vector.resize(params_.dimensions);
  if (!index.get(key, scratch_.vector)) return std::nullopt;
  if (params_.scalar == Scalar::f32) {
    return view_of(Scalar::f32, scratch_.vector.data(), params_.dimensions);
  }
  scratch_.stored.resize(vector_bytes(params_.scalar, params_.dimensions));
  // Exact: they have been of that kind.
  if (!convert(scratch_.vector, params_.scalar, scratch_.stored)) return std::nullopt;
  return view_of(params_.scalar, scratch_.stored.data(), params_.dimensions);
}

std::optional<VectorView> Merge::vector_of(const Taken& taken) {
  return vector_of(*taken.index, taken.match.key);
}

double Merge::exact(const Index& index, Key key) {
  const auto vector = vector_of(index, key);
  if (!vector) return std::numeric_limits<double>::infinity();
  return exact_distance(params_.metric, {query_.scalar(), query_.data()}, -1,
                        {vector->scalar(), vector->data()}, params_.dimensions);
}

double Merge::exact(MatchList& list) {
  if (!list.exact) list.exact = exact(*list.index, list.left.front().key);
  return *list.exact;
}

bool Merge::is_nearer(MatchList& a, MatchList& b) {
  const Match& x = a.left.front();
  const Match& y = b.left.front();
  if (x.distance != y.distance) return x.distance < y.distance;
  if (by_vectors_) {
    const double left = exact(a);
    const double right = exact(b);
    if (left != right) return left < right;
  }
  return x.key < y.key;
}

std::optional<std::size_t> Merge::nearest() {
  std::optional<std::size_t> best;
  for (std::size_t i = 0; i < scratch_.lists.size(); ++i) {
    MatchList& list = scratch_.lists[i];
    if (list.left.empty()) continue;
    if (!best || is_nearer(list, scratch_.lists[*best])) best = i;
  }
  return best;
}

Match Merge::take(std::size_t list) {
  MatchList& from = scratch_.lists[list];
  const Match match = from.left.front();
  from.left = from.left.subspan(1);
  from.exact.reset();
  return match;
}

std::size_t Merge::take(std::span<Match> out) {
  std::size_t n = 0;
  while (n < out.size()) {
    const auto list = nearest();
    if (!list) break;
    const Match match = take(*list);
    if (scratch_.given.insert(match.key)) out[n++] = match;
  }
  return n;
}

void Merge::sort(std::span<Taken> taken) {
  std::stable_sort(taken.begin(), taken.end(), [](const Taken& a, const Taken& b) {
    return a.match.distance < b.match.distance;
  });
  for (std::size_t from = 0, to = 1; from < taken.size(); from = to++) {
    while (to < taken.size() && taken[to].match.distance == taken[from].match.distance) ++to;
    if (to - from == 1) continue;
    const std::span<Taken> equal = taken.subspan(from, to - from);
    for (Taken& one : equal) {
      one.exact = by_vectors_ ? exact(*one.index, one.match.key) : 0;
    }
    std::sort(equal.begin(), equal.end(), [](const Taken& a, const Taken& b) {
      return a.exact != b.exact ? a.exact < b.exact : a.match.key < b.match.key;
    });
  }
}

}  // namespace cairn
