// SPDX-License-Identifier: Apache-2.0
//
// Distances from one query to lists of nodes: metric and kind of code become kernels here, once a
// list and never once a neighbor. A smaller distance is nearer for every metric; NaN becomes
// +infinity, so that distances are ordered. For inner products they are -<q, v>: beside the 1 of
// the metric small ones would vanish.
//
// Thread-safety: a Space is a value; a Query borrows its vectors.
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "engine/store/graph_view.h"
#include "engine/store/page_use.h"
#include "engine/vectors/codec.h"
#include "engine/vectors/exact_distance.h"
#include "simd/kernels.h"

namespace cairn {

// Memory of a prepared query; one for each search that runs.
struct QueryBuffer {
  std::vector<float> floats;  // the query as f32, or normalised
  std::vector<std::int8_t> code;

  // So that preparing a query allocates nothing.
  void reserve(std::size_t dimensions) {
    floats.reserve(dimensions);
    code.reserve(dimensions);
  }
};

struct Query {
  enum class Kind {
    code,    // 8-bit code against 8-bit codes
    vector,  // f32 against the stored vectors
    wide,    // the same in double: norms that float cannot square, vectors that codes cannot hold
    bytes,   // i8 against i8, b1 against b1
  };
  Kind kind;
  simd::CodeQuery code;  // Kind::code
  const void* vector;
  Scalar scalar;     // of `vector`
  float scale;       // cosine: 1 / norm of `vector`
  Components given;  // as it was given or is stored
  double squares;    // cosine: squared norm of `given`, negative if not known
  float step;        // Kind::code: of the query's code, in the units of the distance
  float sure;        // Kind::code: distances of at least this are taken without a look at the row
};

// A distance on codes is taken if it is at least so many times what codes are off by (mean squares,
// summed over the components): docs/decisions/0017.
inline constexpr float kSignalToNoise = 64.0f;

// What lies so many times as far from a vector as its near copies do (as distances are measured: 16
// times as far) belongs to other groups than its own.
inline constexpr float kOtherGroup = 256.0f;

// Cosine distances of floats below this are computed anew from the difference of the directions:
// beside 1 they keep two digits. Below the second one so does that difference: in double. Of many
// components what these are off by adds up to less, and floats serve for longer.
inline constexpr float kNearlyParallel = 1e-4f;
inline float parallel_to_floats(std::size_t dims) { return dims < 256 ? 1e-10f : 2e-13f; }

class Space {
 public:
  Space(const format::Parameters& parameters, const GraphView& view);

  // A query for walking the graph. `vector` is well-formed, of the index's dimensions and kind or,
  // for f16 and bf16, f32; it and the buffer live as long as the Query.
  Query prepare(VectorView vector, QueryBuffer& buffer) const;
  // The same with a node of the graph as the query; `view` must know it.
  Query prepare(NodeId node, QueryBuffer& buffer) const;

  // Whether nodes have been asked for before, by the call before this one.
  enum class Asked { never, as_coming };

  // out[i] = distance of the query to ids[i]. If the traversal is by codes, it is that of the codes
  // where they tell the two vectors apart, and that of the vectors where they do not: where what
  // codes are off by is not small beside the distance (docs/decisions/0017). What is needed of
  // `coming`, which will probably be asked for next, is prefetched meanwhile. REQUIRES: ids and
  // coming < view.count
  void distances(const Query& query, const NodeId* ids, std::size_t n, float* out,
                 std::span<const NodeId> coming = {}, Asked asked_for = Asked::never) const;

  // Whether it gave that from the codes of the two, and not from their vectors.
  bool is_of_codes(const Query& query, NodeId node, float distance) const {
    return query.kind == Query::Kind::code && codes_tell_apart(query, node, distance);
  }

  // What that gives for nodes whose codes have been compared elsewhere: `out` holds the scores
  // (simd::KernelTable::score_tile) of those of a query of Kind::code.
  void finish_distances(const Query& query, const NodeId* ids, std::size_t n, float* out) const;

  // The same on the vectors as given, in double: what results are ranked by.
  void exact_distances(const Query& query, const NodeId* ids, std::size_t n, double* out) const;
  // The key of a node of the view.
  Key key(NodeId node) const {
    if (use_ != nullptr) use_->read_keys(&node, 1);
    return view_.key(node);
  }
  // Whether walks tell such a distance from others: not where squares or products have left the
  // range of floats, or most of their digits have.
  bool is_told_by_floats(double exact) const;
  // What a result at such a distance reports: rounded once.
  float reported(double exact) const { return cairn::reported(metric_, exact); }
  // The other way round: a reported distance as distances() gives it, but for rounding.
  float internal(float reported) const {
    return metric_ == Metric::inner_product ? static_cast<float>(double{reported} - 1.0) : reported;
  }

  // The mean squared error of `distance`, which distances() gave for such a query and `node`: on
  // codes, if rounding to them moves each component by up to half a step, evenly; else that of
  // floats. For inner products an upper bound.
  float variance(const Query& query, NodeId node, float distance) const;

  // For scans, of which the error of every distance must be known: the same query, or one whose
  // distances are computed in double.
  Query for_scan(Query query) const;
  // As variance(), and for inner products on codes what it is instead of an upper bound: computed
  // from the codes.
  float sharp_variance(const Query& query, NodeId node, float distance) const;
  bool has_sharp_variance() const { return metric_ == Metric::inner_product; }
  // No less than the variance of any distance up to this one, to nodes with steps up to `step`. Not
  // for inner products, of which that tells nothing. REQUIRES: Kind::code
  float largest_variance(const Query& query, float step, float distance) const;
  // distances() gives no more than this to any node that is as near as one at `distance`, but for
  // one whose error is beyond so many standard deviations.
  float reach(const Query& query, float distance, float deviations) const;

  // Up to here a distance may be that of an equal vector, or one that it cannot tell from it, for
  // rounding alone. Not for inner products, which are no distances.
  float rounding() const;

  // Whether the vectors as given are equal, byte for byte.
  bool same_vector(NodeId a, NodeId b) const;

  // Whether two nodes are too near to each other for codes to tell, whatever the metric makes of
  // that. False if one has no code.
  bool are_alike(NodeId a, NodeId b) const;

  // Whether a node is 256 times as far from zero as from another one, in squared distances.
  bool are_near_copies(NodeId a, NodeId b) const;
  // Whether two nodes, at such distances from a query, are near copies that lie far from it: 256
  // times nearer to each other than to it, as distances are measured.
  bool are_of_one_group(NodeId near, NodeId far, float near_distance, float far_distance) const;

  bool traverses_codes() const { return codes_; }
  bool walks_codes() const { return walks_codes_; }
  std::size_t dimensions() const { return dims_; }
  // For who reads codes by himself.
  void will_look_at(std::span<const NodeId> nodes) const {
    if (use_ != nullptr) use_->meet(nodes.data(), nodes.size());
  }

  // The same, walked on the vectors themselves.
  Space on_vectors() const;
  // Whether codes can order the nodes id(i), i < n, whose distances() from such a query are within
  // `range`. Always under metrics whose distances tell that pair by pair; inner products do not.
  template <class Id>
  bool resolves(const Query& query, std::size_t n, const Id& id, float range) const;
  // Whether codes can tell which of two is nearer: the distances() of `near` and `far` from such a
  // query differ by more than four deviations of both errors; or they are equal.
  bool orders(const Query& query, NodeId near, float near_distance, NodeId far,
              float far_distance) const;
  const GraphView& view() const { return view_; }

  // Tells `use`, which outlives it, of all nodes from now on before it looks at them; null: nobody.
  void tell(PageUse* use) { use_ = use; }

 private:
  void tell_of(const Query& query, const NodeId* ids, std::size_t n) const;
  void tell_of_vectors(NodeId a, NodeId b) const {
    const NodeId nodes[2] = {a, b};
    if (use_ != nullptr) use_->read_vectors(nodes, 2);
  }
  // At most so many bytes of each.
  void prefetch_vectors(std::span<const NodeId> nodes, std::size_t most) const;
  Query prepare_floats(const float* vector, Components given, QueryBuffer& buffer) const;
  void walk_on_codes(Query& query, const std::int8_t* code, const Code& factors) const;
  simd::Rows vectors() const { return {view_.exact, view_.exact_stride}; }

  void vector_distances(const Query& query, const NodeId* ids, std::size_t n, float* out) const;
  void byte_distances(const Query& query, const NodeId* ids, std::size_t n, float* out) const;
  bool is_given(const Query& query, NodeId node) const;
  std::size_t parallel_distances(const Query& query, const NodeId* ids, std::size_t n,
                                 float* out) const;
  float parallel_distance(const Query& query, NodeId node, float inverse_norm) const;
  float wide_distance(const Query& query, NodeId node) const;
  double exact_distance(const Query& query, NodeId node) const;
  float float_variance(const Query& query, float distance) const;
  float largest_float_variance(const Query& query, float distance) const;
  // What a component of the difference of two codes is off by, mean square.
  static float spread(float query_step, float step) {
    return (query_step * query_step + step * step) * (1.0f / 12.0f);
  }
  // Sum of these over the components, in the metric's units.
  float code_noise(float spread) const { return noise_a_spread_ * spread; }
  bool resolves(const Query& query, NodeId coarsest, float range) const;
  float product_variance(const Query& query, NodeId node) const;
  bool floats_suffice(NodeId node) const;
  // False for a row that has no code: nothing is at least NaN.
  bool codes_tell_apart(const Query& query, NodeId node, float distance) const {
    if (distance >= query.sure) return !std::isnan(view_.factor_a(node));
    return distance >= kSignalToNoise * code_noise(spread(query.step, view_.factor_a(node)));
  }
  // Of those that codes do not tell apart from the query, and that have no code.
  void replace_unsure(const Query& query, const NodeId* ids, std::size_t n, float* out) const;
  void unsure_distances(const Query& query, const NodeId* ids, std::size_t n, float* out) const;

  GraphView view_;
  const simd::KernelTable* kernels_;
  // The list kernel of metric and scalar kind; none for i8 and b1.
  void (*float_rows_)(const float*, simd::Rows, const std::uint32_t*, std::size_t, std::size_t,
                      float*) noexcept;
  Metric metric_;
  Scalar scalar_;
  std::size_t dims_;
  bool codes_;        // the records hold codes
  bool walks_codes_;  // and walks use them
  std::uint32_t prefetch_ahead_;
  std::uint32_t prefetch_again_;  // the same of nodes that have been asked for
  float noise_a_spread_;          // 1 - cos is half the squared distance
  PageUse* use_ = nullptr;
};

template <class Id>
bool Space::resolves(const Query& query, std::size_t n, const Id& id, float range) const {
  if (metric_ != Metric::inner_product || query.kind != Query::Kind::code) return true;
  if (!(range > 0)) return true;  // copies
  NodeId coarsest = kNoNode;
  float step = 0;
  for (std::size_t i = 0; i < n; ++i) {
    const float other = view_.factor_a(id(i));
    if (!(other > step)) continue;  // NaN, of what is compared by its vector, neither
    step = other;
    coarsest = id(i);
  }
  return coarsest == kNoNode || resolves(query, coarsest, range);
}

// With c, what a code stands for, and e, what that is off by: |q - v|^2 = |cq - cv|^2 + 2 <cq - cv,
// e> + |e|^2, where each component of e is the sum of two that are even over a step, of a variance
// of (step_q^2 + step_v^2) / 12. |e|^2, always positive, counts as an error too. Between unit
// vectors e changes the cosine by what it has across them.
inline float Space::variance(const Query& query, NodeId node, float distance) const {
  if (query.kind != Query::Kind::code || !codes_tell_apart(query, node, distance)) {
    return float_variance(query, distance);
  }
  const float step = view_.factor_a(node);
  const float component = spread(query.step, step);
  const float noise = code_noise(component);
  switch (metric_) {
    case Metric::l2sq: return 4.0f * distance * component + noise * noise;
    case Metric::cosine: return distance * std::fabs(2.0f - distance) * component + noise * noise;
    default: {  // <q, e_v> + <v, e_q>, of vectors as long as codes with these steps can be
      const float most = 127.0f * query.step * step;
      return most * most * static_cast<float>(dims_) / 6.0f;
    }
  }
}

}  // namespace cairn
