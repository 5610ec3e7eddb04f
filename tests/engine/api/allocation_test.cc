// SPDX-License-Identifier: Apache-2.0
//
// A search into the caller's memory allocates nothing once it has run, and no change is lost when
// an allocation fails.
#include <gtest/gtest.h>

#include <cstdlib>
#include <functional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include <cairn/cairn.h>

#include "tests/support/failing_allocations.h"
#include "tests/support/temporary_directory.h"
#include "tests/support/vectors.h"

namespace cairn {
namespace {

using test::allocations;
using test::Vectors;

// All queries once to warm up, then once more; returns what the second time allocated.
std::size_t allocations_once_warm(const Index& index, const Vectors& queries,
                                  const SearchParams& params) {
  std::vector<Match> out(params.k);
  std::size_t before = 0;
  for (int round = 0; round < 2; ++round) {
    before = allocations();
    for (std::size_t i = 0; i < queries.rows(); ++i) {
      if (!index.search(queries.vector(i), params, out)) std::abort();
    }
  }
  return allocations() - before;
}

TEST(Allocation, TheCounterCounts) {
  const std::size_t before = allocations();
  const std::vector<int> some(100);
  EXPECT_EQ(allocations(), before + 1);
}

TEST(Allocation, AWarmSearchAllocatesNothing) {
  const Vectors vectors = test::random_vectors(1000, 24, 1);
  const Vectors queries = test::random_vectors(50, 24, 2);
  for (const Metric metric : {Metric::cosine, Metric::l2sq, Metric::inner_product}) {
    for (const Traversal traversal : {Traversal::code, Traversal::exact}) {
      IndexParams params;
      params.dimensions = 24;
      params.metric = metric;
      params.traversal = traversal;
      params.ef_construction = 40;
      const Index index = test::built(params, vectors);
      EXPECT_EQ(allocations_once_warm(index, queries, {10, 64}), 0u);
      EXPECT_EQ(allocations_once_warm(index, queries, {100, 200}), 0u);
    }
  }
}

TEST(Allocation, AWarmSearchOfAMappedFileAllocatesNothing) {
  const test::TemporaryDirectory directory;
  const Vectors vectors = test::random_vectors(1000, 24, 3);
  IndexParams params;
  params.dimensions = 24;
  params.ef_construction = 40;
  ASSERT_TRUE(test::built(params, vectors).save(directory / "a"));
  const auto index = Index::open(directory / "a");
  ASSERT_TRUE(index);
  EXPECT_EQ(allocations_once_warm(*index, vectors, {10, 64}), 0u);
}

TEST(Allocation, AWarmRangeThatIsHandedOutAllocatesNothing) {
  const Vectors vectors = test::random_vectors(1000, 24, 1);
  const Vectors queries = test::random_vectors(30, 24, 2);
  IndexParams params;
  params.dimensions = 24;
  params.metric = Metric::l2sq;
  params.ef_construction = 40;
  const Index index = test::built(params, vectors);
  std::size_t found = 0;
  const std::function<bool(Match)> take = [&](Match) { return ++found != 0; };
  for (const Plan plan : {Plan::walk, Plan::exact}) {
    RangeParams range;
    range.plan = plan;
    std::size_t before = 0;
    for (int round = 0; round < 2; ++round) {
      before = allocations();
      for (std::size_t i = 0; i < queries.rows(); ++i) {
        if (!index.search_range(queries.vector(i), 25.0f, range, take)) std::abort();
      }
    }
    EXPECT_EQ(allocations(), before);
  }
  EXPECT_GT(found, 0u);
}

TEST(Allocation, AWarmSearchByTheCallersMetricAllocatesNothing) {
  const Vectors vectors = test::random_vectors(1000, 24, 1);
  const Vectors queries = test::random_vectors(30, 24, 2);
  const std::function<float(Key, VectorView)> own = [](Key key, VectorView vector) {
    return static_cast<const float*>(vector.data())[0] + static_cast<float>(key % 3);
  };
  for (const bool has_several : {false, true}) {
    IndexParams params;
    params.dimensions = 24;
    params.ef_construction = 40;
    params.several_per_key = has_several;
    Index index = Index::create(params).value();
    std::vector<Key> keys;
    for (std::size_t i = 0; i < vectors.rows(); ++i) keys.push_back(has_several ? i / 5 : i);
    ASSERT_TRUE(index.build(keys, vectors.matrix()));
    EXPECT_EQ(allocations_once_warm(index, queries, {.k = 10, .ef = 64, .rerank = &own}), 0u)
        << has_several;
  }
}

// A page that there is no memory for comes with the next call, and nothing is lost or comes twice.
TEST(Allocation, ACursorGoesOnAfterAFailure) {
  const Vectors vectors = test::random_vectors(300, 24, 1);
  IndexParams params;
  params.dimensions = 24;
  params.ef_construction = 40;
  const Index index = test::built(params, vectors);
  for (std::size_t n = 0; n < 40; ++n) {
    auto cursor = index.open_cursor(vectors.vector(0));
    ASSERT_TRUE(cursor);
    std::set<Key> given;
    std::vector<Match> page(30);
    for (std::size_t call = 0;; ++call) {
      if (call == 1) test::fail_allocation(n, false);
      const auto found = cursor->next(page);
      if (call == 1) (void)test::stop_failing_allocations();
      if (!found) {
        ASSERT_EQ(found.error().code(), ErrorCode::out_of_memory);
        continue;
      }
      if (*found == 0) break;
      for (std::size_t i = 0; i < *found; ++i) EXPECT_TRUE(given.insert(page[i].key).second);
    }
    EXPECT_EQ(given.size(), vectors.rows()) << "allocation " << n;
  }
}

TEST(Allocation, LookingUpAllocatesNothing) {
  const Vectors vectors = test::random_vectors(100, 24, 4);
  IndexParams params;
  params.dimensions = 24;
  const Index index = test::built(params, vectors);
  std::vector<float> out(24);
  const std::size_t before = allocations();
  for (const Key key : vectors.keys) {
    if (!index.contains(key) || index.contains(key + 1) || !index.get(key, out)) std::abort();
  }
  EXPECT_EQ(index.size(), 100u);
  EXPECT_EQ(allocations(), before);
}

// Does a thing to an index of `vectors` with the n-th allocation failing, for every n until it
// succeeds. A failure leaves the index as it was.
// `removes_before`: with tombstones, and with working memory that removing has warmed.
void expect_all_or_nothing(const Vectors& vectors, bool removes_before,
                           const std::function<Result<void>(Index&)>& act) {
  IndexParams params;
  params.dimensions = vectors.dims;
  params.m = 4;
  params.ef_construction = 30;
  bool done = false;
  int failures = 0;
  for (std::size_t n = 0; !done; ++n) {
    ASSERT_LT(n, 2000u);
    Index index = test::built(params, vectors);
    if (removes_before) {
      for (std::size_t i = 0; i < 20; ++i) ASSERT_TRUE(index.remove(vectors.keys[i]));
    }
    const std::size_t gone = removes_before ? 20 : 0;
    test::fail_allocation(n, false);
    const Result<void> acted = act(index);
    done = !test::stop_failing_allocations();
    if (!acted) {
      ++failures;
      EXPECT_EQ(acted.error().code(), ErrorCode::out_of_memory);
      EXPECT_EQ(index.size(), vectors.rows() - gone) << "allocation " << n;
      for (std::size_t i = 0; i < vectors.rows(); ++i) {
        EXPECT_EQ(index.contains(vectors.keys[i]), i >= gone);
      }
      EXPECT_FALSE(index.contains(5));
    }
    BuildOptions options;
    options.threads = 1;
    const auto report = index.verify(options);
    ASSERT_TRUE(report);
    EXPECT_EQ(report->findings, std::vector<std::string>{}) << "allocation " << n;
    EXPECT_EQ(report->unreachable, 0u) << "allocation " << n;
    ASSERT_TRUE(index.upsert(5, vectors.vector(0)));  // it goes on
  }
  EXPECT_GT(failures, 0);
}

TEST(Allocation, FailuresLeaveTheIndexUnchanged) {
  const Vectors vectors = test::random_vectors(120, 6, 5);
  expect_all_or_nothing(vectors, true,
                        [&](Index& index) { return index.add(5, vectors.vector(0)); });
  expect_all_or_nothing(vectors, true, [&](Index& index) {
    return index.upsert(vectors.keys[50], vectors.vector(0));
  });
  expect_all_or_nothing(vectors, false,
                        [&](Index& index) { return index.remove(vectors.keys[50]); });
  expect_all_or_nothing(vectors, true, [&](Index& index) { return index.compact(); });
}

}  // namespace
}  // namespace cairn
