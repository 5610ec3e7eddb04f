// SPDX-License-Identifier: Apache-2.0
//
// Key -> node: linear hashing (Litwin 1980) in 64-byte buckets that live in the HASH and OVERFLOW
// sections, so that look-ups work right after open without a rebuild. It grows one bucket at a time
// and keeps no tombstones. Byte tables: docs/format.md, "Bucket". Keys themselves stand
// in the KEY section; a bucket entry is a node number and 16 bits of the key's hash. A key may have
// several nodes if the table is made for that: they stand in one chain, in the order of insertion.
//
// Thread-safety: one writer at a time. find() and size() may run beside insert(), replace() and
// erase(), and then mean nothing (engine/base/table_mutex.h); nothing else may. Every number read
// from a bucket is bounded before use, and a chain is followed for at most `overflow_used` steps,
// so a hostile file, or a change meanwhile, gives a wrong answer at worst.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include <cairn/error.h>
#include <cairn/types.h>

#include "engine/base/assert.h"
#include "engine/base/hash.h"
#include "engine/store/change_sink.h"
#include "engine/store/key_bucket.h"
#include "engine/store/node_id.h"
#include "format/bytes/coding.h"
#include "format/bytes/parameters.h"
#include "format/bytes/record_layout.h"
#include "format/io/address_space.h"

namespace cairn {

namespace format {
struct Counters;
}

// How many nodes a key may have.
enum class NodesOfKey { one, several };
inline NodesOfKey nodes_of_key(const format::Parameters& parameters) {
  return parameters.several_per_key ? NodesOfKey::several : NodesOfKey::one;
}

class KeyTable {
 public:
  // The regions belong to the index and outlive the table. `keys` is the KEY section: key of node n
  // at 8 n.
  KeyTable(format::Region* hash, format::Region* overflow, const format::Region* keys,
           const KeyHash& hash_of, NodesOfKey nodes_of_key = NodesOfKey::one)
      : hash_(hash),
        overflow_(overflow),
        keys_(keys),
        hash_of_(hash_of),
        has_several_(nodes_of_key == NodesOfKey::several) {}

  const KeyHash& key_hash() const { return hash_of_; }
  // REQUIRES: the table is empty, and nobody else uses it.
  void use(const KeyHash& hash_of) {
    CAIRN_ASSERT(size_ == 0);
    hash_of_ = hash_of;
  }

  // Reports every store from now on; null: none.
  void report_to(ChangeSink* sink) { sink_ = sink; }

  // The counters of an opened file; corrupt if they do not fit the regions' sizes.
  Result<void> attach(const format::Counters& counters);
  // Fills in live, keys, hash_buckets, overflow_used and overflow_free.
  void store(format::Counters& counters) const;

  // The node of `key`, which is less than `slots`; the first, if it has several.
  std::optional<NodeId> find(Key key, std::uint64_t slots) const;

  // Calls visit(node) for all of them, in order, until that returns false. In a damaged table it
  // may see one more than once.
  template <class Visit>
  void for_each_of(Key key, std::uint64_t slots, Visit&& visit) const;

  // Calls used(section, offset, bytes) for each part of a section that find() may read.
  template <class Used>
  void for_each_used(Key key, std::uint64_t slots, Used&& used) const;

  // REQUIRES: key is not in the table, unless it may have several nodes, and stands at keys[node]
  // already. out_of_memory, or corrupt for a chain that cannot be (a hostile file), leave the table
  // unchanged.
  Result<void> insert(Key key, NodeId node);

  // Makes room for one more key, which insert() then takes without failing; lets go of a free chain
  // that leads to a bucket in use (a damaged file). Errors as insert().
  Result<void> reserve_insert(Key key);

  // Lets the entry of `key` be `node` instead of `old`; false if there is none. REQUIRES: the key
  // stands at keys[node] and keys[old].
  bool replace(Key key, NodeId old, NodeId node);

  // Removes the entry of (key, node); false if there is none, or if keys[node] is another key.
  bool erase(Key key, NodeId node);

  // Whether take_out() of the key can be done: corrupt, as insert().
  Result<void> check_take_out(Key key) const;

  // Removes all entries of `key`. With `node` the first of them stays, and becomes that node, as in
  // replace(). Returns how many there were. REQUIRES: check_take_out(key); the table is made for
  // several nodes a key.
  std::size_t take_out(Key key, std::optional<NodeId> node);

  // Makes room for `count` keys in an empty table, so that inserting them splits nothing: as many
  // buckets as inserting them one by one would have made.
  Result<void> reserve(std::uint64_t count);

  // Empties the table and gives the memory of both regions back.
  void clear();

  std::uint64_t size() const { return size_; }
  // Different keys: fewer than entries, where a key may have several nodes.
  std::uint64_t key_count() const { return has_several_ ? key_count_ : size_; }
  std::uint64_t buckets() const { return buckets_; }
  std::uint64_t overflow_used() const { return overflow_used_; }
  std::uint32_t overflow_free() const { return overflow_free_; }

  // What list() has found, and where it ended.
  struct Listed {
    std::size_t count = 0;              // keys in `out`
    std::optional<std::uint64_t> next;  // place of the next key, at most; none: there is none
  };
  // A key's place in the order of listing: its hash, the lowest bit first. Keys have different
  // places. Those of a bucket are a stretch of this order, and so are those of the two that it is
  // split into: where a listing has come to means the same however the table grows.
  static std::uint64_t place_of(std::uint64_t hash);
  // Keys from `from` on in that order, of one bucket, whose nodes are less than `slots`; at most
  // out.size() and kMostListed of them. May be called as find() may. REQUIRES: `out` has room.
  Listed list(std::uint64_t from, std::uint64_t slots, std::span<Key> out) const;
  static constexpr std::size_t kMostListed = 128;
  // Calls used(section, offset, bytes) for each part of a section that list() may read.
  template <class Used>
  void for_each_listed(std::uint64_t from, std::uint64_t slots, Used&& used) const;

  // Calls visit(node) for every entry whose node is less than `slots`, bucket by bucket (for
  // verifying). Returns a description of the first defect of the structure (a link beyond the
  // overflow buckets, a cycle, an entry in the wrong bucket, a wrong tag, a key that stands twice,
  // a hole, a lost overflow bucket, a wrong count), or nothing: then find() gives for each key of a
  // visited node that node. Reads at most as many buckets as there are, whatever the bytes say.
  template <class Visit>
  std::optional<std::string> for_each(std::uint64_t slots, Visit&& visit) const;

 private:
  // What for_each has seen so far.
  struct Walk {
    std::uint64_t slots = 0;
    std::uint64_t entries = 0;
    std::uint64_t keys = 0;
    std::uint64_t overflow_seen = 0;
    std::vector<bool> seen;  // of the overflow buckets, those that continue another one
    std::vector<Key> chain;  // keys of the chain that is being walked
    std::optional<std::string> defect;
  };

  std::byte* primary(std::uint64_t index) const {
    return hash_->data() + index * format::bucket::kSize;
  }
  std::byte* overflow(std::uint64_t index) const {
    return overflow_->data() + index * format::bucket::kSize;
  }
  std::uint64_t home(std::uint64_t hash) const;
  std::uint64_t home_of_place(std::uint64_t place) const;
  // Of a bucket's chain; keys of those entries whose tag is wanted.
  template <class Wanted, class Used>
  void for_each_used_of(std::uint64_t index, std::uint64_t slots, Wanted&& wanted,
                        Used&& used) const;
  std::byte* following(const std::byte* bucket) const;
  std::byte* linked(std::uint32_t next) const;
  std::uint64_t usable_slots(std::uint64_t slots) const;
  Key key_of(NodeId node) const;

  Result<std::byte*> chain_tail(std::uint64_t index) const;
  bool is_entry_of(const std::byte* bucket, std::size_t i, Key key, std::uint16_t tag,
                   std::uint64_t slots) const;
  void end_chain(std::byte* last, std::size_t used);
  Result<void> make_room(std::uint64_t hash_buckets, std::uint64_t overflow_buckets);
  bool must_split() const;
  std::uint64_t split_index() const;
  bool is_free(std::uint32_t index) const;
  std::uint32_t take_overflow();
  void free_overflow(std::uint32_t index);
  void put(std::byte* bucket, std::size_t i, std::uint32_t entry, std::uint16_t tag);
  void set_next(std::byte* bucket, std::uint32_t next);
  void clear_buckets(std::byte* bucket, std::size_t n);
  bool in_overflow(const std::byte* bucket) const;
  void note(const std::byte* bucket, std::size_t n = 1);
  void append(std::byte*& tail, std::uint32_t entry, std::uint16_t tag);
  void split();

  void check_entry(const std::byte* bucket, std::uint64_t home_index, std::size_t i, NodeId node,
                   Walk& walk) const;
  void check_empty(const std::byte* bucket, std::uint64_t home_index, std::size_t i,
                   Walk& walk) const;
  bool mark_seen(std::uint64_t index, Walk& walk) const;
  const std::byte* check_next(const std::byte* bucket, std::uint64_t home_index, Walk& walk) const;
  void check_chain(std::uint64_t home_index, Walk& walk) const;
  void check_end(Walk& walk) const;
  std::string place(const std::byte* bucket, std::uint64_t home_index) const;
  std::string place(const std::byte* bucket, std::uint64_t home_index, std::size_t i) const;

  // A number that readers may see change.
  class Count {
   public:
    Count(std::uint64_t value) : value_(value) {}
    Count(const Count& other) : value_(other) {}
    Count& operator=(const Count& other) { return *this = std::uint64_t{other}; }
    Count& operator=(std::uint64_t value) {
      value_.store(value, std::memory_order_relaxed);
      return *this;
    }
    ~Count() = default;
    operator std::uint64_t() const { return value_.load(std::memory_order_relaxed); }

   private:
    std::atomic<std::uint64_t> value_;
  };

  format::Region* hash_;
  format::Region* overflow_;
  const format::Region* keys_;
  KeyHash hash_of_;
  bool has_several_;
  Count key_count_ = 0;  // where a key may have several nodes
  Count buckets_ = 0;
  Count overflow_used_ = 0;
  std::uint32_t overflow_free_ = kNoBucket;
  Count size_ = 0;
  ChangeSink* sink_ = nullptr;
};

template <class Visit>
void KeyTable::for_each_of(Key key, std::uint64_t slots, Visit&& visit) const {
  namespace bucket = format::bucket;
  if (buckets_ == 0) return;
  slots = usable_slots(slots);
  const std::uint64_t hash = hash_of_(key);
  const std::uint16_t tag = tag_of(hash);
  const std::byte* at = primary(home(hash));
  for (std::uint64_t steps = 0; at != nullptr && steps <= overflow_used_; ++steps) {
    for (std::size_t i = 0; i < bucket::kEntries; ++i) {
      // Read once: another process may be writing the page.
      const NodeId node = node_at(at, i);
      const bool is_of_key = tag_at(at, i) == tag && node < slots && key_of(node) == key;
      if (is_of_key && !visit(node)) return;
    }
    at = following(at);
  }
}

template <class Used>
void KeyTable::for_each_used(Key key, std::uint64_t slots, Used&& used) const {
  if (buckets_ == 0) return;
  const std::uint64_t hash = hash_of_(key);
  for_each_used_of(
      home(hash), slots, [&](auto tag) { return tag == tag_of(hash); }, used);
}

template <class Used>
void KeyTable::for_each_listed(std::uint64_t from, std::uint64_t slots, Used&& used) const {
  if (buckets_ == 0) return;
  for_each_used_of(
      home_of_place(from), slots, [](auto) { return true; }, used);
}

template <class Wanted, class Used>
void KeyTable::for_each_used_of(std::uint64_t index, std::uint64_t slots, Wanted&& wanted,
                                Used&& used) const {
  namespace bucket = format::bucket;
  slots = usable_slots(slots);
  const std::byte* at = primary(index);
  used(format::SectionId::hash, index * bucket::kSize, bucket::kSize);
  for (std::uint64_t steps = 0; at != nullptr && steps <= overflow_used_; ++steps) {
    for (std::size_t i = 0; i < bucket::kEntries; ++i) {
      if (!wanted(tag_at(at, i))) continue;
      const std::uint64_t node = entry_at(at, i) - 1;
      if (node < slots) used(format::SectionId::key, node * sizeof(Key), sizeof(Key));
    }
    at = following(at);
    if (at == nullptr) return;
    const auto offset = static_cast<std::uint64_t>(at - overflow_->data());
    used(format::SectionId::overflow, offset, bucket::kSize);
  }
}

template <class Visit>
std::optional<std::string> KeyTable::for_each(std::uint64_t slots, Visit&& visit) const {
  namespace bucket = format::bucket;
  Walk walk;
  walk.slots = usable_slots(slots);
  for (std::uint64_t index = 0; index < buckets_; ++index) {
    const std::byte* at = primary(index);
    while (at != nullptr) {
      for (std::size_t i = 0; i < bucket::kEntries; ++i) {
        const std::uint32_t entry = entry_at(at, i);  // once: somebody else may change it
        if (entry == 0) {
          check_empty(at, index, i, walk);
          continue;
        }
        check_entry(at, index, i, {entry - 1}, walk);
        if (entry - 1 < walk.slots) visit(NodeId{entry - 1});
      }
      at = check_next(at, index, walk);
    }
    check_chain(index, walk);
  }
  check_end(walk);
  return walk.defect;
}

}  // namespace cairn
