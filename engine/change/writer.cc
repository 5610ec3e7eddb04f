// SPDX-License-Identifier: Apache-2.0
#include "engine/change/writer.h"

#include <algorithm>
#include <string>
#include <thread>

#include "engine/base/assert.h"
#include "engine/graph/heirs.h"
#include "engine/vectors/components.h"

namespace cairn {

namespace {

Error key_exists(Key key) {
  return Error(ErrorCode::key_exists, "add: key " + std::to_string(key) + " is already there");
}
Error key_not_found(Key key) {
  return Error(ErrorCode::key_not_found, "remove: no key " + std::to_string(key));
}

// Lets go of a mutex for a while: whatever happens there, it is held again afterwards.
class Unlocked {
 public:
  explicit Unlocked(std::unique_lock<CommitMutex>& lock) : lock_(lock) { lock_.unlock(); }
  Unlocked(const Unlocked&) = delete;
  Unlocked& operator=(const Unlocked&) = delete;
  ~Unlocked() { lock_.lock(); }

 private:
  std::unique_lock<CommitMutex>& lock_;
};

// What has been removed since it was chosen.
void keep_live(const GraphView& graph, Choice& choice) {
  for (auto& list : choice.neighbors) {
    std::erase_if(list, [&](NodeId node) { return !graph.is_live(node); });
  }
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
  const IfThere if_there = has_several() ? IfThere::append : IfThere::fail;
  if (auto ok = put(key, vector, if_there, "add"); !ok) return ok;
  counts_.adds.fetch_add(1, std::memory_order_relaxed);
  return {};
}

Result<void> Writer::upsert(Key key, const void* vector) {
  if (auto ok = put(key, vector, IfThere::replace, "upsert"); !ok) return ok;
  counts_.upserts.fetch_add(1, std::memory_order_relaxed);
  return {};
}

// A slot is taken and filled under the mutex, neighbors are searched without it, and then all links
// are made under it. Meanwhile the slot is a tombstone that nothing links to.
Result<void> Writer::put(Key key, const void* vector, IfThere if_there, const char* what) {
  auto scratch = scratch_.take();
  const format::Parameters& parameters = store_.parameters();
  const auto* bytes = static_cast<const std::byte*>(vector);
  std::vector<std::byte>& own = scratch->vector;
  own.assign(bytes, bytes + vector_bytes(parameters.scalar, parameters.dimensions));
  const VectorView given = view_of(parameters.scalar, own.data(), parameters.dimensions);
  if (!well_formed(given)) return defect_of(given).with_context(what);
  auto done = try_put(key, own.data(), if_there, what, *scratch);
  while (!done) done = try_put(key, own.data(), if_there, what, *scratch);
  if (!*done) return done->error();
  return Durable::acknowledge(**done);
}

std::optional<Result<Durable::Pending>> Writer::try_put(Key key, const void* vector,
                                                        IfThere if_there, const char* what,
                                                        Scratch& scratch) {
  const std::uint32_t level = levels_.level_of(level_hash_of(store_.parameters(), key, vector));
  std::unique_lock lock(commit_);
  Found found;
  if (if_there != IfThere::append) found.old = nodes_of(key);
  if (!found.old.empty() && if_there == IfThere::fail) return key_exists(key);
  if (auto ok = begin(); !ok) return ok.error().with_context(what);
  reclaim();
  const auto taken = place(key, vector, level, scratch.link.search.query);
  if (!taken) return taken.error().with_context(what);
  const UnderWay under_way(*this);
  PendingSlot slot(store_, under_way, taken->node);
  {
    const Unlocked unlocked(lock);
    const Space& before = under_way.space();
    found.choice = choose(before, taken->node, level, scratch.link);
    plan_removals(before, found, scratch);
    found.strays = look_for(under_way.turn(), before, scratch.link.search);
  }
  if (under_way.is_renumbered()) return std::nullopt;  // and the slot is gone
  const auto linked = link(key, *taken, level, if_there, under_way, found, scratch);
  if (!linked) return linked.error();
  slot.linked();
  return commit();
}

// What removed nodes and replaced bodies leave behind.
void Writer::reclaim() {
  sweeper_.reclaim();
  if (!retired_.empty()) (void)release_retired();
}

bool Writer::release_retired() {
  CAIRN_ASSERT(commit_.is_held());
  epochs_.advance();
  std::erase_if(retired_, [&](const Retired& old) { return epochs_.passed(old.epoch); });
  return retired_.empty();
}

Result<NodeStore::Place> Writer::place(Key key, const void* vector, std::uint32_t level,
                                       QueryBuffer& buffer) {
  buffer.reserve(store_.parameters().dimensions);
  if (auto room = store_.reserve_place(level); !room) return room.error();
  sweeper_.reserve_taken();
  const NodeStore::Place place = store_.allocate(level);
  sweeper_.taken(place.node);
  (void)linker_.write_node(place.node, key, level, place.upper, vector, buffer,
                           format::hot::kFlagDeleted);  // of a well-formed vector
  return place;
}

Choice Writer::choose(const Space& space, NodeId node, std::uint32_t level,
                      LinkScratch& scratch) const {
  if (space.view().entry_point == kNoNode) return {};
  Choice choice = linker_.choose_neighbors(space, node, level, scratch);
  choice.plans = linker_.plan_back_links(space, node, choice.neighbors[0], scratch);
  return choice;
}

// Once more, under the mutex: where all that was chosen has been removed since.
Choice Writer::choose_live(NodeId node, std::uint32_t level, LinkScratch& scratch) const {
  Choice choice = choose(space(), node, level, scratch);
  keep_live(store_.view(), choice);
  if (choice.neighbors[0].empty()) {
    const NodeId near = some_live_node(store_.view());
    if (near != kNoNode) choice.neighbors[0].push_back(near);
  }
  return choice;
}

// The nodes of a key, in order. REQUIRES: the mutex is held.
std::vector<NodeId> Writer::nodes_of(Key key) const {
  CAIRN_ASSERT(commit_.is_held());
  std::vector<NodeId> nodes;
  const std::uint32_t count = store_.count();
  if (!has_several()) {
    if (const auto node = table_.find(key, count)) nodes.push_back(*node);
    return nodes;
  }
  // The table of a damaged file may name one twice, or one that is not live.
  VisitedSet& met = met_;
  met.reset(count);
  const GraphView graph = store_.view();
  table_.for_each_of(key, count, [&](NodeId node) {
    if (graph.is_live(node) && met.insert_one(node)) nodes.push_back(node);
    return true;
  });
  return nodes;
}

void Writer::plan_removals(const Space& before, Found& found, Scratch& scratch) const {
  found.removals.clear();
  for (const NodeId node : found.old) {
    found.removals.push_back(
        unlinker_.plan_removal(before, node, scratch.link.search, scratch.unlink));
  }
}

// What is known of the old nodes, now that they are `old`. REQUIRES: the mutex is held.
void Writer::renew_plans(std::vector<NodeId> old, bool are_renumbered, Found& found,
                         Scratch& scratch) {
  CAIRN_ASSERT(commit_.is_held());
  if (old == found.old && !are_renumbered) return;
  std::vector<RemovalPlan> removals;
  removals.reserve(old.size());
  for (const NodeId node : old) {
    const auto at = std::find(found.old.begin(), found.old.end(), node);
    if (at != found.old.end() && !are_renumbered) {
      removals.push_back(
          std::move(found.removals[static_cast<std::size_t>(at - found.old.begin())]));
    } else {
      removals.push_back({Unlinker::find_sources(space(), node, scratch.link.search), {}});
    }
  }
  found.old = std::move(old);
  found.removals = std::move(removals);
}

// Lists that a change of several vectors writes beyond those of a change of one: of nodes that link
// to an old one, of what those link to instead, and what the sweep writes. Vectors of a key lie
// near each other: a node that links to many of them is counted once. REQUIRES: the mutex is held.
std::uint64_t Writer::more_lists(const Found& found) const {
  CAIRN_ASSERT(commit_.is_held());
  constexpr std::uint64_t kOfItself = 8;
  constexpr std::uint64_t kOfStep = 128;
  if (found.removals.size() < 2) return 0;
  VisitedSet& met = met_;
  met.reset(store_.count());
  for (const RemovalPlan& plan : found.removals) {
    for (const NodeId source : plan.sources) (void)met.insert_one(source);
  }
  return (steps_for(found) - 1) * kOfStep + found.removals.size() * kOfItself + 2 * met.met();
}

// Says what is wrong with a change of all vectors of a key, if it cannot begin.
Result<void> Writer::begin_change(Key key, const Found& found) {
  auto begun = begin(more_lists(found));
  if (begun || begun.error().code() != ErrorCode::invalid_argument) return begun;
  return begun.error().with_context("key " + std::to_string(key) + " has " +
                                    std::to_string(found.old.size()) +
                                    " vectors, too many for one change");
}

// Steps of the sweep after a change: as many as vectors are removed, but the change is to end.
std::size_t Writer::steps_for(const Found& found) {
  constexpr std::size_t kMost = 16;
  return std::clamp<std::size_t>(found.old.size(), 1, kMost);
}

void Writer::sweep(const Found& found, HeirChains& chains, Scratch& scratch) {
  const std::size_t steps = steps_for(found);
  for (std::size_t i = 0; i < steps; ++i) sweeper_.step(chains, scratch.link, scratch.unlink);
}

// Lets the key table tell of `node` instead of the old ones. REQUIRES: room has been made.
void Writer::exchange_keys(Key key, NodeId node, const std::vector<NodeId>& old) {
  const TableMutex::Change change(table_mutex_);
  if (old.empty()) {
    (void)table_.insert(key, node);
  } else if (has_several()) {
    (void)table_.take_out(key, node);
  } else {
    table_.replace(key, old.front(), node);
  }
}

// REQUIRES: the mutex is held. What fails or throws does so before anything is linked.
Result<void> Writer::link(Key key, NodeStore::Place place, std::uint32_t level, IfThere if_there,
                          const UnderWay& under_way, Found& found, Scratch& scratch) {
  CAIRN_ASSERT(commit_.is_held());
  if (if_there != IfThere::append) renew_plans(nodes_of(key), false, found, scratch);
  const std::vector<NodeId>& old = found.old;
  if (!old.empty() && if_there == IfThere::fail) return key_exists(key);
  Choice& choice = found.choice;
  keep_live(store_.view(), choice);
  if (choice.neighbors[0].empty() && store_.live() > 0) {
    choice = choose_live(place.node, level, scratch.link);
  }
  scratch.reserve(store_);
  sweeper_.reserve(std::max<std::size_t>(1, old.size()));
  if (!old.empty()) store_.reserve_switches(epochs_, old.size());
  if (auto ok = begin_change(key, found); !ok) return ok;
  if (old.empty()) {
    if (auto room = table_.reserve_insert(key); !room) return room;
  } else if (has_several()) {
    if (auto ok = table_.check_take_out(key); !ok) return ok;
    // The new one may link to old ones, which leave its list one after the other.
    for (RemovalPlan& plan : found.removals) plan.sources.push_back(place.node);
  }

  // From here on nothing fails.
  const GraphView graph = store_.view();
  const Space space(store_.parameters(), graph);
  const bool first = store_.live() == 0;
  const bool higher = first || level > graph.max_level;
  // The entry point of a damaged file may reach no live node. Then the new one takes its place.
  const bool alone = !first && choice.neighbors[0].empty();
  Heir below{Heir::Kind::nothing, kNoNode};
  HeirChains chains(store_);
  if (!first && higher) below = chains.follow(graph.entry_point);
  for (const NodeId node : old) store_.begin_switch(node);
  linker_.write_lists(place.node, level, choice);
  store_.set_live(place.node);
  exchange_keys(key, place.node, old);
  store_.tell_filters(place.node);
  if (!first) {
    linker_.link_to(space, place.node, level, below.node, choice.plans, chains, scratch.link);
  }
  if (alone || (higher && below.kind != Heir::Kind::undecided)) {
    store_.publish_entry(place.node, level);
  }
  for (std::size_t i = 0; i < old.size(); ++i) bury(old[i], found.removals[i], chains, scratch);
  if (!old.empty()) store_.end_switch();
  link_strays(under_way.turn(), found.strays, scratch.link.list);
  turns_.added(place.node);
  sweep(found, chains, scratch);
  return {};
}

// Which nodes the change looks for. REQUIRES: the mutex is held, and the change is in an epoch:
// what is live now keeps its number until it ends.
Writer::Turn Writer::take_turn(const GraphView& graph) {
  CAIRN_ASSERT(commit_.is_held());
  Turn turn = turns_.next(graph.count);
  for (NodeId& node : turn) {
    if (node != kNoNode && !graph.is_live(node)) node = kNoNode;
  }
  return turn;
}

// Whether they find themselves; those that do not are linked with what else the change links. So
// nearly all do at any time.
Writer::Strays Writer::look_for(const Turn& turn, const Space& space, SearchScratch& scratch) {
  Strays strays;
  for (std::size_t i = 0; i < turn.size(); ++i) {
    if (turn[i] != kNoNode) strays[i] = search_for_itself(space, turn[i], scratch);
  }
  return strays;
}

// REQUIRES: the mutex is held; no node has got another number since.
void Writer::link_strays(const Turn& turn, const Strays& strays, std::vector<NodeId>& list) {
  CAIRN_ASSERT(commit_.is_held());
  const GraphView graph = store_.view();
  for (const Stray& stray : strays) link_stray(stray, graph, linker_, list);
  const auto is_node = [](NodeId node) { return node != kNoNode; };
  const auto is_stray = [](const Stray& stray) { return stray.size != 0; };
  const auto looked = std::count_if(turn.begin() + 1, turn.end(), is_node);
  const auto astray = std::count_if(strays.begin() + 1, strays.end(), is_stray);
  turns_.looked(static_cast<std::size_t>(looked), static_cast<std::size_t>(astray));
}

// REQUIRES: the mutex is held, room has been made.
void Writer::bury(NodeId node, const RemovalPlan& plan, HeirChains& chains, Scratch& scratch) {
  CAIRN_ASSERT(commit_.is_held());
  store_.set_deleted(node);
  sweeper_.buried(node);
  if (store_.live() == 0) {
    store_.publish_entry(kNoNode, 0);
    sweeper_.all_buried();
    return;
  }
  unlinker_.unlink(node, plan, chains, scratch.link, scratch.unlink);
  if (store_.view().entry_point == node) unlinker_.replace_entry_point(chains);
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
  Found found;
  found.old = nodes_of(key);
  if (found.old.empty()) return key_not_found(key);
  const UnderWay under_way(*this);
  {
    const Unlocked unlocked(lock);
    const Space& before = under_way.space();
    plan_removals(before, found, scratch);
    found.strays = look_for(under_way.turn(), before, scratch.link.search);
  }
  renew_plans(nodes_of(key), under_way.is_renumbered(), found, scratch);
  if (found.old.empty()) return key_not_found(key);
  scratch.reserve(store_);
  sweeper_.reserve(found.old.size());
  if (auto ok = begin_change(key, found); !ok) return ok.error().with_context("remove");
  if (has_several()) {
    if (auto ok = table_.check_take_out(key); !ok) return ok.error().with_context("remove");
  }

  // From here on nothing fails.
  HeirChains chains(store_);
  {
    const TableMutex::Change change(table_mutex_);
    if (has_several()) {
      (void)table_.take_out(key, std::nullopt);
    } else {
      table_.erase(key, found.old.front());
    }
  }
  for (std::size_t i = 0; i < found.old.size(); ++i) {
    bury(found.old[i], found.removals[i], chains, scratch);
  }
  if (!under_way.is_renumbered()) {
    link_strays(under_way.turn(), found.strays, scratch.link.list);
  }
  sweep(found, chains, scratch);
  return commit();
}

bool Writer::clear_empty() {
  CAIRN_ASSERT(commit_.is_held());
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
