// SPDX-License-Identifier: Apache-2.0
//
// Everything of a set within a distance.
#include <algorithm>
#include <limits>
#include <optional>
#include <string>

#include "engine/api/arguments.h"
#include "engine/base/guarded.h"
#include "engine/shards/set_search.h"

namespace cairn {

namespace {

constexpr const char* kRange = "search_range";

// What one shard has within the radius, nearest first: into a list of the scratch.
ShardAnswer ask_range(const Index& index, VectorView query, float radius, RangeParams params,
                      std::vector<Match>& list) {
  ShardAnswer answer;
  params.report = &answer.report;
  list.clear();
  const auto done = index.search_range(query, radius, params, [&](Match match) {
    list.push_back(match);
    return true;
  });
  if (!done) answer.outcome = done.error();
  return answer;
}

// Calls take(match), nearest first; false: it has ended it.
template <class Take>
Result<bool> find_range(const SetState& set, VectorView query, float radius,
                        const RangeParams& params, const ShardScope& scope, SetScratch& scratch,
                        const Take& take) {
  if (auto ok = check_scope(kRange, scope); !ok) return ok.error();
  if (params.filter != nullptr) {
    return Error(ErrorCode::invalid_argument,
                 std::string(kRange) + ": a filter of an index, and not of the set");
  }
  if (auto ok = check_vector(kRange, query, set.params, Purpose::query); !ok) return ok.error();
  const ShardFilter::Impl* filter = nullptr;
  if (scope.filter != nullptr) {
    const auto known = ShardFilterParts::of(kRange, *scope.filter, set);
    if (!known) return known.error();
    filter = *known;
  }
  if (auto ok = choose(set, kRange, query, scope, scratch); !ok) return ok.error();
  const std::size_t n = scratch.asked.size();
  scratch.answers.resize(n);
  if (scratch.lists.size() < n) scratch.lists.resize(n);
  const auto ask = [&](std::size_t i) {
    const std::uint32_t number = scratch.asked[i];
    scratch.lists[i].clear();
    if (!set.shards[number].index) return;
    RangeParams mine = params;
    mine.max_distances = share_of(params.max_distances, n);
    if (filter != nullptr) mine.filter = &*filter->each[number];
    scratch.answers[i] =
        ask_range(*set.shards[number].index, query, radius, mine, scratch.lists[i]);
  };
  const std::size_t apart = set.has_fresh() ? n - 1 : n;
  set.threads.run(apart, std::ref(ask));
  if (apart < n) ask(apart);
  SetTally tally;
  scratch.merge.lists.clear();
  std::size_t all = 0;
  for (std::size_t i = 0; i < n; ++i) {
    const Shard& shard = set.shards[scratch.asked[i]];
    if (!shard.index) {
      tally.add_missing(scratch.asked[i]);
      continue;
    }
    if (auto ok = tally.add(set, kRange, scratch.asked[i], scratch.answers[i]); !ok)
      return ok.error();
    if (!scratch.answers[i].outcome) continue;
    scratch.merge.lists.push_back({&*shard.index, scratch.lists[i], {}});
    all += scratch.lists[i].size();
  }
  tally.add_found(all);
  if (auto ok = tally.tell(set, kRange, params.report, scope.report); !ok) return ok.error();
  Merge merge(query, set.params, params.rerank == nullptr, scratch.merge);
  scratch.merge.given.begin(all);
  const std::size_t most =
      params.max_results != 0 ? params.max_results : std::numeric_limits<std::size_t>::max();
  while (scratch.merge.given.size() < most) {
    const auto list = merge.nearest();
    if (!list) break;
    const Match match = merge.take(*list);
    if (scratch.merge.given.insert(match.key) && !take(match)) return false;
  }
  return true;
}

}  // namespace

Result<std::vector<Match>> ShardSet::search_range(VectorView query, float radius,
                                                  const RangeParams& params,
                                                  const ShardScope& scope) const {
  return guarded(kRange, [&]() -> Result<std::vector<Match>> {
    auto scratch = impl_->scratch.take();
    std::vector<Match> matches;
    const auto done = find_range(*impl_, query, radius, params, scope, *scratch, [&](Match match) {
      matches.push_back(match);
      return true;
    });
    if (!done) return done.error();
    return matches;
  });
}

Result<bool> ShardSet::search_range(VectorView query, float radius, const RangeParams& params,
                                    const std::function<bool(Match)>& take,
                                    const ShardScope& scope) const {
  return guarded(kRange, [&]() -> Result<bool> {
    if (!take)
      return Error(ErrorCode::invalid_argument, std::string(kRange) + ": the function is empty");
    auto scratch = impl_->scratch.take();
    return find_range(*impl_, query, radius, params, scope, *scratch, take);
  });
}

}  // namespace cairn
