// SPDX-License-Identifier: Apache-2.0
#include "engine/search/visited_set.h"

#include <gtest/gtest.h>

#include <random>
#include <set>
#include <vector>

#include "tests/support/nodes.h"

namespace cairn {
namespace {

LinkList list_of(const std::vector<std::uint32_t>& links) {
  return {links.data(), static_cast<std::uint32_t>(links.size()), format::kNoNode};
}

// What insert_new() says is new.
std::vector<NodeId> added(VisitedSet& visited, const std::vector<std::uint32_t>& links) {
  const std::size_t begin = visited.insert_new(list_of(links));
  return {visited.list() + begin, visited.list() + visited.met()};
}

TEST(VisitedSet, TellsEachNodeOnce) {
  VisitedSet visited;
  visited.reset(100);
  EXPECT_EQ(added(visited, {5, 7, 5, 99, 0}), (std::vector<NodeId>{5_n, 7_n, 99_n, 0_n}));
  EXPECT_EQ(added(visited, {7, 8, 99}), (std::vector<NodeId>{8_n}));
  EXPECT_EQ(added(visited, {5}), (std::vector<NodeId>{}));
  EXPECT_EQ(added(visited, {}), (std::vector<NodeId>{}));
  EXPECT_EQ(visited.met(), 5u);
}

TEST(VisitedSet, MarksWhatItTells) {
  VisitedSet visited;
  visited.reset(100);
  EXPECT_EQ(added(visited, {5, 7}), (std::vector<NodeId>{5_n, 7_n}));
  EXPECT_EQ(added(visited, {7, 99, 100, format::kNoNode, 0, 5, 64}),
            (std::vector<NodeId>{99_n, 0_n, 64_n}));
  for (const NodeId node : {0_n, 5_n, 7_n, 64_n, 99_n}) EXPECT_TRUE(visited.contains(node)) << node;
  EXPECT_FALSE(visited.contains(63_n));
  EXPECT_EQ(visited.met(), 5u);
}

TEST(VisitedSet, TheEntryPointIsMet) {
  VisitedSet visited;
  visited.reset(10);
  visited.insert(3_n);
  EXPECT_EQ(added(visited, {3, 4}), (std::vector<NodeId>{4_n}));
}

TEST(VisitedSet, PassesOverNumbersThatAreNoNodes) {
  VisitedSet visited;
  visited.reset(65);
  EXPECT_EQ(added(visited, {65, 64, 66, 0x80000000u, format::kNoNode, 63}),
            (std::vector<NodeId>{64_n, 63_n}));
  visited.reset(0);
  EXPECT_EQ(added(visited, {0, 1}), (std::vector<NodeId>{}));
}

TEST(VisitedSet, ResetForgetsEverything) {
  VisitedSet visited;
  for (const std::uint32_t count : {70u, 1000u, 64u, 5000u, 1u}) {
    visited.reset(count);
    EXPECT_EQ(visited.met(), 0u);
    for (const NodeId node : nodes_below(count)) {
      EXPECT_EQ(added(visited, {node.index}), (std::vector<NodeId>{node}));
    }
  }
}

TEST(VisitedSet, BehavesLikeASet) {
  std::mt19937 random(2);
  VisitedSet visited;
  for (int search = 0; search < 20; ++search) {
    const auto count = static_cast<std::uint32_t>(1 + random() % 3000);
    visited.reset(count);
    std::set<NodeId> model;
    for (int list = 0; list < 50; ++list) {
      std::vector<std::uint32_t> links(random() % 60);
      for (std::uint32_t& link : links) {
        link = static_cast<std::uint32_t>(random() % (count + 10));
      }
      std::vector<NodeId> expected;
      for (const std::uint32_t link : links) {
        if (link < count && model.insert({link}).second) expected.push_back({link});
      }
      ASSERT_EQ(added(visited, links), expected);
    }
    EXPECT_EQ(visited.met(), model.size());
  }
}

}  // namespace
}  // namespace cairn
