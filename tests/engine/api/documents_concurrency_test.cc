// SPDX-License-Identifier: Apache-2.0
//
// Sums over several query vectors beside a writer.
#include <gtest/gtest.h>

#include <atomic>
#include <random>
#include <thread>
#include <vector>

#include <cairn/cairn.h>

#include "tests/support/vectors.h"

namespace cairn {
namespace {

constexpr Key kKeys = 300;

class DocumentsConcurrency : public testing::TestWithParam<bool> {};
INSTANTIATE_TEST_SUITE_P(OneAndSeveralAKey, DocumentsConcurrency, testing::Bool());

TEST_P(DocumentsConcurrency, AKeyThatIsOnlyReplacedIsInEveryExactAnswer) {
  IndexParams params{.dimensions = 8, .metric = Metric::l2sq, .ef_construction = 40};
  params.several_per_key = GetParam();
  Index index = Index::create(params).value();
  const auto vectors = test::random_vectors(kKeys, 8, 1);
  for (Key key = 0; key < kKeys; ++key) ASSERT_TRUE(index.add(key, vectors.vector(key)));
  const auto queries = test::random_vectors(3, 8, 2);
  std::atomic<bool> is_over{false};
  std::atomic<int> missed{0};
  std::atomic<int> answers{0};
  std::thread reader([&] {
    while (!is_over || answers == 0) {
      const auto found =
          index.search_documents(queries.matrix(), {.k = kKeys, .plan = Plan::exact});
      if (!found || found->size() != kKeys) ++missed;
      ++answers;
    }
  });
  std::mt19937_64 random(3);
  for (int change = 0; change < 1500; ++change) {
    EXPECT_TRUE(index.upsert(random() % kKeys, vectors.vector(random() % kKeys)));
  }
  is_over = true;
  reader.join();
  EXPECT_EQ(missed, 0);
}

}  // namespace
}  // namespace cairn
