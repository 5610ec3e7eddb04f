// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <numeric>
#include <random>
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

// build() leaves links that only newer nodes hold, which once made add() drop the last way to a
// node.
TEST(Insert, NoListThatItWritesLosesAPath) {
  int indexes = 0;
  for (const Metric metric : {Metric::cosine, Metric::l2sq, Metric::inner_product}) {
    for (const std::uint32_t m : {2u, 5u, 16u}) {
      for (const std::size_t dims : {std::size_t{1}, std::size_t{3}}) {
        for (const std::size_t built : {std::size_t{0}, std::size_t{1}, std::size_t{300}}) {
          IndexParams params;
          params.dimensions = dims;
          params.metric = metric;
          params.m = m;
          params.ef_construction = 3 * m;
          auto index = Index::create(params);
          ASSERT_TRUE(index);
          // A coarse grid, so that there are copies and ties.
          std::mt19937 random(static_cast<unsigned>(++indexes));
          std::vector<float> rows(1200 * dims);
          for (float& component : rows) component = static_cast<float>(random() % 33) - 16.0f;
          std::vector<Key> keys(built);
          std::iota(keys.begin(), keys.end(), Key{0});
          ASSERT_TRUE(index->build(keys, MatrixView::f32(rows.data(), built, dims)));
          for (std::size_t i = built; i * dims < rows.size(); ++i) {
            ASSERT_TRUE(index->add(i, VectorView(rows.data() + i * dims, dims)));
          }
          const auto report = index->verify();
          ASSERT_TRUE(report);
          EXPECT_EQ(report->findings, std::vector<std::string>{});
          EXPECT_EQ(report->unreachable, 0u)
              << "metric " << static_cast<int>(metric) << ", m " << m << ", " << dims
              << " dimensions, " << built << " built";
        }
      }
    }
  }
}

}  // namespace
}  // namespace cairn
