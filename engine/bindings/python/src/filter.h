// SPDX-License-Identifier: Apache-2.0
//
// cairn._core.Filter: which keys a search may return; and what a filter of a set has in common with
// it.
#pragma once

#include <cairn/filter.h>

#include <nanobind/nanobind.h>

#include <memory>
#include <stdexcept>
#include <utility>

#include "handle.h"
#include "options.h"

namespace cairn::python {

struct FilterHandle {
  explicit FilterHandle(Filter&& made) : filter(std::move(made)) {}
  Filter filter;
  // Of `where`: its callable, and what that has raised. Null of the other kinds.
  std::shared_ptr<nanobind::object> function;
  std::shared_ptr<Raised> raised;
};

// A callable that whatever thread may let go of.
inline std::shared_ptr<nanobind::object> kept_function(nanobind::object function) {
  return {new nanobind::object(std::move(function)), [](nanobind::object* object) {
            const nanobind::gil_scoped_acquire acquired;
            delete object;
          }};
}

// Asks Python, from whatever thread. What it raises ends the call that asks, as the library has it
// for exceptions, and is kept for that.
class Asks {
 public:
  Asks(std::shared_ptr<nanobind::object> function, std::shared_ptr<Raised> raised)
      : function_(std::move(function)), raised_(std::move(raised)) {}

  bool operator()(Key key) const {
    const nanobind::gil_scoped_acquire acquired;
    const InReport inside;
    if (!function_->is_valid()) return false;  // the collector has taken it
    try {
      return nanobind::cast<bool>(nanobind::bool_((*function_)(key)));
    } catch (nanobind::python_error& error) {
      raised_->keep(std::move(error));
    }
    throw std::runtime_error("the filter's function has raised an exception");
  }

 private:
  std::shared_ptr<nanobind::object> function_;
  std::shared_ptr<Raised> raised_;
};

// A function often refers to the module or the object that keeps its filter: the collector finds
// its way through, and ends the circle.
template <class Handle>
struct FilterSlots {
  static int traverse(PyObject* self, visitproc visit, void* arg) {
    Py_VISIT(Py_TYPE(self));
    if (!nanobind::inst_ready(self)) return 0;
    const Handle& filter = *nanobind::inst_ptr<Handle>(self);
    if (filter.function) Py_VISIT(filter.function->ptr());
    return 0;
  }
  static int clear(PyObject* self) {
    const Handle& filter = *nanobind::inst_ptr<Handle>(self);
    if (filter.function) const nanobind::object gone = std::move(*filter.function);
    return 0;
  }
  static inline PyType_Slot kSlots[] = {{Py_tp_traverse, reinterpret_cast<void*>(traverse)},
                                        {Py_tp_clear, reinterpret_cast<void*>(clear)},
                                        {0, nullptr}};
};

void register_filters(nanobind::module_& module);

}  // namespace cairn::python
