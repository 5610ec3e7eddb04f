// SPDX-License-Identifier: Apache-2.0
//
// Readers of the files that vectors come in: .fbin, .fvecs and .npy, rows of f32.
//
// The input is not trusted: a header is compared with the number of bytes there are before anything
// is allocated, and no reader allocates more than a small multiple of the input's size. What is
// wrong with the contents is `invalid_argument` with the place; values are not looked at (Index
// refuses those that are not finite).
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <cairn/error.h>
#include <cairn/types.h>

#include "tools/files/byte_source.h"

namespace cairn::tools {

// Row-major, rows * dims values; dims is 1 ... 65,535.
struct VectorFile {
  std::size_t rows = 0;
  std::size_t dims = 0;
  std::vector<float> values;

  MatrixView view() const { return MatrixView::f32(values.data(), rows, dims); }
  std::span<const float> row(std::size_t i) const { return {values.data() + i * dims, dims}; }
};

enum class VectorFormat { fbin, fvecs, npy };

// By the suffix of the name; `unsupported` if it is none of the three.
Result<VectorFormat> vector_format(std::string_view path);

// By the suffix; "-" is .fbin from standard input. Errors begin with "read PATH: ".
Result<VectorFile> read_vectors(const std::string& path);

// The same, every row being fit to search an index of `dims` dimensions: dimension_mismatch,
// not_finite.
Result<VectorFile> read_queries(const std::string& path, std::size_t dims);

// u32 rows, u32 dims, rows * dims f32, little-endian.
Result<VectorFile> parse_fbin(const ByteSource& source);
// For each row: u32 dims, dims f32. All rows of one width; an empty file is an error, since its
// width is unknown.
Result<VectorFile> parse_fvecs(const ByteSource& source);
// NumPy format 1.0, 2.0 or 3.0: dtype '<f4', two dimensions, C order, one array in the file.
Result<VectorFile> parse_npy(const ByteSource& source);

inline Result<VectorFile> parse_fbin(std::span<const std::byte> bytes) {
  return parse_fbin(MemorySource(bytes));
}
inline Result<VectorFile> parse_fvecs(std::span<const std::byte> bytes) {
  return parse_fvecs(MemorySource(bytes));
}
inline Result<VectorFile> parse_npy(std::span<const std::byte> bytes) {
  return parse_npy(MemorySource(bytes));
}

// .fbin from a descriptor that cannot be measured, such as a pipe: memory grows with what arrives,
// not with what the header claims.
Result<VectorFile> read_fbin_stream(int descriptor);

}  // namespace cairn::tools
