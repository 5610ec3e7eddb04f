// SPDX-License-Identifier: Apache-2.0
//
// An index in a file that is only read, and that others may write. A container is what was found in
// it at one moment; searches go on with it while another takes its place.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <string>

#include "engine/api/home.h"
#include "engine/store/key_table.h"
#include "engine/store/node_store.h"
#include "format/bytes/superblock_layout.h"
#include "format/container/container.h"

namespace cairn {

struct IndexState;

class ReaderHome final : public IndexHome {
 public:
  // What `state` shows is in the container. `state` outlives it.
  ReaderHome(IndexState& state, std::shared_ptr<format::Container> container,
             const OpenOptions& options);

  Result<void> check_process(const char*) const override { return {}; }
  Result<void> check_change(const char* what) const override;
  void after_fork() noexcept override;
  Result<void> build(std::span<const Key> keys, const MatrixView& rows,
                     const BuildOptions& options) override;
  Result<void> compact(const BuildOptions&) override { return {}; }
  Result<void> save(const std::filesystem::path& to, const SaveOptions& options) override;
  Result<VerifyReport> verify(const BuildOptions& options) override;
  std::uint64_t applied_up_to() override;
  Result<void> set_applied_up_to(std::uint64_t lsn) override;
  Result<void> set_advised_ef(std::uint32_t ef) override;
  void tell(Stats& stats) const override;
  Result<void> refresh() override;
  Result<void> warm() override;
  Result<void> release() override;
  Result<void> leave_changed_pages() override;
  Result<void> look_at_graph(const Look& look) override;

 private:
  // What is searched now, for calls that take long: it stays what it is while another takes its
  // place, and no lock is held meanwhile.
  struct Held {
    std::shared_ptr<format::Container> container;
    NodeStore store;
    KeyTable table;
    format::Counters counters;
  };
  Result<Held> hold() const;
  std::shared_ptr<format::Container> current_container() const;

  // What is searched becomes what the file holds now, if that is not so. REQUIRES: `refreshing_` is
  // held.
  Result<void> catch_up();
  // A container that is up to date: the idle one, or a new one.
  Result<std::shared_ptr<format::Container>> newest_container();
  void show(std::shared_ptr<format::Container> fresh);

  // Calls what looks at all of a file, again on its newest state as long as that is busy.
  template <class Call>
  auto again_if_busy(const std::string& what, Call&& call);
  // busy: a writer has changed pages meanwhile.
  Result<void> save_held(const std::filesystem::path& to, const SaveOptions& options) const;
  Result<VerifyReport> verify_held(const BuildOptions& options) const;
  // The pages against their checksums, those of now if a writer has made a checkpoint since the
  // container was opened.
  Result<format::Container::PageReport> verify_pages_of(
      const format::Container& held, const BuildOptions& options,
      const std::function<void(std::uint64_t)>& progress) const;
  Error changed_meanwhile(const char* what) const;

  IndexState& state_;
  const OpenOptions options_;  // for the next container
  // Lock order: refreshing_, then the commit mutex.
  std::mutex refreshing_;
  std::shared_ptr<format::Container>
      container_;                            // exchanged under the commit mutex, and the table's
  std::shared_ptr<format::Container> idle_;  // the one before, to be brought up to date next;
                                             // guarded by refreshing_
};

}  // namespace cairn
