// SPDX-License-Identifier: Apache-2.0
//
// What the lists around a removed node get in its place.
#include <gtest/gtest.h>

#include <array>
#include <vector>

#include "engine/graph/remove.h"
#include "tests/engine/graph/tiny_graph.h"

namespace cairn {
namespace {

using test::TinyGraph;

// A hub at the origin, four nodes around it in a ring of links in both directions, and behind each
// of these one that links to the hub alone. The first node of the ring is nearest, so it is the
// heir.
class Unlink : public testing::Test {
 protected:
  Unlink() {
    hub_ = graph_.add(0, 0);
    constexpr float kAround[4][2] = {{1, 0}, {0, 1.1f}, {-1.2f, 0}, {0, -1.3f}};
    for (std::size_t i = 0; i < 4; ++i) {
      ring_[i] = graph_.add(kAround[i][0], kAround[i][1]);
      graph_.link_both(hub_, ring_[i]);
    }
    for (std::size_t i = 0; i < 4; ++i) {
      graph_.link_both(ring_[i], ring_[(i + 1) % 4]);
      behind_[i] = graph_.add(5 * kAround[i][0], 5 * kAround[i][1]);
      graph_.link(behind_[i], hub_);
    }
  }

  void remove_hub() {
    NodeStore& store = graph_.store();
    Linker linker(store);
    Unlinker unlinker(store, linker);
    LinkScratch link;
    UnlinkScratch unlink;
    const RemovalPlan plan{Unlinker::find_sources(graph_.space(), hub_, link.search), {}};
    link.reserve(store.parameters(), store.count());
    unlink.reserve(store.parameters(), store.count());
    store.set_deleted(hub_);
    HeirChains chains(store);
    unlinker.unlink(hub_, plan, chains, link, unlink);
  }
  std::vector<NodeId> links_of(NodeId node) const {
    std::vector<NodeId> list;
    copy(graph_.space().view().links(node), list);
    return list;
  }

  TinyGraph graph_;
  NodeId hub_;
  std::array<NodeId, 4> ring_, behind_;
};

TEST_F(Unlink, EachGetsTheNeighborThatIsNearestToIt) {
  for (std::size_t i = 0; i < 4; ++i) graph_.link(ring_[i], behind_[i]);
  remove_hub();
  for (std::size_t i = 0; i < 4; ++i) {
    EXPECT_EQ(links_of(behind_[i]), std::vector<NodeId>{ring_[i]}) << i;
  }
  EXPECT_EQ(links_of(hub_), std::vector<NodeId>{ring_[0]});
}

TEST_F(Unlink, TheNewNeighborLinksBack) {
  graph_.link(ring_[0], behind_[2]);  // which it is found by
  remove_hub();
  EXPECT_EQ(links_of(behind_[2]), std::vector<NodeId>{ring_[2]});
  EXPECT_TRUE(contains(links_of(ring_[2]), behind_[2]));
}

TEST_F(Unlink, AWayToTheHeirThroughOthersIsEnough) {
  graph_.link(ring_[1], behind_[1]);
  graph_.link(behind_[1], ring_[2]);  // which leads to the heir in two steps
  remove_hub();
  EXPECT_EQ(links_of(behind_[1]), std::vector<NodeId>{ring_[2]});
}

TEST_F(Unlink, WhoIsNotFoundHasTheTombstoneThatLeadsToTheHeir) {
  remove_hub();
  for (const NodeId node : behind_) EXPECT_EQ(links_of(node), std::vector<NodeId>{hub_});
  EXPECT_EQ(links_of(hub_), std::vector<NodeId>{ring_[0]});
}

// A tombstone that leads to the hub alone leads to nothing once the hub is removed.
TEST_F(Unlink, ATombstoneWhoseHeirIsTheNodeItselfIsNoObstacle) {
  const NodeId gone = graph_.add(0.1f, 0.1f);
  graph_.link_both(hub_, gone);
  const NodeId before = graph_.add(0.2f, 0.1f);
  graph_.link(hub_, before);
  graph_.link(before, gone);
  for (const NodeId node : {gone, before}) graph_.store().set_deleted(node);
  remove_hub();
  EXPECT_EQ(links_of(hub_), std::vector<NodeId>{ring_[0]});
}

}  // namespace
}  // namespace cairn
