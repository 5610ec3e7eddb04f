// SPDX-License-Identifier: Apache-2.0
//
// The words that every layer shares: keys, metrics, scalar kinds, and borrowed views of vectors.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace cairn {

// The caller's id of a vector. Any value is legal. A key names at most one vector, or
// with IndexParams::several_per_key any number.
using Key = std::uint64_t;

// Stored in files: never renumber.
enum class Metric : std::uint8_t {
  cosine = 1,         // 1 - cos(a, b); 1 if a or b is zero
  l2sq = 2,           // squared Euclidean distance
  inner_product = 3,  // 1 - <a, b>
  hamming = 4,        // number of different bits
};

// The kind of a stored component. b1 goes with Metric::hamming, which goes with nothing else.
// Stored in files: never renumber.
enum class Scalar : std::uint8_t { f32 = 1, f16 = 2, bf16 = 3, i8 = 4, b1 = 5 };

// What the graph is walked on. `code`: 8-bit codes, the results being reranked on the exact
// vectors; `exact`: the stored vectors themselves; `automatic`: code for f32, f16 and bf16 of four
// dimensions or more; else exact, as i8 and b1 are as small as codes and have no others. Stored in
// files, but for `automatic`: never renumber.
enum class Traversal : std::uint8_t { automatic = 0, code = 1, exact = 2 };

// Bytes of one vector of `dims` components, unpadded.
constexpr std::size_t vector_bytes(Scalar scalar, std::size_t dims) {
  switch (scalar) {
    case Scalar::f32: return dims * 4;
    case Scalar::f16:
    case Scalar::bf16: return dims * 2;
    case Scalar::i8: return dims;
    case Scalar::b1: return (dims + 7) / 8;
  }
  return 0;
}

// A borrowed vector: the memory belongs to the caller and must outlive the call it is passed to.
class VectorView {
 public:
  // Components in f32, in order.
  VectorView(std::span<const float> values)
      : VectorView(values.data(), Scalar::f32, values.size()) {}
  // The same.
  VectorView(const std::vector<float>& values)
      : VectorView(values.data(), Scalar::f32, values.size()) {}
  // The same: `dims` components from `values` on.
  VectorView(const float* values, std::size_t dims) : VectorView(values, Scalar::f32, dims) {}

  // IEEE 754 binary16 as bit patterns.
  static VectorView f16(std::span<const std::uint16_t> bits) {
    return {bits.data(), Scalar::f16, bits.size()};
  }
  // bfloat16 as bit patterns: the upper halves of f32.
  static VectorView bf16(std::span<const std::uint16_t> bits) {
    return {bits.data(), Scalar::bf16, bits.size()};
  }
  // Signed bytes.
  static VectorView i8(std::span<const std::int8_t> values) {
    return {values.data(), Scalar::i8, values.size()};
  }
  // Bits packed eight to a byte, lowest bit first, those behind the last one 0. Fewer dimensions
  // than asked for if there are not bytes enough.
  static VectorView b1(std::span<const std::uint8_t> bytes, std::size_t dims) {
    return {bytes.data(), Scalar::b1, bytes.size() * 8 >= dims ? dims : bytes.size() * 8};
  }

  // vector_bytes(scalar(), dims()) bytes.
  const void* data() const { return data_; }
  // The kind of its components.
  Scalar scalar() const { return scalar_; }
  // How many they are.
  std::size_t dims() const { return dims_; }

 private:
  friend struct MatrixView;
  VectorView(const void* data, Scalar scalar, std::size_t dims)
      : data_(data), scalar_(scalar), dims_(dims) {}

  const void* data_;
  Scalar scalar_;
  std::size_t dims_;
};

// Borrowed rows of one scalar kind, `stride_bytes` apart.
struct MatrixView {
  const void* data = nullptr;    // the first row
  Scalar scalar = Scalar::f32;   // kind of the components
  std::size_t rows = 0;          // how many
  std::size_t dims = 0;          // components of a row
  std::size_t stride_bytes = 0;  // from one row to the next, at least vector_bytes(scalar, dims)

  // Rows without gaps, of f32.
  static MatrixView f32(const float* data, std::size_t rows, std::size_t dims) {
    return {data, Scalar::f32, rows, dims, dims * sizeof(float)};
  }
  // The same, of f16: bit patterns.
  static MatrixView f16(const std::uint16_t* bits, std::size_t rows, std::size_t dims) {
    return {bits, Scalar::f16, rows, dims, dims * sizeof(std::uint16_t)};
  }
  // The same, of bf16: bit patterns.
  static MatrixView bf16(const std::uint16_t* bits, std::size_t rows, std::size_t dims) {
    return {bits, Scalar::bf16, rows, dims, dims * sizeof(std::uint16_t)};
  }
  // The same, of signed bytes.
  static MatrixView i8(const std::int8_t* data, std::size_t rows, std::size_t dims) {
    return {data, Scalar::i8, rows, dims, dims};
  }
  // The same, of bits. Every row begins with a byte of its own.
  static MatrixView b1(const std::uint8_t* bytes, std::size_t rows, std::size_t dims) {
    return {bytes, Scalar::b1, rows, dims, vector_bytes(Scalar::b1, dims)};
  }

  // REQUIRES: i < rows
  VectorView row(std::size_t i) const {
    return {static_cast<const std::byte*>(data) + i * stride_bytes, scalar, dims};
  }
};

}  // namespace cairn
