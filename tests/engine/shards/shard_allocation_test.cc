// SPDX-License-Identifier: Apache-2.0
//
// A set's searches take no memory once they are warm. In a program of its own, which counts.
#include <gtest/gtest.h>

#include <cstddef>
#include <string>
#include <vector>

#include <cairn/cairn.h>

#include "tests/engine/shards/shards.h"
#include "tests/support/failing_allocations.h"
#include "tests/support/temporary_directory.h"
#include "tests/support/vectors.h"

namespace cairn {
namespace {

TEST(ShardSetAllocations, AWarmSearchAllocatesNothing) {
  const test::TemporaryDirectory directory;
  const IndexParams params{.dimensions = 24, .m = 8, .ef_construction = 40};
  const auto rows = test::stored(Scalar::f32, test::random_vectors(900, 24, 1));
  const auto files =
      test::files_of(directory.path(), params, rows, 3,
                     [](std::size_t row, std::size_t shard) { return row % 3 == shard; });
  const ShardSet set = ShardSet::open(files, {.threads = 1}).value();
  const auto queries = test::random_vectors(20, 24, 2);
  std::vector<Match> out(10);
  std::size_t before = 0;
  for (int round = 0; round < 2; ++round) {
    before = test::allocations();
    for (std::size_t i = 0; i < 20; ++i) ASSERT_TRUE(set.search(queries.vector(i), {}, out));
  }
  EXPECT_EQ(test::allocations(), before);
  for (int round = 0; round < 2; ++round) {
    before = test::allocations();
    for (std::size_t i = 0; i < 20; ++i) {
      ASSERT_TRUE(set.search_range(queries.vector(i), 0.9f, {}, [](Match) { return true; }));
    }
  }
  EXPECT_EQ(test::allocations(), before);
}

TEST(ShardManifestAllocations, WithoutMemoryThereIsNoTextAndNoEndOfTheProcess) {
  ShardManifest manifest;
  manifest.params = {.dimensions = 24};
  for (const char* name : {"a.cairn", "b.cairn"}) {
    manifest.shards.push_back({name, 1, 4096, true, std::string(32, 'a')});
  }
  for (const bool forever : {false, true}) {
    std::size_t n = 0;
    for (bool has_failed = true; has_failed; ++n) {
      test::fail_allocation(n, forever);
      const auto text = shard_manifest_text(manifest);
      has_failed = test::stop_failing_allocations();
      ASSERT_EQ(text.has_value(), !has_failed);
      if (has_failed) {
        EXPECT_EQ(text.error().code(), ErrorCode::out_of_memory);
      }
    }
    EXPECT_GT(n, 5u);
  }
}

}  // namespace
}  // namespace cairn
