// SPDX-License-Identifier: Apache-2.0
#include "numpy.h"

#include <memory>
#include <utility>

namespace cairn::python {

namespace nb = nanobind;

namespace {

struct ArrayFields {
  PyObject head;
  char* data;
  int dimensions;
  Py_ssize_t* shape;
  Py_ssize_t* strides;
  PyObject* base;
  PyObject* dtype;
  int flags;
};
constexpr int kContiguous = 0x1, kAligned = 0x100;  // NPY_ARRAY_C_CONTIGUOUS, NPY_ARRAY_ALIGNED

const ArrayFields& fields(nb::handle array) {
  return *reinterpret_cast<const ArrayFields*>(array.ptr());
}

// Whether what is read of an array is what the buffer protocol tells.
bool reads_right(nb::handle array, nb::handle dtype) {
  Py_buffer view;
  if (PyObject_GetBuffer(array.ptr(), &view, PyBUF_STRIDES) != 0) throw nb::python_error();
  const ArrayFields& read = fields(array);
  bool right = read.data == view.buf && read.dimensions == view.ndim && view.ndim == 1 &&
               read.dtype == dtype.ptr();
  right = right && read.shape[0] == view.shape[0] && read.strides[0] == view.strides[0];
  const bool is_contiguous = PyBuffer_IsContiguous(&view, 'C') != 0;
  right =
      right && ((read.flags & kContiguous) != 0) == is_contiguous && (read.flags & kAligned) != 0;
  PyBuffer_Release(&view);
  return right;
}

// Never destroyed: at exit Python has gone before it would be.
Numpy* g_numpy = nullptr;

}  // namespace

bool Numpy::learn(nb::handle array_type, nb::handle empty, nb::handle matches, nb::handle f32,
                  nb::handle keys) {
  auto learnt = std::make_unique<Numpy>();
  learnt->array_type_ = reinterpret_cast<PyTypeObject*>(array_type.ptr());
  learnt->empty_ = nb::borrow(empty);
  learnt->matches_ = nb::borrow(matches);
  learnt->f32_ = nb::borrow(f32);
  learnt->keys_ = nb::borrow(keys);
  const auto name = [](const char* text) { return nb::steal(PyUnicode_InternFromString(text)); };
  learnt->name_keys_ = name("keys");
  learnt->name_distances_ = name("distances");
  learnt->name_counts_ = name("counts");
  for (const nb::handle dtype : {f32, keys}) {
    const nb::object array = empty(8, dtype);
    const nb::object strided = array[nb::slice(nb::none(), nb::none(), nb::int_(2))];
    if (Py_TYPE(array.ptr()) != learnt->array_type_ || !reads_right(array, dtype) ||
        !reads_right(strided, dtype)) {
      return false;
    }
  }
  delete std::exchange(g_numpy, learnt.release());
  return true;
}

const Numpy* Numpy::get() { return g_numpy; }

std::optional<std::span<const float>> Numpy::floats(nb::handle array) const {
  if (Py_TYPE(array.ptr()) != array_type_) return std::nullopt;
  const ArrayFields& read = fields(array);
  if (read.dimensions != 1 || read.dtype != f32_.ptr() ||
      (read.flags & (kContiguous | kAligned)) != (kContiguous | kAligned)) {
    return std::nullopt;
  }
  return std::span(reinterpret_cast<const float*>(read.data),
                   static_cast<std::size_t>(read.shape[0]));
}

Numpy::Room Numpy::room(std::size_t k) const {
  const nb::int_ length(k);
  const auto make = [&](const nb::object& dtype) {
    PyObject* const arguments[] = {length.ptr(), dtype.ptr()};
    PyObject* const made = PyObject_Vectorcall(empty_.ptr(), arguments, 2, nullptr);
    if (made == nullptr) throw nb::python_error();
    return nb::steal(made);
  };
  Room room{make(keys_), make(f32_), nullptr, nullptr};
  room.key_data = reinterpret_cast<Key*>(fields(room.keys).data);
  room.distance_data = reinterpret_cast<float*>(fields(room.distances).data);
  return room;
}

nb::object Numpy::matches(Room&& room, std::size_t found, std::size_t k) const {
  if (found < k) {
    const nb::object first = nb::slice(nb::none(), nb::int_(found), nb::none());
    room.keys = room.keys[first];
    room.distances = room.distances[first];
  }
  // Its __init__ does no more than this.
  auto* const type = reinterpret_cast<PyTypeObject*>(matches_.ptr());
  const nb::object made = nb::steal(PyType_GenericAlloc(type, 0));
  const nb::int_ count(found);
  if (!made.is_valid() || PyObject_SetAttr(made.ptr(), name_keys_.ptr(), room.keys.ptr()) != 0 ||
      PyObject_SetAttr(made.ptr(), name_distances_.ptr(), room.distances.ptr()) != 0 ||
      PyObject_SetAttr(made.ptr(), name_counts_.ptr(), count.ptr()) != 0) {
    throw nb::python_error();
  }
  return made;
}

}  // namespace cairn::python
