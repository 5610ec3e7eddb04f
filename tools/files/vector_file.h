// SPDX-License-Identifier: Apache-2.0
//
// Readers of the files that vectors come in. Whatever numbers a file has, its rows are f32: 64-bit
// floats are rounded, integers are exact or refused.
//
// The input is not trusted: a header is compared with the number of bytes there are before anything
// is allocated, and no reader allocates more than a small multiple of the input's size. What is
// wrong with the contents is `invalid_argument` with the place; values are not looked at (Index
// refuses those that are not finite).
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
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
  std::optional<Metric> metric = {};      // where the file says it: .hdf5
  std::shared_ptr<const float> mapped{};  // the rows in place of values: map_vectors()

  const float* data() const { return mapped ? mapped.get() : values.data(); }
  MatrixView view() const { return MatrixView::f32(data(), rows, dims); }
  std::span<const float> row(std::size_t i) const { return {data() + i * dims, dims}; }
};

enum class VectorFormat { fbin, u8bin, i8bin, fvecs, bvecs, npy, hdf5 };

// By the suffix of the name; `unsupported` if it is none of them.
Result<VectorFormat> vector_format(std::string_view path);

// By the suffix; "-" is .fbin from standard input. Of .hdf5 the data set `train`. Errors begin with
// "read PATH: ".
Result<VectorFile> read_vectors(const std::string& path);

// The same, and rows that stand in the file as in memory stay there: .fbin, and .npy of <f4 in C
// order. Nobody may shorten it meanwhile.
Result<VectorFile> map_vectors(const std::string& path);

// The same as read_vectors; of .hdf5 the data set `test`.
Result<VectorFile> read_query_rows(const std::string& path);

// Every row of what was read from `path` is fit to search an index of `dims` dimensions:
// dimension_mismatch, not_finite.
Result<void> check_queries(const VectorFile& queries, const std::string& path, std::size_t dims);

// Both.
Result<VectorFile> read_queries(const std::string& path, std::size_t dims);

// Of a source in any format but .hdf5, which libhdf5 reads from a file (hdf5_file.h):
//   fbin, u8bin, i8bin  u32 rows, u32 dims, rows * dims f32, u8 or i8, little-endian
//   fvecs, bvecs        for each row u32 dims, dims f32 or u8; all rows of one width; an empty file
//                       is an error, since its width is unknown
//   npy                 NumPy format 1.0, 2.0 or 3.0: an array of two dimensions, or of one, which
//   is
//                       a row, of floats of 2, 4 or 8 bytes, integers or booleans, in either byte
//                       order, C or Fortran order
Result<VectorFile> parse_vectors(VectorFormat format, const ByteSource& source);
Result<VectorFile> parse_npy(const ByteSource& source);

inline Result<VectorFile> parse_vectors(VectorFormat format, std::span<const std::byte> bytes) {
  return parse_vectors(format, MemorySource(bytes));
}
inline Result<VectorFile> parse_npy(std::span<const std::byte> bytes) {
  return parse_npy(MemorySource(bytes));
}

// .fbin from a descriptor that cannot be measured, such as a pipe: memory grows with what arrives,
// not with what the header claims.
Result<VectorFile> read_fbin_stream(int descriptor);

}  // namespace cairn::tools
