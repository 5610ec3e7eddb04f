// SPDX-License-Identifier: Apache-2.0
#include "tools/files/vector_file.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstdint>
#include <new>
#include <utility>

#include "tools/files/hdf5_file.h"
#include "tools/files/little_endian.h"
#include "tools/files/npy_header.h"
#include "tools/files/packed_rows.h"

namespace cairn::tools {
namespace {

static_assert(std::endian::native == std::endian::little,
              "rows are copied as they stand in the file");

constexpr std::uint64_t kBinHeader = 8;

Result<PackedRows> read_bin_rows(const ByteSource& source, ElementKind kind) {
  if (source.size() < kBinHeader) {
    return malformed("the file ends at byte " + std::to_string(source.size()) +
                     ", in the header of 8 bytes");
  }
  std::array<std::byte, kBinHeader> header;
  if (auto ok = source.read(0, header); !ok) return ok.error();
  const PackedRows packed{
      {kind, false}, load_u32(header.data()), load_u32(header.data() + 4), kBinHeader};
  if (auto ok = check_dims(packed.dims, 4); !ok) return ok.error();
  return packed;
}

// u32 rows, u32 dims, then the rows.
Result<VectorFile> parse_bin(const ByteSource& source, ElementKind kind) {
  const auto packed = read_bin_rows(source, kind);
  if (!packed) return packed.error();
  return read_packed(source, *packed);
}

bool stand_as_in_memory(const PackedRows& packed) {
  const bool is_f32 = packed.element.kind == ElementKind::f32 && !packed.element.swapped;
  return is_f32 && packed.order == Order::rows && packed.offset % alignof(float) == 0;
}

// For each row u32 dims, then its elements, which f32 holds all.
Result<VectorFile> parse_vecs(const ByteSource& source, ElementKind kind) {
  if (source.size() == 0) return malformed("the file is empty");
  std::array<std::byte, 4> width;
  if (source.size() < width.size()) {
    return malformed("the file ends at byte " + std::to_string(source.size()) +
                     ", in the first row's width");
  }
  if (auto ok = source.read(0, width); !ok) return ok.error();
  const std::uint64_t dims = load_u32(width.data());
  if (auto ok = check_dims(dims, 0); !ok) return ok.error();

  const std::uint64_t row_bytes = 4 + dims * element_bytes(kind);
  const std::uint64_t rows = source.size() / row_bytes;
  // Whole blocks of rows are read at once; a row of another width is found in its place even if the
  // sizes happen to add up.
  auto file = allocate_rows(rows, dims);
  if (!file) return file;
  const std::uint64_t block_rows = std::max<std::uint64_t>(1, (std::uint64_t{1} << 20) / row_bytes);
  std::vector<std::byte> block(static_cast<std::size_t>(std::min(block_rows, rows) * row_bytes));
  for (std::uint64_t first = 0; first < rows; first += block_rows) {
    const std::uint64_t count = std::min(block_rows, rows - first);
    const std::span<std::byte> bytes(block.data(), count * row_bytes);
    if (auto ok = source.read(first * row_bytes, bytes); !ok) return ok.error();
    for (std::uint64_t i = 0; i < count; ++i) {
      const auto row = bytes.subspan(i * row_bytes, row_bytes);
      if (load_u32(row.data()) != dims) {
        return malformed("row " + std::to_string(first + i) + " at byte " +
                         std::to_string((first + i) * row_bytes) + " has " +
                         std::to_string(load_u32(row.data())) + " dimensions, the first row " +
                         std::to_string(dims));
      }
      (void)to_f32({kind, false}, row.subspan(4),
                   std::span(file->values).subspan((first + i) * dims, dims));
    }
  }
  if (source.size() % row_bytes != 0) {
    return malformed("the file ends at byte " + std::to_string(source.size()) + ", in row " +
                     std::to_string(rows) + " of " + std::to_string(dims) + " dimensions");
  }
  return file;
}

// A file by its suffix; `dataset` of those that have several.
Result<VectorFile> read_file(const std::string& path, const char* dataset) {
  const auto format = vector_format(path);
  if (!format) return format.error().with_context("read " + path);
  if (*format == VectorFormat::hdf5) {
    auto file = read_hdf5(path, dataset);
    if (!file) return file.error().with_context("read " + path);
    return file;
  }
  auto opened = open_regular_file(path);
  if (!opened) return opened.error();
  const FileSource source(std::move(opened->descriptor), opened->size);
  auto file = parse_vectors(*format, source);
  if (!file) return file.error().with_context("read " + path);
  return file;
}

}  // namespace

Result<VectorFormat> vector_format(std::string_view path) {
  constexpr std::array<std::pair<std::string_view, VectorFormat>, 8> kSuffixes = {
      {{".fbin", VectorFormat::fbin},
       {".u8bin", VectorFormat::u8bin},
       {".i8bin", VectorFormat::i8bin},
       {".fvecs", VectorFormat::fvecs},
       {".bvecs", VectorFormat::bvecs},
       {".npy", VectorFormat::npy},
       {".hdf5", VectorFormat::hdf5},
       {".h5", VectorFormat::hdf5}}};
  for (const auto& [suffix, format] : kSuffixes) {
    if (path.ends_with(suffix)) return format;
  }
  if (path.ends_with(".parquet")) {
    return Error(ErrorCode::unsupported,
                 "the Python package reads .parquet, this command does not");
  }
  return Error(ErrorCode::unsupported,
               "unknown suffix; known are .fbin, .u8bin, .i8bin, .fvecs, .bvecs, .npy and .hdf5");
}

Result<VectorFile> parse_vectors(VectorFormat format, const ByteSource& source) {
  switch (format) {
    case VectorFormat::fbin: return parse_bin(source, ElementKind::f32);
    case VectorFormat::u8bin: return parse_bin(source, ElementKind::u8);
    case VectorFormat::i8bin: return parse_bin(source, ElementKind::i8);
    case VectorFormat::fvecs: return parse_vecs(source, ElementKind::f32);
    case VectorFormat::bvecs: return parse_vecs(source, ElementKind::u8);
    case VectorFormat::npy: return parse_npy(source);
    case VectorFormat::hdf5: break;
  }
  return Error(ErrorCode::unsupported, "only from a file");
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
      return Error(ErrorCode::out_of_memory, "no memory for " + shape_text(file.rows, file.dims));
    }
    const std::span<float> part(file.values.data() + filled, next - filled);
    got = read_some(descriptor, std::as_writable_bytes(part));
    if (!got) return got.error();
    if (*got < part.size_bytes()) {
      const std::size_t bytes = filled * sizeof(float) + *got;
      if (auto ok = check_size(file.rows, file.dims, sizeof(float), header.size(), bytes); !ok)
        return ok.error();
    }
    filled = next;
  }
  std::array<std::byte, 1> behind;
  got = read_some(descriptor, behind);
  if (!got) return got.error();
  if (*got != 0)
    return malformed("the header says " + shape_text(file.rows, file.dims) +
                     ", but the input goes on");
  return file;
}

Result<VectorFile> read_vectors(const std::string& path) {
  if (path == "-") {
    auto file = read_fbin_stream(STDIN_FILENO);
    if (!file) return file.error().with_context("read standard input");
    return file;
  }
  return read_file(path, "train");
}

Result<VectorFile> map_vectors(const std::string& path) {
  if (path == "-") return read_vectors(path);
  const auto format = vector_format(path);
  if (!format || (*format != VectorFormat::fbin && *format != VectorFormat::npy)) {
    return read_vectors(path);
  }
  const auto opened = open_regular_file(path);
  if (!opened) return opened.error();
  const std::uint64_t bytes = opened->size;
  void* const at = bytes == 0
                       ? MAP_FAILED
                       : ::mmap(nullptr, bytes, PROT_READ, MAP_SHARED, opened->descriptor.get(), 0);
  if (at == MAP_FAILED) return read_vectors(path);
  const std::shared_ptr<const std::byte> map(
      static_cast<const std::byte*>(at),
      [bytes](const std::byte* begin) { ::munmap(const_cast<std::byte*>(begin), bytes); });
  const MemorySource source({map.get(), bytes});
  const auto packed = *format == VectorFormat::npy ? read_npy_rows(source)
                                                   : read_bin_rows(source, ElementKind::f32);
  if (!packed) return packed.error().with_context("read " + path);
  if (!stand_as_in_memory(*packed)) return read_vectors(path);
  const auto fits =
      check_size(packed->rows, packed->dims, sizeof(float), packed->offset, bytes - packed->offset);
  if (!fits) return fits.error().with_context("read " + path);
  VectorFile file;
  file.rows = packed->rows;
  file.dims = packed->dims;
  file.mapped =
      std::shared_ptr<const float>(map, reinterpret_cast<const float*>(map.get() + packed->offset));
  return file;
}

Result<VectorFile> read_query_rows(const std::string& path) {
  return path == "-" ? read_vectors(path) : read_file(path, "test");
}

Result<void> check_queries(const VectorFile& queries, const std::string& path, std::size_t dims) {
  if (queries.dims != dims) {
    std::string what = path + ": queries of " + std::to_string(queries.dims) +
                       " dimensions, the index has " + std::to_string(dims);
    // As most libraries hand out vectors of bits.
    if (queries.dims == dims / 8 && dims % 8 == 0) {
      what += "; of packed bits each must be a component: numpy.unpackbits";
    }
    return Error(ErrorCode::dimension_mismatch, std::move(what));
  }
  for (std::size_t i = 0; i < queries.values.size(); ++i) {
    if (!std::isfinite(queries.values[i])) {
      return Error(ErrorCode::not_finite, path + ": query " + std::to_string(i / dims) +
                                              ", component " + std::to_string(i % dims) +
                                              " is not finite");
    }
  }
  return {};
}

Result<VectorFile> read_queries(const std::string& path, std::size_t dims) {
  auto file = read_query_rows(path);
  if (!file) return file;
  if (auto ok = check_queries(*file, path, dims); !ok) return ok.error();
  return file;
}

}  // namespace cairn::tools
