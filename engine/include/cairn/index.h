// SPDX-License-Identifier: Apache-2.0
//
// The index: a Hierarchical Navigable Small World graph (Malkov & Yashunin 2018, arXiv 1603.09320)
// over vectors that live in memory or in one mapped file.
//
// Thread-safety: every method of one Index may be called from any number of threads at once.
// Searches take no lock and run while other threads add, replace and remove; but where a writer in
// another process has made a checkpoint, one search of a reader brings the view up to date, and
// others may wait for it. Moving an Index, or destroying it, while a call runs on it is an error.
//
// Processes: in a child of the process that created or opened a file for writing, all calls return
// `unsupported`, and destroying the Index only unmaps and closes; file, log and lock stay the
// parent's. An index that is open for reading goes on in parent and child, and so does one in
// memory, each with its own copy, unless another thread was changing it at the fork. No file gets
// the number of a standard descriptor that is closed. The rounding mode, traps and flush-to-zero of
// the calling thread make no difference. A process that may not write files beyond RLIMIT_FSIZE
// gets no_space if it ignores SIGXFSZ, and so it does when it opens a larger one for writing.
//
// Addresses: an index that can grow takes 12 MiB of them at first, 20 MiB in a file, and more as it
// grows; one that is read takes what the file has. A file that is read takes a mapping a run of a
// section, seven for a small one, one that is written twelve or more; Linux allows a process 65,530
// (vm.max_map_count).
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <cairn/error.h>
#include <cairn/export.h>
#include <cairn/params.h>
#include <cairn/types.h>

namespace cairn {

class Cursor;  // cairn/cursor.h

// Vectors by key, and a graph to find the nearest: in memory, or in a file that is read or written.
class CAIRN_EXPORT Index {
 public:
  // An empty index in memory. invalid_argument: parameters out of range, or a metric or traversal
  // that the scalar kind does not have (types.h). out_of_memory
  static Result<Index> create(const IndexParams& params, const CreateOptions& options = {});

  // An empty index in a new file, to which every change is written before it is acknowledged, as
  // options.durability says. Nobody else can write to the file meanwhile. Destroying the index
  // closes the file: its next open finds no log. path_exists, invalid_argument, no_space, io_error,
  // permission_denied, path_not_found (the directory).
  static Result<Index> create(const std::filesystem::path& path, const IndexParams& params,
                              const CreateOptions& options = {});

  // Opens a file that any of these functions wrote. Of a closed one, with Residency::map, the cost
  // is the same for any number of vectors: header, superblock and extent table are read and
  // checked, the rest is mapped. A file that was not closed costs reading its log too, and a plain
  // copy of one all of it.
  // path_not_found, permission_denied, not_a_cairn_file, version_unsupported, feature_unsupported,
  // truncated, corrupt, io_error, out_of_memory, cancelled.
  //
  // Mode::read_write: to change it too, as create() with a path. Changes of a writer that ended
  // without closing are recovered from the log. path_in_use: somebody else writes to it. data_loss:
  // the log has lost acknowledged changes; with options.salvage it opens with those before the
  // loss. Residency::load: every page is read and checked first (corrupt), and changes made later
  // do not slow searches down, as they do in a mapping, page by page until the next checkpoint.
  //
  // Whatever bytes a file holds, and whatever another process writes to it meanwhile, every call
  // gives an answer, an error or a finding, and none ends the process. Only a file that is cut off
  // from outside, or a disk that fails, does so, by SIGBUS where a mapping is read without
  // OpenOptions::guard. The answers of a damaged file may be wrong: verify() it.
  //
  // Reading takes no lock and never keeps a writer waiting. Every answer of a reader (a search, a
  // row of search_batch, get, contains, size) belongs to one point in time: that of opening or of
  // the last refresh(), or a later one, since a checkpoint of a writer in another process makes the
  // reader refresh by itself. busy: a writer changes the file again and again meanwhile.
  //
  // A plain copy of a file that was not closed costs reading all of it when it is first opened, and
  // is refused as corrupt or data_loss if it holds pages of several moments: docs/format.md,
  // "Copies".
  static Result<Index> open(const std::filesystem::path& path, const OpenOptions& options = {});

  // What is moved from may only be destroyed or assigned to.
  Index(Index&&) noexcept;
  // The same; what was here is closed first.
  Index& operator=(Index&&) noexcept;
  Index(const Index&) = delete;
  Index& operator=(const Index&) = delete;
  ~Index();

  // Inserts one vector (paper Alg. 1); with IndexParams::several_per_key the key may have others,
  // and this becomes the last of them. It is found by searches that begin after the call has
  // returned. The vector is of the index's scalar kind; convert() makes it from f32. key_exists,
  // dimension_mismatch, not_finite, invalid_argument (another scalar kind, spare bits of b1 that
  // are not 0), read_only, out_of_memory. No key_exists with several_per_key.
  Result<void> add(Key key, VectorView vector);

  // Adds the vector, or replaces the one that the key has; with several_per_key all that it has, at
  // once. Searches that begin after the call has
  // returned find the new one, those that have ended before it began the old one, and those in
  // between one of the two, with its own distance: never both, and never none where either belongs
  // among the results.
  // Errors as add(), but for key_exists. In a file, what changes is logged in one piece of at most
  // 256 MiB, which more than some 10,000 vectors of a key exceed (m 16; fewer with a larger one):
  // then it is invalid_argument, for remove() too, and nothing has changed.
  Result<void> upsert(Key key, VectorView vector);

  // Removes the vector of `key`, or all of them at once: searches that begin after the call has
  // returned do not find it.
  // Its memory is used again once nothing links to it. key_not_found, read_only, out_of_memory.
  Result<void> remove(Key key);

  // Inserts all rows at once, in parallel. The result depends on keys, rows and parameters alone,
  // never on the number of threads. REQUIRES an empty index, else not_empty. Every row and key is
  // checked first; an error names the row and leaves the index empty, and so does `cancelled`.
  // busy: a row was changed while it was read.
  // Searches see nothing of it until it has ended.
  Result<void> build(std::span<const Key> keys, MatrixView rows, const BuildOptions& options = {});

  // False, too, where get() would return another error than key_not_found.
  bool contains(Key key) const;

  // Copies the vector of `key` as it was given; returns its number of dimensions. Components of
  // other kinds than f32 become floats, which is exact; those of b1 are 0 and 1. key_not_found;
  // dimension_mismatch if `out` is shorter than that.
  Result<std::size_t> get(Key key, std::span<float> out) const;

  // The same of vector `i` of a key that may have several, in the order in which they were added,
  // from 0. key_not_found: there are not so many.
  Result<std::size_t> get(Key key, std::size_t i, std::span<float> out) const;
  // How many vectors a key has: 0 or 1 without several_per_key. 0, too, where get() would return
  // another error than key_not_found.
  std::size_t count(Key key) const;

  // Writes the next keys of a listing to `out`; returns how many, and sets scan.done with the last
  // ones. A key whose vector is there from the first call to the last one is listed exactly once,
  // however often it is replaced; one that is added or removed meanwhile at most once. Keys come in
  // the order of their hashes in this file. Needs the same little memory for any number of keys,
  // keeps no change waiting, and holds nothing between calls.
  //
  //   KeyScan scan;
  //   std::array<Key, 1024> some;
  //   while (!scan.done) {
  //     const std::size_t n = index.keys(scan, some).value();
  //     for (std::size_t i = 0; i < n; ++i) use(some[i]);
  //   }
  //
  // `scan` may be kept: it stays good after changes, compact(), save() and opening again, but not
  // when another index takes the place of this one (build(), another file at the path).
  // invalid_argument (`out` has no room), io_error; busy as search(). An error leaves it as it was.
  Result<std::size_t> keys(KeyScan& scan, std::span<Key> out) const;

  // The k nearest vectors (paper Alg. 5), or with several_per_key the k keys whose nearest vectors
  // are nearest, each once, nearest first, ties by key; fewer if the index holds, or
  // the filter lets pass, fewer. Distances are computed from the vectors as given. The query is of
  // the index's scalar kind; for f16 and bf16 it may also be f32, which is not rounded.
  // invalid_argument (k 0, another scalar kind), dimension_mismatch, not_finite, out_of_memory.
  Result<std::vector<Match>> search(VectorView query, const SearchParams& params = {}) const;

  // The same into `out`, at most out.size() of them; returns how many. Allocates nothing once warm.
  Result<std::size_t> search(VectorView query, const SearchParams& params,
                             std::span<Match> out) const;

  // Searches every row, as search() does, with the same answers for any number of threads (0: all
  // cores). Row i's matches stand at out[i * params.k], counts[i] of them; the rest of its k places
  // are left as they are. All rows and sizes are checked before anything is searched or written; an
  // error names the row. `out` needs rows * k, `counts` rows elements, else invalid_argument;
  // otherwise the errors of search().
  Result<void> search_batch(MatrixView queries, const SearchParams& params, std::span<Match> out,
                            std::span<std::size_t> counts, unsigned threads) const;

  // The same with a filter for each row, nullptr where there is none. params.filter is nullptr, and
  // there are as many filters as rows, else invalid_argument.
  Result<void> search_batch(MatrixView queries, const SearchParams& params,
                            std::span<const Filter* const> one_a_row, std::span<Match> out,
                            std::span<std::size_t> counts, unsigned threads) const;

  // The k keys that match several query vectors best, nearest first (MaxSim, late interaction): the
  // distance of a key is the sum over the rows of `query_vectors` of the distance of its nearest
  // vector. Candidates are the max(k, ef) nearest keys of each row, as search() finds them; of each
  // of these all vectors are compared with all rows. So it costs a search a row, and then rows
  // times the vectors of the candidates. Plan::exact compares all keys. Limits hold for all rows
  // together; the report is the sum of the searches. Also without several_per_key. Errors as
  // search(); invalid_argument: no row; unsupported: params.rerank.
  Result<std::vector<Match>> search_documents(MatrixView query_vectors,
                                              const SearchParams& params = {}) const;

  // All vectors that are not farther than `radius`, or the keys of such vectors, nearest first,
  // ties by key, as far as a walk finds them; the distance is that of the metric, so l2sq is
  // squared, and inner_product may be negative. If many are within the radius, all vectors are
  // looked at, and none is missed. invalid_argument: radius is NaN or, but for inner_product,
  // negative; and as search().
  Result<std::vector<Match>> search_range(VectorView query, float radius,
                                          const RangeParams& params = {}) const;
  // The same, each handed to take(match), in any order, until it returns false: then the result is
  // false. It is called by this thread after all have been found, and may use the index. Allocates
  // nothing once warm. invalid_argument: take is empty.
  Result<bool> search_range(VectorView query, float radius, const RangeParams& params,
                            const std::function<bool(Match)>& take) const;

  // The results of one query page by page: cairn/cursor.h. Copies the query; filter and stop must
  // outlive the cursor, params.k and params.report are not used, params.rerank is copied and orders
  // each page by itself. Errors as search().
  Result<Cursor> open_cursor(VectorView query, const SearchParams& params = {},
                             Order order = Order::relaxed) const;

  // Writes the whole index to `path`: a new file beside it, synced, then renamed over it. On any
  // error what stood at `path` is untouched. Adding waits meanwhile, searching does not. Setting
  // *stop ends it with `cancelled`. path_in_use: somebody writes to what stands at `path`.
  // path_exists: nothing stood there, and something does by the time that the new file is finished.
  // corrupt: the file that the index was opened from has a damaged page. Where it is mapped, all of
  // it is checked first. busy: as verify().
  //
  // What is replaced passes on group, permissions, access list and other extended attributes, and
  // to root its owner, as far as the user may set them: without the group, permissions of a group
  // are left out. A save that is killed leaves a file `.NAME.NUMBER.tmp`, which the next save to
  // the same path, or the next open of it for writing, removes.
  Result<void> save(const std::filesystem::path& path,
                    const std::atomic<bool>* stop = nullptr) const;
  // The same, with a say in what happens to a file that stands there.
  Result<void> save(const std::filesystem::path& path, const SaveOptions& options) const;

  // The same, of a file that is open for writing, too: a copy of one point in time, without a log.
  Result<void> backup(const std::filesystem::path& path,
                      const std::atomic<bool>* stop = nullptr) const;
  // The same, as save() with options.
  Result<void> backup(const std::filesystem::path& path, const SaveOptions& options) const;

  // What save() to `path` would refuse before it writes anything, so that it is known before hours
  // of work: path_exists, path_in_use, path_not_found, permission_denied, invalid_argument (not a
  // regular file), no_space, io_error. A file is created there for a moment.
  static Result<void> check_save(const std::filesystem::path& path,
                                 const SaveOptions& options = {});

  // Of a file that is open for writing; nothing to do otherwise. All changes so far are on disk.
  //
  // After a failed write or sync all changes, sync() and checkpoint() return `poisoned`; opening
  // the file again recovers what was acknowledged. no_space harms nothing.
  Result<void> sync();

  // Of a file that is open for writing; nothing to do otherwise. The sections of the file are up to
  // date and the log is short; costs in proportion to what changed, searches do not wait, changes
  // only for two short moments. It also happens in the background, when the log has grown by
  // 128 MiB, or more memory than 1 GiB differs from the file; if one is under way there, it first
  // waits for that. Setting *stop ends it with `cancelled` as long as it has changed nothing.
  // Errors as sync().
  Result<void> checkpoint(const std::atomic<bool>* stop = nullptr);

  // Of a file that is open for reading: what it holds now. Costs in proportion to what was logged
  // since the last one (the first one costs as much as opening, and so does one after compact() or
  // much change), and next to nothing without news. Waits for the searches that run; others go on.
  // Errors as open(), with nothing changed; busy: a writer changes it too fast. Nothing to do
  // otherwise.
  Result<void> refresh();

  // Moves the live vectors into fresh memory, without gaps, and gives the old memory back: both are
  // needed meanwhile, also for a file that is mapped. Vectors that no longer find themselves after
  // many changes are linked again. Changes wait meanwhile, searches do not. A file that is open for
  // writing is written anew beside the old one and renamed over it; corrupt, as save(). An error,
  // `cancelled` among them, leaves the index as it was. Nothing to do on read-only files.
  Result<void> compact(const BuildOptions& options = {});

  // The host's log position, as it was set last; 0 at first.
  Result<std::uint64_t> applied_up_to() const;
  // Sets it; it is kept and logged like any change. Set it to lsn when all operations up to lsn
  // have returned: replaying from there with upserts and removes, also more than once, gives the
  // same index.
  Result<void> set_applied_up_to(std::uint64_t lsn);

  // What searches with ef 0 take from now on, 1 to 65,536; 0: none is advised, and they take 64. It
  // is kept in the file and logged like any change. invalid_argument, read_only.
  Result<void> set_advised_ef(std::size_t ef);

  // What part of the true answers searches with `params` find: each row of `queries`, of which
  // there is at least one, is searched, and looked up by the exact plan. A match counts if it is
  // not farther than the k-th true one. Queries are best those that users ask; vectors of the index
  // themselves are easier, since they find themselves. Changes meanwhile blur the answer. Of
  // `options` threads, progress (of two a query) and stop count; params.report is left as it is,
  // and a limit holds for the searches alone. All of these searches count in stats(). Errors as
  // search_batch(); invalid_argument (no row, params.rerank), cancelled.
  Result<RecallReport> measure_recall(MatrixView queries, const SearchParams& params,
                                      const BuildOptions& options = {}) const;
  // The least ef, k at least (65,536 where k is more), with which that recall is reached on these
  // queries, to within 2 %: for set_advised_ef(). The true answers are looked up once, and the
  // queries searched for each of about ten values. progress tells rows of one pass after the other,
  // whose number is not known before. invalid_argument (a recall that is not above 0 and at most 1,
  // k 0, no row), unsupported: not even ef 65,536, or one as large as the index, reaches it;
  // cancelled.
  Result<std::size_t> ef_for(double recall, MatrixView queries, std::size_t k,
                             const BuildOptions& options = {}) const;

  // Checks every page checksum and the structure of the graph, in parallel; each defect is a
  // finding with its place. So is a page that cannot be read; the graph of the mapped file is not
  // looked at then, and nodes_checked is 0. An error is returned only if the check itself could not
  // be carried out (cancelled, io_error, out_of_memory; busy: a writer in another process has made
  // a checkpoint during each of five attempts). On an index that can be changed, changes wait while
  // the graph is looked at.
  Result<VerifyReport> verify(const BuildOptions& options = {}) const;

  // Reads all pages of a mapped file into memory, the vectors first and the graph last, so that no
  // search waits for a disk, not even for a page fault, until the system takes pages back. It may
  // run beside searches and changes no answer. An index in memory, or read into it by
  // Residency::load, has no file pages: it succeeds and does nothing. io_error if the file has
  // become unreadable or shorter.
  Result<void> warm() const;
  // Takes them out of this process again (its RssFile): they stay in the page cache as long as the
  // system has no better use for them, and return as searches touch them. Otherwise as warm().
  Result<void> release() const;

  // How many vectors there are; 0 in a child of the process that opened the file for writing.
  std::size_t size() const;
  // Times searches from now on, or no longer: two looks at the clock a call, and 128 KB once. At
  // first it is off and costs nothing. What was counted stays.
  void record_latency(bool on);
  // The times of all searches, and of all rows of batches, since it was first turned on; those of
  // failed ones are not among them. Where rows are scanned together, each has the time of all.
  LatencyHistogram latency() const;

  // What it was made with, as its file records it.
  const IndexParams& params() const;
  // Counts, sizes and times.
  Stats stats() const;

 private:
  friend struct IndexParts;
  struct Impl;
  explicit Index(std::unique_ptr<Impl> impl);

  std::unique_ptr<Impl> impl_;
};

// Builds an index of `rows` into the file at `path`: the file is, byte for byte, that of create(),
// build() and save(). The rows may be more than fits into memory, a mapping of a file for example:
// an index larger than half of the memory (of the machine, the container or RLIMIT_DATA) is kept in
// files without a name beside `path` meanwhile, for which the disk needs as much room again. Rows
// are looked at in no order. Errors as build() and check_save(), which is asked first; io_error,
// no_space; nothing is left behind then, or when a stop ends it with `cancelled`.
CAIRN_EXPORT Result<void> build_file(const std::filesystem::path& path, const IndexParams& params,
                                     std::span<const Key> keys, MatrixView rows,
                                     const BuildOptions& options = {},
                                     const SaveOptions& save = {});

// What stats() and latency() tell, in Prometheus' text format (version 0.0.4), for hosts that
// expose it: gauges, counters, and a histogram of the searches that were timed. All names begin
// with `cairn_`; times are in seconds. `labels`, names with values, stand on every sample; a name
// begins with a letter and has letters, digits and _ alone. docs/operate/monitoring.md lists the
// metrics. Empty where there is no memory left for it.
CAIRN_EXPORT std::string prometheus_text(
    const Index& index, std::span<const std::pair<std::string, std::string>> labels = {});

// Instruction sets of this library, for diagnostics: what is compiled in, what this processor has,
// which one runs. The environment variable CAIRN_SIMD (scalar, avx2, avx512, avx512vnni, neon,
// neon_dotprod) forces one.
struct SimdInfo {
  std::vector<std::string> compiled;   // into this library
  std::vector<std::string> available;  // of these, what the processor and its system can run
  std::string active;                  // what runs; scalar if CAIRN_SIMD asks for what cannot
};
// Which there are, and which one is used.
CAIRN_EXPORT SimdInfo simd_info();

}  // namespace cairn
