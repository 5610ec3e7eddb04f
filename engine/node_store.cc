// SPDX-License-Identifier: Apache-2.0
#include "engine/node_store.h"

#include <unistd.h>

#include <algorithm>

namespace cairn {

using format::Region;

namespace {

// Addresses to set aside for a section in memory: it cannot hold more than the machine's memory
// twice over, nor more than kMaxNodes records.
std::size_t reservation(std::size_t stride) {
  const auto pages = static_cast<std::size_t>(std::max(1L, sysconf(_SC_PHYS_PAGES)));
  const std::size_t memory = 2 * pages * static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
  return std::min<std::size_t>(memory, kMaxNodes * stride);
}

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
    const bool small = p.scalar == Scalar::i8 || p.scalar == Scalar::b1;
    p.traversal = small ? Traversal::exact : Traversal::code;
  }
  p.m = params.m;
  p.ef_construction = params.ef_construction;
  p.seed = params.seed;

  // Level 0 holds at least 3 M links, and as many more as the last cache line has room for:
  // docs/algorithms.md.
  format::derive_strides(p);
  return p;
}

Result<NodeStore> NodeStore::create(const format::Parameters& parameters) {
  NodeStore store;
  store.parameters_ = parameters;
  const std::array<std::size_t, 4> strides = {parameters.hot_stride, parameters.exact_stride,
                                              sizeof(Key), parameters.upper_stride};
  for (std::size_t i = 0; i < strides.size(); ++i) {
    if (strides[i] == 0) continue;
    auto region = Region::reserve(format::kHugePage, reservation(strides[i]));
    if (!region) return region.error();
    store.owned_[i] = std::move(*region);
  }
  store.hot_ = &store.owned_[0];
  store.exact_ = &store.owned_[1];
  store.key_ = &store.owned_[2];
  store.upper_ = &store.owned_[3];
  return store;
}

NodeStore NodeStore::attach(const format::Parameters& parameters, const format::Counters& counters,
                            std::array<Region*, 4> sections) {
  NodeStore store;
  store.parameters_ = parameters;
  store.hot_ = sections[0];
  store.exact_ = sections[1];
  store.key_ = sections[2];
  store.upper_ = sections[3];
  store.publish(static_cast<std::uint32_t>(counters.slots_used),
                static_cast<std::uint32_t>(counters.upper_used));
  store.publish_entry(counters.entry_point, counters.max_level);
  return store;
}

NodeStore::NodeStore(NodeStore&& other) noexcept
    : parameters_(other.parameters_), owned_(std::move(other.owned_)) {
  const std::array<Region**, 4> mine = {&hot_, &exact_, &key_, &upper_};
  const std::array<Region*, 4> theirs = {other.hot_, other.exact_, other.key_, other.upper_};
  for (std::size_t i = 0; i < mine.size(); ++i) {
    *mine[i] = theirs[i] == &other.owned_[i] ? &owned_[i] : theirs[i];
  }
  count_.store(other.count_.load());
  upper_count_.store(other.upper_count_.load());
  entry_.store(other.entry_.load());
}

GraphView NodeStore::view() const {
  // Entry point first, then the counts (acquire): a node is counted before it becomes the entry
  // point.
  const std::uint64_t entry = entry_.load(std::memory_order_acquire);
  GraphView view{};
  view.hot = hot_->data();
  view.exact = exact_->data();
  view.keys = key_->data();
  view.upper = upper_->data();
  view.hot_stride = parameters_.hot_stride;
  view.header = parameters_.hot_factor_offset;
  view.exact_stride = parameters_.exact_stride;
  view.upper_stride = parameters_.upper_stride;
  view.m = parameters_.m;
  view.m_max0 = parameters_.m_max0;
  view.entry_point = static_cast<NodeId>(entry);
  view.max_level = static_cast<std::uint32_t>(entry >> 32);
  view.count = count_.load(std::memory_order_acquire);
  view.upper_count = upper_count_.load(std::memory_order_acquire);
  // With exact traversal the HOT record begins with the vector itself.
  if (parameters_.exact_stride == 0) {
    view.exact = view.hot;
    view.exact_stride = view.hot_stride;
  }
  return view;
}

Result<void> NodeStore::reserve(std::uint64_t nodes, std::uint64_t upper_records) {
  if (nodes > kMaxNodes) return too_many(nodes);
  const std::array<std::pair<Region*, std::size_t>, 4> wanted = {{
      {hot_, nodes * parameters_.hot_stride},
      {exact_, nodes * parameters_.exact_stride},
      {key_, nodes * sizeof(Key)},
      {upper_, upper_records * parameters_.upper_stride},
  }};
  for (const auto& [region, bytes] : wanted) {
    if (bytes <= region->size()) continue;
    if (auto grown = region->grow_anonymous(bytes); !grown) return grown;
  }
  return {};
}

void NodeStore::init_node(NodeId node, Key key, std::uint32_t level, std::uint32_t upper) {
  std::memcpy(key_->data() + std::size_t{node} * sizeof(Key), &key, sizeof key);
  std::byte* record = mutable_record(node);
  std::memset(record, 0, parameters_.hot_stride);
  std::byte* head = record + parameters_.hot_factor_offset;
  std::memcpy(head + format::hot::kUpper, &upper, sizeof upper);
  head[format::hot::kLevel] = static_cast<std::byte>(level);
  head[format::hot::kFlags] = std::byte{format::hot::kFlagLive};
  for (std::uint32_t l = 1; l <= level; ++l) {
    std::byte* list = upper_->data() + std::size_t{upper + l - 1} * parameters_.upper_stride;
    std::memset(list, 0, parameters_.upper_stride);
    std::memcpy(list + format::upper::kNode, &node, sizeof node);
    const auto on_level = static_cast<std::uint16_t>(l);
    std::memcpy(list + format::upper::kLevel, &on_level, sizeof on_level);
  }
}

void NodeStore::set_factors(NodeId node, float a, float b, std::uint8_t extra_flags) {
  std::byte* head = mutable_record(node) + parameters_.hot_factor_offset;
  std::memcpy(head + format::hot::kFactorA, &a, sizeof a);
  std::memcpy(head + format::hot::kFactorB, &b, sizeof b);
  head[format::hot::kFlags] |= std::byte{extra_flags};
}

NodeStore::MutableList NodeStore::list(NodeId node, std::uint32_t level) {
  const auto word = [](std::byte* at) { return reinterpret_cast<std::uint32_t*>(at); };
  std::byte* head = mutable_record(node) + parameters_.hot_factor_offset;
  if (level == 0) {
    return {word(head + format::hot::kDegree), word(head + format::hot::kLinks), ~0u, 0};
  }
  std::uint32_t first;
  std::memcpy(&first, head + format::hot::kUpper, sizeof first);
  std::byte* list = upper_->data() + (std::size_t{first} + level - 1) * parameters_.upper_stride;
  return {word(list + format::upper::kDegree), word(list + format::upper::kLinks), 0xFFFFu,
          level << 16};
}

void NodeStore::set_links(NodeId node, std::uint32_t level, std::span<const NodeId> links) {
  const MutableList at = list(node, level);
  const std::uint32_t old_degree = load_relaxed(at.degree) & at.degree_mask;
  const auto degree = static_cast<std::uint32_t>(links.size());
  for (std::uint32_t i = 0; i < degree; ++i) store_relaxed(at.links + i, links[i]);
  store_relaxed(at.degree, degree | at.level_bits);
  for (std::uint32_t i = degree; i < old_degree; ++i) store_relaxed(at.links + i, 0);
}

void NodeStore::append_link(NodeId node, std::uint32_t level, NodeId link) {
  const MutableList at = list(node, level);
  const std::uint32_t word = load_relaxed(at.degree);
  store_relaxed(at.links + (word & at.degree_mask), link);
  store_relaxed(at.degree, word + 1);
}

void NodeStore::publish(std::uint32_t count, std::uint32_t upper_count) {
  upper_count_.store(upper_count, std::memory_order_release);
  count_.store(count, std::memory_order_release);
}

void NodeStore::publish_entry(NodeId entry_point, std::uint32_t max_level) {
  entry_.store(std::uint64_t{max_level} << 32 | entry_point, std::memory_order_release);
}

void NodeStore::clear() {
  publish_entry(kNoNode, 0);
  publish(0, 0);
  for (Region& region : owned_) region.clear();
}

std::span<const std::byte> NodeStore::bytes(format::SectionId section) const {
  const std::size_t nodes = count();
  switch (section) {
    case format::SectionId::hot: return {hot_->data(), nodes * parameters_.hot_stride};
    case format::SectionId::exact: return {exact_->data(), nodes * parameters_.exact_stride};
    case format::SectionId::key: return {key_->data(), nodes * sizeof(Key)};
    case format::SectionId::upper:
      return {upper_->data(), std::size_t{upper_count()} * parameters_.upper_stride};
    default: return {};
  }
}

std::size_t NodeStore::anonymous_bytes() const {
  return hot_->anonymous_bytes() + exact_->anonymous_bytes() + key_->anonymous_bytes() +
         upper_->anonymous_bytes();
}

}  // namespace cairn
