// SPDX-License-Identifier: Apache-2.0
#include "tools/command/stored_rows.h"

#include <algorithm>
#include <cmath>
#include <span>

#include <cairn/convert.h>

namespace cairn::tools {
namespace {

// In double: a row may be as small as floats can be.
void scale_to_i8(std::span<const float> row, std::vector<float>& out) {
  float largest = 0;
  for (const float value : row) largest = std::max(largest, std::fabs(value));
  out.resize(row.size());
  for (std::size_t i = 0; i < row.size(); ++i) {
    const double scaled = double{row[i]} * 127 / double{largest};
    out[i] = largest > 0 ? static_cast<float>(scaled) : row[i];
  }
}

bool finite(std::span<const float> row) {
  return std::all_of(row.begin(), row.end(), [](float value) { return std::isfinite(value); });
}

}  // namespace

Result<StoredRows> StoredRows::of(const VectorFile& file, const std::string& name,
                                  const IndexParams& params) {
  StoredRows rows;
  const std::size_t stride = vector_bytes(params.scalar, file.dims);
  const bool as_they_are = params.scalar == Scalar::f32;
  rows.bytes_.resize((as_they_are ? 1 : file.rows) * stride);
  const bool scaled = params.scalar == Scalar::i8 && params.metric == Metric::cosine;
  std::vector<float> scratch;
  for (std::size_t i = 0; i < file.rows; ++i) {
    std::span<const float> row = file.row(i);
    if (scaled && finite(row)) {
      scale_to_i8(row, scratch);
      row = scratch;
    }
    // f32 is converted to be checked.
    const auto out = std::span(rows.bytes_).subspan(as_they_are ? 0 : i * stride, stride);
    if (auto ok = convert(row, params.scalar, out); !ok) {
      return ok.error().with_context(name + ": row " + std::to_string(i));
    }
  }
  rows.view_ = {rows.bytes_.data(), params.scalar, file.rows, file.dims, stride};
  if (as_they_are) rows.view_ = file.view();
  return rows;
}

Result<VectorFile> StoredRows::floats() const {
  VectorFile file{view_.rows, view_.dims, std::vector<float>(view_.rows * view_.dims)};
  for (std::size_t i = 0; i < view_.rows; ++i) {
    const auto out = std::span(file.values).subspan(i * view_.dims, view_.dims);
    if (auto ok = convert(view_.row(i), out); !ok) return ok.error();
  }
  return file;
}

}  // namespace cairn::tools
