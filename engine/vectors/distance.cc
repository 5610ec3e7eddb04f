// SPDX-License-Identifier: Apache-2.0
#include "engine/vectors/distance.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "engine/vectors/components.h"
#include "simd/prefetch.h"

namespace cairn {

namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

// How many rows a walk asks for ahead of the one that it scores: as many as fill about 112 cache
// lines, and at least 8. Measured at 100, 784 and 1536 dimensions, and flat around there:
// docs/decisions/0005-prefetch-distance.md.
std::uint32_t rows_ahead(std::size_t dims) {
  constexpr std::size_t kLines = 112;
  return static_cast<std::uint32_t>(std::clamp<std::size_t>(kLines * 64 / (dims + 64), 8, 64));
}

auto float_rows(const simd::KernelTable& kernels, Metric metric, Scalar scalar) {
  const bool l2 = metric == Metric::l2sq;
  switch (scalar) {
    case Scalar::f16: return l2 ? kernels.l2_f16_many : kernels.dot_f16_many;
    case Scalar::bf16: return l2 ? kernels.l2_bf16_many : kernels.dot_bf16_many;
    default: return l2 ? kernels.l2_f32_many : kernels.dot_f32_many;
  }
}

bool is_integer(Scalar scalar) { return scalar == Scalar::i8 || scalar == Scalar::b1; }

// A distance on codes is taken if it is at least so many times what codes are off by (mean squares,
// summed over the components): docs/decisions/0017.
constexpr float kSignalToNoise = 64.0f;

// Rows whose step is up to so many times the query's are looked at in time. One with a larger step
// has a component so much larger that codes do tell it apart.
constexpr float kStepRatio = 3.0f;

// Cosine distances of floats below this are computed anew from the difference of the directions:
// beside 1 they keep two digits. Below the second one so does that difference: in double.
constexpr float kNearlyParallel = 1e-4f;
constexpr float kParallelToFloats = 1e-10f;

// Cosine distances are within [0, 2]; NaN becomes 2.
float clamped(float distance) { return std::max(0.0f, std::min(2.0f, distance)); }

// Runs an integer list kernel, whose sums need a place: lists of neighbors fit into one piece.
template <class Sum, class Component, class Distance>
void integer_rows(void (*kernel)(const Component*, simd::Rows, const std::uint32_t*, std::size_t,
                                 std::size_t, Sum*) noexcept,
                  const void* query, simd::Rows rows, const NodeId* ids, std::size_t n,
                  std::size_t components, float* out, Distance&& distance) {
  constexpr std::size_t kPiece = 256;
  Sum sums[kPiece];
  for (std::size_t begin = 0; begin < n; begin += kPiece) {
    const std::size_t count = std::min(kPiece, n - begin);
    kernel(static_cast<const Component*>(query), rows, ids + begin, count, components, sums);
    for (std::size_t i = 0; i < count; ++i) out[begin + i] = distance(sums[i], ids[begin + i]);
  }
}

}  // namespace

Space::Space(const format::Parameters& parameters, const GraphView& view)
    : view_(view),
      kernels_(&simd::kernels()),
      float_rows_(float_rows(*kernels_, parameters.metric, parameters.scalar)),
      metric_(parameters.metric),
      scalar_(parameters.scalar),
      dims_(parameters.dimensions),
      codes_(parameters.traversal == Traversal::code),
      prefetch_ahead_(rows_ahead(parameters.dimensions)) {}

Query Space::prepare(VectorView vector, QueryBuffer& buffer) const {
  if (!is_integer(scalar_)) {
    const float* floats = as_floats(vector.scalar(), vector.data(), dims_, buffer.floats);
    return prepare_floats(floats, {vector.scalar(), vector.data()}, buffer);
  }
  const Components given{scalar_, vector.data()};
  Query query{Query::Kind::bytes, {}, vector.data(), scalar_, 1.0f, given, -1.0, 0.0f};
  if (metric_ == Metric::cosine) {
    const auto* values = static_cast<const std::int8_t*>(vector.data());
    const auto squares = static_cast<double>(kernels_->dot_i8(values, values, dims_));
    query.scale = squares > 0 ? static_cast<float>(1.0 / std::sqrt(squares)) : 0.0f;
  }
  return query;
}

// `vector` may be buffer.floats itself.
Query Space::prepare_floats(const float* vector, Components given, QueryBuffer& buffer) const {
  Query query{Query::Kind::vector, {}, vector, Scalar::f32, 1.0f, given, -1.0, 0.0f};
  const float* prepared = vector;
  if (metric_ == Metric::cosine) {
    const double length = norm(vector, dims_);
    const double inverse = length > 0 ? 1.0 / length : 0.0;
    buffer.floats.resize(dims_);
    for (std::size_t i = 0; i < dims_; ++i) {
      buffer.floats[i] = static_cast<float>(double{vector[i]} * inverse);
    }
    prepared = buffer.floats.data();
    query.vector = prepared;
    query.squares = length * length;
  } else if (!exact_factors(metric_, vector, dims_).usable) {
    query.kind = Query::Kind::wide;
    return query;
  }
  if (!codes_) return query;

  buffer.code.resize(dims_);
  const Code factors = encode(metric_, prepared, dims_, buffer.code.data());
  if (factors.usable) walk_on_codes(query, buffer.code.data(), factors);
  return query;
}

Query Space::prepare(NodeId node, QueryBuffer& buffer) const {
  const float a = view_.factor_a(node);
  const float b = view_.factor_b(node);
  const Components given{scalar_, view_.vector(node)};
  Query query{Query::Kind::wide, {}, given.data, scalar_, 1.0f, given, -1.0, 0.0f};
  if (is_integer(scalar_)) {
    query.kind = Query::Kind::bytes;
    if (metric_ == Metric::cosine) query.scale = a;
    return query;
  }
  if (!floats_suffice(node)) return query;
  if (codes_ && !std::isnan(a)) {
    if (metric_ == Metric::cosine) query.scale = b;
    walk_on_codes(query, view_.code(node), {a, b, true});
    return query;
  }
  query.kind = Query::Kind::vector;
  query.vector = as_floats(scalar_, view_.vector(node), dims_, buffer.floats);
  query.scalar = Scalar::f32;
  if (metric_ == Metric::cosine) query.scale = codes_ ? b : a;
  return query;
}

// False where norms leave the range in which floats can square them. A vector that only has no code
// keeps its other factor, but for inner products, which have none.
bool Space::floats_suffice(NodeId node) const {
  return !std::isnan(view_.factor_a(node)) || (codes_ && view_.factor_b(node) > 0.0f);
}

// Unlike a node's factors, those of the query are one for all rows.
void Space::walk_on_codes(Query& query, const std::int8_t* code, const Code& factors) const {
  query.kind = Query::Kind::code;
  query.code.code = code;
  query.code.dim = dims_;
  query.code.factor_offset = view_.header;
  query.code.prefetch_ahead = prefetch_ahead_;
  if (metric_ == Metric::l2sq) {  // |q|^2 + |v|^2 - 2 <q, v>
    query.code.c0 = factors.b;
    query.code.k = -2.0f * factors.a;
    query.code.w = 1.0f;
  } else {  // 1 - <q, v>, or for inner products - <q, v>
    query.code.c0 = metric_ == Metric::cosine ? 1.0f : 0.0f;
    query.code.k = -factors.a;
    query.code.w = 0.0f;
  }
  query.sure = metric_ == Metric::inner_product
                   ? -kInfinity
                   : kSignalToNoise * code_noise(factors.a, kStepRatio * factors.a);
}

float Space::code_noise(float query_step, float step) const {
  const float noise = static_cast<float>(dims_) * (query_step * query_step + step * step) / 12.0f;
  return metric_ == Metric::cosine ? noise / 2.0f : noise;  // 1 - cos is half the squared distance
}

bool Space::codes_tell_apart(const Query& query, NodeId node, float distance) const {
  if (distance >= query.sure) return true;
  const float step = view_.factor_a(node);
  const float query_step = metric_ == Metric::l2sq ? query.code.k / 2.0f : query.code.k;
  return distance >= kSignalToNoise * code_noise(query_step, step);  // no distance is, to NaN
}

void Space::replace_unsure(const Query& query, const NodeId* ids, std::size_t n, float* out) const {
  for (std::size_t i = 0; i < n; ++i) {
    if (codes_tell_apart(query, ids[i], out[i])) continue;
    if (query.scalar == Scalar::f32) {
      vector_distances(query, ids + i, 1, out + i);
    } else {
      out[i] = wide_distance(query, ids[i]);
    }
  }
}

void Space::distances(const Query& query, const NodeId* ids, std::size_t n, float* out,
                      std::span<const NodeId> coming) const {
  if (query.kind != Query::Kind::code) prefetch_vectors(coming);
  switch (query.kind) {
    case Query::Kind::code: {
      simd::CodeQuery asked = query.code;
      asked.coming = coming.data();
      asked.coming_count = coming.size();
      kernels_->score_codes(asked, {view_.hot, view_.hot_stride}, ids, n, out);
      bool unsure = false;  // NaN, the distance of what has no code, is not at least anything
      for (std::size_t i = 0; i < n; ++i) unsure |= !(out[i] >= query.sure);
      if (unsure) replace_unsure(query, ids, n, out);
      return;
    }
    case Query::Kind::vector: vector_distances(query, ids, n, out); return;
    case Query::Kind::bytes: byte_distances(query, ids, n, out); return;
    case Query::Kind::wide:
      for (std::size_t i = 0; i < n; ++i) out[i] = wide_distance(query, ids[i]);
      return;
  }
}

void Space::exact_distances(const Query& query, const NodeId* ids, std::size_t n,
                            double* out) const {
  prefetch_vectors({ids, n});
  for (std::size_t i = 0; i < n; ++i) out[i] = exact_distance(query, ids[i]);
}

double Space::exact_distance(const Query& query, NodeId node) const {
  if (metric_ == Metric::hamming) {
    float bits = 0;
    byte_distances(query, &node, 1, &bits);
    return double{bits};
  }
  return cairn::exact_distance(metric_, query.given, query.squares, {scalar_, view_.vector(node)},
                               dims_);
}

float Space::wide_distance(const Query& query, NodeId node) const {
  return static_cast<float>(cairn::exact_distance(metric_, query.given, query.squares,
                                                  {scalar_, view_.vector(node)}, dims_, kToWalk));
}

float Space::variance(const Query& query, NodeId node, float distance) const {
  const float step = view_.factor_a(node);
  const bool on_codes = query.kind == Query::Kind::code && !std::isnan(step) &&
                        codes_tell_apart(query, node, distance);
  return on_codes ? code_variance(query, step, distance) : float_variance(query, distance);
}

// With c, what a code stands for, and e, what that is off by: |q - v|^2 = |cq - cv|^2 + 2 <cq - cv,
// e> + |e|^2, where each component of e is the sum of two that are even over a step, of a variance
// of (step_q^2 + step_v^2) / 12. |e|^2, always positive, counts as an error too. Between unit
// vectors e changes the cosine by what it has across them.
float Space::code_variance(const Query& query, float step, float distance) const {
  const auto dims = static_cast<float>(dims_);
  const float d = std::max(distance, 0.0f);
  const float query_step = metric_ == Metric::l2sq ? query.code.k / 2.0f : query.code.k;
  const float spread = (query_step * query_step + step * step) / 12.0f;
  const float squares = dims * spread;
  switch (metric_) {
    case Metric::l2sq: return 4.0f * d * spread + squares * squares;
    case Metric::cosine: return d * (2.0f - d) * spread + squares * squares / 4.0f;
    default: {  // <q, e_v> + <v, e_q>, of vectors as long as codes with these steps can be
      const float most = 127.0f * query_step * step;
      return most * most * dims / 6.0f;
    }
  }
}

// What float kernels are off by at most (simd/kernels.h) is taken for three deviations.
float Space::float_variance(const Query& query, float distance) const {
  constexpr float kUnit = 0x1p-24f;
  const bool in_floats = query.kind == Query::Kind::vector || query.kind == Query::Kind::code;
  float deviation = std::fabs(distance) * kUnit;
  if (in_floats && metric_ == Metric::inner_product)
    return kInfinity;  // cancels, who knows how far
  if (in_floats && metric_ == Metric::l2sq) {
    deviation *= static_cast<float>(dims_ + 8) / 3.0f;
  } else if (metric_ == Metric::cosine && distance >= kNearlyParallel) {
    deviation = kUnit * (in_floats ? static_cast<float>(dims_ + 8) / 3.0f : 2.0f);
  } else if (metric_ == Metric::cosine && distance >= kParallelToFloats) {
    deviation = 2.0f * kUnit * std::sqrt(distance);  // the rounding of directions, along q - v
  }
  return deviation * deviation;
}

// All at once, before others are scored: the list kernels of vectors know nothing of what comes.
void Space::prefetch_vectors(std::span<const NodeId> nodes) const {
  constexpr std::size_t kMost = 2048;  // of one vector; the hardware follows longer ones
  const std::size_t bytes = std::min(vector_bytes(scalar_, dims_), kMost);
  for (const NodeId node : nodes) simd::prefetch_lines<simd::kLater>(view_.vector(node), bytes);
}

// Four units in the last place of what is subtracted from each other; differences of components
// cancel nothing.
float Space::rounding(const Query& query) const {
  constexpr float kCancelled = 4.8e-7f;
  switch (metric_) {
    case Metric::cosine: return kCancelled;
    case Metric::l2sq: return query.kind == Query::Kind::code ? kCancelled * query.code.c0 : 0.0f;
    case Metric::hamming: return 0.0f;
    default: return -std::numeric_limits<float>::infinity();
  }
}

bool Space::same_vector(NodeId a, NodeId b) const {
  return std::memcmp(view_.vector(a), view_.vector(b), vector_bytes(scalar_, dims_)) == 0;
}

void Space::vector_distances(const Query& query, const NodeId* ids, std::size_t n,
                             float* out) const {
  float_rows_(static_cast<const float*>(query.vector), vectors(), ids, n, dims_, out);
  for (std::size_t i = 0; i < n; ++i) {
    if (!floats_suffice(ids[i]) || !std::isfinite(out[i])) {
      out[i] = wide_distance(query, ids[i]);
    } else if (metric_ == Metric::cosine) {
      const float inverse_norm = codes_ ? view_.factor_b(ids[i]) : view_.factor_a(ids[i]);
      out[i] = clamped(1.0f - out[i] * query.scale * inverse_norm);
      if (out[i] < kNearlyParallel) out[i] = parallel_distance(query, ids[i], inverse_norm);
    } else if (metric_ == Metric::inner_product) {
      out[i] = -out[i];
    }
  }
}

// Half the squared distance of the two directions.
float Space::parallel_distance(const Query& query, NodeId node, float inverse_norm) const {
  if (scalar_ == Scalar::f32) {
    const auto* a = static_cast<const float*>(query.vector);
    const auto* b = static_cast<const float*>(static_cast<const void*>(view_.vector(node)));
    const float distance = kernels_->l2_scaled_f32(a, query.scale, b, inverse_norm, dims_) / 2.0f;
    if (distance >= kParallelToFloats) return distance;
  }
  return wide_distance(query, node);
}

void Space::byte_distances(const Query& query, const NodeId* ids, std::size_t n, float* out) const {
  switch (metric_) {
    case Metric::hamming:
      integer_rows(kernels_->hamming_many, query.vector, vectors(), ids, n,
                   vector_bytes(Scalar::b1, dims_), out,
                   [](std::uint32_t bits, NodeId) { return static_cast<float>(bits); });
      return;
    case Metric::l2sq:
      integer_rows(kernels_->l2_i8_many, query.vector, vectors(), ids, n, dims_, out,
                   [](std::uint32_t squares, NodeId) { return static_cast<float>(squares); });
      return;
    case Metric::inner_product:
      integer_rows(kernels_->dot_i8_many, query.vector, vectors(), ids, n, dims_, out,
                   [](std::int32_t dot, NodeId) { return -static_cast<float>(dot); });
      return;
    case Metric::cosine:
      integer_rows(kernels_->dot_i8_many, query.vector, vectors(), ids, n, dims_, out,
                   [&](std::int32_t dot, NodeId node) {
                     const double norms = double{query.scale} * double{view_.factor_a(node)};
                     const float distance = clamped(static_cast<float>(1.0 - dot * norms));
                     return distance < kNearlyParallel ? wide_distance(query, node) : distance;
                   });
      return;
  }
}

}  // namespace cairn
