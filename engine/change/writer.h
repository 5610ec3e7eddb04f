// SPDX-License-Identifier: Apache-2.0
//
// Changes of a living index: add, upsert, remove. Each searches the graph beside all others, and
// then changes it under the commit mutex, under which everything that can fail (memory) is done
// before the first store.
//
// Thread-safety: any number of threads.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <utility>
#include <vector>

#include <cairn/error.h>
#include <cairn/types.h>

#include "engine/base/assert.h"
#include "engine/base/commit_mutex.h"
#include "engine/base/epochs.h"
#include "engine/base/table_mutex.h"
#include "engine/change/durable.h"
#include "engine/graph/insert.h"
#include "engine/graph/remove.h"
#include "engine/graph/self_search.h"
#include "engine/graph/sweeper.h"
#include "engine/search/search_scratch.h"
#include "engine/search/visited_set.h"
#include "engine/store/key_table.h"
#include "engine/store/level_generator.h"
#include "engine/store/node_store.h"

namespace cairn {

// What has been done since the index was made or opened.
struct OperationCounts {
  std::atomic<std::uint64_t> adds{0};
  std::atomic<std::uint64_t> upserts{0};
  std::atomic<std::uint64_t> removes{0};
};

class Writer {
 public:
  // All outlive it. `commit` guards store and table; the table is read through `table_mutex`.
  // Searches are inside `epochs`.
  Writer(NodeStore& store, KeyTable& table, CommitMutex& commit, TableMutex& table_mutex,
         Epochs& epochs);

  // key_exists, unless a key may have several vectors: then it gets one more.
  Result<void> add(Key key, const void* vector);
  // In the place of all that the key has.
  Result<void> upsert(Key key, const void* vector);
  // With all its vectors. key_not_found
  Result<void> remove(Key key);

  const OperationCounts& counts() const { return counts_; }

  // Makes an index without live nodes one without slots, once all searches that run now have ended.
  // False, with nothing done, if it has live nodes, or if a change of another thread is under way.
  // REQUIRES: `commit` is held.
  bool clear_empty();

  // Gives the store another body, and the table of that body to `use_table`. What older views need
  // is kept until the searches that have them have ended. REQUIRES: `commit` is held, `table_mutex`
  // exclusively. May throw std::bad_alloc, with nothing changed, but not after
  // make_room_to_replace().
  template <class UseTable>
  void replace(NodeStore&& fresh, UseTable&& use_table) {
    CAIRN_ASSERT(commit_.is_held());
    retired_.reserve(retired_.size() + 1);
    auto old = store_.replace(std::move(fresh));
    use_table();
    retired_.push_back({std::move(old), epochs_.now()});
    ++numbering_;
    sweeper_.clear();
    turns_.clear();
  }

  void make_room_to_replace() { retired_.reserve(retired_.size() + 1); }

  // Gives back the memory of replaced bodies that no search needs any more; true if none is left.
  // REQUIRES: `commit` is held.
  bool release_retired();

  // Changes are made durable by `durable` from now on, which outlives the last one.
  void write_through(Durable* durable) { durable_ = durable; }

  // Tombstones of a store that was filled elsewhere. REQUIRES: `commit` is held.
  void adopt() {
    CAIRN_ASSERT(commit_.is_held());
    sweeper_.adopt();
  }

 private:
  // Working memory of a change: nothing stands in it from one step to the next.
  struct Scratch {
    LinkScratch link;
    UnlinkScratch unlink;
    std::vector<std::byte> vector;  // that is put: the caller's may be changed meanwhile

    void reserve(const NodeStore& store) {
      link.reserve(store.parameters(), store.count());
      unlink.reserve(store.parameters(), store.count());
    }
  };
  enum class IfThere { fail, replace, append };
  using Turn = SelfSearchTurns::Nodes;
  using Strays = std::array<Stray, std::tuple_size_v<Turn>>;

  // What a change finds beside all others.
  struct Found {
    Choice choice;                      // of the new node, if there is one
    std::vector<NodeId> old;            // nodes of the key
    std::vector<RemovalPlan> removals;  // of each of them
    Strays strays;                      // of its turn
  };

  // A change that searches without the mutex: the nodes that it meets keep their numbers until it
  // ends, unless the whole store is replaced. Begins and ends under the mutex.
  class UnderWay {
   public:
    explicit UnderWay(Writer& writer)
        : writer_(writer),
          guard_(writer.epochs_),
          numbering_(writer.numbering_),
          space_(writer.space()),
          turn_(writer.take_turn(space_.view())) {
      ++writer.under_way_;
    }
    UnderWay(const UnderWay&) = delete;
    UnderWay& operator=(const UnderWay&) = delete;
    ~UnderWay() { --writer_.under_way_; }

    const Space& space() const { return space_; }  // as it was when the change began
    const Turn& turn() const { return turn_; }
    bool is_renumbered() const { return writer_.numbering_ != numbering_; }

   private:
    Writer& writer_;
    Epochs::Guard guard_;
    std::uint64_t numbering_;
    Space space_;
    Turn turn_;
  };

  // The slot of a new node, which becomes free again unless the node is linked.
  class PendingSlot {
   public:
    PendingSlot(NodeStore& store, const UnderWay& under_way, NodeId node)
        : store_(store), under_way_(under_way), node_(node) {}
    PendingSlot(const PendingSlot&) = delete;
    PendingSlot& operator=(const PendingSlot&) = delete;
    ~PendingSlot() {
      if (!is_linked_ && !under_way_.is_renumbered()) store_.release_pending(node_);
    }
    void linked() { is_linked_ = true; }

   private:
    NodeStore& store_;
    const UnderWay& under_way_;
    NodeId node_;
    bool is_linked_ = false;
  };

  Result<void> put(Key key, const void* vector, IfThere if_there, const char* what);
  // Nothing if nodes were renumbered meanwhile.
  std::optional<Result<Durable::Pending>> try_put(Key key, const void* vector, IfThere if_there,
                                                  const char* what, Scratch& scratch);
  Result<Durable::Pending> try_remove(Key key, Scratch& scratch);
  // Before the first store of a change, and after the last.
  Result<void> begin(std::uint64_t more_lists = 0) {
    return durable_ != nullptr ? durable_->begin(more_lists) : Result<void>();
  }
  Result<Durable::Pending> commit() {
    return durable_ != nullptr ? durable_->commit() : Result<Durable::Pending>(Durable::Pending());
  }
  Result<NodeStore::Place> place(Key key, const void* vector, std::uint32_t level,
                                 QueryBuffer& buffer);
  Result<void> link(Key key, NodeStore::Place place, std::uint32_t level, IfThere if_there,
                    const UnderWay& under_way, Found& found, Scratch& scratch);
  bool has_several() const { return store_.parameters().several_per_key; }
  std::vector<NodeId> nodes_of(Key key) const;
  void plan_removals(const Space& before, Found& found, Scratch& scratch) const;
  void renew_plans(std::vector<NodeId> old, bool are_renumbered, Found& found, Scratch& scratch);
  std::uint64_t more_lists(const Found& found) const;
  Result<void> begin_change(Key key, const Found& found);
  static std::size_t steps_for(const Found& found);
  void sweep(const Found& found, HeirChains& chains, Scratch& scratch);
  void exchange_keys(Key key, NodeId node, const std::vector<NodeId>& old);
  Choice choose(const Space& space, NodeId node, std::uint32_t level, LinkScratch& scratch) const;
  Choice choose_live(NodeId node, std::uint32_t level, LinkScratch& scratch) const;
  void bury(NodeId node, const RemovalPlan& plan, HeirChains& chains, Scratch& scratch);
  Turn take_turn(const GraphView& graph);
  static Strays look_for(const Turn& turn, const Space& space, SearchScratch& scratch);
  void link_strays(const Turn& turn, const Strays& strays, std::vector<NodeId>& list);
  void reclaim();
  Space space() const { return Space(store_.parameters(), store_.view()); }

  NodeStore& store_;
  KeyTable& table_;
  CommitMutex& commit_;
  TableMutex& table_mutex_;
  Epochs& epochs_;
  Durable* durable_ = nullptr;
  LevelGenerator levels_;
  Linker linker_;
  Unlinker unlinker_;
  Sweeper sweeper_;
  SelfSearchTurns turns_;
  std::size_t under_way_ = 0;    // changes that have begun and not ended
  std::uint64_t numbering_ = 0;  // changes when nodes get other numbers
  struct Retired {
    std::unique_ptr<NodeStore::Body> body;
    std::uint64_t epoch;
  };
  std::vector<Retired> retired_;
  mutable VisitedSet met_;  // working memory of nodes_of() and more_lists(), under the mutex
  IdlePool<Scratch> scratch_;
  OperationCounts counts_;
};

}  // namespace cairn
