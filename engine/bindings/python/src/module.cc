// SPDX-License-Identifier: Apache-2.0
//
// cairn._core: the thin part of the Python package that is compiled. What a user sees is in
// cairn/*.py.
#include <cairn/version.h>

#include <nanobind/nanobind.h>

#include "errors.h"
#include "handle.h"
#include "shard_set.h"

namespace cairn::python {
void register_index(nanobind::module_& module);
}

NB_MODULE(_core, module) {
  module.attr("VERSION") = cairn::kVersion;
  cairn::python::watch_forks();
  cairn::python::register_errors(module);
  cairn::python::register_index(module);
  cairn::python::register_shard_sets(module);
}
