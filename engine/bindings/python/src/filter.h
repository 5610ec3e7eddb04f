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
  FilterHandle(Filter&& made, std::shared_ptr<Raised> kept)
      : filter(std::move(made)), raised(std::move(kept)) {}
  Filter filter;
  std::shared_ptr<Raised> raised;  // by the callable of `where`; null of the other kinds
};

void register_filters(nanobind::module_& module);

}  // namespace cairn::python
