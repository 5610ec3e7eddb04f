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
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <utility>
#include <vector>

#include <cairn/error.h>
#include <cairn/types.h>

#include "engine/base/commit_mutex.h"
#include "engine/base/epochs.h"
#include "engine/base/table_mutex.h"
#include "engine/change/durable.h"
#include "engine/graph/insert.h"
#include "engine/graph/remove.h"
#include "engine/graph/self_search.h"
#include "engine/graph/sweeper.h"
#include "engine/search/search_scratch.h"
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

  Result<void> add(Key key, const void* vector);  // key_exists
  Result<void> upsert(Key key, const void* vector);
  Result<void> remove(Key key);  // key_not_found

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
  void adopt() { sweeper_.adopt(); }

 private:
  struct Scratch {
    LinkScratch link;
    UnlinkScratch unlink;
    SelfSearchTurns::Nodes turn;  // what the change looks for
    std::array<Stray, std::tuple_size_v<SelfSearchTurns::Nodes>> strays;
  };

  // A change that searches without the mutex: the nodes that it meets keep their numbers until it
  // ends. Begins and ends under the mutex.
  class UnderWay {
   public:
    explicit UnderWay(Writer& writer) : writer_(&writer), guard_(writer.epochs_) {
      ++writer.under_way_;
    }
    UnderWay(const UnderWay&) = delete;
    UnderWay& operator=(const UnderWay&) = delete;
    ~UnderWay() { --writer_->under_way_; }

   private:
    Writer* writer_;
    Epochs::Guard guard_;
  };

  Result<void> put(Key key, const void* vector, bool replaces, const char* what);
  // True if it is done, with or without an error; false if nodes were renumbered meanwhile.
  bool try_put(Key key, const void* vector, bool replaces, const char* what, Scratch& scratch,
               Result<Durable::Pending>& result);
  Result<Durable::Pending> try_remove(Key key, Scratch& scratch);
  // Before the first store of a change, and after the last.
  Result<void> begin() { return durable_ != nullptr ? durable_->begin() : Result<void>(); }
  Result<Durable::Pending> commit() {
    return durable_ != nullptr ? durable_->commit() : Result<Durable::Pending>(Durable::Pending());
  }
  Result<NodeStore::Place> place(Key key, const void* vector, std::uint32_t level,
                                 Scratch& scratch);
  Result<void> link(Key key, NodeStore::Place place, std::uint32_t level,
                    std::optional<NodeId> expected, bool replaces, Scratch& scratch);
  void choose(const Space& space, NodeId node, std::uint32_t level, Scratch& scratch);
  void keep_live_choices(Scratch& scratch);
  void find_sources(const Space& space, NodeId node, Scratch& scratch);
  void bury(NodeId node, Scratch& scratch);
  void take_turn(Scratch& scratch);
  static void look_for_turn(const Space& space, Scratch& scratch);
  void lead_to_strays(Scratch& scratch);
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
  IdlePool<Scratch> scratch_;
  OperationCounts counts_;
};

}  // namespace cairn
