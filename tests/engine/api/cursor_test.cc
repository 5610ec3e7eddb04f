// SPDX-License-Identifier: Apache-2.0
//
// Results page by page: none twice, none lost, beside changes too.
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <limits>
#include <memory>
#include <optional>
#include <random>
#include <set>
#include <thread>
#include <vector>

#include <cairn/cairn.h>

#include "tests/support/sanitizers.h"
#include "tests/support/temporary_directory.h"
#include "tests/support/vectors.h"

namespace cairn {
namespace {

constexpr std::size_t kDims = 24;

IndexParams params_of(Metric metric) {
  IndexParams params;
  params.dimensions = kDims;
  params.metric = metric;
  params.ef_construction = 60;
  return params;
}

const test::Vectors& rows() {
  static const test::Vectors all = test::clustered_vectors(4000, kDims, 40, 1, 7);
  return all;
}
const test::Vectors& queries() {
  static const test::Vectors all = test::clustered_vectors(20, kDims, 40, 2, 7);
  return all;
}
const Index& some_index() {
  static const Index index = test::built(params_of(Metric::l2sq), rows());
  return index;
}

bool nearer(const Match& a, const Match& b) { return a.distance < b.distance; }

// Pages until the end, or so many.
std::vector<std::vector<Match>> pages_of(Cursor& cursor, std::size_t size,
                                         std::size_t most = 1u << 20) {
  std::vector<std::vector<Match>> pages;
  while (pages.size() < most) {
    std::vector<Match> page(size);
    const auto found = cursor.next(page);
    EXPECT_TRUE(found) << found.error().message();
    if (!found || *found == 0) break;
    page.resize(*found);
    EXPECT_TRUE(std::is_sorted(page.begin(), page.end(), nearer));
    pages.push_back(std::move(page));
  }
  return pages;
}
std::vector<Match> joined(const std::vector<std::vector<Match>>& pages) {
  std::vector<Match> all;
  for (const auto& page : pages) all.insert(all.end(), page.begin(), page.end());
  return all;
}
std::set<Key> keys_of(const std::vector<Match>& matches) {
  std::set<Key> keys;
  for (const Match& match : matches) EXPECT_TRUE(keys.insert(match.key).second) << match.key;
  return keys;
}

// As good as one search for all, and nearly in order.
TEST(Cursor, PagesAreTheNearestOnesOneAfterTheOther) {
  for (const Metric metric : {Metric::l2sq, Metric::cosine, Metric::inner_product}) {
    const Index index = test::built(params_of(metric), rows());
    const double of_search = test::recall(index, rows(), queries(), {.k = 200, .ef = 200});
    std::size_t hits = 0;
    std::size_t late = 0;
    for (std::size_t q = 0; q < queries().rows(); ++q) {
      Cursor cursor = index.open_cursor(queries().vector(q)).value();
      const auto all = joined(pages_of(cursor, 10, 20));
      ASSERT_EQ(all.size(), 200u);
      const auto keys = keys_of(all);
      for (const auto& one : test::scan(metric, rows(), queries().row(q), 200)) {
        hits += keys.count(one.key);
      }
      float farthest = -std::numeric_limits<float>::infinity();
      for (const Match& match : all) {
        late += match.distance < farthest ? 1 : 0;
        farthest = std::max(farthest, match.distance);
      }
    }
    const double results = 200.0 * static_cast<double>(queries().rows());
    EXPECT_GE(static_cast<double>(hits) / results, std::min(0.98, of_search - 0.005))
        << static_cast<int>(metric);
    EXPECT_LE(static_cast<double>(late) / results, 0.05) << static_cast<int>(metric);
  }
}

TEST(Cursor, ComesToTheEndWithEveryKeyOnce) {
  for (const std::size_t size : {7u, 100u, 2500u, 9000u}) {
    Cursor cursor = some_index().open_cursor(queries().vector(1)).value();
    const auto all = joined(pages_of(cursor, size));
    EXPECT_EQ(keys_of(all).size(), rows().rows()) << size;
    std::vector<Match> more(3);
    EXPECT_EQ(cursor.next(more).value(), 0u);
  }
}

TEST(Cursor, InStrictOrderNoPageHasANearerOneThanThoseBefore) {
  for (std::size_t q = 0; q < queries().rows(); ++q) {
    Cursor cursor =
        some_index().open_cursor(queries().vector(q), {.ef = 16}, Order::strict).value();
    const auto all = joined(pages_of(cursor, 10, 30));
    keys_of(all);
    EXPECT_TRUE(std::is_sorted(all.begin(), all.end(), nearer));
    EXPECT_GE(all.size(), 290u);
  }
}

TEST(Cursor, TheExactPlanGivesThemInTheirTrueOrder) {
  SearchParams params;
  params.plan = Plan::exact;
  Cursor cursor = some_index().open_cursor(queries().vector(2), params).value();
  const auto all = joined(pages_of(cursor, 100, 15));
  const auto truth = test::scan(Metric::l2sq, rows(), queries().row(2), 1500);
  ASSERT_EQ(all.size(), 1500u);
  for (std::size_t i = 0; i < 1500; ++i) EXPECT_EQ(all[i].key, truth[i].key) << i;
}

TEST(Cursor, TwentyPagesCostLittleMoreThanOneSearchForAll) {
  std::uint64_t by_pages = 0;
  std::uint64_t by_search = 0;
  for (std::size_t q = 0; q < queries().rows(); ++q) {
    Cursor cursor = some_index().open_cursor(queries().vector(q)).value();
    for (int page = 0; page < 20; ++page) {
      std::vector<Match> out(10);
      SearchReport report;
      ASSERT_EQ(cursor.next(out, &report).value(), 10u);
      EXPECT_TRUE(report.complete);
      by_pages += report.distances;
    }
    SearchReport report;
    ASSERT_TRUE(some_index().search(queries().vector(q), {.k = 200, .report = &report}));
    by_search += report.distances;
  }
  EXPECT_LE(static_cast<double>(by_pages), 1.3 * static_cast<double>(by_search));
}

TEST(Cursor, KeepsToItsFilterToTheEnd) {
  for (const std::size_t one_of : {2u, 10u, 500u}) {
    const auto passes = [=](Key key) { return (key - 1000) / 7 % one_of == 0; };
    const auto filter = Filter::where(some_index(), passes);
    ASSERT_TRUE(filter);
    SearchParams params;
    params.filter = &*filter;
    Cursor cursor = some_index().open_cursor(queries().vector(3), params).value();
    const auto all = joined(pages_of(cursor, 10));
    EXPECT_EQ(keys_of(all).size(), filter->count());
    for (const Match& match : all) EXPECT_TRUE(passes(match.key));
    std::size_t wanted = 0;
    std::size_t hits = 0;
    const auto first = std::min<std::size_t>(100, all.size());
    std::set<Key> early;
    for (std::size_t i = 0; i < first; ++i) early.insert(all[i].key);
    for (const auto& one : test::scan(Metric::l2sq, rows(), queries().row(3), rows().rows())) {
      if (!passes(one.key) || wanted == first) continue;
      ++wanted;
      hits += early.count(one.key);
    }
    EXPECT_GE(static_cast<double>(hits), 0.95 * static_cast<double>(wanted)) << one_of;
  }
}

TEST(Cursor, OfAnEmptyIndexHasNoPage) {
  Index index = Index::create(params_of(Metric::l2sq)).value();
  Cursor cursor = index.open_cursor(queries().vector(0)).value();
  std::vector<Match> page(5);
  EXPECT_EQ(cursor.next(page).value(), 0u);
  EXPECT_EQ(cursor.next({}).value(), 0u);
  ASSERT_TRUE(index.add(0, rows().vector(0)));
  ASSERT_TRUE(index.add(1, rows().vector(1)));
  EXPECT_EQ(cursor.next(page).value(), 2u);
  EXPECT_EQ(cursor.next(page).value(), 0u);
}

TEST(Cursor, RefusesWhatCannotBeAsked) {
  const auto code = [](const auto& result) {
    return result ? ErrorCode::internal : result.error().code();
  };
  const VectorView query = queries().vector(0);
  EXPECT_EQ(code(some_index().open_cursor(query, {}, static_cast<Order>(7))),
            ErrorCode::invalid_argument);
  EXPECT_EQ(code(some_index().open_cursor(VectorView(queries().row(0), kDims + 1))),
            ErrorCode::dimension_mismatch);
  auto nan = queries();
  nan.values[0] = std::numeric_limits<float>::quiet_NaN();
  EXPECT_EQ(code(some_index().open_cursor(nan.vector(0))), ErrorCode::not_finite);
  const Index other = test::built(params_of(Metric::l2sq), queries());
  const auto filter = Filter::only(other, {});
  EXPECT_EQ(code(some_index().open_cursor(query, {.filter = &*filter})),
            ErrorCode::invalid_argument);
}

TEST(Cursor, UsesNoK) {
  Cursor cursor = some_index().open_cursor(queries().vector(0), {.k = 0}).value();
  std::vector<Match> page(5);
  EXPECT_EQ(cursor.next(page).value(), 5u);
}

TEST(Cursor, TheCallersMetricOrdersEachPageByItself) {
  Cursor plain = some_index().open_cursor(queries().vector(3)).value();
  const auto value_of = [](Key key) { return static_cast<float>(key * 2654435761u % 1000u); };
  std::optional<Cursor> own;
  {
    // The cursor has a copy.
    const std::function<float(Key, VectorView)> hash = [&](Key key, VectorView) {
      return value_of(key);
    };
    own = some_index().open_cursor(queries().vector(3), {.rerank = &hash}).value();
  }
  for (int i = 0; i < 30; ++i) {
    const auto by_index = pages_of(plain, 20, 1).front();
    const auto by_hash = pages_of(*own, 20, 1).front();
    ASSERT_EQ(by_hash.size(), 20u);
    EXPECT_TRUE(std::is_sorted(by_hash.begin(), by_hash.end(), nearer));
    std::set<Key> wanted;
    std::set<Key> got;
    for (const Match& match : by_index) wanted.insert(match.key);
    for (const Match& match : by_hash) {
      got.insert(match.key);
      EXPECT_EQ(match.distance, value_of(match.key));
    }
    EXPECT_EQ(got, wanted) << "page " << i;
  }
}

TEST(Cursor, HasADeadlineForEachPage) {
  using Clock = std::chrono::steady_clock;
  SearchParams late;
  late.deadline = Clock::now();
  Cursor cursor = some_index().open_cursor(queries().vector(1), late).value();
  std::vector<Match> page(10);
  EXPECT_EQ(cursor.next(page).error().code(), ErrorCode::deadline_exceeded);
  cursor.set_deadline(Clock::now() + std::chrono::hours(1));
  EXPECT_EQ(cursor.next(page).value(), 10u);
  cursor.set_deadline(Clock::now());
  EXPECT_EQ(cursor.next(page).error().code(), ErrorCode::deadline_exceeded);
  cursor.set_deadline({});
  EXPECT_EQ(cursor.next(page).value(), 10u);
}

TEST(Cursor, OutlivesAMoveOfItsIndexButNotItsEnd) {
  auto index = std::make_unique<Index>(test::built(params_of(Metric::l2sq), queries()));
  Cursor cursor = index->open_cursor(queries().vector(0)).value();
  std::vector<Match> page(5);
  EXPECT_EQ(cursor.next(page).value(), 5u);
  auto moved = std::make_unique<Index>(std::move(*index));
  index.reset();
  EXPECT_EQ(cursor.next(page).value(), 5u);
  moved.reset();
  EXPECT_EQ(cursor.next(page).error().code(), ErrorCode::invalid_argument);
}

TEST(Cursor, ALimitEndsAPageAndTheNextGoesOn) {
  SearchParams params;
  params.max_distances = 150;
  Cursor cursor = some_index().open_cursor(queries().vector(4), params).value();
  std::vector<Match> page(10);
  SearchReport report;
  std::vector<Match> all;
  for (int i = 0; i < 40; ++i) {
    const auto found = cursor.next(page, &report);
    ASSERT_TRUE(found) << found.error().message();
    EXPECT_LE(report.distances, 150u);
    all.insert(all.end(), page.begin(), page.begin() + static_cast<std::ptrdiff_t>(*found));
  }
  keys_of(all);
  EXPECT_GT(all.size(), 100u);
  const std::atomic<bool> stop{true};
  SearchParams stopped;
  stopped.stop = &stop;
  Cursor other = some_index().open_cursor(queries().vector(4), stopped).value();
  EXPECT_EQ(other.next(page).error().code(), ErrorCode::cancelled);
}

TEST(Cursor, WithALimitGoesOnToTheLastKeyWhateverThePlan) {
  const test::Vectors few = test::clustered_vectors(1500, kDims, 40, 1, 7);
  IndexParams several = params_of(Metric::cosine);
  several.several_per_key = true;
  Index chunks = Index::create(several).value();
  for (Key i = 0; i < 1500; ++i) ASSERT_TRUE(chunks.add(i % 700, few.vector(i)));
  const Index plain = test::built(params_of(Metric::cosine), few);
  for (const Index* index : {&plain, static_cast<const Index*>(&chunks)}) {
    const auto filter = Filter::where(*index, [](Key key) { return key % 2 == 0; });
    for (const Plan plan : {Plan::automatic, Plan::walk, Plan::exact}) {
      for (const std::uint64_t most : {7u, 50u, 500u}) {
        for (const Filter* only : {static_cast<const Filter*>(nullptr), &*filter}) {
          SearchParams params;
          params.plan = plan;
          params.max_distances = most;
          params.filter = only;
          Cursor cursor = index->open_cursor(queries().vector(4), params).value();
          std::vector<Match> page(10);
          std::vector<Match> all;
          SearchReport report;
          for (int calls = 0; calls < 5000; ++calls) {
            const std::size_t found = cursor.next(page, &report).value();
            ASSERT_LE(report.distances, most);
            all.insert(all.end(), page.begin(), page.begin() + static_cast<std::ptrdiff_t>(found));
            if (found == 0 && report.complete) break;
          }
          EXPECT_TRUE(report.complete);
          EXPECT_EQ(keys_of(all).size(), (index == &plain ? 1500u : 700u) / (only ? 2 : 1))
              << "plan " << static_cast<int>(plan) << ", " << most << " distances";
        }
      }
    }
  }
}

TEST(Cursor, WithALimitGoesOnBesideChanges) {
  Index index = Index::create(params_of(Metric::l2sq)).value();
  for (Key key = 0; key < 1000; ++key) ASSERT_TRUE(index.add(key, rows().vector(key)));
  SearchParams params;
  params.plan = Plan::exact;
  params.max_distances = 60;
  Cursor cursor = index.open_cursor(queries().vector(0), params).value();
  std::vector<Match> page(10);
  std::vector<Match> all;
  SearchReport report;
  Key next = 1000;
  for (int calls = 0; calls < 2000; ++calls) {
    const std::size_t found = cursor.next(page, &report).value();
    all.insert(all.end(), page.begin(), page.begin() + static_cast<std::ptrdiff_t>(found));
    if (found == 0 && report.complete) break;
    if (next == 1100) continue;
    ASSERT_TRUE(index.remove(next - 1000));  // its slot is used again
    ASSERT_TRUE(index.add(next, rows().vector(next)));
    ++next;
  }
  EXPECT_TRUE(report.complete);
  const auto given = keys_of(all);
  for (Key key = 100; key < 1100; ++key) EXPECT_EQ(given.count(key), 1u) << key;
}

TEST(Cursor, InStrictOrderNoPageIsShortBeforeTheEnd) {
  for (const Plan plan : {Plan::automatic, Plan::walk}) {
    for (const std::size_t size : {1u, 10u}) {
      for (std::size_t q = 0; q < 5; ++q) {
        SearchParams params;
        params.ef = 1;
        params.plan = plan;
        Cursor cursor =
            some_index().open_cursor(queries().vector(q), params, Order::strict).value();
        float last = -std::numeric_limits<float>::infinity();
        std::size_t given = 0;
        bool is_short = false;
        std::vector<Match> page(size);
        for (;;) {
          const std::size_t found = cursor.next(page).value();
          if (found == 0) break;
          EXPECT_FALSE(is_short) << "page after " << given;
          is_short = found < size;
          EXPECT_GE(page[0].distance, last);
          last = page[found - 1].distance;
          given += found;
        }
        EXPECT_EQ(cursor.next(page).value(), 0u);
        // What is left out is late: nearer than the last one.
        const auto all = test::scan(Metric::l2sq, rows(), queries().row(q), rows().rows());
        EXPECT_NEAR(last, all.back().distance, 1e-4f * last);
      }
    }
  }
}

// What was removed is not given, what was replaced comes once, and what stays is never lost:
// changes between pages, a slot that is used again and a new layout among them.
TEST(Cursor, ChangesBetweenPagesLoseAndRepeatNothing) {
  for (const bool compacts : {false, true}) {
    IndexParams params = params_of(Metric::l2sq);
    params.m = 8;
    params.ef_construction = 40;
    Index index = Index::create(params).value();
    constexpr Key kAll = 800;
    for (Key key = 0; key < kAll; ++key) ASSERT_TRUE(index.add(key, rows().vector(key)));
    Cursor cursor = index.open_cursor(queries().vector(0)).value();
    std::set<Key> given;
    std::set<Key> removed;
    std::mt19937 random(5);
    for (int page_number = 0;; ++page_number) {
      std::vector<Match> page(25);
      const auto found = cursor.next(page);
      ASSERT_TRUE(found);
      if (*found == 0) break;
      for (std::size_t i = 0; i < *found; ++i) {
        EXPECT_TRUE(given.insert(page[i].key).second) << page[i].key;
        EXPECT_EQ(removed.count(page[i].key), 0u) << page[i].key;
      }
      for (int i = 0; i < 6; ++i) {
        const Key gone = random() % 200;  // of these some are removed, later ones stay
        if (index.remove(gone)) removed.insert(gone);
        const Key other = 200 + random() % 600;
        ASSERT_TRUE(index.upsert(other, rows().vector(random() % 4000)));
      }
      if (compacts && page_number % 7 == 3) {
        ASSERT_TRUE(index.compact());
      }
      ASSERT_LT(page_number, 200);
    }
    for (Key key = 0; key < kAll; ++key) {
      if (removed.count(key) == 0) {
        EXPECT_EQ(given.count(key), 1u) << key << (compacts ? ", compacted" : "");
      }
    }
  }
}

TEST(Cursor, BesideAWriterNoKeyComesTwiceAndThoseThatStayCome) {
  IndexParams params = params_of(Metric::l2sq);
  params.m = 8;
  params.ef_construction = 40;
  Index index = Index::create(params).value();
  constexpr Key kStay = CAIRN_TEST_SANITIZED ? 80 : 300;
  for (Key key = 0; key < kStay; ++key) ASSERT_TRUE(index.add(key, rows().vector(key)));
  std::atomic<bool> stop{false};
  std::thread writer([&] {
    std::mt19937 random(1);
    for (int i = 0; !stop; ++i) {
      EXPECT_TRUE(index.upsert(kStay + random() % 300, rows().vector(random() % 4000)));
      EXPECT_TRUE(index.upsert(random() % kStay, rows().vector(random() % 4000)));
      if (i % 2 == 0) (void)index.remove(kStay + random() % 300).has_value();
      if (i % 400 == 399) {
        EXPECT_TRUE(index.compact());
      }
    }
  });
  for (int round = 0; round < (CAIRN_TEST_SANITIZED ? 4 : 20); ++round) {
    Cursor cursor = index
                        .open_cursor(queries().vector(static_cast<std::size_t>(round) % 20), {},
                                     round % 3 == 2 ? Order::strict : Order::relaxed)
                        .value();
    std::set<Key> given;
    for (;;) {
      std::vector<Match> page(40);
      const auto found = cursor.next(page);
      if (!found) {
        ADD_FAILURE() << found.error().message();
        break;
      }
      if (*found == 0) break;
      for (std::size_t i = 0; i < *found; ++i) {
        EXPECT_TRUE(given.insert(page[i].key).second) << page[i].key;
      }
    }
    std::size_t stayed = 0;
    for (const Key key : given) stayed += key < kStay ? 1 : 0;
    if (round % 3 != 2) {
      EXPECT_EQ(stayed, kStay);
    }
    if (HasFailure()) break;
  }
  stop = true;
  writer.join();
}

TEST(Cursor, AReaderGoesOnWhenItsFileIsChanged) {
  const test::TemporaryDirectory directory;
  const auto path = directory / "index.cairn";
  CreateOptions options;
  options.durability = Durability::none;
  Index index = Index::create(path, params_of(Metric::l2sq), options).value();
  for (Key key = 0; key < 300; ++key) ASSERT_TRUE(index.add(key, rows().vector(key)));
  ASSERT_TRUE(index.sync());
  Index reader = Index::open(path).value();
  Cursor cursor = reader.open_cursor(queries().vector(0)).value();
  std::set<Key> given;
  std::vector<Match> page(20);
  for (int number = 0; number < 100; ++number) {
    const auto found = cursor.next(page);
    ASSERT_TRUE(found);
    if (*found == 0) break;
    for (std::size_t i = 0; i < *found; ++i) EXPECT_TRUE(given.insert(page[i].key).second);
    ASSERT_TRUE(index.upsert(static_cast<Key>(number), rows().vector(3000)));
    if (number % 3 == 0) {
      ASSERT_TRUE(index.checkpoint());
    }
    if (number % 3 == 1) {
      ASSERT_TRUE(reader.refresh());
    }
  }
  EXPECT_EQ(given.size(), 300u);
}

}  // namespace
}  // namespace cairn
