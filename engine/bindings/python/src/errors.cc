// SPDX-License-Identifier: Apache-2.0
#include "errors.h"

#include <nanobind/stl/string.h>

namespace cairn::python {

namespace {

void raise(const std::exception_ptr& thrown, void* /*payload*/) {
  namespace nb = nanobind;
  try {
    std::rethrow_exception(thrown);
  } catch (const Failure& failure) {
    const Error& error = failure.error();
    try {
      const nb::object made =
          nb::module_::import_("cairn._errors")
              .attr("_make")(static_cast<int>(error.code()), error_name(error.code()),
                             error.message());
      PyErr_SetObject(made.type().ptr(), made.ptr());
    } catch (nb::python_error& other) {
      other.restore();
    }
  }
}

}  // namespace

void register_errors(nanobind::module_& /*module*/) {
  nanobind::register_exception_translator(raise);
}

}  // namespace cairn::python
