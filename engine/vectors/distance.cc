// SPDX-License-Identifier: Apache-2.0
#include "engine/vectors/distance.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "engine/base/assert.h"
#include "engine/vectors/asked_ahead.h"
#include "engine/vectors/components.h"
#include "engine/vectors/metric.h"
#include "simd/prefetch.h"

namespace cairn {

namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

auto float_rows(const simd::KernelTable& kernels, const MetricRow& metric, Scalar scalar) {
  const auto kernel = scalar == Scalar::f16    ? metric.f16
                      : scalar == Scalar::bf16 ? metric.bf16
                                               : metric.f32;
  return kernel == nullptr ? nullptr : kernels.*kernel;
}

bool is_integer(Scalar scalar) { return scalar == Scalar::i8 || scalar == Scalar::b1; }

// Rows whose step is up to so many times the query's are looked at in time. One with a larger step
// has a component so much larger that codes do tell it apart.
constexpr float kStepRatio = 3.0f;

// Code distances below this are of vectors near enough for that difference to serve alone. (Those
// of zero vectors are 1.)
constexpr float kNearOnCodes = 0.1f;

// Of so many components, sums of products in double tell directions apart that floats do not: what
// 1 - cos is off by is beyond the 14th digit. Of fewer a second pass costs little (kToWalk).
constexpr std::size_t kManyComponents = 32;

// What lies below this in double is for doubles in floats, too.
float surely_finer(std::size_t dims) { return parallel_to_floats(dims) / 2; }

// 1 - cos of two vectors as given, f32 both; NaN if one is zero, or holds what is no number.
float distance_in_double(const Query& query, const void* row, std::size_t dims) {
  double sums[2];  // products, and squares of the row
  simd::kernels().dot_square_f64(static_cast<const float*>(query.given.data),
                                 static_cast<const float*>(row), dims, sums);
  const double squares = query.squares < 0 ? squared_length(query.given, dims) : query.squares;
  const double distance = 1.0 - sums[0] / std::sqrt(squares * sums[1]);
  return static_cast<float>(distance < 0 ? 0.0 : distance);
}

// Cosine distances of near copies, one after the other: after one that floats do not tell, the next
// is looked for in double at once. The values are those of `in_floats`, which leaves to doubles
// what is for them.
class NearCopies {
 public:
  NearCopies(const Query& query, Scalar scalar, std::size_t dims)
      : query_(query),
        dims_(dims),
        is_for_doubles_(dims >= kManyComponents && scalar == Scalar::f32 &&
                        query.given.scalar == Scalar::f32) {}

  template <class InFloats>
  float distance(const void* row, InFloats&& in_floats) {
    if (last_was_in_double_) {
      if (std::memcmp(query_.given.data, row, dims_ * sizeof(float)) == 0) return 0.0f;
      const float distance = distance_in_double(query_, row, dims_);
      if (distance < surely_finer(dims_)) return distance;
    }
    const float distance = in_floats(query_);
    last_was_in_double_ = is_for_doubles_ && distance < parallel_to_floats(dims_);
    if (last_was_in_double_ && query_.squares < 0) {
      query_.squares = squared_length(query_.given, dims_);
    }
    return distance;
  }

 private:
  Query query_;
  std::size_t dims_;
  bool is_for_doubles_;
  bool last_was_in_double_ = false;
};

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
    kernel(static_cast<const Component*>(query), rows, indexes_of(ids + begin), count, components,
           sums);
    for (std::size_t i = 0; i < count; ++i) out[begin + i] = distance(sums[i], ids[begin + i]);
  }
}

}  // namespace

Space::Space(const format::Parameters& parameters, const GraphView& view)
    : view_(view),
      kernels_(&simd::kernels()),
      float_rows_(float_rows(*kernels_, row_of(parameters.metric), parameters.scalar)),
      metric_(parameters.metric),
      scalar_(parameters.scalar),
      dims_(parameters.dimensions),
      codes_(parameters.traversal == Traversal::code),
      walks_codes_(codes_),
      prefetch_ahead_(rows_ahead(parameters.dimensions)),
      prefetch_again_(is_asked_again(parameters.dimensions) ? prefetch_ahead_ : 0),
      noise_a_spread_(static_cast<float>(dims_) * row_of(metric_).square_share) {}

Query Space::prepare(VectorView vector, QueryBuffer& buffer) const {
  if (!is_integer(scalar_)) {
    const float* floats = as_floats(vector.scalar(), vector.data(), dims_, buffer.floats);
    return prepare_floats(floats, {vector.scalar(), vector.data()}, buffer);
  }
  const Components given{scalar_, vector.data()};
  Query query{Query::Kind::bytes, {}, vector.data(), scalar_, 1.0f, given, -1.0, 0.0f, 0.0f};
  if (metric_ == Metric::cosine) {
    const auto* values = static_cast<const std::int8_t*>(vector.data());
    const auto squares = static_cast<double>(kernels_->dot_i8(values, values, dims_));
    query.scale = squares > 0 ? static_cast<float>(1.0 / std::sqrt(squares)) : 0.0f;
  }
  return query;
}

// `vector` may be buffer.floats itself.
Query Space::prepare_floats(const float* vector, Components given, QueryBuffer& buffer) const {
  Query query{Query::Kind::vector, {}, vector, Scalar::f32, 1.0f, given, -1.0, 0.0f, 0.0f};
  const float* prepared = vector;
  double length = norm(vector, dims_);
  if (metric_ == Metric::cosine) {
    const double inverse = length > 0 ? 1.0 / length : 0.0;
    buffer.floats.resize(dims_);
    for (std::size_t i = 0; i < dims_; ++i) {
      buffer.floats[i] = static_cast<float>(double{vector[i]} * inverse);
    }
    prepared = buffer.floats.data();
    query.vector = prepared;
    query.squares = length * length;
    if (length > 0) length = 1.0;  // of `prepared`
  } else if (!exact_factors(metric_, length).usable) {
    query.kind = Query::Kind::wide;
    return query;
  }
  if (!walks_codes_) return query;

  buffer.code.resize(dims_);
  const Code factors = encode(metric_, prepared, length, dims_, buffer.code.data());
  if (factors.usable) walk_on_codes(query, buffer.code.data(), factors);
  return query;
}

Query Space::prepare(NodeId node, QueryBuffer& buffer) const {
  const float a = view_.factor_a(node);
  const float b = view_.factor_b(node);
  const Components given{scalar_, view_.vector(node)};
  Query query{Query::Kind::wide, {}, given.data, scalar_, 1.0f, given, -1.0, 0.0f, 0.0f};
  if (is_integer(scalar_)) {
    query.kind = Query::Kind::bytes;
    if (metric_ == Metric::cosine) query.scale = a;
    return query;
  }
  if (!floats_suffice(node)) return query;
  if (walks_codes_ && !std::isnan(a)) {
    query.vector = as_floats(scalar_, given.data, dims_, buffer.floats);
    query.scalar = Scalar::f32;
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
  query.step = factors.a;
  query.code.code = code;
  query.code.dim = dims_;
  query.code.factor_offset = view_.header;
  query.code.prefetch_ahead = prefetch_ahead_;
  query.code.prefetch_bytes = bytes_asked(dims_);
  query.code.spreads_coming = is_asked_in_turn(dims_);
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
                   : kSignalToNoise * code_noise(spread(factors.a, kStepRatio * factors.a));
}

void Space::tell_of(const Query& query, const NodeId* ids, std::size_t n) const {
  use_->meet(ids, n);
  if (query.kind != Query::Kind::code) use_->read_vectors(ids, n);
}

void Space::replace_unsure(const Query& query, const NodeId* ids, std::size_t n, float* out) const {
  constexpr std::size_t kBeginning = 512;  // they are read at once, and the hardware follows
  constexpr std::size_t kPiece = 64;
  NodeId nodes[kPiece];
  std::size_t places[kPiece];
  float distances[kPiece];
  for (std::size_t i = 0; i < n;) {
    std::size_t count = 0;
    for (; i < n && count < kPiece; ++i) {
      if (codes_tell_apart(query, ids[i], out[i])) continue;
      nodes[count] = ids[i];
      places[count] = i;
      distances[count++] = out[i];
    }
    prefetch_vectors({nodes, count}, kBeginning);
    if (use_ != nullptr) use_->read_vectors(nodes, count);
    unsure_distances(query, nodes, count, distances);
    for (std::size_t j = 0; j < count; ++j) out[places[j]] = distances[j];
  }
}

// `out` holds the distances on codes, NaN of nodes that have none.
void Space::unsure_distances(const Query& query, const NodeId* ids, std::size_t n,
                             float* out) const {
  if (metric_ != Metric::cosine) return vector_distances(query, ids, n, out);
  NearCopies copies(query, scalar_, dims_);
  for (std::size_t i = 0; i < n; ++i) {
    if (out[i] < kNearOnCodes && floats_suffice(ids[i])) {
      out[i] = copies.distance(view_.vector(ids[i]), [&](const Query& asked) {
        return parallel_distance(asked, ids[i], view_.factor_b(ids[i]));
      });
    } else {
      vector_distances(query, ids + i, 1, out + i);
    }
  }
}

Space Space::on_vectors() const {
  Space space = *this;
  space.walks_codes_ = false;
  return space;
}

// Of one vector; the hardware follows longer ones.
constexpr std::size_t kMostComing = 2048;

void Space::distances(const Query& query, const NodeId* ids, std::size_t n, float* out,
                      std::span<const NodeId> coming, Asked asked_for) const {
  CAIRN_ASSERT(view_.has_all({ids, n}) && view_.has_all(coming));
  if (use_ != nullptr) tell_of(query, ids, n);
  if (query.kind != Query::Kind::code) prefetch_vectors(coming, kMostComing);
  switch (query.kind) {
    case Query::Kind::code: {
      simd::CodeQuery asked = query.code;
      asked.coming = indexes_of(coming.data());
      asked.coming_count = coming.size();
      if (asked_for == Asked::as_coming) asked.prefetch_ahead = prefetch_again_;
      kernels_->score_codes(asked, {view_.hot, view_.hot_stride}, indexes_of(ids), n, out);
      return finish_distances(query, ids, n, out);
    }
    case Query::Kind::vector: vector_distances(query, ids, n, out); return;
    case Query::Kind::bytes: byte_distances(query, ids, n, out); return;
    case Query::Kind::wide:
      for (std::size_t i = 0; i < n; ++i) out[i] = wide_distance(query, ids[i]);
      return;
  }
}

void Space::finish_distances(const Query& query, const NodeId* ids, std::size_t n,
                             float* out) const {
  if (query.kind != Query::Kind::code) return distances(query, ids, n, out);
  std::uint32_t sure = 0;  // a count, as compilers turn that into vectors of comparisons
  for (std::size_t i = 0; i < n; ++i) sure += out[i] >= query.sure ? 1 : 0;
  // NaN, the distance of what has no code, is not at least anything.
  if (sure != n) replace_unsure(query, ids, n, out);
}

void Space::exact_distances(const Query& query, const NodeId* ids, std::size_t n,
                            double* out) const {
  if (use_ != nullptr) {
    use_->read_vectors(ids, n);
    use_->read_keys(ids, n);
  }
  constexpr std::size_t kMost = 8192;  // of one vector
  const std::size_t bytes = std::min(vector_bytes(scalar_, dims_), kMost);
  const std::size_t ahead = std::max<std::size_t>(kLinesAhead * 64 / bytes, 2);
  const auto ask_for = [&](std::size_t i) {
    simd::prefetch_lines<simd::kLater>(view_.vector(ids[i]), bytes);
  };
  for (std::size_t i = 0; i < n && i < ahead; ++i) ask_for(i);
  for (std::size_t i = 0; i < n; ++i) {
    if (i + ahead < n) ask_for(i + ahead);
    out[i] = exact_distance(query, ids[i]);
  }
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

Query Space::for_scan(Query query) const {
  if (query.kind == Query::Kind::vector && metric_ == Metric::inner_product) {
    query.kind = Query::Kind::wide;
  }
  return query;
}

// All at once, before others are scored: the list kernels of vectors know nothing of what comes.
void Space::prefetch_vectors(std::span<const NodeId> nodes, std::size_t most) const {
  const std::size_t bytes = std::min(vector_bytes(scalar_, dims_), most);
  for (const NodeId node : nodes) simd::prefetch_lines<simd::kLater>(view_.vector(node), bytes);
}

bool Space::same_vector(NodeId a, NodeId b) const {
  return std::memcmp(view_.vector(a), view_.vector(b), vector_bytes(scalar_, dims_)) == 0;
}

void Space::vector_distances(const Query& query, const NodeId* ids, std::size_t n,
                             float* out) const {
  const bool among_copies = metric_ == Metric::cosine && codes_ && !walks_codes_;
  const std::size_t first = among_copies ? parallel_distances(query, ids, n, out) : 0;
  float_rows_(static_cast<const float*>(query.vector), vectors(), indexes_of(ids + first),
              n - first, dims_, out + first);
  for (std::size_t i = first; i < n; ++i) {
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

bool Space::is_given(const Query& query, NodeId node) const {
  return query.given.scalar == scalar_ &&
         std::memcmp(query.given.data, view_.vector(node), vector_bytes(scalar_, dims_)) == 0;
}

// How many of `ids`, the first ones, are nearly parallel to the query. Their distances are found
// without the product that would only tell so; a list of near copies holds nothing else.
std::size_t Space::parallel_distances(const Query& query, const NodeId* ids, std::size_t n,
                                      float* out) const {
  NearCopies copies(query, scalar_, dims_);
  std::size_t i = 0;
  for (; i < n && floats_suffice(ids[i]); ++i) {
    out[i] = copies.distance(view_.vector(ids[i]), [&](const Query& asked) {
      return parallel_distance(asked, ids[i], view_.factor_b(ids[i]));
    });
    if (out[i] >= kNearlyParallel) break;
  }
  return i;
}

// Half the squared distance of the two directions.
float Space::parallel_distance(const Query& query, NodeId node, float inverse_norm) const {
  constexpr std::size_t kPiece = 256;
  float piece[kPiece];
  const auto* a = static_cast<const float*>(query.vector);
  const auto* b = static_cast<const float*>(static_cast<const void*>(view_.vector(node)));
  const std::size_t at_once = scalar_ == Scalar::f32 ? dims_ : kPiece;
  float squares = 0;
  for (std::size_t begin = 0; begin < dims_; begin += at_once) {
    const std::size_t count = std::min(at_once, dims_ - begin);
    if (scalar_ != Scalar::f32) {
      to_floats(scalar_, view_.vector(node), begin, count, piece);
      b = piece;
    }
    squares += kernels_->l2_scaled_f32(a + begin, query.scale, b, inverse_norm, count);
  }
  const float distance = squares / 2.0f;
  if (distance >= parallel_to_floats(dims_)) return distance;
  if (is_given(query, node)) return 0.0f;
  const bool is_f32 = scalar_ == Scalar::f32 && query.given.scalar == Scalar::f32;
  if (!is_f32 || dims_ < kManyComponents) return wide_distance(query, node);
  const float in_double = distance_in_double(query, view_.vector(node), dims_);
  return std::isnan(in_double) ? wide_distance(query, node) : in_double;
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
