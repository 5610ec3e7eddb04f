// SPDX-License-Identifier: Apache-2.0
//
// The seed of key hashes that follows from what an index is built of (docs/decisions/0022).
#pragma once

#include <cstdint>
#include <span>

#include <cairn/error.h>
#include <cairn/types.h>

#include "engine/graph/build.h"
#include "format/bytes/parameters.h"

namespace cairn {

// The seed with which an index in memory hashes its keys: equal parameters and content have equal
// ones, as they have equal bytes when they are saved. With rows, one a key: one that whoever chose
// some of them does not know without the others; errors are those of `rows`.
std::uint64_t hash_seed_for(const format::Parameters& parameters, std::span<const Key> keys = {});
Result<std::uint64_t> hash_seed_for(const format::Parameters& parameters, std::span<const Key> keys,
                                    const RowReader& rows);

}  // namespace cairn
