// SPDX-License-Identifier: Apache-2.0
//
// An index in a file that it writes: what is searched are the sections of the file. The file itself
// is format/'s, its log of changes durable.h's.
#pragma once

#include <cstdint>
#include <memory>
#include <utility>

#include "engine/api/home.h"
#include "engine/change/durable.h"
#include "engine/store/key_table.h"
#include "engine/store/node_store.h"
#include "format/container/container.h"
#include "format/container/writable_container.h"
#include "format/io/address_space.h"
#include "format/io/fork_watch.h"
#include "format/io/stop.h"

namespace cairn {

struct IndexState;

class WriterHome final : public IndexHome {
 public:
  // `options`: for the files that take the place of the first one. `state` outlives it.
  WriterHome(IndexState& state, format::WriteOptions options)
      : state_(state), options_(std::move(options)) {}
  // Begins to write to a file that has just been created or opened. Call once, first.
  Result<void> begin(Durable::File file, const std::filesystem::path& at);

  Result<void> check_process(const char* what) const override;
  Result<void> check_change(const char* what) const override { return check_process(what); }
  void after_fork() noexcept override;
  Result<void> build(std::span<const Key> keys, const MatrixView& rows,
                     const BuildOptions& options) override;
  Result<void> compact(const BuildOptions& options) override;
  Result<void> save(const std::filesystem::path& to, const SaveOptions& options) override;
  Result<VerifyReport> verify(const BuildOptions& options) override;
  std::uint64_t applied_up_to() override;
  Result<void> set_applied_up_to(std::uint64_t lsn) override;
  Result<void> set_advised_ef(std::uint32_t ef) override;
  void tell(Stats& stats) const override;
  Result<void> sync() override { return durable_->sync(); }
  Result<void> checkpoint(const std::atomic<bool>* stop) override;
  Result<void> look_at_graph(const Look& look) override;

 private:
  class ReplacedFile;
  // The file, and what is searched, become `fresh`: written beside the file, synced, renamed over
  // it. On an error nothing has changed. REQUIRES: the commit mutex is held.
  Result<void> renew_file(NodeStore& fresh, KeyTable& fresh_table, const format::Region& hash,
                          const format::Region& overflow, const format::SaveOptions& options,
                          Durable::File& old);
  // A change of what is in no section: set() makes it.
  template <class Set>
  Result<void> log_setting(const char* what, Set&& set);
  // Before what is mapped is written anew: a damaged page must not get a new checksum. Pages that
  // change meanwhile come from memory. REQUIRES: the commit mutex is not held.
  Result<void> check_pages(format::StopFlag stop) const;

  IndexState& state_;
  const format::WriteOptions options_;
  const format::HomeProcess home_;
  std::unique_ptr<Durable> durable_;
};

}  // namespace cairn
