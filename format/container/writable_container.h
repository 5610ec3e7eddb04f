// SPDX-License-Identifier: Apache-2.0
//
// A file that changes durably while it is searched. The sections are mapped privately: stores reach
// the file only through the redo log and through checkpoints. docs/format.md, "Writing in place".
//
// Who may call what, when. The caller has one commit mutex. It is held around a change and its
// commit, and for freeze() and thaw():
//
//   lock(commit mutex)
//     grow(section, bytes)          // as often as needed, before the first store
//     reserve(changes, bytes)       // the log has room: from here on nothing can be refused
//     ... stores to the sections ...
//     lsn = commit(changes, counters)
//   unlock(commit mutex)
//   acknowledge(lsn)                // waits for the disk, together with all others that wait
//
// Between two holds of the commit mutex the sections are exactly what the commits so far say.
// checkpoint(), verify() and close() exclude each other by themselves; checkpoint() takes the
// commit mutex twice for a short time and lets commits go on in between. Everything else may be
// called from any thread at any time; section() memory is read without any lock, by the caller's
// own rules.
//
// In a child of the process that created or opened it, nothing is done: every call that may fail
// returns `unsupported`, section() is gone, and the destructor only unmaps and closes.
//
// Failures. no_space and out_of_memory of grow() and reserve() change nothing. A failed write or
// sync poisons the container: every later call that would write, and every acknowledge() of what
// was not durable before, returns `poisoned`; the sections in memory stay readable. Opening the
// file again recovers what was acknowledged.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <span>

#include <cairn/error.h>
#include <cairn/params.h>

#include "format/bytes/limits.h"
#include "format/bytes/parameters.h"
#include "format/bytes/sections.h"
#include "format/bytes/superblock_layout.h"
#include "format/container/container.h"
#include "format/io/address_space.h"
#include "format/io/file.h"
#include "format/io/stop.h"

namespace cairn::format {

struct WriteOptions {
  // sync: acknowledge() returns when the commit is on disk. group: at once; the commit is on disk
  // at most group_ms later. none: at once; on disk with the next sync(), checkpoint() or close().
  Durability durability = Durability::sync;
  unsigned group_ms = 5;
  Residency residency = Residency::map;
  // Opens a file whose log has lost acknowledged commits with those before the loss.
  bool salvage = false;
  StopFlag stop = nullptr;  // ends recovery with `cancelled`, nothing lost
  // While a log is recovered: how many of its frames have been applied.
  std::function<void(std::uint64_t done, std::uint64_t total)> progress = {};
  std::uint64_t segment_bytes = std::uint64_t{64} << 10;    // first size of log segments
  std::uint64_t first_run_bytes = std::uint64_t{64} << 10;  // first growth of an empty section
  // Bytes of addresses that are reserved for a section in advance; more are taken as it grows.
  std::uint64_t section_addresses = kHugePage;
  std::function<SectionAddresses(const Parameters&)> more_addresses = {};
};

// Bytes of a section that were stored to.
struct Change {
  SectionId section;
  std::uint64_t offset;
  std::uint64_t length;  // not 0
};

struct WriteStats {
  std::uint64_t generation = 0;        // of the newest superblock
  std::uint64_t file_bytes = 0;        // up to the last byte in use
  std::uint64_t log_bytes = 0;         // in log segments
  std::uint64_t log_frames = 0;        // since the last checkpoint
  std::uint64_t dirty_pages = 0;       // to be written by the next checkpoint
  std::uint64_t checkpoints = 0;       // since it was opened, that of the recovery included
  std::uint64_t recovered_frames = 0;  // of the log, when it was opened
  std::uint64_t recovery_ns = 0;       // time that this took, its checkpoint included
  std::uint64_t last_lsn = 0;          // of the last commit
  std::uint64_t durable_lsn = 0;       // on disk up to here
  LogLoss loss;                        // of a salvage, when it was opened
};

// `unsupported`: why nothing is done in a child of the process that opened a file for writing.
Error opened_elsewhere();

class WritableContainer {
 public:
  // A new file with empty sections. path_exists; on any other error there is no file either.
  static Result<WritableContainer> create(FileSystem& fs, const std::filesystem::path& path,
                                          const Parameters& parameters,
                                          const WriteOptions& options);
  // path_in_use: another writer has it open, in this process or another. data_loss: see salvage.
  // O(1) after close(), otherwise the log is replayed and a checkpoint made. Residency::load reads
  // and checks every page; corrupt: one is damaged.
  static Result<WritableContainer> open(FileSystem& fs, const std::filesystem::path& path,
                                        const WriteOptions& options);

  // Closes, ignoring errors, unless that has been done: see close().
  ~WritableContainer();
  WritableContainer(WritableContainer&&) noexcept;
  WritableContainer& operator=(WritableContainer&&) = delete;
  WritableContainer(const WritableContainer&) = delete;
  WritableContainer& operator=(const WritableContainer&) = delete;

  const Parameters& parameters() const;
  std::optional<std::uint64_t> hash_seed() const;
  // Of the last commit. Under the commit mutex.
  const Counters& counters() const;
  // Addresses never change. size() grows with grow().
  const Region& section(SectionId id) const;
  Region& section(SectionId id);

  // Under the commit mutex: makes the section at least `bytes` long; what is new is zero. Grows in
  // steps that double. no_space, out_of_memory: nothing changed.
  Result<void> grow(SectionId section, std::uint64_t bytes);
  // Under the commit mutex: room in the log for one commit of at most so many changes and so many
  // bytes in all. no_space: nothing changed.
  Result<void> reserve(std::size_t changes, std::uint64_t bytes);
  // Under the commit mutex, after the stores: logs them. Returns the commit's number; each is
  // greater than the one before. Without a reserve() that covers it a full disk poisons.
  Result<std::uint64_t> commit(std::span<const Change> changes, const Counters& counters);

  // Returns when the commit is as durable as the options say.
  Result<void> acknowledge(std::uint64_t lsn);
  // All commits so far are with the operating system: they survive the end of the process.
  Result<void> write();
  // All commits so far are on disk.
  Result<void> sync();

  // Brings the sections of the file up to date and makes the log short. Costs in proportion to what
  // changed. no_space, cancelled, corrupt (a page that would be overwritten is damaged): as if
  // never begun.
  template <class Mutex>
  Result<void> checkpoint(Mutex& commit_mutex, const std::atomic<bool>* stop = nullptr) {
    const std::lock_guard running(checkpoint_mutex());
    if (auto ok = prepare_freeze(); !ok) return ok;
    {
      const std::lock_guard lock(commit_mutex);
      if (auto ok = freeze(); !ok) return ok;
    }
    auto written = write_frozen(stop);
    const std::lock_guard lock(commit_mutex);
    thaw();
    return written;
  }

  // The parts of checkpoint(), to be called in this order, with checkpoint_mutex() held throughout.
  std::mutex& checkpoint_mutex();
  Result<void> prepare_freeze();
  Result<void> freeze();  // under the commit mutex; copies the dirty pages
  Result<void> write_frozen(const std::atomic<bool>* stop);
  // Under the commit mutex. Pages that are in the file now are given back, but for those that
  // changes have been stored to which are not committed yet: `under_way` names them.
  void thaw(std::span<const Change> under_way = {});

  // Checkpoint, then a file without log, whose next open costs O(1). No other call may be running
  // or follow.
  Result<void> close();

  // Another file has taken the place of this one, durably and with all that was committed to it:
  // close() leaves it as it is. Who waits in acknowledge() may go on doing so.
  void abandon() noexcept;
  // Overwrites the file with zeros, durably. REQUIRES: it is abandoned, its path names another
  // file, and nobody reads the sections any more. unsupported, of both: other names lead to it.
  Result<void> erase();
  Result<void> check_erase() const;

  // path_exists: another file than this one stands at `path` by now; path_not_found: none does.
  Result<void> check_place(FileSystem& fs, const std::filesystem::path& path) const;

  // The file has got another name, which errors tell from now on. REQUIRES: no call is running.
  void renamed_to(std::filesystem::path path) noexcept;

  // Nothing more is written, as after a failed write: the caller cannot let this file go on.
  // Returns the error that every later call returns. Needs no memory.
  Error fail(const Error& cause) noexcept;
  // Why nothing more is written, if that is so.
  Result<void> health() const;
  WriteStats stats() const;

  // The file as the last checkpoint left it, page by page, and the log since then.
  Result<Container::PageReport> verify_pages(unsigned threads,
                                             const std::function<void(std::uint64_t)>& progress,
                                             const std::atomic<bool>* stop) const;

  // As Container::check_pages(). Changes go on meanwhile, checkpoints do not.
  Result<void> check_pages(StopFlag stop) const;

  struct State;  // format/container/writable_state.h

 private:
  explicit WritableContainer(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace cairn::format
