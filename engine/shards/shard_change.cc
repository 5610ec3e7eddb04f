// SPDX-License-Identifier: Apache-2.0
//
// Changes of a set: docs/shards.md, "Changes".
#include <array>
#include <string>
#include <utility>

#include "engine/base/guarded.h"
#include "engine/shards/set_impl.h"

namespace cairn {

namespace fs = std::filesystem;

namespace {

std::string live_name(std::uint64_t generation, const std::string& which) {
  return "live-" + std::to_string(generation) + "-" + which + ".cairn";
}

// A copy of a sealed shard, of its own.
Result<ShardFile> copy_of(const fs::path& folder, const ShardFile& file, const std::string& name) {
  const auto index = Index::open(folder / file.file);
  if (!index) return index.error();
  if (auto ok = index->save(folder / name); !ok) return ok.error();
  return ShardFile{name, file.vectors, file.bytes, false};
}

Error read_only(const char* call) {
  return Error(ErrorCode::read_only, std::string(call) + ": the set is not open for writing");
}

}  // namespace

Result<void> make_live(const fs::path& folder, SetLock& lock, ShardManifest& manifest) {
  ShardManifest live = manifest;
  const std::uint64_t generation = manifest.generation + 1;
  bool is_new = false;
  for (std::size_t i = 0; i < live.shards.size(); ++i) {
    if (!live.shards[i].sealed) continue;
    auto copy = copy_of(folder, live.shards[i], live_name(generation, std::to_string(i)));
    if (!copy) return copy.error();
    live.shards[i] = *std::move(copy);
    is_new = true;
  }
  if (live.partition != Partition::hash && !live.fresh) {
    const std::string name = live_name(generation, "fresh");
    const auto fresh = Index::create(live.params);
    if (!fresh) return fresh.error();
    if (auto ok = fresh->save(folder / name); !ok) return ok.error();
    live.fresh = ShardFile{name, 0, 0, false};
    is_new = true;
  }
  if (!is_new) return {};
  if (auto ok = lock.publish(live); !ok) return ok;
  manifest = std::move(live);
  return {};
}

Result<void> remove_replaced(SetState& set) {
  if (!set.has_fresh()) return {};
  const Index& fresh = *set.shards.back().index;
  std::array<Key, 1024> some;
  KeyScan scan;
  while (!scan.done) {
    const auto count = fresh.keys(scan, some);
    if (!count) return count.error();
    for (std::size_t i = 0; i + 1 < set.shards.size(); ++i) {
      for (std::size_t k = 0; k < *count; ++k) {
        if (!set.shards[i].index->contains(some[k])) continue;
        if (auto ok = set.shards[i].index->remove(some[k]); !ok) return ok;
      }
    }
  }
  return {};
}

Result<void> ShardSet::upsert(Key key, VectorView vector) {
  return guarded("upsert", [&]() -> Result<void> {
    if (!impl_->is_writable) return read_only("upsert");
    std::vector<Shard>& shards = impl_->shards;
    const auto home = impl_->home_of(key);
    Shard& target = home ? shards[*home] : shards.back();
    if (auto ok = target.index->upsert(key, vector); !ok)
      return in_shard("upsert", target.file, ok.error());
    if (home) return {};
    // Only now: the key is never without a vector, nor after a crash.
    bool is_safe = impl_->durability == Durability::sync;
    for (std::size_t i = 0; i + 1 < shards.size(); ++i) {
      if (!shards[i].index->contains(key)) continue;
      if (!is_safe) {
        if (auto ok = target.index->sync(); !ok) return in_shard("upsert", target.file, ok.error());
        is_safe = true;
      }
      const auto removed = shards[i].index->remove(key);
      if (!removed && removed.error().code() != ErrorCode::key_not_found)
        return in_shard("upsert", shards[i].file, removed.error());
    }
    return {};
  });
}

Result<void> ShardSet::remove(Key key) {
  return guarded("remove", [&]() -> Result<void> {
    if (!impl_->is_writable) return read_only("remove");
    const auto home = impl_->home_of(key);
    bool is_found = false;
    // The fresh one last: what is older in another one is never seen again.
    for (std::size_t i = home.value_or(0); i < (home ? *home + 1 : impl_->shards.size()); ++i) {
      Shard& shard = impl_->shards[i];
      if (!shard.index->contains(key)) continue;
      const auto removed = shard.index->remove(key);
      is_found |= removed.has_value();
      if (!removed && removed.error().code() != ErrorCode::key_not_found)
        return in_shard("remove", shard.file, removed.error());
    }
    if (is_found) return {};
    return Error(ErrorCode::key_not_found, "remove: key " + std::to_string(key) + " is not there");
  });
}

Result<void> ShardSet::publish(ShardManifest& manifest) {
  return guarded("publish", [&]() -> Result<void> {
    if (!impl_->is_writable) return read_only("publish");
    return impl_->lock->publish(manifest);
  });
}

Result<void> ShardSet::sync() {
  // The fresh one first: what another one has lost, it has.
  for (std::size_t i = impl_->shards.size(); i-- > 0;) {
    Shard& shard = impl_->shards[i];
    if (!shard.index) continue;
    if (auto ok = shard.index->sync(); !ok) return in_shard("sync", shard.file, ok.error());
  }
  return {};
}

Result<void> ShardSet::checkpoint(const std::atomic<bool>* stop) {
  // The fresh one first: a reader that sees what another one has lost sees what it has gained.
  for (std::size_t i = impl_->shards.size(); i-- > 0;) {
    Shard& shard = impl_->shards[i];
    if (!shard.index) continue;
    if (auto ok = shard.index->checkpoint(stop); !ok)
      return in_shard("checkpoint", shard.file, ok.error());
  }
  return {};
}

}  // namespace cairn
