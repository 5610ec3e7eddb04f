// SPDX-License-Identifier: Apache-2.0
#include "engine/change/writer.h"

#include <algorithm>
#include <string>
#include <thread>

#include "engine/graph/heirs.h"

namespace cairn {

namespace {

Error key_exists(Key key) {
  return Error(ErrorCode::key_exists, "add: key " + std::to_string(key) + " is already there");
}
Error key_not_found(Key key) {
  return Error(ErrorCode::key_not_found, "remove: no key " + std::to_string(key));
}

}  // namespace

Writer::Writer(NodeStore& store, KeyTable& table, CommitMutex& commit, TableMutex& table_mutex,
               Epochs& epochs)
    : store_(store),
      table_(table),
      commit_(commit),
      table_mutex_(table_mutex),
      epochs_(epochs),
      levels_(store.parameters().m, store.parameters().seed),
      linker_(store),
      unlinker_(store, linker_),
      sweeper_(store, unlinker_, epochs) {}

Result<void> Writer::add(Key key, const void* vector) {
  if (auto ok = put(key, vector, false, "add"); !ok) return ok;
  counts_.adds.fetch_add(1, std::memory_order_relaxed);
  return {};
}

Result<void> Writer::upsert(Key key, const void* vector) {
  if (auto ok = put(key, vector, true, "upsert"); !ok) return ok;
  counts_.upserts.fetch_add(1, std::memory_order_relaxed);
  return {};
}

// A slot is taken and filled under the mutex, neighbors are searched without it, and then all links
// are made under it. Meanwhile the slot is a tombstone that nothing links to.
Result<void> Writer::put(Key key, const void* vector, bool replaces, const char* what) {
  auto scratch = scratch_.take();
  Result<Durable::Pending> result = Durable::Pending();
  while (!try_put(key, vector, replaces, what, *scratch, result)) {
  }
  if (!result) return result.error();
  return Durable::acknowledge(*result);
}

bool Writer::try_put(Key key, const void* vector, bool replaces, const char* what, Scratch& scratch,
                     Result<Durable::Pending>& result) {
  const std::uint32_t level = levels_.level(key);
  std::unique_lock lock(commit_);
  const auto replaced = table_.find(key, store_.count());
  if (replaced && !replaces) {
    result = key_exists(key);
    return true;
  }
  if (auto ok = begin(); !ok) {
    result = ok.error().with_context(what);
    return true;
  }
  reclaim();
  const auto taken = place(key, vector, level, scratch);
  if (!taken) {
    result = taken.error().with_context(what);
    return true;
  }
  const UnderWay under_way(*this);
  const std::uint64_t numbering = numbering_;
  take_turn(scratch);
  const Space before = space();
  try {
    lock.unlock();
    choose(before, taken->node, level, scratch);
    if (replaced) {
      find_sources(before, *replaced, scratch);
      unlinker_.plan_bypasses(before, *replaced, scratch.unlink);
    }
    look_for_turn(before, scratch);
    lock.lock();
    if (numbering != numbering_) return false;  // and the slot is gone
    const auto linked = link(key, *taken, level, replaced, replaces, scratch);
    if (!linked) {
      store_.release_pending(taken->node);
      result = linked.error();
      return true;
    }
  } catch (...) {
    if (!lock.owns_lock()) lock.lock();
    if (numbering == numbering_) store_.release_pending(taken->node);
    throw;
  }
  result = commit();
  return true;
}

// What removed nodes and replaced bodies leave behind.
void Writer::reclaim() {
  sweeper_.reclaim();
  if (!retired_.empty()) (void)release_retired();
}

bool Writer::release_retired() {
  epochs_.advance();
  std::erase_if(retired_, [&](const Retired& old) { return epochs_.passed(old.epoch); });
  return retired_.empty();
}

Result<NodeStore::Place> Writer::place(Key key, const void* vector, std::uint32_t level,
                                       Scratch& scratch) {
  scratch.link.search.query.reserve(store_.parameters().dimensions);
  if (auto room = store_.reserve_place(level); !room) return room.error();
  sweeper_.reserve_taken();
  const NodeStore::Place place = store_.allocate(level);
  sweeper_.taken(place.node);
  linker_.write_node(place.node, key, level, place.upper, vector, scratch.link.search.query,
                     format::hot::kFlagDeleted);
  return place;
}

void Writer::choose(const Space& space, NodeId node, std::uint32_t level, Scratch& scratch) {
  for (auto& list : scratch.link.chosen) list.clear();
  scratch.link.planned = 0;
  if (space.view().entry_point == kNoNode) return;
  linker_.choose_neighbors(space, node, level, scratch.link);
  linker_.plan_back_links(space, node, scratch.link);
}

// What has been removed since it was chosen.
void Writer::keep_live_choices(Scratch& scratch) {
  const GraphView graph = store_.view();
  for (auto& list : scratch.link.chosen) {
    std::erase_if(list, [&](NodeId node) { return !graph.is_live(node); });
  }
}

void Writer::find_sources(const Space& space, NodeId node, Scratch& scratch) {
  Unlinker::find_sources(space, node, scratch.link.search, scratch.unlink);
}

// REQUIRES: the mutex is held. What fails or throws does so before anything is linked.
Result<void> Writer::link(Key key, NodeStore::Place place, std::uint32_t level,
                          std::optional<NodeId> expected, bool replaces, Scratch& scratch) {
  const auto replaced = table_.find(key, store_.count());
  if (replaced && !replaces) return key_exists(key);
  if (replaced && replaced != expected) find_sources(space(), *replaced, scratch);
  keep_live_choices(scratch);
  if (scratch.link.chosen[0].empty() && store_.live() > 0) {
    choose(space(), place.node, level, scratch);
    keep_live_choices(scratch);
    if (scratch.link.chosen[0].empty()) {
      const NodeId near = some_live_node(store_.view());
      if (near != kNoNode) scratch.link.chosen[0].push_back(near);
    }
  }
  scratch.link.reserve(store_.parameters(), store_.count());
  scratch.unlink.reserve(store_.parameters(), store_.count());
  sweeper_.reserve();
  if (replaced) store_.reserve_switch(epochs_);
  if (auto ok = begin(); !ok) return ok;
  if (!replaced) {
    if (auto room = table_.reserve_insert(key); !room) return room;
  }

  // From here on nothing fails.
  const GraphView graph = store_.view();
  const Space space(store_.parameters(), graph);
  const bool first = store_.live() == 0;
  const bool higher = first || level > graph.max_level;
  // The entry point of a damaged file may lead to no live node. Then the new one takes its place.
  const bool alone = !first && scratch.link.chosen[0].empty();
  Heir below{Heir::Kind::nothing, kNoNode};
  linker_.chains().begin_change();
  if (!first && higher) below = linker_.chains().follow(graph.entry_point);
  if (replaced) store_.begin_switch(*replaced);
  linker_.write_lists(place.node, level, scratch.link);
  store_.set_live(place.node);
  {
    const TableMutex::Change change(table_mutex_);
    if (replaced) {
      table_.replace(key, *replaced, place.node);
    } else {
      (void)table_.insert(key, place.node);
    }
  }
  if (!first) linker_.link_to(space, place.node, level, below.node, scratch.link);
  if (alone || (higher && below.kind != Heir::Kind::undecided)) {
    store_.publish_entry(place.node, level);
  }
  if (replaced) {
    bury(*replaced, scratch);
    store_.end_switch();
  }
  lead_to_strays(scratch);
  turns_.added(place.node);
  sweeper_.step(scratch.link, scratch.unlink);
  return {};
}

// Which nodes the change looks for. REQUIRES: the mutex is held, and the change is under way: what
// is live now keeps its number until it ends.
void Writer::take_turn(Scratch& scratch) {
  const GraphView graph = store_.view();
  scratch.turn = turns_.next(graph.count);
  for (NodeId& node : scratch.turn) {
    if (node != kNoNode && !graph.is_live(node)) node = kNoNode;
  }
}

// Whether they find themselves; those that do not are linked with what else the change links. So
// nearly all do at any time.
void Writer::look_for_turn(const Space& space, Scratch& scratch) {
  for (std::size_t i = 0; i < scratch.turn.size(); ++i) {
    const NodeId node = scratch.turn[i];
    scratch.strays[i] =
        node != kNoNode ? search_for_itself(space, node, scratch.link.search) : Stray();
  }
}

// REQUIRES: the mutex is held; no node has got another number since.
void Writer::lead_to_strays(Scratch& scratch) {
  const GraphView graph = store_.view();
  for (const Stray& stray : scratch.strays) lead_to(stray, graph, linker_, scratch.link.list);
  const auto is_node = [](NodeId node) { return node != kNoNode; };
  const auto is_stray = [](const Stray& stray) { return stray.size != 0; };
  const auto looked = std::count_if(scratch.turn.begin() + 1, scratch.turn.end(), is_node);
  const auto strays = std::count_if(scratch.strays.begin() + 1, scratch.strays.end(), is_stray);
  turns_.looked(static_cast<std::size_t>(looked), static_cast<std::size_t>(strays));
}

// REQUIRES: the mutex is held, room has been made.
void Writer::bury(NodeId node, Scratch& scratch) {
  store_.set_deleted(node);
  sweeper_.buried(node);
  if (store_.live() == 0) {
    store_.publish_entry(kNoNode, 0);
    sweeper_.all_buried();
    return;
  }
  unlinker_.unlink(node, scratch.link, scratch.unlink);
  if (store_.view().entry_point == node) unlinker_.replace_entry_point();
}

Result<void> Writer::remove(Key key) {
  auto scratch = scratch_.take();
  const auto removed = try_remove(key, *scratch);
  if (!removed) return removed.error();
  if (auto ok = Durable::acknowledge(*removed); !ok) return ok;
  counts_.removes.fetch_add(1, std::memory_order_relaxed);
  return {};
}

Result<Durable::Pending> Writer::try_remove(Key key, Scratch& scratch) {
  std::unique_lock lock(commit_);
  const auto expected = table_.find(key, store_.count());
  if (!expected) return key_not_found(key);
  const UnderWay under_way(*this);
  const std::uint64_t numbering = numbering_;
  take_turn(scratch);
  const Space before = space();
  try {
    lock.unlock();
    find_sources(before, *expected, scratch);
    unlinker_.plan_bypasses(before, *expected, scratch.unlink);
    look_for_turn(before, scratch);
    lock.lock();
  } catch (...) {
    if (!lock.owns_lock()) lock.lock();
    throw;
  }
  const auto node = table_.find(key, store_.count());
  if (!node) return key_not_found(key);
  if (node != expected || numbering != numbering_) find_sources(space(), *node, scratch);
  scratch.link.reserve(store_.parameters(), store_.count());
  scratch.unlink.reserve(store_.parameters(), store_.count());
  sweeper_.reserve();
  if (auto ok = begin(); !ok) return ok.error().with_context("remove");

  // From here on nothing fails.
  linker_.chains().begin_change();
  {
    const TableMutex::Change change(table_mutex_);
    table_.erase(key, *node);
  }
  bury(*node, scratch);
  if (numbering == numbering_) lead_to_strays(scratch);
  sweeper_.step(scratch.link, scratch.unlink);
  return commit();
}

bool Writer::clear_empty() {
  if (store_.live() != 0 || under_way_ != 0) return false;
  // Two epochs from now every search that may hold a slot has ended. None of them waits for the
  // mutex: changes that search have been excluded.
  const std::uint64_t now = epochs_.now();
  while (!epochs_.passed(now)) {
    if (!epochs_.advance()) std::this_thread::yield();
  }
  const std::lock_guard table_lock(table_mutex_);
  store_.clear();
  table_.clear();
  sweeper_.clear();
  turns_.clear();
  return true;
}

}  // namespace cairn
