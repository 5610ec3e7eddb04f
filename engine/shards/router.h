// SPDX-License-Identifier: Apache-2.0
//
// Which shards of a clustered set a query is likely to find its neighbors in: the nearest centroids
// vote for theirs.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include <cairn/error.h>
#include <cairn/index.h>
#include <cairn/shard_set.h>
#include <cairn/types.h>

namespace cairn {

// The shard of a centroid.
constexpr std::uint64_t shard_of_centroid(Key key) { return key >> 32; }
constexpr Key centroid_key(std::uint64_t shard, std::uint64_t number) {
  return shard << 32 | number;
}

struct RouterScratch {
  std::vector<Match> near;    // centroids
  std::vector<float> query;   // of another kind than f32
  std::vector<double> votes;  // by shard
  std::vector<std::uint32_t> shards;
};

// Whether its centroids are those of such a set: corrupt, by `name`.
Result<void> check_router(const Index& router, std::size_t shards, const std::string& name);

// At most scope.probe of the shards, best first, until they have scope.coverage of the votes: into
// scratch.shards. REQUIRES: scope.probe > 0, the query fits the set.
Result<void> choose_shards(const Index& router, std::size_t shards, VectorView query,
                           const ShardScope& scope, RouterScratch& scratch);

}  // namespace cairn
