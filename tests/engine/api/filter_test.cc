// SPDX-License-Identifier: Apache-2.0
//
// Filters: what they let pass, and how they follow an index that changes, against an oracle.
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include <cairn/cairn.h>

#include "tests/support/temporary_directory.h"
#include "tests/support/vectors.h"

namespace cairn {
namespace {

using test::Vectors;

// A filter, and which keys it is to let pass.
struct Asked {
  std::string name;
  Filter filter;
  std::function<bool(Key)> passes;
};

// What an index holds.
using Rows = std::map<Key, std::vector<float>>;

Vectors as_vectors(const Rows& rows, std::size_t dims, const std::function<bool(Key)>& passes) {
  Vectors vectors{dims, {}, {}};
  for (const auto& [key, row] : rows) {
    if (passes(key)) vectors.append(key, row);
  }
  return vectors;
}

std::vector<Asked> filters_of(const Index& index, Key keys, std::mt19937_64& random) {
  std::vector<Asked> filters;
  const auto add = [&](std::string name, Result<Filter> filter, std::function<bool(Key)> passes) {
    filters.push_back({std::move(name), std::move(filter.value()), std::move(passes)});
  };
  for (const unsigned one_in : {2u, 10u, 100u}) {
    std::vector<Key> some;
    for (Key key = 0; key < keys; ++key) {
      if (random() % one_in == 0) some.push_back(key);
    }
    const auto is_some = [some](Key key) {
      return std::binary_search(some.begin(), some.end(), key);
    };
    const std::string share = " 1 in " + std::to_string(one_in);
    add("only" + share, Filter::only(index, some), is_some);
    add("except" + share, Filter::except(index, some), [=](Key key) { return !is_some(key); });
    std::vector<std::uint64_t> words(keys / 64);
    for (const Key key : some) {
      if (key >= 5 && key - 5 < keys / 64 * 64) words[(key - 5) / 64] |= 1ull << (key - 5) % 64;
    }
    add("bits" + share, Filter::bits(index, words, 5),
        [=](Key key) { return key >= 5 && key - 5 < keys / 64 * 64 && is_some(key); });
  }
  add("where odd", Filter::where(index, [](Key key) { return key % 2 == 1; }),
      [](Key key) { return key % 2 == 1; });
  add("none", Filter::only(index, {}), [](Key) { return false; });
  add("all", Filter::except(index, {}), [](Key) { return true; });
  return filters;
}

// Every filter under every plan: nothing that does not pass, as many as there are, and by the exact
// plan the nearest.
void expect_right(const Index& index, const Rows& rows, const std::vector<Asked>& filters,
                  const Vectors& queries) {
  const std::size_t dims = index.params().dimensions;
  for (const Asked& asked : filters) {
    SCOPED_TRACE(asked.name);
    const Vectors passing = as_vectors(rows, dims, asked.passes);
    ASSERT_EQ(asked.filter.count(), passing.rows());
    for (const Plan plan : {Plan::automatic, Plan::walk, Plan::exact}) {
      for (const std::size_t k : {std::size_t{10}, std::size_t{300}}) {
        std::size_t found_true = 0;
        std::size_t wanted = 0;
        for (std::size_t i = 0; i < queries.rows(); ++i) {
          const SearchParams params{.k = k, .ef = 80, .filter = &asked.filter, .plan = plan};
          const auto found = index.search(queries.vector(i), params).value();
          ASSERT_EQ(found.size(), std::min(k, passing.rows()));
          const auto truth = test::scan(index.params().metric, passing, queries.row(i), k);
          for (std::size_t j = 0; j < found.size(); ++j) {
            ASSERT_TRUE(asked.passes(found[j].key)) << found[j].key;
            if (plan == Plan::exact) {
              ASSERT_NEAR(found[j].distance, truth[j].distance, 1e-5);
            }
            found_true += found[j].distance <= truth.back().distance + 1e-6 ? 1u : 0u;
          }
          wanted += truth.size();
        }
        EXPECT_GE(static_cast<double>(found_true), 0.9 * static_cast<double>(wanted));
      }
    }
  }
}

struct Subject {
  explicit Subject(const IndexParams& params) : index(Index::create(params).value()) {}
  explicit Subject(Index of) : index(std::move(of)) {}

  void put(Key key, std::mt19937_64& random) {
    std::normal_distribution<float> normal;
    std::vector<float> row(index.params().dimensions);
    for (float& value : row) value = normal(random);
    ASSERT_TRUE(index.upsert(key, row));
    rows[key] = row;
  }
  void remove(Key key) { ASSERT_EQ(index.remove(key).has_value(), rows.erase(key) == 1); }

  Index index;
  Rows rows;
};

IndexParams params_of(std::size_t dims, Metric metric, Traversal traversal) {
  IndexParams params;
  params.dimensions = dims;
  params.metric = metric;
  params.traversal = traversal;
  params.ef_construction = 40;
  return params;
}

TEST(Filter, BitsBeyondTheGreatestKeyAreThoseOfNoKey) {
  Subject subject(params_of(4, Metric::l2sq, Traversal::exact));
  std::mt19937_64 random(3);
  constexpr Key kGreatest = ~Key{0};
  for (const Key key : {Key{0}, Key{1}, Key{70}, kGreatest - 1, kGreatest}) {
    subject.put(key, random);
  }
  const std::uint64_t all[] = {~std::uint64_t{0}, ~std::uint64_t{0}};
  const Filter last = Filter::bits(subject.index, all, kGreatest).value();
  const Filter last_two = Filter::bits(subject.index, all, kGreatest - 1).value();
  EXPECT_EQ(last.count(), 1u);
  EXPECT_EQ(last_two.count(), 2u);
  const auto found = subject.index.search(subject.rows.at(0), {.k = 5, .filter = &last}).value();
  ASSERT_EQ(found.size(), 1u);
  EXPECT_EQ(found[0].key, kGreatest);
}

TEST(Filter, LetsPassWhatItSaysWhateverHappensToTheIndex) {
  constexpr Key kKeys = 1500;
  for (const auto& [metric, traversal] :
       {std::pair{Metric::l2sq, Traversal::code}, std::pair{Metric::cosine, Traversal::exact}}) {
    std::mt19937_64 random(7);
    Subject subject(params_of(12, metric, traversal));
    const Vectors queries = test::random_vectors(4, 12, 3);
    const auto filters = filters_of(subject.index, kKeys, random);
    expect_right(subject.index, subject.rows, filters, queries);
    for (int round = 0; round < 3; ++round) {
      SCOPED_TRACE("round " + std::to_string(round));
      for (int i = 0; i < 900; ++i) {
        const Key key = random() % kKeys;
        if (random() % 3 == 0) {
          subject.remove(key);
        } else {
          subject.put(key, random);
        }
      }
      if (round == 1) {
        ASSERT_TRUE(subject.index.compact());
      }
      expect_right(subject.index, subject.rows, filters, queries);
      if (HasFatalFailure()) return;
    }
    const auto later = filters_of(subject.index, kKeys, random);
    expect_right(subject.index, subject.rows, later, queries);
  }
}

TEST(Filter, FollowsABuildAndAnIndexThatIsMoved) {
  const Vectors vectors = test::random_vectors(3000, 8, 1);
  Index index = Index::create(params_of(8, Metric::l2sq, Traversal::code)).value();
  const std::vector<Key> some = {1000, 1007, 1014, 5};
  const Filter filter = Filter::only(index, some).value();
  EXPECT_EQ(filter.count(), 0u);
  ASSERT_TRUE(index.build(vectors.keys, vectors.matrix()));
  EXPECT_EQ(filter.count(), 3u);
  Index moved = std::move(index);
  EXPECT_EQ(moved.search(vectors.vector(1), {.filter = &filter}).value().size(), 3u);
  const Filter also_moved = std::move(const_cast<Filter&>(filter));
  EXPECT_EQ(moved.search(vectors.vector(1), {.filter = &also_moved}).value()[0].key, 1007u);
}

TEST(Filter, OfAnotherIndexOrOfNoneIsRefused) {
  const Vectors vectors = test::random_vectors(20, 8, 1);
  const Index index = test::built(params_of(8, Metric::l2sq, Traversal::code), vectors);
  std::optional<Index> other = test::built(params_of(8, Metric::l2sq, Traversal::code), vectors);
  Filter filter = Filter::except(*other, {}).value();
  EXPECT_EQ(filter.count(), 20u);
  const SearchParams params{.filter = &filter};
  EXPECT_TRUE(other->search(vectors.vector(0), params));
  EXPECT_EQ(index.search(vectors.vector(0), params).error().code(), ErrorCode::invalid_argument);
  EXPECT_NE(index.search(vectors.vector(0), params).error().message().find("another index"),
            std::string::npos);
  other.reset();
  EXPECT_EQ(filter.count(), 0u);
  EXPECT_NE(index.search(vectors.vector(0), params).error().message().find("is gone"),
            std::string::npos);
  EXPECT_EQ(index.search(vectors.vector(0), params).error().code(), ErrorCode::invalid_argument);
  const Filter taken = std::move(filter);
  EXPECT_EQ(index.search(vectors.vector(0), params).error().code(), ErrorCode::invalid_argument);
  EXPECT_EQ(Filter::where(index, {}).error().code(), ErrorCode::invalid_argument);
}

TEST(Filter, OfAFunctionThatThrowsEndsTheCall) {
  const Vectors vectors = test::random_vectors(20, 8, 1);
  Index index = test::built(params_of(8, Metric::l2sq, Traversal::code), vectors);
  const auto thrown = Filter::where(index, [](Key) -> bool { throw std::runtime_error("odd"); });
  ASSERT_FALSE(thrown);
  EXPECT_EQ(thrown.error().code(), ErrorCode::internal);
  const Filter later = Filter::where(index, [](Key key) {
                         return key == 5 ? throw std::runtime_error("five") : true;
                       }).value();
  EXPECT_EQ(index.search(vectors.vector(0), {.filter = &later}).value().size(), 10u);
  ASSERT_TRUE(index.add(5, vectors.vector(3)));
  EXPECT_FALSE(index.search(vectors.vector(0), {.filter = &later}));
  ASSERT_TRUE(index.remove(5));
  EXPECT_EQ(index.search(vectors.vector(0), {.filter = &later}).value().size(), 10u);
}

TEST(Filter, OfAFunctionThatThrowsWhatIsNoExceptionEndsTheCallToo) {
  const Vectors vectors = test::random_vectors(20, 8, 1);
  Index index = test::built(params_of(8, Metric::l2sq, Traversal::code), vectors);
  const auto thrown = Filter::where(index, [](Key) -> bool { throw 3; });
  ASSERT_FALSE(thrown);
  EXPECT_EQ(thrown.error().code(), ErrorCode::internal);
  EXPECT_EQ(thrown.error().message().substr(0, 7), "filter:");
  const Filter later =
      Filter::where(index, [](Key key) { return key == 5 ? throw 5 : true; }).value();
  EXPECT_EQ(later.count(), 20u);
  ASSERT_TRUE(index.add(5, vectors.vector(3)));
  const auto asked = index.search(vectors.vector(0), {.filter = &later});
  ASSERT_FALSE(asked);
  EXPECT_EQ(asked.error().code(), ErrorCode::internal);
  EXPECT_EQ(later.count(), 20u);  // as many as did before
  ASSERT_TRUE(index.remove(5));
  EXPECT_EQ(index.search(vectors.vector(0), {.filter = &later}).value().size(), 10u);
}

TEST(Search, AFunctionOfTheCallerThatThrowsEndsTheCall) {
  const Vectors vectors = test::random_vectors(20, 8, 1);
  const Index index = test::built(params_of(8, Metric::l2sq, Traversal::code), vectors);
  const std::function<float(Key, VectorView)> metric = [](Key, VectorView) -> float { throw 1; };
  EXPECT_EQ(index.search(vectors.vector(0), {.rerank = &metric}).error().code(),
            ErrorCode::internal);
  const std::function<bool(Match)> take = [](Match) -> bool { throw 2; };
  EXPECT_EQ(index.search_range(vectors.vector(0), 1e9f, {}, take).error().code(),
            ErrorCode::internal);
  Index other = Index::create(params_of(8, Metric::l2sq, Traversal::code)).value();
  BuildOptions options;
  options.progress = [](std::size_t, std::size_t) { throw 4; };
  EXPECT_EQ(other.build(vectors.keys, vectors.matrix(), options).error().code(),
            ErrorCode::internal);
}

TEST(Filter, IsAskedOnceAKey) {
  const Vectors vectors = test::random_vectors(500, 8, 1);
  Index index = test::built(params_of(8, Metric::l2sq, Traversal::code), vectors);
  std::map<Key, int> asked;
  const Filter filter = Filter::where(index, [&](Key key) {
                          ++asked[key];
                          return true;
                        }).value();
  EXPECT_EQ(asked.size(), 500u);
  ASSERT_TRUE(index.search(vectors.vector(0), {.filter = &filter}));
  ASSERT_TRUE(index.add(7, vectors.vector(0)));
  ASSERT_TRUE(index.search(vectors.vector(0), {.filter = &filter}));
  EXPECT_EQ(asked.size(), 501u);
  for (const auto& [key, times] : asked) EXPECT_EQ(times, 1) << key;
}

TEST(Filter, FollowsMoreChangesThanAreKept) {
  std::mt19937_64 random(1);
  Subject subject(params_of(2, Metric::l2sq, Traversal::exact));
  for (Key key = 0; key < 40; ++key) subject.put(key, random);
  const Filter filter = Filter::where(subject.index, [](Key key) { return key < 20; }).value();
  for (int i = 0; i < 17000; ++i) subject.put(random() % 40, random);  // two changes each
  const auto found =
      subject.index.search(subject.rows[3], {.k = 40, .filter = &filter, .plan = Plan::walk})
          .value();
  EXPECT_EQ(found.size(), 20u);
  EXPECT_EQ(found[0].key, 3u);
}

// Results of such a filter are not asked for one by one, until something comes that does not pass.
TEST(Filter, ThatLetsAllPassNoticesWhatDoesNot) {
  const Vectors rows = test::random_vectors(3000, 8, 5);
  IndexParams params;
  params.dimensions = 8;
  params.metric = Metric::l2sq;
  params.ef_construction = 40;
  Index index = test::built(params, rows);
  const Key odd_one = 7'000'000;
  const auto filter = Filter::where(index, [&](Key key) { return key < odd_one; }).value();
  const SearchParams with_filter{.k = 5, .ef = 40, .filter = &filter, .plan = Plan::walk};
  const SearchParams without{.k = 5, .ef = 40, .plan = Plan::walk};
  const auto expect_same = [&](std::size_t row) {
    const auto filtered = index.search(rows.vector(row), with_filter).value();
    const auto all = index.search(rows.vector(row), without).value();
    ASSERT_EQ(filtered.size(), all.size());
    for (std::size_t i = 0; i < all.size(); ++i) EXPECT_EQ(filtered[i].key, all[i].key);
  };
  for (std::size_t row = 0; row < 50; ++row) expect_same(row);
  // What passes changes nothing.
  ASSERT_TRUE(index.upsert(odd_one - 1, rows.vector(7)));
  EXPECT_EQ(filter.count(), 3001u);
  expect_same(7);
  for (int round = 0; round < 3; ++round) {
    ASSERT_TRUE(index.upsert(odd_one, rows.vector(9)));
    EXPECT_EQ(index.search(rows.vector(9), without).value().at(1).distance, 0.0f);
    for (const Match& match : index.search(rows.vector(9), with_filter).value()) {
      EXPECT_NE(match.key, odd_one);
    }
    ASSERT_TRUE(index.remove(odd_one));
    expect_same(9);
  }
}

TEST(Filter, FollowsAWriterThroughARefresh) {
  const test::TemporaryDirectory directory;
  const auto path = directory.path() / "index.cairn";
  std::mt19937_64 random(2);
  Subject subject(Index::create(path, params_of(8, Metric::l2sq, Traversal::code),
                                {.durability = Durability::none})
                      .value());
  for (Key key = 0; key < 300; ++key) subject.put(key, random);
  ASSERT_TRUE(subject.index.checkpoint());
  Index reader = Index::open(path).value();
  auto filters = filters_of(reader, 300, random);
  const Vectors queries = test::random_vectors(2, 8, 3);
  expect_right(reader, subject.rows, filters, queries);
  for (int i = 0; i < 200; ++i) {
    const Key key = random() % 300;
    if (random() % 2 == 0) {
      subject.remove(key);
    } else {
      subject.put(key, random);
    }
  }
  ASSERT_TRUE(subject.index.sync());
  ASSERT_TRUE(reader.refresh());
  expect_right(reader, subject.rows, filters, queries);
}

TEST(Filter, OneARowInABatch) {
  const Vectors vectors = test::random_vectors(1000, 8, 1);
  const Index index = test::built(params_of(8, Metric::l2sq, Traversal::code), vectors);
  const Filter even = Filter::where(index, [](Key key) { return key % 2 == 0; }).value();
  const Filter few = Filter::only(index, std::vector<Key>{1000, 1007}).value();
  const std::vector<const Filter*> filters = {&even, nullptr, &few};
  MatrixView queries = vectors.matrix();
  queries.rows = 3;
  std::vector<Match> out(30);
  std::vector<std::size_t> counts(3);
  ASSERT_TRUE(index.search_batch(queries, {}, filters, out, counts, 2));
  EXPECT_EQ(counts, (std::vector<std::size_t>{10, 10, 2}));
  for (std::size_t i = 0; i < 3; ++i) {
    const auto one = index.search(vectors.vector(i), {.filter = filters[i]}).value();
    ASSERT_EQ(one.size(), counts[i]);
    for (std::size_t j = 0; j < one.size(); ++j) EXPECT_EQ(one[j].key, out[i * 10 + j].key);
  }
  ASSERT_TRUE(index.search_batch(queries, {.filter = &even}, out, counts, 2));
  for (std::size_t j = 0; j < 30; ++j) EXPECT_EQ(out[j].key % 2, 0u);
  EXPECT_EQ(index.search_batch(queries, {.filter = &even}, filters, out, counts, 2).error().code(),
            ErrorCode::invalid_argument);
  EXPECT_EQ(index.search_batch(vectors.matrix(), {}, filters, out, counts, 2).error().code(),
            ErrorCode::invalid_argument);
}

// What passes lies in one corner, and the query in another one.
TEST(Filter, FindsWhatPassesFarFromTheQuery) {
  Vectors vectors = test::clustered_vectors(20000, 16, 40, 1, 9);
  const Index index = test::built(params_of(16, Metric::l2sq, Traversal::code), vectors);
  std::vector<Key> some;
  for (std::size_t i = 0; i < 3000; ++i) some.push_back(vectors.keys[i]);
  const Filter filter = Filter::only(index, some).value();
  const Rows all = [&] {
    Rows rows;
    for (std::size_t i = 0; i < 3000; ++i) {
      rows[vectors.keys[i]] = {vectors.row(i), vectors.row(i) + 16};
    }
    return rows;
  }();
  const Vectors passing = as_vectors(all, 16, [](Key) { return true; });
  std::size_t right = 0;
  SearchReport report;
  for (std::size_t i = 10000; i < 20000; i += 500) {
    const SearchParams params{.ef = 100, .filter = &filter, .plan = Plan::walk, .report = &report};
    const auto found = index.search(vectors.vector(i), params).value();
    const auto truth = test::scan(Metric::l2sq, passing, vectors.row(i), 10);
    ASSERT_EQ(found.size(), 10u);
    for (const Match& match : found)
      right += match.distance <= truth.back().distance * 1.000001 ? 1u : 0u;
    EXPECT_LE(report.distances, 2u * 3000u);  // a scan at the most, and a walk that cost as much
  }
  EXPECT_GE(right, 190u);
}

}  // namespace
}  // namespace cairn
