// SPDX-License-Identifier: Apache-2.0
#include "engine/graph/compact.h"

#include <utility>
#include <vector>

#include "engine/base/workers.h"
#include "engine/graph/heirs.h"
#include "engine/graph/insert.h"
#include "engine/graph/self_search.h"

namespace cairn {

using format::SectionId;

namespace {

// What stays: the live nodes, the entry point, and what they reach on level 0.
class Numbering {
 public:
  explicit Numbering(const GraphView& graph) : numbers_(graph.count, kNoNode), live_(graph.count) {
    std::vector<NodeId> kept;
    const auto keep = [&](NodeId node) {
      if (numbers_[node.index] != kNoNode) return;
      numbers_[node.index] = {0};
      kept.push_back(node);
    };
    for (const NodeId node : nodes_below(graph.count)) {
      if (!graph.is_live(node)) continue;
      live_[node.index] = true;
      ++live_count_;
      keep(node);
    }
    if (graph.entry_point != kNoNode) keep(graph.entry_point);
    for (std::size_t next = 0; next < kept.size(); ++next) {
      for (const NodeId link : graph.links(kept[next])) keep(link);
    }
    for (const NodeId node : nodes_below(graph.count)) {
      if (numbers_[node.index] == kNoNode) continue;
      numbers_[node.index] = {count_++};
      upper_count_ += graph.usable_level(node);
    }
  }

  const std::vector<NodeId>& numbers() const { return numbers_; }
  // As it was when they were numbered: flags of a file may be changed by others.
  bool is_live(NodeId node) const { return live_[node.index]; }
  std::uint32_t count() const { return count_; }
  std::uint64_t upper_count() const { return upper_count_; }
  std::uint64_t live() const { return live_count_; }

 private:
  std::vector<NodeId> numbers_;
  std::vector<bool> live_;
  std::uint32_t count_ = 0;
  std::uint64_t upper_count_ = 0;
  std::uint64_t live_count_ = 0;
};

// Lists that are healed from one step to the next: fewer than an insertion may change.
std::uint32_t lists_per_step(const GraphView& graph) { return std::max(graph.m_max0, graph.m); }

constexpr std::uint32_t kNodesPerStep = 1024;

// Only of a file that is damaged, or that another process writes to although it is locked.
Error changed_meanwhile() {
  return Error(ErrorCode::corrupt, "levels of nodes do not fit the upper records");
}

Result<void> heal_all(NodeStore& store, const CompactStep& step) {
  const GraphView graph = store.view();
  if (!graph.tombstones) return {};
  const Space space(store.parameters(), graph);
  HeirChains chains(store);
  chains.follow_all();
  LinkScratch scratch;
  scratch.reserve(store.parameters(), graph.count);
  std::uint32_t lists = 0;
  for (const NodeId node : nodes_below(graph.count)) {
    if (!graph.is_live(node)) continue;
    for (std::uint32_t l = graph.usable_level(node) + 1; l-- > 0;) {
      heal(chains, space, node, l, scratch.list, scratch.selection);
      if (++lists % lists_per_step(graph) != 0) continue;
      if (auto ok = step(node.index); !ok) return ok;
    }
  }
  return {};
}

Result<void> link_strays(NodeStore& store, unsigned threads, const StrayStep& step) {
  const Space space(store.parameters(), store.view());
  if (space.view().entry_point == kNoNode) return {};
  Linker linker(store);
  Workers workers(threads, space.view().count);
  std::vector<LinkScratch> scratch(workers.size());
  scratch[0].reserve(store.parameters(), space.view().count);
  return link_all_strays(space, linker, workers, scratch, step);
}

// Live nodes of each key in the order that the old table has; then what that does not tell of, in a
// damaged file. Keys are those of the copies.
Result<void> insert_in_order(std::uint32_t count, const KeyTable& old_table,
                             const Numbering& numbering, const GraphView& copied, KeyTable& table) {
  std::vector<bool> is_there(count);
  std::vector<NodeId> order;
  const auto take = [&](NodeId node) {
    if (node >= count || is_there[node.index] || !numbering.is_live(node)) return;
    is_there[node.index] = true;
    order.push_back(node);
  };
  (void)old_table.for_each(count, take);
  for (const NodeId node : nodes_below(count)) take(node);
  for (const NodeId old : order) {
    const NodeId node = numbering.numbers()[old.index];
    if (auto ok = table.insert(copied.key(node), node); !ok) return ok;
  }
  return {};
}

}  // namespace

Result<CompactCopy> compact_copy(NodeStore& store, const KeyTable& old_table,
                                 const format::SectionAddresses& addresses, unsigned threads,
                                 const CompactStep& step) {
  if (auto ok = heal_all(store, step); !ok) return ok.error();
  const GraphView graph = store.view();
  if (auto ok = step(graph.count); !ok) return ok.error();
  const Numbering numbering(graph);
  if (numbering.upper_count() >= kNoUpper) return changed_meanwhile();
  auto fresh = NodeStore::create(store.parameters(), addresses);
  if (!fresh) return fresh.error();
  auto hash = format::Region::reserve_growing(addresses[section_index(SectionId::hash)]);
  if (!hash) return hash.error();
  auto overflow = format::Region::reserve_growing(addresses[section_index(SectionId::overflow)]);
  if (!overflow) return overflow.error();
  if (auto room = fresh->reserve(numbering.count(), numbering.upper_count()); !room) {
    return room.error();
  }
  KeyTable table(&*hash, &*overflow, fresh->key_region(), old_table.key_hash(),
                 nodes_of_key(store.parameters()));
  if (auto room = table.reserve(numbering.live()); !room) return room.error();

  const GraphView copied = fresh->view();
  std::uint32_t upper = 0;
  for (const NodeId old : nodes_below(graph.count)) {
    if (old.index % kNodesPerStep == 0) {
      if (auto ok = step(std::uint64_t{graph.count} + old.index); !ok) return ok.error();
    }
    const NodeId node = numbering.numbers()[old.index];
    if (node == kNoNode) continue;
    const std::uint32_t level = graph.usable_level(old);
    if (std::uint64_t{upper} + level > numbering.upper_count()) return changed_meanwhile();
    const bool is_live = numbering.is_live(old);
    fresh->copy_node(store, old, node, is_live ? format::hot::kFlagLive : format::hot::kFlagDeleted,
                     level, level > 0 ? upper : kNoUpper, numbering.numbers());
    upper += level;
    if (!is_live || graph.several_per_key) continue;
    if (auto ok = table.insert(copied.key(node), node); !ok) return ok.error();
  }
  if (graph.several_per_key) {
    auto ok = insert_in_order(graph.count, old_table, numbering, copied, table);
    if (!ok) return ok.error();
  }
  fresh->publish(numbering.count(), upper, numbering.live());
  if (graph.entry_point != kNoNode) {
    fresh->publish_entry(numbering.numbers()[graph.entry_point.index], graph.max_level);
  }
  const auto look_step = [&](std::uint32_t done) {
    return step(2 * std::uint64_t{graph.count} + done);
  };
  if (auto ok = link_strays(*fresh, threads, look_step); !ok) return ok.error();
  if (auto ok = step(3 * std::uint64_t{graph.count}); !ok) return ok.error();
  CompactCopy copy{std::move(*fresh), std::move(*hash), std::move(*overflow), {}};
  table.store(copy.table);
  return copy;
}

}  // namespace cairn
