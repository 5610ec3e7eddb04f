// SPDX-License-Identifier: Apache-2.0
//
// A filter that follows its index: keys become slots once, and then as slots change. A search asks
// for the slots as of now. If nothing has changed since the last one, it gets them without a lock;
// else it brings them up to date, or waits for the thread that does.
//
// Thread-safety: any number of threads, each inside an epoch of the index while it uses the slots.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include <cairn/types.h>

#include "engine/base/epochs.h"
#include "engine/search/key_rule.h"
#include "engine/search/slot_set.h"
#include "engine/store/graph_view.h"

namespace cairn {

// What a filter reads of its index.
struct SlotSource {
  const GraphView& view;
  const Epochs& epochs;
  std::uint32_t forks;  // how often this process has been forked off since the index was made
  // The live node of a key as the view's layout numbers it, by the key table. Nothing, too, if the
  // index has another layout by now; then is_current() is false.
  std::function<std::optional<NodeId>(Key)> find;
  // The same where a key may have several: appends all of them.
  std::function<void(Key, std::vector<NodeId>&)> find_all;
  std::function<bool()> is_current;
  // Calls what reads the records that the view shows; false: they cannot be read.
  std::function<bool(const std::function<void()>&)> read;
};

class SlotFilter {
 public:
  explicit SlotFilter(KeyRule rule) : rule_(std::move(rule)) {}
  SlotFilter(const SlotFilter&) = delete;
  SlotFilter& operator=(const SlotFilter&) = delete;
  ~SlotFilter();

  // The slots, if they have all changes that the view has; else null.
  const SlotSet* current(const GraphView& view) const {
    const SlotSet* set = set_.load(std::memory_order_acquire);
    return set != nullptr && set->has_followed(view.slots) ? set : nullptr;
  }

  enum class Outcome {
    followed,
    left_behind,  // the index has another layout: take a new view
    unreadable,   // a page of the file
    torn,  // another process has changed the view's pages: what uses the view is to find that
  };
  // Brings the slots up to date with what `source` shows, and gives them. May throw std::bad_alloc
  // and what the caller's function throws.
  Outcome follow(const SlotSource& source, const SlotSet*& slots);

  // As of the last look; for when the index cannot be asked.
  std::size_t last_count() const {
    const SlotSet* set = set_.load(std::memory_order_acquire);
    return set == nullptr ? 0 : set->count();
  }

 private:
  class Lock;
  struct Change {
    NodeId slot;
    bool is_live;
    bool passes;
  };
  // Some at a time, on the stack.
  using Changes = std::array<Change, 256>;
  enum class Read { done, lost, unreadable };
  Read read_changes(const SlotSource& source, std::uint64_t from, std::size_t n,
                    Changes& changes) const;
  void apply(std::span<const Change> changes, const SlotSource& source);
  Read catch_up(const SlotSource& source);
  Outcome renew(const SlotSource& source);
  std::unique_ptr<SlotSet> of_keys(const KeySet& keys, const SlotSource& source) const;
  std::unique_ptr<SlotSet> of_all(const SlotSource& source, bool& is_readable,
                                  bool& all_pass) const;
  std::unique_ptr<SlotSet> as_list(const SlotSet& set) const;
  void show(std::unique_ptr<SlotSet> fresh, const Epochs& epochs);

  const KeyRule rule_;
  std::atomic<SlotSet*> set_{nullptr};  // owned; changed under lock_
  std::atomic<std::uint32_t> lock_{0};
};

}  // namespace cairn
