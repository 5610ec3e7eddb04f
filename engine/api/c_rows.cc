// SPDX-License-Identifier: Apache-2.0
#include "engine/api/c_rows.h"

#include <limits>
#include <span>
#include <string>

#include <cairn/convert.h>

#include "engine/api/c_call.h"

namespace cairn::c {

Result<void> check_addressable(const char* call, std::size_t count, std::size_t element) {
  if (element == 0 || count <= std::numeric_limits<std::size_t>::max() / element) return {};
  return Error(ErrorCode::invalid_argument, std::string(call) + ": " + std::to_string(count) +
                                                " times " + std::to_string(element) +
                                                " bytes are more than memory has addresses");
}

Result<Scalar> scalar_of(const char* call, std::uint8_t scalar) {
  if (scalar >= static_cast<int>(Scalar::f32) && scalar <= static_cast<int>(Scalar::b1)) {
    return static_cast<Scalar>(scalar);
  }
  return out_of_range(call, "scalar", scalar);
}

Scalar kind_to_store(const Index& index) { return index.params().scalar; }
Scalar kind_to_search(const IndexParams& params) {
  const Scalar scalar = params.scalar;
  const bool half = scalar == Scalar::f16 || scalar == Scalar::bf16;
  return half ? Scalar::f32 : scalar;
}

Result<Rows> Rows::of(const IndexParams& params, Scalar to, const MatrixView& given) {
  Rows rows;
  rows.view_ = given;
  if (given.scalar != Scalar::f32 || to == Scalar::f32) return rows;
  const std::size_t dims = given.dims;
  if (dims != params.dimensions) {
    return Error(ErrorCode::dimension_mismatch, "the vector has " + std::to_string(dims) +
                                                    " dimensions, the index " +
                                                    std::to_string(params.dimensions));
  }
  if (given.stride_bytes < dims * sizeof(float) || given.stride_bytes % alignof(float) != 0) {
    return Error(ErrorCode::invalid_argument, "a stride of " + std::to_string(given.stride_bytes) +
                                                  " bytes does not fit " + std::to_string(dims) +
                                                  " dimensions of f32");
  }
  const std::size_t stride = vector_bytes(to, dims);
  rows.bytes_.resize(given.rows * stride);
  for (std::size_t i = 0; i < given.rows; ++i) {
    const auto* row = static_cast<const float*>(given.row(i).data());
    const auto out = std::span(rows.bytes_).subspan(i * stride, stride);
    auto ok = convert(std::span(row, dims), to, out);
    if (ok) continue;
    return given.rows == 1 ? ok.error() : ok.error().with_context("row " + std::to_string(i));
  }
  rows.view_ = {rows.bytes_.data(), to, given.rows, dims, stride};
  return rows;
}

Result<MatrixView> view_of(const char* call, const char* name, const cairn_vector* vector) {
  if (vector == nullptr || vector->data == nullptr) return null_argument(call, name);
  const auto scalar = scalar_of(call, vector->scalar);
  if (!scalar) return scalar.error();
  return MatrixView{vector->data, *scalar, 1, vector->dims, vector_bytes(*scalar, vector->dims)};
}

Result<MatrixView> view_of(const char* call, const char* name, const cairn_matrix* rows) {
  if (rows == nullptr) return null_argument(call, name);
  if (rows->rows != 0 && rows->data == nullptr) return null_argument(call, name);
  const auto scalar = scalar_of(call, rows->scalar);
  if (!scalar) return scalar.error();
  if (auto ok = check_addressable(call, rows->dims, sizeof(float)); !ok) return ok.error();
  const std::size_t packed = vector_bytes(*scalar, rows->dims);
  const std::size_t stride = rows->stride != 0 ? rows->stride : packed;
  if (auto ok = check_addressable(call, rows->rows, stride); !ok) return ok.error();
  return MatrixView{rows->data, *scalar, rows->rows, rows->dims, stride};
}

cairn_vector floats_of(const float* data, std::size_t dims) {
  return {data, dims, CAIRN_SCALAR_F32};
}

cairn_matrix floats_of(const float* data, std::size_t rows, std::size_t dims) {
  return {data, rows, dims, 0, CAIRN_SCALAR_F32};
}

}  // namespace cairn::c
