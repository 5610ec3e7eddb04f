// SPDX-License-Identifier: Apache-2.0
//
// cairn._core.ShardSet: many index files as one.
#pragma once

#include <cairn/shard_set.h>

#include <nanobind/nanobind.h>

#include "handle.h"

namespace cairn::python {

using SetHandle = HandleOf<ShardSet>;

void register_shard_sets(nanobind::module_& module);
void register_shard_searches(nanobind::module_& module, nanobind::class_<SetHandle>& set);
void register_manifests(nanobind::module_& module);

}  // namespace cairn::python
