// SPDX-License-Identifier: Apache-2.0
#include "tools/files/packed_rows.h"

#include <algorithm>
#include <new>
#include <span>
#include <stdexcept>
#include <utility>
#include <vector>

namespace cairn::tools {
namespace {

// Read at once.
constexpr std::uint64_t kBlockBytes = std::uint64_t{1} << 20;

Result<void> read_rows(const ByteSource& source, Element element, std::uint64_t offset,
                       VectorFile& file) {
  const std::uint64_t row_bytes = file.dims * element_bytes(element.kind);
  const std::uint64_t block_rows = std::max<std::uint64_t>(1, kBlockBytes / row_bytes);
  std::vector<std::byte> block(std::min<std::uint64_t>(block_rows, file.rows) * row_bytes);
  for (std::uint64_t first = 0; first < file.rows; first += block_rows) {
    const std::uint64_t count = std::min<std::uint64_t>(block_rows, file.rows - first);
    const auto bytes = std::span(block).first(count * row_bytes);
    if (auto ok = source.read(offset + first * row_bytes, bytes); !ok) return ok;
    const auto out = std::span(file.values).subspan(first * file.dims, count * file.dims);
    if (const auto misfit = to_f32(element, bytes, out)) {
      return misfit_error(*misfit, first + misfit->index / file.dims, misfit->index % file.dims);
    }
  }
  return {};
}

// Tiles of so many rows that what is written stays in a cache while its columns arrive.
Result<void> read_columns(const ByteSource& source, Element element, std::uint64_t offset,
                          VectorFile& file) {
  const std::uint64_t each = element_bytes(element.kind);
  const std::uint64_t tile_rows =
      std::clamp<std::uint64_t>(kBlockBytes / (file.dims * sizeof(float)), 1024, 65536);
  std::vector<std::byte> bytes(std::min<std::uint64_t>(tile_rows, file.rows) * each);
  std::vector<float> floats(std::min<std::uint64_t>(tile_rows, file.rows));
  for (std::uint64_t first = 0; first < file.rows; first += tile_rows) {
    const std::uint64_t count = std::min<std::uint64_t>(tile_rows, file.rows - first);
    const auto from = std::span(bytes).first(count * each);
    const auto column = std::span(floats).first(count);
    for (std::uint64_t c = 0; c < file.dims; ++c) {
      if (auto ok = source.read(offset + (c * file.rows + first) * each, from); !ok) return ok;
      if (const auto misfit = to_f32(element, from, column)) {
        return misfit_error(*misfit, first + misfit->index, c);
      }
      float* out = file.values.data() + first * file.dims + c;
      for (std::uint64_t i = 0; i < count; ++i) out[i * file.dims] = column[i];
    }
  }
  return {};
}

}  // namespace

Error malformed(std::string message) {
  return Error(ErrorCode::invalid_argument, std::move(message));
}

std::string shape_text(std::uint64_t rows, std::uint64_t dims) {
  return std::to_string(rows) + " rows of " + std::to_string(dims) + " dimensions";
}

Error misfit_error(const Misfit& misfit, std::uint64_t row, std::uint64_t component) {
  return malformed("row " + std::to_string(row) + ", component " + std::to_string(component) +
                   ": " + misfit.what);
}

Result<void> check_dims(std::uint64_t dims, std::uint64_t offset) {
  if (dims >= 1 && dims <= kMaxDims) return {};
  return malformed("dimensions at byte " + std::to_string(offset) + " are " + std::to_string(dims) +
                   ", not 1 ... 65535");
}

Result<void> check_size(std::uint64_t rows, std::uint64_t dims, std::size_t bytes_each,
                        std::uint64_t header_bytes, std::uint64_t available) {
  const std::uint64_t row_bytes = dims * bytes_each;
  if (available % row_bytes == 0 && available / row_bytes == rows) return {};
  const bool shorter = available / row_bytes < rows;
  std::string message = "the header says " + shape_text(rows, dims) + ", but the file ";
  if (shorter) {
    message += "ends at byte " + std::to_string(header_bytes + available) + ", in row " +
               std::to_string(available / row_bytes);
  } else {
    message += "goes on for " + std::to_string(available - rows * row_bytes) +
               " bytes behind the last row";
  }
  return malformed(std::move(message));
}

Result<VectorFile> allocate_rows(std::uint64_t rows, std::uint64_t dims) {
  VectorFile file;
  file.rows = rows;
  file.dims = dims;
  try {
    file.values.resize(rows * dims);
  } catch (const std::bad_alloc&) {
    return Error(ErrorCode::out_of_memory, "no memory for " + shape_text(rows, dims));
  } catch (const std::length_error&) {
    return Error(ErrorCode::out_of_memory, "no memory for " + shape_text(rows, dims));
  }
  return file;
}

Result<VectorFile> read_packed(const ByteSource& source, const PackedRows& packed) {
  const auto [element, rows, dims, offset, order] = packed;
  if (auto ok = check_size(rows, dims, element_bytes(element.kind), offset, source.size() - offset);
      !ok) {
    return ok.error();
  }
  auto file = allocate_rows(rows, dims);
  if (!file) return file;
  const bool as_they_are = element.kind == ElementKind::f32 && !element.swapped;
  auto ok = order == Order::columns ? read_columns(source, element, offset, *file)
            : as_they_are ? source.read(offset, std::as_writable_bytes(std::span(file->values)))
                          : read_rows(source, element, offset, *file);
  if (!ok) return ok.error();
  return file;
}

}  // namespace cairn::tools
