// SPDX-License-Identifier: Apache-2.0
#include "engine/api/reader_home.h"

#include <atomic>
#include <memory>
#include <mutex>
#include <new>
#include <shared_mutex>
#include <string>
#include <system_error>
#include <utility>

#include "engine/api/index_impl.h"
#include "engine/api/persist.h"

namespace cairn {

using format::Container;
using format::SectionId;

namespace {

constexpr int kLongLooks = 5;

NodeStore nodes_of(Container& container) {
  return NodeStore::attach(container.parameters(), container.counters(), node_sections(container),
                           container.watch(), container.first_use());
}

// Without what belongs to the call that opens.
OpenOptions lasting(OpenOptions options) {
  options.stop = nullptr;
  options.progress = nullptr;
  return options;
}

}  // namespace

Result<std::unique_ptr<Index::Impl>> Index::Impl::open_to_read(const std::filesystem::path& path,
                                                               const OpenOptions& options) {
  auto opened = Container::open(format::default_file_system(), path, options.residency,
                                options.verify, options.salvage, options.stop, options.check);
  if (!opened) return opened.error();
  auto container = std::make_shared<Container>(std::move(*opened));
  const format::Counters counters = container->counters();
  if (auto ok = check_opened(container->parameters(), counters); !ok) {
    return ok.error().with_context("open " + path.string());
  }
  auto impl = std::make_unique<Impl>(nodes_of(*container));
  std::error_code unknown;  // then the path as it was given must do
  impl->path = std::filesystem::absolute(path, unknown);
  if (unknown) impl->path = path;
  impl->use_table(&container->section(SectionId::hash), &container->section(SectionId::overflow),
                  container->hash_seed());
  impl->advised_ef = counters.advised_ef;
  impl->home = std::make_unique<ReaderHome>(*impl, std::move(container), options);
  if (auto ok = impl->table->attach(counters); !ok) {
    return ok.error().with_context("open " + path.string());
  }
  return impl;
}

ReaderHome::ReaderHome(IndexState& state, std::shared_ptr<Container> container,
                       const OpenOptions& options)
    : state_(state), options_(lasting(options)), container_(std::move(container)) {}

Result<void> ReaderHome::check_change(const char* what) const {
  return Error(ErrorCode::read_only, std::string(what) + ": the index is open for reading");
}

void ReaderHome::after_fork() noexcept {
  new (&refreshing_) std::mutex;
  state_.renew_locks();
}

Result<void> ReaderHome::build(std::span<const Key>, const MatrixView&, const BuildOptions&) {
  return check_change("build");
}

std::shared_ptr<Container> ReaderHome::current_container() const {
  const std::lock_guard lock(state_.commit_mutex);
  return container_;
}

Result<std::shared_ptr<Container>> ReaderHome::newest_container() {
  auto spare = std::move(idle_);  // let go if a long call still holds it
  if (spare && spare.use_count() == 1) {
    // Whoever held it last has read what is changed now: the count is read without an order.
    std::atomic_thread_fence(std::memory_order_acquire);
    const auto done = spare->catch_up();
    if (!done) return done.error();
    if (*done) return spare;
  }
  auto opened = Container::open(format::default_file_system(), state_.path, options_.residency,
                                options_.verify, options_.salvage, nullptr, options_.check);
  if (!opened) return opened.error();
  if (opened->parameters() != state_.store.parameters()) {
    return Error(ErrorCode::invalid_argument,
                 state_.path.string() + " holds another kind of index now");
  }
  if (auto ok = check_opened(opened->parameters(), opened->counters()); !ok) return ok.error();
  return std::make_shared<Container>(std::move(*opened));
}

// Searches that run end on the one that they began on, which is idle afterwards.
void ReaderHome::show(std::shared_ptr<Container> fresh) {
  const format::Counters counters = fresh->counters();
  const std::lock_guard lock(state_.commit_mutex);
  NodeStore attached = nodes_of(*fresh);
  const std::lock_guard table_lock(state_.table_mutex);
  state_.writer->replace(std::move(attached), [&] {
    state_.renew_table(&fresh->section(SectionId::hash), &fresh->section(SectionId::overflow),
                       {state_.params.seed, fresh->hash_seed()}, counters);
  });
  state_.advised_ef = counters.advised_ef;
  idle_ = std::exchange(container_, std::move(fresh));
}

Result<void> ReaderHome::catch_up() {
  const auto news = container_->has_news();
  if (!news) return news.error();
  if (!*news) {
    const auto is_whole = container_->is_of_one_moment();
    if (!is_whole) return is_whole.error();
    if (*is_whole) return {};
  }
  auto fresh = newest_container();
  if (!fresh) return fresh.error();
  show(std::move(*fresh));
  state_.await_retired();
  return {};
}

Error ReaderHome::changed_meanwhile(const char* what) const {
  return Error(ErrorCode::busy,
               std::string(what) + ": " + state_.path.string() + " was changed meanwhile");
}

Result<ReaderHome::Held> ReaderHome::hold() const {
  auto held = current_container();
  const format::Counters counters = held->counters();
  NodeStore nodes = nodes_of(*held);
  KeyTable keys(&held->section(SectionId::hash), &held->section(SectionId::overflow),
                nodes.key_region(), KeyHash(state_.params.seed, held->hash_seed()),
                nodes_of_key(nodes.parameters()));
  if (auto ok = keys.attach(counters); !ok) return ok.error();
  return Held{std::move(held), std::move(nodes), keys, counters};
}

Result<void> ReaderHome::save_held(const std::filesystem::path& to,
                                   const SaveOptions& options) const {
  auto held = hold();
  if (!held) return held.error();
  if (auto ok = held->container->check_pages(options.stop); !ok) {
    return format::in_file("save", to, ok.error().with_context(state_.path.string()));
  }
  auto content = snapshot_of(held->store, held->table, held->container->section(SectionId::hash),
                             held->container->section(SectionId::overflow));
  content.counters.applied_up_to = held->counters.applied_up_to;
  content.counters.advised_ef = held->counters.advised_ef;
  const auto is_of_one_moment = [&]() -> Result<void> {
    const auto is_whole = held->container->is_of_one_moment();
    if (!is_whole) return is_whole.error();
    return *is_whole ? Result<void>() : changed_meanwhile("save");
  };
  return format::write_container(
      format::default_file_system(), to, content,
      {.existing = options.existing, .stop = options.stop, .confirm = is_of_one_moment});
}

Result<VerifyReport> ReaderHome::verify_held(const BuildOptions& options) const {
  auto held = hold();
  if (!held) return held.error();
  auto report = verify_parts(held->store, held->table, held->container->page_count(), options,
                             [&](const PageProgress& progress) {
                               return verify_pages_of(*held->container, options, progress);
                             });
  if (!report) return report;
  const auto is_whole = held->container->is_of_one_moment();
  // A file that has been cut: what is missing is among the findings.
  if (!is_whole) return report->ok() ? Result<VerifyReport>(is_whole.error()) : report;
  if (!*is_whole) return changed_meanwhile("verify");
  return report;
}

Result<Container::PageReport> ReaderHome::verify_pages_of(const Container& held,
                                                          const BuildOptions& options,
                                                          const PageProgress& progress) const {
  auto report = held.verify_pages(options.threads, progress, options.stop);
  auto superseded = held.is_superseded();
  for (int attempt = 1; report && !report->findings.empty(); ++attempt) {
    if (!superseded) return superseded.error();
    if (!*superseded) return report;
    if (attempt == kLongLooks) {
      return Error(ErrorCode::busy,
                   "verify: " + state_.path.string() + " is changed again and again");
    }
    const auto now = Container::open(format::default_file_system(), state_.path, Residency::map,
                                     Verify::metadata, options_.salvage, options.stop);
    if (!now) return now.error();
    report = now->verify_pages(options.threads, progress, options.stop);
    superseded = now->is_superseded();
  }
  return report;
}

template <class Call>
auto ReaderHome::again_if_busy(const std::string& what, Call&& call) {
  for (int attempt = 1;; ++attempt) {
    auto result = call();
    if (result || result.error().code() != ErrorCode::busy || attempt == kLongLooks) return result;
    const std::lock_guard lock(refreshing_);
    if (auto ok = catch_up(); !ok) return decltype(result)(ok.error().with_context(what));
  }
}

Result<void> ReaderHome::save(const std::filesystem::path& to, const SaveOptions& options) {
  return again_if_busy("save " + to.string(), [&] { return save_held(to, options); });
}

Result<VerifyReport> ReaderHome::verify(const BuildOptions& options) {
  return again_if_busy("verify", [&] { return verify_held(options); });
}

std::uint64_t ReaderHome::applied_up_to() { return current_container()->counters().applied_up_to; }

Result<void> ReaderHome::set_applied_up_to(std::uint64_t) {
  return check_change("set_applied_up_to");
}

Result<void> ReaderHome::set_advised_ef(std::uint32_t) { return check_change("set_advised_ef"); }

void ReaderHome::tell(Stats& stats) const {
  const std::shared_lock lock(state_.table_mutex);  // what is shown is not exchanged meanwhile
  stats.generation = container_->generation();
  stats.file_bytes = container_->file_bytes();
  stats.recovered_frames = container_->recovered_frames();
  stats.recovery_ns = container_->recovery_ns();
  tell_loss(container_->loss(), stats);
}

Result<void> ReaderHome::refresh() {
  const std::lock_guard lock(refreshing_);
  return catch_up();
}

Result<void> ReaderHome::leave_changed_pages() {
  const std::lock_guard lock(refreshing_);
  const auto is_whole = container_->is_of_one_moment();
  if (!is_whole) return is_whole.error();
  if (*is_whole) return {};  // another thread has seen to it
  return catch_up();
}

Result<void> ReaderHome::warm() { return current_container()->warm(); }

Result<void> ReaderHome::release() { return current_container()->release(); }

Result<void> ReaderHome::look_at_graph(const Look& look) {
  const auto held = hold();
  if (!held) return held.error();
  if (auto ok = held->container->check_pages(nullptr); !ok) {
    return ok.error().with_context(state_.path.string());
  }
  return look(held->store.view());
}

}  // namespace cairn
