// SPDX-License-Identifier: Apache-2.0
//
// cairn._core.ShardFilter: which keys a search of a set may return.
#pragma once

#include <cairn/shard_set.h>

#include <nanobind/nanobind.h>

#include <memory>

#include "filter.h"
#include "shard_set.h"

namespace cairn::python {

// Of a set that may be closed before it.
struct SetFilterHandle {
  const SetHandle& set;
  ShardFilter filter;
  // Of `where`: its callable, and what that has raised. Null of the other kinds.
  std::shared_ptr<nanobind::object> function = {};
  std::shared_ptr<Raised> raised = {};
};

void register_shard_filters(nanobind::module_& module);

}  // namespace cairn::python
