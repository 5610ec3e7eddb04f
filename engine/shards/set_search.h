// SPDX-License-Identifier: Apache-2.0
//
// What searches of a set have in common: which shards are asked, and what becomes of their answers.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "engine/shards/set_impl.h"

namespace cairn {

// A share of `limit` for each of `n`; 0: none.
constexpr std::uint64_t share_of(std::uint64_t limit, std::size_t n) {
  return limit == 0 ? 0 : std::max<std::uint64_t>(1, limit / std::max<std::size_t>(1, n));
}

// The shards that a query is to be asked of, into scratch.asked: those that are missing too, not
// those that are left out, and the fresh one last. choose_all(): where no router has a say.
void choose_all(const SetState& set, std::vector<std::uint32_t>& asked);
Result<void> choose(const SetState& set, const char* call, VectorView query,
                    const ShardScope& scope, SetScratch& scratch);
Result<void> check_scope(const char* call, const ShardScope& scope);

// Adds up the answers of shards, of one query or of several.
class SetTally {
 public:
  // The answer of a shard to `rows` queries. An error: it is to be the answer of the whole call.
  Result<void> add(const SetState& set, const char* call, std::size_t shard,
                   const ShardAnswer& answer, std::size_t rows = 1);
  // A shard that is missing was to be asked.
  void add_missing(std::size_t shard, std::size_t rows = 1);
  void add_found(std::size_t n) { found_ += n; }
  void end_early() { sum_.complete = false; }
  void add(const SetTally& other);
  // What a second pass of a query, which is in this one already, has come to.
  void add_again(const SetTally& second);
  // Whether a second pass had the time, and all the shards, that the first one had.
  bool is_whole_after(const SetTally& first) const;

  // Fills in the reports, which may be null. An error: a limit has ended the search before anything
  // was found, or no shard has answered.
  Result<void> tell(const SetState& set, const char* call, SearchReport* report,
                    ShardReport* shards) const;

 private:
  void add(const SearchReport& report);

  SearchReport sum_;
  bool is_empty_ = true;  // no report is in it
  std::size_t found_ = 0;
  std::size_t asked_ = 0;
  std::size_t answered_ = 0;
  std::optional<Error> late_;         // of a shard that a limit has left without an answer
  std::optional<Error> fault_;        // of one that did not answer
  std::vector<std::size_t> missing_;  // in order, each once
};

}  // namespace cairn
