// SPDX-License-Identifier: Apache-2.0
//
// What readers see of the nodes: their records, read in place. Numbers that come from a file are
// read once and bounded here.
//
// Thread-safety: without locks, beside one writer (engine/store/node_store.h).
#pragma once

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <vector>

#include <cairn/types.h>

#include "engine/base/assert.h"
#include "engine/store/node_id.h"
#include "engine/store/slot_log.h"
#include "engine/store/switch_log.h"
#include "format/bytes/limits.h"
#include "format/bytes/record_layout.h"
#include "format/pages/first_use.h"
#include "format/pages/page_watch.h"

namespace cairn {

// Relaxed access to a word, or a byte, that another thread may change meanwhile.
inline std::uint32_t load_relaxed(const std::uint32_t* word) {
  return std::atomic_ref<std::uint32_t>(*const_cast<std::uint32_t*>(word))
      .load(std::memory_order_relaxed);
}
inline std::uint8_t load_relaxed(const std::byte* byte) {
  return std::atomic_ref<std::uint8_t>(
             *reinterpret_cast<std::uint8_t*>(const_cast<std::byte*>(byte)))
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
      while (at_ != end_ && (node_ = {load_link(at_)}) >= count_) ++at_;
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
    return number < count ? std::optional(NodeId{number}) : std::nullopt;
  }
  // Entry i, any number in a hostile file: for comparisons alone.
  std::uint32_t unchecked(std::uint32_t i) const { return load_link(links + i); }

  bool has(NodeId node) const {
    for (std::uint32_t i = 0; i < degree; ++i) {
      if (unchecked(i) == node.index) return true;
    }
    return false;
  }
};

inline void copy(const LinkList& links, std::vector<NodeId>& list) {
  list.clear();
  for (const NodeId link : links) list.push_back(link);
}

// Where a number of an UPPER record may stand: none.
inline constexpr std::uint32_t kNoUpper = format::kNoNode;

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
  bool tombstones;       // there are removed nodes that are still linked
  bool several_per_key;  // a key may have several nodes
  std::uint64_t live;    // nodes; where it equals `count`, all of them may be read
  // Replacements of a node by another one of the same key, and which of them had ended when the
  // view was taken.
  const SwitchLog* switch_log;
  SwitchLog::Position switches;
  // What filters follow, and how far it was before all of the above was read: slots of earlier
  // changes are less than `count`.
  const SlotLog* slot_log;
  SlotLog::Position slots;
  const format::PageWatch* watch;     // null: nobody else writes the pages
  const format::FirstUse* first_use;  // null: pages are not checked when they are used

  // For assertions.
  bool has_all(std::span<const NodeId> nodes) const {
    return std::all_of(nodes.begin(), nodes.end(), [this](NodeId node) { return node < count; });
  }

  // Whether what was read through this view so far was of one moment.
  bool is_whole() const { return watch == nullptr || watch->is_whole(); }

  const std::byte* record(NodeId node) const { return hot + std::size_t{node.index} * hot_stride; }
  const std::byte* header_of(NodeId node) const { return record(node) + header; }

  // Flags, level and degree of a node that will be asked for soon.
  void prefetch_header(NodeId node) const { __builtin_prefetch(header_of(node)); }

  float factor_a(NodeId node) const { return load_float(header_of(node) + format::hot::kFactorA); }
  float factor_b(NodeId node) const { return load_float(header_of(node) + format::hot::kFactorB); }
  std::uint8_t flags(NodeId node, std::memory_order order = std::memory_order_relaxed) const {
    const auto* byte = reinterpret_cast<const std::uint8_t*>(header_of(node) + format::hot::kFlags);
    return std::atomic_ref<std::uint8_t>(*const_cast<std::uint8_t*>(byte)).load(order);
  }
  bool is_live(NodeId node) const { return (flags(node) & format::hot::kFlagLive) != 0; }
  // The same of a node that no link has led to: who sees that it is live may read its records.
  bool is_live_and_written(NodeId node) const {
    return (flags(node, std::memory_order_acquire) & format::hot::kFlagLive) != 0;
  }
  std::uint32_t level(NodeId node) const {
    return load_relaxed(header_of(node) + format::hot::kLevel);
  }
  Key key(NodeId node) const {
    Key key;
    std::memcpy(&key, keys + std::size_t{node.index} * sizeof(Key), sizeof key);
    return key;
  }
  // REQUIRES: the traversal is by codes.
  const std::int8_t* code(NodeId node) const {
    CAIRN_ASSERT(exact != hot || count == 0);
    return reinterpret_cast<const std::int8_t*>(record(node));
  }
  // The vector as given, aligned to its components.
  const std::byte* vector(NodeId node) const {
    return exact + std::size_t{node.index} * exact_stride;
  }

  // REQUIRES: node < count.
  LinkList links(NodeId node) const {
    CAIRN_ASSERT(node < count);
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
    CAIRN_ASSERT(node < count && on_level > 0);
    const std::uint64_t first = stated_upper(node);
    if (on_level > level(node)) return std::nullopt;
    return upper_index(first + on_level - 1);
  }
  // The list of `node` on level >= 1; empty if the file does not have one. REQUIRES: node < count.
  LinkList upper_links(NodeId node, std::uint32_t on_level) const {
    const auto index = upper_of(node, on_level);
    return index ? upper_links(*index) : LinkList{nullptr, 0, count};
  }
  // The UPPER records of `node`, all of which are there: one a level, from `first` on; none if the
  // file does not have them. REQUIRES: node < count.
  struct UpperBlock {
    std::uint32_t first;
    std::uint32_t level;
  };
  UpperBlock upper_block(NodeId node) const {
    CAIRN_ASSERT(node < count);
    const std::uint32_t of_node = level(node);
    const std::uint32_t first = stated_upper(node);
    const bool is_there =
        of_node < format::kMaxLevels && std::uint64_t{first} + of_node <= upper_count;
    return {first, is_there ? of_node : 0};
  }
  // The level of `node`, or 0 if the file does not have its records. REQUIRES: node < count.
  std::uint32_t usable_level(NodeId node) const { return upper_block(node).level; }

  // What an UPPER record says of itself: any numbers in a damaged file.
  struct UpperHead {
    NodeId owner;  // kNoNode: the first of a free block of `level` records
    std::uint32_t degree;
    std::uint32_t level;
  };
  UpperHead upper_head(UpperIndex index) const {
    const std::byte* list = upper_record(index);
    const auto packed = load_relaxed(word(list + format::upper::kDegree));
    return {NodeId{load_relaxed(word(list + format::upper::kNode))}, packed & 0xFFFFu,
            packed >> 16};
  }
  // The block that follows in the chain of those that are free.
  std::uint32_t next_free_upper(UpperIndex index) const {
    return load_relaxed(word(upper_record(index) + format::upper::kLinks));
  }

  // What stands in a header for the degree, and for the first UPPER record: any numbers in a
  // damaged file. Of a free slot the second is the slot that follows in their chain.
  std::uint32_t stated_degree(NodeId node) const {
    return load_relaxed(word(header_of(node) + format::hot::kDegree));
  }
  std::uint32_t stated_upper(NodeId node) const {
    return load_relaxed(word(header_of(node) + format::hot::kUpper));
  }

  // Whether a slot, or the block of `level` UPPER records that begins there, is zero but for what
  // those that are free hold. REQUIRES: all records are there.
  bool is_zero_slot(NodeId node) const;
  bool is_zero_block(UpperIndex first, std::uint32_t level) const;

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

}  // namespace cairn
