// SPDX-License-Identifier: Apache-2.0
//
// What an Index consists of. Private to index.cc, which searches and changes, index_file.cc, for
// what an index has of a file, and index_reader.cc, where others may write that.
#pragma once

#include <cairn/index.h>

#include <array>
#include <atomic>
#include <filesystem>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <shared_mutex>
#include <string>
#include <utility>

#include "engine/api/arguments.h"
#include "engine/api/persist.h"
#include "engine/base/commit_mutex.h"
#include "engine/base/epochs.h"
#include "engine/base/striped_counter.h"
#include "engine/base/table_mutex.h"
#include "engine/change/durable.h"
#include "engine/change/writer.h"
#include "engine/graph/compact.h"
#include "engine/search/search.h"
#include "engine/store/key_table.h"
#include "engine/store/node_store.h"
#include "format/container/container.h"
#include "format/container/writable_container.h"
#include "format/io/fault_guard.h"
#include "format/io/fork_watch.h"

namespace cairn {

struct Index::Impl {
  explicit Impl(NodeStore nodes, bool is_read_only)
      : params(params_of(nodes.parameters())), store(std::move(nodes)), read_only(is_read_only) {}

  void use_table(format::Region* hash, format::Region* overflow,
                 std::optional<std::uint64_t> hash_seed) {
    hash_region = hash;
    overflow_region = overflow;
    table.emplace(hash, overflow, store.key_region(), KeyHash(params.seed, hash_seed));
    changes.emplace(store, *table, writer, table_mutex, epochs);
  }

  // Another table takes the place of this one. Its counters fit: they are those that it had.
  void renew_table(format::Region* hash, format::Region* overflow, const KeyHash& key_hash,
                   const format::Counters& counters) {
    hash_region = hash;
    overflow_region = overflow;
    *table = KeyTable(hash_region, overflow_region, store.key_region(), key_hash);
    (void)table->attach(counters);
  }
  void renew_table(CompactCopy& copy) {
    owned_hash = std::move(copy.hash);
    owned_overflow = std::move(copy.overflow);
    renew_table(&owned_hash, &owned_overflow, table->key_hash(), copy.table);
  }

  static Result<std::unique_ptr<Impl>> open_to_read(const std::filesystem::path& path,
                                                    const OpenOptions& options);
  static Result<std::unique_ptr<Impl>> open_to_write(const std::filesystem::path& path,
                                                     const OpenOptions& options);
  // Begins to write to a file that has just been created or opened.
  Result<void> write_to(Durable::File file, const std::filesystem::path& path);
  // The file, and what is searched, become `fresh`: written beside the file, synced, renamed over
  // it. On an error nothing has changed. REQUIRES: `writer` is held.
  Result<void> renew_file(NodeStore& fresh, KeyTable& fresh_table, const format::Region& hash,
                          const format::Region& overflow, const format::SaveOptions& options,
                          Durable::File& old);
  struct ReplacedFile;
  Result<void> build_file(std::span<const Key> keys, const MatrixView& rows,
                          const BuildOptions& options);
  Result<void> compact_file(const BuildOptions& options);
  // What stats() tells of the file.
  void file_stats(Stats& stats) const;
  // Waits for the searches that may still use what was replaced.
  void await_retired();

  // Of a file that is only read. What is searched becomes what the file holds now, if that is not
  // so. REQUIRES: `refreshing` is held.
  Result<void> catch_up();
  // A container that is up to date: the idle one, or a new one.
  Result<std::shared_ptr<format::Container>> newest_container();
  void show(std::shared_ptr<format::Container> fresh);
  // What is searched now, for calls that take long: it stays what it is while another takes its
  // place, and no lock is held meanwhile.
  struct Held {
    std::shared_ptr<format::Container> container;
    NodeStore store;
    KeyTable table;
    format::Counters counters;
  };
  Result<Held> hold() const;
  std::shared_ptr<format::Container> current_container() const {
    const std::lock_guard lock(writer);
    return container;
  }
  // Calls look(), which returns the view that it has read; again, on the file's newest state, if a
  // writer has changed pages meanwhile. busy: that happens again and again.
  template <class Look>
  Result<void> look_at_one_moment(Look&& look) const {
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
      const std::lock_guard lock(refreshing);
      if (store.view().is_whole()) continue;  // another thread has seen to it
      if (auto ok = const_cast<Impl*>(this)->catch_up(); !ok) return ok;
    }
    return Error(ErrorCode::busy, path.string() + " is changed again and again while it is read");
  }
  static constexpr int kLooks = 100;

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

  // Calls what looks at all of a file, again on its newest state as long as that is busy.
  template <class Call>
  auto again_if_busy(const std::string& what, Call&& call) const {
    for (int attempt = 1;; ++attempt) {
      auto result = call();
      if (result || result.error().code() != ErrorCode::busy || !read_only ||
          attempt == kLongLooks) {
        return result;
      }
      const std::lock_guard lock(refreshing);
      if (auto ok = const_cast<Impl*>(this)->catch_up(); !ok) {
        return decltype(result)(ok.error().with_context(what));
      }
    }
  }
  static constexpr int kLongLooks = 5;

  // Before what is mapped is written anew: a damaged page must not get a new checksum. Pages that
  // change meanwhile come from memory. REQUIRES: `writer` is not held.
  Result<void> check_pages_of_writer(format::StopFlag stop) const;
  // busy: a writer has changed pages of a file that is only read meanwhile.
  Result<void> save(const std::filesystem::path& to, const SaveOptions& options) const;
  Result<void> save_held(const std::filesystem::path& to, const SaveOptions& options) const;
  Result<VerifyReport> verify(const BuildOptions& options) const;
  Result<VerifyReport> verify_held(const BuildOptions& options) const;
  // `pages` pages, by check_pages, and then the graph.
  using PageProgress = std::function<void(std::uint64_t)>;
  using CheckPages = std::function<Result<format::Container::PageReport>(const PageProgress&)>;
  static Result<VerifyReport> verify_parts(const NodeStore& store, const KeyTable& table,
                                           std::uint64_t pages, const BuildOptions& options,
                                           const CheckPages& check_pages);
  // The pages against their checksums, those of now if a writer has made a checkpoint since the
  // container was opened.
  Result<format::Container::PageReport> verify_pages_of(const format::Container& held,
                                                        const BuildOptions& options,
                                                        const PageProgress& progress) const;
  std::uint64_t applied() const { return durable ? durable->applied_up_to() : applied_up_to; }

  // Inside an epoch, so that the nodes that the table names keep their keys meanwhile. The table is
  // another thread's alone while build() fills it, and until then no node is
  // published. `view`: one in which the number is right.
  // io_error: as in survives().
  Result<std::optional<NodeId>> find(Key key, GraphView* view = nullptr) const {
    struct Seen {
      std::optional<NodeId> node;
      bool is_readable = true;
    };
    const Seen seen = table_mutex.read([&] {
      Seen found;
      const std::uint32_t count = store.count();
      if (count == 0) return found;
      const GraphView now = store.view();
      if (view != nullptr) *view = now;
      const auto look = [&] { found.node = table->find(key, count); };
      if (!guards_reads) {
        look();
        return found;
      }
      const std::array<format::AddressRange, 3> ranges = {{
          {now.keys, count * sizeof(Key)},
          {hash_region->data(), hash_region->size()},
          {overflow_region->data(), overflow_region->size()},
      }};
      found.is_readable = format::survives_faults(ranges, look);
      return found;
    });
    if (!seen.is_readable) return unreadable();
    return seen.node;
  }
  std::size_t size() const {
    return table_mutex.read([&] { return store.count() == 0 ? 0 : table->size(); });
  }
  // For searches, which hold an epoch for as long as they use it.
  Space space() const { return Space(store.parameters(), store.view()); }
  // For its numbers alone: what it shows may be replaced and given back at any time.
  GraphView view() const {
    const Epochs::Guard guard(epochs);
    return store.view();
  }

  Error changed_meanwhile(const char* what) const;
  Error not_empty() const {
    return Error(ErrorCode::not_empty,
                 "build: the index holds " + std::to_string(store.live()) + " vectors");
  }
  // unsupported: this is a child of the process that opened the file for writing, or that had a
  // thread changing the index in memory when it was forked.
  Result<void> check_process(const char* what) const {
    const bool is_elsewhere = durable && (is_cut_off || !home.is_here());
    return is_elsewhere || is_torn ? cut_off(what) : Result<void>();
  }
  // The same for calls that change nothing, without a system call.
  Result<void> check_mapped(const char* what) const {
    return is_cut_off ? cut_off(what) : Result<void>();
  }
  Error cut_off(const char* what) const;
  // In the child, right after a fork.
  void after_fork() noexcept;

  // Checks what add() and upsert() have in common.
  Result<void> check_change(const char* what, VectorView vector) const {
    if (auto ok = check_process(what); !ok) return ok;
    if (read_only) {
      return Error(ErrorCode::read_only, std::string(what) + ": the index is open for reading");
    }
    return check_vector(what, vector, params, Purpose::store);
  }

  const IndexParams params;
  // Of a file that is only read; see catch_up(). Exchanged under `writer`.
  std::shared_ptr<format::Container> container;
  std::shared_ptr<format::Container> idle;  // the one before, to be brought up to date next
  std::filesystem::path path;               // of the file, if there is one
  OpenOptions open_options;                 // of a file that is only read
  format::WriteOptions file_options;        // of one that is written
  format::SectionAddresses addresses{};     // reserved in advance; of an index in memory
  format::Region owned_hash;
  format::Region owned_overflow;
  format::Region* hash_region = nullptr;
  format::Region* overflow_region = nullptr;

  NodeStore store;  // changed under `writer`
  // Read through `table_mutex` as soon as there are nodes; changed under `writer`.
  std::optional<KeyTable> table;
  const bool read_only;
  bool guards_reads = false;  // OpenOptions::guard
  std::uint64_t open_ns = 0;
  mutable ScratchPool scratch;

  // Lock order: refreshing, then writer, then table_mutex. The file is exchanged under the last
  // two.
  mutable std::mutex refreshing;  // guards `idle`
  mutable CommitMutex writer;
  mutable TableMutex table_mutex;
  mutable Epochs epochs;  // of searches and look-ups
  mutable StripedCounter searches;
  std::atomic<std::uint64_t> compactions{0};
  std::optional<Writer> changes;
  std::uint64_t applied_up_to = 0;   // guarded by `writer`; of an index without a file of its own
  std::unique_ptr<Durable> durable;  // ends first: closing the file stores to the sections

  const format::HomeProcess home;
  std::atomic<bool> is_cut_off{false};  // from a file, which the parent writes to
  std::atomic<bool> is_torn{false};
  const format::ForkWatch fork_watch{
      [](void* impl) noexcept { static_cast<Impl*>(impl)->after_fork(); }, this};
};

// For what fills an index, or reads it, beside the class.
struct IndexParts {
  static Index::Impl& of(Index& index) { return *index.impl_; }
  static const Index::Impl& of(const Index& index) { return *index.impl_; }
};

}  // namespace cairn
