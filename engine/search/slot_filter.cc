// SPDX-License-Identifier: Apache-2.0
#include "engine/search/slot_filter.h"

#include <algorithm>
#include <array>
#include <bit>
#include <chrono>
#include <thread>
#include <utility>
#include <vector>

namespace cairn {

namespace {

// Up to here a filter is a list, if that is smaller than a bit a slot.
constexpr std::size_t kMostListed = 2048;

bool belongs_in_a_list(std::size_t passing, std::size_t slots) {
  return passing <= kMostListed && 32 * passing < slots;
}

// Room for what is added until slots are numbered anew, or the set has to grow.
std::size_t room_for(std::size_t slots) { return slots + slots / 8 + 1024; }

}  // namespace

// What a thread holds while it brings the slots up to date. If the process is forked meanwhile, the
// child, which does not have that thread, takes it over: what is written under it is complete at
// every moment.
class SlotFilter::Lock {
 public:
  Lock(std::atomic<std::uint32_t>& holder, std::uint32_t forks) : holder_(holder) {
    const std::uint32_t own = forks + 1;
    for (int attempt = 0;; ++attempt) {
      std::uint32_t holds = holder_.load(std::memory_order_relaxed);
      const bool is_free = holds != own;
      if (is_free && holder_.compare_exchange_weak(holds, own, std::memory_order_acquire)) return;
      if (attempt < 64) {
        std::this_thread::yield();
      } else {
        std::this_thread::sleep_for(std::chrono::microseconds(50));
      }
    }
  }
  Lock(const Lock&) = delete;
  Lock& operator=(const Lock&) = delete;
  ~Lock() { holder_.store(0, std::memory_order_release); }

 private:
  std::atomic<std::uint32_t>& holder_;
};

namespace {

// One after the other: a chain may be long.
void free_all(std::unique_ptr<SlotSet> set) {
  while (set) set = std::move(set->older);
}

}  // namespace

SlotFilter::~SlotFilter() {
  free_all(std::unique_ptr<SlotSet>(set_.load(std::memory_order_acquire)));
}

SlotFilter::Outcome SlotFilter::follow(const SlotSource& source, const SlotSet*& slots) {
  const SlotLog::Position& wanted = source.view.slots;
  const Lock lock(lock_, source.forks);
  const SlotSet* set = set_.load(std::memory_order_relaxed);
  if (set == nullptr || !set->has_followed(wanted)) {
    if (set != nullptr && set->layout > wanted.layout) return Outcome::left_behind;
    const bool is_same = set != nullptr && set->layout == wanted.layout;
    const Read caught_up = is_same ? catch_up(source) : Read::lost;
    if (caught_up == Read::unreadable) return Outcome::unreadable;
    if (caught_up == Read::lost) {
      const Outcome renewed = renew(source);
      if (renewed != Outcome::followed) return renewed;
    }
  }
  slots = set_.load(std::memory_order_relaxed);
  return Outcome::followed;
}

SlotFilter::Read SlotFilter::catch_up(const SlotSource& source) {
  const std::uint64_t end = source.view.slots.changes;
  Changes changes;
  for (std::uint64_t from = set_.load(std::memory_order_relaxed)->seen; from < end;) {
    const std::size_t n = std::min<std::uint64_t>(changes.size(), end - from);
    const Read read = read_changes(source, from, n, changes);
    if (read != Read::done) return read;
    const SlotSet& before = *set_.load(std::memory_order_relaxed);
    const auto fails = [](const Change& one) { return one.is_live && !one.passes; };
    const bool still_all =
        before.all_passed_before.load(std::memory_order_relaxed) > from &&
        std::none_of(changes.begin(), changes.begin() + static_cast<std::ptrdiff_t>(n), fails);
    apply({changes.data(), n}, source);
    from += n;
    SlotSet& set = *set_.load(std::memory_order_relaxed);
    if (still_all) set.all_passed_before.store(from + 1, std::memory_order_relaxed);
    // release: who finds that all changes are there finds them.
    set.seen.store(from, std::memory_order_release);
  }
  return Read::done;
}

SlotFilter::Read SlotFilter::read_changes(const SlotSource& source, std::uint64_t from,
                                          std::size_t n, Changes& changes) const {
  const GraphView& graph = source.view;
  for (std::size_t i = 0; i < n; ++i) {
    const auto slot = graph.slot_log->slot(from + i);
    if (!slot || *slot >= graph.count) return Read::lost;
    bool is_live = false;
    Key key = 0;
    const bool is_readable = source.read([&] {
      is_live = graph.is_live_and_written(*slot);
      if (is_live) key = graph.key(*slot);
    });
    if (!is_readable) return Read::unreadable;
    changes[i] = {*slot, is_live, is_live && rule_.wants(key)};
  }
  return Read::done;
}

// In place where that can be; else a new set takes the place of the old one.
void SlotFilter::apply(std::span<const Change> changes, const SlotSource& source) {
  SlotSet& set = *set_.load(std::memory_order_relaxed);
  std::size_t added = 0;
  std::size_t slots = 0;  // that a bitmap must have
  bool differs = false;
  for (const Change& change : changes) {
    differs |= set.has(change.slot) != change.passes;
    if (!change.passes) continue;
    ++added;
    slots = std::max<std::size_t>(slots, std::size_t{change.slot.index} + 1);
  }
  if (!differs) return;
  std::unique_ptr<SlotSet> fresh;
  if (set.is_list() && set.count() + added <= 2 * kMostListed) {
    std::vector<NodeId> list = set.list();
    for (const Change& change : changes) {
      const auto at = std::lower_bound(list.begin(), list.end(), change.slot);
      const bool is_there = at != list.end() && *at == change.slot;
      if (change.passes && !is_there) list.insert(at, change.slot);
      if (!change.passes && is_there) list.erase(at);
    }
    fresh = std::make_unique<SlotSet>(rule_, std::move(list));
  } else {
    if (set.is_list() || slots > 64 * set.words()) {
      fresh = std::make_unique<SlotSet>(rule_, room_for(source.view.count));
      for (const NodeId slot : set.list()) fresh->put(slot, true);
      for (std::size_t i = 0; i < set.words(); ++i) fresh->put_word(i, set.word(i));
    }
    SlotSet& into = fresh ? *fresh : set;
    for (const Change& change : changes) {
      if (change.slot.index / 64 < into.words()) into.put(change.slot, change.passes);
    }
  }
  if (!fresh) return;
  fresh->layout = set.layout;
  fresh->seen.store(set.seen.load(std::memory_order_relaxed), std::memory_order_relaxed);
  show(std::move(fresh), source.epochs);
}

SlotFilter::Outcome SlotFilter::renew(const SlotSource& source) {
  // A look into the table costs about as much as reading so many keys in order.
  constexpr std::size_t kSlotsALook = 16;
  const GraphView& graph = source.view;
  graph.slot_log->keep();
  const KeySet* keys = rule_.listed();
  const bool looks = keys != nullptr && keys->size() * kSlotsALook < graph.count;
  bool is_readable = true;
  bool all_pass = false;
  auto fresh = looks ? of_keys(*keys, source) : of_all(source, is_readable, all_pass);
  bool is_whole = false;
  is_readable = is_readable && source.read([&] { is_whole = graph.is_whole(); });
  if (!is_readable) return Outcome::unreadable;
  if (!is_whole) return Outcome::torn;
  if (!source.is_current()) return Outcome::left_behind;
  fresh->layout = graph.slots.layout;
  fresh->seen.store(graph.slots.changes, std::memory_order_relaxed);
  if (all_pass) fresh->all_passed_before.store(graph.slots.changes + 1, std::memory_order_relaxed);
  show(std::move(fresh), source.epochs);
  return Outcome::followed;
}

std::unique_ptr<SlotSet> SlotFilter::of_keys(const KeySet& keys, const SlotSource& source) const {
  std::vector<NodeId> list;
  list.reserve(std::min<std::size_t>(keys.size(), source.view.count));
  if (source.view.several_per_key) {
    keys.for_each([&](Key key) { source.find_all(key, list); });
    std::erase_if(list, [&](NodeId node) { return node >= source.view.count; });
  } else {
    keys.for_each([&](Key key) {
      const auto node = source.find(key);
      if (node && *node < source.view.count) list.push_back(*node);
    });
  }
  std::sort(list.begin(), list.end());
  list.erase(std::unique(list.begin(), list.end()), list.end());
  if (belongs_in_a_list(list.size(), source.view.count)) {
    list.shrink_to_fit();
    return std::make_unique<SlotSet>(rule_, std::move(list));
  }
  auto set = std::make_unique<SlotSet>(rule_, room_for(source.view.count));
  for (const NodeId slot : list) set->put(slot, true);
  return set;
}

// Some slots at a time: what is read, and then what the rule says of that.
std::unique_ptr<SlotSet> SlotFilter::of_all(const SlotSource& source, bool& is_readable,
                                            bool& all_pass) const {
  const GraphView& graph = source.view;
  const bool is_dense = graph.live == graph.count;
  constexpr std::size_t kPiece = 1024;
  std::array<Key, kPiece> keys;
  std::array<std::uint64_t, kPiece / 64> live;
  auto set = std::make_unique<SlotSet>(rule_, room_for(graph.count));
  std::size_t there = 0;
  for (std::size_t begin = 0; begin < graph.count; begin += kPiece) {
    const std::size_t n = std::min<std::size_t>(kPiece, graph.count - begin);
    live.fill(0);
    is_readable = source.read([&] {
      for (std::size_t i = 0; i < n; ++i) {
        const NodeId slot{static_cast<std::uint32_t>(begin + i)};
        const bool is_there = is_dense || graph.is_live_and_written(slot);
        keys[i] = is_there ? graph.key(slot) : 0;
        live[i / 64] |= std::uint64_t{is_there} << i % 64;
      }
    });
    if (!is_readable) return set;
    for (const std::uint64_t word : live) there += static_cast<std::size_t>(std::popcount(word));
    for (std::size_t i = 0; i < n; i += 64) {
      std::uint64_t passes = 0;
      for (std::size_t bit = 0; bit < std::min<std::size_t>(64, n - i); ++bit) {
        const bool is_there = (live[i / 64] >> bit & 1) != 0;
        passes |= std::uint64_t{is_there && rule_.wants(keys[i + bit])} << bit;
      }
      if (passes != 0) set->put_word((begin + i) / 64, passes);
    }
  }
  all_pass = set->count() == there;
  return belongs_in_a_list(set->count(), graph.count) ? as_list(*set) : std::move(set);
}

std::unique_ptr<SlotSet> SlotFilter::as_list(const SlotSet& set) const {
  std::vector<NodeId> list;
  list.reserve(set.count());
  for (NodeId slot = set.next({0}); slot != kNoNode; slot = set.next({slot.index + 1})) {
    list.push_back(slot);
  }
  return std::make_unique<SlotSet>(rule_, std::move(list));
}

// Sets that were replaced are kept until the searches that may have them have ended.
void SlotFilter::show(std::unique_ptr<SlotSet> fresh, const Epochs& epochs) {
  SlotSet* old = set_.load(std::memory_order_relaxed);
  if (old != nullptr) old->retired = epochs.now();
  fresh->older.reset(old);
  SlotSet* set = fresh.get();
  set_.store(fresh.release(), std::memory_order_release);
  while (set->older && !epochs.passed(set->older->retired)) set = set->older.get();
  free_all(std::move(set->older));
}

}  // namespace cairn
