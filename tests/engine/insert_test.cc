// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include <cairn/cairn.h>

namespace cairn {
namespace {

// The lists of so small an m are full when they have been selected anew, and here they are full of
// newer nodes, all around node 1 and nearer to it than its only older one.
TEST(Insert, TheLinkToAnOlderNodeFitsIntoAListThatIsFullOfNewerOnes) {
  IndexParams params;
  params.dimensions = 4;
  params.metric = Metric::l2sq;
  params.m = 2;
  params.ef_construction = 50;
  params.traversal = Traversal::exact;
  auto index = Index::create(params);
  ASSERT_TRUE(index);
  ASSERT_TRUE(index->add(0, std::vector<float>{1000, 0, 0, 0}));
  ASSERT_TRUE(index->add(1, std::vector<float>{0, 0, 0, 0}));
  Key key = 2;
  for (const float side : {1.0f, -1.0f}) {
    for (std::size_t axis = 0; axis < 4; ++axis, ++key) {
      std::vector<float> point(4);
      point[axis] = side * (1 + 0.01f * static_cast<float>(key));
      ASSERT_TRUE(index->add(key, point));
      const auto report = index->verify();
      ASSERT_TRUE(report);
      EXPECT_EQ(report->findings, std::vector<std::string>{}) << "after key " << key;
      EXPECT_EQ(report->unreachable, 0u) << "after key " << key;
    }
  }
}

}  // namespace
}  // namespace cairn
