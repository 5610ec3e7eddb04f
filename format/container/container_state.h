// SPDX-License-Identifier: Apache-2.0
//
// What an open Container consists of. Private to this folder.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "format/bytes/extent_table.h"
#include "format/bytes/superblock.h"
#include "format/container/container.h"
#include "format/io/address_space.h"
#include "format/io/file.h"
#include "format/io/stop.h"
#include "format/log/log_apply.h"
#include "format/log/log_reader.h"
#include "format/log/log_replay.h"
#include "format/pages/first_use.h"
#include "format/pages/page_watch.h"

namespace cairn::format {

// Tells whether a superblock has been written: the higher generation of the two slots, valid or
// not, and the salt beside it. A number comes twice where a block was torn whose writer has ended,
// but each writer has a salt of its own.
struct SlotMark {
  std::uint64_t generation = 0;
  std::uint64_t salt = 0;
  friend bool operator==(const SlotMark&, const SlotMark&) = default;
};
// Costs two reads of 88 bytes.
Result<SlotMark> mark_of_slots(const File& file);

struct Container::State {
  explicit State(File opened) : file(std::move(opened)) {}

  File file;
  FileSystem* fs = nullptr;
  std::filesystem::path place;  // of the file, wherever the process moves
  Residency residency = Residency::map;
  FileInfo info;  // of the file, when it was opened
  StaticHeader header;
  Superblock block;   // counters and extents as of the last frame of the log
  ExtentTable base;   // runs of the last checkpoint, which the checksums are about
  ExtentTable table;  // and those that the log added
  std::array<Region, kDataSectionCount> sections;
  std::optional<LogReader> log;  // at the frame that the sections do not contain yet
  PageWatch watch;
  std::unique_ptr<FirstUse> first_use;  // Check::on_first_use, of mapped pages
  // What the slots said when the file was opened, and when they were last looked at.
  SlotMark opened_mark;
  SlotMark mark;
  std::uint64_t bytes_replayed = 0;  // of log frames, which have become private pages
  std::uint64_t bytes_read = 0;
  std::uint64_t recovered_frames = 0;
  std::uint64_t recovery_ns = 0;
  LogLoss loss;
};

// One superblock slot: how many bytes of it there are, and the block or why it is not valid.
struct SlotOutcome {
  Result<std::size_t> read;
  Result<Superblock> block;
  std::vector<std::byte> bytes;  // as they were read
};
SlotOutcome read_slot(const File& file, std::size_t slot, const Uuid& uuid);

// What a superblock has as the identity of the file that it was written to: what tells a file from
// a copy of it. Never 0.
std::uint64_t identity_of(const FileInfo& info);
// Whether the pages of a file may be of several moments: it is a copy of one that was not closed.
bool may_be_mixed(const Superblock& block, const FileInfo& info);

// Does what the log says to the memory of the sections.
LogApplier applier_of(Container::State& state, Residency residency);

// Reads the file as a reader does, for the writer that has it locked: what may be mixed is checked.
Result<void> check_by_reading(FileSystem& fs, const std::filesystem::path& path, bool salvage,
                              StopFlag stop);

// Header, newest superblock and extent table, checked. busy: neither slot is valid, and a writer
// elsewhere has the file open.
struct Metadata {
  StaticHeader header;
  Superblock block;
  ExtentTable table;
  std::size_t newest_slot = 0;
  std::vector<std::byte> newest_bytes;  // that `block` was decoded from
  std::uint64_t file_bytes = 0;         // real size
  std::uint64_t bytes_read = 0;
};
Result<Metadata> read_metadata(const File& file);

// Replays the log of a superblock, which `log` stands at the beginning of, into sections.
// `salvage`: a log that has lost frames is taken up to there; otherwise that is data_loss. A writer
// may go on with the log meanwhile.
struct RecoveredLog {
  std::uint64_t next_lsn = 1;  // greater than any that was seen
  std::uint64_t frames = 0;
  std::uint64_t bytes = 0;
  LogLoss loss;  // of a salvage
};
Result<RecoveredLog> recover_log(const File& file, std::uint64_t file_bytes,
                                 const Superblock& block, LogReader& log, const ApplyFrame& apply,
                                 bool salvage, StopFlag stop = nullptr);

// corrupt: the first page that is not what its checksum says, of runs and trees.
Result<void> check_all_pages(const File& file, const ExtentTable& table, StopFlag stop = nullptr);
// The same of the newest superblock of a file. busy: the path names another file by now.
Result<void> check_as_it_is(FileSystem& fs, const std::filesystem::path& path, const FileInfo& file,
                            StopFlag stop);
// corrupt: the first page of CHECKSUM that belongs to no tree and is not zero.
Result<void> check_free_tree_pages(const File& file, const ExtentTable& table);

// Every page of the file against its checksum, and header and superblocks.
Result<Container::PageReport> verify_file(const File& file, const StaticHeader& header,
                                          const ExtentTable& table, unsigned threads,
                                          const std::function<void(std::uint64_t)>& progress,
                                          const std::atomic<bool>* stop,
                                          std::vector<std::string> more_findings);

}  // namespace cairn::format
