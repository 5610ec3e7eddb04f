// SPDX-License-Identifier: Apache-2.0
#include "engine/search/plan.h"

#include <gtest/gtest.h>

#include <array>
#include <limits>
#include <memory>

#include "tests/engine/graph/tiny_graph.h"

namespace cairn {
namespace {

// Of 336,479 vectors with rows of `row_bytes`, of which some pass.
class Plans : public testing::Test {
 protected:
  Plans() {
    graph_.add_line(2);
    view_ = graph_.store().view();
    view_.count = kAll;
    view_.live = kAll;
    view_.m_max0 = 56;
    view_.header = 112;  // 100 components in codes
  }

  bool walks(std::size_t percent, std::size_t ef, std::size_t k = 10) {
    return SearchPlan(view_, passing(std::size_t{kAll} * percent / 100), k, ef).walks();
  }

  const SlotSet& passing(std::size_t count) {
    set_ = std::make_unique<SlotSet>(rule_, kAll);
    for (std::size_t i = 0; i < count / 64; ++i) set_->put_word(i, ~std::uint64_t{0});
    return *set_;
  }

  static constexpr std::uint32_t kAll = 336'479;
  test::TinyGraph graph_;
  GraphView view_{};
  const KeyRule rule_ = KeyRule::bits(std::array<std::uint64_t, 1>{}, 0);
  std::unique_ptr<SlotSet> set_;
};

TEST_F(Plans, AFewAreScanned) {
  EXPECT_FALSE(SearchPlan(view_, passing(2'048), 10, 16).walks());
  EXPECT_FALSE(walks(5, 16, 20'000));
}

TEST_F(Plans, NarrowWindowsDoNotMakeAWalkToFewWorthIt) {
  // Before these windows are full, a walk has cost what the scan does.
  for (const std::size_t ef : {1U, 10U, 16U, 32U}) {
    EXPECT_FALSE(walks(1, ef)) << ef;
    EXPECT_FALSE(walks(2, ef, 1)) << ef;
  }
}

TEST_F(Plans, AWalkHasToCostTwoThirdsOfAScan) {
  EXPECT_TRUE(walks(5, 64));
  EXPECT_FALSE(walks(5, 100));  // it would cost three quarters, and find nine in ten
  EXPECT_TRUE(walks(10, 190));
  EXPECT_FALSE(walks(10, 200));
  EXPECT_TRUE(walks(50, 400));
}

TEST_F(Plans, LongRowsAreWalkedSooner) {
  EXPECT_FALSE(walks(5, 128));
  view_.header = 800;
  EXPECT_TRUE(walks(5, 128));
}

TEST_F(Plans, WindowsWiderThanTheGraphAreTakenAsTheGraph) {
  EXPECT_FALSE(walks(50, std::numeric_limits<std::size_t>::max() - 1));
  // Times what a place of the window costs these would be 0 in 64 bits, and little more.
  EXPECT_TRUE(is_query_best_scanned(view_, 10, std::size_t{1} << 59));
  EXPECT_TRUE(is_batch_best_scanned(view_, 100, 10, std::size_t{1} << 63));
}

TEST_F(Plans, FromAfarWiderWindowsAreJudgedAsOthers) {
  const SlotSet& tenth = passing(kAll / 10);
  EXPECT_EQ(window_from_afar(view_, tenth, 64), 192u);
  EXPECT_TRUE(is_walk_worth(view_, tenth, window_from_afar(view_, tenth, 64)));
  EXPECT_FALSE(is_walk_worth(view_, tenth, window_from_afar(view_, tenth, 100)));
}

}  // namespace
}  // namespace cairn
