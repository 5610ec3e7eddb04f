// SPDX-License-Identifier: Apache-2.0
//
// Changes of a living index: add, upsert, remove. Each searches the graph beside all others, and
// then changes it under the commit mutex, under which everything that can fail (memory) is done
// before the first store.
//
// Thread-safety: any number of threads.
#pragma once

#include <atomic>
#include <cstdint>
#include <mutex>
#include <optional>
#include <shared_mutex>

#include <cairn/error.h>
#include <cairn/types.h>

#include "engine/epochs.h"
#include "engine/insert.h"
#include "engine/key_table.h"
#include "engine/level_generator.h"
#include "engine/node_store.h"
#include "engine/remove.h"
#include "engine/search_scratch.h"
#include "engine/sweeper.h"

namespace cairn {

// What has been done since the index was made or opened.
struct OperationCounts {
  std::atomic<std::uint64_t> adds{0};
  std::atomic<std::uint64_t> upserts{0};
  std::atomic<std::uint64_t> removes{0};
};

class Writer {
 public:
  // All outlive it. `commit` guards store and table; readers of the table hold `table_mutex`
  // shared. Searches are inside `epochs`.
  Writer(NodeStore& store, KeyTable& table, std::mutex& commit, std::shared_mutex& table_mutex,
         Epochs& epochs);

  Result<void> add(Key key, const float* vector);  // key_exists
  Result<void> upsert(Key key, const float* vector);
  Result<void> remove(Key key);  // key_not_found

  const OperationCounts& counts() const { return counts_; }

  // Makes an index without live nodes one without slots, once all searches that run now have ended.
  // False, with nothing done, if it has live nodes, or if a change of another thread is under way.
  // REQUIRES: `commit` is held.
  bool clear_empty();

  // Tombstones of a store that was filled elsewhere. REQUIRES: `commit` is held.
  void adopt() { sweeper_.adopt(); }

 private:
  struct Scratch {
    LinkScratch link;
    UnlinkScratch unlink;
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

  Result<void> put(Key key, const float* vector, bool replaces, const char* what);
  Result<NodeStore::Place> place(Key key, const float* vector, std::uint32_t level);
  Result<void> link(Key key, NodeStore::Place place, std::uint32_t level,
                    std::optional<NodeId> expected, bool replaces, Scratch& scratch);
  void choose(NodeId node, std::uint32_t level, Scratch& scratch);
  void keep_live_choices(Scratch& scratch);
  void find_sources(NodeId node, Scratch& scratch);
  void bury(NodeId node, Scratch& scratch);
  Space space() const { return Space(store_.parameters(), store_.view()); }

  NodeStore& store_;
  KeyTable& table_;
  std::mutex& commit_;
  std::shared_mutex& table_mutex_;
  Epochs& epochs_;
  LevelGenerator levels_;
  Linker linker_;
  Unlinker unlinker_;
  Sweeper sweeper_;
  std::size_t under_way_ = 0;  // changes that have begun and not ended
  IdlePool<Scratch> scratch_;
  OperationCounts counts_;
};

}  // namespace cairn
