// SPDX-License-Identifier: Apache-2.0
//
// The exact plan: all slots that may be results are scored, in blocks of slots by queries, and what
// may be among the k nearest is ranked in double. Where there are codes, they are what is scored,
// and a slot is out as soon as its distance is beyond the k-th by more than the errors of both
// allow: the answer is that of a scan in double, but for errors of six standard deviations
// (docs/decisions/0011).
//
// Thread-safety: none; scratch belongs to the caller.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <span>
#include <vector>

#include "engine/search/ranking.h"
#include "engine/search/search_scratch.h"
#include "engine/search/slot_blocks.h"
#include "engine/vectors/code_panels.h"
#include "engine/vectors/distance.h"

namespace cairn {

// One query of a scan, and what the scan knows of it: the k least distances so far, of different
// keys, and from that which slots may still be among the k nearest.
class ScannedQuery {
 public:
  // `query` as for_scan() makes it. Nothing has been scanned. `deviations`: how many of an error
  // are allowed for.
  ScannedQuery(const Space& space, const Query& query, std::size_t k, SearchScratch& scratch,
               float deviations = kDeviations)
      : space_(&space),
        query_(query),
        k_(k),
        deviations_(deviations),
        scratch_(&scratch),
        is_of_keys_(space.view().several_per_key) {
    if (is_of_keys_) {
      scratch.keys.reset(k);
    } else {
      scratch.pool.reset(k, k);
    }
    scratch.near.clear();
    scratch.scanned_to = {0};
  }

  const Query& query() const { return query_; }
  Effort& effort() { return scratch_->effort; }
  float deviations() const { return deviations_; }

  // Codes that are off by more than is likely are looked at with so many deviations instead.
  static constexpr float kManyDeviations = 4 * kDeviations;

  // Nodes with steps up to `step` will be met.
  void expect(float step) { largest_step_ = std::max(largest_step_, step); }

  // Distances beyond it, to nodes with steps up to `step`, are of no match. It is found anew where
  // the bound is another one, or the step much smaller.
  float limit(float step) {
    constexpr float kSmaller = 1.5f;
    expect(step);
    if (!(step <= limit_step_ && limit_step_ <= kSmaller * step)) renew_limit(step);
    return limit_;
  }

  // Some slots, and distances() of them.
  void meet(const NodeId* nodes, const float* distances, std::size_t n) {
    const float far = limit(largest_step_);
    std::uint32_t near = 0;  // a count, as compilers turn that into vectors of comparisons
    for (std::size_t i = 0; i < n; ++i) near += is_beyond(distances[i], far) ? 0U : 1U;
    if (near != 0) look_at(nodes, distances, n);
  }

  // Slots below `end` have been looked at.
  void note_end(NodeId end) { scratch_->scanned_to = end; }

  // What may be among the k nearest: into the scratch's ids and distances.
  Candidates candidates();
  // Once these are ranked: whether their distances were off by more than errors of codes are that
  // do not depend on each other. Those of numbers that repeat do; then codes cannot be trusted.
  bool has_been_misled(std::size_t candidates) const;

 private:
  // Infinite ones may be sums that have left the range of floats on the way.
  static bool is_beyond(float distance, float limit) {
    return (distance > limit) & (distance <= std::numeric_limits<float>::max());
  }
  void look_at(const NodeId* nodes, const float* distances, std::size_t n);
  bool is_near(NodeId node, float distance) const;
  void prune();
  void take(const NodeId* nodes, const float* distances, std::size_t n);
  template <class Pool>
  void renew_bound(const Pool& pool);
  void renew_limit(float step);

  const Space* space_;
  Query query_;
  std::size_t k_;
  float deviations_;
  SearchScratch* scratch_;
  bool is_of_keys_;  // scratch_->keys tells how far is too far; else scratch_->pool
  float last_ = std::numeric_limits<float>::infinity();   // the k-th distance
  float variance_ = 0;                                    // of its error
  float reach_ = std::numeric_limits<float>::infinity();  // what is beyond is not looked at
  float limit_ = std::numeric_limits<float>::infinity();  // the same for steps up to limit_step_
  float limit_step_ = kNoStep;
  float largest_step_ = 0;                 // of the nodes that are met
  static constexpr float kNoStep = -1.0f;  // there is no limit yet
};

// Scans the slots for all queries, each until its effort is over.
void scan(const Space& space, SlotBlocks slots, std::span<ScannedQuery> queries);

// Memory of scan_in_panels(). What may be among the nearest of a query is named, and met when that
// is some: little is gained by a bound that is renewed for each.
struct PanelScratch {
  static constexpr std::size_t kTiles = 16;  // of a block
  static constexpr std::size_t kSlots = kTiles * simd::kTileRows;
  static constexpr std::size_t kSome = 32;
  static constexpr std::size_t kRoom = kSome + kSlots;  // of a query
  QueryPanels panels;
  NodeTile tiles[kTiles];
  std::vector<NodeId> named;     // kRoom a query
  std::vector<float> distances;  // of the codes, as many
  std::vector<std::size_t> named_count;
  std::vector<std::size_t> allowed;  // slots of the block that a query's effort lets it look at
};

// Whether codes can tell of most slots that they are too far.
bool leaves_out_by_codes(const Space& space, float deviations = kDeviations);
// Whether these queries are compared with a block at less cost by scan_in_panels(), which gives the
// same.
bool suits_panels(const Space& space, std::span<const ScannedQuery> queries);
void scan_in_panels(const Space& space, SlotBlocks slots, std::span<ScannedQuery> queries,
                    PanelScratch& scratch);

}  // namespace cairn
