// SPDX-License-Identifier: Apache-2.0
//
// The f32 rows of a file in the scalar kind of an index: what `build` stores and queries become.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include <cairn/error.h>
#include <cairn/params.h>
#include <cairn/types.h>

#include "tools/files/vector_file.h"

namespace cairn::tools {

// A vector that Index::get() gave, as it is stored: exact. Unlike convert() it takes -128 as i8,
// which files of others and rows of that kind may hold. `out` has vector_bytes() of it.
Result<void> as_stored(std::span<const float> vector, Scalar scalar, std::span<std::byte> out);

// One row after the other. The file outlives it.
class RowConverter {
 public:
  // `name` is what errors call the file: "NAME: row N: ".
  RowConverter(const VectorFile& file, std::string name, const IndexParams& params);

  // Into vector_bytes() of the kind and the dimensions. Converts and checks as cairn::convert does.
  // For i8 under cosine, which does not see lengths, each row is scaled first so that its largest
  // component becomes 127 or -127; elsewhere a component outside [-127, 127] is an error.
  Result<void> copy(std::size_t row, std::byte* out) const;
  // Whether all rows can be converted.
  Result<void> check() const;

 private:
  const VectorFile& file_;
  std::string name_;
  Scalar scalar_;
  bool is_scaled_;
};

// Rows of f32 are those of the file, which outlives this object; others are converted copies.
class StoredRows {
 public:
  StoredRows() = default;
  StoredRows(const StoredRows&) = delete;  // view_ would be the other's
  StoredRows& operator=(const StoredRows&) = delete;
  StoredRows(StoredRows&&) noexcept = default;
  StoredRows& operator=(StoredRows&&) noexcept = default;
  ~StoredRows() = default;

  // Converted as RowConverter does.
  static Result<StoredRows> of(const VectorFile& file, const std::string& name,
                               const IndexParams& params);

  const MatrixView& view() const { return view_; }
  VectorView row(std::size_t i) const { return view_.row(i); }

  // What the rows stand for, as floats.
  Result<VectorFile> floats() const;

 private:
  std::vector<std::byte> bytes_;
  MatrixView view_;
};

}  // namespace cairn::tools
