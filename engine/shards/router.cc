// SPDX-License-Identifier: Apache-2.0
#include "engine/shards/router.h"

#include <algorithm>
#include <array>
#include <limits>
#include <string>

#include <cairn/convert.h>

namespace cairn {

namespace {

// How many centroids vote, of a large router: docs/decisions/0031. Of a small one an eighth does:
// the far ones know nothing of the query.
constexpr std::size_t kVoters = 128;

}  // namespace

Result<void> check_router(const Index& router, std::size_t shards, const std::string& name) {
  std::vector<bool> has_one(shards);
  std::array<Key, 1024> some;
  KeyScan scan;
  while (!scan.done) {
    const auto count = router.keys(scan, some);
    if (!count) return count.error();
    for (std::size_t i = 0; i < *count; ++i) {
      const std::uint64_t shard = shard_of_centroid(some[i]);
      if (shard >= shards) {
        return Error(ErrorCode::corrupt,
                     name + ": it is the router of another set: a centroid is of shard " +
                         std::to_string(shard) + " of " + std::to_string(shards));
      }
      has_one[shard] = true;
    }
  }
  const auto none = std::find(has_one.begin(), has_one.end(), false);
  if (none == has_one.end()) return {};
  return Error(ErrorCode::corrupt, name + ": it is the router of another set: shard " +
                                       std::to_string(none - has_one.begin()) + " has no centroid");
}

Result<void> choose_shards(const Index& router, std::size_t shards, VectorView query,
                           const ShardScope& scope, RouterScratch& scratch) {
  if (query.scalar() != Scalar::f32) {
    scratch.query.resize(query.dims());
    if (auto ok = convert(query, scratch.query); !ok) return ok;
    query = VectorView(scratch.query);
  }
  SearchParams params;
  params.k = std::max({std::min(kVoters, router.size() / 8), 2 * scope.probe, std::size_t{1}});
  params.ef = 2 * params.k;
  scratch.near.resize(std::min(params.k, router.size()));
  const auto found = router.search(query, params, scratch.near);
  if (!found) return found.error();
  scratch.votes.assign(shards, 0.0);
  scratch.shards.clear();
  double all = 0;
  const float far = *found == 0 ? 0 : scratch.near[*found - 1].distance;
  for (std::size_t i = 0; i < *found; ++i) {
    const std::uint64_t shard = shard_of_centroid(scratch.near[i].key);
    if (shard >= shards) continue;  // of a router that has changed since it was checked
    // The nearer than the last voter, the more; a little even then, so that it has a say.
    const double nearer = double{far} - double{scratch.near[i].distance};
    const double vote = nearer * nearer + std::numeric_limits<double>::min();
    if (scratch.votes[shard] == 0.0) scratch.shards.push_back(static_cast<std::uint32_t>(shard));
    scratch.votes[shard] += vote;
    all += vote;
  }
  std::sort(scratch.shards.begin(), scratch.shards.end(), [&](std::uint32_t a, std::uint32_t b) {
    return scratch.votes[a] != scratch.votes[b] ? scratch.votes[a] > scratch.votes[b] : a < b;
  });
  std::size_t count = 0;
  double got = 0;
  while (count < std::min(scope.probe, scratch.shards.size())) {
    got += scratch.votes[scratch.shards[count++]];
    if (scope.coverage < 1 && got >= double{scope.coverage} * all) break;
  }
  scratch.shards.resize(count);
  return {};
}

}  // namespace cairn
