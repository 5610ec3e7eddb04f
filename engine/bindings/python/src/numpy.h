// SPDX-License-Identifier: Apache-2.0
//
// NumPy's arrays, read where they are: its buffer protocol costs more than half a search of a small
// index. The layout is that of PyArrayObject_fields, which NumPy 1 and 2 promise to extensions that
// are already compiled; Numpy::learn() tries it out before anything relies on it.
#pragma once

#include <nanobind/nanobind.h>

#include <cstddef>
#include <optional>
#include <span>

#include <cairn/types.h>

namespace cairn::python {

// What the quickest path needs of NumPy and of cairn/_index.py. One for the process.
class Numpy {
 public:
  // `empty`: numpy.empty. `matches`: cairn.Matches. `f32`, `keys`: NumPy's own dtype objects of
  // float32 and uint64. False, and the quickest path is never taken, if arrays are not laid out as
  // expected.
  static bool learn(nanobind::handle array_type, nanobind::handle empty, nanobind::handle matches,
                    nanobind::handle f32, nanobind::handle keys);
  // Null before learn(), or if it said no.
  static const Numpy* get();

  // The floats of a contiguous aligned one-dimensional array of native float32; else nothing.
  std::optional<std::span<const float>> floats(nanobind::handle array) const;

  // Room for k matches, in two new arrays.
  struct Room {
    nanobind::object keys, distances;
    Key* key_data;
    float* distance_data;
  };
  Room room(std::size_t k) const;

  // A cairn.Matches with the first `found` of them.
  nanobind::object matches(Room&& room, std::size_t found, std::size_t k) const;

 private:
  PyTypeObject* array_type_ = nullptr;
  nanobind::object empty_, matches_, f32_, keys_;
  nanobind::object name_keys_, name_distances_, name_counts_;
};

}  // namespace cairn::python
