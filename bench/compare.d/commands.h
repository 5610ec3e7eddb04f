// SPDX-License-Identifier: Apache-2.0
//
// The subcommands of the program: each takes and returns JSON. bench/compare writes the one and
// reads the other.
#pragma once

#include "compare.d/engine.h"

namespace bench {

// Builds one index and saves it. {"spec", "base", "rows", "threads", "path"?, "queries"?, "truth"?,
// "efs"?}
Json build_command(const Json& config);

// Opens one index as a fresh process does. {"spec", "path", "residency", "cold", "queries", "ef",
// "searches", "save_to"?}
Json probe_command(const Json& config);

// Adds vectors one at a time to full indexes, in turns. {"base", "rows", "threads", "added",
// "count", "slice", "systems"}
Json add_command(const Json& config);

// Recall and speed of all systems in one process. {"queries", "truth", "metric", "systems", "efs",
// "targets", ...}
Json search_command(const Json& config);

// Searches of what passes a filter. {"base", "rows", "queries", "metric", "k", "slice", "slices",
// "enough", "most_seconds", "systems": [{"name", "spec", "path", "residency", "efs"}], "cells":
// [{"kind", "percent"}]}
Json filter_command(const Json& config);

}  // namespace bench
