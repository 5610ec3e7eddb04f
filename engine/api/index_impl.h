// SPDX-License-Identifier: Apache-2.0
//
// What an Index consists of: a state that is the same wherever it lives, and its home. Private to
// engine/api/.
#pragma once

#include <cairn/index.h>

#include <array>
#include <atomic>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "engine/api/arguments.h"
#include "engine/api/filter_parts.h"
#include "engine/api/home.h"
#include "engine/api/index_parts.h"
#include "engine/base/commit_mutex.h"
#include "engine/base/epochs.h"
#include "engine/base/latency.h"
#include "engine/base/striped_counter.h"
#include "engine/base/table_mutex.h"
#include "engine/change/writer.h"
#include "engine/search/search.h"
#include "engine/search/widening_walk.h"
#include "engine/store/key_table.h"
#include "engine/store/node_store.h"
#include "engine/store/page_use.h"
#include "format/container/container.h"
#include "format/io/fault_guard.h"
#include "format/io/fork_watch.h"

namespace cairn {

// What searches and changes work on. Homes exchange the store's memory and the table.
struct IndexState {
  explicit IndexState(NodeStore nodes);
  IndexState(const IndexState&) = delete;
  IndexState& operator=(const IndexState&) = delete;
  ~IndexState() { anchor->index.store(nullptr); }

  // The table over these sections, and the writer that changes it. The home owns the sections.
  void use_table(format::Region* hash, format::Region* overflow,
                 std::optional<std::uint64_t> hash_seed);
  // Another table takes the place of this one. Its counters fit: they are those that it had.
  void renew_table(format::Region* hash, format::Region* overflow, const KeyHash& key_hash,
                   const format::Counters& counters);
  // Waits for the searches that may still use what was replaced.
  void await_retired();
  // With the ef that is advised where none is asked for. It is no wish for fewer than k.
  SearchParams with_ef(const SearchParams& asked) const {
    SearchParams wanted = asked;
    if (asked.ef != 0) return wanted;
    constexpr std::size_t kUsual = SearchParams{}.ef;
    const std::size_t advised = advised_ef.load(std::memory_order_relaxed);
    wanted.ef = advised != 0 ? std::max(advised, std::min(asked.k, kUsual)) : kUsual;
    return wanted;
  }
  // What the index holds, as a file. REQUIRES: `commit_mutex` is held.
  Result<void> save(const std::filesystem::path& to, const SaveOptions& options,
                    std::uint64_t applied_up_to);

  // Runs `body`, which reads what the view shows; false if a page of that could not be read, which
  // only a guarded index lives to tell. REQUIRES: as format::survives_faults().
  template <class Body>
  bool survives(const GraphView& view, Body&& body) const {
    if (!guards_reads) {
      body();
      return true;
    }
    const format::Region* block = view.watch != nullptr ? &view.watch->block() : nullptr;
    const std::array<format::AddressRange, 5> ranges = {{
        {view.hot, view.count * view.hot_stride},
        {view.exact, view.count * view.exact_stride},
        {view.keys, view.count * sizeof(Key)},
        {view.upper, view.upper_count * view.upper_stride},
        {block != nullptr ? block->data() : nullptr, block != nullptr ? block->size() : 0},
    }};
    return format::survives_faults(ranges, body);
  }
  Error unreadable() const {
    return Error(ErrorCode::io_error, path.string() + ": a page of the mapped file cannot be read");
  }

  // What look(slots) finds in the key table, whose nodes are less than `slots`; a default one while
  // there are no nodes; none if a page cannot be read, as in survives(). Inside an epoch, so that
  // the nodes that the table names keep their keys meanwhile. The table is another thread's alone
  // while build() fills it, and until then no node is published. `view`: one in which what was
  // found is right. `use` begins with it.
  template <class Look>
  auto look_up(GraphView* view, Look&& look, PageUse* use = nullptr) const {
    using Answer = decltype(look(std::uint32_t{0}));
    return table_mutex.read([&] {
      std::optional<Answer> found(std::in_place);
      const std::uint32_t count = store.count();
      if (count == 0) return found;
      const GraphView now = store.view();
      if (view != nullptr) *view = now;
      if (use != nullptr) use->begin(now);
      if (!guards_reads) {
        *found = look(count);
        return found;
      }
      const std::array<format::AddressRange, 3> ranges = {{
          {now.keys, count * sizeof(Key)},
          {hash_region->data(), hash_region->size()},
          {overflow_region->data(), overflow_region->size()},
      }};
      if (!format::survives_faults(ranges, [&] { *found = look(count); })) found.reset();
      return found;
    });
  }
  // Node `i` of a key. `use`: is told of all that is read. io_error: as in survives().
  Result<std::optional<NodeId>> find(Key key, std::size_t i, GraphView* view, PageUse* use) const {
    const auto look = [&](std::uint32_t count) {
      tell_used(key, count, use);
      if (i == 0) return table->find(key, count);
      std::optional<NodeId> found;
      std::size_t at = 0;
      table->for_each_of(key, count, [&](NodeId node) {
        if (at++ == i) found = node;
        return !found;
      });
      return found;
    };
    const auto found = look_up(view, look, use);
    if (!found) return unreadable();
    return *found;
  }
  Result<std::optional<NodeId>> find(Key key, GraphView* view = nullptr,
                                     PageUse* use = nullptr) const {
    return find(key, 0, view, use);
  }
  // What looking up a key reads.
  void tell_used(Key key, std::uint32_t count, PageUse* use) const {
    if (use == nullptr || !use->checks()) return;
    table->for_each_used(key, count,
                         [&](format::SectionId section, std::uint64_t offset, std::uint64_t bytes) {
                           use->use(section, offset, bytes);
                         });
  }
  // All nodes of a key that may have several, in order, into `out`; as find().
  Result<void> find_all(Key key, std::vector<NodeId>& out, GraphView* view, PageUse* use) const;
  // The same, as a list of its own.
  Result<std::vector<NodeId>> all_nodes_of(Key key, GraphView* view = nullptr,
                                           PageUse* use = nullptr) const;
  // Some of the keys from a place on (KeyTable::place_of), and where they end; as find(). REQUIRES:
  // `out` has room.
  Result<KeyTable::Listed> list_keys(std::uint64_t from, std::span<Key> out, GraphView* view,
                                     PageUse* use) const;
  std::size_t key_count() const {
    return table_mutex.read([&] { return store.count() == 0 ? 0 : table->key_count(); });
  }
  std::size_t size() const {
    return table_mutex.read([&] { return store.count() == 0 ? 0 : table->size(); });
  }
  // For searches, which hold an epoch for as long as they use it.
  Space space() const { return Space(store.parameters(), store.view()); }
  // The same, and `use` is told of what it meets, if that is to be checked.
  Space space(PageUse& use) const {
    Space space(store.parameters(), store.view());
    use.begin(space.view());
    if (use.checks()) space.tell(&use);
    return space;
  }
  // For its numbers alone: what it shows may be replaced and given back at any time.
  GraphView view() const {
    const Epochs::Guard guard(epochs);
    return store.view();
  }

  Error not_empty() const {
    return Error(ErrorCode::not_empty,
                 "build: the index holds " + std::to_string(store.live()) + " vectors");
  }
  // For calls that change nothing, without a system call: `unsupported`, as check_process().
  Result<void> check_mapped(const char* what) const {
    return is_cut_off ? cut_off(what) : Result<void>();
  }
  Error cut_off(const char* what) const;
  // Locks as new as in a process that has just begun.
  void renew_locks() noexcept;

  // What filters know of it.
  const std::shared_ptr<IndexAnchor> anchor = std::make_shared<IndexAnchor>();

  const IndexParams params;
  std::filesystem::path path;  // of the file, if there is one
  format::Region* hash_region = nullptr;
  format::Region* overflow_region = nullptr;

  NodeStore store;  // changed under `commit_mutex`
  // Read through `table_mutex` as soon as there are nodes; changed under `commit_mutex`.
  std::optional<KeyTable> table;
  bool guards_reads = false;  // OpenOptions::guard
  std::uint64_t open_ns = 0;
  std::atomic<std::uint32_t> advised_ef{0};  // 0: none; changed under `commit_mutex`
  IdlePool<WideningScratch> scratch;
  IdlePool<GroupScratch> group_scratch;  // of batches that are scanned

  // Lock order: those of the home, then commit_mutex, then table_mutex. A file is exchanged under
  // the last two.
  CommitMutex commit_mutex;
  mutable TableMutex table_mutex;
  mutable Epochs epochs;  // of searches and look-ups
  StripedCounter searches;
  LatencyRecorder latency;
  std::atomic<std::uint64_t> compactions{0};
  std::atomic<bool> is_cut_off{false};  // after a fork, from a file that the parent writes to
  std::optional<Writer> writer;
};

// `pages` pages, by check_pages, and then the graph.
using PageProgress = std::function<void(std::uint64_t)>;
using CheckPages = std::function<Result<format::Container::PageReport>(const PageProgress&)>;
Result<VerifyReport> verify_parts(const NodeStore& store, const KeyTable& table,
                                  std::uint64_t pages, const BuildOptions& options,
                                  const CheckPages& check_pages);

struct Index::Impl : IndexState {
  using IndexState::IndexState;
  class Searcher;
  class Batch;
  class DocumentSearch;

  static Result<std::unique_ptr<Impl>> create(
      const IndexParams& params, const CreateOptions& options,
      const NodeStore::Reserve& reserve = format::Region::reserve_growing);
  static Result<std::unique_ptr<Impl>> create_file(const std::filesystem::path& path,
                                                   const IndexParams& params,
                                                   const CreateOptions& options,
                                                   const format::WriteOptions& sizes);
  static Result<std::unique_ptr<Impl>> open_to_read(const std::filesystem::path& path,
                                                    const OpenOptions& options);
  static Result<std::unique_ptr<Impl>> open_to_write(const std::filesystem::path& path,
                                                     const OpenOptions& options,
                                                     const format::WriteOptions& sizes);

  // Calls look(), which returns the view that it has read; again, on the file's newest state, if a
  // writer has changed pages meanwhile. busy: that happens again and again.
  template <class Look>
  Result<void> look_at_one_moment(Look&& look) {
    for (int attempt = 0; attempt < kLooks; ++attempt) {
      {
        const Epochs::Guard guard(epochs);
        const GraphView view = look();
        bool is_whole = false;
        const bool readable =
            view.watch == nullptr || survives(view, [&] { is_whole = view.is_whole(); });
        if (!readable) return unreadable();
        if (view.watch == nullptr || is_whole) return {};
      }
      if (auto ok = home->leave_changed_pages(); !ok) return ok;
    }
    return Error(ErrorCode::busy, path.string() + " is changed again and again while it is read");
  }
  static constexpr int kLooks = 100;

  // What search_range() finds: it stands in `work`, with reported distances; returns how many.
  Result<std::size_t> find_range(VectorView query, float radius, const RangeParams& asked,
                                 WideningScratch& work);
  // Checks what measure_recall() and ef_for() have in common.
  Result<void> check_measured(const char* what, const MatrixView& queries,
                              const SearchParams& asked) const;
  // Checks what search_batch() is given beside SearchParams.
  Result<void> check_batch(const MatrixView& queries, std::size_t k, std::size_t room,
                           std::size_t counts) const;
  // Checks what add() and upsert() have in common.
  Result<void> check_put(const char* what, VectorView vector) const {
    if (auto ok = home->check_change(what); !ok) return ok;
    return check_vector(what, vector, params, Purpose::store);
  }
  void after_fork() noexcept {
    if (home) home->after_fork();
  }

  // Ends before the rest: closing a file stores to the sections.
  std::unique_ptr<IndexHome> home;
  const format::ForkWatch fork_watch{
      [](void* impl) noexcept { static_cast<Impl*>(impl)->after_fork(); }, this};
};

inline Index::Impl& IndexParts::of(IndexState& state) { return static_cast<Index::Impl&>(state); }

}  // namespace cairn
