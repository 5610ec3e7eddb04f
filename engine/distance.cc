// SPDX-License-Identifier: Apache-2.0
#include "engine/distance.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "engine/codec.h"

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

// Code of the query: unlike a node's factors, one factor for all rows.
simd::CodeQuery code_query(Metric metric, const std::int8_t* code, Code factors) {
  simd::CodeQuery query{};
  query.code = code;
  switch (metric) {
    case Metric::l2sq:  // |q|^2 + |v|^2 - 2 <q, v>
      query.c0 = factors.b;
      query.k = -2.0f * factors.a;
      query.w = 1.0f;
      break;
    default:  // 1 - <q, v>
      query.c0 = 1.0f;
      query.k = -factors.a;
      query.w = 0.0f;
      break;
  }
  return query;
}

}  // namespace

Space::Space(const format::Parameters& parameters, const GraphView& view)
    : view_(view),
      kernels_(&simd::kernels()),
      metric_(parameters.metric),
      dims_(parameters.dimensions),
      codes_(parameters.traversal == Traversal::code),
      prefetch_ahead_(rows_ahead(parameters.dimensions)) {}

Query Space::prepare(const float* vector, QueryBuffer& buffer) const {
  Query query{Query::Kind::vector, {}, vector, 1.0f};
  const double length = norm(vector, dims_);
  if (metric_ == Metric::cosine) {
    buffer.unit.resize(dims_);
    const double inverse = length > 0 ? 1.0 / length : 0.0;
    for (std::size_t i = 0; i < dims_; ++i) {
      buffer.unit[i] = static_cast<float>(double{vector[i]} * inverse);
    }
    query.vector = buffer.unit.data();
  } else if (!exact_factors(metric_, vector, dims_).usable) {
    query.kind = Query::Kind::wide;
    return query;
  }
  if (!codes_) return query;

  buffer.code.resize(dims_);
  const Code factors = encode(metric_, query.vector, dims_, buffer.code.data());
  if (!factors.usable) return query;
  query.kind = Query::Kind::code;
  query.code = code_query(metric_, buffer.code.data(), factors);
  query.code.dim = dims_;
  query.code.factor_offset = view_.header;
  query.code.prefetch_ahead = prefetch_ahead_;
  return query;
}

Query Space::prepare(NodeId node) const {
  const float a = view_.factor_a(node);
  const float b = view_.factor_b(node);
  Query query{Query::Kind::wide, {}, view_.exact_f32(node), 1.0f};
  if (std::isnan(a)) return query;
  if (metric_ == Metric::cosine) query.scale = codes_ ? b : a;
  if (!codes_) {
    query.kind = Query::Kind::vector;
    return query;
  }
  query.kind = Query::Kind::code;
  const auto* code = reinterpret_cast<const std::int8_t*>(view_.record(node));
  query.code = code_query(metric_, code, {a, b, true});
  query.code.dim = dims_;
  query.code.factor_offset = view_.header;
  query.code.prefetch_ahead = prefetch_ahead_;
  return query;
}

void Space::distances(const Query& query, const NodeId* ids, std::size_t n, float* out) const {
  switch (query.kind) {
    case Query::Kind::code: {
      kernels_->score_codes(query.code, {view_.hot, view_.hot_stride}, ids, n, out);
      bool unordered = false;
      for (std::size_t i = 0; i < n; ++i) unordered |= out[i] != out[i];
      if (!unordered) return;
      for (std::size_t i = 0; i < n; ++i) {
        if (std::isnan(out[i])) out[i] = wide_distance(query.vector, ids[i]);
      }
      return;
    }
    case Query::Kind::vector:
      vector_distances(query, ids, n, codes_ ? format::hot::kFactorB : format::hot::kFactorA, out);
      return;
    case Query::Kind::wide:
      for (std::size_t i = 0; i < n; ++i) out[i] = wide_distance(query.vector, ids[i]);
      return;
  }
}

void Space::exact_distances(const Query& query, const NodeId* ids, std::size_t n,
                            float* out) const {
  if (query.kind == Query::Kind::wide) return distances(query, ids, n, out);
  vector_distances(query, ids, n, codes_ ? format::hot::kFactorB : format::hot::kFactorA, out);
}

bool Space::same_vector(NodeId a, NodeId b) const {
  return std::memcmp(view_.exact_f32(a), view_.exact_f32(b), dims_ * sizeof(float)) == 0;
}

void Space::vector_distances(const Query& query, const NodeId* ids, std::size_t n,
                             std::size_t factor, float* out) const {
  const simd::Rows rows{view_.exact, view_.exact_stride};
  if (metric_ == Metric::l2sq) {
    kernels_->l2_f32_many(query.vector, rows, ids, n, dims_, out);
  } else {
    kernels_->dot_f32_many(query.vector, rows, ids, n, dims_, out);
  }
  for (std::size_t i = 0; i < n; ++i) {
    const std::byte* header = view_.header_of(ids[i]);
    if (std::isnan(GraphView::load_float(header + format::hot::kFactorA)) ||
        !std::isfinite(out[i])) {
      out[i] = wide_distance(query.vector, ids[i]);
    } else if (metric_ == Metric::cosine) {
      const float cosine = out[i] * query.scale * GraphView::load_float(header + factor);
      out[i] = std::max(0.0f, std::min(2.0f, 1.0f - cosine));  // NaN: 2
    } else if (metric_ == Metric::inner_product) {
      out[i] = 1.0f - out[i];
    }
  }
}

float Space::wide_distance(const float* query, NodeId node) const {
  const float* vector = view_.exact_f32(node);
  double dot = 0;
  double query_squares = 0;
  double vector_squares = 0;
  double difference_squares = 0;
  for (std::size_t i = 0; i < dims_; ++i) {
    const double q = double{query[i]};
    const double v = double{vector[i]};
    dot += q * v;
    query_squares += q * q;
    vector_squares += v * v;
    difference_squares += (q - v) * (q - v);
  }
  double distance = 1.0;
  switch (metric_) {
    case Metric::cosine:
      if (query_squares > 0 && vector_squares > 0) {
        distance = 1.0 - dot / (std::sqrt(query_squares) * std::sqrt(vector_squares));
        distance = std::clamp(distance, 0.0, 2.0);
      }
      break;
    case Metric::l2sq: distance = difference_squares; break;
    default: distance = 1.0 - dot; break;
  }
  const auto narrow = static_cast<float>(distance);
  return std::isnan(narrow) ? kInfinity : narrow;
}

}  // namespace cairn
