// SPDX-License-Identifier: Apache-2.0
//
// The nodes: their HOT, EXACT, KEY and UPPER records (docs/format.md). The only owner of the
// records' layout. The same code works on owned memory and on a mapped file.
//
// Thread-safety: readers take a GraphView and use it without locks, while at most one writer at a
// time changes the store. The writer completes a node before it publishes the node count; links,
// degrees and flags are relaxed atomic words, so a reader sees any mixture of an old and a new
// neighbor list, each entry of which is a valid node.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

#include <cairn/error.h>
#include <cairn/params.h>

#include "format/address_space.h"
#include "format/layout.h"

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

// A neighbor list as it was when its degree was read. The degree is bounded by the list's capacity,
// whatever the file says; link(i) may be any number in a hostile file and must be compared with the
// node count.
struct LinkList {
  const std::uint32_t* links;
  std::uint32_t degree;
  std::uint32_t link(std::uint32_t i) const { return load_relaxed(links + i); }
};

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
  NodeId entry_point;         // kNoNode: the index is empty
  std::uint32_t max_level;

  const std::byte* record(NodeId node) const { return hot + std::size_t{node} * hot_stride; }
  const std::byte* header_of(NodeId node) const { return record(node) + header; }

  float factor_a(NodeId node) const { return load_float(header_of(node) + format::hot::kFactorA); }
  float factor_b(NodeId node) const { return load_float(header_of(node) + format::hot::kFactorB); }
  std::uint8_t flags(NodeId node) const {
    const auto* byte = reinterpret_cast<const std::uint8_t*>(header_of(node) + format::hot::kFlags);
    return std::atomic_ref<std::uint8_t>(*const_cast<std::uint8_t*>(byte))
        .load(std::memory_order_relaxed);
  }
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
    return {word(head + format::hot::kLinks), degree < m_max0 ? degree : m_max0};
  }
  const std::uint32_t* first_link(NodeId node) const {
    return word(header_of(node) + format::hot::kLinks);
  }

  // The list of `node` on level >= 1; empty if the file does not have one. REQUIRES: node < count.
  LinkList upper_links(NodeId node, std::uint32_t on_level) const {
    const std::uint64_t first = load_relaxed(word(header_of(node) + format::hot::kUpper));
    const std::uint64_t index = first + on_level - 1;
    if (on_level > level(node) || index >= upper_count) return {nullptr, 0};
    const std::byte* list = upper + index * upper_stride;
    const auto packed = load_relaxed(word(list + format::upper::kDegree));  // u16 degree, u16 level
    const std::uint32_t degree = packed & 0xFFFFu;
    return {word(list + format::upper::kLinks), degree < m ? degree : m};
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

  // An empty store in memory. out_of_memory.
  static Result<NodeStore> create(const format::Parameters& parameters);

  // A store over the sections of an opened file, which it takes over. REQUIRES: checked by
  // format::Container.
  static NodeStore attach(const format::Parameters& parameters, const format::Counters& counters,
                          std::array<format::Region*, 4> hot_exact_key_upper);

  NodeStore(const NodeStore&) = delete;
  NodeStore& operator=(const NodeStore&) = delete;
  NodeStore(NodeStore&&) noexcept;
  NodeStore& operator=(NodeStore&&) noexcept = delete;
  ~NodeStore() = default;

  const format::Parameters& parameters() const { return parameters_; }
  GraphView view() const;
  std::uint32_t count() const { return count_.load(std::memory_order_acquire); }
  std::uint32_t upper_count() const { return upper_count_.load(std::memory_order_acquire); }

  // --- one writer at a time
  // -------------------------------------------------------------------------------------

  // Makes room for nodes and UPPER records up to these totals. out_of_memory changes nothing.
  Result<void> reserve(std::uint64_t nodes, std::uint64_t upper_records);

  // Fills in everything of a node but its code and links: its key, header (degree 0, live) and the
  // exact vector. REQUIRES: room; `upper` is the first of `level` UPPER records, or kNoNode.
  void init_node(NodeId node, Key key, std::uint32_t level, std::uint32_t upper);
  std::byte* mutable_record(NodeId node) {
    return hot_->data() + std::size_t{node} * parameters_.hot_stride;
  }
  std::byte* mutable_exact(NodeId node) {
    return exact_->data() + std::size_t{node} * parameters_.exact_stride;
  }
  void set_factors(NodeId node, float a, float b, std::uint8_t extra_flags);

  // Replaces a neighbor list; what is left of the old one is zeroed. REQUIRES: it fits.
  void set_links(NodeId node, std::uint32_t level, std::span<const NodeId> links);
  // Appends one link. REQUIRES: room in the list.
  void append_link(NodeId node, std::uint32_t level, NodeId link);

  // Makes nodes [0, count) and UPPER records [0, upper_count) visible to views made from now on.
  void publish(std::uint32_t count, std::uint32_t upper_count);
  void publish_entry(NodeId entry_point, std::uint32_t max_level);

  // Back to an empty store in memory.
  void clear();

  std::span<const std::byte> bytes(format::SectionId section) const;
  std::size_t anonymous_bytes() const;

  format::Region* key_region() { return key_; }

 private:
  NodeStore() = default;

  // A neighbor list for writing. On upper levels the degree shares its word with the level.
  struct MutableList {
    std::uint32_t* degree;
    std::uint32_t* links;
    std::uint32_t degree_mask;
    std::uint32_t level_bits;
  };
  MutableList list(NodeId node, std::uint32_t level);

  format::Parameters parameters_{};
  std::array<format::Region, 4> owned_;  // empty when the sections belong to a Container
  format::Region* hot_ = nullptr;
  format::Region* exact_ = nullptr;
  format::Region* key_ = nullptr;
  format::Region* upper_ = nullptr;

  std::atomic<std::uint32_t> count_{0};
  std::atomic<std::uint32_t> upper_count_{0};
  // Entry point in the low half, its level in the high half: one word, so that readers see a
  // matching pair.
  std::atomic<std::uint64_t> entry_{kNoNode};
};

}  // namespace cairn
