// SPDX-License-Identifier: Apache-2.0
//
// Matches as the command prints them.
#pragma once

#include <vector>

#include <cairn/params.h>

#include "tools/command/command.h"
#include "tools/files/text_file.h"

namespace cairn::tools {

// [{"rank", "key", "name", "distance"}], `name` only with names.
Json matches_json(const std::vector<Match>& matches, const Names& names, bool with_names);

// rank, key, name (if there are names), distance; numbers to the right, names to the left.
void print_matches(const std::vector<Match>& matches, const Names& names, bool with_names);

}  // namespace cairn::tools
