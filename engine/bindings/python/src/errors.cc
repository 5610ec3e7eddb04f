// SPDX-License-Identifier: Apache-2.0
#include "errors.h"

#include <nanobind/stl/string.h>

#include <string>

namespace cairn::python {

namespace {

void raise(const std::exception_ptr& thrown, void* /*payload*/) {
  namespace nb = nanobind;
  try {
    std::rethrow_exception(thrown);
  } catch (const Failure& failure) {
    const Error& error = failure.error();
    try {
      // It may name a path that is no text.
      const std::string& text = error.message();
      const auto message = nb::steal<nb::str>(
          PyUnicode_DecodeFSDefaultAndSize(text.data(), static_cast<Py_ssize_t>(text.size())));
      const nb::object made =
          nb::module_::import_("cairn._errors")
              .attr("_make")(static_cast<int>(error.code()), error_name(error.code()), message);
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
