// SPDX-License-Identifier: Apache-2.0
//
// The nodes: their HOT, EXACT, KEY and UPPER records (docs/format.md). The only owner of the
// records' layout. The same code works on owned memory and on a mapped file.
//
// Thread-safety: readers take a GraphView and use it without locks, while at most one writer at a
// time changes the store. Links are atomic words that are stored with release and loaded with
// acquire, degrees and flags relaxed ones. So a reader sees any mixture of an old and a new
// neighbor list, each entry of which is a valid node that was complete before it was linked. A slot
// that is given to another vector must be out of every reader's reach meanwhile
// (engine/base/epochs.h).
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include <cairn/error.h>
#include <cairn/params.h>

#include "engine/base/epochs.h"
#include "engine/store/change_sink.h"
#include "engine/store/switch_log.h"
#include "format/bytes/layout.h"
#include "format/io/address_space.h"
#include "format/pages/page_watch.h"

namespace cairn {

using NodeId = std::uint32_t;
using format::kNoNode;

// The top bit of a NodeId is the candidate pool's mark.
inline constexpr std::uint64_t kMaxNodes = std::uint64_t{1} << 31;

// Relaxed access to a word that another thread may change meanwhile.
inline std::uint32_t load_relaxed(const std::uint32_t* word) {
  return std::atomic_ref<std::uint32_t>(*const_cast<std::uint32_t*>(word))
      .load(std::memory_order_relaxed);
}
inline void store_relaxed(std::uint32_t* word, std::uint32_t value) {
  std::atomic_ref<std::uint32_t>(*word).store(value, std::memory_order_relaxed);
}

// A link: who reads it may read the node that it leads to.
inline std::uint32_t load_link(const std::uint32_t* word) {
  return std::atomic_ref<std::uint32_t>(*const_cast<std::uint32_t*>(word))
      .load(std::memory_order_acquire);
}
inline void store_link(std::uint32_t* word, std::uint32_t value) {
  std::atomic_ref<std::uint32_t>(*word).store(value, std::memory_order_release);
}

// A neighbor list as it was when its degree was read. The degree is bounded by the list's capacity,
// whatever the file says, and what is given out as a node is one: each number is read once,
// compared with the node count, and passed over if it is no node (hostile files, or another process
// that changes the mapped pages meanwhile).
struct LinkList {
  const std::uint32_t* links;
  std::uint32_t degree;
  std::uint32_t count;  // of nodes

  class Iterator {
   public:
    Iterator(const std::uint32_t* at, const std::uint32_t* end, std::uint32_t count)
        : at_(at), end_(end), count_(count) {
      pass_over();
    }
    NodeId operator*() const { return node_; }
    Iterator& operator++() {
      ++at_;
      pass_over();
      return *this;
    }
    bool operator!=(const Iterator& other) const { return at_ != other.at_; }

   private:
    void pass_over() {
      while (at_ != end_ && (node_ = load_link(at_)) >= count_) ++at_;
    }
    const std::uint32_t* at_;
    const std::uint32_t* end_;
    std::uint32_t count_;
    NodeId node_ = kNoNode;
  };
  Iterator begin() const { return {links, links + degree, count}; }
  Iterator end() const { return {links + degree, links + degree, count}; }

  // Entry i; nothing if it is no node.
  std::optional<NodeId> link(std::uint32_t i) const {
    const std::uint32_t number = unchecked(i);
    return number < count ? std::optional<NodeId>(number) : std::nullopt;
  }
  // Entry i, any number in a hostile file: for comparisons alone.
  std::uint32_t unchecked(std::uint32_t i) const { return load_link(links + i); }

  bool has(NodeId node) const {
    for (std::uint32_t i = 0; i < degree; ++i) {
      if (unchecked(i) == node) return true;
    }
    return false;
  }
};

inline void copy(const LinkList& links, std::vector<NodeId>& list) {
  list.clear();
  for (const NodeId link : links) list.push_back(link);
}

// The number of an UPPER record that is there: made by GraphView alone, which compares it.
class UpperIndex {
 public:
  std::uint32_t value() const { return value_; }

 private:
  friend struct GraphView;
  explicit UpperIndex(std::uint32_t value) : value_(value) {}
  std::uint32_t value_;
};

inline bool contains(std::span<const NodeId> nodes, NodeId node) {
  return std::find(nodes.begin(), nodes.end(), node) != nodes.end();
}

// What a search needs to walk the graph: base addresses, strides, and the state of the index when
// it began. A cheap value; good for as long as the store lives.
struct GraphView {
  const std::byte* hot;
  const std::byte* exact;
  const std::byte* keys;
  const std::byte* upper;
  std::size_t hot_stride;
  std::size_t header;  // offset of the node header in a HOT record
  std::size_t exact_stride;
  std::size_t upper_stride;
  std::uint32_t m;
  std::uint32_t m_max0;
  std::uint32_t count;        // every node that the search may touch is less
  std::uint32_t upper_count;  // the same for UPPER records
  NodeId entry_point;         // less than count, or kNoNode: the index is empty
  std::uint32_t max_level;
  bool tombstones;  // there are removed nodes that are still linked
  // Replacements of a node by another one of the same key, and which of them had ended when the
  // view was taken.
  const SwitchLog* switch_log;
  SwitchLog::Position switches;
  const format::PageWatch* watch;  // null: nobody else writes the pages

  // Whether what was read through this view so far was of one moment.
  bool is_whole() const { return watch == nullptr || watch->is_whole(); }

  const std::byte* record(NodeId node) const { return hot + std::size_t{node} * hot_stride; }
  const std::byte* header_of(NodeId node) const { return record(node) + header; }

  float factor_a(NodeId node) const { return load_float(header_of(node) + format::hot::kFactorA); }
  float factor_b(NodeId node) const { return load_float(header_of(node) + format::hot::kFactorB); }
  std::uint8_t flags(NodeId node) const {
    const auto* byte = reinterpret_cast<const std::uint8_t*>(header_of(node) + format::hot::kFlags);
    return std::atomic_ref<std::uint8_t>(*const_cast<std::uint8_t*>(byte))
        .load(std::memory_order_relaxed);
  }
  bool is_live(NodeId node) const { return (flags(node) & format::hot::kFlagLive) != 0; }
  std::uint32_t level(NodeId node) const {
    return std::to_integer<std::uint32_t>(header_of(node)[format::hot::kLevel]);
  }
  Key key(NodeId node) const {
    Key key;
    std::memcpy(&key, keys + std::size_t{node} * sizeof(Key), sizeof key);
    return key;
  }
  // The vector as given, aligned to its components.
  const std::byte* vector(NodeId node) const { return exact + std::size_t{node} * exact_stride; }

  // REQUIRES: node < count.
  LinkList links(NodeId node) const {
    const std::byte* head = header_of(node);
    const auto degree = load_relaxed(word(head + format::hot::kDegree));
    return {word(head + format::hot::kLinks), degree < m_max0 ? degree : m_max0, count};
  }

  std::optional<UpperIndex> upper_index(std::uint64_t number) const {
    if (number >= upper_count) return std::nullopt;
    return UpperIndex(static_cast<std::uint32_t>(number));
  }
  const std::byte* upper_record(UpperIndex index) const {
    return upper + std::size_t{index.value()} * upper_stride;
  }
  LinkList upper_links(UpperIndex index) const {
    const std::byte* list = upper_record(index);
    const auto packed = load_relaxed(word(list + format::upper::kDegree));  // u16 degree, u16 level
    const std::uint32_t degree = packed & 0xFFFFu;
    return {word(list + format::upper::kLinks), degree < m ? degree : m, count};
  }

  // The record of `node` for a level >= 1; nothing if the file does not have one. REQUIRES: node <
  // count.
  std::optional<UpperIndex> upper_of(NodeId node, std::uint32_t on_level) const {
    const std::uint64_t first = load_relaxed(word(header_of(node) + format::hot::kUpper));
    if (on_level > level(node)) return std::nullopt;
    return upper_index(first + on_level - 1);
  }
  // The list of `node` on level >= 1; empty if the file does not have one. REQUIRES: node < count.
  LinkList upper_links(NodeId node, std::uint32_t on_level) const {
    const auto index = upper_of(node, on_level);
    return index ? upper_links(*index) : LinkList{nullptr, 0, count};
  }
  // The level of `node`, or 0 if the file does not have its records. REQUIRES: node < count.
  std::uint32_t usable_level(NodeId node) const {
    const std::uint32_t of_node = level(node);
    const std::uint64_t first = load_relaxed(word(header_of(node) + format::hot::kUpper));
    return of_node < format::kMaxLevels && first + of_node <= upper_count ? of_node : 0;
  }

  LinkList links_on(NodeId node, std::uint32_t on_level) const {
    return on_level == 0 ? links(node) : upper_links(node, on_level);
  }

  static const std::uint32_t* word(const std::byte* at) {
    return reinterpret_cast<const std::uint32_t*>(at);
  }
  static float load_float(const std::byte* at) {
    float value;
    std::memcpy(&value, at, sizeof value);
    return value;
  }
};

class NodeStore {
 public:
  // Strides and list capacities for the given parameters; `automatic` traversal is resolved.
  static format::Parameters layout(const IndexParams& params);

  // The memory of the nodes, and what readers are told about it. A compacted store gets another one
  // at once, so a reader sees all of one or all of the other.
  struct Body {
    std::array<format::Region, 4> owned;  // empty when the sections belong to a Container
    format::Region* hot = nullptr;
    format::Region* exact = nullptr;
    format::Region* key = nullptr;
    format::Region* upper = nullptr;
    const format::PageWatch* watch = nullptr;

    std::atomic<std::uint32_t> count{0};
    std::atomic<std::uint32_t> upper_count{0};
    std::atomic<std::uint64_t> live{0};
    std::atomic<std::uint64_t> deleted{0};
    std::atomic<std::uint64_t> parked{0};  // of the deleted: those that nothing links to
    // Entry point in the low half, its level in the high half: one word, so that readers see a
    // matching pair.
    std::atomic<std::uint64_t> entry{kNoNode};
    SwitchLog switches;
    // Of the writer alone: nodes and UPPER records that there are, or that it has room for.
    std::uint64_t room_nodes = 0;
    std::uint64_t room_upper = 0;
  };

  // An empty store in memory; at least so many addresses are reserved in advance. out_of_memory.
  static Result<NodeStore> create(const format::Parameters& parameters,
                                  const format::SectionAddresses& addresses = {});

  // A store over the sections of an opened file, which it takes over; `watch` tells whether another
  // process writes them. REQUIRES: checked by format::Container.
  static NodeStore attach(const format::Parameters& parameters, const format::Counters& counters,
                          std::array<format::Region*, 4> hot_exact_key_upper,
                          const format::PageWatch* watch = nullptr);

  NodeStore(const NodeStore&) = delete;
  NodeStore& operator=(const NodeStore&) = delete;
  NodeStore(NodeStore&&) noexcept;
  NodeStore& operator=(NodeStore&&) noexcept = delete;
  ~NodeStore() = default;

  const format::Parameters& parameters() const { return parameters_; }
  GraphView view() const;
  std::uint32_t count() const { return body().count.load(std::memory_order_acquire); }
  std::uint32_t upper_count() const { return body().upper_count.load(std::memory_order_acquire); }
  std::uint64_t live() const { return body().live.load(std::memory_order_relaxed); }
  // Removed nodes whose slots are not free yet.
  std::uint64_t deleted() const { return body().deleted.load(std::memory_order_relaxed); }
  // Fills in what is not the key table's or the host's.
  void store(format::Counters& counters) const;

  // --- one writer at a time
  // -------------------------------------------------------------------------------------

  // Reports every store from now on; null: none.
  void report_to(ChangeSink* sink) { sink_ = sink; }

  // Makes room for nodes and UPPER records up to these totals. out_of_memory changes nothing.
  Result<void> reserve(std::uint64_t nodes, std::uint64_t upper_records);

  // A free slot and free UPPER records for a node of that level, new ones if there are none.
  struct Place {
    NodeId node;
    std::uint32_t upper;  // kNoNode on level 0
  };
  // Makes room for what allocate() may need, and lets go of free chains that lead to what is in use
  // (a damaged file). out_of_memory changes nothing else.
  Result<void> reserve_place(std::uint32_t level);
  // REQUIRES: reserve_place(level). The slot is pending until set_live or release_pending: written
  // as deleted, and linked by nobody.
  Place allocate(std::uint32_t level);
  // A pending node becomes live.
  void set_live(NodeId node);
  // A live node becomes a tombstone.
  void set_deleted(NodeId node);
  // The slot of a tombstone, or a pending one, and its UPPER records become free. REQUIRES: nothing
  // links to it, and no reader can hold its number. Nothing happens if it is no tombstone (any
  // more).
  void release_deleted(NodeId node);
  void release_pending(NodeId node);
  // Node 0 is a tombstone that nothing links to, and stays one.
  void park_first() { body().parked.store(1, std::memory_order_relaxed); }
  std::uint32_t pending() const { return pending_; }

  // Fills in everything of a node but its code and links: its key, header (degree 0) and the exact
  // vector. REQUIRES: room; `upper` is the first of `level` UPPER records, or kNoNode.
  void init_node(NodeId node, Key key, std::uint32_t level, std::uint32_t upper,
                 std::uint8_t flags = format::hot::kFlagLive);
  std::byte* mutable_record(NodeId node) {
    return body().hot->data() + std::size_t{node} * parameters_.hot_stride;
  }
  std::byte* mutable_exact(NodeId node) {
    return body().exact->data() + std::size_t{node} * parameters_.exact_stride;
  }
  void set_factors(NodeId node, float a, float b, std::uint8_t extra_flags);
  // Reports all of a node that was written through the pointers above.
  void note_written(NodeId node);

  // Replaces a neighbor list; what is left of the old one is zeroed. REQUIRES: it fits. Nothing
  // happens if the file does not have that list.
  void set_links(NodeId node, std::uint32_t level, std::span<const NodeId> links);
  // Appends one link; false if the list is full, or not there.
  bool append_link(NodeId node, std::uint32_t level, NodeId link);

  // Around the replacement of a live node by another one of the same key. Making room for it may
  // throw std::bad_alloc; readers are inside `epochs`.
  void reserve_switch(const Epochs& epochs) { body().switches.reserve(epochs); }
  void begin_switch(NodeId old) { body().switches.begin(old); }
  void end_switch() { body().switches.end(); }

  // Makes nodes [0, count), of which `live` are live, and UPPER records [0, upper_count) visible to
  // views made from now on.
  void publish(std::uint32_t count, std::uint32_t upper_count, std::uint64_t live);
  void publish_entry(NodeId entry_point, std::uint32_t max_level);

  // Back to an empty store in memory.
  void clear();

  // Copies a node of another store of the same parameters, with lists up to `level`. A link becomes
  // the number that `numbers` has for it; one without a number is left out. REQUIRES: room; `upper`
  // is the first of its UPPER records.
  void copy_node(const NodeStore& from, NodeId old, NodeId node, std::uint32_t level,
                 std::uint32_t upper, std::span<const NodeId> numbers);

  // Becomes what `fresh` is, for views taken from now on; returns what older views need. REQUIRES:
  // no node of this store is pending in `fresh`.
  std::unique_ptr<Body> replace(NodeStore&& fresh);

  std::span<const std::byte> bytes(format::SectionId section) const;
  std::size_t anonymous_bytes() const;

  format::Region* key_region() { return body().key; }

 private:
  NodeStore();
  bool is_first_parked() const;

  static std::array<std::uint32_t, format::kMaxLevels> no_free_upper() {
    std::array<std::uint32_t, format::kMaxLevels> none;
    none.fill(kNoNode);
    return none;
  }

  // A neighbor list for writing. On upper levels the degree shares its word with the level.
  struct MutableList {
    std::uint32_t* degree;
    std::uint32_t* links;
    std::uint32_t capacity;
    std::uint32_t degree_mask;
    std::uint32_t level_bits;

    std::uint32_t bounded_degree() const {
      return std::min(load_relaxed(degree) & degree_mask, capacity);
    }
  };
  // Nothing if the file does not have that list.
  std::optional<MutableList> list(NodeId node, std::uint32_t level);
  void note_list(std::uint32_t level, const MutableList& at, std::uint32_t links);
  void set_flags(NodeId node, std::uint8_t flags);
  std::byte* mutable_header(NodeId node) {
    return mutable_record(node) + parameters_.hot_factor_offset;
  }
  std::byte* mutable_upper(std::uint32_t index) {
    return body().upper->data() + std::size_t{index} * parameters_.upper_stride;
  }
  void release(NodeId node);
  void release_upper(NodeId node, std::uint32_t first, std::uint32_t level);
  bool is_free_slot(NodeId node) const;
  bool is_free_upper(std::uint32_t first, std::uint32_t level) const;

  void note(format::SectionId section, const void* at, std::size_t length) {
    if (sink_ != nullptr) report(section, at, length);
  }
  void report(format::SectionId section, const void* at, std::size_t length);

  Body& body() const { return *body_.load(std::memory_order_acquire); }

  format::Parameters parameters_{};
  std::unique_ptr<Body> owner_;
  std::atomic<Body*> body_{nullptr};  // owner_'s; what readers take their view from
  // Of the writer alone.
  std::uint32_t pending_ = 0;
  std::uint32_t slot_free_ = kNoNode;
  std::array<std::uint32_t, format::kMaxLevels> upper_free_ = no_free_upper();
  ChangeSink* sink_ = nullptr;
};

}  // namespace cairn
