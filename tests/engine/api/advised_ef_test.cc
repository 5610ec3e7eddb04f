// SPDX-License-Identifier: Apache-2.0
//
// The advised size of the candidate list: kept with the index wherever it goes, and what searches
// with ef 0 take.
#include <gtest/gtest.h>

#include <cstddef>
#include <cstring>
#include <filesystem>
#include <vector>

#include <cairn/cairn.h>

#include "format/bytes/superblock_layout.h"
#include "tests/support/file_image.h"
#include "tests/support/temporary_directory.h"
#include "tests/support/vectors.h"

namespace cairn {
namespace {

using test::TemporaryDirectory;

constexpr std::size_t kDims = 16;

IndexParams some_params() {
  IndexParams params;
  params.dimensions = kDims;
  params.metric = Metric::l2sq;
  params.m = 4;
  params.ef_construction = 20;
  return params;
}

OpenOptions to_write() {
  OpenOptions options;
  options.mode = Mode::read_write;
  return options;
}

// The keys that searches for many vectors find.
std::vector<Key> found_with(const Index& index, std::size_t ef) {
  const auto queries = test::random_vectors(50, kDims, 99);
  std::vector<Match> matches(queries.rows() * 10);
  std::vector<std::size_t> counts(queries.rows());
  EXPECT_TRUE(index.search_batch(queries.matrix(), {.k = 10, .ef = ef, .plan = Plan::walk}, matches,
                                 counts, 1));
  std::vector<Key> keys;
  for (std::size_t i = 0; i < queries.rows(); ++i) {
    std::vector<Match> one(10);
    EXPECT_EQ(index.search(queries.vector(i), {.k = 10, .ef = ef, .plan = Plan::walk}, one).value(),
              counts[i]);
    for (std::size_t j = 0; j < counts[i]; ++j) {
      EXPECT_EQ(one[j].key, matches[i * 10 + j].key);
      keys.push_back(one[j].key);
    }
  }
  return keys;
}

TEST(AdvisedEf, IsWhatSearchesWithoutOneTake) {
  Index index = test::built(some_params(), test::random_vectors(3000, kDims, 1));
  EXPECT_EQ(index.stats().advised_ef, 0u);
  EXPECT_EQ(found_with(index, 0), found_with(index, 64));
  ASSERT_TRUE(index.set_advised_ef(12));
  EXPECT_EQ(index.stats().advised_ef, 12u);
  EXPECT_EQ(found_with(index, 0), found_with(index, 12));
  ASSERT_NE(found_with(index, 12), found_with(index, 64));
  ASSERT_TRUE(index.set_advised_ef(0));
  EXPECT_EQ(found_with(index, 0), found_with(index, 64));
}

// It was found for fewer results.
TEST(AdvisedEf, IsNoWishForFewerThanK) {
  Index index = test::built(some_params(), test::random_vectors(3000, kDims, 1));
  ASSERT_TRUE(index.set_advised_ef(4));
  EXPECT_EQ(found_with(index, 0), found_with(index, 10));
  EXPECT_NE(found_with(index, 4), found_with(index, 10));
}

TEST(EfFor, IsKAtLeastOfASmallIndexToo) {
  for (const std::size_t rows : {0u, 1u, 3u, 9u, 20u}) {
    Index index = Index::create(some_params()).value();
    const auto vectors = test::random_vectors(20, kDims, 1);
    for (Key key = 0; key < rows; ++key) ASSERT_TRUE(index.add(key, vectors.vector(key)));
    EXPECT_GE(index.ef_for(0.9, vectors.matrix(), 10).value(), 10u) << rows;
    EXPECT_EQ(index.ef_for(0.9, vectors.matrix(), 100000).value(), 65536u) << rows;
  }
}

TEST(AdvisedEf, HasARange) {
  Index index = Index::create(some_params()).value();
  EXPECT_TRUE(index.set_advised_ef(65536));
  EXPECT_EQ(index.set_advised_ef(65537).error().code(), ErrorCode::invalid_argument);
  EXPECT_EQ(index.set_advised_ef(~std::size_t{0}).error().code(), ErrorCode::invalid_argument);
  EXPECT_EQ(index.stats().advised_ef, 65536u);
}

TEST(AdvisedEf, IsSavedAndMayBeSetWhereChangesMay) {
  const TemporaryDirectory directory;
  Index index = test::built(some_params(), test::random_vectors(300, kDims, 1));
  ASSERT_TRUE(index.set_advised_ef(77));
  ASSERT_TRUE(index.compact());
  ASSERT_TRUE(index.save(directory / "saved.cairn"));
  Index reader = Index::open(directory / "saved.cairn").value();
  EXPECT_EQ(reader.stats().advised_ef, 77u);
  EXPECT_EQ(reader.set_advised_ef(78).error().code(), ErrorCode::read_only);
  ASSERT_TRUE(reader.save(directory / "again.cairn"));
  EXPECT_EQ(Index::open(directory / "again.cairn").value().stats().advised_ef, 77u);
  EXPECT_EQ(test::read_bytes(directory / "again.cairn"),
            test::read_bytes(directory / "saved.cairn"));
}

TEST(AdvisedEf, IsKeptByAFileThatIsWrittenThroughCompactAndClosing) {
  const TemporaryDirectory directory;
  const auto path = directory / "index.cairn";
  const auto vectors = test::random_vectors(200, kDims, 1);
  {
    Index index = Index::create(path, some_params()).value();
    ASSERT_TRUE(index.set_advised_ef(40));
    ASSERT_TRUE(index.build(vectors.keys, vectors.matrix()));
    EXPECT_EQ(index.stats().advised_ef, 40u);
    ASSERT_TRUE(index.compact());
  }
  {
    Index index = Index::open(path, to_write()).value();
    EXPECT_EQ(index.stats().advised_ef, 40u);
    ASSERT_TRUE(index.add(1, vectors.vector(0)));
    ASSERT_TRUE(index.checkpoint());
    ASSERT_TRUE(index.backup(directory / "backup.cairn"));
  }
  EXPECT_EQ(Index::open(path).value().stats().advised_ef, 40u);
  EXPECT_EQ(Index::open(directory / "backup.cairn").value().stats().advised_ef, 40u);
}

TEST(AdvisedEf, IsDurableOnceTheCallHasReturned) {
  const TemporaryDirectory directory;
  const auto path = directory / "index.cairn";
  Index index = Index::create(path, some_params()).value();
  ASSERT_TRUE(index.set_advised_ef(33));
  const auto left = directory / "left.cairn";  // as after a crash
  test::write_bytes(left, test::read_bytes(path));
  EXPECT_EQ(test::superblock_of(test::read_bytes(left), 0).counters.advised_ef, 0u);
  EXPECT_EQ(Index::open(left).value().stats().advised_ef, 33u);
  EXPECT_EQ(Index::open(left, to_write()).value().stats().advised_ef, 33u);
  EXPECT_EQ(test::superblock_of(test::read_bytes(left), 0).counters.advised_ef, 33u);
}

TEST(AdvisedEf, ReachesAReaderWithARefresh) {
  const TemporaryDirectory directory;
  const auto path = directory / "index.cairn";
  Index index = Index::create(path, some_params()).value();
  Index reader = Index::open(path).value();
  ASSERT_TRUE(index.set_advised_ef(21));
  ASSERT_TRUE(reader.refresh());
  EXPECT_EQ(reader.stats().advised_ef, 21u);
  ASSERT_TRUE(index.set_advised_ef(0));
  ASSERT_TRUE(index.checkpoint());
  ASSERT_TRUE(reader.refresh());
  EXPECT_EQ(reader.stats().advised_ef, 0u);
}

// What a version that knows neither field nor bit leaves behind when it changes a file.
TEST(AdvisedEf, IsGoneWhereAnOlderVersionHasWrittenTheCounters) {
  const TemporaryDirectory directory;
  const auto path = directory / "index.cairn";
  Index index = test::built(some_params(), test::random_vectors(30, kDims, 1));
  ASSERT_TRUE(index.set_advised_ef(50));
  ASSERT_TRUE(index.save(path));
  auto bytes = test::read_bytes(path);
  for (const std::size_t slot : {0u, 1u}) {
    const auto block = test::superblock_of(bytes, slot);
    EXPECT_EQ(block.feature_compat, format::kCompatAdvisedEf);
    EXPECT_EQ(block.feature_ro_compat, 0u);
    EXPECT_EQ(block.feature_incompat, format::kIncompatHashSeed);
    // The bit stays, as unknown ones are kept.
    const std::size_t field = format::kSuperblockOffsets[slot] +
                              format::superblock_at::kCounters.offset +
                              format::counters_at::kAdvisedEf.offset;
    std::memset(bytes.data() + field, 0, format::counters_at::kAdvisedEf.size);
    test::repair_slot(bytes, slot);
  }
  test::write_bytes(path, bytes);
  const Index opened = Index::open(path).value();
  EXPECT_EQ(opened.stats().advised_ef, 0u);
  EXPECT_EQ(opened.size(), 30u);
}

}  // namespace
}  // namespace cairn
