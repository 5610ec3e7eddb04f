// SPDX-License-Identifier: Apache-2.0
//
// One query of several shards, whose answers are merged.
#pragma once

#include <cstddef>
#include <span>

#include "engine/shards/set_search.h"

namespace cairn {

// What all searches for the nearest are checked for.
Result<void> check_asked(const char* call, const SearchParams& params, const ShardScope& scope);
// The filter of a scope; null: none. invalid_argument: it is of another set.
Result<const ShardFilter::Impl*> filter_of(const SetState& set, const char* call,
                                           const ShardFilter* filter);

// How many results a walk of each of `n` shards is asked for at first. Neighbors of a query are
// spread evenly over shards by hash, so that each has few of them; one that has more is asked
// again.
std::size_t share_of_results(const SetState& set, const SearchParams& params,
                             const ShardFilter::Impl* filter, std::size_t n);
// Whether a list that has given all that it was asked for has been used up: there may be more.
bool is_used_up(const MergeScratch& merge, std::size_t share);

// One query of the shards in scratch.asked.
class ShardQuery {
 public:
  // What it is given must outlive it.
  ShardQuery(const SetState& set, const char* call, const SearchParams& params,
             const ShardFilter::Impl* filter, SetScratch& scratch);

  // How many matches, into `out`. In parallel where the set's threads are free, if that is wanted.
  Result<std::size_t> search(VectorView query, std::span<Match> out, bool in_parallel,
                             SetTally& tally);
  // After a first answer, `found` results in `out` that are in the tally: asks each shard for all.
  // If the second pass does not come to its end, the first answer stays.
  Result<std::size_t> search_again(VectorView query, std::span<Match> out, std::size_t found,
                                   bool in_parallel, SetTally& tally);

 private:
  // Asks each shard for its share, and merges what they have found.
  Result<std::size_t> ask(VectorView query, std::span<Match> out, bool in_parallel,
                          SetTally& tally);
  void ask_shard(std::size_t i, VectorView query, std::span<Match> out);

  const SetState& set_;
  const char* const call_;
  SearchParams params_;
  const ShardFilter::Impl* filter_;
  SetScratch& scratch_;
  std::size_t share_;  // of the results, that each shard is asked for
};

}  // namespace cairn
