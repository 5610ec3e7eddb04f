// SPDX-License-Identifier: Apache-2.0
#include "tools/files/vector_file.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <new>
#include <stdexcept>
#include <utility>

#include "tools/files/little_endian.h"
#include "tools/files/npy_header.h"

namespace cairn::tools {
namespace {

static_assert(std::endian::native == std::endian::little,
              "rows are copied as they stand in the file");

constexpr std::uint64_t kMaxDims = 65535;

Error malformed(std::string message) {
  return Error(ErrorCode::invalid_argument, std::move(message));
}

std::string shape(std::uint64_t rows, std::uint64_t dims) {
  return std::to_string(rows) + " rows of " + std::to_string(dims) + " dimensions";
}

Result<void> check_dims(std::uint64_t dims, std::uint64_t offset) {
  if (dims >= 1 && dims <= kMaxDims) return {};
  return malformed("dimensions at byte " + std::to_string(offset) + " are " + std::to_string(dims) +
                   ", not 1 ... 65535");
}

// The header promises rows * dims floats in `available` bytes, behind a header of `header_bytes`.
Result<void> check_size(std::uint64_t rows, std::uint64_t dims, std::uint64_t header_bytes,
                        std::uint64_t available) {
  const std::uint64_t row_bytes = dims * sizeof(float);
  if (available % row_bytes == 0 && available / row_bytes == rows) return {};
  const bool shorter = available / row_bytes < rows;
  std::string message = "the header says " + shape(rows, dims) + ", but the file ";
  if (shorter) {
    message += "ends at byte " + std::to_string(header_bytes + available) + ", in row " +
               std::to_string(available / row_bytes);
  } else {
    message += "goes on for " + std::to_string(available - rows * row_bytes) +
               " bytes behind the last row";
  }
  return malformed(std::move(message));
}

// REQUIRES: the sizes were compared with those of the input.
Result<VectorFile> allocate(std::uint64_t rows, std::uint64_t dims) {
  VectorFile file;
  file.rows = rows;
  file.dims = dims;
  try {
    file.values.resize(rows * dims);
  } catch (const std::bad_alloc&) {
    return Error(ErrorCode::out_of_memory, "no memory for " + shape(rows, dims));
  } catch (const std::length_error&) {
    return Error(ErrorCode::out_of_memory, "no memory for " + shape(rows, dims));
  }
  return file;
}

// All rows, packed from `offset` to the end.
Result<VectorFile> read_packed(const ByteSource& source, std::uint64_t rows, std::uint64_t dims,
                               std::uint64_t offset) {
  if (auto ok = check_size(rows, dims, offset, source.size() - offset); !ok) return ok.error();
  auto file = allocate(rows, dims);
  if (!file) return file;
  if (auto ok = source.read(offset, std::as_writable_bytes(std::span(file->values))); !ok)
    return ok.error();
  return file;
}

}  // namespace

Result<VectorFormat> vector_format(std::string_view path) {
  constexpr std::array<std::pair<std::string_view, VectorFormat>, 3> kSuffixes = {
      {{".fbin", VectorFormat::fbin},
       {".fvecs", VectorFormat::fvecs},
       {".npy", VectorFormat::npy}}};
  for (const auto& [suffix, format] : kSuffixes) {
    if (path.ends_with(suffix)) return format;
  }
  return Error(ErrorCode::unsupported, "unknown suffix; known are .fbin, .fvecs and .npy");
}

Result<VectorFile> parse_fbin(const ByteSource& source) {
  constexpr std::uint64_t kHeaderBytes = 8;
  if (source.size() < kHeaderBytes) {
    return malformed("the file ends at byte " + std::to_string(source.size()) +
                     ", in the header of 8 bytes");
  }
  std::array<std::byte, kHeaderBytes> header;
  if (auto ok = source.read(0, header); !ok) return ok.error();
  const std::uint64_t rows = load_u32(header.data());
  const std::uint64_t dims = load_u32(header.data() + 4);
  if (auto ok = check_dims(dims, 4); !ok) return ok.error();
  return read_packed(source, rows, dims, kHeaderBytes);
}

Result<VectorFile> parse_fvecs(const ByteSource& source) {
  if (source.size() == 0) return malformed("the file is empty");
  std::array<std::byte, 4> width;
  if (source.size() < width.size()) {
    return malformed("the file ends at byte " + std::to_string(source.size()) +
                     ", in the first row's width");
  }
  if (auto ok = source.read(0, width); !ok) return ok.error();
  const std::uint64_t dims = load_u32(width.data());
  if (auto ok = check_dims(dims, 0); !ok) return ok.error();

  const std::uint64_t row_bytes = 4 + dims * sizeof(float);
  const std::uint64_t rows = source.size() / row_bytes;
  // Whole blocks of rows are read at once; a row of another width is found in its place even if the
  // sizes happen to add up.
  auto file = allocate(rows, dims);
  if (!file) return file;
  const std::uint64_t block_rows = std::max<std::uint64_t>(1, (std::uint64_t{1} << 20) / row_bytes);
  std::vector<std::byte> block(static_cast<std::size_t>(std::min(block_rows, rows) * row_bytes));
  for (std::uint64_t first = 0; first < rows; first += block_rows) {
    const std::uint64_t count = std::min(block_rows, rows - first);
    const std::span<std::byte> bytes(block.data(), count * row_bytes);
    if (auto ok = source.read(first * row_bytes, bytes); !ok) return ok.error();
    for (std::uint64_t i = 0; i < count; ++i) {
      const std::byte* row = bytes.data() + i * row_bytes;
      if (load_u32(row) != dims) {
        return malformed("row " + std::to_string(first + i) + " at byte " +
                         std::to_string((first + i) * row_bytes) + " has " +
                         std::to_string(load_u32(row)) + " dimensions, the first row " +
                         std::to_string(dims));
      }
      std::memcpy(file->values.data() + (first + i) * dims, row + 4, dims * sizeof(float));
    }
  }
  if (source.size() % row_bytes != 0) {
    return malformed("the file ends at byte " + std::to_string(source.size()) + ", in row " +
                     std::to_string(rows) + " of " + std::to_string(dims) + " dimensions");
  }
  return file;
}

Result<VectorFile> parse_npy(const ByteSource& source) {
  auto header = read_npy_header(source);
  if (!header) return header.error();
  if (header->descr != "<f4") {
    return malformed("dtype '" + header->descr.substr(0, kMaxQuoted) +
                     "' is not '<f4': convert with array.astype('<f4')");
  }
  if (header->fortran_order) {
    return malformed("the array is in Fortran order: convert with numpy.ascontiguousarray(array)");
  }
  if (header->shape.size() != 2) {
    return malformed("the array has " + std::to_string(header->shape.size()) +
                     " dimensions, not 2 (rows, components)");
  }
  const std::uint64_t rows = header->shape[0];
  const std::uint64_t dims = header->shape[1];
  if (dims < 1 || dims > kMaxDims) {
    return malformed("the shape says " + std::to_string(dims) +
                     " components a row, not 1 ... 65535");
  }
  return read_packed(source, rows, dims, header->data_offset);
}

Result<VectorFile> read_fbin_stream(int descriptor) {
  std::array<std::byte, 8> header;
  auto got = read_some(descriptor, header);
  if (!got) return got.error();
  if (*got < header.size()) {
    return malformed("the input ends at byte " + std::to_string(*got) +
                     ", in the header of 8 bytes");
  }
  VectorFile file;
  file.rows = load_u32(header.data());
  file.dims = load_u32(header.data() + 4);
  if (auto ok = check_dims(file.dims, 4); !ok) return ok.error();

  constexpr std::size_t kFirstFloats = std::size_t{1} << 18;
  const std::size_t total = file.rows * file.dims;
  std::size_t filled = 0;
  while (filled < total) {
    const std::size_t next = std::min(total, std::max(kFirstFloats, filled * 2));
    try {
      file.values.resize(next);
    } catch (const std::bad_alloc&) {
      return Error(ErrorCode::out_of_memory, "no memory for " + shape(file.rows, file.dims));
    }
    const std::span<float> part(file.values.data() + filled, next - filled);
    got = read_some(descriptor, std::as_writable_bytes(part));
    if (!got) return got.error();
    if (*got < part.size_bytes()) {
      const std::size_t bytes = filled * sizeof(float) + *got;
      if (auto ok = check_size(file.rows, file.dims, header.size(), bytes); !ok) return ok.error();
    }
    filled = next;
  }
  std::array<std::byte, 1> behind;
  got = read_some(descriptor, behind);
  if (!got) return got.error();
  if (*got != 0)
    return malformed("the header says " + shape(file.rows, file.dims) + ", but the input goes on");
  return file;
}

Result<VectorFile> read_vectors(const std::string& path) {
  if (path == "-") {
    auto file = read_fbin_stream(STDIN_FILENO);
    if (!file) return file.error().with_context("read standard input");
    return file;
  }
  const std::string context = "read " + path;
  const auto format = vector_format(path);
  if (!format) return format.error().with_context(context);
  auto opened = open_regular_file(path);
  if (!opened) return opened.error();
  const FileSource source(std::move(opened->descriptor), opened->size);
  const auto parse = [&]() -> Result<VectorFile> {
    switch (*format) {
      case VectorFormat::fbin: return parse_fbin(source);
      case VectorFormat::fvecs: return parse_fvecs(source);
      case VectorFormat::npy: return parse_npy(source);
    }
    return Error(ErrorCode::internal, "no reader");
  };
  auto file = parse();
  if (!file) return file.error().with_context(context);
  return file;
}

Result<VectorFile> read_queries(const std::string& path, std::size_t dims) {
  auto file = read_vectors(path);
  if (!file) return file;
  if (file->dims != dims) {
    return Error(ErrorCode::dimension_mismatch,
                 path + ": queries of " + std::to_string(file->dims) +
                     " dimensions, the index has " + std::to_string(dims));
  }
  for (std::size_t i = 0; i < file->values.size(); ++i) {
    if (!std::isfinite(file->values[i])) {
      return Error(ErrorCode::not_finite, path + ": query " + std::to_string(i / dims) +
                                              ", component " + std::to_string(i % dims) +
                                              " is not finite");
    }
  }
  return file;
}

}  // namespace cairn::tools
