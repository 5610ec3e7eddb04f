// SPDX-License-Identifier: Apache-2.0
//
// The header of a NumPy .npy file: magic, version, and a Python dictionary literal.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <cairn/error.h>

#include "tools/files/byte_source.h"
#include "tools/files/packed_rows.h"

namespace cairn::tools {

// Of a file's own words in a message, in bytes.
inline constexpr std::size_t kMaxQuoted = 40;

struct NpyHeader {
  std::string descr;  // "<f4"
  bool fortran_order = false;
  std::vector<std::uint64_t> shape;
  std::uint64_t data_offset = 0;  // of the first component in the file
};

// Versions 1.0, 2.0 and 3.0. invalid_argument, with the place, for anything else.
Result<NpyHeader> read_npy_header(const ByteSource& source);

// Rows of vectors: an array of two dimensions, or of one, which is a row. invalid_argument also for
// elements that vectors do not come in. Its size is not compared with the source's.
Result<PackedRows> read_npy_rows(const ByteSource& source);

// An array of integers in any number of dimensions, in the order of its elements (C).
struct NpyIntegers {
  std::vector<std::uint64_t> shape;
  std::vector<std::uint64_t> values;
};
enum class Negative { refused, keep_bits };
// Of integers of 1 to 8 bytes; negative ones are an error, or become 64 bits with their sign: -1
// all ones.
Result<NpyIntegers> parse_npy_integers(const ByteSource& source,
                                       Negative negative = Negative::refused);

// Only the literal: {'descr': '<f4', 'fortran_order': False, 'shape': (10, 4), }. Each of the three
// keys once, no others; structured dtypes (a list as descr) are refused. data_offset is left 0.
Result<NpyHeader> parse_npy_dictionary(std::string_view text);

}  // namespace cairn::tools
