// SPDX-License-Identifier: Apache-2.0
//
// Groups of copies and of near copies, of which one fills a window: searches with a filter, ranges
// and cursors look past it, as searches without a filter do.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstddef>
#include <string>
#include <vector>

#include <cairn/cairn.h>

#include "tests/support/vectors.h"

namespace cairn {
namespace {

using test::Vectors;

constexpr std::size_t kDims = 32;
constexpr std::size_t kQueries = 60;

struct Grouped {
  Vectors vectors;
  Vectors queries;  // half of them are members, half lie far from all groups
};

Grouped groups_of(std::size_t rows, std::size_t size, float spread, std::uint64_t seed) {
  const Vectors centers = test::random_vectors(rows / size, kDims, seed);
  const auto around = [&](std::size_t count, std::size_t of_each, std::uint64_t noise) {
    Vectors made = test::random_vectors(count, kDims, noise);
    for (std::size_t i = 0; i < made.values.size(); ++i) {
      const std::size_t group = i / kDims / of_each % centers.rows();
      made.values[i] = centers.row(group)[i % kDims] + spread * made.values[i];
    }
    return made;
  };
  Grouped made{around(rows / size * size, size, seed + 1), around(kQueries / 2, 1, seed + 2)};
  const Vectors strangers = test::random_vectors(kQueries / 2, kDims, seed + 3);
  for (std::size_t i = 0; i < strangers.rows(); ++i) {
    made.queries.append(10'000 + i, {strangers.row(i), kDims});
  }
  return made;
}

Index index_of(Metric metric, const Vectors& vectors) {
  IndexParams params;
  params.dimensions = kDims;
  params.metric = metric;
  params.ef_construction = 100;
  return test::built(params, vectors);
}

// Share of `wanted` that is as near as its last.
double share(const std::vector<Match>& found, const std::vector<Match>& wanted) {
  const auto count = std::count_if(found.begin(), found.end(), [&](const Match& one) {
    return one.distance <= wanted.back().distance;
  });
  return std::min(1.0, static_cast<double>(count) / static_cast<double>(wanted.size()));
}

std::vector<Match> nearest(const Index& index, VectorView query, Plan plan, const Filter* filter) {
  SearchParams params{10, 64};
  params.plan = plan;
  params.filter = filter;
  return index.search(query, params).value();
}

double recall_of(const Index& index, const Vectors& queries, const Filter* filter) {
  double sum = 0;
  for (std::size_t i = 0; i < queries.rows(); ++i) {
    const VectorView query = queries.vector(i);
    sum += share(nearest(index, query, Plan::walk, filter),
                 nearest(index, query, Plan::exact, filter));
  }
  return sum / static_cast<double>(queries.rows());
}

constexpr Metric kMetrics[] = {Metric::l2sq, Metric::cosine, Metric::inner_product};
constexpr float kSpreads[] = {0, 1e-4f, 1e-2f};

// Calls use(index, queries) with groups of each kind.
template <class Use>
void for_each_kind(std::size_t rows, std::size_t size, Use&& use) {
  for (const Metric metric : kMetrics) {
    for (const float spread : kSpreads) {
      SCOPED_TRACE("metric " + std::to_string(static_cast<int>(metric)) + ", spread " +
                   std::to_string(spread));
      const Grouped groups = groups_of(rows, size, spread, 900);
      use(index_of(metric, groups.vectors), groups.queries);
    }
  }
}

TEST(Groups, AreFoundThroughAFilterAsWithout) {
  for_each_kind(16'000, 300, [](const Index& index, const Vectors& queries) {
    const Filter most = Filter::where(index, [](Key key) { return key % 10 != 3; }).value();
    EXPECT_GE(recall_of(index, queries, &most), recall_of(index, queries, nullptr) - 0.01);
  });
}

TEST(Groups, AreFoundByRanges) {
  for_each_kind(3000, 300, [](const Index& index, const Vectors& queries) {
    double sum = 0;
    for (std::size_t i = 0; i < queries.rows(); ++i) {
      const float radius = nearest(index, queries.vector(i), Plan::exact, nullptr).back().distance;
      RangeParams params;
      params.plan = Plan::exact;
      const auto wanted = index.search_range(queries.vector(i), radius, params).value();
      params.plan = Plan::walk;
      sum += share(index.search_range(queries.vector(i), radius, params).value(), wanted);
    }
    EXPECT_GE(sum / kQueries, 0.97);
  });
}

TEST(Groups, AreFoundByCursors) {
  for_each_kind(3000, 300, [](const Index& index, const Vectors& queries) {
    double sum = 0;
    for (std::size_t i = 0; i < queries.rows(); ++i) {
      SearchParams params{10, 64};
      params.plan = Plan::walk;
      Cursor cursor = index.open_cursor(queries.vector(i), params).value();
      std::vector<Match> found(10);
      found.resize(cursor.next(found).value());
      sum += share(found, nearest(index, queries.vector(i), Plan::exact, nullptr));
    }
    EXPECT_GE(sum / kQueries, 0.97);
  });
}

// One of each fifty: what passes lies behind groups that do not.
TEST(Groups, AreFoundByCursorsThroughAFilterOfOneOfEach) {
  for_each_kind(3000, 50, [](const Index& index, const Vectors& queries) {
    const Filter one =
        Filter::where(index, [](Key key) { return key % 350 == 1000 % 350; }).value();
    double sum = 0;
    for (std::size_t i = 0; i < queries.rows(); ++i) {
      SearchParams params{10, 64};
      params.plan = Plan::walk;
      params.filter = &one;
      Cursor cursor = index.open_cursor(queries.vector(i), params).value();
      std::vector<Match> found(10);
      found.resize(cursor.next(found).value());
      sum += share(found, nearest(index, queries.vector(i), Plan::exact, &one));
    }
    EXPECT_GE(sum / kQueries, 0.99);
  });
}

}  // namespace
}  // namespace cairn
