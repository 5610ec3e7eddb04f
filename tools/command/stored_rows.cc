// SPDX-License-Identifier: Apache-2.0
#include "tools/command/stored_rows.h"

#include <algorithm>
#include <cmath>
#include <span>
#include <utility>

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

Result<void> as_stored(std::span<const float> vector, Scalar scalar, std::span<std::byte> out) {
  if (scalar != Scalar::i8) return convert(vector, scalar, out);
  for (std::size_t i = 0; i < vector.size(); ++i)
    out[i] = static_cast<std::byte>(static_cast<std::int8_t>(vector[i]));
  return {};
}

RowConverter::RowConverter(const VectorFile& file, std::string name, const IndexParams& params)
    : file_(file),
      name_(std::move(name)),
      scalar_(params.scalar),
      is_scaled_(params.scalar == Scalar::i8 && params.metric == Metric::cosine) {}

Result<void> RowConverter::copy(std::size_t row, std::byte* out) const {
  std::span<const float> floats = file_.row(row);
  std::vector<float> scaled;
  if (is_scaled_ && finite(floats)) {
    scale_to_i8(floats, scaled);
    floats = scaled;
  }
  auto ok = convert(floats, scalar_, {out, vector_bytes(scalar_, file_.dims)});
  if (!ok) return ok.error().with_context(name_ + ": row " + std::to_string(row));
  return {};
}

Result<void> RowConverter::check() const {
  std::vector<std::byte> one(vector_bytes(scalar_, file_.dims));
  for (std::size_t row = 0; row < file_.rows; ++row) {
    if (auto ok = copy(row, one.data()); !ok) return ok;
  }
  return {};
}

Result<StoredRows> StoredRows::of(const VectorFile& file, const std::string& name,
                                  const IndexParams& params) {
  StoredRows rows;
  const RowConverter converter(file, name, params);
  if (params.scalar == Scalar::f32) {
    if (auto ok = converter.check(); !ok) return ok.error();
    rows.view_ = file.view();
    return rows;
  }
  const std::size_t stride = vector_bytes(params.scalar, file.dims);
  rows.bytes_.resize(file.rows * stride);
  for (std::size_t i = 0; i < file.rows; ++i) {
    if (auto ok = converter.copy(i, rows.bytes_.data() + i * stride); !ok) return ok.error();
  }
  rows.view_ = {rows.bytes_.data(), params.scalar, file.rows, file.dims, stride};
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
