// SPDX-License-Identifier: Apache-2.0
//
// The readers of vector files, of arrays of keys and of ids: an error or rows that the bytes can
// hold. The first byte chooses the format, the others are the file. libhdf5 is not fuzzed here.
#include "tools/files/vector_file.h"

#include <array>
#include <span>

#include "fuzz/input.h"
#include "tools/files/npy_header.h"
#include "tools/files/truth_file.h"

namespace {

using cairn::fuzz::Input;
using cairn::fuzz::require;
using cairn::tools::MemorySource;
using cairn::tools::VectorFormat;

constexpr std::array kFormats = {VectorFormat::fbin,  VectorFormat::fvecs, VectorFormat::npy,
                                 VectorFormat::u8bin, VectorFormat::i8bin, VectorFormat::bvecs};
constexpr unsigned kIntegers = kFormats.size();  // the readers of keys and of answers
constexpr unsigned kTruth = kIntegers + 1;

void check_integers(std::span<const std::byte> bytes) {
  const auto array = cairn::tools::parse_npy_integers(MemorySource(bytes));
  if (array) require(array->values.size() <= bytes.size(), "no value that is not in the file");
}

void check_truth(std::span<const std::byte> bytes) {
  const auto truth = cairn::tools::parse_ibin(bytes);
  if (!truth) return;
  require(truth->ids.size() == truth->rows * truth->columns, "there are rows * columns ids");
  require(truth->ids.size() * 4 <= bytes.size(), "no id that is not in the file");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Input input(data, size);
  const unsigned format = input.u8();
  const auto bytes = input.all();
  const unsigned choice = format % (kTruth + 1);
  if (choice == kIntegers) check_integers(std::as_bytes(bytes));
  if (choice == kTruth) check_truth(std::as_bytes(bytes));
  if (choice >= kFormats.size()) return 0;
  const auto file = cairn::tools::parse_vectors(kFormats[choice], std::as_bytes(bytes));
  if (!file) {
    require(!file.error().message().empty(), "an error has a message");
    return 0;
  }
  require(file->dims >= 1 && file->dims <= 65535, "dims is in its range");
  require(file->values.size() == file->rows * file->dims, "there are rows * dims values");
  require(file->values.size() <= bytes.size(), "no value that is not in the file");
  float sum = 0;
  for (std::size_t i = 0; i < file->rows; ++i) sum += file->row(i).back();
  require(sum == sum || sum != sum, "rows can be read");
  return 0;
}
