// SPDX-License-Identifier: Apache-2.0
//
// The public class: checks arguments, takes locks, calls down, turns std::bad_alloc into
// out_of_memory. No algorithm.
#include <cairn/index.h>

#include <algorithm>
#include <chrono>
#include <mutex>
#include <new>
#include <optional>
#include <shared_mutex>
#include <string>
#include <system_error>
#include <thread>
#include <utility>

#include "engine/build.h"
#include "engine/compact.h"
#include "engine/components.h"
#include "engine/durable.h"
#include "engine/epochs.h"
#include "engine/key_table.h"
#include "engine/node_store.h"
#include "engine/persist.h"
#include "engine/search.h"
#include "engine/validate.h"
#include "engine/workers.h"
#include "engine/writer.h"
#include "format/container.h"
#include "format/writable_container.h"
#include "simd/kernels.h"

namespace cairn {

using format::Container;
using format::Region;
using format::SectionId;

namespace {

constexpr std::uint32_t kMinM = 2;
constexpr std::uint32_t kMaxM = 256;
constexpr std::uint32_t kMaxEfConstruction = 65536;

std::string text(std::uint64_t value) { return std::to_string(value); }

// Runs `body`, whose type is a Result; what the standard library throws becomes an Error.
template <class Body>
auto guarded(const char* what, Body&& body) -> decltype(body()) {
  try {
    return body();
  } catch (const std::bad_alloc&) {
    return Error(ErrorCode::out_of_memory, std::string(what) + ": out of memory");
  } catch (const std::length_error&) {
    return Error(ErrorCode::out_of_memory,
                 std::string(what) + ": more memory than can be addressed");
  } catch (const std::exception& e) {
    return Error(ErrorCode::internal, std::string(what) + ": " + e.what());
  }
}

const char* name_of(Metric metric) {
  switch (metric) {
    case Metric::cosine: return "cosine";
    case Metric::l2sq: return "l2sq";
    case Metric::inner_product: return "inner_product";
    case Metric::hamming: return "hamming";
  }
  return "unknown";
}

std::size_t component_alignment(Scalar scalar) {
  switch (scalar) {
    case Scalar::f32: return alignof(float);
    case Scalar::f16:
    case Scalar::bf16: return alignof(std::uint16_t);
    case Scalar::i8:
    case Scalar::b1: break;
  }
  return 1;
}

Result<void> check_simd() {
  if (const char* problem = simd::active().problem) {
    return Error(ErrorCode::unsupported, std::string("CAIRN_SIMD: ") + problem);
  }
  return {};
}

Result<void> check_params(const IndexParams& params) {
  const auto invalid = [](std::string message) {
    return Error(ErrorCode::invalid_argument, "create: " + std::move(message));
  };
  if (params.dimensions == 0 || params.dimensions > format::kMaxDimensions) {
    return invalid("dimensions is " + text(params.dimensions) + ", must be 1 to " +
                   text(format::kMaxDimensions));
  }
  if (params.metric < Metric::cosine || params.metric > Metric::hamming) {
    return invalid("metric " + text(static_cast<std::uint8_t>(params.metric)) + " is unknown");
  }
  if (params.scalar < Scalar::f32 || params.scalar > Scalar::b1) {
    return invalid("scalar " + text(static_cast<std::uint8_t>(params.scalar)) + " is unknown");
  }
  if (params.traversal > Traversal::exact) {
    return invalid("traversal " + text(static_cast<std::uint8_t>(params.traversal)) +
                   " is unknown");
  }
  if (params.m < kMinM || params.m > kMaxM) {
    return invalid("m is " + text(params.m) + ", must be " + text(kMinM) + " to " + text(kMaxM));
  }
  if (params.ef_construction == 0 || params.ef_construction > kMaxEfConstruction) {
    return invalid("ef_construction is " + text(params.ef_construction) + ", must be 1 to " +
                   text(kMaxEfConstruction));
  }
  const std::string kind = name_of(params.scalar);
  if (params.scalar == Scalar::b1 && params.metric != Metric::hamming) {
    return invalid("scalar b1 needs metric hamming, not " + std::string(name_of(params.metric)));
  }
  if (params.scalar != Scalar::b1 && params.metric == Metric::hamming) {
    return invalid("metric hamming needs scalar b1, not " + kind);
  }
  if (params.traversal == Traversal::code &&
      (params.scalar == Scalar::i8 || params.scalar == Scalar::b1)) {
    return invalid("scalar " + kind + " has no codes: traversal must be automatic or exact");
  }
  return {};
}

// What a vector is given for: queries of f16 and bf16 indexes may be f32.
enum class Purpose { store, query };

Result<void> check_kind(const char* what, const char* given, Scalar scalar,
                        const IndexParams& params, Purpose purpose) {
  const bool half = params.scalar == Scalar::f16 || params.scalar == Scalar::bf16;
  if (scalar == params.scalar) return {};
  if (purpose == Purpose::query && half && scalar == Scalar::f32) return {};
  return Error(ErrorCode::invalid_argument, std::string(what) + ": " + given + " " +
                                                name_of(scalar) + ", the index holds " +
                                                name_of(params.scalar));
}

Result<void> check_vector(const char* what, VectorView vector, const IndexParams& params,
                          Purpose purpose) {
  if (auto ok = check_kind(what, "the vector is", vector.scalar(), params, purpose); !ok) return ok;
  if (vector.dims() != params.dimensions) {
    return Error(ErrorCode::dimension_mismatch,
                 std::string(what) + ": the vector has " + text(vector.dims()) +
                     " dimensions, the index " + text(params.dimensions));
  }
  if (vector.data() == nullptr) {
    return Error(ErrorCode::invalid_argument, std::string(what) + ": the vector is null");
  }
  if (!well_formed(vector)) return defect_of(vector).with_context(what);
  return {};
}

Result<void> check_search(const char* what, const SearchParams& params) {
  if (params.k > 0 && params.ef > 0) return {};
  return Error(ErrorCode::invalid_argument,
               std::string(what) + ": " + (params.k == 0 ? "k" : "ef") + " is 0");
}

Result<void> check_matrix(const char* what, const MatrixView& rows, const IndexParams& params,
                          Purpose purpose) {
  const auto fail = [&](ErrorCode code, std::string message) {
    return Error(code, std::string(what) + ": " + std::move(message));
  };
  if (auto ok = check_kind(what, "the rows are", rows.scalar, params, purpose); !ok) return ok;
  if (rows.dims != params.dimensions) {
    return fail(
        ErrorCode::dimension_mismatch,
        "the rows have " + text(rows.dims) + " dimensions, the index " + text(params.dimensions));
  }
  if (rows.rows == 0) return {};
  if (rows.data == nullptr) return fail(ErrorCode::invalid_argument, "the rows are null");
  if (rows.stride_bytes < vector_bytes(rows.scalar, rows.dims) ||
      rows.stride_bytes % component_alignment(rows.scalar) != 0) {
    return fail(ErrorCode::invalid_argument, "a stride of " + text(rows.stride_bytes) +
                                                 " bytes does not fit " + text(rows.dims) +
                                                 " dimensions of " + name_of(rows.scalar));
  }
  return {};
}

}  // namespace

struct Index::Impl {
  explicit Impl(NodeStore nodes, bool is_read_only)
      : params(params_of(nodes.parameters())), store(std::move(nodes)), read_only(is_read_only) {}

  void use_table(Region* hash, Region* overflow) {
    hash_region = hash;
    overflow_region = overflow;
    table.emplace(hash, overflow, store.key_region(), params.seed);
    changes.emplace(store, *table, writer, table_mutex, epochs);
  }

  // Another table takes the place of this one. Its counters fit: they are those that it had.
  void renew_table(Region* hash, Region* overflow, const format::Counters& counters) {
    hash_region = hash;
    overflow_region = overflow;
    *table = KeyTable(hash_region, overflow_region, store.key_region(), params.seed);
    (void)table->attach(counters);
  }
  void renew_table(CompactCopy& copy) {
    owned_hash = std::move(copy.hash);
    owned_overflow = std::move(copy.overflow);
    renew_table(&owned_hash, &owned_overflow, copy.table);
  }

  static Result<std::unique_ptr<Impl>> open_to_read(const std::filesystem::path& path,
                                                    const OpenOptions& options);
  static Result<std::unique_ptr<Impl>> open_to_write(const std::filesystem::path& path,
                                                     const OpenOptions& options);
  // Begins to write to a file that has just been created or opened.
  Result<void> write_to(Durable::File file, const std::filesystem::path& path);
  // The file, and what is searched, become `fresh`: written beside the file, synced, renamed over
  // it. On an error nothing has changed. REQUIRES: `writer` is held.
  Result<void> renew_file(NodeStore& fresh, KeyTable& fresh_table, const Region& hash,
                          const Region& overflow, Durable::File& old);
  template <class NotEmpty>
  Result<void> build_file(std::span<const Key> keys, const MatrixView& rows,
                          const BuildOptions& options, NotEmpty&& not_empty);
  Result<void> compact_file();
  // Waits for the searches that may still use what was replaced.
  void await_retired();
  format::Snapshot snapshot() const {
    auto taken = snapshot_of(store, *table, *hash_region, *overflow_region);
    taken.counters.applied_up_to = applied();
    return taken;
  }
  std::uint64_t applied() const { return durable ? durable->applied_up_to() : applied_up_to; }

  // The table is another thread's alone while build() fills it, and until then no node is
  // published. `view`: one in which the number is right.
  std::optional<NodeId> find(Key key, GraphView* view = nullptr) const {
    const std::shared_lock lock(table_mutex);
    if (store.count() == 0) return std::nullopt;
    if (view != nullptr) *view = store.view();
    return table->find(key, store.count());
  }
  std::size_t size() const {
    const std::shared_lock lock(table_mutex);
    return store.count() == 0 ? 0 : table->size();
  }
  Space space() const { return Space(store.parameters(), store.view()); }

  // Checks what add() and upsert() have in common.
  Result<void> check_change(const char* what, VectorView vector) const {
    if (read_only) {
      return Error(ErrorCode::read_only, std::string(what) + ": the index is open for reading");
    }
    return check_vector(what, vector, params, Purpose::store);
  }

  const IndexParams params;
  std::unique_ptr<Container> container;  // of a file that is only read
  std::filesystem::path path;            // of the file, if there is one
  OpenOptions open_options;              // of a file that is only read
  format::WriteOptions file_options;     // of one that is written
  Region owned_hash;
  Region owned_overflow;
  Region* hash_region = nullptr;
  Region* overflow_region = nullptr;

  NodeStore store;  // changed under `writer`
  // Guarded by `table_mutex` as soon as there are nodes; changed under `writer`.
  std::optional<KeyTable> table;
  const bool read_only;
  std::uint64_t open_ns = 0;
  mutable ScratchPool scratch;

  // Lock order: writer, then table_mutex.
  mutable std::mutex writer;
  mutable std::shared_mutex table_mutex;
  mutable Epochs epochs;  // of searches and look-ups
  std::optional<Writer> changes;
  std::uint64_t applied_up_to = 0;   // guarded by `writer`; of an index without a file of its own
  std::unique_ptr<Durable> durable;  // ends first: closing the file stores to the sections
};

Index::Index(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Index::Index(Index&&) noexcept = default;
Index& Index::operator=(Index&&) noexcept = default;
Index::~Index() = default;

Result<Index> Index::create(const IndexParams& params) {
  return guarded("create", [&]() -> Result<Index> {
    if (auto ok = check_params(params); !ok) return ok.error();
    if (auto ok = check_simd(); !ok) return ok.error();
    auto store = NodeStore::create(NodeStore::layout(params));
    if (!store) return store.error();
    auto impl = std::make_unique<Impl>(std::move(*store), false);
    // A bucket for every six keys or so: half the bytes of the KEY section are plenty of addresses.
    const std::size_t addresses = impl->store.key_region()->capacity();
    auto hash = Region::reserve(format::kHugePage, 2 * addresses);
    if (!hash) return hash.error();
    auto overflow = Region::reserve(format::kHugePage, 2 * addresses);
    if (!overflow) return overflow.error();
    impl->owned_hash = std::move(*hash);
    impl->owned_overflow = std::move(*overflow);
    impl->use_table(&impl->owned_hash, &impl->owned_overflow);
    return Index(std::move(impl));
  });
}

namespace {

format::WriteOptions write_options(Durability durability, unsigned group_ms) {
  format::WriteOptions options;
  options.durability = durability;
  options.group_ms = group_ms;
  return options;
}

}  // namespace

Result<void> Index::Impl::write_to(Durable::File file, const std::filesystem::path& at) {
  std::error_code unknown;  // then the path as it was given must do
  path = std::filesystem::canonical(at, unknown);
  if (unknown) path = at;
  use_table(&file->section(SectionId::hash), &file->section(SectionId::overflow));
  if (auto ok = table->attach(file->counters()); !ok) return ok;
  durable = std::make_unique<Durable>(std::move(file), at, store, *table, writer);
  changes->write_through(durable.get());
  const std::lock_guard lock(writer);
  if (store.deleted() != 0) changes->adopt();
  return {};
}

Result<void> Index::Impl::renew_file(NodeStore& fresh, KeyTable& fresh_table, const Region& hash,
                                     const Region& overflow, Durable::File& old) {
  format::FileSystem& fs = format::default_file_system();
  auto content = snapshot_of(fresh, fresh_table, hash, overflow);
  content.counters.applied_up_to = durable->applied_up_to();
  const std::filesystem::path beside = path.parent_path() / ("." + path.filename().string() + "." +
                                                             text(fs.unique_number()) + ".tmp");
  const auto give_up = [&](Error error) {
    (void)fs.unlink(beside);  // the first error is the one to tell
    return error;
  };
  if (auto ok = format::write_container(fs, beside, content); !ok) return ok;
  auto opened = format::WritableContainer::open(fs, beside, file_options);
  if (!opened) return give_up(opened.error());
  auto file = std::make_shared<format::WritableContainer>(std::move(*opened));
  NodeStore attached =
      NodeStore::attach(file->parameters(), file->counters(), node_sections(*file));
  if (auto ok = fs.rename(beside, path); !ok) return give_up(ok.error());
  // From here on the new file is the index, even if the directory cannot be synced.
  auto synced = fs.sync_directory(path.has_parent_path() ? path.parent_path() : ".");
  const std::lock_guard table_lock(table_mutex);
  changes->replace(std::move(attached), [&] {
    renew_table(&file->section(SectionId::hash), &file->section(SectionId::overflow),
                file->counters());
  });
  old = durable->file();
  durable->exchange(std::move(file));
  if (store.deleted() != 0) changes->adopt();
  return synced;
}

void Index::Impl::await_retired() {
  for (;;) {
    {
      const std::lock_guard lock(writer);
      if (changes->release_retired()) return;
    }
    std::this_thread::sleep_for(std::chrono::microseconds(100));
  }
}

Result<Index> Index::create(const std::filesystem::path& path, const IndexParams& params,
                            const CreateOptions& options) {
  return guarded("create", [&]() -> Result<Index> {
    if (auto ok = check_params(params); !ok) return ok.error();
    if (auto ok = check_simd(); !ok) return ok.error();
    const auto wanted = write_options(options.durability, options.group_ms);
    auto created = format::WritableContainer::create(format::default_file_system(), path,
                                                     NodeStore::layout(params), wanted);
    if (!created) return created.error();
    auto file = std::make_shared<format::WritableContainer>(std::move(*created));
    auto impl = std::make_unique<Impl>(
        NodeStore::attach(file->parameters(), file->counters(), node_sections(*file)), false);
    impl->file_options = wanted;
    if (auto ok = impl->write_to(std::move(file), path); !ok) return ok.error();
    return Index(std::move(impl));
  });
}

Result<Index> Index::open(const std::filesystem::path& path, const OpenOptions& options) {
  return guarded("open", [&]() -> Result<Index> {
    const auto begin = std::chrono::steady_clock::now();
    if (auto ok = check_simd(); !ok) return ok.error();
    auto impl = options.mode == Mode::read_write ? Impl::open_to_write(path, options)
                                                 : Impl::open_to_read(path, options);
    if (!impl) return impl.error();
    (*impl)->open_ns =
        static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::nanoseconds>(
                                       std::chrono::steady_clock::now() - begin)
                                       .count());
    return Index(std::move(*impl));
  });
}

Result<std::unique_ptr<Index::Impl>> Index::Impl::open_to_read(const std::filesystem::path& path,
                                                               const OpenOptions& options) {
  auto opened = Container::open(format::default_file_system(), path, options.residency,
                                options.verify, options.salvage);
  if (!opened) return opened.error();
  auto container = std::make_unique<Container>(std::move(*opened));
  const format::Parameters& parameters = container->parameters();
  const format::Counters counters = container->counters();
  if (auto ok = check_params(params_of(parameters)); !ok) {
    return ok.error().with_context("open " + path.string());
  }
  auto impl = std::make_unique<Impl>(
      NodeStore::attach(parameters, counters, node_sections(*container)), true);
  impl->path = path;
  impl->applied_up_to = counters.applied_up_to;
  impl->open_options = options;
  impl->use_table(&container->section(SectionId::hash), &container->section(SectionId::overflow));
  impl->container = std::move(container);
  if (auto ok = impl->table->attach(counters); !ok) {
    return ok.error().with_context("open " + path.string());
  }
  return impl;
}

Result<std::unique_ptr<Index::Impl>> Index::Impl::open_to_write(const std::filesystem::path& path,
                                                                const OpenOptions& options) {
  if (options.residency == Residency::load) {
    return Error(ErrorCode::unsupported, "open " + path.string() + ": to write with load");
  }
  auto wanted = write_options(options.durability, options.group_ms);
  wanted.salvage = options.salvage;
  auto opened = format::WritableContainer::open(format::default_file_system(), path, wanted);
  if (!opened) return opened.error();
  auto file = std::make_shared<format::WritableContainer>(std::move(*opened));
  if (auto ok = check_params(params_of(file->parameters())); !ok) {
    return ok.error().with_context("open " + path.string());
  }
  if (options.verify == Verify::full) {
    auto checked = file->verify_pages(0, nullptr, nullptr);
    if (!checked) return checked.error();
    if (!checked->findings.empty()) {
      return Error(ErrorCode::corrupt, "open " + path.string() + ": " + checked->findings.front());
    }
  }
  auto impl = std::make_unique<Impl>(
      NodeStore::attach(file->parameters(), file->counters(), node_sections(*file)), false);
  wanted.salvage = false;
  impl->file_options = wanted;
  if (auto ok = impl->write_to(std::move(file), path); !ok) {
    return ok.error().with_context("open " + path.string());
  }
  return impl;
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
    if (impl_->read_only) {
      return Error(ErrorCode::read_only, "remove: the index is open for reading");
    }
    return impl_->changes->remove(key);
  });
}

Result<void> Index::build(std::span<const Key> keys, MatrixView rows, const BuildOptions& options) {
  return guarded("build", [&]() -> Result<void> {
    if (impl_->read_only) {
      return Error(ErrorCode::read_only, "build: the index is open for reading");
    }
    if (keys.size() != rows.rows) {
      return Error(ErrorCode::invalid_argument,
                   "build: " + text(keys.size()) + " keys for " + text(rows.rows) + " rows");
    }
    if (auto ok = check_matrix("build", rows, impl_->params, Purpose::store); !ok) return ok;
    const auto not_empty = [&] {
      return Error(ErrorCode::not_empty,
                   "build: the index holds " + text(impl_->store.live()) + " vectors");
    };
    if (impl_->durable) return impl_->build_file(keys, rows, options, not_empty);
    const std::lock_guard lock(impl_->writer);
    if (impl_->store.count() != 0 && !impl_->changes->clear_empty()) return not_empty();
    return build_graph(impl_->store, *impl_->table, keys, rows, options);
  });
}

// In memory of its own, and then as a whole in the place of the empty file.
template <class NotEmpty>
Result<void> Index::Impl::build_file(std::span<const Key> keys, const MatrixView& rows,
                                     const BuildOptions& options, NotEmpty&& not_empty) {
  Durable::File old;
  {
    const std::lock_guard lock(writer);
    if (store.live() != 0) return not_empty();
    if (auto ok = durable->begin(); !ok) return ok.error().with_context("build");
    auto fresh = NodeStore::create(store.parameters());
    if (!fresh) return fresh.error();
    auto hash = Region::reserve(format::kHugePage, hash_region->capacity());
    if (!hash) return hash.error();
    auto overflow = Region::reserve(format::kHugePage, overflow_region->capacity());
    if (!overflow) return overflow.error();
    KeyTable fresh_table(&*hash, &*overflow, fresh->key_region(), params.seed);
    if (auto ok = build_graph(*fresh, fresh_table, keys, rows, options); !ok) return ok;
    auto renewed = renew_file(*fresh, fresh_table, *hash, *overflow, old);
    if (!renewed) return renewed.error().with_context("build");
  }
  await_retired();
  return {};
}

bool Index::contains(Key key) const { return impl_->find(key).has_value(); }

Result<std::size_t> Index::get(Key key, std::span<float> out) const {
  return guarded("get", [&]() -> Result<std::size_t> {
    if (out.size() < impl_->params.dimensions) {
      return Error(ErrorCode::dimension_mismatch, "get: room for " + text(out.size()) +
                                                      " components, the index has " +
                                                      text(impl_->params.dimensions));
    }
    const Epochs::Guard guard(impl_->epochs);  // the slot is nobody else's meanwhile
    GraphView view{};
    const auto node = impl_->find(key, &view);
    if (!node) return Error(ErrorCode::key_not_found, "get: no key " + text(key));
    const IndexParams& params = impl_->params;
    to_floats(params.scalar, view.vector(*node), 0, params.dimensions, out.data());
    return impl_->params.dimensions;
  });
}

Result<std::size_t> Index::search(VectorView query, const SearchParams& params,
                                  std::span<Match> out) const {
  return guarded("search", [&]() -> Result<std::size_t> {
    if (auto ok = check_search("search", params); !ok) return ok.error();
    if (auto ok = check_vector("search", query, impl_->params, Purpose::query); !ok)
      return ok.error();
    auto scratch = impl_->scratch.take();
    const Epochs::Guard guard(impl_->epochs);
    return knn_search(impl_->space(), query, params, *scratch, out);
  });
}

Result<std::vector<Match>> Index::search(VectorView query, const SearchParams& params) const {
  return guarded("search", [&]() -> Result<std::vector<Match>> {
    std::vector<Match> matches(std::min<std::size_t>(params.k, impl_->store.count()));
    auto found = search(query, params, matches);
    if (!found) return found.error();
    matches.resize(*found);
    return matches;
  });
}

Result<void> Index::search_batch(MatrixView queries, const SearchParams& params,
                                 std::span<Match> out, std::span<std::size_t> counts,
                                 unsigned threads) const {
  return guarded("search_batch", [&]() -> Result<void> {
    if (auto ok = check_search("search_batch", params); !ok) return ok;
    if (auto ok = check_matrix("search_batch", queries, impl_->params, Purpose::query); !ok)
      return ok;
    if (counts.size() < queries.rows || out.size() / params.k < queries.rows) {
      return Error(ErrorCode::invalid_argument,
                   "search_batch: " + text(queries.rows) + " queries with k " + text(params.k) +
                       " need more room than " + text(out.size()) + " matches and " +
                       text(counts.size()) + " counts");
    }
    for (std::size_t i = 0; i < queries.rows; ++i) {
      if (check_vector("", queries.row(i), impl_->params, Purpose::query)) continue;
      const std::string where = "search_batch: row " + text(i);
      return check_vector(where.c_str(), queries.row(i), impl_->params, Purpose::query);
    }
    Workers workers(threads, queries.rows);
    workers.run(queries.rows, 1, [&](unsigned, std::size_t begin, std::size_t end) {
      auto scratch = impl_->scratch.take();
      for (std::size_t i = begin; i < end; ++i) {
        const Epochs::Guard guard(impl_->epochs);
        counts[i] = knn_search(impl_->space(), queries.row(i), params, *scratch,
                               out.subspan(i * params.k, params.k));
      }
    });
    return {};
  });
}

Result<void> Index::save(const std::filesystem::path& path) const {
  return guarded("save", [&]() -> Result<void> {
    const std::lock_guard lock(impl_->writer);
    if (impl_->durable) {
      if (auto ok = impl_->durable->file()->health(); !ok) return ok.error().with_context("save");
    }
    return format::write_container(format::default_file_system(), path, impl_->snapshot());
  });
}

Result<void> Index::backup(const std::filesystem::path& path) const { return save(path); }

Result<void> Index::sync() {
  return guarded("sync", [&]() -> Result<void> {
    return impl_->durable ? impl_->durable->sync() : Result<void>();
  });
}

Result<void> Index::checkpoint() {
  return guarded("checkpoint", [&]() -> Result<void> {
    return impl_->durable ? impl_->durable->checkpoint() : Result<void>();
  });
}

Result<void> Index::Impl::compact_file() {
  Durable::File old;
  {
    const std::lock_guard lock(writer);
    if (auto ok = durable->begin(); !ok) return ok.error().with_context("compact");
    auto copy = compact_copy(store, hash_region->capacity());
    if (!copy) return copy.error().with_context("compact");
    KeyTable copied(&copy->hash, &copy->overflow, copy->store.key_region(), params.seed);
    if (auto ok = copied.attach(copy->table); !ok) return ok.error().with_context("compact");
    auto renewed = renew_file(copy->store, copied, copy->hash, copy->overflow, old);
    if (!renewed) return renewed.error().with_context("compact");
  }
  await_retired();
  return {};
}

// Changes wait for it, searches go on: those that have begun on the old memory end there.
Result<void> Index::compact() {
  return guarded("compact", [&]() -> Result<void> {
    if (impl_->read_only) return {};
    if (impl_->durable) return impl_->compact_file();
    {
      const std::lock_guard lock(impl_->writer);
      auto copy = compact_copy(impl_->store, impl_->hash_region->capacity());
      if (!copy) return copy.error().with_context("compact");
      const std::lock_guard table_lock(impl_->table_mutex);
      impl_->changes->replace(std::move(copy->store), [&] { impl_->renew_table(*copy); });
      impl_->changes->adopt();
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

Result<void> Index::refresh() {
  return guarded("refresh", [&]() -> Result<void> {
    if (!impl_->container) return {};
    auto fresh = Impl::open_to_read(impl_->path, impl_->open_options);
    if (!fresh) return fresh.error().with_context("refresh");
    if ((*fresh)->store.parameters() != impl_->store.parameters()) {
      return Error(ErrorCode::invalid_argument,
                   "refresh: " + impl_->path.string() + " holds another kind of index now");
    }
    std::unique_ptr<Container> old;
    {
      const std::lock_guard lock(impl_->writer);
      const format::Counters counters = (*fresh)->container->counters();
      const std::lock_guard table_lock(impl_->table_mutex);
      impl_->changes->replace(std::move((*fresh)->store), [&] {
        impl_->renew_table((*fresh)->hash_region, (*fresh)->overflow_region, counters);
      });
      old = std::exchange(impl_->container, std::move((*fresh)->container));
      impl_->applied_up_to = counters.applied_up_to;
    }
    impl_->await_retired();
    return {};
  });
}

Result<std::uint64_t> Index::applied_up_to() const {
  const std::lock_guard lock(impl_->writer);
  return impl_->applied();
}

Result<void> Index::set_applied_up_to(std::uint64_t lsn) {
  return guarded("set_applied_up_to", [&]() -> Result<void> {
    if (impl_->read_only) {
      return Error(ErrorCode::read_only, "set_applied_up_to: the index is open for reading");
    }
    Durable::Pending pending;
    {
      const std::lock_guard lock(impl_->writer);
      if (!impl_->durable) {
        impl_->applied_up_to = lsn;
        return {};
      }
      if (auto ok = impl_->durable->begin(); !ok) {
        return ok.error().with_context("set_applied_up_to");
      }
      impl_->durable->set_applied_up_to(lsn);
      auto committed = impl_->durable->commit();
      if (!committed) return committed.error();
      pending = std::move(*committed);
    }
    return Durable::acknowledge(pending);
  });
}

Result<VerifyReport> Index::verify(const BuildOptions& options) const {
  return guarded("verify", [&]() -> Result<VerifyReport> {
    std::unique_lock lock(impl_->writer);
    VerifyReport report;
    const Durable::File file = impl_->durable ? impl_->durable->file() : nullptr;
    std::uint64_t pages = impl_->container ? impl_->container->page_count() : 0;
    if (file) pages = file->stats().file_bytes / format::kPageSize;
    const auto progress = [&](std::uint64_t done) {
      if (options.progress) options.progress(done, std::max(done, pages + impl_->store.count()));
    };
    if (impl_->container || file) {
      // A checkpoint holds what the check of its pages waits for, and waits for this mutex itself.
      if (file) lock.unlock();
      auto checked = file ? file->verify_pages(options.threads, progress, options.stop)
                          : impl_->container->verify_pages(options.threads, progress, options.stop);
      if (!checked) return checked.error();
      report.pages_checked = checked->pages_checked;
      report.findings = std::move(checked->findings);
      if (file) lock.lock();
    }
    const ValidateOptions validate{
        options.threads, [&](std::uint64_t done) { progress(pages + done); }, options.stop};
    const std::uint64_t live = impl_->table->size();
    if (auto ok = validate_graph(impl_->store, *impl_->table, live, validate, report); !ok) {
      return ok.error();
    }
    return report;
  });
}

Result<void> Index::warm() const {
  return guarded("warm", [&]() -> Result<void> {
    const std::lock_guard lock(impl_->writer);
    if (!impl_->container) return {};
    auto warmed = impl_->container->warm();
    return warmed ? Result<void>() : warmed.error().with_context("warm");
  });
}

Result<void> Index::release() const {
  return guarded("release", [&]() -> Result<void> {
    const std::lock_guard lock(impl_->writer);
    if (!impl_->container) return {};
    auto released = impl_->container->release();
    return released ? Result<void>() : released.error().with_context("release");
  });
}

std::size_t Index::size() const { return impl_->size(); }

const IndexParams& Index::params() const { return impl_->params; }

Stats Index::stats() const {
  Stats stats;
  const GraphView view = impl_->store.view();
  stats.live = size();
  stats.deleted = impl_->store.deleted();
  stats.slots = view.count;
  const OperationCounts& done = impl_->changes->counts();
  stats.adds = done.adds.load(std::memory_order_relaxed);
  stats.upserts = done.upserts.load(std::memory_order_relaxed);
  stats.removes = done.removes.load(std::memory_order_relaxed);
  stats.dimensions = impl_->params.dimensions;
  stats.max_level = view.count > 0 ? view.max_level : 0;
  stats.hot_bytes = view.count * view.hot_stride + view.upper_count * view.upper_stride;
  stats.exact_bytes = std::uint64_t{view.count} * impl_->store.parameters().exact_stride;
  stats.private_bytes = impl_->store.anonymous_bytes() + impl_->hash_region->anonymous_bytes() +
                        impl_->overflow_region->anonymous_bytes();
  std::unique_lock<std::mutex> lock;
  if (impl_->durable || impl_->container) lock = std::unique_lock(impl_->writer);
  if (impl_->durable) {
    const format::WriteStats written = impl_->durable->file()->stats();
    stats.generation = written.generation;
    stats.file_bytes = written.file_bytes;
    stats.log_bytes = written.log_bytes;
    stats.dirty_pages = written.dirty_pages;
    stats.checkpoints = written.checkpoints;
    stats.recovered_frames = written.recovered_frames;
    stats.private_bytes += written.dirty_pages * format::kPageSize;
  }
  if (impl_->container) {
    stats.generation = impl_->container->generation();
    stats.file_bytes = impl_->container->file_bytes();
  }
  stats.open_ns = impl_->open_ns;
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
