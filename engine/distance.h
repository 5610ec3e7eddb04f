// SPDX-License-Identifier: Apache-2.0
//
// Distances from one query to lists of nodes: metric and kind of code become kernels here, once a
// list and never once a neighbor. A smaller distance is nearer for every metric; NaN becomes
// +infinity, so that distances are ordered.
//
// Thread-safety: a Space is a value; a Query borrows its vectors.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "engine/node_store.h"
#include "simd/kernels.h"

namespace cairn {

// Memory of a prepared query; one for each search that runs.
struct QueryBuffer {
  std::vector<float> unit;  // the query, normalised if the metric is cosine
  std::vector<std::int8_t> code;
};

struct Query {
  enum class Kind {
    code,    // 8-bit code against 8-bit codes
    vector,  // f32 against f32
    wide,    // f32 against f32 in double: norms that float cannot square, vectors that codes cannot
             // hold
  };
  Kind kind;
  simd::CodeQuery code;  // Kind::code
  const float* vector;
  float scale;  // cosine: 1 / norm of `vector`
};

class Space {
 public:
  Space(const format::Parameters& parameters, const GraphView& view);

  // A query for walking the graph. `vector`: dimensions finite floats that live as long as the
  // Query.
  Query prepare(const float* vector, QueryBuffer& buffer) const;
  // The same with a node of the graph as the query; `view` must know it.
  Query prepare(NodeId node) const;

  // out[i] = distance of the query to ids[i], on codes if the traversal is by codes. REQUIRES: ids
  // < view.count
  void distances(const Query& query, const NodeId* ids, std::size_t n, float* out) const;

  // The same on the vectors as given, for a query that the first prepare() made.
  void exact_distances(const Query& query, const NodeId* ids, std::size_t n, float* out) const;

  // Whether the vectors as given are equal, byte for byte.
  bool same_vector(NodeId a, NodeId b) const;

  bool traverses_codes() const { return codes_; }
  const GraphView& view() const { return view_; }

 private:
  void vector_distances(const Query& query, const NodeId* ids, std::size_t n, std::size_t factor,
                        float* out) const;
  float wide_distance(const float* query, NodeId node) const;

  GraphView view_;
  const simd::KernelTable* kernels_;
  Metric metric_;
  std::size_t dims_;
  bool codes_;
  std::uint32_t prefetch_ahead_;
};

}  // namespace cairn
