// SPDX-License-Identifier: Apache-2.0
//
// Groups of equal vectors, and of vectors that hardly differ: who searches for a member finds the
// others, however the index was made.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include <cairn/cairn.h>

#include "tests/support/vectors.h"

namespace cairn {
namespace {

using test::Vectors;

constexpr std::size_t kDims = 32;

// `groups` of `size` rows each, in an arbitrary order: a center and `spread` times a normal vector.
struct Groups {
  Vectors rows;
  Vectors centers;
};

Groups groups_of(std::size_t size, std::size_t groups, float spread) {
  Groups made{{kDims, {}, {}}, test::random_vectors(groups, kDims, 71)};
  const Vectors noise = test::random_vectors(size * groups, kDims, 72);
  std::vector<float> row(kDims);
  for (std::size_t i = 0; i < size * groups; ++i) {
    for (std::size_t j = 0; j < kDims; ++j) {
      row[j] = made.centers.row(i % groups)[j] + spread * noise.row(i)[j];
    }
    made.rows.append(i, row);
  }
  made.rows = test::shuffled(made.rows, 73);
  return made;
}

IndexParams params_of(Metric metric, Traversal traversal = Traversal::automatic) {
  IndexParams params;
  params.dimensions = kDims;
  params.metric = metric;
  params.traversal = traversal;
  return params;
}

Index compacted(const IndexParams& params, const Vectors& vectors) {
  Index index = test::added(params, vectors);
  index.compact().value();
  return index;
}

// Every third vector is removed and added once more.
Index churned(const IndexParams& params, const Vectors& vectors) {
  Index index = test::added(params, vectors);
  for (std::size_t i = 0; i < vectors.rows(); i += 3) index.remove(vectors.keys[i]).value();
  for (std::size_t i = 0; i < vectors.rows(); i += 3) {
    index.add(vectors.keys[i], vectors.vector(i)).value();
  }
  return index;
}

Index built_by_two(const IndexParams& params, const Vectors& vectors) {
  return test::built(params, vectors, 2);
}

struct Way {
  const char* name;
  Index (*make)(const IndexParams&, const Vectors&);
};
constexpr Way kWays[] = {{"built", built_by_two},
                         {"added", test::added},
                         {"compacted", compacted},
                         {"churned", churned}};

double recall_at_64(const Index& index, const Groups& groups) {
  return test::recall(index, groups.rows, groups.centers, {.k = 10, .ef = 64});
}

// Share of the ten nearest of each center, or of as many as its group has, that are of its group.
double members_at_64(const Index& index, const Groups& groups) {
  const std::size_t count = groups.centers.rows();
  const std::size_t k = std::min<std::size_t>(10, groups.rows.rows() / count);
  std::vector<Match> matches(k);
  std::size_t members = 0;
  for (std::size_t group = 0; group < count; ++group) {
    const std::size_t found =
        index.search(groups.centers.vector(group), {.k = k, .ef = 64}, matches).value();
    members += static_cast<std::size_t>(
        std::count_if(matches.begin(), matches.begin() + static_cast<std::ptrdiff_t>(found),
                      [&](const Match& match) { return match.key % count == group; }));
  }
  return static_cast<double>(members) / static_cast<double>(k * count);
}

class GroupsOfVectors : public testing::TestWithParam<std::size_t> {};

INSTANTIATE_TEST_SUITE_P(Sizes, GroupsOfVectors, testing::Values(2, 10, 50, 300));

TEST_P(GroupsOfVectors, LoseNoMemberWhereAllAreEqual) {
  const Groups groups = groups_of(GetParam(), 900 / GetParam(), 0);
  for (const Way& way : kWays) {
    for (const Metric metric : {Metric::cosine, Metric::l2sq}) {
      const Index index = way.make(params_of(metric), groups.rows);
      EXPECT_GE(members_at_64(index, groups), 0.995) << way.name;
      EXPECT_EQ(index.verify()->unreachable, 0u) << way.name;
    }
  }
}

TEST_P(GroupsOfVectors, LoseNoMemberWhereTheyHardlyDiffer) {
  for (const float spread : {1e-3f, 1e-4f, 1e-6f}) {
    const Groups groups = groups_of(GetParam(), 900 / GetParam(), spread);
    for (const Way& way : kWays) {
      const Index index = way.make(params_of(Metric::cosine), groups.rows);
      EXPECT_GE(members_at_64(index, groups), 0.995) << way.name << ", " << spread;
    }
  }
}

// Differences of components tell even such vectors apart.
TEST_P(GroupsOfVectors, KeepTheirOrderWhereTheyHardlyDiffer) {
  for (const float spread : {1e-3f, 1e-4f, 1e-6f}) {
    const Groups groups = groups_of(GetParam(), 900 / GetParam(), spread);
    for (const Way& way : kWays) {
      const Index index = way.make(params_of(Metric::l2sq, Traversal::exact), groups.rows);
      EXPECT_GE(recall_at_64(index, groups), 0.98) << way.name << ", " << spread;
    }
  }
}

TEST(GroupsOfTen, LoseNothingToMoreCandidatesAtTheirInsertion) {
  const Groups groups = groups_of(10, 150, 0);
  for (const std::uint32_t ef : {50u, 200u, 600u}) {
    IndexParams params = params_of(Metric::cosine);
    params.ef_construction = ef;
    EXPECT_GE(members_at_64(test::built(params, groups.rows), groups), 0.995) << ef;
  }
}

// 500 zeros, more than a window holds, are nearer to most vectors than these are to each other.
TEST(ManyCopies, CostOthersNothingWhenTheyComeFirst) {
  constexpr std::size_t kFewDims = 16;
  const Vectors others = test::random_vectors(1500, kFewDims, 81);
  const Vectors queries = test::random_vectors(100, kFewDims, 82);
  const std::vector<float> zero(kFewDims);
  Vectors first{kFewDims, {}, {}};
  for (std::size_t i = 0; i < 500; ++i) first.append(i, zero);
  for (std::size_t i = 0; i < others.rows(); ++i) {
    first.append(others.keys[i], {others.row(i), kFewDims});
  }
  IndexParams params = params_of(Metric::l2sq);
  params.dimensions = kFewDims;
  for (const Way& way : kWays) {
    const Index index = way.make(params, first);
    EXPECT_GE(test::recall(index, first, queries, {.k = 10, .ef = 64}), 0.99) << way.name;
  }
}

// A thousand zeros fill the window of a search, whatever order they come in.
TEST(ManyCopies, HideNothingThatIsNearer) {
  constexpr std::size_t kFewDims = 16;
  const Vectors others = test::random_vectors(1000, kFewDims, 83);
  const Vectors queries = test::random_vectors(100, kFewDims, 84);
  Vectors last = others;
  const std::vector<float> zero(kFewDims);
  for (std::size_t i = 0; i < 1000; ++i) last.append(100'000 + i, zero);
  IndexParams params = params_of(Metric::l2sq);
  params.dimensions = kFewDims;
  for (const Way& way : {Way{"built", built_by_two}, Way{"added", test::added}}) {
    const Index index = way.make(params, last);
    EXPECT_GE(test::recall(index, last, queries, {.k = 10, .ef = 64}), 0.998) << way.name;
  }
}

}  // namespace
}  // namespace cairn
