// SPDX-License-Identifier: Apache-2.0
#include "engine/shards/set_search.h"

#include <algorithm>
#include <string>

namespace cairn {

Result<void> check_scope(const char* call, const ShardScope& scope) {
  if (scope.coverage > 0 && scope.coverage <= 1) return {};
  return Error(ErrorCode::invalid_argument,
               std::string(call) + ": coverage is not above 0 and at most 1");
}

void choose_all(const SetState& set, std::vector<std::uint32_t>& asked) {
  asked.clear();
  for (std::size_t i = 0; i < set.shards.size(); ++i) {
    if (!set.shards[i].is_left_out) asked.push_back(static_cast<std::uint32_t>(i));
  }
}

Result<void> choose(const SetState& set, const char* call, VectorView query,
                    const ShardScope& scope, SetScratch& scratch) {
  const std::size_t all = set.shards.size() - (set.has_fresh() ? 1 : 0);
  if (scope.probe == 0 || scope.probe >= all || !set.router) {
    choose_all(set, scratch.asked);
    return {};
  }
  if (auto ok = choose_shards(*set.router, all, query, scope, scratch.router); !ok)
    return in_shard(call, set.manifest.router->file, ok.error());
  scratch.asked.clear();
  for (const std::uint32_t shard : scratch.router.shards) {
    if (!set.shards[shard].is_left_out) scratch.asked.push_back(shard);
  }
  if (set.has_fresh()) scratch.asked.push_back(static_cast<std::uint32_t>(all));
  return {};
}

void SetTally::add(const SearchReport& report) {
  if (is_empty_) sum_.plan = report.plan;
  if (sum_.plan != report.plan) sum_.plan = Plan::automatic;
  is_empty_ = false;
  sum_.complete &= report.complete;
  sum_.distances += report.distances;
  sum_.lists += report.lists;
}

void SetTally::add_missing(std::size_t shard, std::size_t rows) {
  asked_ += rows;
  const auto at = std::lower_bound(missing_.begin(), missing_.end(), shard);
  if (at == missing_.end() || *at != shard) missing_.insert(at, shard);
}

Result<void> SetTally::add(const SetState& set, const char* call, std::size_t shard,
                           const ShardAnswer& answer, std::size_t rows) {
  if (answer.outcome) {
    asked_ += rows;
    answered_ += rows;
    add(answer.report);
    return {};
  }
  const ErrorCode code = answer.outcome.error().code();
  const auto error = [&] { return in_shard(call, set.shards[shard].file, answer.outcome.error()); };
  if (code == ErrorCode::deadline_exceeded || code == ErrorCode::cancelled) {
    asked_ += rows;
    answered_ += rows;
    sum_.complete = false;
    if (!late_) late_ = answer.outcome.error();
    return {};
  }
  if (!set.allow_partial || !is_fault(code)) return error();
  if (!fault_) fault_ = error();
  add_missing(shard, rows);
  return {};
}

void SetTally::add(const SetTally& other) {
  if (!other.is_empty_) {
    add(other.sum_);
  } else {
    sum_.complete &= other.sum_.complete;
  }
  found_ += other.found_;
  asked_ += other.asked_;
  answered_ += other.answered_;
  if (!late_) late_ = other.late_;
  if (!fault_) fault_ = other.fault_;
  for (const std::size_t shard : other.missing_) add_missing(shard, 0);
}

void SetTally::add_again(const SetTally& second) {
  sum_.complete &= second.sum_.complete;
  sum_.distances += second.sum_.distances;
  sum_.lists += second.sum_.lists;
  if (!fault_) fault_ = second.fault_;
  for (const std::size_t shard : second.missing_) add_missing(shard, 0);
}

bool SetTally::is_whole_after(const SetTally& first) const {
  return sum_.complete && std::includes(first.missing_.begin(), first.missing_.end(),
                                        missing_.begin(), missing_.end());
}

Result<void> SetTally::tell(const SetState& set, const char* call, SearchReport* report,
                            ShardReport* shards) const {
  if (late_ && found_ == 0) return *late_;
  if (asked_ != 0 && answered_ == 0) {
    if (fault_) return *fault_;
    const std::size_t shard = missing_.front();
    for (const ShardProblem& problem : set.problems) {
      if (problem.shard == shard) return in_shard(call, problem.file, problem.error);
    }
  }
  if (report != nullptr) *report = sum_;
  if (shards == nullptr) return {};
  shards->shards_asked = asked_;
  shards->shards_answered = answered_;
  shards->missing.clear();
  for (const std::size_t shard : missing_) shards->missing.push_back(set.shards[shard].file);
  return {};
}

}  // namespace cairn
