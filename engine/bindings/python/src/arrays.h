// SPDX-License-Identifier: Apache-2.0
//
// Arrays that cairn/_arrays.py has made fit, as the views that the library takes.
#pragma once

#include <cairn/cairn.h>

#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>

#include <cstddef>
#include <cstring>
#include <optional>
#include <span>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "errors.h"

namespace cairn::python {

namespace nb = nanobind;

// The memory of a one-dimensional contiguous array, in a third of the time that an ndarray takes.
template <class T>
class Buffer {
 public:
  // `format`: of Python's struct module.
  Buffer(nb::handle array, const char* format) {
    constexpr int kWritable = std::is_const_v<T> ? 0 : PyBUF_WRITABLE;
    if (PyObject_GetBuffer(array.ptr(), &view_, PyBUF_ND | PyBUF_FORMAT | kWritable) != 0) {
      throw nb::python_error();
    }
    if (view_.ndim == 1 && view_.itemsize == sizeof(T) && std::strcmp(view_.format, format) == 0) {
      return;
    }
    PyBuffer_Release(&view_);
    throw nb::type_error("an array of another type or shape");
  }
  ~Buffer() { PyBuffer_Release(&view_); }
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;
  T* data() const { return static_cast<T*>(view_.buf); }
  std::size_t size() const { return static_cast<std::size_t>(view_.shape[0]); }

 private:
  Py_buffer view_;
};

using AnyArray = nb::ndarray<nb::ro, nb::device::cpu>;
using KeyArray = nb::ndarray<const Key, nb::ndim<1>, nb::c_contig, nb::device::cpu>;
template <class T>
using Out = nb::ndarray<T, nb::c_contig, nb::device::cpu>;

[[noreturn]] inline void fail(ErrorCode code, std::string message) {
  throw Failure(Error(code, std::move(message)));
}

// Bits are packed, eight to a byte: only the index knows how many of the last byte count.
inline std::size_t dims_of(std::size_t columns, Scalar scalar, std::size_t dimensions) {
  if (scalar != Scalar::b1) return columns;
  return columns == vector_bytes(Scalar::b1, dimensions) ? dimensions : columns * 8;
}

inline Scalar scalar_of(const AnyArray& array, Scalar stored) {
  if (array.dtype() == nb::dtype<float>()) return Scalar::f32;
  return stored;
}

inline MatrixView matrix(const AnyArray& array, Scalar stored, std::size_t dimensions) {
  if (array.ndim() != 2) fail(ErrorCode::invalid_argument, "an array that is no matrix");
  const std::size_t item = static_cast<std::size_t>(array.itemsize());
  const Scalar scalar = scalar_of(array, stored);
  return {array.data(), scalar, array.shape(0), dims_of(array.shape(1), scalar, dimensions),
          static_cast<std::size_t>(array.stride(0)) * item};
}

inline VectorView vector(const AnyArray& array, Scalar stored, std::size_t dimensions) {
  if (array.ndim() != 1) fail(ErrorCode::invalid_argument, "an array that is no vector");
  const Scalar scalar = scalar_of(array, stored);
  const MatrixView row{array.data(), scalar, 1, dims_of(array.shape(0), scalar, dimensions), 0};
  return row.row(0);
}

// Whether the library takes queries of one kind for vectors of another as they are.
inline bool takes(Scalar query, Scalar stored) {
  return query == stored || stored == Scalar::f16 || stored == Scalar::bf16;
}

// An f32 vector for an index of another kind is converted as the C interface does.
class Converted {
 public:
  Converted(VectorView from, Scalar to) : view_(from) {
    if (from.scalar() == to) return;
    bytes_.resize(vector_bytes(to, from.dims()));
    check(convert(std::span<const float>(static_cast<const float*>(from.data()), from.dims()), to,
                  bytes_));
    view_ = MatrixView{bytes_.data(), to, 1, from.dims(), bytes_.size()}.row(0);
  }
  const VectorView& view() const { return view_; }

 private:
  std::vector<std::byte> bytes_;
  VectorView view_;
};

class ConvertedRows {
 public:
  ConvertedRows(const MatrixView& from, Scalar to) : view_(from) {
    if (from.scalar == to) return;
    const std::size_t width = vector_bytes(to, from.dims);
    bytes_.resize(width * from.rows);
    for (std::size_t i = 0; i < from.rows; ++i) {
      const auto* row = static_cast<const float*>(from.row(i).data());
      const auto ok = convert(std::span<const float>(row, from.dims), to,
                              std::span(bytes_).subspan(i * width, width));
      if (!ok) throw Failure(ok.error().with_context("row " + std::to_string(i)));
    }
    view_ = {bytes_.data(), to, from.rows, from.dims, width};
  }
  const MatrixView& view() const { return view_; }

 private:
  std::vector<std::byte> bytes_;
  MatrixView view_;
};

// `values` as an array of its own.
template <class T>
nb::object array_of(std::vector<T>&& values) {
  auto* const owned = new std::vector<T>(std::move(values));
  const nb::capsule owner(owned, [](void* p) noexcept { delete static_cast<std::vector<T>*>(p); });
  return nb::cast(nb::ndarray<nb::numpy, T, nb::ndim<1>>(owned->data(), {owned->size()}, owner));
}

}  // namespace cairn::python
