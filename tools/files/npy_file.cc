// SPDX-License-Identifier: Apache-2.0
//
// NumPy arrays: rows of numbers, and keys.
#include <algorithm>
#include <array>
#include <exception>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "tools/files/npy_header.h"
#include "tools/files/packed_rows.h"
#include "tools/files/vector_file.h"

namespace cairn::tools {
namespace {

constexpr std::string_view kWords = "f2, f4, f8, i1, i2, i4, i8, u1, u2, u4, u8 or b1";

// '<f4', '>f8', '|u1'. '=' is of no file.
std::optional<Element> element_of(std::string_view descr) {
  struct Word {
    std::string_view text;
    ElementKind kind;
  };
  constexpr std::array<Word, 12> kKinds = {{{"f2", ElementKind::f16},
                                            {"f4", ElementKind::f32},
                                            {"f8", ElementKind::f64},
                                            {"i1", ElementKind::i8},
                                            {"i2", ElementKind::i16},
                                            {"i4", ElementKind::i32},
                                            {"i8", ElementKind::i64},
                                            {"u1", ElementKind::u8},
                                            {"u2", ElementKind::u16},
                                            {"u4", ElementKind::u32},
                                            {"u8", ElementKind::u64},
                                            {"b1", ElementKind::boolean}}};
  if (descr.size() != 3) return {};
  for (const auto& [text, kind] : kKinds) {
    if (descr.substr(1) != text) continue;
    const char order = descr[0];
    if (order == '<' || order == '>') return Element{kind, order == '>'};
    if (order == '|' && element_bytes(kind) == 1) return Element{kind, false};
  }
  return {};
}

Error unknown_dtype(const NpyHeader& header) {
  return malformed("dtype '" + header.descr.substr(0, kMaxQuoted) + "' is none of " +
                   std::string(kWords) + ": convert with array.astype('<f4')");
}

// One integer; nothing for one that is negative and refused.
std::optional<std::uint64_t> integer_at(const std::byte* at, Element element, Negative negative) {
  const std::size_t bytes = element_bytes(element.kind);
  std::uint64_t value = 0;
  for (std::size_t i = 0; i < bytes; ++i) {
    const std::size_t place = element.swapped ? bytes - 1 - i : i;
    value |= std::to_integer<std::uint64_t>(at[place]) << 8 * i;
  }
  const bool is_signed = element.kind == ElementKind::i8 || element.kind == ElementKind::i16 ||
                         element.kind == ElementKind::i32 || element.kind == ElementKind::i64;
  if (!is_signed || (value >> (8 * bytes - 1) & 1) == 0) return value;
  if (negative == Negative::refused) return {};
  return bytes == 8 ? value : value | ~std::uint64_t{0} << 8 * bytes;
}

bool is_integer(ElementKind kind) {
  switch (kind) {
    case ElementKind::f16:
    case ElementKind::f32:
    case ElementKind::f64:
    case ElementKind::boolean: return false;
    default: return true;
  }
}

// How many elements the shape promises; nothing if it is not what the file has room for.
std::optional<std::uint64_t> count_of(const NpyHeader& header, std::size_t bytes,
                                      std::uint64_t available) {
  std::uint64_t count = 1;
  for (const std::uint64_t extent : header.shape) {
    if (extent != 0 && count > available / extent) return {};
    count *= extent;
  }
  if (available % bytes != 0 || available / bytes != count) return {};
  return count;
}

}  // namespace

Result<NpyIntegers> parse_npy_integers(const ByteSource& source, Negative negative) {
  auto header = read_npy_header(source);
  if (!header) return header.error();
  const auto element = element_of(header->descr);
  if (!element || !is_integer(element->kind)) {
    return malformed("dtype '" + header->descr.substr(0, kMaxQuoted) + "' is no integer");
  }
  const std::size_t each = element_bytes(element->kind);
  const auto count = count_of(*header, each, source.size() - header->data_offset);
  if (!count) return malformed("the size of the file is not that of the array's shape");
  if (header->fortran_order && header->shape.size() > 1) {
    return malformed("the array is in Fortran order: convert with numpy.ascontiguousarray(array)");
  }
  NpyIntegers array{std::move(header->shape), {}};
  try {
    array.values.resize(*count);
  } catch (const std::exception&) {  // bad_alloc, length_error
    return Error(ErrorCode::out_of_memory, "no memory for " + std::to_string(*count) + " integers");
  }
  std::vector<std::byte> block(std::size_t{1} << 16);
  const std::uint64_t at_once = block.size() / each;
  for (std::uint64_t first = 0; first < *count; first += at_once) {
    const std::uint64_t some = std::min(at_once, *count - first);
    const auto bytes = std::span(block).first(some * each);
    if (auto ok = source.read(header->data_offset + first * each, bytes); !ok) return ok.error();
    for (std::uint64_t i = 0; i < some; ++i) {
      const auto value = integer_at(bytes.data() + i * each, *element, negative);
      if (!value) return malformed("element " + std::to_string(first + i) + " is negative");
      array.values[first + i] = *value;
    }
  }
  return array;
}

Result<PackedRows> read_npy_rows(const ByteSource& source) {
  auto header = read_npy_header(source);
  if (!header) return header.error();
  const auto element = element_of(header->descr);
  if (!element) return unknown_dtype(*header);
  if (header->shape.empty() || header->shape.size() > 2) {
    return malformed("the array has " + std::to_string(header->shape.size()) +
                     " dimensions, not 2 (rows, components) or 1 (one row)");
  }
  const std::uint64_t rows = header->shape.size() == 1 ? 1 : header->shape.front();
  const std::uint64_t dims = header->shape.back();
  if (dims < 1 || dims > kMaxDims) {
    return malformed("the shape says " + std::to_string(dims) +
                     " components a row, not 1 ... 65535");
  }
  const bool is_by_columns = header->fortran_order && rows > 1;
  return PackedRows{*element, rows, dims, header->data_offset,
                    is_by_columns ? Order::columns : Order::rows};
}

Result<VectorFile> parse_npy(const ByteSource& source) {
  const auto packed = read_npy_rows(source);
  if (!packed) return packed.error();
  return read_packed(source, *packed);
}

}  // namespace cairn::tools
