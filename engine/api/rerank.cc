// SPDX-License-Identifier: Apache-2.0
#include "engine/api/rerank.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "engine/vectors/components.h"

namespace cairn {

namespace {

std::ptrdiff_t signed_of(std::size_t n) { return static_cast<std::ptrdiff_t>(n); }

// The caller's distance of a node of the view, of which `key` has not changed; false: it could not
// be read.
bool ask(const IndexState& state, const GraphView& view, const OwnMetric& metric, Key key,
         NodeId node, SearchScratch& scratch, double& distance) {
  const std::size_t dims = state.params.dimensions;
  const Scalar scalar = state.params.scalar;
  scratch.vector.resize(vector_bytes(scalar, dims));
  const bool is_readable = state.survives(
      view, [&] { std::memcpy(scratch.vector.data(), view.vector(node), scratch.vector.size()); });
  if (!is_readable) return false;
  const float value = metric(key, view_of(scalar, scratch.vector.data(), dims));
  distance = std::isnan(value) ? std::numeric_limits<double>::infinity() : double{value};
  return true;
}

// The least distance of all vectors of the key of `one`; its node is left as it is where the key
// has been removed: `is_there` tells.
bool ask_of_key(const IndexState& state, const OwnMetric& metric, PageUse& use,
                SearchScratch& scratch, Ranked& one, bool& is_there) {
  GraphView view{};
  PageUse own;
  if (!state.find_all(one.key, scratch.of_key, &view, &own)) return false;
  is_there = !scratch.of_key.empty();
  if (own.checks()) own.read_vectors(scratch.of_key.data(), scratch.of_key.size());
  use.note(own.bad());
  one.distance = std::numeric_limits<double>::infinity();
  for (const NodeId node : scratch.of_key) {
    double distance = 0;
    if (!ask(state, view, metric, one.key, node, scratch, distance)) return false;
    one.distance = std::min(one.distance, distance);
  }
  return true;
}

}  // namespace

bool rerank(const IndexState& state, const GraphView& view, const OwnMetric& metric, PageUse& use,
            SearchScratch& scratch, std::size_t& found) {
  std::vector<Ranked>& matches = scratch.matches;
  std::size_t kept = 0;
  for (std::size_t i = 0; i < found; ++i) {
    Ranked one = matches[i];
    bool is_there = true;
    const bool is_readable =
        state.params.several_per_key
            ? ask_of_key(state, metric, use, scratch, one, is_there)
            : ask(state, view, metric, one.key, one.node, scratch, one.distance);
    if (!is_readable) return false;
    if (is_there) matches[kept++] = one;
  }
  found = kept;
  std::sort(matches.begin(), matches.begin() + signed_of(found), is_nearer);
  return true;
}

}  // namespace cairn
