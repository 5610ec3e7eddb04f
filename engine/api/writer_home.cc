// SPDX-License-Identifier: Apache-2.0
#include "engine/api/writer_home.h"

#include <chrono>
#include <memory>
#include <mutex>
#include <new>
#include <optional>
#include <shared_mutex>
#include <string>
#include <system_error>
#include <utility>

#include "engine/api/index_impl.h"
#include "engine/api/pace.h"
#include "engine/api/persist.h"
#include "engine/base/assert.h"
#include "engine/graph/build.h"
#include "engine/graph/compact.h"
#include "format/container/save_target.h"

namespace cairn {

using format::Region;
using format::SectionId;

namespace {

// `given`: CreateOptions or OpenOptions.
template <class Options>
format::WriteOptions write_options(const Options& given, const format::WriteOptions& sizes) {
  format::WriteOptions options;
  options.segment_bytes = sizes.segment_bytes;
  options.first_run_bytes = sizes.first_run_bytes;
  options.section_addresses = sizes.section_addresses;
  options.durability = given.durability;
  options.group_ms = given.group_ms;
  options.more_addresses = [max_vectors = given.max_vectors](const format::Parameters& parameters) {
    return addresses_for(parameters, max_vectors);
  };
  return options;
}

NodeStore nodes_in(format::WritableContainer& file) {
  return NodeStore::attach(file.parameters(), file.counters(), node_sections(file));
}

}  // namespace

Result<std::unique_ptr<Index::Impl>> Index::Impl::create_file(const std::filesystem::path& path,
                                                              const IndexParams& params,
                                                              const CreateOptions& options,
                                                              const format::WriteOptions& sizes) {
  const auto wanted = write_options(options, sizes);
  format::Unfinished made(format::default_file_system(), path);
  auto created = format::WritableContainer::create(format::default_file_system(), path,
                                                   NodeStore::layout(params), wanted);
  if (!created) return created.error();
  made.is_there();
  auto file = std::make_shared<format::WritableContainer>(std::move(*created));
  auto impl = std::make_unique<Impl>(nodes_in(*file));
  auto home = std::make_unique<WriterHome>(*impl, wanted);
  auto begun = home->begin(std::move(file), path);
  impl->home = std::move(home);
  if (!begun) return format::in_file("create", path, begun.error());
  made.keep();
  return impl;
}

Result<std::unique_ptr<Index::Impl>> Index::Impl::open_to_write(const std::filesystem::path& path,
                                                                const OpenOptions& options,
                                                                const format::WriteOptions& sizes) {
  if (auto ok = check_max_vectors("open", options.max_vectors); !ok) return ok.error();
  if (auto ok = check_durability("open", options.durability, options.group_ms); !ok) {
    return ok.error();
  }
  auto lasting = write_options(options, sizes);
  lasting.residency = options.residency;
  auto wanted = lasting;
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
  auto impl = std::make_unique<Impl>(nodes_in(*file));
  auto home = std::make_unique<WriterHome>(*impl, std::move(lasting));
  auto begun = home->begin(std::move(file), path);
  impl->home = std::move(home);
  if (!begun) return begun.error().with_context("open " + path.string());
  format::remove_stale(format::default_file_system(), impl->path);
  return impl;
}

Result<void> WriterHome::begin(Durable::File file, const std::filesystem::path& at) {
  std::error_code unknown;  // then the path as it was given must do
  state_.path = std::filesystem::canonical(at, unknown);
  if (unknown) state_.path = at;
  state_.use_table(&file->section(SectionId::hash), &file->section(SectionId::overflow),
                   file->hash_seed());
  if (auto ok = state_.table->attach(file->counters()); !ok) return ok;
  state_.advised_ef = file->counters().advised_ef;
  durable_ =
      std::make_unique<Durable>(std::move(file), state_.store, *state_.table, state_.commit_mutex);
  if (auto ok = durable_->start(); !ok) return ok;
  state_.writer->write_through(durable_.get());
  const std::lock_guard lock(state_.commit_mutex);
  state_.writer->adopt();
  return {};
}

Result<void> WriterHome::check_process(const char* what) const {
  if (!state_.is_cut_off && home_.is_here()) return {};
  return state_.cut_off(what);
}

// The file stays the parent's.
void WriterHome::after_fork() noexcept { state_.is_cut_off = true; }

Result<void> WriterHome::renew_file(NodeStore& fresh, KeyTable& fresh_table, const Region& hash,
                                    const Region& overflow, const format::SaveOptions& options,
                                    Durable::File& old) {
  format::FileSystem& fs = format::default_file_system();
  CAIRN_ASSERT(state_.commit_mutex.is_held());
  const std::filesystem::path& path = state_.path;
  if (auto ok = durable_->file()->check_place(fs, path); !ok) return ok;
  auto content = snapshot_of(fresh, fresh_table, hash, overflow);
  content.counters.applied_up_to = durable_->applied_up_to();
  content.counters.advised_ef = durable_->advised_ef();
  std::optional<format::Unfinished> made;
  if (auto ok = format::write_container_beside(fs, path, content, options, made); !ok) return ok;
  auto opened = format::WritableContainer::open(fs, made->path(), options_);
  if (!opened) return opened.error();
  auto file = std::make_shared<format::WritableContainer>(std::move(*opened));
  NodeStore attached = nodes_in(*file);
  state_.writer->make_room_to_replace();
  std::filesystem::path name = path;  // no memory is needed once the file has it
  if (format::is_stopped(options.stop)) return format::stopped();
  if (auto ok = durable_->file()->check_place(fs, path); !ok) return ok;
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
  old = durable_->file();
  if (synced) old->abandon();
  const std::lock_guard table_lock(state_.table_mutex);
  state_.writer->replace(std::move(attached), [&] {
    state_.renew_table(&file->section(SectionId::hash), &file->section(SectionId::overflow),
                       {state_.params.seed, file->hash_seed()}, file->counters());
  });
  durable_->exchange(std::move(file));
  state_.writer->adopt();
  return synced;
}

// Keeps a file that was replaced until no search needs it, whatever else fails. To be made before
// the mutex is locked.
class WriterHome::ReplacedFile {
 public:
  explicit ReplacedFile(IndexState& state) : state_(state) {}
  ReplacedFile(const ReplacedFile&) = delete;
  ReplacedFile& operator=(const ReplacedFile&) = delete;
  ~ReplacedFile() {
    if (file) state_.await_retired();
  }
  // Overwrites it. REQUIRES: the mutex is not held.
  Result<void> erase() {
    CAIRN_ASSERT(!state_.commit_mutex.is_held());
    state_.await_retired();
    auto erased = file->erase();
    if (erased) return erased;
    return erased.error().with_context("the new file is in place, but the old one is not erased");
  }
  Durable::File file;

 private:
  IndexState& state_;
};

// In memory of its own, and then as a whole in the place of the empty file.
Result<void> WriterHome::build(std::span<const Key> keys, const MatrixView& rows,
                               const BuildOptions& options) {
  ReplacedFile old(state_);
  const std::lock_guard lock(state_.commit_mutex);
  if (state_.store.live() != 0) return state_.not_empty();
  if (auto ok = durable_->begin(); !ok) return ok.error().with_context("build");
  auto fresh = NodeStore::create(state_.store.parameters());
  if (!fresh) return fresh.error();
  auto hash = Region::reserve_growing(format::kHugePage);
  if (!hash) return hash.error();
  auto overflow = Region::reserve_growing(format::kHugePage);
  if (!overflow) return overflow.error();
  KeyTable fresh_table(&*hash, &*overflow, fresh->key_region(), state_.table->key_hash(),
                       nodes_of_key(state_.store.parameters()));
  if (auto ok = build_graph(*fresh, fresh_table, keys, rows, options); !ok) return ok;
  auto renewed =
      renew_file(*fresh, fresh_table, *hash, *overflow, {.stop = options.stop}, old.file);
  return renewed ? Result<void>() : renewed.error().with_context("build");
}

void WriterHome::tell(Stats& stats) const {
  // Not the commit mutex, which is held as long as a build takes.
  const std::shared_lock lock(state_.table_mutex);
  const format::WriteStats written = durable_->file()->stats();
  stats.generation = written.generation;
  stats.file_bytes = written.file_bytes;
  stats.log_bytes = written.log_bytes;
  stats.log_frames = written.log_frames;
  stats.last_lsn = written.last_lsn;
  stats.durable_lsn = written.durable_lsn;
  stats.dirty_pages = written.dirty_pages;
  // Of a loaded file they are counted already.
  if (options_.residency == Residency::map) {
    stats.private_bytes += written.dirty_pages * format::kPageSize;
  }
  stats.checkpoints = durable_->checkpoints();
  stats.failed_checkpoints = durable_->failed_checkpoints();
  stats.poisoned = !durable_->file()->health();
  stats.recovered_frames = durable_->at_open().recovered_frames;
  stats.recovery_ns = durable_->at_open().recovery_ns;
  tell_loss(durable_->at_open().loss, stats);
}

Result<void> WriterHome::check_pages(format::StopFlag stop) const {
  CAIRN_ASSERT(!state_.commit_mutex.is_held());
  Durable::File file;
  {
    const std::lock_guard lock(state_.commit_mutex);
    file = durable_->file();
  }
  auto checked = file->check_pages(stop);
  return checked ? checked : checked.error().with_context(state_.path.string());
}

Result<void> WriterHome::save(const std::filesystem::path& to, const SaveOptions& options) {
  if (auto ok = check_pages(options.stop); !ok) return format::in_file("save", to, ok.error());
  state_.commit_mutex.let_others_pass();
  const std::lock_guard lock(state_.commit_mutex);
  if (auto ok = durable_->file()->health(); !ok) return ok.error().with_context("save");
  return state_.save(to, options, durable_->applied_up_to());
}

Result<VerifyReport> WriterHome::verify(const BuildOptions& options) {
  state_.commit_mutex.let_others_pass();
  std::unique_lock lock(state_.commit_mutex);
  const Durable::File file = durable_->file();
  const std::uint64_t pages = file->stats().file_bytes / format::kPageSize;
  return verify_parts(state_.store, *state_.table, pages, options,
                      [&](const PageProgress& progress) {
                        // A checkpoint holds what the check of its pages waits for, and waits for
                        // this mutex itself.
                        lock.unlock();
                        auto checked = file->verify_pages(options.threads, progress, options.stop);
                        lock.lock();
                        return checked;
                      });
}

Result<void> WriterHome::checkpoint(const std::atomic<bool>* stop) {
  auto made = durable_->checkpoint(stop);
  if (made || made.error().code() != ErrorCode::cancelled) return made;
  return made.error().with_context("checkpoint");
}

Result<void> WriterHome::compact(const BuildOptions& options) {
  if (auto ok = check_pages(options.stop); !ok) {
    return ok.error().with_context("compact");
  }
  ReplacedFile old(state_);
  std::unique_lock lock(state_.commit_mutex);
  if (auto ok = durable_->begin(); !ok) return ok.error().with_context("compact");
  if (options.erase) {
    if (auto ok = durable_->file()->check_erase(); !ok) return ok.error().with_context("compact");
  }
  const std::uint64_t count = state_.store.view().count;
  const Pace pace(options, count, 4);
  const auto step = [&](std::uint64_t done) {
    auto ok = durable_->commit_part();
    return ok ? pace(done) : ok;
  };
  auto copy = compact_copy(state_.store, *state_.table, {}, options.threads, step);
  if (!copy) return copy.error().with_context("compact");
  KeyTable copied(&copy->hash, &copy->overflow, copy->store.key_region(), state_.table->key_hash(),
                  nodes_of_key(state_.store.parameters()));
  if (auto ok = copied.attach(copy->table); !ok) return ok.error().with_context("compact");
  const format::SaveOptions saving{
      .stop = options.stop, .progress = [&](std::uint64_t done, std::uint64_t total) {
        pace.show(3 * count + static_cast<std::uint64_t>(static_cast<double>(count) *
                                                         static_cast<double>(done) /
                                                         static_cast<double>(total)));
      }};
  auto renewed = renew_file(copy->store, copied, copy->hash, copy->overflow, saving, old.file);
  if (!renewed) return renewed.error().with_context("compact");
  ++state_.compactions;
  if (!options.erase) return {};
  lock.unlock();
  auto erased = old.erase();
  return erased ? erased : erased.error().with_context("compact");
}

std::uint64_t WriterHome::applied_up_to() {
  const std::lock_guard lock(state_.commit_mutex);
  return durable_->applied_up_to();
}

template <class Set>
Result<void> WriterHome::log_setting(const char* what, Set&& set) {
  Durable::Pending pending;
  {
    const std::lock_guard lock(state_.commit_mutex);
    if (auto ok = durable_->begin(); !ok) return ok.error().with_context(what);
    set();
    auto committed = durable_->commit();
    if (!committed) return committed.error();
    pending = std::move(*committed);
  }
  return Durable::acknowledge(pending);
}

Result<void> WriterHome::set_applied_up_to(std::uint64_t lsn) {
  return log_setting("set_applied_up_to", [&] { durable_->set_applied_up_to(lsn); });
}

Result<void> WriterHome::set_advised_ef(std::uint32_t ef) {
  return log_setting("set_advised_ef", [&] {
    durable_->set_advised_ef(ef);
    state_.advised_ef = ef;
  });
}

Result<void> WriterHome::look_at_graph(const Look& look) {
  if (auto ok = check_pages(nullptr); !ok) return ok;
  const std::lock_guard lock(state_.commit_mutex);
  return look(state_.store.view());
}

}  // namespace cairn
