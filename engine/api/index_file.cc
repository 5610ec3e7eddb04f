// SPDX-License-Identifier: Apache-2.0
//
// The public class where it has to do with files: creating, opening, saving, writing anew. The file
// itself is format/'s, the log of changes durable.cc's.
#include <chrono>
#include <mutex>
#include <new>
#include <string>
#include <system_error>
#include <thread>
#include <utility>

#include "engine/api/index_impl.h"
#include "engine/api/pace.h"
#include "engine/base/guarded.h"
#include "engine/graph/build.h"
#include "format/container/save_target.h"

namespace cairn {

using format::Region;
using format::SectionId;

namespace {

format::WriteOptions write_options(Durability durability, unsigned group_ms,
                                   std::uint64_t max_vectors) {
  format::WriteOptions options = format::default_write_options();
  options.durability = durability;
  options.group_ms = group_ms;
  options.more_addresses = [max_vectors](const format::Parameters& parameters) {
    return addresses_for(parameters, max_vectors);
  };
  return options;
}

}  // namespace

Result<void> Index::Impl::write_to(Durable::File file, const std::filesystem::path& at) {
  std::error_code unknown;  // then the path as it was given must do
  path = std::filesystem::canonical(at, unknown);
  if (unknown) path = at;
  use_table(&file->section(SectionId::hash), &file->section(SectionId::overflow),
            file->hash_seed());
  if (auto ok = table->attach(file->counters()); !ok) return ok;
  durable = std::make_unique<Durable>(std::move(file), store, *table, writer);
  if (auto ok = durable->start(); !ok) return ok;
  changes->write_through(durable.get());
  const std::lock_guard lock(writer);
  changes->adopt();
  return {};
}

Error Index::Impl::cut_off(const char* what) const {
  if (durable) return format::in_file(what, path, format::opened_elsewhere());
  return Error(ErrorCode::unsupported,
               std::string(what) +
                   ": another thread was changing the index when this process was "
                   "forked");
}

// No other thread exists here: what others had locked is free again. A file that is written stays
// the parent's. What is in memory or only read goes on here, unless a change was under way.
void Index::Impl::after_fork() noexcept {
  if (durable) {
    is_cut_off = true;
    return;
  }
  if (!read_only) {
    if (!writer.try_lock()) is_torn = true;
  }
  new (&refreshing) std::mutex;
  new (&writer) CommitMutex;
  new (&table_mutex) std::shared_mutex;
  epochs.forget_readers();
}

Result<void> Index::Impl::renew_file(NodeStore& fresh, KeyTable& fresh_table, const Region& hash,
                                     const Region& overflow, const format::SaveOptions& options,
                                     Durable::File& old) {
  format::FileSystem& fs = format::default_file_system();
  if (auto ok = durable->file()->check_place(fs, path); !ok) return ok;
  auto content = snapshot_of(fresh, fresh_table, hash, overflow);
  content.counters.applied_up_to = durable->applied_up_to();
  std::optional<format::Unfinished> made;
  if (auto ok = format::write_container_beside(fs, path, content, options, made); !ok) return ok;
  auto opened = format::WritableContainer::open(fs, made->path(), file_options);
  if (!opened) return opened.error();
  auto file = std::make_shared<format::WritableContainer>(std::move(*opened));
  NodeStore attached =
      NodeStore::attach(file->parameters(), file->counters(), node_sections(*file));
  changes->make_room_to_replace();
  std::filesystem::path name = path;  // no memory is needed once the file has it
  if (format::is_stopped(options.stop)) return format::stopped();
  if (auto ok = durable->file()->check_place(fs, path); !ok) return ok;
  if (auto ok = fs.rename(made->path(), path); !ok) return ok;
  made->keep();
  file->renamed_to(std::move(name));
  // From here on the new file is the index. A change must not be acknowledged while a power loss
  // may bring the old one back.
  Result<void> synced;
  try {
    synced = fs.sync_directory(path.has_parent_path() ? path.parent_path() : ".");
  } catch (const std::bad_alloc&) {
    synced = Error(ErrorCode::io_error, "out of memory");
  }
  if (!synced) synced = file->fail(synced.error());
  old = durable->file();
  if (synced) old->abandon();
  const std::lock_guard table_lock(table_mutex);
  changes->replace(std::move(attached), [&] {
    renew_table(&file->section(SectionId::hash), &file->section(SectionId::overflow),
                {params.seed, file->hash_seed()}, file->counters());
  });
  durable->exchange(std::move(file));
  changes->adopt();
  return synced;
}

// Keeps a file that was replaced until no search needs it, whatever else fails. To be made before
// the mutex is locked.
struct Index::Impl::ReplacedFile {
  explicit ReplacedFile(Impl& owner) : impl(owner) {}
  ReplacedFile(const ReplacedFile&) = delete;
  ReplacedFile& operator=(const ReplacedFile&) = delete;
  ~ReplacedFile() {
    if (file) impl.await_retired();
  }
  // Overwrites it. REQUIRES: the mutex is not held.
  Result<void> erase() {
    impl.await_retired();
    auto erased = file->erase();
    if (erased) return erased;
    return erased.error().with_context("the new file is in place, but the old one is not erased");
  }
  Impl& impl;
  Durable::File file;
};

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
    if (auto ok = check_max_vectors("create", options.max_vectors); !ok) return ok.error();
    const auto wanted = write_options(options.durability, options.group_ms, options.max_vectors);
    format::Unfinished made(format::default_file_system(), path);
    auto created = format::WritableContainer::create(format::default_file_system(), path,
                                                     NodeStore::layout(params), wanted);
    if (!created) return created.error();
    made.is_there();
    auto file = std::make_shared<format::WritableContainer>(std::move(*created));
    auto impl = std::make_unique<Impl>(
        NodeStore::attach(file->parameters(), file->counters(), node_sections(*file)), false);
    impl->file_options = wanted;
    if (auto ok = impl->write_to(std::move(file), path); !ok) {
      return format::in_file("create", path, ok.error());
    }
    made.keep();
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

Result<std::unique_ptr<Index::Impl>> Index::Impl::open_to_write(const std::filesystem::path& path,
                                                                const OpenOptions& options) {
  if (auto ok = check_max_vectors("open", options.max_vectors); !ok) return ok.error();
  auto wanted = write_options(options.durability, options.group_ms, options.max_vectors);
  wanted.residency = options.residency;
  wanted.salvage = options.salvage;
  wanted.stop = options.stop;
  wanted.progress = options.progress;
  auto opened = format::WritableContainer::open(format::default_file_system(), path, wanted);
  if (!opened) return opened.error();
  auto file = std::make_shared<format::WritableContainer>(std::move(*opened));
  if (auto ok = check_opened(file->parameters(), file->counters()); !ok) {
    return ok.error().with_context("open " + path.string());
  }
  if (options.verify == Verify::full) {
    auto checked = file->verify_pages(0, nullptr, options.stop);
    if (!checked) return checked.error();
    if (!checked->findings.empty()) {
      return checked->first().with_context("open " + path.string());
    }
  }
  auto impl = std::make_unique<Impl>(
      NodeStore::attach(file->parameters(), file->counters(), node_sections(*file)), false);
  impl->file_options = write_options(options.durability, options.group_ms, options.max_vectors);
  impl->file_options.residency = options.residency;
  if (auto ok = impl->write_to(std::move(file), path); !ok) {
    return ok.error().with_context("open " + path.string());
  }
  format::remove_stale(format::default_file_system(), impl->path);
  return impl;
}

// In memory of its own, and then as a whole in the place of the empty file.
Result<void> Index::Impl::build_file(std::span<const Key> keys, const MatrixView& rows,
                                     const BuildOptions& options) {
  ReplacedFile old(*this);
  const std::lock_guard lock(writer);
  if (store.live() != 0) return not_empty();
  if (auto ok = durable->begin(); !ok) return ok.error().with_context("build");
  auto fresh = NodeStore::create(store.parameters());
  if (!fresh) return fresh.error();
  auto hash = Region::reserve_growing(format::kHugePage);
  if (!hash) return hash.error();
  auto overflow = Region::reserve_growing(format::kHugePage);
  if (!overflow) return overflow.error();
  KeyTable fresh_table(&*hash, &*overflow, fresh->key_region(), table->key_hash());
  if (auto ok = build_graph(*fresh, fresh_table, keys, rows, options); !ok) return ok;
  auto renewed =
      renew_file(*fresh, fresh_table, *hash, *overflow, {.stop = options.stop}, old.file);
  return renewed ? Result<void>() : renewed.error().with_context("build");
}

void Index::Impl::file_stats(Stats& stats) const {
  if (is_cut_off) return;
  const auto tell = [&](const format::LogLoss& loss) {
    stats.lost_frames = loss.frames();
    stats.first_lost_lsn = loss.first_lsn;
    stats.last_lost_lsn = loss.last_lsn;
    stats.live_before_loss = loss.live_before.value_or(0);
  };
  // Not `writer`, which is held as long as a build takes.
  const std::shared_lock lock(table_mutex);
  if (durable) {
    const format::WriteStats written = durable->file()->stats();
    stats.generation = written.generation;
    stats.file_bytes = written.file_bytes;
    stats.log_bytes = written.log_bytes;
    stats.log_frames = written.log_frames;
    stats.last_lsn = written.last_lsn;
    stats.durable_lsn = written.durable_lsn;
    stats.dirty_pages = written.dirty_pages;
    // Of a loaded file they are counted already.
    if (file_options.residency == Residency::map) {
      stats.private_bytes += written.dirty_pages * format::kPageSize;
    }
    stats.checkpoints = durable->checkpoints();
    stats.failed_checkpoints = durable->failed_checkpoints();
    stats.poisoned = !durable->file()->health();
    stats.recovered_frames = durable->at_open().recovered_frames;
    stats.recovery_ns = durable->at_open().recovery_ns;
    tell(durable->at_open().loss);
  }
  if (container) {
    stats.generation = container->generation();
    stats.file_bytes = container->file_bytes();
    stats.recovered_frames = container->recovered_frames();
    stats.recovery_ns = container->recovery_ns();
    tell(container->loss());
  }
  stats.open_ns = open_ns;
}

Result<void> Index::save(const std::filesystem::path& path, const std::atomic<bool>* stop) const {
  return save(path, SaveOptions{.stop = stop});
}

Result<void> Index::save(const std::filesystem::path& path, const SaveOptions& options) const {
  return guarded("save", [&]() -> Result<void> {
    if (auto ok = impl_->check_process("save"); !ok) return ok;
    return impl_->again_if_busy("save " + path.string(),
                                [&] { return impl_->save(path, options); });
  });
}

Result<void> Index::check_save(const std::filesystem::path& path, const SaveOptions& options) {
  return guarded("save", [&] {
    return format::check_target(format::default_file_system(), path, options.existing);
  });
}

Result<void> Index::Impl::check_pages_of_writer(format::StopFlag stop) const {
  if (!durable) return {};
  Durable::File file;
  {
    const std::lock_guard lock(writer);
    file = durable->file();
  }
  auto checked = file->check_pages(stop);
  return checked ? checked : checked.error().with_context(path.string());
}

Result<void> Index::Impl::save(const std::filesystem::path& to, const SaveOptions& options) const {
  if (read_only) return save_held(to, options);
  if (auto ok = check_pages_of_writer(options.stop); !ok)
    return format::in_file("save", to, ok.error());
  writer.let_others_pass();
  const std::lock_guard lock(writer);
  if (durable) {
    if (auto ok = durable->file()->health(); !ok) return ok.error().with_context("save");
  }
  auto content = snapshot_of(store, *table, *hash_region, *overflow_region);
  content.counters.applied_up_to = applied();
  return format::write_container(format::default_file_system(), to, content,
                                 {.existing = options.existing, .stop = options.stop});
}

Result<void> Index::backup(const std::filesystem::path& path, const std::atomic<bool>* stop) const {
  return save(path, stop);
}

Result<void> Index::backup(const std::filesystem::path& path, const SaveOptions& options) const {
  return save(path, options);
}

Result<void> Index::sync() {
  return guarded("sync", [&]() -> Result<void> {
    if (auto ok = impl_->check_process("sync"); !ok) return ok;
    return impl_->durable ? impl_->durable->sync() : Result<void>();
  });
}

Result<void> Index::checkpoint(const std::atomic<bool>* stop) {
  return guarded("checkpoint", [&]() -> Result<void> {
    if (auto ok = impl_->check_process("checkpoint"); !ok) return ok;
    if (!impl_->durable) return {};
    auto made = impl_->durable->checkpoint(stop);
    if (made || made.error().code() != ErrorCode::cancelled) return made;
    return made.error().with_context("checkpoint");
  });
}

Result<void> Index::Impl::compact_file(const BuildOptions& options) {
  if (auto ok = check_pages_of_writer(options.stop); !ok) {
    return ok.error().with_context("compact");
  }
  ReplacedFile old(*this);
  std::unique_lock lock(writer);
  if (auto ok = durable->begin(); !ok) return ok.error().with_context("compact");
  if (options.erase) {
    if (auto ok = durable->file()->check_erase(); !ok) return ok.error().with_context("compact");
  }
  const std::uint64_t count = store.view().count;
  const Pace pace(options, count, 4);
  const auto step = [&](std::uint64_t done) {
    auto ok = durable->commit_part();
    return ok ? pace(done) : ok;
  };
  auto copy = compact_copy(store, table->key_hash(), {}, options.threads, step);
  if (!copy) return copy.error().with_context("compact");
  KeyTable copied(&copy->hash, &copy->overflow, copy->store.key_region(), table->key_hash());
  if (auto ok = copied.attach(copy->table); !ok) return ok.error().with_context("compact");
  const format::SaveOptions saving{
      .stop = options.stop, .progress = [&](std::uint64_t done, std::uint64_t total) {
        pace.show(3 * count + static_cast<std::uint64_t>(static_cast<double>(count) *
                                                         static_cast<double>(done) /
                                                         static_cast<double>(total)));
      }};
  auto renewed = renew_file(copy->store, copied, copy->hash, copy->overflow, saving, old.file);
  if (!renewed) return renewed.error().with_context("compact");
  ++compactions;
  if (!options.erase) return {};
  lock.unlock();
  auto erased = old.erase();
  return erased ? erased : erased.error().with_context("compact");
}

Result<std::uint64_t> Index::applied_up_to() const {
  if (auto ok = impl_->check_process("applied_up_to"); !ok) return ok.error();
  const std::lock_guard lock(impl_->writer);
  return impl_->applied();
}

Result<void> Index::set_applied_up_to(std::uint64_t lsn) {
  return guarded("set_applied_up_to", [&]() -> Result<void> {
    if (auto ok = impl_->check_process("set_applied_up_to"); !ok) return ok;
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

}  // namespace cairn
