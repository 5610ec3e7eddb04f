// SPDX-License-Identifier: Apache-2.0
//
// Numbers of neighbours for each query, nearest first: the ground truth as row numbers, or the
// answers of an engine as keys.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include <cairn/error.h>
#include <cairn/types.h>

#include "tools/files/byte_source.h"

namespace cairn::tools {

// Row-major, rows * columns ids.
template <class Id>
struct IdTable {
  std::size_t rows = 0;
  std::size_t columns = 0;
  std::vector<Id> ids;

  std::span<const Id> row(std::size_t i) const { return {ids.data() + i * columns, columns}; }
};
using TruthFile = IdTable<std::uint32_t>;
using AnswerFile = IdTable<Key>;

enum class IdWidth { u32, u64 };

// .ibin: u32 rows, u32 columns, rows * columns u32 ids, little-endian; rows * columns f32 distances
// may follow, as in the files of the big-ann benchmarks, and are skipped. invalid_argument if the
// sizes do not agree.
Result<TruthFile> parse_ibin(const ByteSource& source);
inline Result<TruthFile> parse_ibin(std::span<const std::byte> bytes) {
  return parse_ibin(MemorySource(bytes));
}

// By the suffix: .ivecs (for each row u32 columns, u32 ids, all rows of one width), .hdf5
// (`neighbors`), .npy (an array of two dimensions, of integers); all others are .ibin. Errors begin
// with "read PATH: ".
Result<TruthFile> read_truth(const std::string& path);

// The same, of keys; `width` is that of the ids in an .ibin. Negative ones in an .npy keep their
// 64 bits, as imported ids do.
Result<AnswerFile> read_answers(const std::string& path, IdWidth width);

}  // namespace cairn::tools
