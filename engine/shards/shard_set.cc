// SPDX-License-Identifier: Apache-2.0
//
// Opening sets, and what is asked of them but for searches.
#include <cairn/shard_set.h>

#include <algorithm>
#include <array>
#include <system_error>
#include <utility>

#include "engine/base/guarded.h"
#include "engine/shards/manifest.h"
#include "engine/shards/set_impl.h"
#include "engine/vectors/components.h"

namespace cairn {

namespace fs = std::filesystem;

Error in_shard(const char* call, const std::string& file, const Error& error) {
  const std::string prefix = std::string(call) + ": ";
  const std::string& message = error.message();
  return Error(error.code(),
               prefix + file + ": " +
                   (message.starts_with(prefix) ? message.substr(prefix.size()) : message));
}

bool is_fault(ErrorCode code) {
  switch (code) {
    case ErrorCode::io_error:
    case ErrorCode::path_not_found:
    case ErrorCode::permission_denied:
    case ErrorCode::not_a_cairn_file:
    case ErrorCode::version_unsupported:
    case ErrorCode::feature_unsupported:
    case ErrorCode::corrupt:
    case ErrorCode::truncated:
    case ErrorCode::data_loss:
    case ErrorCode::busy: return true;
    default: return false;
  }
}

namespace {

// Which of `all` shards are wanted.
Result<std::vector<bool>> wanted_of(const std::vector<std::uint32_t>& only, std::size_t all,
                                    const std::string& folder) {
  std::vector<bool> wanted(all, only.empty());
  for (const std::uint32_t shard : only) {
    if (shard >= all) {
      return Error(ErrorCode::invalid_argument, "open: shard " + std::to_string(shard) + " of " +
                                                    folder + ", which has " + std::to_string(all));
    }
    wanted[shard] = true;
  }
  return wanted;
}

}  // namespace

// Against the first one that is there.
Result<void> SetState::check_fit(const std::string& file, const Index& index) const {
  const IndexParams& its = index.params();
  const auto differ = [&](const char* what, const std::string& one, const std::string& other) {
    // Of a folder the manifest has said what it is.
    const ErrorCode code = folder.empty() ? ErrorCode::invalid_argument : ErrorCode::corrupt;
    return Error(code, file + ": its " + what + " " + one + ", that of the set " + other);
  };
  if (its.metric != params.metric)
    return differ("metric is", name_of(its.metric), name_of(params.metric));
  if (its.scalar != params.scalar)
    return differ("scalar kind is", name_of(its.scalar), name_of(params.scalar));
  if (its.dimensions == params.dimensions) return {};
  return differ("number of dimensions is", std::to_string(its.dimensions),
                std::to_string(params.dimensions));
}

Result<void> SetState::add(std::string file, fs::path path, const OpenOptions& options,
                           const ShardFile* known) {
  const bool is_first =
      folder.empty() && std::none_of(shards.begin(), shards.end(),
                                     [](const Shard& s) { return s.index.has_value(); });
  const auto open = [&]() -> Result<Index> {
    auto index = Index::open(path, options);
    if (!index) return index;
    if (index->params().several_per_key) {
      return Error(ErrorCode::unsupported,
                   path.string() + ": its keys may have several vectors; those of a set have one");
    }
    if (!is_first) {
      if (auto ok = check_fit(path.string(), *index); !ok) return ok.error();
    }
    if (known != nullptr && known->sealed) {
      const auto differs = [&](const char* what, std::uint64_t there, std::uint64_t wanted) {
        return Error(ErrorCode::corrupt, path.string() + ": it has " + std::to_string(there) + " " +
                                             what + ", and the manifest says " +
                                             std::to_string(wanted));
      };
      const Stats stats = index->stats();
      if (stats.file_bytes != known->bytes) return differs("bytes", stats.file_bytes, known->bytes);
      if (stats.live != known->vectors) return differs("vectors", stats.live, known->vectors);
    }
    return index;
  };
  Shard& shard = shards.emplace_back(Shard{std::move(file), path, std::nullopt});
  auto index = open();
  if (!index) {
    // What stands there as no file is as good as missing.
    std::error_code unknown;
    const auto status = fs::status(path, unknown);
    const bool is_no_file = fs::exists(status) && !fs::is_regular_file(status);
    const bool is_lost = is_no_file || is_fault(index.error().code());
    if (!allow_partial || !is_lost) return index.error();
    problems.push_back({shards.size() - 1, shard.file, index.error()});
    return {};
  }
  if (is_first) params = index->params();
  shard.index = *std::move(index);
  return {};
}

std::optional<std::size_t> SetState::home_of(Key key) const {
  if (folder.empty() || manifest.partition != Partition::hash) return {};
  return shard_of_key(key, manifest.seed, manifest.shards.size());
}

ShardSet::ShardSet(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
ShardSet::ShardSet(ShardSet&&) noexcept = default;
ShardSet& ShardSet::operator=(ShardSet&&) noexcept = default;
ShardSet::~ShardSet() = default;

Result<ShardSet> ShardSet::open(std::span<const fs::path> files, const ShardOptions& options) {
  return guarded("open", [&]() -> Result<ShardSet> {
    const auto invalid = [](const char* problem) {
      return Error(ErrorCode::invalid_argument, std::string("open: ") + problem);
    };
    if (files.empty()) return invalid("there are no files of shards");
    if (files.size() > kMaxShards) return invalid("there are more than 65,536 shards");
    if (!options.only.empty()) return invalid("files that are not wanted need not be given");
    if (options.open.mode == Mode::read_write) {
      return Error(ErrorCode::unsupported, "open: only a set in a folder can be changed");
    }
    auto impl = std::make_unique<Impl>(options);
    impl->manifest.partition = Partition::rows;
    for (const fs::path& file : files) {
      if (auto ok = impl->add(file.string(), file, options.open, nullptr); !ok) return ok.error();
    }
    if (impl->problems.size() == files.size()) return impl->problems.front().error;
    impl->manifest.params = impl->params;
    for (const Shard& shard : impl->shards) {
      const Stats stats = shard.index ? shard.index->stats() : Stats{};
      impl->manifest.shards.push_back({shard.file, stats.live, stats.file_bytes, false});
    }
    return ShardSet(std::move(impl));
  });
}

Result<ShardSet> ShardSet::open(const fs::path& folder, const ShardOptions& options) {
  return guarded("open", [&]() -> Result<ShardSet> {
    auto impl = std::make_unique<Impl>(options);
    impl->folder = folder.empty() ? fs::path(".") : folder;
    impl->is_writable = options.open.mode == Mode::read_write;
    impl->durability = options.open.durability;
    if (impl->is_writable) {
      if (options.allow_partial || !options.only.empty()) {
        return Error(ErrorCode::invalid_argument, "open: a part of a set cannot be changed");
      }
      auto lock = SetLock::take(folder);
      if (!lock) return lock.error();
      impl->lock = *std::move(lock);
    }
    auto held = read_and_hold(folder);
    if (!held) return held.error();
    if (impl->is_writable) {
      if (auto ok = make_live(folder, *impl->lock, held->manifest); !ok) return ok.error();
    }
    impl->manifest = std::move(held->manifest);
    impl->hold = std::move(held->hold);
    impl->params = impl->manifest.params;
    const auto add = [&](const ShardFile& file) {
      return impl->add(file.file, folder / file.file, options.open, &file);
    };
    const std::size_t all = impl->manifest.shards.size();
    const auto wanted = wanted_of(options.only, all, folder.string());
    if (!wanted) return wanted.error();
    for (std::size_t i = 0; i < all; ++i) {
      const ShardFile& file = impl->manifest.shards[i];
      if (!(*wanted)[i]) {
        impl->shards.push_back({file.file, folder / file.file, std::nullopt, true});
      } else if (auto ok = add(file); !ok) {
        return ok.error();
      }
    }
    if (impl->manifest.fresh) {
      if (auto ok = add(*impl->manifest.fresh); !ok) return ok.error();
    }
    const bool has_one = std::any_of(impl->shards.begin(), impl->shards.end(),
                                     [](const Shard& s) { return s.index.has_value(); });
    if (!has_one) return impl->problems.front().error;
    if (const auto& file = impl->manifest.router) {
      OpenOptions reading = options.open;
      reading.mode = Mode::read_only;
      const fs::path path = folder / file->file;
      auto router = Index::open(path, reading);
      if (!router) return router.error();
      const IndexParams& its = router->params();
      if (its.metric != impl->params.metric || its.dimensions != impl->params.dimensions ||
          its.scalar != Scalar::f32) {
        return Error(ErrorCode::corrupt, path.string() + ": it is the router of another set");
      }
      if (router->stats().file_bytes != file->bytes)
        return Error(ErrorCode::corrupt, path.string() + ": its size is not that of the manifest");
      if (auto ok = check_router(*router, impl->manifest.shards.size(), path.string()); !ok)
        return ok.error();
      impl->router = *std::move(router);
    }
    if (impl->is_writable) {
      if (auto ok = remove_replaced(*impl); !ok) return ok.error();
    }
    return ShardSet(std::move(impl));
  });
}

bool ShardSet::contains(Key key) const {
  return impl_->any(key, [&](const Index& index) { return index.contains(key); });
}

Result<std::size_t> ShardSet::get(Key key, std::span<float> out) const {
  return guarded("get", [&]() -> Result<std::size_t> {
    std::optional<Result<std::size_t>> got;
    const bool is_found = impl_->any(key, [&](const Index& index) {
      auto one = index.get(key, out);
      const bool is_missing = !one && one.error().code() == ErrorCode::key_not_found;
      if (!got || !is_missing) got = std::move(one);
      return !is_missing;
    });
    if (got && is_found) return *got;
    // It may be in one of those that do not answer.
    const auto home = impl_->home_of(key);
    for (const ShardProblem& problem : impl_->problems) {
      if (!home || problem.shard == *home) return in_shard("get", problem.file, problem.error);
    }
    return Error(ErrorCode::key_not_found, "get: key " + std::to_string(key) + " is not there");
  });
}

Result<std::size_t> ShardSet::keys(KeyScan& scan, std::span<Key> out) const {
  return guarded("keys", [&]() -> Result<std::size_t> {
    if (out.empty()) return Error(ErrorCode::invalid_argument, "keys: there is no room for one");
    const bool is_hash = impl_->home_of(0).has_value();
    std::size_t n = 0;
    while (n < out.size() && scan.shard < impl_->shards.size()) {
      const Shard& shard = impl_->shards[scan.shard];
      if (shard.index) {
        const auto count = shard.index->keys(scan.position, out.subspan(n));
        if (!count) return in_shard("keys", shard.file, count.error());
        // Of those that several shards have, the first one tells.
        const auto begin = out.begin() + static_cast<std::ptrdiff_t>(n);
        const auto end =
            std::remove_if(begin, begin + static_cast<std::ptrdiff_t>(*count), [&](Key key) {
              for (std::size_t i = 0; !is_hash && i < scan.shard; ++i) {
                if (impl_->shards[i].index && impl_->shards[i].index->contains(key)) return true;
              }
              return false;
            });
        n = static_cast<std::size_t>(end - out.begin());
      }
      if (!shard.index || scan.position.done) {
        ++scan.shard;
        scan.position = {};
      }
    }
    scan.done = scan.shard == impl_->shards.size();
    return n;
  });
}

std::size_t ShardSet::size() const {
  std::size_t sum = 0;
  for (const Shard& shard : impl_->shards) sum += shard.index ? shard.index->size() : 0;
  return sum;
}

Result<void> ShardSet::refresh() {
  return guarded("refresh", [&]() -> Result<void> {
    // The fresh one first: what another one has lost since, it has.
    std::size_t at = impl_->shards.size();
    for (std::size_t i = 0; i < impl_->shards.size(); ++i) {
      Shard& shard = impl_->shards[--at];
      if (!shard.index) continue;
      if (auto ok = shard.index->refresh(); !ok) return in_shard("refresh", shard.file, ok.error());
    }
    return {};
  });
}

Result<void> ShardSet::warm() const {
  for (const Shard& shard : impl_->shards) {
    if (!shard.index) continue;
    if (auto ok = shard.index->warm(); !ok) return in_shard("warm", shard.file, ok.error());
  }
  return {};
}

Result<void> ShardSet::release() const {
  for (const Shard& shard : impl_->shards) {
    if (!shard.index) continue;
    if (auto ok = shard.index->release(); !ok) return in_shard("release", shard.file, ok.error());
  }
  return {};
}

Result<VerifyReport> ShardSet::verify(const BuildOptions& options) const {
  return guarded("verify", [&]() -> Result<VerifyReport> {
    VerifyReport all;
    for (const ShardProblem& problem : impl_->problems)
      all.findings.push_back(problem.file + ": " + problem.error.message());
    const auto check = [&](const std::string& file, const Index& index,
                           const ShardFile* known) -> Result<void> {
      const auto one = index.verify(options);
      if (!one) return in_shard("verify", file, one.error());
      all.pages_checked += one->pages_checked;
      all.nodes_checked += one->nodes_checked;
      all.unreachable += one->unreachable;
      for (const std::string& finding : one->findings)
        all.findings.push_back(file + ": " + finding);
      if (known == nullptr || !known->sealed) return {};
      const auto there = describe_shard_file(impl_->folder / file, options.stop);
      if (!there && there.error().code() == ErrorCode::cancelled) return there.error();
      if (!there) {
        all.findings.push_back(file + ": " + there.error().message());
      } else if (there->xxh3 != known->xxh3) {
        all.findings.push_back(file + ": its checksum is " + there->xxh3 +
                               ", that in the manifest " + known->xxh3);
      }
      return {};
    };
    const std::vector<ShardFile>& known = impl_->manifest.shards;
    for (std::size_t i = 0; i < impl_->shards.size(); ++i) {
      const Shard& shard = impl_->shards[i];
      if (!shard.index) continue;
      const bool is_known = !impl_->folder.empty() && i < known.size();
      if (auto ok = check(shard.file, *shard.index, is_known ? &known[i] : nullptr); !ok)
        return ok.error();
    }
    if (impl_->router) {
      const ShardFile& file = *impl_->manifest.router;
      if (auto ok = check(file.file, *impl_->router, &file); !ok) return ok.error();
    }
    return all;
  });
}

const IndexParams& ShardSet::params() const { return impl_->params; }

Stats ShardSet::stats() const {
  Stats all;
  all.dimensions = impl_->params.dimensions;
  all.generation = impl_->manifest.generation;
  for (const Shard& shard : impl_->shards) {
    if (!shard.index) continue;
    const Stats one = shard.index->stats();
    all.max_level = std::max(all.max_level, one.max_level);
    all.poisoned |= one.poisoned;
    all.simd = one.simd;
    for (auto [sum, part] : {std::pair{&all.live, one.live},
                             {&all.keys, one.keys},
                             {&all.deleted, one.deleted},
                             {&all.slots, one.slots}}) {
      *sum += part;
    }
    for (auto [sum, part] : {std::pair{&all.file_bytes, one.file_bytes},
                             {&all.hot_bytes, one.hot_bytes},
                             {&all.exact_bytes, one.exact_bytes},
                             {&all.private_bytes, one.private_bytes},
                             {&all.log_bytes, one.log_bytes},
                             {&all.log_frames, one.log_frames},
                             {&all.dirty_pages, one.dirty_pages},
                             {&all.checkpoints, one.checkpoints},
                             {&all.failed_checkpoints, one.failed_checkpoints},
                             {&all.adds, one.adds},
                             {&all.upserts, one.upserts},
                             {&all.removes, one.removes},
                             {&all.searches, one.searches},
                             {&all.compactions, one.compactions}}) {
      *sum += part;
    }
  }
  return all;
}

std::size_t ShardSet::shards() const { return impl_->shards.size(); }

const Index* ShardSet::shard(std::size_t i) const {
  const Shard& shard = impl_->shards.at(i);
  return shard.index ? &*shard.index : nullptr;
}

const std::vector<ShardProblem>& ShardSet::problems() const { return impl_->problems; }

const ShardManifest& ShardSet::manifest() const { return impl_->manifest; }

}  // namespace cairn
