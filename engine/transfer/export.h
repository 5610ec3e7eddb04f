// SPDX-License-Identifier: Apache-2.0
//
// Our graph in the files of others. Their readers take list lengths from the file, so all of our
// links go along.
#pragma once

#include <filesystem>

#include <cairn/error.h>
#include <cairn/import.h>
#include <cairn/params.h>

#include "engine/store/node_store.h"

namespace cairn {

// Writes the live nodes of a view. `kind`: hnswlib or usearch. busy: a writer has changed pages
// under the view meanwhile.
Result<void> write_graph(const GraphView& view, const IndexParams& params,
                         const std::filesystem::path& path, Source kind);

}  // namespace cairn
