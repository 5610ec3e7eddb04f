// SPDX-License-Identifier: Apache-2.0
//
// cairn shards search.
#pragma once

#include "tools/command/command.h"

namespace cairn::tools {

Run add_shards_search(CLI::App& shards);

}  // namespace cairn::tools
