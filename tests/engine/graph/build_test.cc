// SPDX-License-Identifier: Apache-2.0
//
// Bulk construction: what it refuses, how it can be stopped, and that its result does not depend on
// the number of threads.
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <limits>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <cairn/cairn.h>

#include "tests/support/file_image.h"
#include "tests/support/temporary_directory.h"
#include "tests/support/vectors.h"

namespace cairn {
namespace {

using test::TemporaryDirectory;
using test::Vectors;

IndexParams params_of(std::size_t dims, Metric metric = Metric::l2sq) {
  IndexParams params;
  params.dimensions = dims;
  params.metric = metric;
  params.ef_construction = 60;
  return params;
}

Index empty_index(std::size_t dims) { return Index::create(params_of(dims)).value(); }

void expect_sound(const Index& index, std::size_t size) {
  EXPECT_EQ(index.size(), size);
  const auto report = index.verify();
  ASSERT_TRUE(report) << report.error().message();
  EXPECT_EQ(report->findings, std::vector<std::string>());
  EXPECT_EQ(report->unreachable, 0u);
  EXPECT_EQ(report->nodes_checked, size);
}

// As if nothing had been: nothing is found, and a build succeeds.
void expect_empty_and_usable(Index& index, const Vectors& good) {
  expect_sound(index, 0);
  EXPECT_TRUE(index.search(good.vector(0))->empty());
  for (const Key key : good.keys) EXPECT_FALSE(index.contains(key));
  const auto built = index.build(good.keys, good.matrix());
  ASSERT_TRUE(built) << built.error().message();
  expect_sound(index, good.rows());
  EXPECT_EQ(index.search(good.vector(0), {1, 64})->front().key, good.keys[0]);
}

test::Bytes saved_bytes(const Index& index) {
  const TemporaryDirectory directory;
  index.save(directory / "a").value();
  return test::read_bytes(directory / "a");
}

TEST(Build, AnyNumberOfThreadsMakesTheSameFile) {
  const Vectors vectors = test::clustered_vectors(3000, 20, 10, 1, 2);
  for (const Metric metric : {Metric::cosine, Metric::inner_product}) {
    for (const Traversal traversal : {Traversal::code, Traversal::exact}) {
      IndexParams params = params_of(20, metric);
      params.traversal = traversal;
      const test::Bytes one = saved_bytes(test::built(params, vectors, 1));
      for (const unsigned threads : {2u, 4u, 8u}) {
        EXPECT_TRUE(saved_bytes(test::built(params, vectors, threads)) == one) << threads;
      }
    }
  }
}

TEST(Build, EqualVectorsMakeTheSameFileWithAnyNumberOfThreads) {
  Vectors vectors{3, {}, {}};
  for (Key key = 0; key < 1500; ++key) {
    const auto kind = static_cast<float>(key % 3);
    vectors.append(key, std::vector<float>{kind, 1, -kind});
  }
  const test::Bytes one = saved_bytes(test::built(params_of(3), vectors, 1));
  EXPECT_TRUE(saved_bytes(test::built(params_of(3), vectors, 4)) == one);
}

TEST(Build, TheOrderOfInsertionFollowsFromTheSeed) {
  const Vectors vectors = test::random_vectors(500, 8, 3);
  IndexParams params = params_of(8);
  const test::Bytes one = saved_bytes(test::built(params, vectors));
  EXPECT_TRUE(saved_bytes(test::built(params, vectors)) == one);
  params.seed = 43;
  EXPECT_FALSE(saved_bytes(test::built(params, vectors)) == one);
}

TEST(Build, AnyNumberOfRowsIsSound) {
  for (const std::size_t n : {0u, 1u, 2u, 3u, 10u, 33u, 129u, 700u}) {
    const Vectors vectors = test::random_vectors(n, 5, 4);
    const Index index = test::built(params_of(5), vectors);
    expect_sound(index, n);
    for (std::size_t i = 0; i < n; ++i) {
      const auto matches = index.search(vectors.vector(i), {1, 64});
      ASSERT_EQ(matches->size(), 1u);
      EXPECT_EQ(matches->front().key, vectors.keys[i]);
      EXPECT_EQ(matches->front().distance, 0.0f);
    }
  }
}

TEST(Build, NoRowsLeaveTheIndexEmpty) {
  Index index = empty_index(4);
  ASSERT_TRUE(index.build({}, MatrixView::f32(nullptr, 0, 4)));
  expect_empty_and_usable(index, test::random_vectors(20, 4, 5));
}

TEST(Build, AnIndexWithVectorsIsRefused) {
  const Vectors vectors = test::random_vectors(20, 4, 6);
  Index index = empty_index(4);
  ASSERT_TRUE(index.add(1, vectors.vector(0)));
  const auto built = index.build(vectors.keys, vectors.matrix());
  ASSERT_FALSE(built);
  EXPECT_EQ(built.error().code(), ErrorCode::not_empty);
  expect_sound(index, 1);
}

TEST(Build, GoesOnWithAdds) {
  const Vectors vectors = test::clustered_vectors(1200, 12, 6, 7, 8);
  const std::size_t half = 600;
  const Vectors mixed = test::shuffled(vectors, 9);
  Index index = empty_index(12);
  ASSERT_TRUE(index.build(std::span(mixed.keys).first(half),
                          MatrixView::f32(mixed.values.data(), half, 12)));
  for (std::size_t i = half; i < mixed.rows(); ++i) {
    ASSERT_TRUE(index.add(mixed.keys[i], mixed.vector(i)));
  }
  EXPECT_EQ(index.add(mixed.keys[0], mixed.vector(0)).error().code(), ErrorCode::key_exists);
  expect_sound(index, 1200);
  EXPECT_GE(test::recall(index, mixed, test::clustered_vectors(50, 12, 6, 10, 8), {10, 64}), 0.98);
}

TEST(Build, RowsMayBeApart) {
  const Vectors vectors = test::random_vectors(300, 6, 11);
  std::vector<float> wide(300 * 9, std::numeric_limits<float>::quiet_NaN());
  for (std::size_t i = 0; i < 300; ++i) std::copy_n(vectors.row(i), 6, &wide[9 * i]);
  MatrixView rows = MatrixView::f32(wide.data(), 300, 6);
  rows.stride_bytes = 9 * sizeof(float);
  Index index = empty_index(6);
  ASSERT_TRUE(index.build(vectors.keys, rows));
  EXPECT_TRUE(saved_bytes(index) == saved_bytes(test::built(params_of(6), vectors)));
}

TEST(Build, RowsOfAnotherShapeAreRefused) {
  const Vectors vectors = test::random_vectors(20, 4, 12);
  Index index = empty_index(4);
  const auto code_of = [&](std::span<const Key> keys, MatrixView rows) {
    const auto built = index.build(keys, rows);
    return built ? ErrorCode{} : built.error().code();
  };
  const MatrixView rows = vectors.matrix();
  EXPECT_EQ(code_of(std::span(vectors.keys).first(19), rows), ErrorCode::invalid_argument);
  MatrixView other = rows;
  other.dims = 3;
  EXPECT_EQ(code_of(vectors.keys, other), ErrorCode::dimension_mismatch);
  other = rows;
  other.scalar = Scalar::i8;
  EXPECT_EQ(code_of(vectors.keys, other), ErrorCode::invalid_argument);
  other = rows;
  other.stride_bytes = 15;
  EXPECT_EQ(code_of(vectors.keys, other), ErrorCode::invalid_argument);
  other.stride_bytes = 18;
  EXPECT_EQ(code_of(vectors.keys, other), ErrorCode::invalid_argument);
  other = rows;
  other.data = nullptr;
  EXPECT_EQ(code_of(vectors.keys, other), ErrorCode::invalid_argument);
  expect_empty_and_usable(index, vectors);
}

TEST(Build, NamesTheFirstRowThatIsNotFinite) {
  const Vectors good = test::random_vectors(5000, 4, 13);
  for (const unsigned threads : {1u, 4u}) {
    Vectors bad = good;
    for (const std::size_t i : {4999u, 2100u, 2101u, 3000u}) {
      bad.values[i * 4 + 2] = std::numeric_limits<float>::infinity();
    }
    bad.values[2100 * 4 + 3] = std::numeric_limits<float>::quiet_NaN();
    BuildOptions options;
    options.threads = threads;
    Index index = empty_index(4);
    const auto built = index.build(bad.keys, bad.matrix(), options);
    ASSERT_FALSE(built);
    EXPECT_EQ(built.error().code(), ErrorCode::not_finite);
    EXPECT_NE(built.error().message().find("row 2100, component 2 "), std::string::npos)
        << built.error().message();
    expect_empty_and_usable(index, good);
  }
}

TEST(Build, NamesBothRowsOfAKeyThatOccursTwice) {
  const Vectors good = test::random_vectors(1000, 4, 14);
  Vectors bad = good;
  bad.keys[700] = bad.keys[300];
  Index index = empty_index(4);
  const auto built = index.build(bad.keys, bad.matrix());
  ASSERT_FALSE(built);
  EXPECT_EQ(built.error().code(), ErrorCode::key_exists);
  for (const char* words : {"row 700", "row 300", "key 3100"}) {
    EXPECT_NE(built.error().message().find(words), std::string::npos) << built.error().message();
  }
  expect_empty_and_usable(index, good);
}

TEST(Build, AFlagThatIsSetBeforeStopsIt) {
  for (const std::size_t n : {1u, 2u, 500u}) {
    const Vectors vectors = test::random_vectors(n, 4, 15);
    const std::atomic<bool> stop{true};
    BuildOptions options;
    options.stop = &stop;
    Index index = empty_index(4);
    const auto built = index.build(vectors.keys, vectors.matrix(), options);
    ASSERT_FALSE(built) << n << " rows";
    EXPECT_EQ(built.error().code(), ErrorCode::cancelled);
    expect_empty_and_usable(index, vectors);
  }
}

TEST(Build, AFlagThatIsSetInTheMiddleStopsIt) {
  const Vectors vectors = test::random_vectors(2000, 4, 16);
  std::atomic<bool> stop{false};
  std::size_t last = 0;
  BuildOptions options;
  options.threads = 3;
  options.stop = &stop;
  options.progress = [&](std::size_t done, std::size_t) {
    last = done;
    if (done >= 1000) stop = true;
  };
  Index index = empty_index(4);
  const auto built = index.build(vectors.keys, vectors.matrix(), options);
  ASSERT_FALSE(built);
  EXPECT_EQ(built.error().code(), ErrorCode::cancelled);
  EXPECT_GE(last, 1000u);
  EXPECT_LT(last, 2000u);
  expect_empty_and_usable(index, vectors);
}

// Copies of one vector are linked in a step of its own at the end.
TEST(Build, AFlagThatIsSetAfterTheLastRowStopsTheRest) {
  Vectors copies{4, {}, {}};
  for (Key key = 0; key < 2000; ++key) copies.append(3 * key, std::vector<float>{1, 2, 3, 4});
  std::atomic<bool> stop{false};
  BuildOptions options;
  options.stop = &stop;
  options.progress = [&](std::size_t done, std::size_t total) { stop = done == total; };
  Index index = empty_index(4);
  const auto built = index.build(copies.keys, copies.matrix(), options);
  ASSERT_FALSE(built);
  EXPECT_EQ(built.error().code(), ErrorCode::cancelled);
  expect_empty_and_usable(index, copies);
}

TEST(Build, ProgressGrowsAndEndsAtTheTotal) {
  for (const std::size_t n : {1u, 2u, 50u, 3000u}) {
    const Vectors vectors = test::random_vectors(n, 4, 17);
    std::atomic<int> inside{0};
    std::size_t last = 0;
    BuildOptions options;
    options.threads = 4;
    options.progress = [&](std::size_t done, std::size_t total) {
      EXPECT_EQ(inside.fetch_add(1), 0);
      EXPECT_EQ(total, n);
      EXPECT_GT(done, last);
      EXPECT_LE(done, total);
      last = done;
      inside.fetch_sub(1);
    };
    Index index = empty_index(4);
    ASSERT_TRUE(index.build(vectors.keys, vectors.matrix(), options));
    EXPECT_EQ(last, n);
  }
}

TEST(Build, WhatTheProgressCallbackThrowsBecomesAnError) {
  const Vectors vectors = test::random_vectors(500, 4, 18);
  BuildOptions options;
  options.progress = [](std::size_t done, std::size_t) {
    if (done > 100) throw std::runtime_error("the callback's own");
  };
  Index index = empty_index(4);
  const auto built = index.build(vectors.keys, vectors.matrix(), options);
  ASSERT_FALSE(built);
  EXPECT_EQ(built.error().code(), ErrorCode::internal);
  EXPECT_NE(built.error().message().find("the callback's own"), std::string::npos);
  expect_empty_and_usable(index, vectors);
}

TEST(Build, TheIndexIsEmptyToEverybodyUntilItHasEnded) {
  const Vectors vectors = test::random_vectors(500, 4, 19);
  Index index = empty_index(4);
  std::size_t calls = 0;
  BuildOptions options;
  options.progress = [&](std::size_t, std::size_t) {
    if (calls++ > 3) return;
    std::vector<float> out(4);
    EXPECT_TRUE(index.search(vectors.vector(0))->empty());
    EXPECT_EQ(index.size(), 0u);
    EXPECT_FALSE(index.contains(vectors.keys[0]));
    EXPECT_EQ(index.get(vectors.keys[0], out).error().code(), ErrorCode::key_not_found);
    EXPECT_EQ(index.stats().live, 0u);
  };
  ASSERT_TRUE(index.build(vectors.keys, vectors.matrix(), options));
  EXPECT_GT(calls, 3u);
  expect_sound(index, 500);
}

}  // namespace
}  // namespace cairn
