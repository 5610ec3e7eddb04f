// SPDX-License-Identifier: Apache-2.0
#include "engine/graph/heirs.h"

#include <gtest/gtest.h>

#include <vector>

#include "tests/engine/graph/tiny_graph.h"
#include "tests/support/nodes.h"

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
    graph_.link(0_n, gone_);
    graph_.link(gone_, heir_);
    graph_.store().set_deleted(gone_);
  }

  std::vector<NodeId> healed() {
    std::vector<NodeId> list;
    SelectionScratch selection;
    HeirChains chains(graph_.store());
    heal(chains, graph_.space(), 0_n, 0, list, selection);
    copy(graph_.space().view().links(0_n), list);
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
  graph_.link(0_n, near_);
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

// 0 - 1 - ... - 400, all removed but the last, each with the next one as its heir.
class Chain : public testing::Test {
 protected:
  static constexpr std::uint32_t kEnd = 400;
  Chain() {
    for (const NodeId i : nodes_below(kEnd + 1)) graph_.add(static_cast<float>(i.index), 0);
    for (const NodeId i : nodes_below(kEnd)) {
      graph_.link(i, {i.index + 1});
      graph_.store().set_deleted(i);
    }
  }

  NodeId first_link(NodeId node) const { return graph_.space().view().links(node).link(0).value(); }

  TinyGraph graph_;
};

TEST_F(Chain, IsTooLongForWhoMayNotStore) {
  EXPECT_EQ(heir_of(graph_.space().view(), 0_n, 0).kind, Heir::Kind::undecided);
  EXPECT_EQ(first_link(0_n), 1_n);
}

TEST_F(Chain, IsFollowedToItsEndAndMadeShort) {
  HeirChains chains(graph_.store());
  const Heir heir = chains.follow(0_n);
  EXPECT_EQ(heir.kind, Heir::Kind::node);
  EXPECT_EQ(heir.node, NodeId{kEnd});
  // So many in one change, and the others in the next.
  EXPECT_EQ(first_link({HeirChains::kMostShortened - 1}), NodeId{kEnd});
  EXPECT_EQ(first_link({HeirChains::kMostShortened}), NodeId{HeirChains::kMostShortened + 1});
  EXPECT_EQ(chains.follow({HeirChains::kMostShortened}).node, NodeId{kEnd});
  EXPECT_EQ(first_link({HeirChains::kMostShortened}), NodeId{HeirChains::kMostShortened + 1});
  HeirChains next(graph_.store());
  EXPECT_EQ(next.follow({HeirChains::kMostShortened}).node, NodeId{kEnd});
  EXPECT_EQ(first_link({kEnd - 2}), NodeId{kEnd});
}

TEST_F(Chain, ThatLeadsToAnUndecidedTombstoneIsUndecided) {
  graph_.link(300_n, 5_n);
  HeirChains chains(graph_.store());
  EXPECT_EQ(chains.follow(0_n).kind, Heir::Kind::undecided);
  EXPECT_EQ(first_link(0_n), 1_n);  // no link to a tombstone is made
}

// On a hostile file one could spend hours in a single change.
TEST_F(Chain, ManyThatCannotBeShortenedEndTheStepsOfAChange) {
  graph_.link(300_n, 5_n);
  HeirChains chains(graph_.store());
  for (std::uint64_t steps = 0; steps <= kEnd + HeirChains::kMoreSteps; steps += 200) {
    EXPECT_EQ(chains.follow(0_n).kind, Heir::Kind::undecided);
  }
  graph_.store().set_links(300_n, 0, std::vector<NodeId>{301_n});
  EXPECT_EQ(chains.follow(0_n).kind, Heir::Kind::undecided);
  EXPECT_EQ(chains.follow({kEnd - 60}).node, NodeId{kEnd});  // short ones are followed still
  EXPECT_EQ(HeirChains(graph_.store()).follow(0_n).node, NodeId{kEnd});
}

TEST_F(Chain, FollowedAllAtOnceAllEndsAreKnown) {
  graph_.link(300_n, 5_n);                 // undecided, and what leads there
  graph_.store().set_links(200_n, 0, {});  // nothing
  graph_.store().set_links(340_n, 0, std::vector<NodeId>{320_n});
  HeirChains chains(graph_.store());
  chains.follow_all();
  const auto expect = [&](NodeId first, NodeId last, Heir::Kind kind) {
    for (const NodeId node : nodes_from(first.index, last.index + 1)) {
      EXPECT_EQ(chains.follow(node).kind, kind) << node;
    }
  };
  expect(0_n, 200_n, Heir::Kind::nothing);
  expect(201_n, 300_n, Heir::Kind::undecided);
  expect(301_n, 340_n, Heir::Kind::nothing);  // round in a circle
  expect(341_n, {kEnd}, Heir::Kind::node);
  for (const NodeId node : nodes_from(341, kEnd + 1))
    EXPECT_EQ(chains.follow(node).node, NodeId{kEnd});
  EXPECT_EQ(first_link(0_n), 1_n);  // nothing is stored
}

TEST_F(Chain, ThatComesBackToTheTombstoneInQuestionLeadsToNothingElse) {
  graph_.link(300_n, 5_n);
  HeirChains chains(graph_.store());
  EXPECT_EQ(chains.follow(0_n, 300_n).kind, Heir::Kind::nothing);
  EXPECT_EQ(first_link(0_n), 1_n);
}

TEST_F(Chain, ThatEndsAtATombstoneWithoutAnyHeirLeadsNowhere) {
  graph_.store().set_links(200_n, 0, {});
  HeirChains chains(graph_.store());
  EXPECT_EQ(chains.follow(0_n).kind, Heir::Kind::nothing);
  EXPECT_EQ(graph_.space().view().links(0_n).degree, 0u);
  EXPECT_EQ(graph_.space().view().links(199_n).degree, 0u);
}

TEST_F(Chain, ThatLeadsRoundInACircleLeadsNowhere) {
  graph_.store().set_links({kEnd - 1}, 0, std::vector<NodeId>{7_n});
  for (int change = 0; change < 2; ++change) {
    (void)HeirChains(graph_.store()).follow(0_n);
  }
  HeirChains chains(graph_.store());
  for (std::uint32_t node = 0; node < kEnd; node += 20) {
    EXPECT_EQ(chains.follow({node}).kind, Heir::Kind::nothing) << node;
  }
}

}  // namespace
}  // namespace cairn
