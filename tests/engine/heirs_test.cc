// SPDX-License-Identifier: Apache-2.0
#include "engine/heirs.h"

#include <gtest/gtest.h>

#include <vector>

#include "tests/engine/tiny_graph.h"

namespace cairn {
namespace {

using test::TinyGraph;

// Node 0 at x = 0, a tombstone at 10 with its heir at 11, and other nodes on the way to them.
class Heal : public testing::Test {
 protected:
  Heal() {
    graph_.add(0, 0);
    gone_ = graph_.add(10, 0);
    heir_ = graph_.add(11, 0);
    near_ = graph_.add(4, 0);
    nearer_ = graph_.add(3, 0);
    graph_.link(0, gone_);
    graph_.link(gone_, heir_);
    graph_.store().set_deleted(gone_);
  }

  std::vector<NodeId> healed() {
    std::vector<NodeId> list;
    Selection selection;
    selection.query.reserve(2);
    heal(graph_.store(), graph_.space(), 0, 0, list, selection);
    copy(graph_.space().view().links(0), list);
    return list;
  }

  TinyGraph graph_;
  NodeId gone_, heir_, near_, nearer_;
};

TEST_F(Heal, TheHeirTakesThePlaceOfATombstone) {
  graph_.link(heir_, near_);  // which does not lead back
  EXPECT_EQ(healed(), std::vector<NodeId>{heir_});
}

TEST_F(Heal, ANearerNeighborOfTheHeirThatLeadsToItIsBetter) {
  graph_.link_both(heir_, near_);
  graph_.link(heir_, nearer_);  // does not lead to the heir
  EXPECT_EQ(healed(), std::vector<NodeId>{near_});
}

TEST_F(Heal, NothingIsNeededWhereANeighborLeadsToTheHeir) {
  graph_.link(0, near_);
  graph_.link(near_, heir_);
  EXPECT_EQ(healed(), std::vector<NodeId>{near_});
}

TEST_F(Heal, ATombstoneWithoutOneHeirIsPassed) {
  graph_.link(gone_, near_);
  EXPECT_EQ(healed(), std::vector<NodeId>{gone_});
}

TEST_F(Heal, ATombstoneThatLedNowhereIsLeftOut) {
  graph_.store().set_links(gone_, 0, {});
  EXPECT_EQ(healed(), std::vector<NodeId>{});
}

TEST_F(Heal, TheHeirsOfHeirsAreFollowed) {
  graph_.link(heir_, near_);
  graph_.store().set_deleted(heir_);
  EXPECT_EQ(healed(), std::vector<NodeId>{near_});
}

}  // namespace
}  // namespace cairn
