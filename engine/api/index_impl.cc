// SPDX-License-Identifier: Apache-2.0
#include "engine/api/index_impl.h"

#include <algorithm>
#include <chrono>
#include <mutex>
#include <new>
#include <string>
#include <thread>
#include <utility>

#include "engine/api/persist.h"
#include "engine/base/assert.h"
#include "engine/verify/verify_graph.h"

namespace cairn {

IndexState::IndexState(NodeStore nodes)
    : params(params_of(nodes.parameters())), store(std::move(nodes)) {
  anchor->index.store(this);
}

void IndexState::use_table(format::Region* hash, format::Region* overflow,
                           std::optional<std::uint64_t> hash_seed) {
  hash_region = hash;
  overflow_region = overflow;
  table.emplace(hash, overflow, store.key_region(), KeyHash(params.seed, hash_seed),
                nodes_of_key(store.parameters()));
  writer.emplace(store, *table, commit_mutex, table_mutex, epochs);
}

void IndexState::renew_table(format::Region* hash, format::Region* overflow,
                             const KeyHash& key_hash, const format::Counters& counters) {
  hash_region = hash;
  overflow_region = overflow;
  *table = KeyTable(hash_region, overflow_region, store.key_region(), key_hash,
                    nodes_of_key(store.parameters()));
  (void)table->attach(counters);
}

void IndexState::await_retired() {
  for (;;) {
    {
      const std::lock_guard lock(commit_mutex);
      if (writer->release_retired()) return;
    }
    std::this_thread::sleep_for(std::chrono::microseconds(100));
  }
}

Result<void> IndexState::save(const std::filesystem::path& to, const SaveOptions& options,
                              std::uint64_t applied_up_to) {
  CAIRN_ASSERT(commit_mutex.is_held());
  auto content = snapshot_of(store, *table, *hash_region, *overflow_region);
  content.counters.applied_up_to = applied_up_to;
  content.counters.advised_ef = advised_ef;
  return format::write_container(format::default_file_system(), to, content,
                                 {.existing = options.existing, .stop = options.stop});
}

Error IndexState::cut_off(const char* what) const {
  return format::in_file(what, path, format::opened_elsewhere());
}

void IndexState::renew_locks() noexcept {
  new (&commit_mutex) CommitMutex;
  new (&table_mutex) TableMutex;
  epochs.forget_readers();
  anchor->forks.fetch_add(1);
}

Result<VerifyReport> verify_parts(const NodeStore& store, const KeyTable& table,
                                  std::uint64_t pages, const BuildOptions& options,
                                  const CheckPages& check_pages) {
  const std::uint64_t total = pages + store.count();
  const PageProgress progress = [&](std::uint64_t done) {
    if (options.progress) options.progress(done, std::max(done, total));
  };
  auto checked = check_pages(progress);
  if (!checked) return checked.error();
  VerifyReport report;
  report.pages_checked = checked->pages_checked;
  report.findings = std::move(checked->findings);
  if (checked->unreadable) {
    report.findings.emplace_back("the graph was not looked at: not all pages could be read");
    return report;
  }
  const GraphVerifyOptions graph{options.threads,
                                 [&](std::uint64_t done) { progress(pages + done); }, options.stop};
  if (auto ok = verify_graph(store, table, table.size(), graph, report); !ok) {
    return ok.error();
  }
  return report;
}

}  // namespace cairn
