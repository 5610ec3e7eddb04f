// SPDX-License-Identifier: Apache-2.0
//
// An index in memory.
#pragma once

#include <atomic>
#include <cstdint>

#include "engine/api/home.h"
#include "format/bytes/sections.h"
#include "format/io/address_space.h"

namespace cairn {

struct IndexState;

class MemoryHome final : public IndexHome {
 public:
  // The sections of the key table are empty. `state` outlives it, and gets its table.
  MemoryHome(IndexState& state, format::Region hash, format::Region overflow,
             const format::SectionAddresses& addresses);

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
  Result<void> look_at_graph(const Look& look) override;

 private:
  IndexState& state_;
  format::Region hash_;  // exchanged under the commit mutex, as all of it
  format::Region overflow_;
  const format::SectionAddresses addresses_;  // reserved in advance
  std::uint64_t applied_up_to_ = 0;           // guarded by the commit mutex
  std::atomic<bool> is_torn_{false};          // a change was under way at the fork
};

}  // namespace cairn
