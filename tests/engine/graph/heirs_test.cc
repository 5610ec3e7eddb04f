// SPDX-License-Identifier: Apache-2.0
#include "engine/graph/heirs.h"

#include <gtest/gtest.h>

#include <vector>

#include "tests/engine/graph/tiny_graph.h"

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
    SelectionScratch selection;
    HeirChains chains(graph_.store());
    heal(chains, graph_.space(), 0, 0, list, selection);
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

// 0 - 1 - ... - 400, all removed but the last, each with the next one as its heir.
class Chain : public testing::Test {
 protected:
  static constexpr NodeId kEnd = 400;
  Chain() {
    for (NodeId i = 0; i <= kEnd; ++i) graph_.add(static_cast<float>(i), 0);
    for (NodeId i = 0; i < kEnd; ++i) {
      graph_.link(i, i + 1);
      graph_.store().set_deleted(i);
    }
  }

  NodeId first_link(NodeId node) const { return graph_.space().view().links(node).link(0).value(); }

  TinyGraph graph_;
};

TEST_F(Chain, IsTooLongForWhoMayNotStore) {
  EXPECT_EQ(heir_of(graph_.space().view(), 0, 0).kind, Heir::Kind::undecided);
  EXPECT_EQ(first_link(0), 1u);
}

TEST_F(Chain, IsFollowedToItsEndAndMadeShort) {
  HeirChains chains(graph_.store());
  const Heir heir = chains.follow(0);
  EXPECT_EQ(heir.kind, Heir::Kind::node);
  EXPECT_EQ(heir.node, kEnd);
  // So many in one change, and the others in the next.
  EXPECT_EQ(first_link(HeirChains::kMostShortened - 1), kEnd);
  EXPECT_EQ(first_link(HeirChains::kMostShortened), HeirChains::kMostShortened + 1);
  EXPECT_EQ(chains.follow(HeirChains::kMostShortened).node, kEnd);
  EXPECT_EQ(first_link(HeirChains::kMostShortened), HeirChains::kMostShortened + 1);
  HeirChains next(graph_.store());
  EXPECT_EQ(next.follow(HeirChains::kMostShortened).node, kEnd);
  EXPECT_EQ(first_link(kEnd - 2), kEnd);
}

TEST_F(Chain, ThatLeadsToAnUndecidedTombstoneIsUndecided) {
  graph_.link(300, 5);
  HeirChains chains(graph_.store());
  EXPECT_EQ(chains.follow(0).kind, Heir::Kind::undecided);
  EXPECT_EQ(first_link(0), 1u);  // no link to a tombstone is made
}

// On a hostile file one could spend hours in a single change.
TEST_F(Chain, ManyThatCannotBeShortenedEndTheStepsOfAChange) {
  graph_.link(300, 5);
  HeirChains chains(graph_.store());
  for (std::uint64_t steps = 0; steps <= kEnd + HeirChains::kMoreSteps; steps += 200) {
    EXPECT_EQ(chains.follow(0).kind, Heir::Kind::undecided);
  }
  graph_.store().set_links(300, 0, std::vector<NodeId>{301});
  EXPECT_EQ(chains.follow(0).kind, Heir::Kind::undecided);
  EXPECT_EQ(chains.follow(kEnd - 60).node, kEnd);  // short ones are followed still
  EXPECT_EQ(HeirChains(graph_.store()).follow(0).node, kEnd);
}

TEST_F(Chain, FollowedAllAtOnceAllEndsAreKnown) {
  graph_.link(300, 5);                   // undecided, and what leads there
  graph_.store().set_links(200, 0, {});  // nothing
  graph_.store().set_links(340, 0, std::vector<NodeId>{320});
  HeirChains chains(graph_.store());
  chains.follow_all();
  const auto expect = [&](NodeId first, NodeId last, Heir::Kind kind) {
    for (NodeId node = first; node <= last; ++node) {
      EXPECT_EQ(chains.follow(node).kind, kind) << node;
    }
  };
  expect(0, 200, Heir::Kind::nothing);
  expect(201, 300, Heir::Kind::undecided);
  expect(301, 340, Heir::Kind::nothing);  // round in a circle
  expect(341, kEnd, Heir::Kind::node);
  for (NodeId node = 341; node <= kEnd; ++node) EXPECT_EQ(chains.follow(node).node, kEnd);
  EXPECT_EQ(first_link(0), 1u);  // nothing is stored
}

TEST_F(Chain, ThatComesBackToTheTombstoneInQuestionLeadsToNothingElse) {
  graph_.link(300, 5);
  HeirChains chains(graph_.store());
  EXPECT_EQ(chains.follow(0, 300).kind, Heir::Kind::nothing);
  EXPECT_EQ(first_link(0), 1u);
}

TEST_F(Chain, ThatEndsAtATombstoneWithoutAnyHeirLeadsNowhere) {
  graph_.store().set_links(200, 0, {});
  HeirChains chains(graph_.store());
  EXPECT_EQ(chains.follow(0).kind, Heir::Kind::nothing);
  EXPECT_EQ(graph_.space().view().links(0).degree, 0u);
  EXPECT_EQ(graph_.space().view().links(199).degree, 0u);
}

TEST_F(Chain, ThatLeadsRoundInACircleLeadsNowhere) {
  graph_.store().set_links(kEnd - 1, 0, std::vector<NodeId>{7});
  for (int change = 0; change < 2; ++change) {
    (void)HeirChains(graph_.store()).follow(0);
  }
  HeirChains chains(graph_.store());
  for (NodeId node = 0; node < kEnd; node += 20) {
    EXPECT_EQ(chains.follow(node).kind, Heir::Kind::nothing) << node;
  }
}

}  // namespace
}  // namespace cairn
