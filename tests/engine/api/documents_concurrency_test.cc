// SPDX-License-Identifier: Apache-2.0
//
// Sums over several query vectors beside a writer.
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
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

// Keys get new vectors in less time than it takes to compare all candidates.
TEST(DocumentsBesideAWriter, EndWhileTheirKeysGetVectors) {
  IndexParams params{.dimensions = 16, .metric = Metric::l2sq, .m = 4, .ef_construction = 10};
  params.several_per_key = true;
  Index index = Index::create(params).value();
  const auto vectors = test::random_vectors(kKeys, 16, 1);
  for (Key i = 0; i < 5 * kKeys; ++i) {
    ASSERT_TRUE(index.add(i / 5, vectors.vector((i * 7) % kKeys)));
  }
  const auto queries = test::random_vectors(256, 16, 2);
  std::atomic<bool> is_over{false};
  std::thread writer([&] {
    for (std::mt19937_64 random(3); !is_over;) {
      EXPECT_TRUE(index.add(random() % kKeys, vectors.vector(random() % kKeys)));
    }
  });
  for (int i = 0; i < 2; ++i) {
    SearchReport report;
    SearchParams asked{.k = 10, .ef = kKeys, .report = &report};
    asked.deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    const auto found = index.search_documents(queries.matrix(), asked);
    EXPECT_TRUE(found) << found.error().message();
    EXPECT_EQ(found ? found->size() : 0, 10u);
    EXPECT_TRUE(report.complete);
  }
  is_over = true;
  writer.join();
}

}  // namespace
}  // namespace cairn
