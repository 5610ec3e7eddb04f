// SPDX-License-Identifier: Apache-2.0
#include "tools/command/overlap.h"

#include <gtest/gtest.h>

#include <vector>

namespace cairn::tools {
namespace {

// Keys 10, 11, ... at 0, 1, 2, ... on a line; key 20 stands where 11 does.
Index line() {
  IndexParams params;
  params.dimensions = 1;
  params.metric = Metric::l2sq;
  auto index = Index::create(params);
  for (Key i = 0; i < 10; ++i) {
    EXPECT_TRUE(index->add(10 + i, std::vector<float>{static_cast<float>(i)}));
  }
  EXPECT_TRUE(index->add(20, std::vector<float>{1}));
  return std::move(*index);
}

class Overlaps : public testing::Test {
 protected:
  Result<Overlap> with(const AnswerFile& answers, std::size_t k) const {
    return overlap_with(index_, rows_, answers, {k, 64}, 1, nullptr);
  }

  const Index index_ = line();
  const VectorFile queries_{2, 1, {0, 9}};
  const StoredRows rows_ = StoredRows::of(queries_, "q", index_.params()).value();
};

TEST_F(Overlaps, IsThePartOfTheAnswersThatIsFound) {
  const auto all = with({2, 2, {10, 11, 19, 18}}, 2);
  ASSERT_TRUE(all) << all.error().message();
  EXPECT_EQ(all->mean, 1);
  EXPECT_EQ(all->queries, 2u);
  const auto half = with({2, 2, {10, 15, 19, 18}}, 2);
  ASSERT_TRUE(half);
  EXPECT_EQ(half->mean, 0.75);
  EXPECT_EQ(half->parts, (std::vector<double>{0.5, 1}));
}

TEST_F(Overlaps, OrderAndFurtherColumnsMakeNoDifference) {
  EXPECT_EQ(with({2, 3, {11, 10, 15, 18, 19, 10}}, 2)->mean, 1);
}

TEST_F(Overlaps, EquallyNearVectorsStandForEachOther) {
  EXPECT_EQ(with({2, 2, {10, 20, 19, 18}}, 2)->mean, 1);
}

TEST_F(Overlaps, NearerVectorsThatAreMissedDoNotCount) {
  // An index that has forgotten what is nearest would answer with what is farther.
  EXPECT_EQ(with({2, 1, {11, 18}}, 1)->mean, 0);
}

TEST_F(Overlaps, KeysThatAreNotThereAreMissesButMarksOfNothingAreNotWanted) {
  EXPECT_EQ(with({2, 2, {10, 999, 19, 18}}, 2)->mean, 0.75);
  EXPECT_EQ(with({2, 2, {10, 0xFFFFFFFFu, 19, ~Key{0}}}, 2)->mean, 1);
  EXPECT_EQ(with({2, 1, {~Key{0}, ~Key{0}}}, 1)->mean, 1);
}

TEST_F(Overlaps, AnswersThatDoNotFitTheQueriesAreRefused) {
  EXPECT_EQ(with({1, 2, {10, 11}}, 2).error().code(), ErrorCode::invalid_argument);
  EXPECT_EQ(with({2, 1, {10, 19}}, 2).error().code(), ErrorCode::invalid_argument);
}

TEST_F(Overlaps, WithoutAnswersTheExactOnesAreWanted) {
  const auto exact = overlap_with_exact(index_, rows_, {3, 64}, 2, nullptr);
  ASSERT_TRUE(exact) << exact.error().message();
  EXPECT_EQ(exact->mean, 1);
  EXPECT_EQ(overlap_with_exact(index_, rows_, {100, 64}, 1, nullptr)->mean, 1);
}

TEST_F(Overlaps, AStopEndsIt) {
  const std::atomic<bool> stop{true};
  const auto stopped = overlap_with(index_, rows_, {2, 1, {10, 19}}, {1, 64}, 1, &stop);
  ASSERT_FALSE(stopped);
  EXPECT_EQ(stopped.error().code(), ErrorCode::cancelled);
}

}  // namespace
}  // namespace cairn::tools
