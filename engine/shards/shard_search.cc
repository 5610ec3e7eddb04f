// SPDX-License-Identifier: Apache-2.0
//
// The nearest vectors of a set: each shard's, merged.
#include <algorithm>

#include "engine/api/arguments.h"
#include "engine/base/guarded.h"
#include "engine/shards/shard_query.h"

namespace cairn {

namespace {

constexpr const char* kSearch = "search";

}  // namespace

Result<std::size_t> ShardSet::search(VectorView query, const SearchParams& params,
                                     std::span<Match> out, const ShardScope& scope) const {
  return guarded(kSearch, [&]() -> Result<std::size_t> {
    if (auto ok = check_asked(kSearch, params, scope); !ok) return ok.error();
    if (auto ok = check_vector(kSearch, query, impl_->params, Purpose::query); !ok)
      return ok.error();
    const auto filter = filter_of(*impl_, kSearch, scope.filter);
    if (!filter) return filter.error();
    auto scratch = impl_->scratch.take();
    if (auto ok = choose(*impl_, kSearch, query, scope, *scratch); !ok) return ok.error();
    SetTally tally;
    const auto found =
        ShardQuery(*impl_, kSearch, params, *filter, *scratch).search(query, out, true, tally);
    if (!found) return found;
    if (auto ok = tally.tell(*impl_, kSearch, params.report, scope.report); !ok) return ok.error();
    return found;
  });
}

Result<std::vector<Match>> ShardSet::search(VectorView query, const SearchParams& params,
                                            const ShardScope& scope) const {
  return guarded(kSearch, [&]() -> Result<std::vector<Match>> {
    std::size_t room = size();
    for (;;) {
      std::vector<Match> matches(std::min(params.k, room));
      const auto found = search(query, params, matches, scope);
      if (!found) return found.error();
      const bool is_full = *found == matches.size() && *found < params.k;
      if (const std::size_t now = size(); is_full && now > *found) {
        // There are more by now, and the answer was cut short. Others may be added as quickly as
        // this searches.
        room = now + now / 2;
        continue;
      }
      matches.resize(*found);
      return matches;
    }
  });
}

}  // namespace cairn
