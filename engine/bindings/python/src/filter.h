// SPDX-License-Identifier: Apache-2.0
//
// cairn._core.Filter: which keys a search may return.
#pragma once

#include <cairn/filter.h>

#include <nanobind/nanobind.h>

#include <memory>
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

void register_filters(nanobind::module_& module);

}  // namespace cairn::python
