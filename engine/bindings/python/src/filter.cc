// SPDX-License-Identifier: Apache-2.0
#include "filter.h"

#include <cairn/cairn.h>

#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <stdexcept>
#include <utility>

#include "arrays.h"
#include "errors.h"

namespace cairn::python {

using nb::literals::operator""_a;

namespace {

FilterHandle* filter_of_keys(const Handle& handle, const KeyArray& keys, bool excludes) {
  const Handle::Use index = handle.get();
  const nb::gil_scoped_release released;
  const std::span<const Key> given(keys.data(), keys.size());
  return new FilterHandle(
      value_or_throw(excludes ? Filter::except(*index, given) : Filter::only(*index, given)));
}

FilterHandle* filter_of_bits(const Handle& handle, const KeyArray& words, Key first) {
  const Handle::Use index = handle.get();
  const nb::gil_scoped_release released;
  return new FilterHandle(
      value_or_throw(Filter::bits(*index, {words.data(), words.size()}, first)));
}

// Asks Python, from whatever thread. What it raises ends the call that asks, as the library has it
// for exceptions, and is kept for that.
class Asks {
 public:
  Asks(std::shared_ptr<nb::object> function, std::shared_ptr<Raised> raised)
      : function_(std::move(function)), raised_(std::move(raised)) {}

  bool operator()(Key key) const {
    const nb::gil_scoped_acquire acquired;
    const InReport inside;
    if (!function_->is_valid()) return false;  // the collector has taken it
    try {
      return nb::cast<bool>(nb::bool_((*function_)(key)));
    } catch (nb::python_error& error) {
      raised_->keep(std::move(error));
    }
    throw std::runtime_error("the filter's function has raised an exception");
  }

 private:
  std::shared_ptr<nb::object> function_;
  std::shared_ptr<Raised> raised_;
};

FilterHandle* filter_where(const Handle& handle, nb::object function) {
  const Handle::Use index = handle.get();
  const std::shared_ptr<nb::object> kept(new nb::object(std::move(function)),
                                         [](nb::object* object) {
                                           const nb::gil_scoped_acquire acquired;
                                           delete object;
                                         });
  const auto raised = std::make_shared<Raised>();
  std::optional<Result<Filter>> made;
  {
    const nb::gil_scoped_release released;
    made.emplace(Filter::where(*index, Asks(kept, raised)));
  }
  raised->raise();
  auto* const filter = new FilterHandle(value_or_throw(std::move(*made)));
  filter->function = kept;
  filter->raised = raised;
  return filter;
}

// A function often refers to the module or the object that keeps its filter: the collector finds
// its way through, and ends the circle.
int traverse(PyObject* self, visitproc visit, void* arg) {
  Py_VISIT(Py_TYPE(self));
  if (!nb::inst_ready(self)) return 0;
  const FilterHandle& filter = *nb::inst_ptr<FilterHandle>(self);
  if (filter.function) Py_VISIT(filter.function->ptr());
  return 0;
}
int clear(PyObject* self) {
  const FilterHandle& filter = *nb::inst_ptr<FilterHandle>(self);
  if (filter.function) const nb::object gone = std::move(*filter.function);
  return 0;
}
PyType_Slot kSlots[] = {{Py_tp_traverse, reinterpret_cast<void*>(traverse)},
                        {Py_tp_clear, reinterpret_cast<void*>(clear)},
                        {0, nullptr}};

}  // namespace

void register_filters(nb::module_& module) {
  nb::class_<FilterHandle>(module, "Filter", nb::type_slots(kSlots))
      .def_static("of_keys", filter_of_keys, "index"_a, "keys"_a.noconvert(), "excludes"_a)
      .def_static("of_bits", filter_of_bits, "index"_a, "words"_a.noconvert(), "first"_a)
      .def_static("where", filter_where, "index"_a, "passes"_a)
      .def("count", [](const FilterHandle& handle) {
        const nb::gil_scoped_release released;
        return handle.filter.count();
      });
}

}  // namespace cairn::python
