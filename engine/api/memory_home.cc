// SPDX-License-Identifier: Apache-2.0
#include "engine/api/memory_home.h"

#include <chrono>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <utility>

#include "engine/api/index_impl.h"
#include "engine/api/pace.h"
#include "engine/api/persist.h"
#include "engine/graph/build.h"
#include "engine/graph/compact.h"
#include "engine/graph/hash_seed.h"

namespace cairn {

using format::Region;
using format::SectionId;

Result<std::unique_ptr<Index::Impl>> Index::Impl::create(const IndexParams& params,
                                                         const CreateOptions& options,
                                                         const NodeStore::Reserve& reserve) {
  const auto layout = NodeStore::layout(params);
  const auto addresses = addresses_for(layout, options.max_vectors);
  const auto failed = [](const Error& error) { return error.with_context("create"); };
  auto store = NodeStore::create(layout, addresses, reserve);
  if (!store) return failed(store.error());
  auto impl = std::make_unique<Impl>(std::move(*store));
  auto hash = reserve(addresses[section_index(SectionId::hash)]);
  if (!hash) return failed(hash.error());
  auto overflow = reserve(addresses[section_index(SectionId::overflow)]);
  if (!overflow) return failed(overflow.error());
  impl->home =
      std::make_unique<MemoryHome>(*impl, std::move(*hash), std::move(*overflow), addresses);
  return impl;
}

MemoryHome::MemoryHome(IndexState& state, Region hash, Region overflow,
                       const format::SectionAddresses& addresses)
    : state_(state), hash_(std::move(hash)), overflow_(std::move(overflow)), addresses_(addresses) {
  state_.use_table(&hash_, &overflow_, hash_seed_for(state_.store.parameters()));
}

Result<void> MemoryHome::check_process(const char* what) const {
  if (!is_torn_) return {};
  return Error(
      ErrorCode::unsupported,
      std::string(what) + ": another thread was changing the index when this process was forked");
}

void MemoryHome::after_fork() noexcept {
  if (!state_.commit_mutex.try_lock()) is_torn_ = true;
  state_.renew_locks();
}

Result<void> MemoryHome::build(std::span<const Key> keys, const MatrixView& rows,
                               const BuildOptions& options) {
  const std::lock_guard lock(state_.commit_mutex);
  NodeStore& store = state_.store;
  if (store.count() != 0 && !state_.writer->clear_empty()) return state_.not_empty();
  KeyTable& table = *state_.table;
  const KeyHash before = table.key_hash();
  const auto seed = hash_seed_for(store.parameters(), keys, rows_of(rows));
  if (!seed) return seed.error();
  table.use({state_.params.seed, *seed});
  auto built = build_graph(store, table, keys, rows, options);
  if (!built) table.use(before);
  return built;
}

// Changes wait for it, searches go on: those that have begun on the old memory end there.
Result<void> MemoryHome::compact(const BuildOptions& options) {
  {
    const std::lock_guard lock(state_.commit_mutex);
    const Pace pace(options, state_.store.view().count, 3);
    const KeyHash key_hash = state_.table->key_hash();
    auto copy = compact_copy(state_.store, *state_.table, addresses_, options.threads, pace);
    if (!copy) return copy.error().with_context("compact");
    const std::lock_guard table_lock(state_.table_mutex);
    state_.writer->replace(std::move(copy->store), [&] {
      hash_ = std::move(copy->hash);
      overflow_ = std::move(copy->overflow);
      state_.renew_table(&hash_, &overflow_, key_hash, copy->table);
    });
    state_.writer->adopt();
    ++state_.compactions;
  }
  // The memory is given back now, unless a search takes long; then by a later change.
  for (int wait = 0; wait < 1000; ++wait) {
    {
      const std::lock_guard lock(state_.commit_mutex);
      if (state_.writer->release_retired()) break;
    }
    std::this_thread::sleep_for(std::chrono::microseconds(100));
  }
  return {};
}

Result<void> MemoryHome::save(const std::filesystem::path& to, const SaveOptions& options) {
  state_.commit_mutex.let_others_pass();
  const std::lock_guard lock(state_.commit_mutex);
  return state_.save(to, options, applied_up_to_);
}

Result<VerifyReport> MemoryHome::verify(const BuildOptions& options) {
  state_.commit_mutex.let_others_pass();
  const std::lock_guard lock(state_.commit_mutex);
  return verify_parts(state_.store, *state_.table, 0, options,
                      [](const PageProgress&) { return format::Container::PageReport{}; });
}

std::uint64_t MemoryHome::applied_up_to() {
  const std::lock_guard lock(state_.commit_mutex);
  return applied_up_to_;
}

Result<void> MemoryHome::set_applied_up_to(std::uint64_t lsn) {
  const std::lock_guard lock(state_.commit_mutex);
  applied_up_to_ = lsn;
  return {};
}

Result<void> MemoryHome::set_advised_ef(std::uint32_t ef) {
  const std::lock_guard lock(state_.commit_mutex);
  state_.advised_ef = ef;
  return {};
}

Result<void> MemoryHome::look_at_graph(const Look& look) {
  const std::lock_guard lock(state_.commit_mutex);
  return look(state_.store.view());
}

}  // namespace cairn
