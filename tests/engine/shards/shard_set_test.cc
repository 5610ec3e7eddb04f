// SPDX-License-Identifier: Apache-2.0
//
// Sets against one index of all their vectors.
#include <gtest/gtest.h>

#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstring>
#include <fstream>
#include <functional>
#include <limits>
#include <random>
#include <set>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <cairn/cairn.h>

#include "tests/engine/shards/shards.h"
#include "tests/support/temporary_directory.h"
#include "tests/support/vectors.h"

namespace cairn {
namespace {

using test::StoredVectors;
using test::TemporaryDirectory;
using test::Vectors;

std::vector<std::pair<Key, float>> pairs(std::span<const Match> matches) {
  std::vector<std::pair<Key, float>> result;
  for (const Match& match : matches) result.emplace_back(match.key, match.distance);
  return result;
}

IndexParams params_of(Metric metric, Scalar scalar, std::size_t dims) {
  IndexParams params;
  params.dimensions = dims;
  params.metric = metric;
  params.scalar = scalar;
  params.m = 8;
  params.ef_construction = 40;
  return params;
}

// Many rows at the same distance: each third one is a copy of an earlier one, each fifth a
// multiple.
Vectors with_ties(std::size_t rows, std::size_t dims, std::uint64_t seed) {
  Vectors vectors = test::random_vectors(rows, dims, seed);
  std::mt19937_64 random(seed);
  for (std::size_t i = 1; i < rows; ++i) {
    if (i % 3 != 0 && i % 5 != 0) continue;
    const std::size_t from = random() % i;
    const float factor = i % 3 == 0 ? 1.0f : 1.0f + 0.37f * static_cast<float>(random() % 8);
    for (std::size_t d = 0; d < dims; ++d)
      vectors.values[i * dims + d] = factor * vectors.values[from * dims + d];
  }
  return vectors;
}

struct Kind {
  Metric metric;
  Scalar scalar;
};
const Kind kKinds[] = {{Metric::cosine, Scalar::f32},        {Metric::l2sq, Scalar::f32},
                       {Metric::inner_product, Scalar::f32}, {Metric::cosine, Scalar::f16},
                       {Metric::l2sq, Scalar::bf16},         {Metric::inner_product, Scalar::i8},
                       {Metric::cosine, Scalar::i8},         {Metric::l2sq, Scalar::i8},
                       {Metric::hamming, Scalar::b1}};

// A set over a random split of the rows, some of which two shards have.
struct Split {
  TemporaryDirectory folder;
  StoredVectors rows;
  IndexParams params;
  Index one;
  ShardSet set;

  Split(Kind kind, std::size_t shards, std::uint64_t seed, const ShardOptions& options = {})
      : rows(test::stored(kind.scalar, with_ties(600, 16, seed))),
        params(params_of(kind.metric, kind.scalar, 16)),
        one(test::index_of(params, rows, [](std::size_t) { return true; })),
        set(open(shards, seed, options)) {}

 private:
  ShardSet open(std::size_t shards, std::uint64_t seed, const ShardOptions& options) {
    std::mt19937_64 random(seed + 1);
    std::vector<std::size_t> first;
    std::vector<std::size_t> second;
    for (std::size_t i = 0; i < rows.floats.rows(); ++i) {
      first.push_back(random() % shards);
      second.push_back(random() % 4 == 0 ? random() % shards : first.back());
    }
    const auto files = test::files_of(folder.path(), params, rows, shards,
                                      [&](std::size_t row, std::size_t shard) {
                                        return first[row] == shard || second[row] == shard;
                                      });
    return ShardSet::open(files, options).value();
  }
};

StoredVectors queries_of(const Split& split, std::size_t n, std::uint64_t seed) {
  Vectors queries = test::random_vectors(n, split.params.dimensions, seed);
  // Every second one is a row, which has copies.
  for (std::size_t i = 0; i < n; i += 2) {
    const float* row = split.rows.floats.row(3 * i);
    std::copy(row, row + queries.dims,
              queries.values.begin() + static_cast<std::ptrdiff_t>(i * queries.dims));
  }
  if (split.params.scalar == Scalar::i8) {
    for (float& value : queries.values) value = std::clamp(value, -127.0f, 127.0f);
  }
  StoredVectors stored{split.params.scalar, {}, queries};
  stored.bytes.resize(n * stored.stride());
  for (std::size_t i = 0; i < n; ++i) {
    const auto out = std::span(stored.bytes).subspan(i * stored.stride(), stored.stride());
    if (!convert({queries.row(i), queries.dims}, stored.scalar, out)) std::abort();
  }
  return stored;
}

TEST(ShardSet, ExactAnswersAreThoseOfOneIndexBitForBit) {
  for (const Kind kind : kKinds) {
    for (const std::size_t shards : {1u, 2u, 3u, 8u}) {
      const Split split(kind, shards, 10 + shards);
      const StoredVectors queries = queries_of(split, 20, 99);
      for (const std::size_t k : {1u, 10u, 100u, 1000u}) {
        SearchParams params;
        params.k = k;
        params.plan = Plan::exact;
        for (std::size_t i = 0; i < queries.floats.rows(); ++i) {
          const auto one = split.one.search(queries.vector(i), params);
          const auto all = split.set.search(queries.vector(i), params);
          ASSERT_TRUE(one && all) << (all ? "" : all.error().message());
          ASSERT_EQ(pairs(*all), pairs(*one)) << shards << " shards, k " << k << ", query " << i;
        }
      }
    }
  }
}

TEST(ShardSet, BatchesAnswerAsSingleSearches) {
  for (const unsigned threads : {1u, 3u}) {
    ShardOptions options;
    options.threads = threads;
    const Split split({Metric::cosine, Scalar::f32}, 4, 5, options);
    const StoredVectors queries = queries_of(split, 150, 7);
    for (const Plan plan : {Plan::walk, Plan::exact}) {
      SearchReport report;
      ShardReport shards;
      SearchParams params;
      params.k = 7;
      params.plan = plan;
      params.report = &report;
      std::vector<Match> out(150 * 7);
      std::vector<std::size_t> counts(150);
      ASSERT_TRUE(
          split.set.search_batch(queries.matrix(), params, out, counts, {.report = &shards}));
      EXPECT_EQ(shards.shards_asked, 4 * 150u);
      EXPECT_EQ(shards.shards_answered, 4 * 150u);
      EXPECT_EQ(report.plan, plan);
      params.report = nullptr;
      for (std::size_t i = 0; i < 150; ++i) {
        const auto single = split.set.search(queries.vector(i), params);
        ASSERT_TRUE(single);
        EXPECT_EQ(pairs({out.data() + i * 7, counts[i]}), pairs(*single));
      }
    }
  }
}

// Parts of a batch are no longer where a shard is best scanned for all rows together.
TEST(ShardSet, BatchesTakeTheSamePlanForAnyNumberOfThreads) {
  std::vector<Match> first;
  std::uint64_t distances = 0;
  for (const unsigned threads : {1u, 2u, 5u}) {
    ShardOptions options;
    options.threads = threads;
    const Split split({Metric::cosine, Scalar::f32}, 4, 5, options);
    const StoredVectors queries = queries_of(split, 150, 7);
    for (const std::size_t rows : {8u, 20u, 150u}) {
      SearchReport report;
      SearchParams params;
      params.ef = 40;
      params.report = &report;
      std::vector<Match> out(rows * 10);
      std::vector<std::size_t> counts(rows);
      MatrixView some = queries.matrix();
      some.rows = rows;
      ASSERT_TRUE(split.set.search_batch(some, params, out, counts));
      EXPECT_EQ(report.plan, rows < 16 ? Plan::walk : Plan::exact) << rows << ", " << threads;
      if (rows != 150) continue;
      if (threads == 1) {
        first = out;
        distances = report.distances;
      }
      EXPECT_EQ(pairs(out), pairs(first));
      EXPECT_EQ(report.distances, distances);
    }
  }
}

TEST(ShardSet, RangesHaveWhatOneIndexHas) {
  for (const Kind kind : kKinds) {
    const Split split(kind, 5, 3);
    const StoredVectors queries = queries_of(split, 10, 8);
    for (std::size_t i = 0; i < 10; ++i) {
      SearchParams nearest;
      nearest.k = 40;
      nearest.plan = Plan::exact;
      const float radius = split.one.search(queries.vector(i), nearest)->back().distance;
      for (const std::size_t most : {0u, 17u}) {
        RangeParams params;
        params.plan = Plan::exact;
        params.max_results = most;
        const auto one = split.one.search_range(queries.vector(i), radius, params);
        const auto all = split.set.search_range(queries.vector(i), radius, params);
        ASSERT_TRUE(one && all);
        EXPECT_EQ(pairs(*all), pairs(*one));
        std::vector<Match> taken;
        EXPECT_FALSE(split.set
                         .search_range(queries.vector(i), radius, params,
                                       [&](Match match) {
                                         taken.push_back(match);
                                         return taken.size() < 5;
                                       })
                         .value());
        EXPECT_EQ(pairs(taken), pairs(std::span(*one).first(5)));
      }
    }
  }
}

TEST(ShardSet, PagesOfTheExactPlanAreTheWholeOrder) {
  for (const Kind kind : kKinds) {
    const Split split(kind, 4, 6);
    const StoredVectors queries = queries_of(split, 4, 8);
    SearchParams params;
    params.plan = Plan::exact;
    params.k = 1000;
    for (std::size_t i = 0; i < 4; ++i) {
      const auto one = split.one.search(queries.vector(i), params);
      for (const Order order : {Order::relaxed, Order::strict}) {
        auto cursor = split.set.open_cursor(queries.vector(i), params, order);
        ASSERT_TRUE(cursor);
        std::vector<Match> all;
        std::vector<Match> page(13);
        for (;;) {
          const auto count = cursor->next(page);
          ASSERT_TRUE(count);
          if (*count == 0) break;
          all.insert(all.end(), page.begin(), page.begin() + static_cast<std::ptrdiff_t>(*count));
        }
        EXPECT_EQ(pairs(all), pairs(*one));
      }
    }
  }
}

TEST(ShardSet, PagesOfAWalkNameEachKeyOnceAndAreInOrder) {
  const Split split({Metric::cosine, Scalar::f32}, 4, 6);
  const StoredVectors queries = queries_of(split, 4, 8);
  for (std::size_t i = 0; i < 4; ++i) {
    auto cursor = split.set.open_cursor(queries.vector(i), {});
    ASSERT_TRUE(cursor);
    std::set<Key> seen;
    std::vector<Match> page(13);
    for (std::size_t count = 1; count != 0;) {
      count = cursor->next(page).value();
      for (std::size_t m = 0; m < count; ++m) {
        EXPECT_TRUE(seen.insert(page[m].key).second);
        EXPECT_LE(page[m == 0 ? 0 : m - 1].distance, page[m].distance);
      }
    }
    EXPECT_EQ(seen.size(), 600u);
  }
}

TEST(ShardSet, PagesOfAWalkOrderEqualDistancesByKey) {
  for (const Kind kind : kKinds) {
    TemporaryDirectory folder;
    // Six kinds of vectors, each many times over: lists of equal ones end in the middle.
    Vectors vectors = test::random_vectors(600, 6, 3);
    for (std::size_t i = 6; i < 600; ++i)
      std::copy_n(vectors.row(i % 6), 6,
                  vectors.values.begin() + static_cast<std::ptrdiff_t>(6 * i));
    const StoredVectors rows = test::stored(kind.scalar, vectors);
    const IndexParams params = params_of(kind.metric, kind.scalar, 6);
    const auto files =
        test::files_of(folder.path(), params, rows, 3,
                       [](std::size_t row, std::size_t shard) { return row / 7 % 3 == shard; });
    const ShardSet set = ShardSet::open(files).value();
    auto cursor = set.open_cursor(rows.vector(0), {});
    ASSERT_TRUE(cursor);
    std::vector<Match> page(50);
    for (std::size_t count = 1; count != 0;) {
      count = cursor->next(page).value();
      for (std::size_t m = 1; m < count; ++m) {
        const Match& before = page[m - 1];
        EXPECT_TRUE(before.distance < page[m].distance ||
                    (before.distance == page[m].distance && before.key < page[m].key))
            << before.key << " " << page[m].key;
      }
    }
  }
}

TEST(ShardSet, RerankOrdersEachPageByItself) {
  for (const Kind kind : kKinds) {
    const Split split(kind, 4, 6);
    const StoredVectors queries = queries_of(split, 2, 8);
    const std::function<float(Key, VectorView)> by_key = [&](Key key, VectorView vector) {
      EXPECT_EQ(vector.scalar(), kind.scalar);
      EXPECT_EQ(vector.dims(), 16u);
      std::vector<float> stored(16);
      EXPECT_TRUE(split.one.get(key, stored));
      std::vector<std::byte> converted(vector_bytes(kind.scalar, 16));
      EXPECT_TRUE(convert(stored, kind.scalar, converted));
      EXPECT_EQ(std::memcmp(converted.data(), vector.data(), converted.size()), 0);
      return -static_cast<float>(key % 97);
    };
    SearchParams params;
    params.plan = Plan::exact;
    SearchParams reranked = params;
    reranked.rerank = &by_key;
    auto of_set = split.set.open_cursor(queries.vector(0), reranked);
    auto of_one = split.one.open_cursor(queries.vector(0), reranked);
    ASSERT_TRUE(of_set);
    ASSERT_TRUE(of_one);
    std::vector<Match> page(13);
    std::vector<Match> other(13);
    std::size_t all = 0;
    for (;;) {
      const std::size_t count = of_set->next(page).value();
      ASSERT_EQ(of_one->next(other).value(), count);
      if (count == 0) break;
      all += count;
      EXPECT_EQ(pairs(std::span(page).first(count)), pairs(std::span(other).first(count)));
    }
    EXPECT_EQ(all, 600u);
  }
}

TEST(ShardSet, ACursorRefusesARerankThatIsNoFunction) {
  const Split split({Metric::l2sq, Scalar::f32}, 3, 6);
  const StoredVectors queries = queries_of(split, 1, 8);
  const std::function<float(Key, VectorView)> none;
  SearchParams params;
  params.rerank = &none;
  const auto cursor = split.set.open_cursor(queries.vector(0), params);
  ASSERT_FALSE(cursor);
  EXPECT_EQ(cursor.error().code(), ErrorCode::invalid_argument);
}

TEST(ShardSet, APageWhoseRerankThrowsComesWithTheNextCall) {
  const Split split({Metric::l2sq, Scalar::f32}, 3, 6);
  const StoredVectors queries = queries_of(split, 2, 8);
  bool throws = true;
  const std::function<float(Key, VectorView)> rerank = [&](Key, VectorView) -> float {
    if (throws) throw std::runtime_error("not now");
    return 1;
  };
  SearchParams params;
  params.plan = Plan::exact;
  params.k = 5;
  const auto nearest = split.one.search(queries.vector(0), params);
  params.rerank = &rerank;
  auto cursor = split.set.open_cursor(queries.vector(0), params);
  ASSERT_TRUE(cursor);
  std::vector<Match> page(8);
  EXPECT_FALSE(cursor->next(page));
  throws = false;
  ASSERT_EQ(cursor->next(std::span(page).first(5)).value(), 5u);
  std::set<Key> wanted;
  std::set<Key> found;
  for (const Match& match : *nearest) wanted.insert(match.key);
  for (const Match& match : std::span(page).first(5)) {
    EXPECT_EQ(match.distance, 1);
    found.insert(match.key);
  }
  EXPECT_EQ(found, wanted);
  EXPECT_EQ(cursor->next(page).value(), 8u);
  for (const Match& match : page) EXPECT_TRUE(found.insert(match.key).second);
}

TEST(ShardSet, FiltersHoldForAllShards) {
  const Split split({Metric::l2sq, Scalar::f32}, 4, 2);
  const StoredVectors queries = queries_of(split, 20, 4);
  std::vector<Key> some;
  for (std::size_t i = 0; i < 600; i += 4) some.push_back(split.rows.floats.keys[i]);
  std::vector<std::uint64_t> words(100, 0xF0F0F0F0F0F0F0F0u);
  const auto odd = [](Key key) { return key % 2 == 1; };
  const std::pair<ShardFilter, Filter> filters[] = {
      {ShardFilter::only(split.set, some).value(), Filter::only(split.one, some).value()},
      {ShardFilter::except(split.set, some).value(), Filter::except(split.one, some).value()},
      {ShardFilter::bits(split.set, words, 100).value(),
       Filter::bits(split.one, words, 100).value()},
      {ShardFilter::where(split.set, odd).value(), Filter::where(split.one, odd).value()}};
  std::vector<const ShardFilter*> one_a_row;
  std::vector<std::vector<std::pair<Key, float>>> wanted;
  SearchParams params;
  params.plan = Plan::exact;
  for (std::size_t i = 0; i < 20; ++i) {
    const auto& [many, single] = filters[i % 4];
    EXPECT_GE(many.count(), single.count());  // of copies
    SearchParams filtered = params;
    filtered.filter = &single;
    wanted.push_back(pairs(split.one.search(queries.vector(i), filtered).value()));
    EXPECT_EQ(pairs(split.set.search(queries.vector(i), params, {.filter = &many}).value()),
              wanted[i]);
    one_a_row.push_back(&many);
    RangeParams range;
    range.plan = Plan::exact;
    range.filter = &single;
    const float radius = wanted[i].back().second;
    const auto of_one = split.one.search_range(queries.vector(i), radius, range);
    range.filter = nullptr;
    EXPECT_EQ(
        pairs(split.set.search_range(queries.vector(i), radius, range, {.filter = &many}).value()),
        pairs(*of_one));
  }
  std::vector<Match> out(200);
  std::vector<std::size_t> counts(20);
  ASSERT_TRUE(split.set.search_batch(queries.matrix(), params, one_a_row, out, counts));
  for (std::size_t i = 0; i < 20; ++i)
    EXPECT_EQ(pairs({out.data() + i * 10, counts[i]}), wanted[i]);
  const Split other({Metric::l2sq, Scalar::f32}, 2, 2);
  EXPECT_EQ(
      other.set.search(queries.vector(0), params, {.filter = &filters[0].first}).error().code(),
      ErrorCode::invalid_argument);
  params.filter = &filters[0].second;
  EXPECT_EQ(split.set.search(queries.vector(0), params).error().code(),
            ErrorCode::invalid_argument);
}

TEST(ShardSet, ListsEachKeyOnceAndFindsAll) {
  const Split split({Metric::cosine, Scalar::f32}, 3, 1);
  std::vector<Key> listed;
  std::vector<Key> some(50);
  ShardSet::KeyScan scan;
  while (!scan.done) {
    const auto count = split.set.keys(scan, some);
    ASSERT_TRUE(count);
    listed.insert(listed.end(), some.begin(), some.begin() + static_cast<std::ptrdiff_t>(*count));
  }
  std::sort(listed.begin(), listed.end());
  EXPECT_EQ(listed, split.rows.floats.keys);  // ascending
  std::vector<float> row(16);
  for (std::size_t i = 0; i < 600; ++i) {
    ASSERT_TRUE(split.set.contains(listed[i]));
    ASSERT_TRUE(split.set.get(listed[i], row));
    EXPECT_TRUE(std::equal(row.begin(), row.end(), split.rows.floats.row(i)));
  }
  EXPECT_FALSE(split.set.contains(1));
  EXPECT_EQ(split.set.get(1, row).error().code(), ErrorCode::key_not_found);
  EXPECT_EQ(split.set.stats().live, split.set.size());
  EXPECT_TRUE(split.set.verify()->ok());
  EXPECT_TRUE(split.set.warm());
  EXPECT_TRUE(split.set.release());
}

TEST(ShardSet, FilesThatDoNotFitTogetherAreRefusedByName) {
  const TemporaryDirectory folder;
  const auto save = [&](const char* name, Metric metric, Scalar scalar, std::size_t dims) {
    ASSERT_TRUE(Index::create(params_of(metric, scalar, dims))->save(folder / name));
  };
  save("a.cairn", Metric::cosine, Scalar::f32, 8);
  save("metric.cairn", Metric::l2sq, Scalar::f32, 8);
  save("scalar.cairn", Metric::cosine, Scalar::f16, 8);
  save("dimensions.cairn", Metric::cosine, Scalar::f32, 9);
  for (const char* other : {"metric.cairn", "scalar.cairn", "dimensions.cairn"}) {
    const std::vector<std::filesystem::path> files = {folder / "a.cairn", folder / other};
    for (const bool partial : {false, true}) {
      ShardOptions options;
      options.allow_partial = partial;
      const auto set = ShardSet::open(files, options);
      ASSERT_FALSE(set);
      EXPECT_EQ(set.error().code(), ErrorCode::invalid_argument);
      EXPECT_NE(set.error().message().find(other), std::string::npos) << set.error().message();
    }
  }
  IndexParams several = params_of(Metric::cosine, Scalar::f32, 8);
  several.several_per_key = true;
  ASSERT_TRUE(Index::create(several)->save(folder / "several.cairn"));
  const std::vector<std::filesystem::path> files = {folder / "a.cairn", folder / "several.cairn"};
  EXPECT_EQ(ShardSet::open(files).error().code(), ErrorCode::unsupported);
  EXPECT_EQ(ShardSet::open(std::span<const std::filesystem::path>()).error().code(),
            ErrorCode::invalid_argument);
}

TEST(ShardSet, AMissingShardIsAnErrorOrIsNamed) {
  const Split split({Metric::cosine, Scalar::f32}, 3, 1);
  std::vector<std::filesystem::path> files;
  for (std::size_t i = 0; i < 3; ++i)
    files.push_back(split.folder / (std::to_string(i) + ".cairn"));
  std::filesystem::remove(files[1]);
  const auto strict = ShardSet::open(files);
  ASSERT_FALSE(strict);
  EXPECT_EQ(strict.error().code(), ErrorCode::path_not_found);
  EXPECT_NE(strict.error().message().find("1.cairn"), std::string::npos);

  ShardOptions options;
  options.allow_partial = true;
  const auto set = ShardSet::open(files, options);
  ASSERT_TRUE(set);
  ASSERT_EQ(set->problems().size(), 1u);
  EXPECT_EQ(set->problems()[0].shard, 1u);
  EXPECT_EQ(set->shard(1), nullptr);
  const StoredVectors queries = queries_of(split, 30, 4);
  ShardReport report;
  ASSERT_TRUE(set->search(queries.vector(0), {}, {.report = &report}));
  EXPECT_EQ(report.shards_asked, 3u);
  EXPECT_EQ(report.shards_answered, 2u);
  EXPECT_EQ(report.missing, std::vector<std::string>{files[1].string()});
  std::vector<Match> out(300);
  std::vector<std::size_t> counts(30);
  ASSERT_TRUE(set->search_batch(queries.matrix(), {}, out, counts, {.report = &report}));
  EXPECT_EQ(report.shards_asked, 90u);
  EXPECT_EQ(report.shards_answered, 60u);
  EXPECT_EQ(report.missing.size(), 1u);
  ASSERT_TRUE(set->search_range(queries.vector(0), 0.5f, {}, {.report = &report}));
  EXPECT_EQ(report.missing.size(), 1u);
  ASSERT_TRUE(set->open_cursor(queries.vector(0), {}, Order::relaxed, {.report = &report}));
  EXPECT_EQ(report.missing.size(), 1u);
  EXPECT_FALSE(set->verify()->ok());
  std::vector<float> row(16);
  EXPECT_EQ(set->get(1, row).error().code(), ErrorCode::path_not_found);

  for (const auto& file : files) std::filesystem::remove(file);
  EXPECT_EQ(ShardSet::open(files, options).error().code(), ErrorCode::path_not_found);
}

// Changes a byte of each page in turn, until one is found that a scan meets, and opening does not.
bool damage_a_page_of_vectors(const std::filesystem::path& file, VectorView query) {
  OpenOptions options;
  options.check = Check::on_first_use;
  SearchParams params;
  params.plan = Plan::exact;
  const auto size = std::filesystem::file_size(file);
  for (std::uint64_t at = 4096 * 33; at < size; at += 4096) {
    const auto flip = [&] {
      std::fstream bytes(file, std::ios::in | std::ios::out | std::ios::binary);
      bytes.seekg(static_cast<std::streamoff>(at));
      const int byte = bytes.get();
      bytes.seekp(static_cast<std::streamoff>(at));
      bytes.put(static_cast<char>(byte ^ 1));
    };
    flip();
    const auto index = Index::open(file, options);
    if (index && !index->search(query, params)) return true;
    flip();
  }
  return false;
}

TEST(ShardSet, ADamagedShardIsAnErrorOrIsNamed) {
  const Split split({Metric::cosine, Scalar::f32}, 3, 1);
  std::vector<std::filesystem::path> files;
  for (std::size_t i = 0; i < 3; ++i)
    files.push_back(split.folder / (std::to_string(i) + ".cairn"));
  const StoredVectors queries = queries_of(split, 40, 4);
  ASSERT_TRUE(damage_a_page_of_vectors(files[1], queries.vector(0)));
  for (const bool partial : {false, true}) {
    ShardOptions options;
    options.allow_partial = partial;
    options.open.check = Check::on_first_use;
    const auto set = ShardSet::open(files, options);
    ASSERT_TRUE(set) << set.error().message();
    SearchParams params;
    params.plan = Plan::exact;
    ShardReport report;
    const auto found = set->search(queries.vector(0), params, {.report = &report});
    std::vector<Match> out(400);
    std::vector<std::size_t> counts(40);
    const auto batch = set->search_batch(queries.matrix(), params, out, counts);
    if (partial) {
      ASSERT_TRUE(found && batch);
      EXPECT_EQ(report.shards_answered, 2u);
      EXPECT_EQ(report.missing, std::vector<std::string>{files[1].string()});
    } else {
      ASSERT_FALSE(found || batch);
      EXPECT_EQ(found.error().code(), ErrorCode::corrupt);
      EXPECT_NE(found.error().message().find("1.cairn"), std::string::npos)
          << found.error().message();
      EXPECT_EQ(batch.error().code(), ErrorCode::corrupt);
    }
    EXPECT_FALSE(set->verify()->ok());
  }
}

// The shard is lost on the way: opening a cursor of it has read nothing.
TEST(ShardSet, AllPagesAfterALostShardAreIncomplete) {
  const Split split({Metric::cosine, Scalar::f32}, 2, 1);
  const std::vector<std::filesystem::path> files{split.folder / "0.cairn",
                                                 split.folder / "1.cairn"};
  const StoredVectors queries = queries_of(split, 1, 4);
  SearchParams params;
  params.plan = Plan::exact;
  ShardOptions options;
  options.allow_partial = true;
  options.open.check = Check::on_first_use;
  for (const std::size_t damaged : {1u, 2u}) {
    ASSERT_TRUE(damage_a_page_of_vectors(files[2 - damaged], queries.vector(0)));
    const auto set = ShardSet::open(files, options);
    ASSERT_TRUE(set) << set.error().message();
    auto cursor = set->open_cursor(queries.vector(0), params);
    ASSERT_TRUE(cursor) << cursor.error().message();
    for (int page = 0; page < 3; ++page) {
      std::vector<Match> out(5);
      SearchReport report;
      const auto count = cursor->next(out, &report);
      if (damaged == 1) {
        ASSERT_TRUE(count) << count.error().message();
        EXPECT_EQ(*count, 5u);
        EXPECT_FALSE(report.complete) << "page " << page;
      } else {
        ASSERT_FALSE(count);
        EXPECT_EQ(count.error().code(), ErrorCode::corrupt);
      }
    }
  }
}

TEST(ShardSet, LimitsEndSearchesOfAllShards) {
  const Split split({Metric::cosine, Scalar::f32}, 3, 1);
  const StoredVectors queries = queries_of(split, 2, 4);
  SearchReport report;
  SearchParams params;
  params.plan = Plan::exact;
  params.report = &report;
  params.max_distances = 90;
  ASSERT_TRUE(split.set.search(queries.vector(0), params));
  EXPECT_FALSE(report.complete);
  EXPECT_LE(report.distances, 90u);
  params.max_distances = 0;
  const std::atomic<bool> stop{true};
  params.stop = &stop;
  EXPECT_EQ(split.set.search(queries.vector(0), params).error().code(), ErrorCode::cancelled);
  params.stop = nullptr;
  params.deadline = std::chrono::steady_clock::now() - std::chrono::seconds(1);
  EXPECT_EQ(split.set.search(queries.vector(0), params).error().code(),
            ErrorCode::deadline_exceeded);
  std::vector<Match> out(20);
  std::vector<std::size_t> counts(2);
  EXPECT_EQ(split.set.search_batch(queries.matrix(), params, out, counts).error().code(),
            ErrorCode::deadline_exceeded);
}

TEST(ShardSet, WrongArgumentsAreToldBeforeAnythingIsSearched) {
  const Split split({Metric::cosine, Scalar::f32}, 3, 1);
  StoredVectors queries = queries_of(split, 3, 4);
  SearchParams none;
  none.k = 0;
  EXPECT_EQ(split.set.search(queries.vector(0), none).error().code(), ErrorCode::invalid_argument);
  EXPECT_EQ(split.set.search(VectorView(queries.floats.row(0), 5)).error().code(),
            ErrorCode::dimension_mismatch);
  std::vector<Match> out(30);
  std::vector<std::size_t> counts(3);
  EXPECT_EQ(
      split.set.search_batch(queries.matrix(), {}, std::span(out).first(29), counts).error().code(),
      ErrorCode::invalid_argument);
  const float nan = std::numeric_limits<float>::quiet_NaN();
  std::memcpy(queries.bytes.data() + 2 * queries.stride() + 8, &nan, sizeof nan);
  const auto batch = split.set.search_batch(queries.matrix(), {}, out, counts);
  ASSERT_FALSE(batch);
  EXPECT_EQ(batch.error().code(), ErrorCode::not_finite);
  EXPECT_NE(batch.error().message().find("row 2"), std::string::npos) << batch.error().message();
  EXPECT_EQ(split.set.search(queries.vector(0), {}, {.coverage = 0}).error().code(),
            ErrorCode::invalid_argument);
}

// Threads of a host: one more a part.
class CountingExecutor : public ShardExecutor {
 public:
  void run(std::size_t n, const std::function<void(std::size_t)>& body) override {
    ++runs;
    std::vector<std::thread> threads;
    for (std::size_t i = 0; i < n; ++i) threads.emplace_back([&body, i] { body(i); });
    for (std::thread& thread : threads) thread.join();
  }
  unsigned width() const override { return 4; }
  std::atomic<int> runs{0};
};

TEST(ShardSet, AHostsThreadsTakeThePlaceOfItsOwn) {
  CountingExecutor executor;
  ShardOptions options;
  options.executor = &executor;
  const Split split({Metric::cosine, Scalar::f32}, 3, 1, options);
  const StoredVectors queries = queries_of(split, 20, 4);
  SearchParams params;
  params.plan = Plan::exact;
  for (std::size_t i = 0; i < 20; ++i) {
    EXPECT_EQ(pairs(split.set.search(queries.vector(i), params).value()),
              pairs(split.one.search(queries.vector(i), params).value()));
  }
  EXPECT_EQ(executor.runs, 20);
}

// Ends the search when it asks for the second time.
class StoppingExecutor : public ShardExecutor {
 public:
  void run(std::size_t n, const std::function<void(std::size_t)>& body) override {
    stop = ++runs == 2;
    for (std::size_t i = 0; i < n; ++i) body(i);
  }
  unsigned width() const override { return 4; }
  std::atomic<bool> stop{false};
  int runs = 0;
};

TEST(ShardSet, AnAnswerStaysIfThereIsNoTimeToAskAgain) {
  constexpr std::size_t kShards = 4;
  Vectors vectors = test::random_vectors(400, 8, 3);
  // All that is near the query is in one shard, so that it is asked again.
  for (std::size_t i = 0; i < vectors.rows(); ++i) {
    if (shard_of_key(vectors.keys[i], 0, kShards) == 0) vectors.values[i * 8] += 100;
  }
  std::vector<float> query(8, 0);
  query[0] = 100;
  const TemporaryDirectory folder;
  const IndexParams params = params_of(Metric::l2sq, Scalar::f32, 8);
  test::publish_hash_set(folder.path(), params, test::stored(Scalar::f32, vectors), kShards);
  StoppingExecutor executor;
  ShardOptions options;
  options.executor = &executor;
  const auto set = ShardSet::open(folder.path(), options);
  ASSERT_TRUE(set) << set.error().message();
  SearchReport report;
  ShardReport shards;
  SearchParams asked;
  asked.k = 30;
  asked.stop = &executor.stop;
  asked.report = &report;
  const auto found = set->search({query.data(), 8}, asked, {.report = &shards});
  ASSERT_TRUE(found) << found.error().message();
  EXPECT_EQ(executor.runs, 2);
  EXPECT_EQ(found->size(), 30u);
  EXPECT_FALSE(report.complete);
  EXPECT_EQ(shards.shards_asked, kShards);
  EXPECT_TRUE(std::is_sorted(found->begin(), found->end(), [](const Match& a, const Match& b) {
    return a.distance < b.distance;
  }));
  // With the time for it they are the nearest.
  const auto all = set->search({query.data(), 8}, asked, {.report = &shards});
  ASSERT_TRUE(all && report.complete);
  EXPECT_LT(all->back().distance, found->back().distance);
}

TEST(ShardSet, ManyThreadsMaySearchAtOnce) {
  const Split split({Metric::cosine, Scalar::f32}, 3, 1);
  const StoredVectors queries = queries_of(split, 40, 4);
  std::vector<std::vector<std::pair<Key, float>>> wanted;
  for (std::size_t i = 0; i < 40; ++i)
    wanted.push_back(pairs(split.set.search(queries.vector(i)).value()));
  std::vector<std::thread> threads;
  std::atomic<int> wrong{0};
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (std::size_t round = 0; round < 10; ++round) {
        for (std::size_t i = 0; i < 40; ++i) {
          const auto found = split.set.search(queries.vector(i));
          if (!found || pairs(*found) != wanted[i]) ++wrong;
        }
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(wrong, 0);
}

TEST(ShardSet, AnswersInAChildOfTheProcess) {
  const Split split({Metric::cosine, Scalar::f32}, 3, 1);
  const StoredVectors queries = queries_of(split, 1, 4);
  const auto wanted = pairs(split.set.search(queries.vector(0)).value());
  const pid_t child = ::fork();
  if (child == 0) {
    ::alarm(60);
    const auto found = split.set.search(queries.vector(0));
    ::_exit(found && pairs(*found) == wanted ? 0 : 1);
  }
  int status = 1;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
}

// A closed set's memory is often that of the next one.
TEST(ShardSet, AFilterOfAClosedSetIsRefused) {
  Split split({Metric::cosine, Scalar::f32}, 2, 1);
  const StoredVectors queries = queries_of(split, 1, 4);
  const std::vector<std::filesystem::path> file{split.folder / "0.cairn"};
  for (int i = 0; i < 20; ++i) {
    std::optional<ShardSet> set = ShardSet::open(file).value();
    const auto filter = ShardFilter::where(*set, [](Key) { return true; });
    ASSERT_TRUE(filter && set->search(queries.vector(0), {}, {.filter = &*filter}));
    set.reset();
    set = ShardSet::open(std::vector{split.folder / "0.cairn", split.folder / "1.cairn"}).value();
    const auto found = set->search(queries.vector(0), {}, {.filter = &*filter});
    ASSERT_FALSE(found);
    EXPECT_EQ(found.error().code(), ErrorCode::invalid_argument);
    EXPECT_NE(found.error().message().find("to another set"), std::string::npos);
  }
}

TEST(ShardSet, MovesWithItsFilters) {
  Split split({Metric::cosine, Scalar::f32}, 3, 1);
  const StoredVectors queries = queries_of(split, 1, 4);
  const auto filter = ShardFilter::where(split.set, [](Key key) { return key % 2 == 0; });
  ASSERT_TRUE(filter);
  const auto before = split.set.search(queries.vector(0), {}, {.filter = &*filter});
  const ShardSet moved = std::move(split.set);
  const auto after = moved.search(queries.vector(0), {}, {.filter = &*filter});
  ASSERT_TRUE(before && after);
  EXPECT_EQ(pairs(*before), pairs(*after));
}

}  // namespace
}  // namespace cairn
