// SPDX-License-Identifier: Apache-2.0
//
// Vectors whose squared distances or products floats cannot hold: walks see ties, so the answer is
// that of a scan.
#include <gtest/gtest.h>

#include <cstddef>
#include <string>
#include <vector>

#include <cairn/cairn.h>

#include "tests/support/vectors.h"

namespace cairn {
namespace {

TEST(DistancesBeyondFloats, AreOrderedWhereWalksSeeTies) {
  for (const Metric metric : {Metric::l2sq, Metric::inner_product}) {
    for (const float scale : {1e-40f, 1e-25f, 1e20f, 1e30f}) {
      SCOPED_TRACE("metric " + std::to_string(static_cast<int>(metric)) + ", scale " +
                   std::to_string(scale));
      test::Vectors vectors = test::random_vectors(1500, 16, 61);
      for (float& value : vectors.values) value *= scale;
      IndexParams params;
      params.dimensions = 16;
      params.metric = metric;
      params.ef_construction = 60;
      const Index index = test::built(params, vectors);
      SearchParams search{10, 64};
      search.plan = Plan::walk;
      for (std::size_t i = 0; i < 10; ++i) {
        const auto found = index.search(vectors.vector(i), search).value();
        SearchParams exact{10, 64};
        exact.plan = Plan::exact;
        const auto truth = index.search(vectors.vector(i), exact).value();
        ASSERT_EQ(found.size(), truth.size());
        for (std::size_t at = 0; at < truth.size(); ++at) EXPECT_EQ(found[at].key, truth[at].key);
        Cursor cursor = index.open_cursor(vectors.vector(i), search).value();
        std::vector<Match> page(10);
        ASSERT_EQ(cursor.next(page).value(), truth.size());
        for (std::size_t at = 0; at < truth.size(); ++at) EXPECT_EQ(page[at].key, truth[at].key);
      }
    }
  }
}

}  // namespace
}  // namespace cairn
