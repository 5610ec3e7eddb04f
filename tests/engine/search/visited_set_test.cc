// SPDX-License-Identifier: Apache-2.0
#include "engine/search/visited_set.h"

#include <gtest/gtest.h>

#include <random>
#include <set>
#include <vector>

namespace cairn {
namespace {

LinkList list_of(const std::vector<NodeId>& links) {
  return {links.data(), static_cast<std::uint32_t>(links.size()), kNoNode};
}

// What insert_new() says is new.
std::vector<NodeId> added(VisitedSet& visited, const std::vector<NodeId>& links) {
  const std::size_t begin = visited.insert_new(list_of(links));
  return {visited.list() + begin, visited.list() + visited.met()};
}

TEST(VisitedSet, TellsEachNodeOnce) {
  VisitedSet visited;
  visited.reset(100);
  EXPECT_EQ(added(visited, {5, 7, 5, 99, 0}), (std::vector<NodeId>{5, 7, 99, 0}));
  EXPECT_EQ(added(visited, {7, 8, 99}), (std::vector<NodeId>{8}));
  EXPECT_EQ(added(visited, {5}), (std::vector<NodeId>{}));
  EXPECT_EQ(added(visited, {}), (std::vector<NodeId>{}));
  EXPECT_EQ(visited.met(), 5u);
}

TEST(VisitedSet, MarksWhatItTells) {
  VisitedSet visited;
  visited.reset(100);
  EXPECT_EQ(added(visited, {5, 7}), (std::vector<NodeId>{5, 7}));
  EXPECT_EQ(added(visited, {7, 99, 100, kNoNode, 0, 5, 64}), (std::vector<NodeId>{99, 0, 64}));
  for (const NodeId node : {0u, 5u, 7u, 64u, 99u}) EXPECT_TRUE(visited.contains(node)) << node;
  EXPECT_FALSE(visited.contains(63));
  EXPECT_EQ(visited.met(), 5u);
}

TEST(VisitedSet, TheEntryPointIsMet) {
  VisitedSet visited;
  visited.reset(10);
  visited.insert(3);
  EXPECT_EQ(added(visited, {3, 4}), (std::vector<NodeId>{4}));
}

TEST(VisitedSet, PassesOverNumbersThatAreNoNodes) {
  VisitedSet visited;
  visited.reset(65);
  EXPECT_EQ(added(visited, {65, 64, 66, 0x80000000u, kNoNode, 63}), (std::vector<NodeId>{64, 63}));
  visited.reset(0);
  EXPECT_EQ(added(visited, {0, 1}), (std::vector<NodeId>{}));
}

TEST(VisitedSet, ResetForgetsEverything) {
  VisitedSet visited;
  for (const std::uint32_t count : {70u, 1000u, 64u, 5000u, 1u}) {
    visited.reset(count);
    EXPECT_EQ(visited.met(), 0u);
    for (NodeId node = 0; node < count; ++node) {
      EXPECT_EQ(added(visited, {node}), (std::vector<NodeId>{node}));
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
      std::vector<NodeId> links(random() % 60);
      for (NodeId& link : links) link = static_cast<NodeId>(random() % (count + 10));
      std::vector<NodeId> expected;
      for (const NodeId link : links) {
        if (link < count && model.insert(link).second) expected.push_back(link);
      }
      ASSERT_EQ(added(visited, links), expected);
    }
    EXPECT_EQ(visited.met(), model.size());
  }
}

}  // namespace
}  // namespace cairn
