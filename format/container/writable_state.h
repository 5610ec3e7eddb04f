// SPDX-License-Identifier: Apache-2.0
//
// What a WritableContainer consists of. Private to writable_*.cc.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <vector>

#include "format/bytes/extent_table.h"
#include "format/bytes/superblock.h"
#include "format/container/writable_container.h"
#include "format/io/fork_watch.h"
#include "format/io/stop.h"
#include "format/log/redo_log.h"
#include "format/pages/dirty_pages.h"
#include "format/pages/file_space.h"

namespace cairn::format {

struct WritableContainer::State {
  State(File opened, const WriteOptions& wanted)
      : file(std::move(opened)), options(wanted), space(file) {}

  // In a child of the process that opened the file: unmaps and closes it. Its locks, threads and
  // log stay the parent's.
  void let_go() noexcept {
    file.close();
    for (Region& section : sections) section = Region();
  }

  // A checkpoint under way: the sections as they were when it was begun.
  struct Frozen {
    std::vector<DirtyPage> pages;
    std::unique_ptr<std::byte[]> bytes;  // of the pages
    Counters counters;
    ExtentTable table;                    // roots of the checkpoint before
    std::uint64_t lsn = 0;                // contains all commits up to this one
    std::optional<RedoLog::Start> start;  // of the log behind it; none: the file is being closed
    Stretch journal;
    bool is_done = false;  // the file is up to date
  };

  File file;
  std::uint64_t identity = 0;  // of the file
  std::uint64_t salt = 0;      // of the log
  const WriteOptions options;
  StaticHeader header;
  std::array<Region, kDataSectionCount> sections;
  DirtyPages dirty;
  FileSpace space;
  std::unique_ptr<RedoLog> log;

  // Under the commit mutex: counters and extents as of the last commit.
  Superblock current;
  ExtentTable table;

  mutable std::mutex checkpoint_mutex;
  // Under the checkpoint mutex: what the newest superblock says.
  Superblock block;
  ExtentTable base_table;
  std::optional<Frozen> frozen;
  bool is_closed = false;

  std::atomic<bool> is_abandoned{false};
  std::atomic<std::uint64_t> generation{0};
  std::atomic<std::uint64_t> checkpoint_lsn{0};
  std::atomic<std::uint64_t> checkpoints{0};
  std::uint64_t recovered_frames = 0;
  std::uint64_t recovery_ns = 0;
  LogLoss loss;

  const HomeProcess home;
  const ForkWatch fork_watch{[](void* state) noexcept { static_cast<State*>(state)->let_go(); },
                             this};
};

// Writes `block` as the next generation into slot 0, then into slot 1: in this order, so that a
// recovery knows which one may not be durable. Until it returns nothing may be overwritten that the
// block before refers to. A failure poisons.
Result<void> publish(WritableContainer::State& state, Superblock block);

// The checkpoint of state.frozen. docs/format.md, "Checkpoint".
Result<void> write_checkpoint(WritableContainer::State& state, StopFlag stop);
// Afterwards, done or not.
void finish_checkpoint(WritableContainer::State& state);
// Copies dirty pages into state.frozen; `start` as there.
void freeze_pages(WritableContainer::State& state, std::uint64_t lsn,
                  const std::optional<RedoLog::Start>& start);

}  // namespace cairn::format
