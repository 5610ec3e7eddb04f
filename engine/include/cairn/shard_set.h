// SPDX-License-Identifier: Apache-2.0
//
// Many index files that are searched as one: docs/shards.md.
//
//   auto set = cairn::ShardSet::open("words");           // a folder with a manifest
//   auto matches = set->search(query, {.k = 10});
//
// Answers are ordered by (distance, key), and name a key once, with its nearest vector, however
// many shards have it. With Plan::exact they are those of one index with all the vectors, bit for
// bit.
//
// Thread-safety: every method of one ShardSet may be called from any number of threads at once.
// Moving one, or destroying it, while a call runs on it is an error. Processes: as Index; in a
// child, calls do without the set's threads.
//
// Threads: a set has a few of its own, which are started with the first search that needs them. One
// search or batch at a time is spread over them; others that come meanwhile run on the threads of
// their callers.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include <cairn/error.h>
#include <cairn/export.h>
#include <cairn/index.h>
#include <cairn/params.h>
#include <cairn/shard_manifest.h>
#include <cairn/types.h>

namespace cairn {

class ShardFilter;
class ShardCursor;

// Runs the parts of a search, for hosts that have threads of their own. It must outlive the set.
class CAIRN_EXPORT ShardExecutor {
 public:
  ShardExecutor() = default;
  ShardExecutor(const ShardExecutor&) = delete;
  ShardExecutor& operator=(const ShardExecutor&) = delete;
  virtual ~ShardExecutor();

  // Calls body(i) once for each i below n, perhaps several at once, in any order and on any
  // threads, and returns when all have returned. Several threads may call run() at once. `body`
  // throws nothing.
  virtual void run(std::size_t n, const std::function<void(std::size_t)>& body) = 0;
  // How many run at once, at most.
  virtual unsigned width() const = 0;
};

// How a set is opened.
struct ShardOptions {
  // What happens when a shard is missing or damaged. false: the call fails, and names it. true: the
  // others answer, and reports tell.
  bool allow_partial = false;
  unsigned threads = 0;               // of the set, the caller's own among them; 0: one a core
  ShardExecutor* executor = nullptr;  // instead of threads of its own
  OpenOptions open = {};              // of each shard; Mode::read_write: of a folder alone
  // Of a folder: numbers of the shards that are opened and searched; empty: all. The others are not
  // missing: nothing is asked of them. The fresh one is always wanted.
  std::vector<std::uint32_t> only = {};
};

// A shard that does not answer.
struct ShardProblem {
  std::size_t shard;  // its number; the fresh one has the number behind the last
  std::string file;   // its name
  Error error;        // why
};

// What a search has asked of a set.
struct ShardReport {
  std::size_t shards_asked = 0;           // of a batch: how many for all rows together
  std::size_t shards_answered = 0;        // the same
  std::vector<std::string> missing = {};  // names of those that did not answer, each once
};

// What of a set a search is about, beyond the parameters that one index has.
struct ShardScope {
  const ShardFilter* filter = nullptr;  // of this set: which keys may be among the results
  // Of clusters: how many of the shards nearest to the query are searched, at most; 0: all, and
  // `coverage` does not count.
  std::size_t probe = 0;
  // Of clusters: the search ends with the shards that have this part of the router's votes; 1: with
  // `probe` shards in any case.
  float coverage = 1;
  ShardReport* report = nullptr;  // filled in if the search succeeds
};

// Index files opened as one.
class CAIRN_EXPORT ShardSet {
 public:
  // Files of the same metric, scalar kind and dimensions, in this order, at least one. A key may be
  // in several. invalid_argument (none; they do not fit together, by name); else errors as
  // Index::open(), with the file. Mode::read_write is unsupported.
  static Result<ShardSet> open(std::span<const std::filesystem::path> files,
                               const ShardOptions& options = {});
  // A set on disk: errors as read_shard_manifest() and Index::open(); corrupt: a file that is not
  // what the manifest says.
  //
  // Mode::read_write: to change it, too. path_in_use: somebody else does. The first such open of a
  // set copies its shards: docs/shards.md, "Changes".
  static Result<ShardSet> open(const std::filesystem::path& folder,
                               const ShardOptions& options = {});

  // What is moved from may only be destroyed or assigned to.
  ShardSet(ShardSet&&) noexcept;
  // The same.
  ShardSet& operator=(ShardSet&&) noexcept;
  ShardSet(const ShardSet&) = delete;
  ShardSet& operator=(const ShardSet&) = delete;
  ~ShardSet();

  // As Index::search(): the k nearest of all shards, each of which is searched with the same ef.
  // params.filter is nullptr (scope.filter takes its place), else invalid_argument. A limit
  // max_distances is divided evenly among the shards that are asked; the other limits hold for
  // each. params.rerank is asked by each shard. Errors as Index::search(), with the shard's name.
  Result<std::vector<Match>> search(VectorView query, const SearchParams& params = {},
                                    const ShardScope& scope = {}) const;
  // The same into `out`. Allocates nothing once warm.
  Result<std::size_t> search(VectorView query, const SearchParams& params, std::span<Match> out,
                             const ShardScope& scope = {}) const;
  // As Index::search_batch(), on the set's threads. What it answers does not depend on their
  // number.
  Result<void> search_batch(MatrixView queries, const SearchParams& params, std::span<Match> out,
                            std::span<std::size_t> counts, const ShardScope& scope = {}) const;
  // The same with a filter for each row, nullptr where there is none; scope.filter is nullptr.
  Result<void> search_batch(MatrixView queries, const SearchParams& params,
                            std::span<const ShardFilter* const> one_a_row, std::span<Match> out,
                            std::span<std::size_t> counts, const ShardScope& scope = {}) const;
  // As Index::search_range(). params.filter is nullptr.
  Result<std::vector<Match>> search_range(VectorView query, float radius,
                                          const RangeParams& params = {},
                                          const ShardScope& scope = {}) const;
  // The same, each handed to take(match), nearest first.
  Result<bool> search_range(VectorView query, float radius, const RangeParams& params,
                            const std::function<bool(Match)>& take,
                            const ShardScope& scope = {}) const;
  // As Index::open_cursor(): pages of all shards, or of the scope's. The filter must outlive it.
  Result<ShardCursor> open_cursor(VectorView query, const SearchParams& params = {},
                                  Order order = Order::relaxed, const ShardScope& scope = {}) const;

  // As Index. Of a key that several shards have, the fresh one's vector, or else the first one's.
  bool contains(Key key) const;
  // As Index::get().
  Result<std::size_t> get(Key key, std::span<float> out) const;
  // As Index::keys(): every key once, also if several shards have it.
  struct KeyScan {
    std::size_t shard = 0;         // that is listed
    cairn::KeyScan position = {};  // in it
    bool done = false;             // there are no more
  };
  // The next keys.
  Result<std::size_t> keys(KeyScan& scan, std::span<Key> out) const;
  // How many vectors the shards hold; each copy counts.
  std::size_t size() const;

  // Of a set that is open for writing, else read_only: as Index. A key has one vector afterwards.
  Result<void> upsert(Key key, VectorView vector);
  // key_not_found, as Index.
  Result<void> remove(Key key);
  // As Index, of all shards.
  Result<void> sync();
  // The same.
  Result<void> checkpoint(const std::atomic<bool>* stop = nullptr);
  // As publish_shards(), by who has the set open for writing, so that no change is lost that others
  // make meanwhile. What this set holds is then the generation before: close it. read_only
  Result<void> publish(ShardManifest& manifest);
  // As Index::refresh(), of all shards. A new generation is seen by opening the set anew.
  Result<void> refresh();

  // Whether all shards are what the manifest says, and each is whole: findings begin with the name
  // of the file. Shards that are missing are findings.
  Result<VerifyReport> verify(const BuildOptions& options = {}) const;
  // As Index, of all shards.
  Result<void> warm() const;
  // The same.
  Result<void> release() const;

  // Metric, kind and dimensions of all shards; the rest is the manifest's, or the first file's.
  const IndexParams& params() const;
  // Sums over the shards; the highest level; the generation of the set; no times.
  Stats stats() const;
  // The shards, the fresh one among them, and those that were left out.
  std::size_t shards() const;
  // One of them: nullptr if it is missing or was left out. REQUIRES: i < shards()
  const Index* shard(std::size_t i) const;
  // Those that are missing, with allow_partial.
  const std::vector<ShardProblem>& problems() const;
  // Of a folder; of files that were given, one of rows with generation 0.
  const ShardManifest& manifest() const;

 private:
  friend struct ShardFilterParts;
  struct Impl;
  explicit ShardSet(std::unique_ptr<Impl> impl);

  std::unique_ptr<Impl> impl_;
};

// Which keys a search of a set may return, as cairn::Filter: prepared once for all shards, used by
// any number of searches and threads. It belongs to the set that it was made for, also after that
// was moved; what is asked of another set with it is invalid_argument. It must not be used once the
// set is gone.
class CAIRN_EXPORT ShardFilter {
 public:
  // As Filter.
  static Result<ShardFilter> only(const ShardSet& set, std::span<const Key> keys);
  // As Filter.
  static Result<ShardFilter> except(const ShardSet& set, std::span<const Key> keys);
  // As Filter.
  static Result<ShardFilter> bits(const ShardSet& set, std::span<const std::uint64_t> words,
                                  Key first = 0);
  // As Filter; it is asked once a key and shard that has it.
  static Result<ShardFilter> where(const ShardSet& set, std::function<bool(Key)> passes);

  // What is moved from may only be destroyed or assigned to.
  ShardFilter(ShardFilter&&) noexcept;
  // The same.
  ShardFilter& operator=(ShardFilter&&) noexcept;
  ShardFilter(const ShardFilter&) = delete;
  ShardFilter& operator=(const ShardFilter&) = delete;
  ~ShardFilter();

  // How many vectors of the set pass now; each copy counts.
  std::size_t count() const;

  struct Impl;

 private:
  friend struct ShardFilterParts;
  explicit ShardFilter(std::unique_ptr<Impl> impl);

  std::unique_ptr<Impl> impl_;
};

// The results of one query page by page, as cairn::Cursor, over all shards. It must not be used
// once the set is gone. For one thread at a time. Memory: that of a cursor for each shard.
class CAIRN_EXPORT ShardCursor {
 public:
  // As Cursor::next().
  Result<std::size_t> next(std::span<Match> out, SearchReport* report = nullptr);
  // As Cursor::set_deadline().
  void set_deadline(std::chrono::steady_clock::time_point deadline);

  // What is moved from may only be destroyed or assigned to.
  ShardCursor(ShardCursor&&) noexcept;
  // The same.
  ShardCursor& operator=(ShardCursor&&) noexcept;
  ShardCursor(const ShardCursor&) = delete;
  ShardCursor& operator=(const ShardCursor&) = delete;
  ~ShardCursor();

 private:
  friend class ShardSet;
  struct Impl;
  explicit ShardCursor(std::unique_ptr<Impl> impl);

  std::unique_ptr<Impl> impl_;
};

}  // namespace cairn
