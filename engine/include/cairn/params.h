// SPDX-License-Identifier: Apache-2.0
//
// What an index is made with, how a file is opened, and what a search or a build is asked for.
#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include <cairn/export.h>
#include <cairn/types.h>

namespace cairn {

// What an index in a file is opened for: to search it, or to change it too.
enum class Mode { read_only, read_write };

// map: search the mapped file, nothing is read ahead of use. load: read the hot section into
// huge-page memory and check every page of the file on the way.
enum class Residency { map, load };

// metadata: header, superblock and extent table are checked at open. full: every page too.
enum class Verify { metadata, full };

// Pages of a mapped file that was not checked whole. none: a search that meets a damaged page gives
// a wrong answer at worst. on_first_use: it is corrupt, as verify() would say.
enum class Check { none, on_first_use };

// When an acknowledged change is on disk.
// sync: always. group: at most group_ms later. none: with the next sync(), checkpoint or close.
// What a crash leaves is in all three a prefix of the changes.
enum class Durability { sync, group, none };

// Fixed when an index is made, and recorded in its file.
struct IndexParams {
  std::size_t dimensions = 0;      // 1 ... 65,535
  Metric metric = Metric::cosine;  // what distances are
  Scalar scalar = Scalar::f32;     // b1 with hamming, the others with the other metrics
  std::uint32_t m = 16;  // links per node on the upper levels, 2 ... 256; level 0 holds about 3 m
  std::uint32_t ef_construction = 200;  // candidates considered per inserted node, 1 ... 65,536
  // Of the level generator and of the insertion order of build(). Where others choose the keys, and
  // should not be able to choose such as all have high levels, it is to be secret and random.
  std::uint64_t seed = 42;
  Traversal traversal = Traversal::automatic;  // what the graph is walked on
  // A key may have several vectors: documents in chunks, or one a token. add() appends one,
  // upsert() replaces all, remove() removes all. Results name a key once, with the nearest of those
  // of its vectors that the search has met: of all with Plan::exact, which no limit has ended.
  bool several_per_key = false;
};

// How a new index is kept.
struct CreateOptions {
  Durability durability = Durability::sync;  // of an index in a file
  unsigned group_ms = 5;                     // with Durability::group: milliseconds, at least 1
  // Addresses for so many vectors are reserved at once, 0 to 2^31: no other use of the process's
  // addresses keeps the index from growing that far. Otherwise they are taken as it grows, and what
  // it may find taken is out_of_memory.
  std::uint64_t max_vectors = 0;
};

// How a file is opened.
struct OpenOptions {
  Mode mode = Mode::read_only;               // to search it, or to change it too
  Residency residency = Residency::map;      // where the searched bytes are
  Verify verify = Verify::metadata;          // what is checked before open() returns
  Durability durability = Durability::sync;  // with Mode::read_write
  unsigned group_ms = 5;                     // with Durability::group: milliseconds, at least 1
  std::uint64_t max_vectors = 0;             // with Mode::read_write: as in CreateOptions
  bool salvage = false;  // with Mode::read_write: where the log has lost changes, those before it
  // What happens when search(), search_batch(), get() or contains() meets a page of the mapped file
  // that cannot be read, because the disk fails or somebody has cut the file: without it SIGBUS, as
  // for any mapping; with it the call ends with io_error (contains() is false), and the index can
  // be used on. It installs a handler of SIGBUS that is the whole process's and stays: it acts in
  // those calls alone, and hands everything else on to the handler that was there before. Costs a
  // few nanoseconds a call. Other calls are not guarded: verify(), save(), backup() and compact()
  // read every page of the file first, and return io_error; changes do not.
  bool guard = false;
  // With Mode::read_only and Residency::map. on_first_use: search(), search_batch(), get() and
  // keys() read each page of 4 KiB that they meet once more, before they use it for the first time,
  // and compare it with its checksum: corrupt, with the page's place, if it is another one,
  // io_error if it cannot be read (contains() is false). What meets no such page goes on. open()
  // reads the checksums, 0.2 % of the file, into memory; they are part of what `private_bytes` does
  // not count. Costs some microseconds a page once, and then a few nanoseconds a vector that is
  // met.
  Check check = Check::none;
  // Set it to end open() with `cancelled`, as if it had not been called: recovery, Verify::full and
  // Residency::load ask for it. What recovery has finished by then stays recovered, and a salvage
  // that has begun to write goes through.
  const std::atomic<bool>* stop = nullptr;
  // With Mode::read_write, while the log of a writer that ended without closing is recovered: how
  // many of its changes have been.
  std::function<void(std::size_t done, std::size_t total)> progress = {};
};

// What build(), compact() and verify() are asked for.
struct BuildOptions {
  unsigned threads = 0;  // 0: all cores; compact() uses them in its last part alone
  // Called from one thread at a time, never concurrently with itself. It may search the index and
  // ask it for keys and stats, but not add, build, save or verify, which wait for the call that it
  // is part of. Units are vectors for build() and compact(), pages and vectors for verify().
  std::function<void(std::size_t done, std::size_t total)> progress = {};
  const std::atomic<bool>* stop = nullptr;  // set it to end the call with `cancelled`
  // Of compact() on a file: the old one is overwritten with zeros once nobody needs it any more, so
  // that what was removed cannot be found in its freed blocks. unsupported: it has other names.
  bool erase = false;
};

// What happens to a file that stands where another one is saved.
enum class Existing { replace, refuse };

// How save() and backup() treat what stands at the path.
struct SaveOptions {
  // replace: in one step, through symbolic links. refuse: nothing is replaced, at no moment, and no
  // link is followed.
  Existing existing = Existing::replace;
  const std::atomic<bool>* stop = nullptr;  // set it to end the call with `cancelled`
};

class Filter;  // cairn/filter.h

// How a search is carried out. automatic: what costs less, told from counts alone, so that one
// index and one call give the same answer on every machine; without a filter that is a walk, but
// for batches of a small index. walk: along the graph. exact: every vector that may be a result is
// looked at, and the answer is that of a scan in double arithmetic.
enum class Plan : std::uint8_t { automatic = 0, walk = 1, exact = 2 };

// What a search has done. Of a batch: the sums of its rows.
struct SearchReport {
  Plan plan = Plan::automatic;  // walk or exact; of a batch whose rows differ: automatic
  bool complete = true;  // false: a limit has ended it, and the matches are those found by then
  std::uint64_t distances = 0;  // computed while candidates were looked for
  std::uint64_t lists = 0;      // neighbor lists that were read for that
};

// What a search is asked for. All that it points to must outlive the call.
struct SearchParams {
  std::size_t k = 10;  // results wanted, at least 1
  // Size of the dynamic candidate list, raised to k. Below k and below 64 it is taken as it is by a
  // walk without a filter, where each key has one vector: there are min(k, live) results as ever,
  // found sooner and with a lower recall. 0: what Index::set_advised_ef() advises, or else 64.
  std::size_t ef = 64;
  const Filter* filter = nullptr;  // of this index: which keys may be among the results
  Plan plan = Plan::automatic;     // automatic: whichever costs less, by counts alone
  // Limits. What a search that meets one has found by then is its answer, and its report is not
  // complete. One that has found nothing is deadline_exceeded or, if *stop was set, cancelled.
  std::uint64_t max_distances = 0;  // as SearchReport::distances, at most; 0: no limit
  std::chrono::steady_clock::time_point deadline = {};  // the clock's epoch: none
  const std::atomic<bool>* stop = nullptr;              // set it to end the search
  // The caller's own metric: asked for each of the max(k, ef) nearest candidates that the search
  // has found, with its key and its vector in the index's scalar kind; the k with the least values
  // are the results, ties by key, and the values their distances. NaN is taken for infinity. With
  // several_per_key it is asked for each vector of the max(k, ef) nearest keys, and the least value
  // of a key counts. Called
  // by the searching threads, perhaps by several at once and more than once a candidate. It must
  // not change the index, and the view is good for the call alone. Of a cursor it orders each page
  // by itself: a page holds what comes next by the index's metric, with the caller's values.
  const std::function<float(Key, VectorView)>* rerank = nullptr;
  SearchReport* report = nullptr;  // filled in if the search succeeds
};

// What a search for all within a distance is asked for.
struct RangeParams {
  // How far it looks around what lies within the radius: as SearchParams::ef, and twice that once
  // anything does. 0: the advised one, else 64.
  std::size_t ef = 64;
  std::size_t max_results = 0;      // the nearest so many of them alone; 0: all
  const Filter* filter = nullptr;   // as in SearchParams
  Plan plan = Plan::automatic;      // automatic: a walk, until it has cost as much as a scan
  std::uint64_t max_distances = 0;  // as in SearchParams, and so are all below
  std::chrono::steady_clock::time_point deadline = {};  // none: the clock's epoch
  const std::atomic<bool>* stop = nullptr;              // set it to end the search
  // The caller's own metric, for all that lies within the radius, which is one of the index's
  // metric; with max_results for the max(max_results, ef) nearest of that, of which those with the
  // least values are the results. Else as in SearchParams.
  const std::function<float(Key, VectorView)>* rerank = nullptr;
  SearchReport* report = nullptr;  // filled in if the search succeeds
};

// Of the pages of a cursor. Within a page results always stand nearest first. relaxed: a result
// that is found late, nearer than the last one of an earlier page, comes with a later page. strict:
// it is left out, so that no page has one that is nearer than those before.
enum class Order : std::uint8_t { relaxed = 0, strict = 1 };

// Where a listing of keys has come to. As it is made, it begins with the first.
struct KeyScan {
  std::uint64_t position = 0;  // of the next key in the order of the listing, at most
  bool done = false;           // there are no more
};

// One result.
struct Match {
  Key key;  // of the vector
  // cosine 1 - cos (1 if a vector is zero), l2sq squared, inner_product 1 - ip, hamming bits; the
  // float nearest to what double arithmetic gives, which matches are ranked by
  float distance;
};

// What an index holds and has done: a snapshot, each number of about the same moment.
// docs/operate/monitoring.md says which to watch.
struct Stats {
  std::size_t live = 0;     // vectors that searches can find
  std::size_t keys = 0;     // that they have: fewer only with IndexParams::several_per_key
  std::size_t deleted = 0;  // removed vectors whose memory cannot be used again yet
  std::size_t slots = 0;    // vectors that the memory in use has room for: live, deleted and free
  std::size_t dimensions = 0;       // of the vectors
  std::uint32_t max_level = 0;      // of the graph; 0: the level of all vectors
  std::uint64_t generation = 0;     // of the superblock; 0 in memory
  std::uint64_t file_bytes = 0;     // size of the file; 0 in memory
  std::uint64_t hot_bytes = 0;      // all that graph traversal touches
  std::uint64_t exact_bytes = 0;    // the vectors as given
  std::uint64_t private_bytes = 0;  // memory that the kernel cannot reclaim by dropping file pages
  // Of a file that is open for writing; 0 otherwise.
  std::uint64_t log_bytes = 0;           // of the file that the log takes
  std::uint64_t log_frames = 0;          // in it since the last checkpoint: changes, mostly
  std::uint64_t last_lsn = 0;            // number of the last frame
  std::uint64_t durable_lsn = 0;         // number of the last frame that is on disk
  std::uint64_t dirty_pages = 0;         // of 4 KiB, that the next checkpoint writes
  std::uint64_t checkpoints = 0;         // since it was opened, that of the recovery included
  std::uint64_t failed_checkpoints = 0;  // those in the background too; not those that were stopped
  bool poisoned = false;                 // a write or sync has failed: nothing more is acknowledged
  // Successful calls since the index was made or opened.
  std::uint64_t adds = 0;
  std::uint64_t upserts = 0;      // whether they added or replaced
  std::uint64_t removes = 0;      // of keys that were there
  std::uint64_t searches = 0;     // queries; each of a batch counts
  std::uint64_t compactions = 0;  // compact()
  // Of open(); 0 where there was none.
  std::uint64_t open_ns = 0;           // time that it took
  std::uint64_t recovery_ns = 0;       // the part of it that went into log and journal
  std::uint64_t recovered_frames = 0;  // of the log
  // What a salvage has given up.
  std::uint64_t lost_frames = 0;     // of the log, at least; 0 with first_lost_lsn: without a trace
  std::uint64_t first_lost_lsn = 0;  // number of the first one; 0: nothing is lost
  std::uint64_t last_lost_lsn = 0;   // number of the last one that is known
  std::uint64_t live_before_loss = 0;  // vectors as of the newest that can be read; 0: none tells
  std::size_t advised_ef = 0;          // of set_advised_ef(); 0: none
  // Of the searches that were timed, Index::record_latency(): nanoseconds, within 1 %.
  std::uint64_t timed_searches = 0;
  std::uint64_t p50_ns = 0;   // the median
  std::uint64_t p90_ns = 0;   // nine of ten have ended by then
  std::uint64_t p99_ns = 0;   // 99 of 100
  std::uint64_t p999_ns = 0;  // 999 of 1,000
  const char* simd = "";      // the active instruction set
};

// How much of the true answers searches have found: the mean over the queries of the part of the k
// nearest that was found.
struct RecallReport {
  double recall = 1;        // 0 to 1
  double lower = 0;         // of the interval in which the recall of all such queries lies, with
  double upper = 1;         // 95 % certainty (Wilson's), if these queries were drawn at random
  std::size_t queries = 0;  // that were searched
};

// How long searches have taken, in buckets that are at most a 64th of their values wide, as those
// of HdrHistogram: quantiles are right within 1 %. Times of 69 s and more count as that.
struct CAIRN_EXPORT LatencyHistogram {
  std::uint64_t count = 0;             // searches; each row of a batch counts
  std::uint64_t sum_ns = 0;            // of their times
  std::vector<std::uint64_t> buckets;  // searches by bucket_of(); empty if none was timed

  // The time within which a part `q` of the searches has ended, 0 to 1, in microseconds: the middle
  // of a bucket. 0 if there are none. Any other `q` is taken as the nearest of these, NaN as 0.
  double quantile_us(double q) const;

  // The bucket of a time, and the least time of a bucket.
  static std::size_t bucket_of(std::uint64_t ns) noexcept;
  static std::uint64_t least_ns(std::size_t bucket) noexcept;  // the reverse
  static constexpr std::size_t kBuckets = 1984;                // how many there are
};

// What verify() has found.
struct VerifyReport {
  std::uint64_t pages_checked = 0;  // of 4 KiB
  std::uint64_t nodes_checked = 0;  // slots of vectors, free ones too; 0: pages could not be read
  std::uint64_t unreachable = 0;  // live nodes that no path from the entry point reaches on level 0
  std::vector<std::string> findings;  // one line a defect, with its place
  // No defect.
  bool ok() const { return findings.empty(); }
};

}  // namespace cairn
