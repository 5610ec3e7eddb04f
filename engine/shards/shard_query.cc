// SPDX-License-Identifier: Apache-2.0
//
// What a query asks of shards, and what becomes of their answers.
#include "engine/shards/shard_query.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <string>

#include "engine/api/arguments.h"

namespace cairn {

Result<void> check_asked(const char* call, const SearchParams& params, const ShardScope& scope) {
  if (auto ok = check_search(call, params); !ok) return ok;
  if (auto ok = check_scope(call, scope); !ok) return ok;
  if (params.filter == nullptr) return {};
  return Error(ErrorCode::invalid_argument,
               std::string(call) + ": a filter of an index, and not of the set");
}

Result<const ShardFilter::Impl*> filter_of(const SetState& set, const char* call,
                                           const ShardFilter* filter) {
  if (filter == nullptr) return static_cast<const ShardFilter::Impl*>(nullptr);
  return ShardFilterParts::of(call, *filter, set);
}

std::size_t share_of_results(const SetState& set, const SearchParams& params,
                             const ShardFilter::Impl* filter, std::size_t n) {
  const bool is_even = !set.folder.empty() && set.manifest.partition == Partition::hash;
  const bool is_plain = params.plan != Plan::exact && filter == nullptr &&
                        params.rerank == nullptr && params.max_distances == 0;
  if (!is_even || !is_plain || n < 2) return params.k;
  constexpr double kWide = 3;
  const double mean = static_cast<double>(params.k) / static_cast<double>(n);
  const double most = mean + kWide * std::sqrt(mean) + 1;
  return std::min(params.k, static_cast<std::size_t>(most));
}

bool is_used_up(const MergeScratch& merge, std::size_t share) {
  return std::any_of(merge.lists.begin(), merge.lists.end(), [&](const MatchList& list) {
    return list.left.empty() && list.size == share;
  });
}

ShardQuery::ShardQuery(const SetState& set, const char* call, const SearchParams& params,
                       const ShardFilter::Impl* filter, SetScratch& scratch)
    : set_(set), call_(call), params_(params), filter_(filter), scratch_(scratch) {
  params_.report = nullptr;
  params_.max_distances = share_of(params.max_distances, scratch.asked.size());
  share_ = share_of_results(set, params, filter, scratch.asked.size());
}

Result<std::size_t> ShardQuery::search(VectorView query, std::span<Match> out, bool in_parallel,
                                       SetTally& tally) {
  SetTally mine;
  auto found = ask(query, out, in_parallel, mine);
  if (found && share_ < std::min(params_.k, out.size()) && is_used_up(scratch_.merge, share_))
    found = search_again(query, out, *found, in_parallel, mine);
  if (!found) return found;
  mine.add_found(*found);
  tally.add(mine);
  return found;
}

Result<std::size_t> ShardQuery::search_again(VectorView query, std::span<Match> out,
                                             std::size_t found, bool in_parallel, SetTally& tally) {
  scratch_.first.assign(out.begin(), out.begin() + static_cast<std::ptrdiff_t>(found));
  share_ = params_.k;
  SetTally second;
  const auto again = ask(query, out, in_parallel, second);
  if (!again) return again;
  const bool is_whole = second.is_whole_after(tally);
  tally.add_again(second);
  if (is_whole) return again;
  tally.end_early();
  std::copy(scratch_.first.begin(), scratch_.first.end(), out.begin());
  return found;
}

Result<std::size_t> ShardQuery::ask(VectorView query, std::span<Match> out, bool in_parallel,
                                    SetTally& tally) {
  const std::size_t n = scratch_.asked.size();
  const std::size_t wanted = std::min(params_.k, out.size());
  const std::size_t room = std::min(share_, wanted);
  scratch_.answers.resize(n);
  scratch_.matches.resize(n * room);
  const auto ask_one = [&](std::size_t i) {
    ask_shard(i, query, std::span(scratch_.matches).subspan(i * room, room));
  };
  // The fresh one last: what another one has lost by then, it has.
  const std::size_t apart = set_.has_fresh() ? n - 1 : n;
  if (in_parallel) {
    set_.threads.run(apart, std::ref(ask_one));  // allocates nothing
  } else {
    for (std::size_t i = 0; i < apart; ++i) ask_one(i);
  }
  if (apart < n) ask_one(apart);
  Merge merge(query, set_.params, params_.rerank == nullptr, scratch_.merge);
  scratch_.merge.lists.clear();
  for (std::size_t i = 0; i < n; ++i) {
    const Shard& shard = set_.shards[scratch_.asked[i]];
    const ShardAnswer& answer = scratch_.answers[i];
    if (!shard.index) {
      tally.add_missing(scratch_.asked[i]);
      continue;
    }
    if (auto ok = tally.add(set_, call_, scratch_.asked[i], answer); !ok) return ok.error();
    if (!answer.outcome) continue;
    scratch_.merge.lists.push_back({&*shard.index,
                                    std::span(scratch_.matches).subspan(i * room, answer.count),
                                    {},
                                    answer.count});
  }
  scratch_.merge.given.begin(wanted);
  return merge.take(out.first(wanted));
}

void ShardQuery::ask_shard(std::size_t i, VectorView query, std::span<Match> out) {
  const std::uint32_t number = scratch_.asked[i];
  const Shard& shard = set_.shards[number];
  ShardAnswer& answer = scratch_.answers[i];
  answer.count = 0;
  answer.outcome = {};
  if (!shard.index) return;
  SearchParams mine = params_;
  mine.k = share_;
  if (filter_ != nullptr) mine.filter = &*filter_->each[number];
  mine.report = &answer.report;
  const auto found = shard.index->search(query, mine, out);
  if (found) {
    answer.count = *found;
  } else {
    answer.outcome = found.error();
  }
}

}  // namespace cairn
