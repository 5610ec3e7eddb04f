// SPDX-License-Identifier: Apache-2.0
//
// The public class: checks arguments, takes locks, calls down, turns std::bad_alloc into
// out_of_memory. No algorithm.
#include <algorithm>
#include <chrono>
#include <mutex>
#include <string>
#include <thread>
#include <utility>

#include "engine/api/index_impl.h"
#include "engine/api/pace.h"
#include "engine/base/guarded.h"
#include "engine/base/workers.h"
#include "engine/graph/build.h"
#include "engine/vectors/components.h"
#include "engine/verify/validate.h"
#include "simd/kernels.h"

namespace cairn {

using format::Region;
using format::SectionId;

Index::Index(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Index::Index(Index&&) noexcept = default;
Index& Index::operator=(Index&&) noexcept = default;
Index::~Index() = default;

Result<Index> Index::create(const IndexParams& params, const CreateOptions& options) {
  return guarded("create", [&]() -> Result<Index> {
    if (auto ok = check_params(params); !ok) return ok.error();
    if (auto ok = check_max_vectors("create", options.max_vectors); !ok) return ok.error();
    if (auto ok = check_simd(); !ok) return ok.error();
    const auto layout = NodeStore::layout(params);
    const auto addresses = addresses_for(layout, options.max_vectors);
    const auto failed = [](const Error& error) { return error.with_context("create"); };
    auto store = NodeStore::create(layout, addresses);
    if (!store) return failed(store.error());
    auto impl = std::make_unique<Impl>(std::move(*store), false);
    auto hash = Region::reserve_growing(addresses[section_index(SectionId::hash)]);
    if (!hash) return failed(hash.error());
    auto overflow = Region::reserve_growing(addresses[section_index(SectionId::overflow)]);
    if (!overflow) return failed(overflow.error());
    impl->addresses = addresses;
    impl->owned_hash = std::move(*hash);
    impl->owned_overflow = std::move(*overflow);
    impl->use_table(&impl->owned_hash, &impl->owned_overflow,
                    hash_seed_for(impl->store.parameters()));
    return Index(std::move(impl));
  });
}

Result<void> Index::add(Key key, VectorView vector) {
  return guarded("add", [&]() -> Result<void> {
    if (auto ok = impl_->check_change("add", vector); !ok) return ok;
    return impl_->changes->add(key, vector.data());
  });
}

Result<void> Index::upsert(Key key, VectorView vector) {
  return guarded("upsert", [&]() -> Result<void> {
    if (auto ok = impl_->check_change("upsert", vector); !ok) return ok;
    return impl_->changes->upsert(key, vector.data());
  });
}

Result<void> Index::remove(Key key) {
  return guarded("remove", [&]() -> Result<void> {
    if (auto ok = impl_->check_process("remove"); !ok) return ok;
    if (impl_->read_only) {
      return Error(ErrorCode::read_only, "remove: the index is open for reading");
    }
    return impl_->changes->remove(key);
  });
}

Result<void> Index::build(std::span<const Key> keys, MatrixView rows, const BuildOptions& options) {
  return guarded("build", [&]() -> Result<void> {
    if (auto ok = impl_->check_process("build"); !ok) return ok;
    if (impl_->read_only) {
      return Error(ErrorCode::read_only, "build: the index is open for reading");
    }
    if (keys.size() != rows.rows) {
      return Error(ErrorCode::invalid_argument, "build: " + std::to_string(keys.size()) +
                                                    " keys for " + std::to_string(rows.rows) +
                                                    " rows");
    }
    if (auto ok = check_matrix("build", rows, impl_->params, Purpose::store); !ok) return ok;
    if (impl_->durable) return impl_->build_file(keys, rows, options);
    const std::lock_guard lock(impl_->writer);
    if (impl_->store.count() != 0 && !impl_->changes->clear_empty()) return impl_->not_empty();
    KeyTable& table = *impl_->table;
    const KeyHash before = table.key_hash();
    const auto seed = hash_seed_for(impl_->store.parameters(), keys, rows_of(rows));
    if (!seed) return seed.error();
    table.use({params().seed, *seed});
    auto built = build_graph(impl_->store, table, keys, rows, options);
    if (!built) table.use(before);
    return built;
  });
}

bool Index::contains(Key key) const {
  const auto found = guarded("contains", [&]() -> Result<bool> {
    if (auto ok = impl_->check_mapped("contains"); !ok) return ok.error();
    bool is_there = false;
    std::optional<Error> failed;
    auto looked = impl_->look_at_one_moment([&] {
      GraphView view{};
      const auto node = impl_->find(key, &view);
      failed = node ? std::nullopt : std::optional(node.error());
      is_there = node && node->has_value();
      return view;
    });
    if (!looked) return looked.error();
    if (failed) return *failed;
    return is_there;
  });
  return found && *found;
}

Result<std::size_t> Index::get(Key key, std::span<float> out) const {
  return guarded("get", [&]() -> Result<std::size_t> {
    if (auto ok = impl_->check_mapped("get"); !ok) return ok.error();
    if (out.size() < impl_->params.dimensions) {
      return Error(ErrorCode::dimension_mismatch, "get: room for " + std::to_string(out.size()) +
                                                      " components, the index has " +
                                                      std::to_string(impl_->params.dimensions));
    }
    const IndexParams& params = impl_->params;
    bool found = false;
    bool readable = true;
    const auto looked = impl_->look_at_one_moment([&] {
      GraphView view{};
      const auto node = impl_->find(key, &view);
      found = node && node->has_value();
      readable = node.has_value();
      if (found) {
        readable = impl_->survives(view, [&] {
          to_floats(params.scalar, view.vector(**node), 0, params.dimensions, out.data());
        });
      }
      return view;
    });
    if (!looked) return looked.error().with_context("get");
    if (!readable) return impl_->unreadable().with_context("get");
    if (!found) return Error(ErrorCode::key_not_found, "get: no key " + std::to_string(key));
    return params.dimensions;
  });
}

Result<std::size_t> Index::search(VectorView query, const SearchParams& params,
                                  std::span<Match> out) const {
  return guarded("search", [&]() -> Result<std::size_t> {
    if (auto ok = impl_->check_mapped("search"); !ok) return ok.error();
    if (auto ok = check_search("search", params); !ok) return ok.error();
    if (auto ok = check_vector("search", query, impl_->params, Purpose::query); !ok)
      return ok.error();
    auto scratch = impl_->scratch.take();
    impl_->searches.add(1);
    std::size_t found = 0;
    bool readable = true;
    const auto looked = impl_->look_at_one_moment([&] {
      const Space space = impl_->space();
      readable = impl_->survives(space.view(),
                                 [&] { found = knn_search(space, query, params, *scratch, out); });
      return space.view();
    });
    if (!looked) return looked.error().with_context("search");
    if (!readable) return impl_->unreadable().with_context("search");
    return found;
  });
}

Result<std::vector<Match>> Index::search(VectorView query, const SearchParams& params) const {
  return guarded("search", [&]() -> Result<std::vector<Match>> {
    if (auto ok = impl_->check_mapped("search"); !ok) return ok.error();
    for (;;) {
      std::vector<Match> matches(std::min<std::size_t>(params.k, impl_->view().count));
      auto found = search(query, params, matches);
      if (!found) return found.error();
      // There may be more by now, and then the answer was cut short.
      const bool is_full = *found == matches.size() && matches.size() < params.k;
      if (is_full && impl_->view().count > matches.size()) continue;
      matches.resize(*found);
      return matches;
    }
  });
}

Result<void> Index::search_batch(MatrixView queries, const SearchParams& params,
                                 std::span<Match> out, std::span<std::size_t> counts,
                                 unsigned threads) const {
  return guarded("search_batch", [&]() -> Result<void> {
    if (auto ok = impl_->check_mapped("search_batch"); !ok) return ok;
    if (auto ok = check_search("search_batch", params); !ok) return ok;
    if (auto ok = check_matrix("search_batch", queries, impl_->params, Purpose::query); !ok)
      return ok;
    if (counts.size() < queries.rows || out.size() / params.k < queries.rows) {
      return Error(ErrorCode::invalid_argument, "search_batch: " + std::to_string(queries.rows) +
                                                    " queries with k " + std::to_string(params.k) +
                                                    " need more room than " +
                                                    std::to_string(out.size()) + " matches and " +
                                                    std::to_string(counts.size()) + " counts");
    }
    for (std::size_t i = 0; i < queries.rows; ++i) {
      if (check_vector("", queries.row(i), impl_->params, Purpose::query)) continue;
      const std::string where = "search_batch: row " + std::to_string(i);
      return check_vector(where.c_str(), queries.row(i), impl_->params, Purpose::query);
    }
    Workers workers(threads, queries.rows);
    std::mutex mutex;
    Result<void> outcome;  // guarded by mutex
    workers.run(queries.rows, 1, [&](unsigned, std::size_t begin, std::size_t end) {
      auto scratch = impl_->scratch.take();
      impl_->searches.add(end - begin);
      for (std::size_t i = begin; i < end; ++i) {
        bool readable = true;
        auto looked = impl_->look_at_one_moment([&] {
          const Space space = impl_->space();
          readable = impl_->survives(space.view(), [&] {
            counts[i] = knn_search(space, queries.row(i), params, *scratch,
                                   out.subspan(i * params.k, params.k));
          });
          return space.view();
        });
        if (looked && !readable) looked = impl_->unreadable();
        if (looked) continue;
        const std::lock_guard lock(mutex);
        outcome = looked.error().with_context("search_batch: row " + std::to_string(i));
        return;
      }
    });
    return outcome;
  });
}

// Changes wait for it, searches go on: those that have begun on the old memory end there.
Result<void> Index::compact(const BuildOptions& options) {
  return guarded("compact", [&]() -> Result<void> {
    if (auto ok = impl_->check_process("compact"); !ok) return ok;
    if (impl_->read_only) return {};
    if (impl_->durable) return impl_->compact_file(options);
    {
      const std::lock_guard lock(impl_->writer);
      const Pace pace(options, impl_->store.view().count, 3);
      auto copy = compact_copy(impl_->store, impl_->table->key_hash(), impl_->addresses,
                               options.threads, pace);
      if (!copy) return copy.error().with_context("compact");
      const std::lock_guard table_lock(impl_->table_mutex);
      impl_->changes->replace(std::move(copy->store), [&] { impl_->renew_table(*copy); });
      impl_->changes->adopt();
      ++impl_->compactions;
    }
    // The memory is given back now, unless a search takes long; then by a later change.
    for (int wait = 0; wait < 1000; ++wait) {
      {
        const std::lock_guard lock(impl_->writer);
        if (impl_->changes->release_retired()) break;
      }
      std::this_thread::sleep_for(std::chrono::microseconds(100));
    }
    return {};
  });
}

Result<VerifyReport> Index::verify(const BuildOptions& options) const {
  return guarded("verify", [&]() -> Result<VerifyReport> {
    if (auto ok = impl_->check_process("verify"); !ok) return ok.error();
    return impl_->again_if_busy("verify", [&] { return impl_->verify(options); });
  });
}

Result<VerifyReport> Index::Impl::verify(const BuildOptions& options) const {
  if (read_only) return verify_held(options);
  writer.let_others_pass();
  std::unique_lock lock(writer);
  const Durable::File file = durable ? durable->file() : nullptr;
  const std::uint64_t pages = file ? file->stats().file_bytes / format::kPageSize : 0;
  return verify_parts(store, *table, pages, options,
                      [&](const PageProgress& progress) -> Result<format::Container::PageReport> {
                        if (!file) return format::Container::PageReport{};
                        // A checkpoint holds what the check of its pages waits for, and waits for
                        // this mutex itself.
                        lock.unlock();
                        auto checked = file->verify_pages(options.threads, progress, options.stop);
                        lock.lock();
                        return checked;
                      });
}

Result<VerifyReport> Index::Impl::verify_parts(const NodeStore& store, const KeyTable& table,
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
  const ValidateOptions validate{options.threads,
                                 [&](std::uint64_t done) { progress(pages + done); }, options.stop};
  if (auto ok = validate_graph(store, table, table.size(), validate, report); !ok) {
    return ok.error();
  }
  return report;
}

std::size_t Index::size() const { return impl_->is_cut_off ? 0 : impl_->size(); }

const IndexParams& Index::params() const { return impl_->params; }

Stats Index::stats() const {
  Stats stats;
  if (impl_->is_cut_off) return stats;
  const GraphView view = impl_->view();
  stats.live = size();
  stats.slots = view.count;
  const OperationCounts& done = impl_->changes->counts();
  stats.adds = done.adds.load(std::memory_order_relaxed);
  stats.upserts = done.upserts.load(std::memory_order_relaxed);
  stats.removes = done.removes.load(std::memory_order_relaxed);
  stats.dimensions = impl_->params.dimensions;
  stats.max_level = view.count > 0 ? view.max_level : 0;
  stats.hot_bytes = view.count * view.hot_stride + view.upper_count * view.upper_stride;
  stats.exact_bytes = std::uint64_t{view.count} * impl_->store.parameters().exact_stride;
  {
    const std::shared_lock lock(impl_->table_mutex);  // what it shows is not replaced meanwhile
    stats.deleted = impl_->store.deleted();
    stats.private_bytes = impl_->store.anonymous_bytes() + impl_->hash_region->anonymous_bytes() +
                          impl_->overflow_region->anonymous_bytes();
  }
  stats.searches = impl_->searches.sum();
  stats.compactions = impl_->compactions;
  impl_->file_stats(stats);
  stats.simd = simd::kernels().name;
  return stats;
}

SimdInfo simd_info() {
  SimdInfo info;
  const simd::Choices all = simd::choices();
  for (std::size_t i = 0; i < all.size; ++i) {
    info.compiled.emplace_back(all.data[i].table->name);
    if (all.data[i].available) info.available.emplace_back(all.data[i].table->name);
  }
  info.active = simd::kernels().name;
  return info;
}

}  // namespace cairn
