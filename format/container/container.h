// SPDX-License-Identifier: Apache-2.0
//
// The file as the engine sees it: fixed parameters, one small record of counters, and six sections
// of bytes. docs/format.md is the specification.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include <cairn/error.h>
#include <cairn/params.h>

#include "format/bytes/parameters.h"
#include "format/bytes/sections.h"
#include "format/bytes/superblock_layout.h"
#include "format/io/address_space.h"
#include "format/io/file.h"
#include "format/io/stop.h"
#include "format/pages/first_use.h"
#include "format/pages/page_watch.h"

namespace cairn::format {

// What save() writes: every section's used bytes, which need not be whole pages.
struct Snapshot {
  Parameters parameters;
  std::optional<std::uint64_t> hash_seed;  // see hash_seed_of()
  Counters counters;
  std::array<std::span<const std::byte>, kDataSectionCount> sections;
};

// Path A: a new file beside `path`, with the access of what stands there, written sequentially,
// synced, renamed over `path`, directory synced. Equal snapshots give equal bytes. On error the new
// file is removed and `path` is as it was. path_in_use: a writer has what stands there open;
// path_exists: nothing stood there, and something does when the new file is finished. `cancelled`
// when *stop becomes true before the new file is renamed. `progress` counts bytes of the sections.
struct SaveOptions {
  Existing existing = Existing::replace;  // save_target.h; refuse: path_exists at once, too
  StopFlag stop = nullptr;
  std::function<void(std::uint64_t done, std::uint64_t total)> progress = {};
  // Asked when all has been written, before the new file is renamed; an error of it ends the call.
  std::function<Result<void>()> confirm = {};
};
Result<void> write_container(FileSystem& fs, const std::filesystem::path& path,
                             const Snapshot& snapshot, const SaveOptions& options = {});

// The first part of it, for the writer of `path`: the new file, synced, with the access of
// `path`, which is to be renamed.
Result<void> write_container_beside(FileSystem& fs, const std::filesystem::path& path,
                                    const Snapshot& snapshot, const SaveOptions& options,
                                    std::optional<Unfinished>& made);

// What a salvage has given up of the log.
struct LogLoss {
  std::uint64_t first_lsn = 0;  // of the frame that could not be read; 0: nothing is lost
  std::uint64_t last_lsn = 0;   // of those that are known to have been written
  // Vectors as of the newest of them that can still be read.
  std::optional<std::uint64_t> live_before;
  // At least; 0 if none of them has left a trace.
  std::uint64_t frames() const { return first_lsn == 0 ? 0 : last_lsn + 1 - first_lsn; }
};

class Container {
 public:
  // Reads and checks header, superblock and extent table, by pread, O(1) bytes; then maps the
  // sections (Residency::map) or reads them into memory of their own, huge pages for HOT, checking
  // every page (Residency::load, or Verify::full while mapped). A file that was not closed is
  // recovered in memory: the journal of its last checkpoint laid over the pages, the log replayed.
  // busy: a writer changes it again and again meanwhile. data_loss: the log has lost acknowledged
  // changes; with `salvage` it is read up to there. `cancelled` when *stop becomes true.
  // Check::on_first_use: the checksums of mapped pages are read too, for first_use().
  static Result<Container> open(FileSystem& fs, const std::filesystem::path& path,
                                Residency residency, Verify verify, bool salvage = false,
                                StopFlag stop = nullptr, Check check = Check::none);

  // Whether the file holds, or the path names, something newer. Reads a hundred bytes; may run
  // beside readers of the sections.
  Result<bool> has_news() const;
  // Brings sections and counters up to date with the log, at the cost of what has been added to it.
  // False: that cannot be; the container must not be used any more, and the file be opened anew.
  // REQUIRES: nobody reads the sections meanwhile.
  Result<bool> catch_up();
  // Whether a superblock has been written since it was opened: pages may have other checksums now
  // than those that verify_pages() compares them with.
  Result<bool> is_superseded() const;
  // Tells whether a writer has changed pages under a reader of the sections; null: no writer can.
  const PageWatch* watch() const;
  // What that says, for calls that nothing guards: an error where somebody has cut the file.
  Result<bool> is_of_one_moment() const;
  // Checks the mapped pages that readers of the sections use; null: nothing is to be checked.
  const FirstUse* first_use() const;

  const Parameters& parameters() const;
  std::optional<std::uint64_t> hash_seed() const;
  const Counters& counters() const;
  std::uint64_t generation() const;
  std::uint64_t file_bytes() const;
  std::uint64_t bytes_read_at_open() const;
  std::uint64_t recovered_frames() const;
  const LogLoss& loss() const;
  std::uint64_t recovery_ns() const;  // time that replaying the log took
  const Region& section(SectionId id) const;
  Region& section(SectionId id);

  // Reads every page of the mapped sections into memory; gives them back to the page cache. Both
  // may run beside readers of the sections. Nothing to do for sections that were loaded.
  Result<void> warm() const;
  Result<void> release() const;

  // Hashes every page and every node of the checksum trees from the file itself; each mismatch is a
  // finding with section, page and offset. `progress(done)` counts pages. `cancelled` when *stop
  // becomes true.
  struct PageReport {
    std::uint64_t pages_checked = 0;
    std::vector<std::string> findings;
    // The first page that could not be read, which is a finding too: touching it in a mapping would
    // end the process.
    std::optional<Error> unreadable;
    Error first() const {
      return unreadable ? *unreadable : Error(ErrorCode::corrupt, findings.front());
    }
  };
  Result<PageReport> verify_pages(unsigned threads,
                                  const std::function<void(std::uint64_t)>& progress,
                                  const std::atomic<bool>* stop) const;
  std::uint64_t page_count() const;
  // Before mapped pages are copied to where they get new checksums. corrupt: one of them is not
  // what its checksum says, which is that of now if a writer has made checkpoints since. busy: a
  // writer makes them too fast, or has replaced the file. Nothing to do for sections that were
  // loaded.
  Result<void> check_pages(StopFlag stop) const;

  Container(const Container&) = delete;
  Container& operator=(const Container&) = delete;
  Container(Container&&) noexcept;
  Container& operator=(Container&&) noexcept;
  ~Container();

  struct State;  // format/container/container_state.h

 private:
  explicit Container(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace cairn::format
