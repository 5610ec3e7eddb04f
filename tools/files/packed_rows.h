// SPDX-License-Identifier: Apache-2.0
//
// Rows that stand one behind the other in a file: what their header promises is compared with the
// bytes that there are before memory is taken for it.
#pragma once

#include <cstdint>
#include <string>

#include <cairn/error.h>

#include "tools/files/byte_source.h"
#include "tools/files/element.h"
#include "tools/files/vector_file.h"

namespace cairn::tools {

inline constexpr std::uint64_t kMaxDims = 65535;

// What is wrong with the contents of a file.
Error malformed(std::string message);

// "3 rows of 4 dimensions"
std::string shape_text(std::uint64_t rows, std::uint64_t dims);

// Dimensions as they stand in a file, at byte `offset`: 1 ... 65,535.
Result<void> check_dims(std::uint64_t dims, std::uint64_t offset);

// A header promises rows * dims elements of `bytes_each` in `available` bytes, behind a header of
// `header_bytes`.
Result<void> check_size(std::uint64_t rows, std::uint64_t dims, std::size_t bytes_each,
                        std::uint64_t header_bytes, std::uint64_t available);

// Room for all rows, zeroed. out_of_memory. REQUIRES: the sizes were compared with those of the
// input.
Result<VectorFile> allocate_rows(std::uint64_t rows, std::uint64_t dims);

enum class Order { rows, columns };  // which index runs slowest in the file: C or Fortran

// What a header says: rows * dims elements from `offset` to the end.
struct PackedRows {
  Element element;
  std::uint64_t rows = 0;
  std::uint64_t dims = 0;
  std::uint64_t offset = 0;
  Order order = Order::rows;
};

// Errors of check_size(), and a value that is no f32 with its row and component.
Result<VectorFile> read_packed(const ByteSource& source, const PackedRows& packed);

// The error for it: "row 3, component 7: 1e+300 is beyond f32".
Error misfit_error(const Misfit& misfit, std::uint64_t row, std::uint64_t component);

}  // namespace cairn::tools
