// SPDX-License-Identifier: Apache-2.0
#include "filter.h"

#include <cairn/cairn.h>

#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
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

FilterHandle* filter_where(const Handle& handle, nb::object function) {
  const Handle::Use index = handle.get();
  const auto kept = kept_function(std::move(function));
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

}  // namespace

void register_filters(nb::module_& module) {
  nb::class_<FilterHandle>(module, "Filter", nb::type_slots(FilterSlots<FilterHandle>::kSlots))
      .def_static("of_keys", filter_of_keys, "index"_a, "keys"_a.noconvert(), "excludes"_a)
      .def_static("of_bits", filter_of_bits, "index"_a, "words"_a.noconvert(), "first"_a)
      .def_static("where", filter_where, "index"_a, "passes"_a)
      .def("count", [](const FilterHandle& handle) {
        const nb::gil_scoped_release released;
        return handle.filter.count();
      });
}

}  // namespace cairn::python
