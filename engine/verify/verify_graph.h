// SPDX-License-Identifier: Apache-2.0
//
// The structural invariants of an index (docs/format.md, "Sections"): what verify() checks beyond
// page checksums.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>

#include <cairn/error.h>
#include <cairn/params.h>

#include "engine/store/key_table.h"
#include "engine/store/node_store.h"

namespace cairn {

struct GraphVerifyOptions {
  unsigned threads = 0;
  std::function<void(std::uint64_t nodes)> progress;
  const std::atomic<bool>* stop = nullptr;
};

// Adds to the report what is wrong with nodes, lists, levels, entry point, codes and key table, and
// counts the live nodes that level 0 does not reach. `cancelled` if stopped. REQUIRES: nobody
// changes store and table meanwhile.
Result<void> verify_graph(const NodeStore& store, const KeyTable& table, std::uint64_t live,
                          const GraphVerifyOptions& options, VerifyReport& report);

}  // namespace cairn
