// SPDX-License-Identifier: Apache-2.0
//
// Vectors for tests, and what a search of them must find: exact distances in double, by scanning
// all of them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include <cairn/convert.h>
#include <cairn/index.h>

namespace cairn::test {

// Rows of floats; row i has the key keys[i].
struct Vectors {
  std::size_t dims = 0;
  std::vector<float> values;
  std::vector<Key> keys;

  std::size_t rows() const { return keys.size(); }
  const float* row(std::size_t i) const { return values.data() + i * dims; }
  VectorView vector(std::size_t i) const { return VectorView(row(i), dims); }
  MatrixView matrix() const { return MatrixView::f32(values.data(), rows(), dims); }
  void append(Key key, std::span<const float> row);
};

// Normally distributed components. Keys are 1000 + 7 i.
Vectors random_vectors(std::size_t rows, std::size_t dims, std::uint64_t seed);

// Rows around `clusters` random centers, a fifth of whose spread they have themselves; rows of one
// cluster follow each other. Queries from the same clusters: another seed, the same center_seed.
Vectors clustered_vectors(std::size_t rows, std::size_t dims, std::size_t clusters,
                          std::uint64_t seed, std::uint64_t center_seed);

// The same rows in an arbitrary order.
Vectors shuffled(const Vectors& vectors, std::uint64_t seed);

// Rows in the kind of an index, and what their components mean as floats. For i8 they are spread
// over its range first.
struct StoredVectors {
  Scalar scalar;
  std::vector<std::byte> bytes;
  Vectors floats;

  std::size_t stride() const { return vector_bytes(scalar, floats.dims); }
  MatrixView matrix() const { return {bytes.data(), scalar, floats.rows(), floats.dims, stride()}; }
  VectorView vector(std::size_t i) const { return matrix().row(i); }
};
StoredVectors stored(Scalar scalar, const Vectors& vectors);

// The metric's formula in double. Cosine is 1 if a vector is zero.
double reference_distance(Metric metric, const float* a, const float* b, std::size_t dims);

// What one float distance may be off by: the float kernels' bound (simd/kernels.h), and the
// rounding of norms and result.
double tolerance(Metric metric, const float* a, const float* b, std::size_t dims);

struct TrueMatch {
  Key key;
  double distance;
};
// The k nearest rows, nearest first, ties by key.
std::vector<TrueMatch> scan(Metric metric, const Vectors& vectors, const float* query,
                            std::size_t k);

// Share of the true k nearest that searches for all queries find. A match as near as the k-th true
// one counts, whatever its key.
double recall(const Index& index, const Vectors& vectors, const Vectors& queries,
              const SearchParams& params);

// An index of all rows: bulk-built by `threads` threads, or added one by one. Aborts on error.
Index built(const IndexParams& params, const Vectors& vectors, unsigned threads = 2);
Index added(const IndexParams& params, const Vectors& vectors);

}  // namespace cairn::test
