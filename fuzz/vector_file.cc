// SPDX-License-Identifier: Apache-2.0
//
// The readers of .fbin, .fvecs and .npy: an error or rows that the bytes can hold. The first byte
// chooses the format, the others are the file.
#include "tools/files/vector_file.h"

#include <span>
#include <vector>

#include "fuzz/input.h"

namespace {

using cairn::Result;
using cairn::fuzz::Input;
using cairn::fuzz::require;
using cairn::tools::VectorFile;

Result<VectorFile> parse(unsigned format, std::span<const std::byte> file) {
  switch (format % 3) {
    case 0: return cairn::tools::parse_fbin(file);
    case 1: return cairn::tools::parse_fvecs(file);
    default: return cairn::tools::parse_npy(file);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Input input(data, size);
  const unsigned format = input.u8();
  const auto bytes = input.all();
  const auto file = parse(format, std::as_bytes(bytes));
  if (!file) {
    require(!file.error().message().empty(), "an error has a message");
    return 0;
  }
  require(file->dims >= 1 && file->dims <= 65535, "dims is in its range");
  require(file->values.size() == file->rows * file->dims, "there are rows * dims values");
  require(file->values.size() * sizeof(float) <= bytes.size(), "no value that is not in the file");
  float sum = 0;
  for (std::size_t i = 0; i < file->rows; ++i) sum += file->row(i).back();
  require(sum == sum || sum != sum, "rows can be read");
  return 0;
}
