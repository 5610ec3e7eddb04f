// SPDX-License-Identifier: Apache-2.0
//
// Clusters as shards: balance, copies, what the router finds, and that it is the same every time.
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <numeric>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include <cairn/cairn.h>

#include "engine/shards/cell_packing.h"
#include "tests/engine/shards/shards.h"
#include "tests/support/temporary_directory.h"
#include "tests/support/vectors.h"

namespace cairn {
namespace {

using test::StoredVectors;
using test::TemporaryDirectory;
using test::Vectors;

constexpr std::size_t kShards = 8;

struct Assigned {
  Index router;
  std::vector<float> gaps;
  std::vector<std::uint32_t> first;
  std::vector<std::uint32_t> second;
};

Assigned assigned(Metric metric, const StoredVectors& rows, double copies, unsigned threads = 2) {
  ClusterOptions options;
  options.shards = kShards;
  options.centroids = 16;
  options.copies = copies;
  options.threads = threads;
  auto clusters = cluster_shards(metric, rows.matrix(), options);
  if (!clusters) std::abort();
  Assigned result{std::move(clusters->router), std::move(clusters->gaps), {}, {}};
  result.first.resize(rows.floats.rows());
  result.second.resize(rows.floats.rows());
  if (!assign_shards(result.router, result.gaps, rows.matrix(), result.first, result.second,
                     threads))
    std::abort();
  return result;
}

std::vector<std::size_t> sizes_of(const Assigned& given) {
  std::vector<std::size_t> sizes(kShards);
  for (std::size_t i = 0; i < given.first.size(); ++i) {
    ++sizes[given.first[i]];
    if (given.second[i] != kNoShard) ++sizes[given.second[i]];
  }
  return sizes;
}

TEST(Clusters, ShardsAreOfOneSizeAndCopiesAsManyAsWanted) {
  const Vectors vectors = test::clustered_vectors(6000, 16, 50, 1, 2);
  for (const Metric metric : {Metric::cosine, Metric::l2sq}) {
    for (const Scalar scalar : {Scalar::f32, Scalar::i8}) {
      const StoredVectors rows = test::stored(scalar, vectors);
      for (const double copies : {0.0, 0.3}) {
        const Assigned given = assigned(metric, rows, copies);
        const auto sizes = sizes_of(given);
        const std::size_t all = std::accumulate(sizes.begin(), sizes.end(), std::size_t{0});
        EXPECT_LE(static_cast<double>(*std::max_element(sizes.begin(), sizes.end())) * kShards,
                  1.1 * static_cast<double>(all));
        const double copied = static_cast<double>(all) / 6000 - 1;
        EXPECT_LE(copied, copies + 0.001);
        EXPECT_GE(copied, copies * 0.6);
        for (std::size_t i = 0; i < 6000; ++i) EXPECT_NE(given.first[i], given.second[i]);
      }
    }
  }
}

TEST(Clusters, AreTheSameWhateverTheThreadsAndTheParts) {
  const StoredVectors rows = test::stored(Scalar::f32, test::clustered_vectors(3000, 12, 20, 1, 2));
  const Assigned one = assigned(Metric::cosine, rows, 0.2, 1);
  const Assigned two = assigned(Metric::cosine, rows, 0.2, 3);
  EXPECT_EQ(one.gaps, two.gaps);
  EXPECT_EQ(one.first, two.first);
  EXPECT_EQ(one.second, two.second);
  const TemporaryDirectory folder;
  EXPECT_EQ(add_shard_file(folder.path(), one.router)->file,
            add_shard_file(folder.path(), two.router)->file);
  std::vector<std::uint32_t> first(3000);
  std::vector<std::uint32_t> second(3000);
  for (std::size_t begin = 0; begin < 3000; begin += 700) {
    MatrixView part = rows.matrix();
    part.data = rows.matrix().row(begin).data();
    part.rows = std::min<std::size_t>(700, 3000 - begin);
    ASSERT_TRUE(assign_shards(one.router, one.gaps, part, std::span(first).subspan(begin),
                              std::span(second).subspan(begin)));
  }
  EXPECT_EQ(first, one.first);
  EXPECT_EQ(second, one.second);
}

// A clustered set on disk.
ShardManifest publish_clusters(const std::filesystem::path& folder, const StoredVectors& rows,
                               const Assigned& given) {
  IndexParams params;
  params.dimensions = rows.floats.dims;
  params.m = 8;
  params.ef_construction = 40;
  ShardManifest manifest;
  manifest.params = params;
  manifest.partition = Partition::clusters;
  manifest.gaps = given.gaps;
  manifest.router = add_shard_file(folder, given.router).value();
  for (std::uint32_t shard = 0; shard < kShards; ++shard) {
    const Index index = test::index_of(params, rows, [&](std::size_t row) {
      return given.first[row] == shard || given.second[row] == shard;
    });
    manifest.shards.push_back(add_shard_file(folder, index).value());
  }
  if (!publish_shards(folder, manifest)) std::abort();
  return manifest;
}

TEST(Clusters, AFewShardsHaveNearlyAllNeighbors) {
  const TemporaryDirectory folder;
  const StoredVectors rows = test::stored(Scalar::f32, test::clustered_vectors(6000, 16, 60, 1, 2));
  const Vectors queries = test::clustered_vectors(100, 16, 60, 9, 2);
  publish_clusters(folder.path(), rows, assigned(Metric::cosine, rows, 0.3));
  const auto set = ShardSet::open(folder.path());
  ASSERT_TRUE(set) << set.error().message();
  EXPECT_TRUE(set->verify()->ok());
  std::size_t hits = 0;
  std::size_t asked = 0;
  for (std::size_t i = 0; i < queries.rows(); ++i) {
    SearchParams params;
    params.plan = Plan::exact;
    ShardReport report;
    const auto all = set->search(queries.vector(i), params);
    const auto some =
        set->search(queries.vector(i), params, {.probe = 4, .coverage = 0.97f, .report = &report});
    ASSERT_TRUE(all && some);
    EXPECT_LE(report.shards_asked, 4u);
    EXPECT_EQ(report.shards_answered, report.shards_asked);
    asked += report.shards_asked;
    std::set<Key> found;
    for (const Match& match : *some) EXPECT_TRUE(found.insert(match.key).second);
    for (const Match& match : *all) hits += found.count(match.key);
  }
  EXPECT_GE(hits, 950u);
  EXPECT_LE(asked, 350u);
  // A batch asks the same shards.
  std::vector<Match> out(1000);
  std::vector<std::size_t> counts(100);
  ASSERT_TRUE(set->search_batch(queries.matrix(), {}, out, counts, {.probe = 4}));
  for (std::size_t i = 0; i < 100; ++i) {
    const auto single = set->search(queries.vector(i), {}, {.probe = 4});
    ASSERT_TRUE(single);
    ASSERT_EQ(counts[i], single->size());
    for (std::size_t k = 0; k < counts[i]; ++k) EXPECT_EQ(out[i * 10 + k].key, (*single)[k].key);
  }
}

TEST(Clusters, PartsOfASetAreAskedForWhatTheRouterSendsThem) {
  const TemporaryDirectory folder;
  const StoredVectors rows = test::stored(Scalar::f32, test::clustered_vectors(3000, 16, 60, 1, 2));
  const Vectors queries = test::clustered_vectors(50, 16, 60, 9, 2);
  publish_clusters(folder.path(), rows, assigned(Metric::cosine, rows, 0.3));
  const auto set = ShardSet::open(folder.path()).value();
  ShardOptions some;
  some.only = {1};
  const auto one = ShardSet::open(folder.path(), some).value();
  some.only.clear();
  for (std::uint32_t shard = 0; shard < kShards; ++shard) {
    if (shard != 1) some.only.push_back(shard);
  }
  const auto rest = ShardSet::open(folder.path(), some).value();
  bool is_one_left_alone = false;
  for (std::size_t i = 0; i < queries.rows(); ++i) {
    SearchParams params;
    params.plan = Plan::exact;
    ShardReport reports[3];
    const auto all = set.search(queries.vector(i), params, {.probe = 2, .report = &reports[0]});
    const auto a = one.search(queries.vector(i), params, {.probe = 2, .report = &reports[1]});
    const auto b = rest.search(queries.vector(i), params, {.probe = 2, .report = &reports[2]});
    ASSERT_TRUE(all && a && b);
    EXPECT_EQ(reports[0].shards_asked, reports[1].shards_asked + reports[2].shards_asked);
    for (const ShardReport& report : reports) {
      EXPECT_EQ(report.shards_asked, report.shards_answered);
      EXPECT_TRUE(report.missing.empty());
    }
    std::set<Key> found;
    for (const auto* matches : {&*a, &*b}) {
      for (const Match& match : *matches) found.insert(match.key);
    }
    for (const Match& match : *all) EXPECT_EQ(found.count(match.key), 1u);
    if (reports[1].shards_asked != 0) continue;
    is_one_left_alone = true;
    EXPECT_TRUE(a->empty());
    auto cursor = one.open_cursor(queries.vector(i), params, Order::relaxed, {.probe = 2});
    ASSERT_TRUE(cursor);
    std::vector<Match> page(10);
    EXPECT_EQ(cursor->next(page).value(), 0u);
  }
  EXPECT_TRUE(is_one_left_alone);
}

TEST(Clusters, ARouterOfAnotherSetIsRefused) {
  const TemporaryDirectory folder;
  const StoredVectors rows = test::stored(Scalar::f32, test::clustered_vectors(2000, 16, 60, 1, 2));
  const Assigned given = assigned(Metric::cosine, rows, 0.3);
  ShardManifest manifest = publish_clusters(folder.path(), rows, given);
  const auto publish_with = [&](const Index& router) {
    manifest.router = add_shard_file(folder.path(), router).value();
    ASSERT_TRUE(publish_shards(folder.path(), manifest));
  };
  ClusterOptions more;
  more.shards = kShards + 1;
  more.centroids = 4;
  publish_with(cluster_shards(Metric::cosine, rows.matrix(), more)->router);
  auto set = ShardSet::open(folder.path());
  ASSERT_FALSE(set);
  EXPECT_EQ(set.error().code(), ErrorCode::corrupt);
  EXPECT_NE(set.error().message().find("router of another set"), std::string::npos);
  more.shards = kShards - 1;
  publish_with(cluster_shards(Metric::cosine, rows.matrix(), more)->router);
  EXPECT_EQ(ShardSet::open(folder.path()).error().code(), ErrorCode::corrupt);
  more.shards = kShards;
  publish_with(cluster_shards(Metric::l2sq, rows.matrix(), more)->router);
  EXPECT_EQ(ShardSet::open(folder.path()).error().code(), ErrorCode::corrupt);
  publish_with(given.router);
  EXPECT_TRUE(ShardSet::open(folder.path()));
  std::filesystem::remove(folder / manifest.router->file);
  EXPECT_EQ(ShardSet::open(folder.path()).error().code(), ErrorCode::path_not_found);
}

TEST(Clusters, WhatCannotBeClusteredIsRefused) {
  const StoredVectors rows = test::stored(Scalar::f32, test::random_vectors(100, 4, 1));
  ClusterOptions options;
  options.shards = 4;
  options.centroids = 8;
  const auto code = [&](Metric metric = Metric::l2sq) {
    const auto clusters = cluster_shards(metric, rows.matrix(), options);
    return clusters ? ErrorCode{} : clusters.error().code();
  };
  EXPECT_EQ(code(), ErrorCode{});
  EXPECT_EQ(code(Metric::inner_product), ErrorCode::unsupported);
  options.centroids = 26;
  EXPECT_EQ(code(), ErrorCode::invalid_argument);
  options.centroids = 0;
  EXPECT_EQ(code(), ErrorCode::invalid_argument);
  options.centroids = 8;
  options.copies = 1.5;
  EXPECT_EQ(code(), ErrorCode::invalid_argument);
  options.copies = 0;
  options.largest = 1;
  EXPECT_EQ(code(), ErrorCode::invalid_argument);
  options.largest = 1.05;
  const std::atomic<bool> stop{true};
  options.stop = &stop;
  EXPECT_EQ(code(), ErrorCode::cancelled);
}

// Rows that are all the same, and fewer different ones than centroids.
TEST(Clusters, CopiesOfOneVectorAreClusteredToo) {
  Vectors vectors{4, {}, {}};
  for (std::size_t i = 0; i < 500; ++i) {
    const float x = static_cast<float>(i % 3);
    vectors.append(i, std::vector<float>{x, 1, 0, 0});
  }
  const StoredVectors rows = test::stored(Scalar::f32, vectors);
  for (const Metric metric : {Metric::cosine, Metric::l2sq}) {
    const Assigned given = assigned(metric, rows, 0.3);
    for (const std::uint32_t shard : given.first) EXPECT_LT(shard, kShards);
  }
}

TEST(CellPacking, LinkedCellsComeTogetherWithinTheSize) {
  // Four groups of eight cells, all cells of a group linked, in an order that hides them.
  CellGraph graph(32);
  const auto group = [](std::uint32_t cell) { return cell * 7 % 32 / 8; };
  for (std::uint32_t a = 0; a < 32; ++a) {
    for (int i = 0; i < 10; ++i) graph.add_row(a);
    for (std::uint32_t b = 0; b < a; ++b) graph.add_link(a, b, group(a) == group(b) ? 9 : 1);
  }
  const auto shards = pack_cells(graph, 4, 1.05);
  for (std::uint32_t a = 0; a < 32; ++a) {
    for (std::uint32_t b = 0; b < a; ++b) EXPECT_EQ(shards[a] == shards[b], group(a) == group(b));
  }
  std::set<std::uint32_t> used(shards.begin(), shards.end());
  EXPECT_EQ(used.size(), 4u);
  // As many shards as cells, and more rows in one cell than a shard may have.
  CellGraph uneven(5);
  for (int i = 0; i < 100; ++i) uneven.add_row(3);
  const auto each = pack_cells(uneven, 5, 1.05);
  EXPECT_EQ(std::set<std::uint32_t>(each.begin(), each.end()).size(), 5u);
}

}  // namespace
}  // namespace cairn
