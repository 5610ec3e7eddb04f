// SPDX-License-Identifier: Apache-2.0
//
// The slots that a filter lets pass: a sorted list of a few, or a bit a slot.
//
// Thread-safety: bits may change while others look at them, one at a time; all else is constant.
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "engine/search/key_rule.h"
#include "engine/store/node_id.h"
#include "engine/store/slot_log.h"

namespace cairn {

class SlotSet {
 public:
  // Sorted, each once.
  SlotSet(const KeyRule& rule, std::vector<NodeId> list)
      : rule_(rule), list_(std::move(list)), count_(list_.size()) {}
  // No slots yet, with room for those below `slots`.
  SlotSet(const KeyRule& rule, std::size_t slots)
      : rule_(rule),
        word_count_((slots + 63) / 64),
        words_(std::make_unique<std::atomic<std::uint64_t>[]>(word_count_)) {}

  bool has(NodeId slot) const {
    if (words_ == nullptr) return std::binary_search(list_.begin(), list_.end(), slot);
    const std::size_t i = slot.index / 64;
    return i < word_count_ &&
           (words_[i].load(std::memory_order_relaxed) >> slot.index % 64 & 1) != 0;
  }
  // Live vectors that pass.
  std::size_t count() const { return count_.load(std::memory_order_relaxed); }
  // Whether the filter wants a key, whatever slot it has.
  bool wants(Key key) const { return rule_.wants(key); }

  // The first slot that is not below `from`; kNoNode if there is none. Its records may be read.
  NodeId next(NodeId from) const {
    if (words_ == nullptr) {
      const auto at = std::lower_bound(list_.begin(), list_.end(), from);
      return at == list_.end() ? kNoNode : *at;
    }
    std::size_t i = from.index / 64;
    std::uint64_t mask = ~std::uint64_t{0} << from.index % 64;
    for (; i < word_count_; ++i, mask = ~std::uint64_t{0}) {
      // acquire: whoever has set the bit has seen the vector.
      const std::uint64_t word = words_[i].load(std::memory_order_acquire) & mask;
      if (word != 0) return slot_at(i, word);
    }
    return kNoNode;
  }

  // Some slots below `end`, each once, far apart; returns how many: fewer than there is room for if
  // few pass or those that do lie close together.
  template <std::size_t kSome>
  std::size_t spread(std::uint32_t end, std::array<NodeId, kSome>& out) const {
    std::size_t n = 0;
    for (std::size_t i = 0; i < kSome; ++i) {
      NodeId slot = kNoNode;
      if (words_ == nullptr) {
        if (!list_.empty()) slot = list_[i * list_.size() / kSome];
      } else {
        slot = next({static_cast<std::uint32_t>(std::uint64_t{end} * i / kSome)});
      }
      if (slot < end && (n == 0 || slot > out[n - 1])) out[n++] = slot;
    }
    return n;
  }
  // Slots in [from, end), at most `most` of them; returns how many, and lets `from` be where to go
  // on, `end` behind the last one. Their records may be read.
  std::size_t copy(NodeId& from, std::uint32_t end, NodeId* out, std::size_t most) const {
    std::size_t n = 0;
    const auto take = [&](NodeId slot) {
      if (slot >= end) return false;
      out[n++] = slot;
      from = {slot.index + 1};
      return n < most;
    };
    if (words_ == nullptr) {
      auto at = std::lower_bound(list_.begin(), list_.end(), from);
      while (at != list_.end() && take(*at)) ++at;
      if (n < most) from = {end};
      return n;
    }
    const std::size_t words = std::min<std::size_t>(word_count_, (std::size_t{end} + 63) / 64);
    const std::size_t first = from.index / 64;
    for (std::size_t i = first; i < words; ++i) {
      std::uint64_t left = words_[i].load(std::memory_order_acquire);
      if (i == first) left &= ~std::uint64_t{0} << from.index % 64;
      for (; left != 0; left &= left - 1) {
        if (!take(slot_at(i, left))) return n;
      }
    }
    from = {end};
    return n;
  }

  bool is_list() const { return words_ == nullptr; }
  const std::vector<NodeId>& list() const { return list_; }
  std::size_t words() const { return word_count_; }
  std::uint64_t word(std::size_t i) const { return words_[i].load(std::memory_order_acquire); }

  // --- one thread at a time

  // Sets the bits of slots [64 i, 64 i + 64).
  void put_word(std::size_t i, std::uint64_t bits) {
    const std::uint64_t old = words_[i].load(std::memory_order_relaxed);
    words_[i].store(bits, std::memory_order_release);
    const auto added = static_cast<std::size_t>(std::popcount(bits));
    const auto gone = static_cast<std::size_t>(std::popcount(old));
    count_.store(count() + added - gone, std::memory_order_relaxed);
  }
  // REQUIRES: there is room.
  void put(NodeId slot, bool passes) {
    const std::size_t i = slot.index / 64;
    const std::uint64_t bit = std::uint64_t{1} << slot.index % 64;
    const std::uint64_t old = words_[i].load(std::memory_order_relaxed);
    put_word(i, passes ? old | bit : old & ~bit);
  }

  // What it belongs to, and how many changes it has followed (engine/store/slot_log.h).
  bool has_followed(const SlotLog::Position& position) const {
    return layout == position.layout && seen.load(std::memory_order_acquire) >= position.changes;
  }
  std::uint64_t layout = 0;
  std::atomic<std::uint64_t> seen{0};
  // Before this number of changes nothing that is live did not pass; 0: not known.
  std::atomic<std::uint64_t> all_passed_before{0};

  // Whether all that is live in the view passes: then no result has to be asked for. What has been
  // linked since the view was taken has changed a slot before. REQUIRES: has_followed(); the walk
  // has read its lists.
  bool lets_all_pass(const SlotLog& log, const SlotLog::Position& view) const {
    return all_passed_before.load(std::memory_order_acquire) > view.changes &&
           log.position().changes == view.changes;
  }
  // Of a set that has been replaced: since when, and the one before.
  std::uint64_t retired = 0;
  std::unique_ptr<SlotSet> older;

 private:
  // That of the lowest bit in word i. REQUIRES: word != 0
  static NodeId slot_at(std::size_t i, std::uint64_t word) {
    return {static_cast<std::uint32_t>(i * 64) +
            static_cast<std::uint32_t>(std::countr_zero(word))};
  }

  const KeyRule& rule_;
  const std::vector<NodeId> list_;
  const std::size_t word_count_ = 0;
  const std::unique_ptr<std::atomic<std::uint64_t>[]> words_;
  std::atomic<std::size_t> count_{0};
};

}  // namespace cairn
