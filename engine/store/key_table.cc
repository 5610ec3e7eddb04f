// SPDX-License-Identifier: Apache-2.0
#include "engine/store/key_table.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <functional>
#include <utility>

#include "engine/base/assert.h"
#include "engine/store/key_bucket.h"
#include "format/bytes/limits.h"
#include "format/bytes/record_layout.h"
#include "format/bytes/superblock_layout.h"

namespace cairn {
namespace {

namespace bucket = format::bucket;

// A bucket splits when there are more than 32 / 5 = 6.4 entries per primary bucket: most chains are
// then one bucket long, and a key costs about 11 bytes all told.
constexpr std::uint64_t kLoadKeys = 5;
constexpr std::uint64_t kLoadBuckets = 32;

constexpr std::uint64_t buckets_for(std::uint64_t count) {
  return std::max<std::uint64_t>(1, (count * kLoadKeys + kLoadBuckets - 1) / kLoadBuckets);
}

Error corrupt(std::string what) {
  return Error(ErrorCode::corrupt, "key table: " + std::move(what));
}

}  // namespace

Result<void> KeyTable::attach(const format::Counters& counters) {
  const std::uint64_t buckets = counters.hash_buckets;
  const std::uint64_t used = counters.overflow_used;
  if (buckets > hash_->size() / bucket::kSize) {
    return corrupt("hash_buckets " + std::to_string(buckets) +
                   " are more than the HASH section's " + std::to_string(hash_->size()) +
                   " bytes hold");
  }
  if (used > overflow_->size() / bucket::kSize || used > kNoBucket) {
    return corrupt("overflow_used " + std::to_string(used) +
                   " are more than the OVERFLOW section's " + std::to_string(overflow_->size()) +
                   " bytes hold");
  }
  if (counters.overflow_free != kNoBucket && counters.overflow_free >= used) {
    return corrupt("overflow_free " + std::to_string(counters.overflow_free) +
                   " is not below overflow_used " + std::to_string(used));
  }
  if (buckets == 0 && used != 0) return corrupt("overflow buckets without primary ones");
  const std::uint64_t most =
      std::min<std::uint64_t>((buckets + used) * bucket::kEntries, format::kNoNode);
  if (counters.live > most) {
    return corrupt(std::to_string(counters.live) + " live nodes do not fit into " +
                   std::to_string(buckets) + " + " + std::to_string(used) + " buckets");
  }
  buckets_ = buckets;
  overflow_used_ = used;
  overflow_free_ = counters.overflow_free;
  size_ = counters.live;
  key_count_ = counters.keys;
  return {};
}

void KeyTable::store(format::Counters& counters) const {
  counters.live = size_;
  counters.keys = has_several_ ? std::uint64_t{key_count_} : 0;
  counters.hash_buckets = buckets_;
  counters.overflow_used = overflow_used_;
  counters.overflow_free = overflow_free_;
}

// With L = floor(log2 buckets): hash mod 2^(L+1), and mod 2^L where that bucket is not there yet.
// REQUIRES: buckets_ > 0
std::uint64_t KeyTable::home(std::uint64_t hash) const {
  const std::uint64_t buckets = buckets_;
  CAIRN_ASSERT(buckets > 0);
  const std::uint64_t low = std::bit_floor(buckets) - 1;
  const std::uint64_t index = hash & (2 * low + 1);
  return index < buckets ? index : hash & low;
}

std::byte* KeyTable::following(const std::byte* at) const { return linked(next_of(at)); }

// What a bucket's link leads to; null: to nothing.
std::byte* KeyTable::linked(std::uint32_t next) const {
  return next == 0 || next > overflow_used_ ? nullptr : overflow(next - 1);
}

std::uint64_t KeyTable::usable_slots(std::uint64_t slots) const {
  return std::min(
      {slots, std::uint64_t{keys_->size() / sizeof(Key)}, std::uint64_t{format::kNoNode}});
}

Key KeyTable::key_of(NodeId node) const {
  return bucket_word<Key>(keys_->data() + std::size_t{node.index} * sizeof(Key))
      .load(std::memory_order_relaxed);
}

std::optional<NodeId> KeyTable::find(Key key, std::uint64_t slots) const {
  if (buckets_ == 0) return std::nullopt;
  slots = usable_slots(slots);
  const std::uint64_t hash = hash_of_(key);
  const std::uint16_t tag = tag_of(hash);
  const std::byte* at = primary(home(hash));
  for (std::uint64_t steps = 0; at != nullptr && steps <= overflow_used_; ++steps) {
    for (std::size_t i = 0; i < bucket::kEntries; ++i) {
      if (tag_at(at, i) != tag) continue;
      const NodeId node = node_at(at, i);  // kNoNode is never < slots
      if (node < slots && key_of(node) == key) return node;
    }
    at = following(at);
  }
  return std::nullopt;
}

Result<std::byte*> KeyTable::chain_tail(std::uint64_t index) const {
  std::byte* at = primary(index);
  for (std::uint64_t steps = 0; steps <= overflow_used_; ++steps) {
    if (next_of(at) == 0) return at;
    at = following(at);
    if (at == nullptr)
      return corrupt("bucket " + std::to_string(index) + ": link beyond the overflow buckets");
  }
  return corrupt("bucket " + std::to_string(index) + ": its chain is a cycle");
}

Result<void> KeyTable::make_room(std::uint64_t hash_buckets, std::uint64_t overflow_buckets) {
  if (overflow_buckets > kNoBucket)
    return Error(ErrorCode::out_of_memory, "key table: too many overflow buckets");
  const auto grow = [&](format::SectionId section, format::Region& region,
                        std::uint64_t buckets) -> Result<void> {
    const std::uint64_t bytes = buckets * bucket::kSize;
    if (bytes <= region.size()) return {};
    auto grown =
        sink_ != nullptr ? sink_->grow(section, region, bytes) : region.grow_anonymous(bytes);
    return grown ? Result<void>() : grown.error().with_context("key table");
  };
  if (auto ok = grow(format::SectionId::hash, *hash_, hash_buckets); !ok) return ok;
  if (auto ok = grow(format::SectionId::overflow, *overflow_, overflow_buckets); !ok) return ok;
  return {};
}

bool KeyTable::in_overflow(const std::byte* at) const {
  // std::less orders pointers into different arrays too.
  const std::byte* begin = overflow_->data();
  return begin != nullptr && !std::less<>()(at, begin) &&
         std::less<>()(at, begin + overflow_used_ * bucket::kSize);
}

void KeyTable::note(const std::byte* at, std::size_t n) {
  if (sink_ == nullptr) return;
  const bool over = in_overflow(at);
  const std::byte* begin = over ? overflow_->data() : hash_->data();
  sink_->changed(over ? format::SectionId::overflow : format::SectionId::hash,
                 static_cast<std::uint64_t>(at - begin), n * bucket::kSize);
}

void KeyTable::put(std::byte* at, std::size_t i, std::uint32_t entry, std::uint16_t tag) {
  entry_word(at, i).store(entry, std::memory_order_release);
  tag_word(at, i).store(tag, std::memory_order_relaxed);
  note(at);
}

void KeyTable::set_next(std::byte* at, std::uint32_t next) {
  next_word(at).store(next, std::memory_order_relaxed);
  note(at);
}

void KeyTable::clear_buckets(std::byte* at, std::size_t n) {
  for (std::size_t word = 0; word < n * bucket::kSize; word += sizeof(std::uint32_t)) {
    bucket_word<std::uint32_t>(at + word).store(0, std::memory_order_relaxed);
  }
  note(at, n);
}

bool KeyTable::must_split() const { return (size_ + 1) * kLoadKeys > buckets_ * kLoadBuckets; }

std::uint64_t KeyTable::split_index() const { return buckets_ - std::bit_floor(buckets()); }

// A bucket that is in use has entries, one that is free has none.
bool KeyTable::is_free(std::uint32_t index) const {
  const std::byte* at = overflow(index);
  for (std::size_t i = 0; i < bucket::kEntries; ++i) {
    if (entry_at(at, i) != 0) return false;
  }
  return true;
}

// A zeroed bucket: a freed one, or the next of the region; kNoBucket if the region is used up,
// which make_room prevents in every table that is sound.
std::uint32_t KeyTable::take_overflow() {
  std::uint32_t index = overflow_free_;
  if (index != kNoBucket) {
    const std::uint32_t next = next_of(overflow(index));
    overflow_free_ = next > overflow_used_ ? kNoBucket : next - 1;  // 0 becomes kNoBucket
  } else {
    if ((overflow_used_ + 1) * bucket::kSize > overflow_->size()) return kNoBucket;
    index = static_cast<std::uint32_t>(overflow_used_);
    overflow_used_ = overflow_used_ + 1;
  }
  clear_buckets(overflow(index), 1);
  return index;
}

void KeyTable::free_overflow(std::uint32_t index) {
  std::byte* at = overflow(index);
  clear_buckets(at, 1);
  set_next(at, overflow_free_ + 1);  // kNoBucket becomes 0
  overflow_free_ = index;
}

// Puts an entry behind all others of a chain; `tail` is its last bucket before and after.
void KeyTable::append(std::byte*& tail, std::uint32_t entry, std::uint16_t tag) {
  std::size_t used = used_in(tail);
  if (used == bucket::kEntries) {
    const std::uint32_t index = take_overflow();
    if (index == kNoBucket) return;
    set_next(tail, index + 1);
    tail = overflow(index);
    used = 0;
  }
  put(tail, used, entry, tag);
}

Result<void> KeyTable::reserve_insert(Key key) {
  if (overflow_free_ != kNoBucket && !is_free(overflow_free_)) overflow_free_ = kNoBucket;
  if (buckets_ == 0) return make_room(1, 0);
  const bool splits = must_split();
  auto tail = chain_tail(home(hash_of_(key)));
  if (!tail) return tail.error();
  if (splits) {
    auto sound = chain_tail(split_index());
    if (!sound) return sound.error();
  }
  const bool new_overflow = used_in(*tail) == bucket::kEntries && overflow_free_ == kNoBucket;
  return make_room(buckets_ + (splits ? 1 : 0), overflow_used_ + (new_overflow ? 1 : 0));
}

Result<void> KeyTable::insert(Key key, NodeId node) {
  CAIRN_ASSERT(node < usable_slots(format::kNoNode));
  if (auto room = reserve_insert(key); !room) return room;
  if (buckets_ == 0) {
    clear_buckets(primary(0), 1);
    buckets_ = 1;
  }
  const std::uint64_t hash = hash_of_(key);
  const bool splits = must_split();
  auto tail = chain_tail(home(hash));
  if (!tail) return tail.error();
  if (has_several_ && !find(key, format::kNoNode)) key_count_ = key_count_ + 1;
  append(*tail, entry_of(node), tag_of(hash));
  size_ = size_ + 1;
  if (splits) split();
  return {};
}

bool KeyTable::replace(Key key, NodeId old, NodeId node) {
  CAIRN_ASSERT(node < usable_slots(format::kNoNode));
  if (buckets_ == 0) return false;
  const std::uint64_t hash = hash_of_(key);
  std::byte* at = primary(home(hash));
  for (std::uint64_t steps = 0; at != nullptr && steps <= overflow_used_; ++steps) {
    for (std::size_t i = 0; i < bucket::kEntries; ++i) {
      if (entry_at(at, i) != entry_of(old)) continue;
      put(at, i, entry_of(node), tag_of(hash));
      return true;
    }
    at = following(at);
  }
  return false;
}

// Shares the entries of one bucket out between itself and the new last bucket. Needs no new
// overflow bucket: after i overflow buckets of the old chain have been read and freed, at most 10
// (i + 1) entries have been placed, in two chains that need at most i overflow buckets together.
// REQUIRES: room for one more primary bucket.
void KeyTable::split() {
  const std::uint64_t from = split_index();
  const std::uint64_t to = buckets_;
  CAIRN_ASSERT((to + 1) * bucket::kSize <= hash_->size());
  alignas(bucket::kSize) std::array<std::byte, bucket::kSize> old;
  std::memcpy(old.data(), primary(from), bucket::kSize);
  clear_buckets(primary(to), 1);
  buckets_ = to + 1;
  clear_buckets(primary(from), 1);
  std::byte* staying = primary(from);
  std::byte* moving = primary(to);
  const std::uint64_t slots = usable_slots(format::kNoNode);
  for (std::uint64_t steps = 0;; ++steps) {
    for (std::size_t i = 0; i < bucket::kEntries; ++i) {
      const std::uint32_t entry = entry_at(old.data(), i);
      if (entry == 0) continue;
      const NodeId node = node_at(old.data(), i);
      const bool moves = node < slots && home(hash_of_(key_of(node))) == to;
      append(moves ? moving : staying, entry, tag_at(old.data(), i));
    }
    const std::uint32_t next = next_of(old.data());
    if (next == 0 || next > overflow_used_ || steps == overflow_used_) return;
    std::memcpy(old.data(), overflow(next - 1), bucket::kSize);
    free_overflow(next - 1);
  }
}

bool KeyTable::erase(Key key, NodeId node) {
  if (buckets_ == 0 || node >= usable_slots(format::kNoNode) || key_of(node) != key) return false;
  const std::uint64_t hash = hash_of_(key);
  std::byte* hole = nullptr;  // bucket and position of the entry
  std::size_t hole_at = 0;
  std::size_t last_used = 0;  // entries of:
  std::byte* last = nullptr;  // bucket of the chain's last entry, and the one in front of it
  std::byte* before_last = nullptr;
  std::byte* at = primary(home(hash));
  std::byte* before = nullptr;
  for (std::uint64_t steps = 0; at != nullptr && steps <= overflow_used_; ++steps) {
    for (std::size_t i = 0; i < bucket::kEntries; ++i) {
      if (hole != nullptr || entry_at(at, i) != entry_of(node)) continue;
      hole = at;
      hole_at = i;
    }
    if (const std::size_t used = used_in(at); used != 0) {
      last_used = used;
      last = at;
      before_last = before;
    }
    before = at;
    at = following(at);
  }
  if (hole == nullptr || last == nullptr) return false;

  const std::size_t tail = last_used - 1;
  put(hole, hole_at, entry_at(last, tail), tag_at(last, tail));
  put(last, tail, 0, 0);
  if (size_ != 0) size_ = size_ - 1;
  if (tail == 0 && before_last != nullptr && next_of(last) == 0) {
    const auto offset = static_cast<std::uint64_t>(last - overflow_->data());
    set_next(before_last, 0);
    free_overflow(static_cast<std::uint32_t>(offset / bucket::kSize));
  }
  return true;
}

// An entry is read once: another thread may change it.
bool KeyTable::is_entry_of(const std::byte* at, std::size_t i, Key key, std::uint16_t tag,
                           std::uint64_t slots) const {
  if (tag_at(at, i) != tag) return false;
  const NodeId node = node_at(at, i);  // kNoNode is never < slots
  return node < slots && key_of(node) == key;
}

Result<void> KeyTable::check_take_out(Key key) const {
  if (buckets_ == 0) return {};
  const auto tail = chain_tail(home(hash_of_(key)));
  return tail ? Result<void>() : tail.error();
}

// Those that stay move up, in their order, and what the chain needs no more becomes free.
std::size_t KeyTable::take_out(Key key, std::optional<NodeId> node) {
  CAIRN_ASSERT(has_several_);
  if (buckets_ == 0) return 0;
  const std::uint64_t slots = usable_slots(format::kNoNode);
  const std::uint64_t hash = hash_of_(key);
  const std::uint16_t tag = tag_of(hash);
  std::byte* to = primary(home(hash));
  std::size_t to_at = 0;
  std::size_t found = 0;
  const auto keep = [&](std::uint32_t entry, std::uint16_t its_tag) {
    if (to_at == bucket::kEntries) {
      // There is none if somebody else has changed the link since it was followed: what stood
      // behind it is lost.
      std::byte* const next = following(to);
      if (next == nullptr) return;
      to = next;
      to_at = 0;
    }
    const bool is_there = entry_at(to, to_at) == entry && tag_at(to, to_at) == its_tag;
    if (!is_there) put(to, to_at, entry, its_tag);
    ++to_at;
  };
  const std::byte* at = to;
  for (std::uint64_t steps = 0; at != nullptr && steps <= overflow_used_; ++steps) {
    for (std::size_t i = 0; i < bucket::kEntries; ++i) {
      const std::uint32_t entry = entry_at(at, i);
      if (entry == 0) continue;
      if (!is_entry_of(at, i, key, tag, slots)) {
        keep(entry, tag_at(at, i));
      } else if (found++ == 0 && node) {
        keep(entry_of(*node), tag);
      }
    }
    at = following(at);
  }
  end_chain(to, to_at);
  const std::size_t gone = found - (found != 0 && node ? 1 : 0);
  size_ = size_ - std::min<std::uint64_t>(size_, gone);
  if (found != 0 && !node && key_count_ != 0) key_count_ = key_count_ - 1;
  return found;
}

// A chain ends with the first `used` entries of a bucket.
void KeyTable::end_chain(std::byte* last, std::size_t used) {
  for (std::size_t i = used; i < bucket::kEntries; ++i) {
    if (entry_at(last, i) != 0) put(last, i, 0, 0);
  }
  std::byte* at = following(last);
  if (at == nullptr) return;
  set_next(last, 0);
  for (std::uint64_t steps = 0; at != nullptr && steps < overflow_used_; ++steps) {
    std::byte* const next = following(at);
    const auto offset = static_cast<std::uint64_t>(at - overflow_->data());
    free_overflow(static_cast<std::uint32_t>(offset / bucket::kSize));
    at = next;
  }
}

Result<void> KeyTable::reserve(std::uint64_t count) {
  if (size_ != 0) return Error(ErrorCode::internal, "key table: reserve in a table that has keys");
  if (count > format::kNoNode) {
    return Error(ErrorCode::out_of_memory, "key table: " + std::to_string(count) + " keys");
  }
  const std::uint64_t wanted = buckets_for(count);
  if (count == 0 || wanted <= buckets_) return {};
  auto room = make_room(wanted, 0);
  if (!room) return room;
  clear_buckets(primary(buckets_), wanted - buckets_);
  buckets_ = wanted;
  return {};
}

void KeyTable::clear() {
  hash_->clear();
  overflow_->clear();
  buckets_ = 0;
  overflow_used_ = 0;
  overflow_free_ = kNoBucket;
  size_ = 0;
  key_count_ = 0;
}

}  // namespace cairn
