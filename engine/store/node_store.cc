// SPDX-License-Identifier: Apache-2.0
#include "engine/store/node_store.h"

#include <algorithm>

#include "engine/base/assert.h"
#include "format/bytes/limits.h"
#include "format/bytes/parameters.h"
#include "format/bytes/record_layout.h"
#include "format/bytes/superblock_layout.h"

namespace cairn {

using format::Region;
using format::SectionId;

namespace {

// Of fewer components there are too few different codes to rank a million vectors, and little to
// save.
constexpr std::uint32_t kFewestForCodes = 4;

Error too_many(std::uint64_t nodes) {
  return Error(ErrorCode::out_of_memory, "index: " + std::to_string(nodes) +
                                             " vectors; one index holds at most " +
                                             std::to_string(kMaxNodes));
}

}  // namespace

format::Parameters NodeStore::layout(const IndexParams& params) {
  format::Parameters p{};
  p.dimensions = static_cast<std::uint32_t>(params.dimensions);
  p.metric = params.metric;
  p.scalar = params.scalar;
  p.traversal = params.traversal;
  if (p.traversal == Traversal::automatic) {
    const bool has_codes = p.scalar != Scalar::i8 && p.scalar != Scalar::b1;
    const bool worth_it = p.dimensions >= kFewestForCodes;
    p.traversal = has_codes && worth_it ? Traversal::code : Traversal::exact;
  }
  p.m = params.m;
  p.ef_construction = params.ef_construction;
  p.seed = params.seed;
  p.several_per_key = params.several_per_key;

  // Level 0 holds at least 3 M links, and as many more as the last cache line has room for:
  // docs/algorithms.md.
  format::derive_strides(p);
  return p;
}

Result<NodeStore> NodeStore::create(const format::Parameters& parameters,
                                    const format::SectionAddresses& addresses,
                                    const Reserve& reserve) {
  NodeStore store;
  store.parameters_ = parameters;
  Body& body = store.body();
  for (std::size_t i = 0; i < kSections.size(); ++i) {
    const std::size_t at = section_index(kSections[i]);
    body.sections[at] = &body.owned[i];
    if (record_stride(parameters, kSections[i]) == 0) continue;
    auto region = reserve(addresses[at]);
    if (!region) return region.error();
    body.owned[i] = std::move(*region);
  }
  return store;
}

NodeStore NodeStore::attach(const format::Parameters& parameters, const format::Counters& counters,
                            const Sections& sections, const format::PageWatch* watch,
                            const format::FirstUse* first_use) {
  NodeStore store;
  store.parameters_ = parameters;
  Body& body = store.body();
  body.sections = sections;
  body.watch = watch;
  body.first_use = first_use;
  for (const SectionId id : kSections) {
    const std::uint64_t records =
        id == SectionId::upper ? counters.upper_used : counters.slots_used;
    CAIRN_ASSERT(records * record_stride(parameters, id) <= body.section(id).size());
  }
  store.publish(static_cast<std::uint32_t>(counters.slots_used),
                static_cast<std::uint32_t>(counters.upper_used), counters.live);
  body.deleted.store(counters.deleted);
  store.slot_free_ = {counters.slot_free};
  store.upper_free_ = counters.upper_free;
  store.publish_entry({counters.entry_point}, counters.max_level);
  if (counters.deleted != 0 && store.is_first_parked()) store.park_first();
  return store;
}

// Node 0 is a tombstone without links on level 0. Should something still link to it, then that is
// as if it were a live node that is no result.
bool NodeStore::is_first_parked() const {
  const GraphView graph = view();
  return graph.count > 0 && (graph.flags({0}) & format::hot::kFlagDeleted) != 0 &&
         graph.links({0}).degree == 0;
}

NodeStore::NodeStore() : owner_(std::make_unique<Body>()), body_(owner_.get()) {}

NodeStore::NodeStore(NodeStore&& other) noexcept
    : parameters_(other.parameters_),
      owner_(std::move(other.owner_)),
      body_(owner_.get()),
      pending_(other.pending_),
      slot_free_(other.slot_free_),
      upper_free_(other.upper_free_),
      sink_(other.sink_) {}

std::unique_ptr<NodeStore::Body> NodeStore::replace(NodeStore&& fresh) {
  CAIRN_ASSERT(fresh.pending_ == 0);
  pending_ = 0;
  slot_free_ = fresh.slot_free_;
  upper_free_ = fresh.upper_free_;
  body_.store(fresh.owner_.get(), std::memory_order_release);
  owner_.swap(fresh.owner_);
  return std::move(fresh.owner_);
}

GraphView NodeStore::view() const {
  const Body& body = this->body();
  // What has been switched before any flag; entry point before the counts (acquire): a node is
  // counted before it becomes the entry point.
  const SwitchLog::Position switches = body.switches.position();
  const SlotLog::Position slots = body.slots.position();
  const std::uint64_t entry = body.entry.load(std::memory_order_acquire);
  GraphView view{};
  // Before the count: if both are equal, all nodes below it were live by then.
  view.live = body.live.load(std::memory_order_acquire);
  view.switch_log = &body.switches;
  view.slot_log = &body.slots;
  view.slots = slots;
  view.switches = switches;
  view.hot = body.section(SectionId::hot).data();
  view.exact = body.section(SectionId::exact).data();
  view.keys = body.section(SectionId::key).data();
  view.upper = body.section(SectionId::upper).data();
  view.hot_stride = parameters_.hot_stride;
  view.header = parameters_.hot_factor_offset;
  view.exact_stride = parameters_.exact_stride;
  view.upper_stride = parameters_.upper_stride;
  view.m = parameters_.m;
  view.m_max0 = parameters_.m_max0;
  view.several_per_key = parameters_.several_per_key;
  view.count = body.count.load(std::memory_order_acquire);
  view.upper_count = body.upper_count.load(std::memory_order_acquire);
  const NodeId entry_point{static_cast<std::uint32_t>(entry)};
  view.entry_point = entry_point < view.count ? entry_point : kNoNode;
  view.max_level = std::min(static_cast<std::uint32_t>(entry >> 32),
                            static_cast<std::uint32_t>(format::kMaxLevels) - 1);
  view.tombstones =
      body.deleted.load(std::memory_order_relaxed) != body.parked.load(std::memory_order_relaxed);
  view.watch = body.watch;
  view.first_use = body.first_use;
  // With exact traversal the HOT record begins with the vector itself.
  if (parameters_.exact_stride == 0) {
    view.exact = view.hot;
    view.exact_stride = view.hot_stride;
  }
  return view;
}

Result<void> NodeStore::reserve(std::uint64_t nodes, std::uint64_t upper_records) {
  if (nodes > kMaxNodes) return too_many(nodes);
  for (const SectionId id : kSections) {
    const std::uint64_t records = id == SectionId::upper ? upper_records : nodes;
    const std::size_t bytes = records * record_stride(parameters_, id);
    Region& region = section(id);
    if (bytes <= region.size()) continue;
    auto grown = sink_ != nullptr ? sink_->grow(id, region, bytes) : region.grow_anonymous(bytes);
    if (!grown) return grown;
  }
  body().room_nodes = std::max(body().room_nodes, nodes);
  body().room_upper = std::max(body().room_upper, upper_records);
  return {};
}

bool NodeStore::is_free_slot(NodeId node) const {
  constexpr std::uint8_t kState = format::hot::kFlagLive | format::hot::kFlagDeleted;
  const GraphView graph = view();
  return node < graph.count && (graph.flags(node) & kState) == 0;
}

bool NodeStore::is_free_upper(std::uint32_t first, std::uint32_t level) const {
  const GraphView graph = view();
  const auto index = graph.upper_index(first);
  if (!index || std::uint64_t{first} + level > graph.upper_count) return false;
  const GraphView::UpperHead head = graph.upper_head(*index);
  return head.owner == kNoNode && head.level == level;
}

Result<void> NodeStore::reserve_place(std::uint32_t level) {
  if (!is_free_slot(slot_free_)) slot_free_ = kNoNode;
  if (!is_free_upper(upper_free_[level], level)) upper_free_[level] = kNoUpper;
  const std::uint64_t nodes = std::uint64_t{count()} + (slot_free_ == kNoNode ? 1 : 0);
  const bool new_upper = level > 0 && upper_free_[level] == kNoUpper;
  return reserve(nodes, std::uint64_t{upper_count()} + (new_upper ? level : 0));
}

NodeStore::Place NodeStore::allocate(std::uint32_t level) {
  Place place{slot_free_, kNoUpper};
  std::uint32_t slots = count();
  std::uint32_t records = upper_count();
  if (place.node != kNoNode) {
    slot_free_ = {load_relaxed(GraphView::word(mutable_header(place.node) + format::hot::kUpper))};
  } else {
    place.node = {slots++};
  }
  if (level > 0) {
    place.upper = upper_free_[level];
    if (place.upper != kNoUpper) {
      upper_free_[level] =
          load_relaxed(GraphView::word(mutable_upper(place.upper) + format::upper::kLinks));
    } else {
      place.upper = records;
      records += level;
    }
  }
  CAIRN_ASSERT(slots <= body().room_nodes && records <= body().room_upper);
  ++pending_;
  publish_counts(slots, records, live());
  return place;
}

void NodeStore::set_live(NodeId node) {
  CAIRN_ASSERT(pending_ > 0);
  set_flags(node, format::hot::kFlagLive);
  --pending_;
  body().live.store(live() + 1, std::memory_order_release);
}

// The counts of a damaged file may be too low: they end at 0.
void NodeStore::set_deleted(NodeId node) {
  set_flags(node, format::hot::kFlagDeleted);
  body().live.store(live() - std::min<std::uint64_t>(live(), 1), std::memory_order_relaxed);
  body().deleted.store(deleted() + 1, std::memory_order_relaxed);
  body().slots.changed(node);
}

// Exchanges the flags live and deleted, and keeps the others.
void NodeStore::set_state(NodeId node, std::uint8_t state) {
  const auto word = flags_word(node);
  constexpr std::uint8_t kState = format::hot::kFlagLive | format::hot::kFlagDeleted;
  // release: who sees that a node is live may read what has been written of it.
  word.store(static_cast<std::uint8_t>((word.load(std::memory_order_relaxed) & ~kState) | state),
             std::memory_order_release);
}

void NodeStore::set_flags(NodeId node, std::uint8_t flags) {
  set_state(node, flags);
  note(SectionId::hot, mutable_header(node) + format::hot::kFlags, 1);
}

void NodeStore::release_deleted(NodeId node) {
  CAIRN_ASSERT(node < count());
  if ((view().flags(node) & format::hot::kFlagDeleted) == 0) return;
  release(node);
  body().deleted.store(deleted() - std::min<std::uint64_t>(deleted(), 1),
                       std::memory_order_relaxed);
}

void NodeStore::release_pending(NodeId node) {
  CAIRN_ASSERT(pending_ > 0);
  --pending_;
  if (node == NodeId{0}) {
    body().deleted.store(deleted() + 1, std::memory_order_relaxed);
    park_first();
  } else {
    release(node);
  }
}

// What it held is erased: a free slot is zero but for its generation and the chain.
void NodeStore::release(NodeId node) {
  std::byte* head = mutable_header(node);
  const std::uint32_t level = load_relaxed(head + format::hot::kLevel);
  const std::uint32_t upper = load_relaxed(GraphView::word(head + format::hot::kUpper));
  std::uint16_t generation;
  std::memcpy(&generation, head + format::hot::kGeneration, sizeof generation);
  ++generation;
  if (level > 0) release_upper(node, upper, level);

  clear_record(node, 0);
  std::memcpy(head + format::hot::kGeneration, &generation, sizeof generation);
  std::memcpy(head + format::hot::kUpper, &slot_free_, sizeof slot_free_);
  if (parameters_.exact_stride != 0) std::memset(mutable_exact(node), 0, parameters_.exact_stride);
  std::memset(mutable_key(node), 0, sizeof(Key));
  slot_free_ = node;
  note_written(node);
}

// Records that are not the node's (a damaged file) stay as they are.
void NodeStore::release_upper(NodeId node, std::uint32_t first, std::uint32_t level) {
  const bool exist =
      level < format::kMaxLevels && std::uint64_t{first} + level <= body().room_upper;
  if (!exist) return;
  std::byte* record = mutable_upper(first);
  for (std::uint32_t l = 0; l < level; ++l) {
    const std::byte* one = record + std::size_t{l} * parameters_.upper_stride;
    if (load_relaxed(GraphView::word(one + format::upper::kNode)) != node.index) return;
  }
  std::memset(record, 0, std::size_t{level} * parameters_.upper_stride);
  const auto size = static_cast<std::uint16_t>(level);
  std::memcpy(record + format::upper::kNode, &kNoNode, sizeof kNoNode);
  std::memcpy(record + format::upper::kLevel, &size, sizeof size);
  std::memcpy(record + format::upper::kLinks, &upper_free_[level], sizeof(std::uint32_t));
  upper_free_[level] = first;
  note(SectionId::upper, record, std::size_t{level} * parameters_.upper_stride);
}

void NodeStore::publish(std::uint32_t count, std::uint32_t upper_count, std::uint64_t live) {
  publish_counts(count, upper_count, live);
  body().slots.renumber();
}

void NodeStore::publish_counts(std::uint32_t count, std::uint32_t upper_count, std::uint64_t live) {
  body().room_nodes = std::max<std::uint64_t>(body().room_nodes, count);
  body().room_upper = std::max<std::uint64_t>(body().room_upper, upper_count);
  body().live.store(live, std::memory_order_release);
  body().upper_count.store(upper_count, std::memory_order_release);
  body().count.store(count, std::memory_order_release);
}

void NodeStore::publish_entry(NodeId entry_point, std::uint32_t max_level) {
  body().entry.store(std::uint64_t{max_level} << 32 | entry_point.index, std::memory_order_release);
}

void NodeStore::clear() {
  publish_entry(kNoNode, 0);
  publish(0, 0, 0);
  body().deleted.store(0, std::memory_order_relaxed);
  body().parked.store(0, std::memory_order_relaxed);
  body().room_nodes = 0;
  body().room_upper = 0;
  slot_free_ = kNoNode;
  upper_free_ = no_free_upper();
  for (Region& region : body().owned) region.clear();
}

void NodeStore::store(format::Counters& counters) const {
  const std::uint64_t entry = body().entry.load(std::memory_order_relaxed);
  counters.slots_used = count();
  counters.live = live();
  counters.deleted = deleted() + pending_;
  counters.upper_used = upper_count();
  counters.entry_point = static_cast<std::uint32_t>(entry);
  counters.max_level = static_cast<std::uint32_t>(entry >> 32);
  counters.slot_free = slot_free_.index;
  counters.upper_free = upper_free_;
}

std::span<const std::byte> NodeStore::bytes(SectionId id) const {
  const Region* region = body().sections[section_index(id)];
  if (region == nullptr) return {};
  const std::size_t records = id == SectionId::upper ? upper_count() : count();
  return {region->data(), records * record_stride(parameters_, id)};
}

std::size_t NodeStore::anonymous_bytes() const {
  std::size_t bytes = 0;
  for (const SectionId id : kSections) bytes += body().section(id).anonymous_bytes();
  return bytes;
}

}  // namespace cairn
