// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <cstring>
#include <limits>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include <cairn/c.h>
#include <cairn/cairn.h>

namespace cairn {
namespace {

constexpr int number(ErrorCode code) { return static_cast<int>(code); }

constexpr int kInvalid = number(ErrorCode::invalid_argument);

class CErrors : public testing::Test {
 protected:
  void SetUp() override {
    const cairn_params params = cairn_params_default(2);
    ASSERT_EQ(cairn_create(&params, &index_), 0);
    ASSERT_EQ(cairn_add(index_, 7, row_, 2), 0);
  }
  void TearDown() override { cairn_close(index_); }

  cairn_index* index_ = nullptr;
  const float row_[2] = {1.0f, 2.0f};
  cairn_match matches_[4];
  std::size_t count_ = 0;
};

TEST(ErrorName, EveryCodeHasItsOwnAndOthersAreUnknown) {
  const std::set<int> numbers = {1,  2,  3,  4,  5,  6,  7,  8,  20, 21, 22, 23, 24,
                                 25, 26, 40, 41, 42, 43, 44, 45, 60, 61, 62, 63, 90};
  std::set<std::string> names;
  for (int i = 0; i < 200; ++i) {
    const std::string name = error_name(static_cast<ErrorCode>(i));
    if (numbers.contains(i)) {
      EXPECT_TRUE(names.insert(name).second) << name;
      EXPECT_NE(name, "unknown") << i;
    } else {
      EXPECT_EQ(name, "unknown") << i;
    }
  }
  EXPECT_STREQ(error_name(ErrorCode::key_exists), "key_exists");
  EXPECT_STREQ(error_name(ErrorCode::internal), "internal");
}

TEST(ErrorName, ContextStandsInFront) {
  const Error error(ErrorCode::corrupt, "superblock 1");
  EXPECT_EQ(error.with_context("open a").message(), "open a: superblock 1");
  EXPECT_EQ(error.with_context("open a").code(), ErrorCode::corrupt);
}

TEST_F(CErrors, TextHasNameNumberAndStory) {
  EXPECT_EQ(cairn_add(index_, 7, row_, 2), number(ErrorCode::key_exists));
  EXPECT_STREQ(cairn_last_error(), "key_exists (4): add: key 7 is already there");
}

TEST_F(CErrors, CodesAreThoseOfTheCall) {
  const float nan[2] = {1.0f, std::numeric_limits<float>::quiet_NaN()};
  EXPECT_EQ(cairn_add(index_, 8, row_, 1), number(ErrorCode::dimension_mismatch));
  EXPECT_EQ(cairn_add(index_, 8, nan, 2), number(ErrorCode::not_finite));
  EXPECT_EQ(cairn_search(index_, nan, 2, 1, 1, matches_, &count_), number(ErrorCode::not_finite));
  EXPECT_EQ(cairn_search(index_, row_, 3, 1, 1, matches_, &count_),
            number(ErrorCode::dimension_mismatch));
  EXPECT_EQ(cairn_search(index_, row_, 2, 0, 1, matches_, &count_), kInvalid);
  EXPECT_EQ(cairn_search(index_, row_, 2, 1, 0, matches_, &count_), 0);  // the advised ef
  float out[2];
  EXPECT_EQ(cairn_get(index_, 8, out, 2), number(ErrorCode::key_not_found));
  EXPECT_EQ(cairn_get(index_, 7, out, 1), number(ErrorCode::dimension_mismatch));
  const std::uint64_t keys[2] = {1, 2};
  EXPECT_EQ(cairn_build(index_, keys, row_, 1, 2, 1), number(ErrorCode::not_empty));
  EXPECT_EQ(cairn_save(index_, "/nowhere at all/x.cairn"), number(ErrorCode::path_not_found));
  cairn_index* opened = index_;
  EXPECT_EQ(cairn_open("/nowhere at all/x.cairn", 0, &opened), number(ErrorCode::path_not_found));
  EXPECT_EQ(opened, nullptr);
  EXPECT_EQ(cairn_size(index_), 1u);
}

TEST_F(CErrors, NullArgumentsAreInvalid) {
  const cairn_params params = cairn_params_default(2);
  cairn_index* out = nullptr;
  float row[2];
  const std::uint64_t key = 1;
  std::uint64_t findings = 0;
  EXPECT_EQ(cairn_create(nullptr, &out), kInvalid);
  EXPECT_EQ(cairn_create(&params, nullptr), kInvalid);
  EXPECT_EQ(cairn_open(nullptr, 0, &out), kInvalid);
  EXPECT_EQ(cairn_open("x", 0, nullptr), kInvalid);
  EXPECT_EQ(cairn_add(nullptr, 1, row_, 2), kInvalid);
  EXPECT_EQ(cairn_add(index_, 1, nullptr, 2), kInvalid);
  EXPECT_EQ(cairn_build(nullptr, &key, row_, 1, 2, 1), kInvalid);
  EXPECT_EQ(cairn_build(index_, nullptr, row_, 1, 2, 1), kInvalid);
  EXPECT_EQ(cairn_build(index_, &key, nullptr, 1, 2, 1), kInvalid);
  EXPECT_EQ(cairn_search(nullptr, row_, 2, 1, 1, matches_, &count_), kInvalid);
  EXPECT_EQ(cairn_search(index_, nullptr, 2, 1, 1, matches_, &count_), kInvalid);
  EXPECT_EQ(cairn_search(index_, row_, 2, 1, 1, nullptr, &count_), kInvalid);
  EXPECT_EQ(cairn_search(index_, row_, 2, 1, 1, matches_, nullptr), kInvalid);
  EXPECT_EQ(cairn_search_batch(nullptr, row_, 1, 2, 1, 1, 1, matches_, &count_), kInvalid);
  EXPECT_EQ(cairn_search_batch(index_, nullptr, 1, 2, 1, 1, 1, matches_, &count_), kInvalid);
  EXPECT_EQ(cairn_search_batch(index_, row_, 1, 2, 1, 1, 1, nullptr, &count_), kInvalid);
  EXPECT_EQ(cairn_search_batch(index_, row_, 1, 2, 1, 1, 1, matches_, nullptr), kInvalid);
  EXPECT_EQ(cairn_search_batch(index_, nullptr, 0, 2, 1, 1, 1, nullptr, nullptr), 0);
  EXPECT_EQ(cairn_get(nullptr, 7, row, 2), kInvalid);
  EXPECT_EQ(cairn_get(index_, 7, nullptr, 2), kInvalid);
  EXPECT_EQ(cairn_save(nullptr, "x"), kInvalid);
  EXPECT_EQ(cairn_save(index_, nullptr), kInvalid);
  EXPECT_EQ(cairn_verify(nullptr, &findings), kInvalid);
  EXPECT_EQ(cairn_verify(index_, nullptr), kInvalid);
  EXPECT_STREQ(cairn_last_error(), "invalid_argument (1): verify: findings is NULL");
  std::size_t listed = 1;
  std::uint64_t keys[1];
  cairn_key_scan scan{};
  scan.size = sizeof scan;
  EXPECT_EQ(cairn_keys(nullptr, &scan, keys, 1, &listed), kInvalid);
  EXPECT_EQ(listed, 0u);
  scan.reserved[0] = 1;
  EXPECT_EQ(cairn_keys(index_, &scan, keys, 1, &listed), kInvalid);
  EXPECT_EQ(cairn_contains(nullptr, 7), 0);
  EXPECT_EQ(cairn_size(nullptr), 0u);
  EXPECT_EQ(cairn_dimensions(nullptr), 0u);
}

TEST_F(CErrors, NumbersThatAreNoEnumAreInvalid) {
  const auto create = [](auto change) {
    cairn_params params = cairn_params_default(2);
    change(params);
    cairn_index* out = nullptr;
    const int code = cairn_create(&params, &out);
    EXPECT_EQ(out, nullptr);
    return code;
  };
  EXPECT_EQ(create([](cairn_params& p) { p.metric = 0; }), kInvalid);
  EXPECT_EQ(create([](cairn_params& p) { p.metric = 5; }), kInvalid);
  EXPECT_STREQ(cairn_last_error(), "invalid_argument (1): create: metric 5 does not exist");
  EXPECT_EQ(create([](cairn_params& p) { p.scalar = 0; }), kInvalid);
  EXPECT_EQ(create([](cairn_params& p) { p.scalar = 6; }), kInvalid);
  EXPECT_EQ(create([](cairn_params& p) { p.traversal = 3; }), kInvalid);
  EXPECT_EQ(create([](cairn_params& p) { p.dimensions = 0; }), kInvalid);
  EXPECT_EQ(create([](cairn_params& p) { p.m = 1; }), kInvalid);
  EXPECT_EQ(create([](cairn_params& p) { p.ef_construction = 0; }), kInvalid);
}

TEST_F(CErrors, SizesThatNoMemoryHasAreErrorsAndNotOverflows) {
  const cairn_params params = cairn_params_default(2);
  cairn_index* empty = nullptr;
  ASSERT_EQ(cairn_create(&params, &empty), 0);
  const std::uint64_t key = 1;
  EXPECT_EQ(cairn_build(empty, &key, row_, std::numeric_limits<std::size_t>::max() / 4, 2, 1),
            kInvalid);
  EXPECT_EQ(cairn_build(empty, nullptr, nullptr, 0, 2, 1), 0);
  EXPECT_EQ(cairn_size(empty), 0u);
  cairn_close(empty);

  const std::size_t many = std::numeric_limits<std::size_t>::max() / 8;
  EXPECT_EQ(cairn_search_batch(index_, row_, many, 2, 1, 1, 1, matches_, &count_), kInvalid);
  EXPECT_EQ(cairn_search_batch(index_, row_, 2, 2, many, 1, 1, matches_, &count_), kInvalid);
}

TEST_F(CErrors, BatchNamesTheRowAndWritesNothing) {
  const float queries[4] = {1.0f, 2.0f, std::numeric_limits<float>::infinity(), 0.0f};
  std::size_t counts[2] = {5, 5};
  matches_[0].key = 99;
  EXPECT_EQ(cairn_search_batch(index_, queries, 2, 2, 2, 8, 1, matches_, counts),
            number(ErrorCode::not_finite));
  EXPECT_STREQ(cairn_last_error(),
               "not_finite (3): search_batch: row 1: component 0 is not finite");
  EXPECT_EQ(matches_[0].key, 99u);
  EXPECT_EQ(counts[0], 5u);
  EXPECT_EQ(cairn_search_batch(index_, queries, 1, 3, 2, 8, 1, matches_, counts),
            number(ErrorCode::dimension_mismatch));
  EXPECT_EQ(cairn_search_batch(index_, queries, 1, 2, 0, 8, 1, nullptr, counts), kInvalid);
}

TEST_F(CErrors, SearchWritesNoMoreThanItFound) {
  cairn_match out[3] = {{1, 1.0f}, {2, 2.0f}, {3, 3.0f}};
  ASSERT_EQ(cairn_search(index_, row_, 2, 3, 10, out, &count_), 0);
  EXPECT_EQ(count_, 1u);
  EXPECT_EQ(out[0].key, 7u);
  EXPECT_EQ(out[1].key, 2u);
  EXPECT_EQ(out[2].distance, 3.0f);
}

TEST_F(CErrors, FailedSearchCountsNothing) {
  count_ = 5;
  EXPECT_NE(cairn_search(index_, row_, 3, 1, 1, matches_, &count_), 0);
  EXPECT_EQ(count_, 0u);
}

TEST_F(CErrors, VectorsAreReplacedAndRemoved) {
  const float other[2] = {5, 6};
  float out[2] = {0, 0};
  EXPECT_EQ(cairn_upsert(index_, 7, other, 2), 0);
  EXPECT_EQ(cairn_upsert(index_, 9, row_, 2), 0);
  EXPECT_EQ(cairn_get(index_, 7, out, 2), 0);
  EXPECT_EQ(out[0], 5);
  EXPECT_EQ(cairn_remove(index_, 7), 0);
  EXPECT_EQ(cairn_remove(index_, 7), number(ErrorCode::key_not_found));
  EXPECT_EQ(cairn_compact(index_), 0);
  EXPECT_EQ(cairn_size(index_), 1u);
  EXPECT_EQ(cairn_contains(index_, 9), 1);
  EXPECT_EQ(cairn_upsert(nullptr, 7, other, 2), number(ErrorCode::invalid_argument));
  EXPECT_EQ(cairn_upsert(index_, 7, nullptr, 2), number(ErrorCode::invalid_argument));
  EXPECT_EQ(cairn_remove(nullptr, 7), number(ErrorCode::invalid_argument));
  EXPECT_EQ(cairn_compact(nullptr), number(ErrorCode::invalid_argument));
}

TEST_F(CErrors, TextBelongsToTheThread) {
  EXPECT_EQ(cairn_add(index_, 7, row_, 2), number(ErrorCode::key_exists));
  std::string other = "unset";
  std::thread([&] { other = cairn_last_error(); }).join();
  EXPECT_EQ(other, "");
  EXPECT_NE(std::string(cairn_last_error()), "");
}

TEST_F(CErrors, SuccessKeepsTheTextOfTheLastFailure) {
  EXPECT_EQ(cairn_add(index_, 7, row_, 2), number(ErrorCode::key_exists));
  EXPECT_EQ(cairn_add(index_, 8, row_, 2), 0);
  EXPECT_STREQ(cairn_last_error(), "key_exists (4): add: key 7 is already there");
}

TEST(CScalars, FloatsAreConvertedToTheKindOfTheIndex) {
  for (const Scalar scalar : {Scalar::f16, Scalar::bf16, Scalar::i8, Scalar::b1}) {
    cairn_params params = cairn_params_default(3);
    params.scalar = static_cast<std::uint8_t>(scalar);
    params.metric =
        static_cast<std::uint8_t>(scalar == Scalar::b1 ? Metric::hamming : Metric::l2sq);
    cairn_index* index = nullptr;
    ASSERT_EQ(cairn_create(&params, &index), 0) << cairn_last_error();
    const float rows[] = {1, 0, 1, 0.4f, -3, 2.25f};
    const std::uint64_t keys[] = {4, 5};
    ASSERT_EQ(cairn_build(index, keys, rows, 2, 3, 1), 0) << cairn_last_error();
    ASSERT_EQ(cairn_add(index, 6, rows + 3, 3), 0) << cairn_last_error();
    float out[3];
    ASSERT_EQ(cairn_get(index, 6, out, 3), 0);
    const float half = scalar == Scalar::f16 ? 0.39990234375f : 0.400390625f;
    const std::vector<float> want = scalar == Scalar::i8   ? std::vector<float>{0, -3, 2}
                                    : scalar == Scalar::b1 ? std::vector<float>{1, 0, 1}
                                                           : std::vector<float>{half, -3, 2.25f};
    EXPECT_EQ(std::vector<float>(out, out + 3), want);
    cairn_match matches[3];
    std::size_t count = 0;
    ASSERT_EQ(cairn_search(index, rows, 3, 3, 10, matches, &count), 0) << cairn_last_error();
    EXPECT_EQ(count, 3u);
    EXPECT_EQ(matches[0].key, 4u);
    EXPECT_EQ(matches[0].distance, 0.0f);
    EXPECT_EQ(cairn_add(index, 7, rows, 2), number(ErrorCode::dimension_mismatch));
    cairn_close(index);
  }
}

TEST(CScalars, ComponentsThatDoNotFitAreErrors) {
  cairn_params params = cairn_params_default(2);
  params.scalar = static_cast<std::uint8_t>(Scalar::i8);
  cairn_index* index = nullptr;
  ASSERT_EQ(cairn_create(&params, &index), 0);
  const float rows[] = {1, 2, 3, 128};
  const std::uint64_t keys[] = {4, 5};
  EXPECT_EQ(cairn_build(index, keys, rows, 2, 2, 1), kInvalid);
  EXPECT_NE(std::string(cairn_last_error()).find("build: row 1: component 1 is 128"),
            std::string::npos)
      << cairn_last_error();
  EXPECT_EQ(cairn_add(index, 4, rows + 2, 2), kInvalid);
  EXPECT_EQ(cairn_size(index), 0u);
  cairn_close(index);
}

TEST(CVersion, IsTheLibrarys) { EXPECT_STREQ(cairn_version(), kVersion); }

}  // namespace
}  // namespace cairn
