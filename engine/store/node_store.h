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
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include <cairn/error.h>
#include <cairn/params.h>

#include "engine/base/epochs.h"
#include "engine/store/change_sink.h"
#include "engine/store/graph_view.h"
#include "engine/store/switch_log.h"
#include "format/bytes/limits.h"
#include "format/bytes/parameters.h"
#include "format/bytes/record_layout.h"
#include "format/io/address_space.h"
#include "format/pages/page_watch.h"

namespace cairn {

namespace format {
struct Counters;
}

class NodeStore {
 public:
  // Strides and list capacities for the given parameters; `automatic` traversal is resolved.
  static format::Parameters layout(const IndexParams& params);

  // The sections that hold records of nodes and of their levels, and a table of their memory by
  // section_index(); null where a section is none of them.
  static constexpr std::array kSections = {format::SectionId::hot, format::SectionId::exact,
                                           format::SectionId::key, format::SectionId::upper};
  using Sections = std::array<format::Region*, format::kDataSectionCount>;

  // The memory of the nodes, and what readers are told about it. A compacted store gets another one
  // at once, so a reader sees all of one or all of the other.
  struct Body {
    std::array<format::Region, kSections.size()> owned;  // empty where they are a Container's
    Sections sections{};
    const format::PageWatch* watch = nullptr;
    const format::FirstUse* first_use = nullptr;

    std::atomic<std::uint32_t> count{0};
    std::atomic<std::uint32_t> upper_count{0};
    std::atomic<std::uint64_t> live{0};
    std::atomic<std::uint64_t> deleted{0};
    std::atomic<std::uint64_t> parked{0};  // of the deleted: those that nothing links to
    // Entry point in the low half, its level in the high half: one word, so that readers see a
    // matching pair.
    std::atomic<std::uint64_t> entry{format::kNoNode};
    SwitchLog switches;
    SlotLog slots;
    // Of the writer alone: nodes and UPPER records that there are, or that it has room for.
    std::uint64_t room_nodes = 0;
    std::uint64_t room_upper = 0;

    format::Region& section(format::SectionId id) { return *sections[section_index(id)]; }
    const format::Region& section(format::SectionId id) const {
      return *sections[section_index(id)];
    }
  };

  // An empty store in memory; at least so many addresses are reserved in advance, by `reserve`.
  // out_of_memory.
  using Reserve = std::function<Result<format::Region>(std::size_t bytes)>;
  static Result<NodeStore> create(const format::Parameters& parameters,
                                  const format::SectionAddresses& addresses = {},
                                  const Reserve& reserve = format::Region::reserve_growing);

  // A store over the sections of an opened file, which it takes over; `watch` tells whether another
  // process writes them, `first_use` checks their pages. REQUIRES: checked by format::Container.
  static NodeStore attach(const format::Parameters& parameters, const format::Counters& counters,
                          const Sections& sections, const format::PageWatch* watch = nullptr,
                          const format::FirstUse* first_use = nullptr);

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
    std::uint32_t upper;  // kNoUpper on level 0
  };
  // Makes room for what allocate() may need, and lets go of free chains that lead to what is in use
  // (a damaged file). out_of_memory changes nothing else.
  Result<void> reserve_place(std::uint32_t level);
  // REQUIRES: reserve_place(level). The slot is pending until set_live or release_pending: written
  // as deleted, and linked by nobody.
  Place allocate(std::uint32_t level);
  // A pending node becomes live.
  void set_live(NodeId node);
  // Once the key table tells of a node that has become live: filters may see it. (That one has
  // become a tombstone, they see by themselves.)
  void tell_filters(NodeId node) { body().slots.changed(node); }
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

  // Begins the records of a node: its key, its header and empty lists. What else there is of it is
  // written by the next three, and reported by the last. REQUIRES: room; `upper` is the first of
  // `level` UPPER records, or kNoNode.
  void init_node(NodeId node, Key key, std::uint32_t level, std::uint32_t upper,
                 std::uint8_t flags = format::hot::kFlagLive);
  void set_vector(NodeId node, const void* vector);
  // What set_vector() has written.
  const std::byte* stored_vector(NodeId node) {
    return parameters_.exact_stride != 0 ? mutable_exact(node) : mutable_record(node);
  }
  // Where the code stands, if the traversal has codes: `dimensions` bytes.
  std::int8_t* mutable_code(NodeId node) {
    return reinterpret_cast<std::int8_t*>(mutable_record(node));
  }
  void set_factors(NodeId node, float a, float b, std::uint8_t extra_flags);
  void note_written(NodeId node);

  // Replaces a neighbor list; what is left of the old one is zeroed. Links that do not fit are left
  // out (of a file that somebody changes meanwhile). Nothing happens if the file does not have that
  // list.
  void set_links(NodeId node, std::uint32_t level, std::span<const NodeId> links);
  // Appends one link; false if the list is full, or not there.
  bool append_link(NodeId node, std::uint32_t level, NodeId link);
  // Whether the list has that link. Sees nodes that are not published yet, which no view does.
  bool has_link(NodeId node, std::uint32_t level, NodeId link);

  // Around the replacement of live nodes by another one of the same key. Making room for `n` of
  // them may throw std::bad_alloc; readers are inside `epochs`.
  void reserve_switches(const Epochs& epochs, std::size_t n) { body().switches.reserve(epochs, n); }
  void begin_switch(NodeId old) { body().switches.begin(old); }
  void end_switch() { body().switches.end(); }

  // Makes nodes [0, count), of which `live` are live, and UPPER records [0, upper_count) visible to
  // views made from now on: all of them are new.
  void publish(std::uint32_t count, std::uint32_t upper_count, std::uint64_t live);
  void publish_entry(NodeId entry_point, std::uint32_t max_level);

  // Back to an empty store in memory.
  void clear();

  // Copies a node of another store of the same parameters, with lists up to `level`. `state`, live
  // or deleted, is what it is from now on, whatever its flags say by now. A link becomes the number
  // that `numbers` has for it; one without a number is left out. REQUIRES: room; `upper` is the
  // first of its UPPER records.
  void copy_node(const NodeStore& from, NodeId old, NodeId node, std::uint8_t state,
                 std::uint32_t level, std::uint32_t upper, std::span<const NodeId> numbers);

  // Becomes what `fresh` is, for views taken from now on; returns what older views need. REQUIRES:
  // no node of this store is pending in `fresh`.
  std::unique_ptr<Body> replace(NodeStore&& fresh);

  std::span<const std::byte> bytes(format::SectionId id) const;
  std::size_t anonymous_bytes() const;

  format::Region& section(format::SectionId id) { return body().section(id); }
  format::Region* key_region() { return &section(format::SectionId::key); }

 private:
  NodeStore();
  bool is_first_parked() const;

  static std::array<std::uint32_t, format::kMaxLevels> no_free_upper() {
    std::array<std::uint32_t, format::kMaxLevels> none;
    none.fill(kNoUpper);
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
  class ListChange;
  void set_flags(NodeId node, std::uint8_t flags);
  void set_state(NodeId node, std::uint8_t state);
  void clear_record(NodeId node, std::uint8_t flags);
  std::atomic_ref<std::uint8_t> flags_word(NodeId node) {
    auto* byte = mutable_header(node) + format::hot::kFlags;
    return std::atomic_ref<std::uint8_t>(*reinterpret_cast<std::uint8_t*>(byte));
  }
  std::byte* mutable_record(NodeId node) {
    return section(format::SectionId::hot).data() +
           std::size_t{node.index} * parameters_.hot_stride;
  }
  std::byte* mutable_exact(NodeId node) {
    return section(format::SectionId::exact).data() +
           std::size_t{node.index} * parameters_.exact_stride;
  }
  std::byte* mutable_key(NodeId node) {
    return section(format::SectionId::key).data() + std::size_t{node.index} * sizeof(Key);
  }
  std::byte* mutable_header(NodeId node) {
    return mutable_record(node) + parameters_.hot_factor_offset;
  }
  std::byte* mutable_upper(std::uint32_t index) {
    return section(format::SectionId::upper).data() + std::size_t{index} * parameters_.upper_stride;
  }
  void publish_counts(std::uint32_t count, std::uint32_t upper_count, std::uint64_t live);
  void release(NodeId node);
  void release_upper(NodeId node, std::uint32_t first, std::uint32_t level);
  bool is_free_slot(NodeId node) const;
  bool is_free_upper(std::uint32_t first, std::uint32_t level) const;

  void note(format::SectionId id, const void* at, std::size_t length) {
    if (sink_ != nullptr) report(id, at, length);
  }
  void report(format::SectionId id, const void* at, std::size_t length);

  Body& body() const { return *body_.load(std::memory_order_acquire); }

  format::Parameters parameters_{};
  std::unique_ptr<Body> owner_;
  std::atomic<Body*> body_{nullptr};  // owner_'s; what readers take their view from
  // Of the writer alone.
  std::uint32_t pending_ = 0;
  NodeId slot_free_ = kNoNode;
  std::array<std::uint32_t, format::kMaxLevels> upper_free_ = no_free_upper();
  ChangeSink* sink_ = nullptr;
};

}  // namespace cairn
