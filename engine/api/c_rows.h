// SPDX-License-Identifier: Apache-2.0
//
// Vectors as a caller of the C interface gives them. Those of another kind than the index's are
// converted here; the C++ interface takes no such.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include <cairn/c.h>
#include <cairn/index.h>

namespace cairn::c {

// Whether an array of `count` elements can exist.
Result<void> check_addressable(const char* call, std::size_t count, std::size_t element);

Result<Scalar> scalar_of(const char* call, std::uint8_t scalar);

// What the C++ interface takes of vectors that an index is to store, and of queries.
Scalar kind_to_store(const Index& index);
Scalar kind_to_search(const IndexParams& params);
inline Scalar kind_to_search(const Index& index) { return kind_to_search(index.params()); }

// Rows as the caller has given them, or, if they are f32 and `to` is not, converted.
class Rows {
 public:
  Rows() = default;
  Rows(const Rows&) = delete;  // view_ would be the other's
  Rows& operator=(const Rows&) = delete;
  Rows(Rows&&) noexcept = default;
  Rows& operator=(Rows&&) noexcept = default;
  ~Rows() = default;

  // As rows of `params`, of kind `to`.
  static Result<Rows> of(const IndexParams& params, Scalar to, const MatrixView& given);
  static Result<Rows> of(const Index& index, Scalar to, const MatrixView& given) {
    return of(index.params(), to, given);
  }

  const MatrixView& view() const { return view_; }

 private:
  std::vector<std::byte> bytes_;
  MatrixView view_;  // of bytes_, which keep their address when moved, or of the caller's
};

Result<MatrixView> view_of(const char* call, const char* name, const cairn_vector* vector);
Result<MatrixView> view_of(const char* call, const char* name, const cairn_matrix* rows);

cairn_vector floats_of(const float* data, std::size_t dims);
cairn_matrix floats_of(const float* data, std::size_t rows, std::size_t dims);

}  // namespace cairn::c
