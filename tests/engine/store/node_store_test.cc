// SPDX-License-Identifier: Apache-2.0
#include "engine/store/node_store.h"

#include <gtest/gtest.h>

#include <array>
#include <cstring>

#include "tests/support/nodes.h"

namespace cairn {
namespace {

using format::SectionId;

NodeStore store_of(Traversal traversal) {
  IndexParams params;
  params.dimensions = 8;
  params.m = 4;
  params.traversal = traversal;
  return NodeStore::create(NodeStore::layout(params)).value();
}

constexpr std::array<float, 8> kVector = {1, 2, 3, 4, 5, 6, 7, 8};

// Node 0 of level 0 and node 1 of level 2.
void fill(NodeStore& store) {
  store.reserve(2, 2).value();
  store.init_node(0_n, 70, 0, kNoUpper);
  store.init_node(1_n, 71, 2, 0);
  for (const NodeId node : nodes_below(2)) store.set_vector(node, kVector.data());
  store.publish(2, 2, 2);
}

TEST(NodeStore, ItsSectionsAreFoundById) {
  NodeStore store = store_of(Traversal::code);
  fill(store);
  const format::Parameters& p = store.parameters();
  EXPECT_EQ(store.bytes(SectionId::hot).size(), 2 * p.hot_stride);
  EXPECT_EQ(store.bytes(SectionId::exact).size(), 2 * p.exact_stride);
  EXPECT_EQ(store.bytes(SectionId::key).size(), 2 * sizeof(Key));
  EXPECT_EQ(store.bytes(SectionId::upper).size(), 2 * p.upper_stride);
  for (const SectionId id : NodeStore::kSections) {
    EXPECT_EQ(store.bytes(id).data(), store.section(id).data());
  }
  // Of the key table.
  EXPECT_TRUE(store.bytes(SectionId::hash).empty());
  EXPECT_TRUE(store.bytes(SectionId::overflow).empty());
}

TEST(NodeStore, AVectorIsReadWhereTheTraversalHasIt) {
  for (const Traversal traversal : {Traversal::code, Traversal::exact}) {
    NodeStore store = store_of(traversal);
    fill(store);
    EXPECT_EQ(std::memcmp(store.view().vector(1_n), kVector.data(), sizeof kVector), 0);
    const bool has_exact = !store.bytes(SectionId::exact).empty();
    EXPECT_EQ(has_exact, traversal == Traversal::code);
  }
}

TEST(NodeStore, UpperRecordsNameTheirNodeAndLevel) {
  NodeStore store = store_of(Traversal::code);
  fill(store);
  store.append_link(1_n, 2, 1_n);
  const GraphView graph = store.view();
  const auto head = graph.upper_head(graph.upper_of(1_n, 2).value());
  EXPECT_EQ(head.owner, 1_n);
  EXPECT_EQ(head.level, 2u);
  EXPECT_EQ(head.degree, 1u);
}

TEST(NodeStore, WhatAFreeSlotHeldIsErased) {
  for (const Traversal traversal : {Traversal::code, Traversal::exact}) {
    NodeStore store = store_of(traversal);
    fill(store);
    EXPECT_FALSE(store.view().is_zero_slot(1_n));
    store.append_link(1_n, 2, 0_n);
    store.set_deleted(1_n);
    store.release_deleted(1_n);
    const GraphView graph = store.view();
    EXPECT_TRUE(graph.is_zero_slot(1_n));
    const UpperIndex first = graph.upper_index(0).value();
    EXPECT_TRUE(graph.is_zero_block(first, 2));
    EXPECT_EQ(graph.upper_head(first).owner, kNoNode);
    EXPECT_EQ(graph.upper_head(first).level, 2u);
    EXPECT_EQ(graph.next_free_upper(first), kNoUpper);
    EXPECT_EQ(graph.stated_upper(1_n), kNoUpper);  // the end of the chain of free slots
  }
}

}  // namespace
}  // namespace cairn
