// SPDX-License-Identifier: Apache-2.0
//
// One query whose results are asked for page by page. Between two pages nothing of the index is
// held: when the next one is asked for, what has happened to slots meanwhile is made good. A walk
// that has cost as much as a scan, or has nowhere to go, ends, and a scan gives the rest. One that
// a limit ends goes on with the next page where it was.
//
// Thread-safety: none.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include <cairn/cursor.h>
#include <cairn/params.h>

#include "engine/search/keys_met.h"
#include "engine/search/search.h"
#include "engine/search/slot_set.h"
#include "engine/search/widening_walk.h"
#include "engine/store/slot_log.h"
#include "engine/vectors/distance.h"

namespace cairn {

class Pager {
 public:
  // Keys that are remembered, at most: beyond that there are no more pages.
  static constexpr std::size_t kMostGiven = std::size_t{1} << 22;

  // The next results, at most out.size(), in order; returns how many. They do not count before
  // confirm(), since what was read may not have been of one moment: go_back() otherwise. `slots`:
  // as for find_nearest(). params.k is not used. REQUIRES: the same query, index and filter in each
  // call; an epoch is entered; slot_log of the view keeps changes.
  std::size_t next(const Space& space, VectorView query, const SearchParams& params, Order order,
                   const SlotSet* slots, std::span<Match> out);

  // The results of the last call, in order, until confirm() or another call.
  std::span<const Ranked> page() const { return pending_; }

  void confirm();
  void go_back() {
    if (is_pending_) begin_anew();
  }
  // All but what was given is forgotten.
  void begin_anew() {
    has_begun_ = is_pending_ = false;
    ready_.clear();
  }

  // Of the last call.
  Plan plan() const { return plan_; }
  bool is_complete() const { return is_complete_; }
  std::uint64_t distances() const { return distances_; }
  std::uint64_t lists() const { return lists_; }
  bool is_over() const { return is_over_; }

 private:
  struct Call;  // what next() is given

  void catch_up(const Call& call);
  void begin(const Call& call);
  std::size_t window_for(const Call& call) const;
  void fill_by_walk(Call& call);
  bool is_unsure(const Call& call, std::size_t window);
  void walk_on_vectors(Call& call);
  void fill_by_scan(const Call& call);
  void take_from_pool(const Call& call, std::size_t window);
  bool may_be_nearer(const Call& call, std::size_t i, std::size_t wanted) const;
  void take_candidates(const Call& call, std::size_t begin, std::size_t end);
  void look_at_changed(const Call& call);
  void make_ready(const Call& call, std::size_t n);
  void add_replaced(const Call& call);
  void forget_replaced();
  bool is_left_out(const Call& call, const Ranked& one) const;
  void keep_nearest_of_keys();
  bool give(const Call& call);
  void note(const Effort& effort);

  WideningScratch scratch_;
  Query query_{};              // of the walk, as it is measured
  bool on_vectors_ = false;    // it is walked on them
  std::vector<Ranked> ready_;  // ranked and not given; nearest first
  KeysMet given_;
  KeysMet page_;                  // that has not been confirmed, where a key may be met twice
  KeysMet among_ready_;           // working memory
  std::vector<Ranked> pending_;   // its results
  std::size_t pending_used_ = 0;  // of those that were ready
  bool is_pending_ = false;
  std::vector<NodeId> changed_;   // since the last page
  std::vector<NodeId> replaced_;  // while the last call ran, as far as they were added
  std::uint64_t switches_ = 0;    // that were looked through for that
  Ranked last_{};                 // of those that were given the farthest
  SlotLog::Position at_{};
  std::uint64_t work_ = 0;  // of the walk
  bool has_begun_ = false;
  bool is_scanning_ = false;
  bool is_exhausted_ =
      false;              // the last scan has found all there was, and nothing has changed since
  NodeId scan_from_{0};   // all that is below is given, ready or left out
  std::size_t late_ = 0;  // results that a scan has left out for the order, at most
  Plan plan_ = Plan::walk;
  bool is_complete_ = true;
  bool is_over_ = false;
  std::uint64_t distances_ = 0;
  std::uint64_t lists_ = 0;
};

}  // namespace cairn
