// SPDX-License-Identifier: Apache-2.0
//
// The file behind an index that changes durably. Gathers what a change stores and logs it as one
// commit; makes checkpoints of its own accord, in a thread of its own.
//
// Thread-safety: what is marked so needs the commit mutex; the rest, any thread.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include <cairn/error.h>

#include "engine/base/commit_mutex.h"
#include "engine/store/change_sink.h"
#include "engine/store/key_table.h"
#include "engine/store/node_store.h"
#include "format/container/writable_container.h"
#include "format/io/fork_watch.h"

namespace cairn {

class Durable final : public ChangeSink {
 public:
  using File = std::shared_ptr<format::WritableContainer>;

  // All outlive it. Begins to receive what `store` and `table` report.
  Durable(File file, NodeStore& store, KeyTable& table, CommitMutex& commit);
  Durable(const Durable&) = delete;
  Durable& operator=(const Durable&) = delete;
  // Commits what has been stored, and closes the file: its next open finds no log. In a child of
  // the process that made it: unmaps and closes, and no more.
  ~Durable() override;
  // Begins to make checkpoints. Call once, first. out_of_memory: there is no thread to be had.
  Result<void> start();

  // What a change waits for before it is acknowledged.
  struct Pending {
    File file;  // null: nothing
    std::uint64_t lsn = 0;
  };

  // --- under the commit mutex

  // Before the first store of a change: room for it in the log and here, and for so many lists more
  // than a change of one vector writes. poisoned, no_space and out_of_memory change nothing, nor
  // does invalid_argument: more than a frame of the log holds.
  Result<void> begin(std::uint64_t more_lists = 0);
  // After the last one. What other changes have stored so far becomes durable with it.
  Result<Pending> commit();
  const File& file() const { return file_; }
  // Of a long change, after a part of it: what it has stored goes into the log, where nobody waits
  // for it, and there is room as after begin(). Errors as begin().
  Result<void> commit_part();
  // Another file takes the place of this one, with the same content as store and table have by now.
  void exchange(File file);

  std::uint64_t applied_up_to() const { return applied_up_to_; }
  void set_applied_up_to(std::uint64_t lsn) { applied_up_to_ = lsn; }
  std::uint32_t advised_ef() const { return advised_ef_; }
  void set_advised_ef(std::uint32_t ef) { advised_ef_ = ef; }

  // ---

  static Result<void> acknowledge(const Pending& pending);
  Result<void> sync();
  // `cancelled` when *stop becomes true while nothing has changed yet.
  Result<void> checkpoint(format::StopFlag stop = nullptr);

  // Since the index was created or opened, whatever files it has had since then.
  std::uint64_t checkpoints() const;
  std::uint64_t failed_checkpoints() const { return failed_checkpoints_; }
  const format::WriteStats& at_open() const { return at_open_; }

  // ChangeSink
  void changed(format::SectionId section, std::uint64_t offset,
               std::size_t length) noexcept override;
  Result<void> grow(format::SectionId section, format::Region& region,
                    std::uint64_t bytes) override;

 private:
  Error end_of_writing() noexcept;
  Result<void> make_checkpoint(format::StopFlag stop);
  void merge_changes();
  void make_checkpoints();
  void stop_checkpoints();

  File file_;
  NodeStore& store_;
  KeyTable& table_;
  CommitMutex& commit_;
  const format::WriteStats at_open_;
  std::uint64_t applied_up_to_;
  std::uint32_t advised_ef_;
  std::vector<format::Change> changes_;  // since the last commit
  bool lost_ = false;                    // one of them, for want of memory
  std::uint64_t logged_ = 0;             // bytes since the last checkpoint was asked for
  std::atomic<std::uint64_t> earlier_checkpoints_{0};  // of files that were replaced
  std::atomic<std::uint64_t> failed_checkpoints_{0};

  struct Checkpointer {
    std::mutex mutex;
    std::condition_variable wake;
    bool is_wanted = false;    // under mutex
    bool is_stopping = false;  // under mutex
    std::thread thread;
  };
  const format::HomeProcess home_;
  std::unique_ptr<Checkpointer> checkpointer_ = std::make_unique<Checkpointer>();
};

}  // namespace cairn
