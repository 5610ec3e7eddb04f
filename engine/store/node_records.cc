// SPDX-License-Identifier: Apache-2.0
//
// How records are written. What slots there are, and who has them: node_store.cc.
#include <algorithm>
#include <cstring>

#include "engine/base/assert.h"
#include "engine/store/node_store.h"

namespace cairn {

using format::SectionId;

// All but the flags of a HOT record is zero then. They are a word of their own: scans look at those
// of slots that are being filled.
void NodeStore::clear_record(NodeId node, std::uint8_t flags) {
  std::byte* record = mutable_record(node);
  std::byte* at = mutable_header(node) + format::hot::kFlags;
  std::memset(record, 0, static_cast<std::size_t>(at - record));
  flags_word(node).store(flags, std::memory_order_relaxed);
  std::memset(at + 1, 0, static_cast<std::size_t>(record + parameters_.hot_stride - at - 1));
}

void NodeStore::init_node(NodeId node, Key key, std::uint32_t level, std::uint32_t upper,
                          std::uint8_t flags) {
  CAIRN_ASSERT(node < body().room_nodes);
  CAIRN_ASSERT(level == 0 || std::uint64_t{upper} + level <= body().room_upper);
  std::memcpy(mutable_key(node), &key, sizeof key);
  std::byte* head = mutable_header(node);
  std::uint16_t generation;
  std::memcpy(&generation, head + format::hot::kGeneration, sizeof generation);
  clear_record(node, flags);
  std::memcpy(head + format::hot::kUpper, &upper, sizeof upper);
  std::memcpy(head + format::hot::kGeneration, &generation, sizeof generation);
  head[format::hot::kLevel] = static_cast<std::byte>(level);
  for (std::uint32_t l = 1; l <= level; ++l) {
    std::byte* list = mutable_upper(upper + l - 1);
    std::memset(list, 0, parameters_.upper_stride);
    std::memcpy(list + format::upper::kNode, &node, sizeof node);
    const auto on_level = static_cast<std::uint16_t>(l);
    std::memcpy(list + format::upper::kLevel, &on_level, sizeof on_level);
  }
  note(SectionId::upper, mutable_upper(level > 0 ? upper : 0),
       std::size_t{level} * parameters_.upper_stride);
}

void NodeStore::set_vector(NodeId node, const void* vector) {
  const bool has_exact = parameters_.exact_stride != 0;
  std::memcpy(has_exact ? mutable_exact(node) : mutable_record(node), vector,
              vector_bytes(parameters_.scalar, parameters_.dimensions));
}

void NodeStore::set_factors(NodeId node, float a, float b, std::uint8_t extra_flags) {
  std::byte* head = mutable_header(node);
  std::memcpy(head + format::hot::kFactorA, &a, sizeof a);
  std::memcpy(head + format::hot::kFactorB, &b, sizeof b);
  const auto flags = flags_word(node);
  flags.store(static_cast<std::uint8_t>(flags.load(std::memory_order_relaxed) | extra_flags),
              std::memory_order_relaxed);
}

void NodeStore::note_written(NodeId node) {
  note(SectionId::hot, mutable_record(node), parameters_.hot_stride);
  note(SectionId::exact, mutable_exact(node), parameters_.exact_stride);
  note(SectionId::key, mutable_key(node), sizeof(Key));
}

void NodeStore::report(SectionId id, const void* at, std::size_t length) {
  if (length == 0) return;
  const auto offset = static_cast<const std::byte*>(at) - section(id).data();
  sink_->changed(id, static_cast<std::uint64_t>(offset), length);
}

// Level and first record are read from a page that may hold anything, so they are compared here.
std::optional<NodeStore::MutableList> NodeStore::list(NodeId node, std::uint32_t level) {
  const auto word = [](std::byte* at) { return reinterpret_cast<std::uint32_t*>(at); };
  if (node >= body().room_nodes) return std::nullopt;
  std::byte* head = mutable_record(node) + parameters_.hot_factor_offset;
  if (level == 0) {
    return MutableList{word(head + format::hot::kDegree), word(head + format::hot::kLinks),
                       parameters_.m_max0, ~0u, 0};
  }
  const std::uint64_t first = load_relaxed(word(head + format::hot::kUpper));
  const std::uint64_t index = first + level - 1;
  const std::uint32_t highest = load_relaxed(head + format::hot::kLevel);
  if (level > highest || index >= body().room_upper) return std::nullopt;
  std::byte* list = mutable_upper(static_cast<std::uint32_t>(index));
  return MutableList{word(list + format::upper::kDegree), word(list + format::upper::kLinks),
                     parameters_.m, 0xFFFFu, level << 16};
}

// Stores to a list, and reports what has got another value: most links of a list stay.
class NodeStore::ListChange {
 public:
  ListChange(NodeStore& store, std::uint32_t level, const MutableList& at)
      : store_(store), level_(level), at_(at) {}
  ListChange(const ListChange&) = delete;
  ListChange& operator=(const ListChange&) = delete;
  ~ListChange() { report(); }

  void put(std::uint32_t i, std::uint32_t link) {
    std::uint32_t* word = at_.links + i;
    if (load_relaxed(word) == link) return;
    store_link(word, link);
    note(word);
  }
  void put_degree(std::uint32_t degree) {
    const std::uint32_t value = degree | at_.level_bits;
    if (load_relaxed(at_.degree) == value) return;
    store_relaxed(at_.degree, value);
    note(at_.degree);
  }

 private:
  void note(std::uint32_t* word) {
    if (store_.sink_ == nullptr) return;
    const bool joins = begin_ != nullptr && word >= begin_ && word <= end_;
    if (!joins) {
      report();
      begin_ = word;
    }
    end_ = word + 1;
  }
  void report() {
    if (begin_ == nullptr) return;
    store_.report(level_ == 0 ? SectionId::hot : SectionId::upper, begin_,
                  static_cast<std::size_t>(end_ - begin_) * sizeof *begin_);
    begin_ = nullptr;
  }

  NodeStore& store_;
  const std::uint32_t level_;
  const MutableList at_;
  std::uint32_t* begin_ = nullptr;  // of what is to be reported
  std::uint32_t* end_ = nullptr;
};

void NodeStore::set_links(NodeId node, std::uint32_t level, std::span<const NodeId> links) {
  const auto at = list(node, level);
  if (!at) return;
  const std::uint32_t old_degree = at->bounded_degree();
  const auto degree = static_cast<std::uint32_t>(std::min<std::size_t>(links.size(), at->capacity));
  ListChange change(*this, level, *at);
  for (std::uint32_t i = 0; i < degree; ++i) change.put(i, links[i].index);
  change.put_degree(degree);
  for (std::uint32_t i = degree; i < old_degree; ++i) change.put(i, 0);
}

bool NodeStore::append_link(NodeId node, std::uint32_t level, NodeId link) {
  const auto at = list(node, level);
  if (!at) return false;
  const std::uint32_t degree = at->bounded_degree();
  if (degree == at->capacity) return false;
  ListChange change(*this, level, *at);
  change.put(degree, link.index);
  change.put_degree(degree + 1);
  return true;
}

bool NodeStore::has_link(NodeId node, std::uint32_t level, NodeId link) {
  const auto at = list(node, level);
  return at && LinkList{at->links, at->bounded_degree(), 0}.has(link);
}

void NodeStore::copy_node(const NodeStore& from, NodeId old, NodeId node, std::uint8_t state,
                          std::uint32_t level, std::uint32_t upper,
                          std::span<const NodeId> numbers) {
  CAIRN_ASSERT(node < body().room_nodes);
  CAIRN_ASSERT(level == 0 || std::uint64_t{upper} + level <= body().room_upper);
  const GraphView graph = from.view();
  std::memcpy(mutable_record(node), graph.record(old), parameters_.hot_stride);
  if (parameters_.exact_stride != 0) {
    std::memcpy(mutable_exact(node), graph.vector(old), parameters_.exact_stride);
  }
  const Key key = graph.key(old);
  std::memcpy(mutable_key(node), &key, sizeof key);
  std::byte* head = mutable_header(node);
  std::memcpy(head + format::hot::kUpper, &upper, sizeof upper);
  std::memset(head + format::hot::kGeneration, 0, sizeof(std::uint16_t));
  head[format::hot::kLevel] = static_cast<std::byte>(level);
  set_state(node, state);
  for (std::uint32_t l = 0; l <= level; ++l) {
    if (l > 0) {
      std::byte* record = mutable_upper(upper + l - 1);
      const auto on_level = static_cast<std::uint16_t>(l);
      std::memcpy(record + format::upper::kNode, &node, sizeof node);
      std::memcpy(record + format::upper::kLevel, &on_level, sizeof on_level);
    }
    const auto at = list(node, l);
    if (!at) continue;  // not so: the node has room for its lists
    std::uint32_t degree = 0;
    for (const NodeId link : graph.links_on(old, l)) {
      const NodeId number = link < numbers.size() ? numbers[link.index] : kNoNode;
      if (number != kNoNode) store_relaxed(at->links + degree++, number.index);
    }
    store_relaxed(at->degree, degree | at->level_bits);
    for (std::uint32_t i = degree; l == 0 && i < parameters_.m_max0; ++i) {
      store_relaxed(at->links + i, 0);
    }
  }
  if (state == format::hot::kFlagDeleted) {
    body().deleted.store(deleted() + 1, std::memory_order_relaxed);
  }
}

}  // namespace cairn
