// SPDX-License-Identifier: Apache-2.0
//
// A pool that notes all that it is given, and passes it on; and the admission policy that makes it.
//
// Thread-safety: none.
#pragma once

#include <cstddef>
#include <utility>

#include "engine/graph/met.h"
#include "engine/search/search_layer.h"

namespace cairn {

template <class Pool>
class NotingPool {
 public:
  // Both outlive this.
  NotingPool(Pool& pool, Met& met) : pool_(pool), met_(met) {}

  void insert(const simd::KernelTable& kernels, const NodeId* ids, const float* distances,
              std::size_t n) {
    met_.add(ids, distances, n);
    pool_.insert(kernels, ids, distances, n);
  }

  NodeId pop() { return pool_.pop(); }
  NodeId pop_early() { return pool_.pop_early(); }
  NodeId peek() { return pool_.peek(); }
  bool has_within(float distance) const { return pool_.has_within(distance); }

 private:
  Pool& pool_;
  Met& met_;
};

template <class Inner>
struct AdmitNoted {
  const Inner& inner;
  Met& met;

  template <class Search>
  void walk(WalkState& state, Search&& search) const {
    inner.walk(state, [&](auto& pool) {
      NotingPool noting(pool, met);
      search(noting);
    });
  }
};
template <class Inner>
AdmitNoted(const Inner&, Met&) -> AdmitNoted<Inner>;

}  // namespace cairn
