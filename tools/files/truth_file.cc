// SPDX-License-Identifier: Apache-2.0
#include "tools/files/truth_file.h"

#include <array>
#include <bit>
#include <new>
#include <utility>

#include "tools/files/little_endian.h"

namespace cairn::tools {

static_assert(std::endian::native == std::endian::little,
              "ids are copied as they stand in the file");

Result<TruthFile> parse_ibin(const ByteSource& source) {
  std::array<std::byte, 8> header;
  if (source.size() < header.size()) {
    return Error(
        ErrorCode::invalid_argument,
        "the file ends at byte " + std::to_string(source.size()) + ", in the header of 8 bytes");
  }
  if (auto ok = source.read(0, header); !ok) return ok.error();
  const std::uint64_t rows = load_u32(header.data());
  const std::uint64_t columns = load_u32(header.data() + 4);
  const std::uint64_t cells = rows * columns;  // below 2^64
  const std::uint64_t words = (source.size() - header.size()) / 4;
  const bool whole = (source.size() - header.size()) % 4 == 0;
  if (!whole || (words != cells && (words % 2 != 0 || words / 2 != cells))) {
    return Error(ErrorCode::invalid_argument,
                 "the header says " + std::to_string(rows) + " rows of " + std::to_string(columns) +
                     " ids, with or without as many distances, but the file has " +
                     std::to_string(source.size()) + " bytes");
  }
  TruthFile truth;
  truth.rows = rows;
  truth.columns = columns;
  try {
    truth.ids.resize(cells);
  } catch (const std::bad_alloc&) {
    return Error(ErrorCode::out_of_memory, "no memory for " + std::to_string(cells) + " ids");
  }
  if (auto ok = source.read(header.size(), std::as_writable_bytes(std::span(truth.ids))); !ok)
    return ok.error();
  return truth;
}

Result<TruthFile> read_truth(const std::string& path) {
  auto opened = open_regular_file(path);
  if (!opened) return opened.error();
  auto truth = parse_ibin(FileSource(std::move(opened->descriptor), opened->size));
  if (!truth) return truth.error().with_context("read " + path);
  return truth;
}

}  // namespace cairn::tools
