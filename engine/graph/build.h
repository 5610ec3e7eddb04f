// SPDX-License-Identifier: Apache-2.0
//
// Bulk construction in parallel. Its result depends on keys, rows and parameters alone.
#pragma once

#include <cstddef>
#include <functional>
#include <span>
#include <vector>

#include <cairn/error.h>
#include <cairn/params.h>

#include "engine/store/key_table.h"
#include "engine/store/node_store.h"

namespace cairn {

// Builds the graph of all rows into an empty store and key table; node i is row i. Searches see
// nothing of it until it has ended. On error (not_finite, key_exists, cancelled, out_of_memory)
// both are empty again. REQUIRES: keys.size() == rows.rows; the rows have the store's scalar kind
// and dimensions.
Result<void> build_graph(NodeStore& store, KeyTable& table, std::span<const Key> keys,
                         const MatrixView& rows, const BuildOptions& options);

// Rows that are made when they are asked for, by several threads at once and more than once. They
// may stand in `buffer`, one a thread. An error says itself which row it is about.
using RowReader =
    std::function<Result<VectorView>(std::size_t row, std::vector<std::byte>& buffer)>;

RowReader rows_of(const MatrixView& rows);  // which must outlive it

// Fills the lists of level 0 of a view whose nodes are all there and have no links yet; false: they
// are not to be used, whatever stands in them.
using LinkLevel0 = std::function<Result<bool>(NodeStore& store, const GraphView& view)>;

// The same of rows that are read. With `link_level_0`, level 0 has those links, and only the levels
// above it are built by searching, unless it returns false.
Result<void> build_graph(NodeStore& store, KeyTable& table, std::span<const Key> keys,
                         const RowReader& rows, const LinkLevel0& link_level_0,
                         const BuildOptions& options);

}  // namespace cairn
