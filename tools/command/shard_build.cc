// SPDX-License-Identifier: Apache-2.0
#include "tools/command/shard_build.h"

#include <algorithm>
#include <array>
#include <span>
#include <utility>

namespace cairn::tools {
namespace {

constexpr std::size_t kSampleACentroid = 64;  // rows that are clustered
constexpr std::size_t kAssignedAtOnce = 8192;

// Which shards a row goes to; kNoShard: no second one.
struct Places {
  std::vector<std::uint32_t> first;
  std::vector<std::uint32_t> second;
};

// Rows from..., every `step`-th, n of them.
Result<std::vector<std::byte>> some_rows(const ShardRows& rows, std::size_t stride,
                                         std::size_t first, std::size_t step, std::size_t n) {
  std::vector<std::byte> bytes(n * stride);
  for (std::size_t i = 0; i < n; ++i) {
    if (auto ok = rows.copy(first + i * step, bytes.data() + i * stride); !ok) return ok.error();
  }
  return bytes;
}

// The router and the gaps of the manifest, and where each row goes.
Result<Places> cluster(const std::filesystem::path& folder, const ShardRows& rows,
                       const IndexParams& params, const ShardPlan& plan, ShardManifest& manifest) {
  ClusterOptions options;
  options.shards = plan.shards;
  options.copies = plan.copies;
  options.seed = params.seed;
  options.threads = plan.threads;
  options.stop = plan.stop;
  if (plan.progress) {
    options.progress = [&](std::size_t done, std::size_t total) {
      plan.progress("cluster", done, total);
    };
  }
  const std::size_t all = rows.keys().size();
  // Of few vectors there are fewer centroids.
  options.centroids = std::clamp<std::size_t>(all / (8 * plan.shards), 1, options.centroids);
  const std::size_t stride = vector_bytes(params.scalar, params.dimensions);
  const std::size_t n = std::min(all, plan.shards * options.centroids * kSampleACentroid);
  const auto sample = some_rows(rows, stride, 0, n == 0 ? 1 : all / n, n);
  if (!sample) return sample.error();
  const MatrixView matrix{sample->data(), params.scalar, n, params.dimensions, stride};
  auto clusters = cluster_shards(params.metric, matrix, options);
  if (!clusters) return clusters.error();
  auto router = add_shard_file(folder, clusters->router, plan.stop);
  if (!router) return router.error();
  manifest.router = *std::move(router);
  manifest.gaps = std::move(clusters->gaps);
  Places places{std::vector<std::uint32_t>(all), std::vector<std::uint32_t>(all)};
  for (std::size_t begin = 0; begin < all; begin += kAssignedAtOnce) {
    if (plan.stop != nullptr && *plan.stop) return Error(ErrorCode::cancelled, "interrupted");
    if (plan.progress) plan.progress("assign", begin, all);
    const std::size_t count = std::min(kAssignedAtOnce, all - begin);
    const auto bytes = some_rows(rows, stride, begin, 1, count);
    if (!bytes) return bytes.error();
    const auto done =
        assign_shards(clusters->router, manifest.gaps,
                      {bytes->data(), params.scalar, count, params.dimensions, stride},
                      std::span(places.first).subspan(begin),
                      std::span(places.second).subspan(begin), plan.threads);
    if (!done) return done.error();
  }
  return places;
}

Places hashed(const ShardRows& rows, const ShardPlan& plan, std::uint64_t seed) {
  Places places;
  for (const Key key : rows.keys())
    places.first.push_back(static_cast<std::uint32_t>(shard_of_key(key, seed, plan.shards)));
  places.second.assign(rows.keys().size(), kNoShard);
  return places;
}

// Two empty shards would be one file.
Result<void> check_sizes(const Places& places, std::size_t shards) {
  std::vector<bool> has_one(shards);
  for (const auto* some : {&places.first, &places.second}) {
    for (const std::uint32_t shard : *some) {
      if (shard != kNoShard) has_one[shard] = true;
    }
  }
  if (std::count(has_one.begin(), has_one.end(), false) <= 1) return {};
  return Error(ErrorCode::invalid_argument,
               std::to_string(places.first.size()) + " vectors are too few for " +
                   std::to_string(shards) + " shards: several would be empty");
}

// The same bytes for the same rows, whenever and wherever.
Result<ShardFile> build_shard(const std::filesystem::path& folder, const ShardRows& rows,
                              const IndexParams& params, const ShardPlan& plan,
                              const Places& places, std::uint32_t shard) {
  const std::size_t stride = vector_bytes(params.scalar, params.dimensions);
  const auto is_of = [&](std::size_t row) {
    return places.first[row] == shard || places.second[row] == shard;
  };
  std::size_t count = 0;
  for (std::size_t row = 0; row < places.first.size(); ++row) count += is_of(row) ? 1u : 0u;
  std::vector<Key> keys;
  keys.reserve(count);
  std::vector<std::byte> bytes(count * stride);
  for (std::size_t row = 0; row < places.first.size(); ++row) {
    if (!is_of(row)) continue;
    if (auto ok = rows.copy(row, bytes.data() + keys.size() * stride); !ok) return ok.error();
    keys.push_back(rows.keys()[row]);
  }
  BuildOptions options;
  options.threads = plan.threads;
  options.stop = plan.stop;
  const MatrixView matrix{bytes.data(), params.scalar, keys.size(), params.dimensions, stride};
  return build_shard_file(folder, params, keys, matrix, options);
}

}  // namespace

Result<void> FileRows::copy(std::size_t row, std::byte* out) const { return rows_.copy(row, out); }

Result<SetRows> SetRows::of(const ShardSet& set, const std::atomic<bool>* stop) {
  SetRows rows(set);
  std::array<Key, 1024> some;
  ShardSet::KeyScan scan;
  while (!scan.done) {
    if (stop != nullptr && *stop) return Error(ErrorCode::cancelled, "interrupted");
    const auto count = set.keys(scan, some);
    if (!count) return count.error();
    rows.keys_.insert(rows.keys_.end(), some.begin(),
                      some.begin() + static_cast<std::ptrdiff_t>(*count));
  }
  std::sort(rows.keys_.begin(), rows.keys_.end());
  return rows;
}

Result<void> SetRows::copy(std::size_t row, std::byte* out) const {
  const IndexParams& params = set_->params();
  std::vector<float> floats(params.dimensions);
  const auto got = set_->get(keys_[row], floats);
  if (!got) return got.error();
  return as_stored(floats, params.scalar, {out, vector_bytes(params.scalar, params.dimensions)});
}

Result<ShardsBuilt> build_shards(const std::filesystem::path& folder, const ShardRows& rows,
                                 const IndexParams& params, const ShardPlan& plan) {
  ShardsBuilt built;
  built.vectors = rows.keys().size();
  built.manifest.params = params;
  built.manifest.partition = plan.partition;
  built.manifest.generation = plan.generation;
  const bool clusters = plan.partition == Partition::clusters;
  auto places = clusters ? cluster(folder, rows, params, plan, built.manifest)
                         : Result<Places>(hashed(rows, plan, built.manifest.seed));
  if (!places) return places.error();
  built.copies = static_cast<std::size_t>(
      std::count_if(places->second.begin(), places->second.end(),
                    [](std::uint32_t shard) { return shard != kNoShard; }));
  if (auto ok = check_sizes(*places, plan.shards); !ok) return ok.error();
  for (std::uint32_t shard = 0; shard < plan.shards; ++shard) {
    if (plan.progress) plan.progress("build", shard, plan.shards);
    auto file = build_shard(folder, rows, params, plan, *places, shard);
    if (!file) return file.error();
    built.manifest.shards.push_back(*std::move(file));
  }
  if (plan.progress) plan.progress("build", plan.shards, plan.shards);
  auto published = plan.held != nullptr ? plan.held->publish(built.manifest)
                                        : publish_shards(folder, built.manifest);
  if (!published) return published.error();
  return built;
}

}  // namespace cairn::tools
