// SPDX-License-Identifier: Apache-2.0
#include "tools/files/truth_file.h"

#include <array>
#include <bit>
#include <limits>
#include <new>
#include <type_traits>
#include <utility>

#include "tools/files/hdf5_file.h"
#include "tools/files/little_endian.h"
#include "tools/files/npy_header.h"
#include "tools/files/packed_rows.h"

namespace cairn::tools {

static_assert(std::endian::native == std::endian::little,
              "ids are copied as they stand in the file");

namespace {

template <class Id>
Result<IdTable<Id>> allocate_ids(std::uint64_t rows, std::uint64_t columns) {
  IdTable<Id> table;
  table.rows = rows;
  table.columns = columns;
  try {
    table.ids.resize(rows * columns);
  } catch (const std::bad_alloc&) {
    return Error(ErrorCode::out_of_memory,
                 "no memory for " + std::to_string(rows * columns) + " ids");
  }
  return table;
}

template <class Id>
Result<IdTable<Id>> parse_ids(const ByteSource& source) {
  std::array<std::byte, 8> header;
  if (source.size() < header.size()) {
    return malformed("the file ends at byte " + std::to_string(source.size()) +
                     ", in the header of 8 bytes");
  }
  if (auto ok = source.read(0, header); !ok) return ok.error();
  const std::uint64_t rows = load_u32(header.data());
  const std::uint64_t columns = load_u32(header.data() + 4);
  const std::uint64_t cells = rows * columns;  // below 2^64
  const std::uint64_t bytes = source.size() - header.size();
  const auto is = [&](std::uint64_t each) { return bytes % each == 0 && bytes / each == cells; };
  if (!is(sizeof(Id)) && !is(sizeof(Id) + sizeof(float))) {
    return malformed("the header says " + std::to_string(rows) + " rows of " +
                     std::to_string(columns) + " ids, with or without as many distances, but the " +
                     "file has " + std::to_string(source.size()) + " bytes");
  }
  auto table = allocate_ids<Id>(rows, columns);
  if (!table) return table;
  if (auto ok = source.read(header.size(), std::as_writable_bytes(std::span(table->ids))); !ok)
    return ok.error();
  return table;
}

template <class Id>
Result<IdTable<Id>> parse_ivecs(const ByteSource& source) {
  std::array<std::byte, 4> width;
  if (source.size() < width.size()) return malformed("the file ends in the first row's width");
  if (auto ok = source.read(0, width); !ok) return ok.error();
  const std::uint64_t columns = load_u32(width.data());
  const std::uint64_t row_bytes = 4 + columns * 4;
  if (source.size() % row_bytes != 0) {
    return malformed("the file has " + std::to_string(source.size()) + " bytes, no multiple of a " +
                     "row of " + std::to_string(columns) + " ids");
  }
  auto table = allocate_ids<Id>(source.size() / row_bytes, columns);
  if (!table) return table;
  std::vector<std::byte> row(row_bytes);
  for (std::uint64_t i = 0; i < table->rows; ++i) {
    if (auto ok = source.read(i * row_bytes, row); !ok) return ok.error();
    if (load_u32(row.data()) != columns) {
      return malformed("row " + std::to_string(i) + " at byte " + std::to_string(i * row_bytes) +
                       " has " + std::to_string(load_u32(row.data())) + " ids, the first row " +
                       std::to_string(columns));
    }
    for (std::uint64_t c = 0; c < columns; ++c)
      table->ids[i * columns + c] = load_u32(row.data() + 4 + 4 * c);
  }
  return table;
}

template <class Id>
Result<IdTable<Id>> parse_npy_ids(const ByteSource& source) {
  // Keys of other engines may be negative, and -1 stands for nothing; row numbers are neither.
  constexpr bool kAreKeys = std::is_same_v<Id, Key>;
  const auto array = parse_npy_integers(source, kAreKeys ? Negative::keep_bits : Negative::refused);
  if (!array) return array.error();
  if (array->shape.size() != 2) {
    return malformed("the array has " + std::to_string(array->shape.size()) +
                     " dimensions, not 2 (queries, neighbours)");
  }
  auto table = allocate_ids<Id>(array->shape[0], array->shape[1]);
  if (!table) return table;
  for (std::size_t i = 0; i < array->values.size(); ++i) {
    if (array->values[i] > std::numeric_limits<Id>::max()) {
      return malformed("row " + std::to_string(i / table->columns) + ": " +
                       std::to_string(array->values[i]) + " is no row number");
    }
    table->ids[i] = static_cast<Id>(array->values[i]);
  }
  return table;
}

// What both kinds have in common; `ibin` is how all but three suffixes are read.
template <class Id>
Result<IdTable<Id>> read_ids(const std::string& path,
                             Result<IdTable<Id>> (*ibin)(const ByteSource&)) {
  auto opened = open_regular_file(path);
  if (!opened) return opened.error();
  const FileSource source(std::move(opened->descriptor), opened->size);
  auto table = path.ends_with(".ivecs") ? parse_ivecs<Id>(source)
               : path.ends_with(".npy") ? parse_npy_ids<Id>(source)
                                        : ibin(source);
  if (!table) return table.error().with_context("read " + path);
  return table;
}

bool is_hdf5(const std::string& path) {
  const auto format = vector_format(path);
  return format && *format == VectorFormat::hdf5;
}

}  // namespace

Result<TruthFile> parse_ibin(const ByteSource& source) { return parse_ids<std::uint32_t>(source); }

Result<TruthFile> read_truth(const std::string& path) {
  if (is_hdf5(path)) {
    auto truth = read_hdf5_truth(path);
    if (!truth) return truth.error().with_context("read " + path);
    return truth;
  }
  return read_ids<std::uint32_t>(path, parse_ids<std::uint32_t>);
}

Result<AnswerFile> read_answers(const std::string& path, IdWidth width) {
  if (!is_hdf5(path) && (width == IdWidth::u64 || path.ends_with(".npy")))
    return read_ids<Key>(path, parse_ids<Key>);
  const auto truth = read_truth(path);
  if (!truth) return truth.error();
  return AnswerFile{truth->rows, truth->columns, {truth->ids.begin(), truth->ids.end()}};
}

}  // namespace cairn::tools
