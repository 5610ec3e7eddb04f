// SPDX-License-Identifier: Apache-2.0
//
// Ground truth: for each query the row numbers of its nearest neighbours, nearest first.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include <cairn/error.h>

#include "tools/files/byte_source.h"

namespace cairn::tools {

struct TruthFile {
  std::size_t rows = 0;
  std::size_t columns = 0;
  std::vector<std::uint32_t> ids;  // rows * columns

  std::span<const std::uint32_t> row(std::size_t i) const {
    return {ids.data() + i * columns, columns};
  }
};

// .ibin: u32 rows, u32 columns, rows * columns u32 ids, little-endian; rows * columns f32 distances
// may follow, as in the files of the big-ann benchmarks, and are skipped. invalid_argument if the
// sizes do not agree.
Result<TruthFile> parse_ibin(const ByteSource& source);
inline Result<TruthFile> parse_ibin(std::span<const std::byte> bytes) {
  return parse_ibin(MemorySource(bytes));
}

// Errors begin with "read PATH: ".
Result<TruthFile> read_truth(const std::string& path);

}  // namespace cairn::tools
