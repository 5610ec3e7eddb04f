// SPDX-License-Identifier: Apache-2.0
//
// The public class: checks arguments, calls down, turns std::bad_alloc into out_of_memory. No
// algorithm.
#include <algorithm>
#include <chrono>
#include <memory>
#include <mutex>
#include <shared_mutex>
#include <string>
#include <utility>

#include "engine/api/arguments.h"
#include "engine/api/index_impl.h"
#include "engine/api/index_parts.h"
#include "engine/base/guarded.h"
#include "engine/base/workers.h"
#include "engine/vectors/components.h"
#include "format/container/save_target.h"
#include "simd/kernels.h"

namespace cairn {

Index::Index(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Index::Index(Index&&) noexcept = default;
Index& Index::operator=(Index&&) noexcept = default;
Index::~Index() = default;

Result<Index> Index::create(const IndexParams& params, const CreateOptions& options) {
  return guarded("create", [&]() -> Result<Index> {
    if (auto ok = check_params(params); !ok) return ok.error();
    if (auto ok = check_max_vectors("create", options.max_vectors); !ok) return ok.error();
    constexpr unsigned kAnyMs = 1;  // not used
    if (auto ok = check_durability("create", options.durability, kAnyMs); !ok) return ok.error();
    if (auto ok = check_simd(); !ok) return ok.error();
    auto impl = Impl::create(params, options);
    if (!impl) return impl.error();
    return Index(std::move(*impl));
  });
}

Result<Index> IndexParts::create(const IndexParams& params, const NodeStore::Reserve& reserve) {
  if (auto ok = check_params(params); !ok) return ok.error();
  if (auto ok = check_simd(); !ok) return ok.error();
  auto impl = Index::Impl::create(params, {}, reserve);
  if (!impl) return impl.error();
  return Index(std::move(*impl));
}

Result<Index> Index::create(const std::filesystem::path& path, const IndexParams& params,
                            const CreateOptions& options) {
  return IndexParts::create(path, params, options, {});
}

Result<Index> IndexParts::create(const std::filesystem::path& path, const IndexParams& params,
                                 const CreateOptions& options, const format::WriteOptions& sizes) {
  return guarded("create", [&]() -> Result<Index> {
    if (auto ok = check_params(params); !ok) return ok.error();
    if (auto ok = check_simd(); !ok) return ok.error();
    if (auto ok = check_max_vectors("create", options.max_vectors); !ok) return ok.error();
    if (auto ok = check_durability("create", options.durability, options.group_ms); !ok) {
      return ok.error();
    }
    auto impl = Index::Impl::create_file(path, params, options, sizes);
    if (!impl) return impl.error();
    return Index(std::move(*impl));
  });
}

Result<Index> Index::open(const std::filesystem::path& path, const OpenOptions& options) {
  return IndexParts::open(path, options, {});
}

Result<Index> IndexParts::open(const std::filesystem::path& path, const OpenOptions& options,
                               const format::WriteOptions& sizes) {
  return guarded("open", [&]() -> Result<Index> {
    const auto begin = std::chrono::steady_clock::now();
    if (auto ok = check_simd(); !ok) return ok.error();
    if (options.check != Check::none && options.mode != Mode::read_only) {
      return Error(ErrorCode::invalid_argument, "open: check is for an index that is only read");
    }
    auto impl = options.mode == Mode::read_write ? Index::Impl::open_to_write(path, options, sizes)
                                                 : Index::Impl::open_to_read(path, options);
    if (!impl) return impl.error();
    if (options.guard) {
      if (auto ok = format::install_fault_guard(); !ok) return ok.error();
      (*impl)->guards_reads = true;
    }
    (*impl)->open_ns =
        static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::nanoseconds>(
                                       std::chrono::steady_clock::now() - begin)
                                       .count());
    return Index(std::move(*impl));
  });
}

Result<void> Index::add(Key key, VectorView vector) {
  return guarded("add", [&]() -> Result<void> {
    if (auto ok = impl_->check_put("add", vector); !ok) return ok;
    return impl_->writer->add(key, vector.data());
  });
}

Result<void> Index::upsert(Key key, VectorView vector) {
  return guarded("upsert", [&]() -> Result<void> {
    if (auto ok = impl_->check_put("upsert", vector); !ok) return ok;
    return impl_->writer->upsert(key, vector.data());
  });
}

Result<void> Index::remove(Key key) {
  return guarded("remove", [&]() -> Result<void> {
    if (auto ok = impl_->home->check_change("remove"); !ok) return ok;
    return impl_->writer->remove(key);
  });
}

Result<void> Index::build(std::span<const Key> keys, MatrixView rows, const BuildOptions& options) {
  return guarded("build", [&]() -> Result<void> {
    if (auto ok = impl_->home->check_change("build"); !ok) return ok;
    if (keys.size() != rows.rows) {
      return Error(ErrorCode::invalid_argument, "build: " + std::to_string(keys.size()) +
                                                    " keys for " + std::to_string(rows.rows) +
                                                    " rows");
    }
    if (auto ok = check_matrix("build", rows, impl_->params, Purpose::store); !ok) return ok;
    return impl_->home->build(keys, rows, options);
  });
}

bool Index::contains(Key key) const {
  const auto found = guarded("contains", [&]() -> Result<bool> {
    if (auto ok = impl_->check_mapped("contains"); !ok) return ok.error();
    bool is_there = false;
    std::optional<Error> failed;
    PageUse use;
    auto looked = impl_->look_at_one_moment([&] {
      GraphView view{};
      const auto node = impl_->find(key, &view, &use);
      failed = node ? use.bad() : std::optional(node.error());
      is_there = node && node->has_value();
      return view;
    });
    if (!looked) return looked.error();
    if (failed) return *failed;
    return is_there;
  });
  return found && *found;
}

Result<std::size_t> Index::get(Key key, std::span<float> out) const { return get(key, 0, out); }

Result<std::size_t> Index::get(Key key, std::size_t i, std::span<float> out) const {
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
    PageUse use;
    const auto looked = impl_->look_at_one_moment([&] {
      GraphView view{};
      const auto node = impl_->find(key, i, &view, &use);
      found = node && node->has_value();
      readable = node.has_value();
      if (found) {
        if (use.checks()) use.read_vectors(&**node, 1);
        readable = impl_->survives(view, [&] {
          to_floats(params.scalar, view.vector(**node), 0, params.dimensions, out.data());
        });
      }
      return view;
    });
    if (!looked) return looked.error().with_context("get");
    if (!readable) return impl_->unreadable().with_context("get");
    if (use.bad()) return use.bad()->with_context("get");
    if (!found) {
      const std::string what = i == 0 ? "no key " : "no vector " + std::to_string(i) + " of key ";
      return Error(ErrorCode::key_not_found, "get: " + what + std::to_string(key));
    }
    return params.dimensions;
  });
}

std::size_t Index::count(Key key) const {
  const auto counted = guarded("count", [&]() -> Result<std::size_t> {
    if (auto ok = impl_->check_mapped("count"); !ok) return ok.error();
    Result<std::vector<NodeId>> nodes = std::vector<NodeId>();
    PageUse use;
    const auto looked = impl_->look_at_one_moment([&] {
      GraphView view{};
      nodes = impl_->all_nodes_of(key, &view, &use);
      return view;
    });
    if (!looked) return looked.error();
    if (!nodes) return nodes.error();
    if (use.bad()) return *use.bad();
    return nodes->size();
  });
  return counted ? *counted : 0;
}

Result<void> Index::compact(const BuildOptions& options) {
  return guarded("compact", [&]() -> Result<void> {
    if (auto ok = impl_->home->check_process("compact"); !ok) return ok;
    return impl_->home->compact(options);
  });
}

Result<VerifyReport> Index::verify(const BuildOptions& options) const {
  return guarded("verify", [&]() -> Result<VerifyReport> {
    if (auto ok = impl_->home->check_process("verify"); !ok) return ok.error();
    return impl_->home->verify(options);
  });
}

Result<void> Index::save(const std::filesystem::path& path, const std::atomic<bool>* stop) const {
  return save(path, SaveOptions{.stop = stop});
}

Result<void> Index::save(const std::filesystem::path& path, const SaveOptions& options) const {
  return guarded("save", [&]() -> Result<void> {
    if (auto ok = impl_->home->check_process("save"); !ok) return ok;
    return impl_->home->save(path, options);
  });
}

Result<void> Index::check_save(const std::filesystem::path& path, const SaveOptions& options) {
  return guarded("save", [&] {
    return format::check_target(format::default_file_system(), path, options.existing);
  });
}

Result<void> Index::backup(const std::filesystem::path& path, const std::atomic<bool>* stop) const {
  return save(path, stop);
}

Result<void> Index::backup(const std::filesystem::path& path, const SaveOptions& options) const {
  return save(path, options);
}

Result<void> Index::sync() {
  return guarded("sync", [&]() -> Result<void> {
    if (auto ok = impl_->home->check_process("sync"); !ok) return ok;
    return impl_->home->sync();
  });
}

Result<void> Index::checkpoint(const std::atomic<bool>* stop) {
  return guarded("checkpoint", [&]() -> Result<void> {
    if (auto ok = impl_->home->check_process("checkpoint"); !ok) return ok;
    return impl_->home->checkpoint(stop);
  });
}

Result<void> Index::refresh() {
  return guarded("refresh", [&]() -> Result<void> {
    auto done = impl_->home->refresh();
    return done ? done : done.error().with_context("refresh");
  });
}

Result<void> Index::warm() const {
  return guarded("warm", [&]() -> Result<void> {
    auto warmed = impl_->home->warm();
    return warmed ? warmed : warmed.error().with_context("warm");
  });
}

Result<void> Index::release() const {
  return guarded("release", [&]() -> Result<void> {
    auto released = impl_->home->release();
    return released ? released : released.error().with_context("release");
  });
}

Result<std::uint64_t> Index::applied_up_to() const {
  if (auto ok = impl_->home->check_process("applied_up_to"); !ok) return ok.error();
  return impl_->home->applied_up_to();
}

Result<void> Index::set_applied_up_to(std::uint64_t lsn) {
  return guarded("set_applied_up_to", [&]() -> Result<void> {
    if (auto ok = impl_->home->check_change("set_applied_up_to"); !ok) return ok;
    return impl_->home->set_applied_up_to(lsn);
  });
}

Result<void> Index::set_advised_ef(std::size_t ef) {
  return guarded("set_advised_ef", [&]() -> Result<void> {
    if (auto ok = impl_->home->check_change("set_advised_ef"); !ok) return ok;
    if (ef > format::kMaxAdvisedEf) {
      return Error(ErrorCode::invalid_argument, "set_advised_ef: " + std::to_string(ef) +
                                                    " is more than " +
                                                    std::to_string(format::kMaxAdvisedEf));
    }
    return impl_->home->set_advised_ef(static_cast<std::uint32_t>(ef));
  });
}

std::size_t Index::size() const { return impl_->is_cut_off ? 0 : impl_->size(); }

const IndexParams& Index::params() const { return impl_->params; }

Stats Index::stats() const {
  Stats stats;
  if (impl_->is_cut_off) return stats;
  const GraphView view = impl_->view();
  stats.live = size();
  stats.keys = impl_->key_count();
  stats.slots = view.count;
  const OperationCounts& done = impl_->writer->counts();
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
  stats.open_ns = impl_->open_ns;
  stats.advised_ef = impl_->advised_ef;
  if (const LatencyHistogram times = impl_->latency.read(); times.count != 0) {
    const auto ns = [&](double q) {
      return static_cast<std::uint64_t>(times.quantile_us(q) * 1e3);
    };
    stats.timed_searches = times.count;
    stats.p50_ns = ns(0.5);
    stats.p90_ns = ns(0.9);
    stats.p99_ns = ns(0.99);
    stats.p999_ns = ns(0.999);
  }
  impl_->home->tell(stats);
  stats.simd = simd::kernels().name;
  return stats;
}

void Index::record_latency(bool on) {
  (void)guarded("record_latency", [&]() -> Result<void> {
    impl_->latency.turn(on);
    return {};
  });
}

LatencyHistogram Index::latency() const { return impl_->latency.read(); }

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
