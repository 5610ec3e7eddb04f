// SPDX-License-Identifier: Apache-2.0
//
// Bulk construction in parallel. Its result depends on keys, rows and parameters alone.
#pragma once

#include <span>

#include <cairn/error.h>
#include <cairn/params.h>

#include "engine/key_table.h"
#include "engine/node_store.h"

namespace cairn {

// Builds the graph of all rows into an empty store and key table; node i is row i. Searches see
// nothing of it until it has ended. On error (not_finite, key_exists, cancelled, out_of_memory)
// both are empty again. REQUIRES: keys.size() == rows.rows; the rows are f32 of the store's
// dimensions.
Result<void> build_graph(NodeStore& store, KeyTable& table, std::span<const Key> keys,
                         const MatrixView& rows, const BuildOptions& options);

// The seed with which an index in memory hashes its keys: equal parameters and content have equal
// ones, as they have equal bytes when they are saved. With rows: one that whoever chose some of
// them does not know without the others.
std::uint64_t hash_seed_for(const format::Parameters& parameters, std::span<const Key> keys = {},
                            const MatrixView& rows = {});

}  // namespace cairn
