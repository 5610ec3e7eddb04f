// SPDX-License-Identifier: Apache-2.0
//
// What a set holds, and the memory of its searches.
#pragma once

#include <cairn/filter.h>
#include <cairn/shard_set.h>

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/search/search_scratch.h"
#include "engine/shards/router.h"
#include "engine/shards/set_folder.h"
#include "engine/shards/shard_merge.h"
#include "engine/shards/shard_threads.h"

namespace cairn {

// Of the lists below: the shards in the order of the manifest, then the fresh one.
struct Shard {
  std::string file;  // its name, as errors and reports call it
  std::filesystem::path path;
  std::optional<Index> index;  // nothing: it is missing, or left out
  bool is_left_out = false;    // it is not wanted, and so not missing
};

// What one shard has answered.
struct ShardAnswer {
  std::size_t count = 0;
  SearchReport report;
  Result<void> outcome;
};

// Memory of a search, or of a part of a batch.
struct SetScratch {
  std::vector<std::uint32_t> asked;       // numbers of shards
  std::vector<ShardAnswer> answers;       // one for each that is asked
  std::vector<Match> matches;             // of all of them, as much room for each
  std::vector<std::size_t> counts;        // of a part of a batch: rows for each that is asked
  std::vector<std::vector<Match>> lists;  // of a range
  std::vector<Match> first;               // what a query had found before it was asked again
  std::vector<const Filter*> filters;     // of a part of a batch, one a row
  MergeScratch merge;
  RouterScratch router;
};

// What a filter holds of its set: it outlives it, and so no other set has the same one.
struct SetAnchor {};

// A set.
struct SetState {
  explicit SetState(const ShardOptions& options)
      : allow_partial(options.allow_partial), threads(options.threads, options.executor) {}

  // The next shard, opened, or among the problems.
  Result<void> add(std::string file, std::filesystem::path path, const OpenOptions& options,
                   const ShardFile* known);
  Result<void> check_fit(const std::string& file, const Index& index) const;
  bool has_fresh() const { return manifest.fresh.has_value(); }
  // The shard that alone may have the key; nothing: any may.
  std::optional<std::size_t> home_of(Key key) const;
  // Calls look(index) for each shard that may have the key, the fresh one first, until it is true.
  template <class Look>
  bool any(Key key, const Look& look) const {
    if (const auto home = home_of(key)) {
      return shards[*home].index && look(*shards[*home].index);
    }
    for (std::size_t i = 0; i < shards.size(); ++i) {
      const std::size_t at = has_fresh() ? (i + shards.size() - 1) % shards.size() : i;
      if (shards[at].index && look(*shards[at].index)) return true;
    }
    // Meanwhile an upsert may have moved it there.
    return has_fresh() && shards.back().index && look(*shards.back().index);
  }

  std::filesystem::path folder;  // empty: files were given
  ShardManifest manifest;
  const bool allow_partial;
  bool is_writable = false;
  Durability durability = Durability::sync;  // of changes
  const std::shared_ptr<const SetAnchor> anchor = std::make_shared<const SetAnchor>();
  IndexParams params;
  std::vector<Shard> shards;
  std::vector<ShardProblem> problems;
  std::optional<Index> router;
  std::optional<SetLock> lock;  // of a set that is open for writing
  format::SharedLock hold;      // of its manifest: nobody removes what it names
  mutable ShardThreads threads;
  mutable IdlePool<SetScratch> scratch;
};

struct ShardSet::Impl : SetState {
  using SetState::SetState;
};

struct ShardFilter::Impl {
  std::shared_ptr<const SetAnchor> anchor;  // of its set
  std::vector<std::optional<Filter>> each;  // of the shards that are there
};

// "CALL: FILE: " in front of what a shard says about the same call.
Error in_shard(const char* call, const std::string& file, const Error& error);
struct ShardFilterParts {
  // invalid_argument: it is of another set, or moved from.
  static Result<const ShardFilter::Impl*> of(const char* call, const ShardFilter& filter,
                                             const SetState& set);
  // make(index) for each shard.
  template <class Make>
  static Result<ShardFilter> make(const ShardSet& set, const Make& make_one);
};

// Whether it is the shard that is at fault, and the others may answer without it.
bool is_fault(ErrorCode code);

// A set's shards as copies that can be changed, published by `lock`. docs/shards.md, "Changes".
Result<void> make_live(const std::filesystem::path& folder, SetLock& lock, ShardManifest& manifest);
// What a writer has left half done.
Result<void> remove_replaced(SetState& set);

}  // namespace cairn
