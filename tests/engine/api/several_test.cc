// SPDX-License-Identifier: Apache-2.0
//
// Several vectors a key, against a brute-force model: random changes, metrics, kinds and sizes of
// groups.
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <filesystem>
#include <functional>
#include <limits>
#include <map>
#include <random>
#include <set>
#include <string>
#include <vector>

#include <cairn/cairn.h>

#include "engine/vectors/components.h"
#include "tests/support/temporary_directory.h"
#include "tests/support/vectors.h"

namespace cairn {
namespace {

using test::TemporaryDirectory;

using Vector = std::vector<float>;
using Passes = std::function<bool(Key)>;

struct Kind {
  Metric metric;
  Scalar scalar;
  std::size_t dims;
  Traversal traversal = Traversal::automatic;
};

std::string name_of_kind(const Kind& kind) {
  return std::string(name_of(kind.metric)) + "_" + name_of(kind.scalar) + "_" +
         std::to_string(kind.dims) + (kind.traversal == Traversal::exact ? "_exact" : "");
}

IndexParams params_of(const Kind& kind) {
  IndexParams params;
  params.dimensions = kind.dims;
  params.metric = kind.metric;
  params.scalar = kind.scalar;
  params.traversal = kind.traversal;
  params.m = 8;
  params.ef_construction = 60;
  params.several_per_key = true;
  return params;
}

// What an index is to hold: each vector as the floats that the stored kind means.
class Model {
 public:
  explicit Model(const Kind& kind) : kind_(kind), random_(kind.dims) {}

  // A vector near the center of a group, or of another one, as chunks of a document are.
  test::StoredVectors draw(Key group, std::size_t n) {
    test::Vectors rows;
    rows.dims = kind_.dims;
    std::normal_distribution<float> spread(0.0f, 0.4f);
    for (std::size_t i = 0; i < n; ++i) {
      const Key center = random_() % 4 == 0 ? random_() % 40 : group % 40;
      std::mt19937 of_center(static_cast<std::uint32_t>(center + 1));
      std::normal_distribution<float> normal;
      Vector row(kind_.dims);
      for (float& component : row) component = normal(of_center) + spread(random_);
      rows.append(group, row);
    }
    return test::stored(kind_.scalar, rows);
  }
  std::size_t group_size() {
    constexpr std::size_t kSizes[] = {1, 1, 2, 3, 5, 9, 10, 11, 20, 40, 300};
    return kSizes[random_() % std::size(kSizes)];
  }
  std::mt19937& random() { return random_; }

  std::map<Key, std::vector<Vector>> all;

  std::size_t vectors() const {
    std::size_t n = 0;
    for (const auto& [key, vectors] : all) n += vectors.size();
    return n;
  }
  double nearest(Key key, const float* query) const {
    // Of bits: the number of different ones.
    const Metric metric = kind_.metric == Metric::hamming ? Metric::l2sq : kind_.metric;
    double least = std::numeric_limits<double>::infinity();
    for (const Vector& vector : all.at(key)) {
      least = std::min(least, test::reference_distance(metric, query, vector.data(), kind_.dims));
    }
    return least;
  }
  // All keys that pass, nearest first.
  std::vector<test::TrueMatch> ranked(const float* query, const Passes& passes = {}) const {
    std::vector<test::TrueMatch> matches;
    for (const auto& [key, vectors] : all) {
      if (!passes || passes(key)) matches.push_back({key, nearest(key, query)});
    }
    return sorted(matches);
  }
  // The same by the sum over several queries.
  std::vector<test::TrueMatch> ranked(const test::Vectors& queries, const Passes& passes) const {
    std::vector<test::TrueMatch> matches;
    for (const auto& [key, vectors] : all) {
      if (passes && !passes(key)) continue;
      double sum = 0;
      for (std::size_t i = 0; i < queries.rows(); ++i) sum += nearest(key, queries.row(i));
      matches.push_back({key, sum});
    }
    return sorted(matches);
  }

 private:
  static std::vector<test::TrueMatch> sorted(std::vector<test::TrueMatch> matches) {
    std::sort(matches.begin(), matches.end(), [](const auto& a, const auto& b) {
      return a.distance != b.distance ? a.distance < b.distance : a.key < b.key;
    });
    return matches;
  }

  Kind kind_;
  std::mt19937 random_;
};

double allowed(double distance) { return 1e-4 * std::max(1.0, std::fabs(distance)); }

void expect_each_key_once(const std::vector<Match>& matches) {
  std::set<Key> keys;
  for (const Match& match : matches) EXPECT_TRUE(keys.insert(match.key).second) << match.key;
}

// Of an answer that must be the true one.
void expect_true(const std::vector<Match>& matches, const std::vector<test::TrueMatch>& truth,
                 std::size_t k) {
  ASSERT_EQ(matches.size(), std::min(k, truth.size()));
  expect_each_key_once(matches);
  for (std::size_t i = 0; i < matches.size(); ++i) {
    EXPECT_NEAR(matches[i].distance, truth[i].distance, allowed(truth[i].distance)) << i;
  }
}

struct Found {
  std::size_t hits = 0;
  std::size_t wanted = 0;
  double recall() const { return wanted == 0 ? 1.0 : double(hits) / double(wanted); }
};

class Several : public testing::TestWithParam<Kind> {
 protected:
  Several() : model_(GetParam()), index_(Index::create(params_of(GetParam())).value()) {}

  void add(Key key, std::size_t n) {
    const auto rows = model_.draw(key, n);
    for (std::size_t i = 0; i < n; ++i) {
      ASSERT_TRUE(index_.add(key, rows.vector(i)));
      note(key, rows, i);
    }
  }
  void upsert(Key key) {
    const auto rows = model_.draw(key, 1);
    ASSERT_TRUE(index_.upsert(key, rows.vector(0)));
    model_.all[key].clear();
    note(key, rows, 0);
  }
  void remove(Key key) { ASSERT_EQ(index_.remove(key).has_value(), model_.all.erase(key) == 1); }
  void build(std::size_t keys) {
    test::Vectors rows;
    rows.dims = GetParam().dims;
    for (Key key = 0; key < keys; ++key) {
      const auto some = model_.draw(key, model_.group_size());
      for (std::size_t i = 0; i < some.floats.rows(); ++i) {
        rows.append(key, {some.floats.row(i), rows.dims});
      }
    }
    rows = test::shuffled(rows, 5);
    // They are what the kind holds already, but for the range that i8 is spread over.
    const auto stored =
        GetParam().scalar == Scalar::i8 ? as_bytes(rows) : test::stored(GetParam().scalar, rows);
    BuildOptions options;
    options.threads = 2;
    ASSERT_TRUE(index_.build(rows.keys, stored.matrix(), options));
    for (std::size_t i = 0; i < rows.rows(); ++i) note(rows.keys[i], stored, i);
  }
  static test::StoredVectors as_bytes(const test::Vectors& rows) {
    test::StoredVectors stored{Scalar::i8, {}, rows};
    for (const float value : rows.values) {
      stored.bytes.push_back(static_cast<std::byte>(static_cast<std::int8_t>(value)));
    }
    return stored;
  }
  void note(Key key, const test::StoredVectors& rows, std::size_t i) {
    const float* row = rows.floats.row(i);
    model_.all[key].emplace_back(row, row + rows.floats.dims);
  }

  // What every moment must show.
  void expect_same_content(const Index& index) {
    const Stats stats = index.stats();
    EXPECT_EQ(stats.live, model_.vectors());
    EXPECT_EQ(stats.keys, model_.all.size());
    EXPECT_EQ(index.size(), model_.vectors());
    std::vector<Key> listed;
    KeyScan scan;
    std::vector<Key> some(17);
    while (!scan.done) {
      const auto n = index.keys(scan, some);
      ASSERT_TRUE(n);
      listed.insert(listed.end(), some.begin(), some.begin() + static_cast<std::ptrdiff_t>(*n));
    }
    std::sort(listed.begin(), listed.end());
    std::vector<Key> wanted;
    for (const auto& [key, vectors] : model_.all) wanted.push_back(key);
    EXPECT_EQ(listed, wanted);
    Vector got(GetParam().dims);
    for (const auto& [key, vectors] : model_.all) {
      ASSERT_EQ(index.count(key), vectors.size());
      EXPECT_TRUE(index.contains(key));
      for (std::size_t i = 0; i < vectors.size(); ++i) {
        ASSERT_TRUE(index.get(key, i, got));
        ASSERT_EQ(got, vectors[i]) << "key " << key << ", vector " << i;
      }
      const auto beyond = index.get(key, vectors.size(), got);
      ASSERT_FALSE(beyond);
      EXPECT_EQ(beyond.error().code(), ErrorCode::key_not_found);
    }
    const auto report = index.verify();
    ASSERT_TRUE(report);
    EXPECT_EQ(report->findings, std::vector<std::string>{});
    EXPECT_EQ(report->unreachable, 0u);
  }

  void expect_found(const Index& index, double least_recall) {
    const auto queries = model_.draw(7, 12);
    const auto passes = [](Key key) { return key % 3 == 1; };
    std::vector<Key> listed;
    std::size_t passing = 0;
    for (const auto& [key, vectors] : model_.all) {
      if (!passes(key)) continue;
      listed.push_back(key);
      passing += vectors.size();
    }
    const auto filter = Filter::only(index, listed);
    ASSERT_TRUE(filter);
    EXPECT_EQ(filter->count(), passing);
    EXPECT_EQ(Filter::where(index, passes)->count(), passing);
    Found walked;
    Found nearest;
    for (std::size_t i = 0; i < queries.floats.rows(); ++i) {
      const float* query = queries.floats.row(i);
      for (const Filter* of : {static_cast<const Filter*>(nullptr), &*filter}) {
        const auto truth = model_.ranked(query, of != nullptr ? Passes(passes) : Passes());
        SearchParams params;
        params.k = 10;
        params.filter = of;
        params.plan = Plan::exact;
        const auto exact = index.search(queries.vector(i), params);
        ASSERT_TRUE(exact);
        expect_true(*exact, truth, params.k);
        for (const Plan plan : {Plan::automatic, Plan::walk}) {
          params.plan = plan;
          const auto found = index.search(queries.vector(i), params);
          ASSERT_TRUE(found);
          ASSERT_EQ(found->size(), std::min(params.k, truth.size()));
          expect_each_key_once(*found);
          for (const Match& match : *found) {
            const double least = model_.nearest(match.key, query);
            EXPECT_GE(match.distance, least - allowed(least));
            walked.hits += match.distance <=
                           truth[found->size() - 1].distance + allowed(truth.back().distance);
            nearest.hits += match.distance <= least + allowed(least);
            EXPECT_TRUE(of == nullptr || passes(match.key));
          }
          walked.wanted += found->size();
          nearest.wanted += found->size();
        }
        // More than there are: all of them, each once.
        params.k = truth.size() + 5;
        params.plan = Plan::automatic;
        const auto all = index.search(queries.vector(i), params);
        ASSERT_TRUE(all);
        ASSERT_EQ(all->size(), truth.size());
        expect_each_key_once(*all);
      }
    }
    EXPECT_GE(walked.recall(), least_recall);
    EXPECT_GE(nearest.recall(), 0.97);
  }

  Model model_;
  Index index_;
};

TEST_P(Several, WhatWasBuiltIsFoundByKey) {
  build(70);
  expect_same_content(index_);
  expect_found(index_, 0.95);
}

TEST_P(Several, RandomChangesLeaveWhatTheyShould) {
  for (int i = 0; i < 120; ++i) {
    const Key key = model_.random()() % 60;
    switch (model_.random()() % 6) {
      case 0: remove(key); break;
      case 1: upsert(key); break;
      default: add(key, model_.group_size() % 60 + 1);
    }
    if (HasFatalFailure()) return;
  }
  expect_same_content(index_);
  expect_found(index_, 0.95);
  ASSERT_TRUE(index_.compact());
  expect_same_content(index_);
  expect_found(index_, 0.95);
  const TemporaryDirectory directory;
  ASSERT_TRUE(index_.save(directory / "a"));
  for (const Residency residency : {Residency::map, Residency::load}) {
    OpenOptions options;
    options.residency = residency;
    const auto opened = Index::open(directory / "a", options);
    ASSERT_TRUE(opened) << opened.error().message();
    EXPECT_TRUE(opened->params().several_per_key);
    expect_same_content(*opened);
    expect_found(*opened, 0.95);
  }
}

TEST_P(Several, RangesNameEachKeyWithinTheRadiusOnce) {
  build(70);
  const auto queries = model_.draw(3, 12);
  Found found;
  for (std::size_t i = 0; i < queries.floats.rows(); ++i) {
    const auto truth = model_.ranked(queries.floats.row(i));
    for (const std::size_t hits : {std::size_t{1}, std::size_t{12}, std::size_t{40}}) {
      // Between two keys, so that rounding decides nothing.
      const double gap = truth[hits].distance - truth[hits - 1].distance;
      if (gap < 4 * allowed(truth[hits].distance)) continue;
      const auto radius = static_cast<float>(truth[hits].distance - gap / 2);
      for (const Plan plan : {Plan::automatic, Plan::exact}) {
        RangeParams params;
        params.plan = plan;
        const auto within = index_.search_range(queries.vector(i), radius, params);
        if (!within && radius < 0) continue;
        ASSERT_TRUE(within) << within.error().message();
        expect_each_key_once(*within);
        EXPECT_LE(within->size(), hits);
        if (plan == Plan::exact) {
          expect_true(*within, truth, hits);
        }
        found.hits += within->size();
        found.wanted += hits;
        params.max_results = 5;
        const auto some = index_.search_range(queries.vector(i), radius, params);
        ASSERT_TRUE(some);
        EXPECT_EQ(some->size(), std::min<std::size_t>(5, within->size()));
        expect_each_key_once(*some);
      }
    }
  }
  EXPECT_GE(found.recall(), 0.97);
}

TEST_P(Several, PagesNameEveryKeyOnce) {
  build(70);
  const auto queries = model_.draw(3, 6);
  for (std::size_t i = 0; i < queries.floats.rows(); ++i) {
    for (const Plan plan : {Plan::automatic, Plan::exact}) {
      SearchParams params;
      params.plan = plan;
      const auto truth = model_.ranked(queries.floats.row(i));
      auto cursor = index_.open_cursor(queries.vector(i), params);
      ASSERT_TRUE(cursor);
      std::vector<Match> all;
      std::vector<Match> page(7);
      for (;;) {
        const auto n = cursor->next(page);
        ASSERT_TRUE(n);
        if (*n == 0) break;
        EXPECT_TRUE(*n == page.size() || all.size() + *n == truth.size());
        all.insert(all.end(), page.begin(), page.begin() + static_cast<std::ptrdiff_t>(*n));
      }
      ASSERT_EQ(all.size(), truth.size());
      expect_each_key_once(all);
      if (plan == Plan::exact) {
        expect_true(all, truth, truth.size());
      }
    }
  }
}

TEST_P(Several, BatchesAnswerAsSearchesDo) {
  build(50);
  const auto queries = model_.draw(3, 20);
  for (const Plan plan : {Plan::automatic, Plan::exact}) {
    SearchParams params;
    params.k = 6;
    params.plan = plan;
    std::vector<Match> matches(20 * params.k);
    std::vector<std::size_t> counts(20);
    ASSERT_TRUE(index_.search_batch(queries.matrix(), params, matches, counts, 2));
    for (std::size_t i = 0; i < counts.size(); ++i) {
      const auto alone = index_.search(queries.vector(i), params);
      ASSERT_TRUE(alone);
      ASSERT_EQ(counts[i], alone->size());
      for (std::size_t j = 0; j < counts[i]; ++j) {
        EXPECT_EQ(matches[i * params.k + j].key, (*alone)[j].key);
        EXPECT_EQ(matches[i * params.k + j].distance, (*alone)[j].distance);
      }
    }
  }
}

TEST_P(Several, TheCallersMetricIsAskedForEveryVectorOfAKey) {
  build(60);
  const auto queries = model_.draw(3, 5);
  // The farthest is best.
  for (std::size_t i = 0; i < queries.floats.rows(); ++i) {
    const float* query = queries.floats.row(i);
    std::map<Key, std::size_t> asked;
    const std::function<float(Key, VectorView)> mine = [&](Key key, VectorView) {
      return 1000.0f - static_cast<float>(++asked[key]);
    };
    SearchParams params;
    params.k = 5;
    params.ef = 20;
    params.plan = Plan::exact;
    params.rerank = &mine;
    const auto found = index_.search(queries.vector(i), params);
    ASSERT_TRUE(found);
    ASSERT_EQ(found->size(), 5u);
    expect_each_key_once(*found);
    EXPECT_EQ(asked.size(), 20u);
    const auto truth = model_.ranked(query);
    for (const auto& [key, times] : asked) EXPECT_EQ(times, model_.all.at(key).size());
    for (const Match& match : *found) {
      EXPECT_EQ(match.distance, 1000.0f - static_cast<float>(asked.at(match.key)));
    }
  }
}

TEST_P(Several, DocumentsAreRankedByTheSumOfBestMatches) {
  build(70);
  const auto passes = [](Key key) { return key % 2 == 0; };
  const auto filter = Filter::where(index_, passes);
  ASSERT_TRUE(filter);
  Found found;
  for (int round = 0; round < 10; ++round) {
    const auto queries = model_.draw(model_.random()() % 40, 1 + model_.random()() % 12);
    for (const Filter* of : {static_cast<const Filter*>(nullptr), &*filter}) {
      const auto truth = model_.ranked(queries.floats, of != nullptr ? Passes(passes) : Passes());
      SearchParams params;
      params.k = 10;
      params.filter = of;
      params.plan = Plan::exact;
      const auto exact = index_.search_documents(queries.matrix(), params);
      ASSERT_TRUE(exact);
      expect_true(*exact, truth, params.k);
      params.plan = Plan::automatic;
      const auto some = index_.search_documents(queries.matrix(), params);
      ASSERT_TRUE(some);
      ASSERT_EQ(some->size(), params.k);
      expect_each_key_once(*some);
      const double last = truth[params.k - 1].distance;
      for (const Match& match : *some) {
        found.hits += match.distance <= last + allowed(last);
        double sum = 0;
        for (std::size_t i = 0; i < queries.floats.rows(); ++i) {
          sum += model_.nearest(match.key, queries.floats.row(i));
        }
        EXPECT_NEAR(match.distance, sum, allowed(sum));
      }
      found.wanted += params.k;
    }
  }
  EXPECT_GE(found.recall(), 0.95);
}

INSTANTIATE_TEST_SUITE_P(
    Kinds, Several,
    testing::Values(Kind{Metric::l2sq, Scalar::f32, 16}, Kind{Metric::cosine, Scalar::f32, 24},
                    Kind{Metric::inner_product, Scalar::f32, 16},
                    Kind{Metric::l2sq, Scalar::f32, 3}, Kind{Metric::cosine, Scalar::f16, 32},
                    Kind{Metric::l2sq, Scalar::i8, 20}, Kind{Metric::hamming, Scalar::b1, 96},
                    Kind{Metric::l2sq, Scalar::bf16, 16, Traversal::exact}),
    [](const auto& one) { return name_of_kind(one.param); });

// --- without kinds

IndexParams small() { return params_of({Metric::l2sq, Scalar::f32, 2}); }
const Vector& at(float x, float y) {
  static thread_local Vector vector;
  vector = {x, y};
  return vector;
}

TEST(SeveralPerKey, AddAppendsUpsertReplacesAllAndRemoveRemovesAll) {
  Index index = Index::create(small()).value();
  ASSERT_TRUE(index.add(1, at(0, 0)));
  ASSERT_TRUE(index.add(1, at(5, 5)));
  ASSERT_TRUE(index.add(2, at(1, 0)));
  EXPECT_EQ(index.count(1), 2u);
  auto found = index.search(at(5, 5), {.k = 5}).value();
  ASSERT_EQ(found.size(), 2u);
  EXPECT_EQ(found[0].key, 1u);
  EXPECT_EQ(found[0].distance, 0);
  EXPECT_EQ(found[1].key, 2u);
  ASSERT_TRUE(index.upsert(1, at(9, 9)));
  EXPECT_EQ(index.count(1), 1u);
  found = index.search(at(5, 5), {.k = 5}).value();
  ASSERT_EQ(found.size(), 2u);
  EXPECT_EQ(found[0].distance, 32);
  ASSERT_TRUE(index.add(1, at(5, 5)));
  ASSERT_TRUE(index.remove(1));
  EXPECT_EQ(index.count(1), 0u);
  EXPECT_FALSE(index.contains(1));
  EXPECT_EQ(index.remove(1).error().code(), ErrorCode::key_not_found);
  found = index.search(at(5, 5), {.k = 5}).value();
  ASSERT_EQ(found.size(), 1u);
  EXPECT_EQ(found[0].key, 2u);
}

TEST(SeveralPerKey, AKeyWithManyNearVectorsDoesNotCrowdOthersOut) {
  IndexParams params = small();
  Index index = Index::create(params).value();
  for (int i = 0; i < 3000; ++i) {
    ASSERT_TRUE(index.add(7, at(0.0001f * static_cast<float>(i), 0)));
  }
  for (int i = 1; i <= 20; ++i) {
    ASSERT_TRUE(index.add(100 + static_cast<Key>(i), at(10.0f * static_cast<float>(i), 0)));
  }
  for (const Plan plan : {Plan::automatic, Plan::walk, Plan::exact}) {
    SearchParams search;
    search.k = 8;
    search.plan = plan;
    const auto found = index.search(at(0, 0), search).value();
    ASSERT_EQ(found.size(), 8u);
    EXPECT_EQ(found[0].key, 7u);
    for (Key i = 1; i < 8; ++i) EXPECT_EQ(found[i].key, 100 + i);
  }
}

TEST(SeveralPerKey, CopiesOfAVectorMayHaveOneKey) {
  Index index = Index::create(small()).value();
  for (int i = 0; i < 200; ++i) ASSERT_TRUE(index.add(1, at(1, 1)));
  ASSERT_TRUE(index.add(2, at(1, 1)));
  const auto found = index.search(at(1, 1), {.k = 3}).value();
  ASSERT_EQ(found.size(), 2u);
  EXPECT_EQ(found[0].key, 1u);
  EXPECT_EQ(found[1].key, 2u);
  ASSERT_TRUE(index.upsert(1, at(0, 0)));
  EXPECT_EQ(index.stats().live, 2u);
  EXPECT_EQ(index.verify().value().findings, std::vector<std::string>{});
}

TEST(SeveralPerKey, WithoutItAKeyHasOneVector) {
  IndexParams params = small();
  params.several_per_key = false;
  Index index = Index::create(params).value();
  ASSERT_TRUE(index.add(1, at(0, 0)));
  EXPECT_EQ(index.add(1, at(1, 1)).error().code(), ErrorCode::key_exists);
  EXPECT_EQ(index.count(1), 1u);
  EXPECT_EQ(index.count(2), 0u);
  Vector got(2);
  EXPECT_TRUE(index.get(1, 0, got));
  EXPECT_EQ(index.get(1, 1, got).error().code(), ErrorCode::key_not_found);
  EXPECT_EQ(index.stats().keys, 1u);
  const std::vector<Key> keys = {5, 5};
  const Vector rows = {0, 0, 1, 1};
  Index built = Index::create(params).value();
  EXPECT_EQ(built.build(keys, MatrixView::f32(rows.data(), 2, 2)).error().code(),
            ErrorCode::key_exists);
}

TEST(SeveralPerKey, RemovedMemoryIsUsedAgain) {
  Index index = Index::create(small()).value();
  std::mt19937 random(1);
  std::uniform_real_distribution<float> any(0, 10);
  for (int round = 0; round < 60; ++round) {
    const Key key = static_cast<Key>(round % 10);
    ASSERT_TRUE(index.upsert(key, at(any(random), any(random))));
    for (int i = 0; i < 49; ++i) ASSERT_TRUE(index.add(key, at(any(random), any(random))));
  }
  const Stats stats = index.stats();
  EXPECT_EQ(stats.live, 500u);
  EXPECT_EQ(stats.keys, 10u);
  EXPECT_LT(stats.slots, 1000u);
  EXPECT_EQ(index.verify().value().findings, std::vector<std::string>{});
}

TEST(SeveralPerKey, DocumentsAreSummedInDoubleAndRoundedOnce) {
  const auto exact = [](const Index& index, const std::vector<float>& query) {
    SearchParams params;
    params.plan = Plan::exact;
    return index.search_documents(MatrixView::f32(query.data(), query.size(), 1), params).value();
  };
  const auto one_dimensional = [](Metric metric) { return params_of({metric, Scalar::f32, 1}); };
  const auto put = [](Index& index, Key key, float value) {
    ASSERT_TRUE(index.add(key, VectorView(&value, 1)));
  };
  Index products = Index::create(one_dimensional(Metric::inner_product)).value();
  put(products, 1, 3e37f);  // infinite in floats, and the other way
  EXPECT_EQ(exact(products, {1e37f, -1e37f}).at(0).distance, 2.0f);
  Index small = Index::create(one_dimensional(Metric::l2sq)).value();
  put(small, 1, 3e-30f);  // 0 in floats
  put(small, 2, 1e-30f);
  EXPECT_EQ(exact(small, {0.0f, 0.0f}).at(0).key, 2u);
  Index some = Index::create(one_dimensional(Metric::l2sq)).value();
  put(some, 1, 0.1f);
  std::vector<float> query;
  double sum = 0;
  for (int i = 0; i < 1000; ++i) {
    query.push_back(0.37f * static_cast<float>(i));
    const double difference = double{query.back()} - double{0.1f};
    sum += difference * difference;
  }
  EXPECT_EQ(exact(some, query).at(0).distance, static_cast<float>(sum));
}

TEST(SeveralPerKey, DocumentsAreRefusedWhatSearchesAreRefused) {
  Index index = Index::create(small()).value();
  ASSERT_TRUE(index.add(1, at(0, 0)));
  const Vector rows = {0, 0, std::numeric_limits<float>::quiet_NaN(), 0};
  const auto code_of = [](const auto& result) { return result.error().code(); };
  EXPECT_EQ(code_of(index.search_documents(MatrixView::f32(rows.data(), 2, 2))),
            ErrorCode::not_finite);
  EXPECT_EQ(code_of(index.search_documents(MatrixView::f32(rows.data(), 0, 2))),
            ErrorCode::invalid_argument);
  EXPECT_EQ(code_of(index.search_documents(MatrixView::f32(rows.data(), 1, 1))),
            ErrorCode::dimension_mismatch);
  EXPECT_EQ(code_of(index.search_documents(MatrixView::f32(rows.data(), 1, 2), {.k = 0})),
            ErrorCode::invalid_argument);
  const std::function<float(Key, VectorView)> mine = [](Key, VectorView) { return 0.0f; };
  SearchParams params;
  params.rerank = &mine;
  EXPECT_EQ(code_of(index.search_documents(MatrixView::f32(rows.data(), 1, 2), params)),
            ErrorCode::unsupported);
  const std::atomic<bool> stop{true};
  params.rerank = nullptr;
  params.stop = &stop;
  EXPECT_EQ(code_of(index.search_documents(MatrixView::f32(rows.data(), 1, 2), params)),
            ErrorCode::cancelled);
  EXPECT_EQ(index.search_documents(MatrixView::f32(rows.data(), 1, 2), params).error().message(),
            "search_documents: stopped before anything was found");
  params.plan = Plan::exact;
  EXPECT_EQ(code_of(index.search_documents(MatrixView::f32(rows.data(), 1, 2), params)),
            ErrorCode::cancelled);
}

}  // namespace
}  // namespace cairn
