// SPDX-License-Identifier: Apache-2.0
//
// The public class where it reads a file that others may write: opening, following the writer, and
// what looks at all of the file. A container is what was found at one moment; searches go on with
// it while another takes its place.
#include <atomic>
#include <memory>
#include <mutex>
#include <string>
#include <system_error>
#include <utility>

#include "engine/api/index_impl.h"
#include "engine/base/guarded.h"

namespace cairn {

using format::Container;
using format::SectionId;

namespace {

NodeStore nodes_of(Container& container) {
  return NodeStore::attach(container.parameters(), container.counters(), node_sections(container),
                           container.watch());
}

}  // namespace

Result<std::unique_ptr<Index::Impl>> Index::Impl::open_to_read(const std::filesystem::path& path,
                                                               const OpenOptions& options) {
  auto opened = Container::open(format::default_file_system(), path, options.residency,
                                options.verify, options.salvage, options.stop);
  if (!opened) return opened.error();
  auto container = std::make_shared<Container>(std::move(*opened));
  const format::Counters counters = container->counters();
  if (auto ok = check_opened(container->parameters(), counters); !ok) {
    return ok.error().with_context("open " + path.string());
  }
  auto impl = std::make_unique<Impl>(nodes_of(*container), true);
  std::error_code unknown;  // then the path as it was given must do
  impl->path = std::filesystem::absolute(path, unknown);
  if (unknown) impl->path = path;
  impl->applied_up_to = counters.applied_up_to;
  impl->open_options = options;
  impl->open_options.stop = nullptr;
  impl->open_options.progress = nullptr;
  impl->use_table(&container->section(SectionId::hash), &container->section(SectionId::overflow),
                  container->hash_seed());
  impl->container = std::move(container);
  if (auto ok = impl->table->attach(counters); !ok) {
    return ok.error().with_context("open " + path.string());
  }
  return impl;
}

Result<std::shared_ptr<Container>> Index::Impl::newest_container() {
  auto spare = std::move(idle);  // let go if a long call still holds it
  if (spare && spare.use_count() == 1) {
    // Whoever held it last has read what is changed now: the count is read without an order.
    std::atomic_thread_fence(std::memory_order_acquire);
    const auto done = spare->catch_up();
    if (!done) return done.error();
    if (*done) return spare;
  }
  auto opened = Container::open(format::default_file_system(), path, open_options.residency,
                                open_options.verify, open_options.salvage);
  if (!opened) return opened.error();
  if (opened->parameters() != store.parameters()) {
    return Error(ErrorCode::invalid_argument, path.string() + " holds another kind of index now");
  }
  if (auto ok = check_opened(opened->parameters(), opened->counters()); !ok) return ok.error();
  return std::make_shared<Container>(std::move(*opened));
}

// Searches that run end on the one that they began on, which is idle afterwards.
void Index::Impl::show(std::shared_ptr<Container> fresh) {
  const format::Counters counters = fresh->counters();
  const std::lock_guard lock(writer);
  NodeStore attached = nodes_of(*fresh);
  const std::lock_guard table_lock(table_mutex);
  changes->replace(std::move(attached), [&] {
    renew_table(&fresh->section(SectionId::hash), &fresh->section(SectionId::overflow),
                {params.seed, fresh->hash_seed()}, counters);
  });
  idle = std::exchange(container, std::move(fresh));
  applied_up_to = counters.applied_up_to;
}

Result<void> Index::Impl::catch_up() {
  const auto news = container->has_news();
  if (!news) return news.error();
  if (!*news && store.view().is_whole()) return {};
  auto fresh = newest_container();
  if (!fresh) return fresh.error();
  show(std::move(*fresh));
  await_retired();
  return {};
}

Error Index::Impl::changed_meanwhile(const char* what) const {
  return Error(ErrorCode::busy,
               std::string(what) + ": " + path.string() + " was changed meanwhile");
}

Result<Index::Impl::Held> Index::Impl::hold() const {
  auto held = current_container();
  const format::Counters counters = held->counters();
  NodeStore nodes = nodes_of(*held);
  KeyTable keys(&held->section(SectionId::hash), &held->section(SectionId::overflow),
                nodes.key_region(), KeyHash(params.seed, held->hash_seed()));
  if (auto ok = keys.attach(counters); !ok) return ok.error();
  return Held{std::move(held), std::move(nodes), keys, counters};
}

Result<void> Index::Impl::save_held(const std::filesystem::path& to,
                                    const SaveOptions& options) const {
  auto held = hold();
  if (!held) return held.error();
  if (auto ok = held->container->check_pages(options.stop); !ok) {
    return format::in_file("save", to, ok.error().with_context(path.string()));
  }
  auto content = snapshot_of(held->store, held->table, held->container->section(SectionId::hash),
                             held->container->section(SectionId::overflow));
  content.counters.applied_up_to = held->counters.applied_up_to;
  const auto is_of_one_moment = [&]() -> Result<void> {
    if (held->store.view().is_whole()) return {};
    return changed_meanwhile("save");
  };
  return format::write_container(
      format::default_file_system(), to, content,
      {.existing = options.existing, .stop = options.stop, .confirm = is_of_one_moment});
}

Result<VerifyReport> Index::Impl::verify_held(const BuildOptions& options) const {
  auto held = hold();
  if (!held) return held.error();
  auto report = verify_parts(held->store, held->table, held->container->page_count(), options,
                             [&](const PageProgress& progress) {
                               return verify_pages_of(*held->container, options, progress);
                             });
  if (report && !held->store.view().is_whole()) return changed_meanwhile("verify");
  return report;
}

Result<Container::PageReport> Index::Impl::verify_pages_of(const Container& held,
                                                           const BuildOptions& options,
                                                           const PageProgress& progress) const {
  auto report = held.verify_pages(options.threads, progress, options.stop);
  auto superseded = held.is_superseded();
  for (int attempt = 1; report && !report->findings.empty(); ++attempt) {
    if (!superseded) return superseded.error();
    if (!*superseded) return report;
    if (attempt == kLongLooks) {
      return Error(ErrorCode::busy, "verify: " + path.string() + " is changed again and again");
    }
    const auto now = Container::open(format::default_file_system(), path, Residency::map,
                                     Verify::metadata, open_options.salvage, options.stop);
    if (!now) return now.error();
    report = now->verify_pages(options.threads, progress, options.stop);
    superseded = now->is_superseded();
  }
  return report;
}

Result<void> Index::refresh() {
  return guarded("refresh", [&]() -> Result<void> {
    if (!impl_->read_only) return {};
    const std::lock_guard lock(impl_->refreshing);
    auto done = impl_->catch_up();
    return done ? Result<void>() : done.error().with_context("refresh");
  });
}

Result<void> Index::warm() const {
  return guarded("warm", [&]() -> Result<void> {
    const auto container = impl_->current_container();
    if (!container) return {};
    auto warmed = container->warm();
    return warmed ? Result<void>() : warmed.error().with_context("warm");
  });
}

Result<void> Index::release() const {
  return guarded("release", [&]() -> Result<void> {
    const auto container = impl_->current_container();
    if (!container) return {};
    auto released = container->release();
    return released ? Result<void>() : released.error().with_context("release");
  });
}

}  // namespace cairn
