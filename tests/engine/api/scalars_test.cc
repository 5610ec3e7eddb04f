// SPDX-License-Identifier: Apache-2.0
//
// Indexes of every scalar kind against a scan of the values that they store.
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <string>
#include <tuple>
#include <vector>

#include <cairn/cairn.h>

#include "tests/support/file_image.h"
#include "tests/support/temporary_directory.h"
#include "tests/support/vectors.h"

namespace cairn {
namespace {

using Stored = test::StoredVectors;
using test::stored;
using test::Vectors;

constexpr std::size_t kRows = 2000;
constexpr std::size_t kDims = 36;  // no multiple of 8, 16 or 32

const char* name_of(Scalar scalar) {
  constexpr const char* kNames[] = {"", "F32", "F16", "Bf16", "I8", "B1"};
  return kNames[static_cast<std::size_t>(scalar)];
}

IndexParams params_of(Scalar scalar, Metric metric, Traversal traversal = Traversal::automatic) {
  IndexParams params;
  params.dimensions = kDims;
  params.metric = metric;
  params.scalar = scalar;
  params.traversal = traversal;
  params.ef_construction = 100;
  return params;
}

Index empty_index(const IndexParams& params) {
  auto index = Index::create(params);
  if (!index) ADD_FAILURE() << index.error().message();
  return std::move(*index);
}

Index built(const IndexParams& params, const Stored& rows, unsigned threads = 2) {
  Index index = empty_index(params);
  BuildOptions options;
  options.threads = threads;
  const auto ok = index.build(rows.floats.keys, rows.matrix(), options);
  if (!ok) ADD_FAILURE() << ok.error().message();
  return index;
}

// Number of different bits = squared distance of zeros and ones.
Metric on_floats(Metric metric) { return metric == Metric::hamming ? Metric::l2sq : metric; }

// Share of the k nearest rows that were found; every distance is compared with its definition.
double checked_recall(const Index& index, const Stored& rows, const Stored& queries,
                      const SearchParams& params) {
  const Metric metric = on_floats(index.params().metric);
  const bool integer = rows.scalar == Scalar::i8 || rows.scalar == Scalar::b1;
  std::size_t found = 0;
  for (std::size_t i = 0; i < queries.floats.rows(); ++i) {
    const float* query = queries.floats.row(i);
    const auto truth = test::scan(metric, rows.floats, query, params.k);
    const auto matches = index.search(queries.vector(i), params);
    if (!matches) return ADD_FAILURE() << matches.error().message(), 0;
    for (const Match& match : *matches) {
      const float* row = rows.floats.row((match.key - 1000) / 7);
      const double want = test::reference_distance(metric, query, row, kDims);
      if (integer && metric == Metric::l2sq) {
        EXPECT_EQ(double{match.distance}, want);
      } else {
        EXPECT_NEAR(double{match.distance}, want, test::tolerance(metric, query, row, kDims));
      }
      found += want <= truth.back().distance + 1e-9;
    }
  }
  return static_cast<double>(found) / static_cast<double>(queries.floats.rows() * params.k);
}

using Kinds = std::tuple<Scalar, Metric, Traversal>;
class EachKind : public testing::TestWithParam<Kinds> {
 protected:
  Scalar scalar() const { return std::get<0>(GetParam()); }
  Metric metric() const { return std::get<1>(GetParam()); }
  IndexParams params() const { return params_of(scalar(), metric(), std::get<2>(GetParam())); }
};

std::vector<Kinds> all_kinds() {
  std::vector<Kinds> all;
  for (const Metric metric : {Metric::cosine, Metric::l2sq, Metric::inner_product}) {
    for (const Scalar scalar : {Scalar::f32, Scalar::f16, Scalar::bf16}) {
      all.emplace_back(scalar, metric, Traversal::code);
      all.emplace_back(scalar, metric, Traversal::exact);
    }
    all.emplace_back(Scalar::i8, metric, Traversal::exact);
  }
  all.emplace_back(Scalar::b1, Metric::hamming, Traversal::exact);
  return all;
}

std::string test_name(const testing::TestParamInfo<Kinds>& info) {
  constexpr const char* kMetrics[] = {"", "Cosine", "L2sq", "InnerProduct", "Hamming"};
  const auto [scalar, metric, traversal] = info.param;
  return std::string(name_of(scalar)) + kMetrics[static_cast<std::size_t>(metric)] +
         (traversal == Traversal::code ? "Code" : "Exact");
}
INSTANTIATE_TEST_SUITE_P(Scalars, EachKind, testing::ValuesIn(all_kinds()), test_name);

TEST_P(EachKind, FindsWhatAScanOfTheStoredValuesFinds) {
  const Stored rows = stored(scalar(), test::random_vectors(kRows, kDims, 1));
  const Stored queries = stored(scalar(), test::random_vectors(50, kDims, 2));
  const Index bulk = built(params(), rows);
  Index added = empty_index(params());
  for (std::size_t i = 0; i < kRows; ++i) {
    ASSERT_TRUE(added.add(rows.floats.keys[i], rows.vector(i)));
  }
  for (const Index* index : {&bulk, static_cast<const Index*>(&added)}) {
    EXPECT_GE(checked_recall(*index, rows, queries, {10, 128}), 0.98);
    EXPECT_GE(checked_recall(*index, rows, queries, {10, kRows}), 0.999);
    const auto report = index->verify();
    ASSERT_TRUE(report);
    EXPECT_EQ(report->findings, std::vector<std::string>());
    EXPECT_EQ(report->unreachable, 0u);
  }
}

TEST_P(EachKind, EqualInputGivesEqualBytesAndAFileGivesThemBack) {
  const Stored rows = stored(scalar(), test::random_vectors(700, kDims, 3));
  const Stored queries = stored(scalar(), test::random_vectors(20, kDims, 4));
  const test::TemporaryDirectory directory;
  const Index one = built(params(), rows, 1);
  ASSERT_TRUE(one.save(directory / "one.cairn"));
  ASSERT_TRUE(built(params(), rows, 3).save(directory / "three.cairn"));
  const auto bytes = test::read_bytes(directory / "one.cairn");
  EXPECT_EQ(bytes, test::read_bytes(directory / "three.cairn"));

  for (const Residency residency : {Residency::map, Residency::load}) {
    const auto opened =
        Index::open(directory / "one.cairn", {.residency = residency, .verify = Verify::full});
    ASSERT_TRUE(opened) << opened.error().message();
    EXPECT_EQ(opened->params().scalar, scalar());
    EXPECT_EQ(opened->params().metric, metric());
    EXPECT_EQ(opened->params().traversal, params().traversal);
    std::vector<float> out(kDims);
    for (std::size_t i = 0; i < rows.floats.rows(); ++i) {
      ASSERT_EQ(opened->get(rows.floats.keys[i], out).value(), kDims);
      EXPECT_EQ(std::memcmp(out.data(), rows.floats.row(i), kDims * sizeof(float)), 0) << i;
    }
    for (std::size_t i = 0; i < queries.floats.rows(); ++i) {
      const auto here = one.search(queries.vector(i));
      const auto there = opened->search(queries.vector(i));
      ASSERT_TRUE(here && there);
      ASSERT_EQ(here->size(), there->size());
      for (std::size_t j = 0; j < here->size(); ++j) {
        EXPECT_EQ((*here)[j].key, (*there)[j].key);
        EXPECT_EQ((*here)[j].distance, (*there)[j].distance);
      }
    }
    ASSERT_TRUE(opened->save(directory / "again.cairn"));
    EXPECT_EQ(test::read_bytes(directory / "again.cairn"), bytes);
  }
}

TEST_P(EachKind, CopiesOfOneVectorAreAllFound) {
  Vectors same = test::random_vectors(300, kDims, 5);
  for (std::size_t i = 0; i < same.values.size(); ++i) same.values[i] = same.values[i % kDims];
  const Stored rows = stored(scalar(), same);
  const Index index = built(params(), rows);
  const auto report = index.verify();
  ASSERT_TRUE(report);
  EXPECT_EQ(report->unreachable, 0u);
  const auto found = index.search(rows.vector(0), {300, 300});
  ASSERT_TRUE(found);
  EXPECT_EQ(found->size(), 300u);
}

TEST_P(EachKind, TheZeroVectorIsAVector) {
  Vectors vectors = test::random_vectors(50, kDims, 6);
  std::fill_n(vectors.values.begin(), kDims, 0.0f);
  const Stored rows = stored(scalar(), vectors);
  const Index index = built(params(), rows);
  EXPECT_EQ(checked_recall(index, rows, rows, {10, 50}), 1.0);
}

TEST_P(EachKind, BatchesFindWhatSearchesFind) {
  const Stored rows = stored(scalar(), test::random_vectors(500, kDims, 7));
  const Stored queries = stored(scalar(), test::random_vectors(40, kDims, 8));
  const Index index = built(params(), rows);
  std::vector<Match> out(40 * 10);
  std::vector<std::size_t> counts(40);
  ASSERT_TRUE(index.search_batch(queries.matrix(), {}, out, counts, 2));
  for (std::size_t i = 0; i < 40; ++i) {
    const auto alone = index.search(queries.vector(i));
    ASSERT_TRUE(alone);
    ASSERT_EQ(counts[i], alone->size());
    for (std::size_t j = 0; j < counts[i]; ++j) EXPECT_EQ(out[i * 10 + j].key, (*alone)[j].key);
  }
}

// Every kind of vector and of rows against every kind of index.
TEST_P(EachKind, OtherKindsAreRefusedByName) {
  Index index = empty_index(params());
  const std::string here = name_of(scalar());
  for (const Scalar other : {Scalar::f32, Scalar::f16, Scalar::bf16, Scalar::i8, Scalar::b1}) {
    if (other == scalar()) continue;
    const Stored rows = stored(other, test::random_vectors(2, kDims, 9));
    const auto expect_named = [&](const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::invalid_argument) << error.message();
      std::string lower = error.message();
      for (char& c : lower) c = static_cast<char>(std::tolower(c));
      for (std::string name : {std::string(name_of(other)), here}) {
        for (char& c : name) c = static_cast<char>(std::tolower(c));
        EXPECT_NE(lower.find(name), std::string::npos) << error.message();
      }
    };
    const auto added = index.add(1, rows.vector(0));
    ASSERT_FALSE(added);
    expect_named(added.error());
    const auto all = index.build(rows.floats.keys, rows.matrix());
    ASSERT_FALSE(all);
    expect_named(all.error());
    const bool half = scalar() == Scalar::f16 || scalar() == Scalar::bf16;
    const auto found = index.search(rows.vector(0));
    std::vector<Match> out(20);
    std::vector<std::size_t> counts(2);
    const auto batch = index.search_batch(rows.matrix(), {}, out, counts, 1);
    if (half && other == Scalar::f32) {
      EXPECT_TRUE(found);
      EXPECT_TRUE(batch);
    } else {
      ASSERT_FALSE(found);
      expect_named(found.error());
      ASSERT_FALSE(batch);
      expect_named(batch.error());
    }
  }
  EXPECT_EQ(index.size(), 0u);
}

TEST_P(EachKind, StridesThatDoNotFitAreRefused) {
  Index index = empty_index(params());
  const Stored rows = stored(scalar(), test::random_vectors(4, kDims, 10));
  std::vector<std::size_t> bad = {0, rows.stride() - 1};
  if (rows.stride() >= 2 * kDims) bad.push_back(rows.stride() + 1);
  for (const std::size_t stride : bad) {
    MatrixView view = rows.matrix();
    view.stride_bytes = stride;
    const auto ok = index.build(rows.floats.keys, view);
    ASSERT_FALSE(ok) << stride;
    EXPECT_EQ(ok.error().code(), ErrorCode::invalid_argument);
    EXPECT_NE(ok.error().message().find("stride"), std::string::npos) << ok.error().message();
  }
  MatrixView every_other = rows.matrix();
  every_other.stride_bytes *= 2;
  every_other.rows = 2;
  ASSERT_TRUE(index.build(std::vector<Key>{1, 2}, every_other));
  std::vector<float> out(kDims);
  ASSERT_TRUE(index.get(2, out));
  EXPECT_EQ(std::memcmp(out.data(), rows.floats.row(2), kDims * sizeof(float)), 0);
}

TEST(Scalars, CombinationsThatDoNotExistAreRefused) {
  const auto expect_refused = [](Scalar scalar, Metric metric, Traversal traversal,
                                 const char* part) {
    const auto index = Index::create(params_of(scalar, metric, traversal));
    ASSERT_FALSE(index) << part;
    EXPECT_EQ(index.error().code(), ErrorCode::invalid_argument);
    EXPECT_NE(index.error().message().find(part), std::string::npos) << index.error().message();
  };
  for (const Scalar scalar : {Scalar::f32, Scalar::f16, Scalar::bf16, Scalar::i8}) {
    expect_refused(scalar, Metric::hamming, Traversal::automatic, "hamming needs scalar b1, not ");
  }
  expect_refused(Scalar::b1, Metric::cosine, Traversal::automatic, "needs metric hamming");
  expect_refused(Scalar::b1, Metric::l2sq, Traversal::automatic, "not l2sq");
  expect_refused(Scalar::b1, Metric::hamming, Traversal::code, "b1 has no codes");
  expect_refused(Scalar::i8, Metric::cosine, Traversal::code, "i8 has no codes");
}

TEST(Scalars, AutomaticTraversalIsRecordedAsWhatItIs) {
  const auto traversal = [](Scalar scalar, Metric metric) {
    return empty_index(params_of(scalar, metric)).params().traversal;
  };
  EXPECT_EQ(traversal(Scalar::f32, Metric::cosine), Traversal::code);
  EXPECT_EQ(traversal(Scalar::f16, Metric::l2sq), Traversal::code);
  EXPECT_EQ(traversal(Scalar::bf16, Metric::l2sq), Traversal::code);
  EXPECT_EQ(traversal(Scalar::i8, Metric::inner_product), Traversal::exact);
  EXPECT_EQ(traversal(Scalar::b1, Metric::hamming), Traversal::exact);
}

TEST(Scalars, HalfVectorsThatAreNotFiniteAreNamed) {
  for (const Scalar scalar : {Scalar::f16, Scalar::bf16}) {
    const std::uint16_t infinity = scalar == Scalar::f16 ? 0x7C00 : 0x7F80;
    for (const int bits : {infinity + 0, infinity + 1, infinity + 0x8000, 0xFFFF}) {
      Index index = empty_index(params_of(scalar, Metric::l2sq));
      std::vector<std::uint16_t> rows(3 * kDims, 0x3C00);
      rows[2 * kDims + 17] = static_cast<std::uint16_t>(bits);
      const auto row = std::span(rows).subspan(2 * kDims);
      const VectorView vector =
          scalar == Scalar::f16 ? VectorView::f16(row) : VectorView::bf16(row);
      const MatrixView matrix = scalar == Scalar::f16 ? MatrixView::f16(rows.data(), 3, kDims)
                                                      : MatrixView::bf16(rows.data(), 3, kDims);
      for (const Error& error : {index.add(1, vector).error(), index.search(vector).error(),
                                 index.build(std::vector<Key>{1, 2, 3}, matrix).error()}) {
        EXPECT_EQ(error.code(), ErrorCode::not_finite);
        EXPECT_NE(error.message().find("component 17 "), std::string::npos) << error.message();
      }
      EXPECT_NE(index.build(std::vector<Key>{1, 2, 3}, matrix).error().message().find("row 2"),
                std::string::npos);
      EXPECT_EQ(index.size(), 0u);
    }
  }
}

TEST(Scalars, BitsBehindTheLastDimensionMustBeZero) {
  Index index = empty_index(params_of(Scalar::b1, Metric::hamming));
  std::vector<std::uint8_t> rows(2 * 5);
  rows[5 + 4] = 0x10;  // bit 36 of the second row
  const auto bad = VectorView::b1(std::span(rows).subspan(5), kDims);
  for (const Error& error :
       {index.add(1, bad).error(), index.search(bad).error(),
        index.build(std::vector<Key>{1, 2}, MatrixView::b1(rows.data(), 2, kDims)).error()}) {
    EXPECT_EQ(error.code(), ErrorCode::invalid_argument);
    EXPECT_NE(error.message().find("beyond the 36 dimensions"), std::string::npos)
        << error.message();
  }
  rows[5 + 4] = 0x0F;
  EXPECT_TRUE(index.add(1, bad));
  // Fewer bytes than the dimensions need are another number of dimensions.
  const auto few = index.add(2, VectorView::b1(std::span(rows).first(4), kDims));
  ASSERT_FALSE(few);
  EXPECT_EQ(few.error().code(), ErrorCode::dimension_mismatch);
}

TEST(Scalars, I8TakesTheWholeRange) {
  Index index = empty_index(params_of(Scalar::i8, Metric::l2sq));
  const std::vector<std::int8_t> low(kDims, -128);
  const std::vector<std::int8_t> high(kDims, 127);
  ASSERT_TRUE(index.add(1, VectorView::i8(low)));
  ASSERT_TRUE(index.add(2, VectorView::i8(high)));
  const auto found = index.search(VectorView::i8(low));
  ASSERT_TRUE(found);
  EXPECT_EQ((*found)[0].distance, 0.0f);
  EXPECT_EQ((*found)[1].distance, 255.0f * 255.0f * kDims);
  std::vector<float> out(kDims);
  ASSERT_TRUE(index.get(1, out));
  EXPECT_EQ(out, std::vector<float>(kDims, -128.0f));
}

// The query is not rounded: its distances to the stored values are what is returned.
TEST(Scalars, HalfIndexesTakeQueriesOfFloats) {
  for (const Scalar scalar : {Scalar::f16, Scalar::bf16}) {
    for (const Metric metric : {Metric::cosine, Metric::l2sq, Metric::inner_product}) {
      for (const Traversal traversal : {Traversal::code, Traversal::exact}) {
        const Stored rows = stored(scalar, test::random_vectors(500, kDims, 11));
        const Stored queries = stored(Scalar::f32, test::random_vectors(20, kDims, 12));
        const Index index = built(params_of(scalar, metric, traversal), rows);
        EXPECT_GE(checked_recall(index, rows, queries, {10, 500}), 0.995);
      }
    }
  }
}

// bf16 has the range of f32: norms that neither codes nor sums of floats can hold.
TEST(Scalars, HugeAndTinyBf16VectorsFindThemselves) {
  const std::pair<Metric, float> cases[] = {
      {Metric::cosine, 1e30f}, {Metric::cosine, 1e-30f}, {Metric::l2sq, 1e17f}};
  for (const auto& [metric, scale] : cases) {
    for (const Traversal traversal : {Traversal::code, Traversal::exact}) {
      Vectors vectors = test::random_vectors(300, kDims, 13);
      for (float& value : vectors.values) value *= scale;
      const Stored rows = stored(Scalar::bf16, vectors);
      const Index index = built(params_of(Scalar::bf16, metric, traversal), rows);
      const auto report = index.verify();
      ASSERT_TRUE(report);
      EXPECT_EQ(report->findings, std::vector<std::string>());
      for (std::size_t i = 0; i < 300; ++i) {
        const auto matches = index.search(rows.vector(i), {1, 300});
        ASSERT_TRUE(matches);
        EXPECT_EQ(matches->front().key, rows.floats.keys[i]);
      }
    }
  }
}

TEST(Scalars, OneDimensionAndManyWork) {
  for (const std::size_t dims : {std::size_t{1}, std::size_t{9}, std::size_t{1000}}) {
    for (const Scalar scalar : {Scalar::f16, Scalar::bf16, Scalar::i8, Scalar::b1}) {
      IndexParams params = params_of(scalar, scalar == Scalar::b1 ? Metric::hamming : Metric::l2sq);
      params.dimensions = dims;
      const Stored rows = stored(scalar, test::random_vectors(60, dims, 14));
      const Index index = built(params, rows);
      const auto report = index.verify();
      ASSERT_TRUE(report);
      EXPECT_EQ(report->findings, std::vector<std::string>());
      for (std::size_t i = 0; i < 60; ++i) {
        EXPECT_EQ(index.search(rows.vector(i), {1, 60})->front().distance, 0.0f);
      }
    }
  }
}

class Converted : public testing::Test {
 protected:
  ErrorCode code_of(const std::vector<float>& from, Scalar to, const char* part) {
    alignas(4) std::byte out[64];
    const auto ok = convert(from, to, out);
    if (ok) return ErrorCode{};
    EXPECT_NE(ok.error().message().find(part), std::string::npos) << ok.error().message();
    return ok.error().code();
  }
};

TEST_F(Converted, ComponentsThatAKindCannotHoldAreNamed) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  for (const Scalar to : {Scalar::f32, Scalar::f16, Scalar::bf16, Scalar::i8, Scalar::b1}) {
    EXPECT_EQ(code_of({0, nan}, to, "component 1 "), ErrorCode::not_finite);
  }
  EXPECT_EQ(code_of({0, 0, 65519.0f}, Scalar::f16, ""), ErrorCode{});
  EXPECT_EQ(code_of({0, 0, 65520.0f}, Scalar::f16, "component 2 is 65520, too large for f16"),
            ErrorCode::not_finite);
  EXPECT_EQ(code_of({-3.4e38f}, Scalar::bf16, "component 0 "), ErrorCode::not_finite);
  EXPECT_EQ(code_of({127, -127}, Scalar::i8, ""), ErrorCode{});
  EXPECT_EQ(code_of({127, -127.25f}, Scalar::i8, "component 1 is -127.25, outside"),
            ErrorCode::invalid_argument);
}

TEST_F(Converted, RoundsToTheNearestWithTiesToEven) {
  const std::vector<float> from = {0.5f, 1.5f, -2.5f, -0.4f, 126.6f};
  std::array<std::byte, 5> i8;
  ASSERT_TRUE(convert(from, Scalar::i8, i8));
  const std::array<std::int8_t, 5> want = {0, 2, -2, 0, 127};
  EXPECT_EQ(std::memcmp(i8.data(), want.data(), 5), 0);
}

TEST_F(Converted, BitsAreTheSignsAndSpareOnesZero) {
  const std::vector<float> from = {1, -1, 0, -0.0f, 1e-30f, 2, 3, 4, 0.5f, -2};
  std::array<std::byte, 3> b1;
  b1.fill(std::byte{0xFF});
  ASSERT_TRUE(convert(from, Scalar::b1, b1));
  EXPECT_EQ(b1, (std::array<std::byte, 3>{std::byte{0xF1}, std::byte{0x01}, std::byte{0xFF}}));
}

TEST_F(Converted, RoomThatIsTooSmallOrOddIsRefused) {
  alignas(4) std::array<std::byte, 9> out;
  const std::vector<float> from(4);
  EXPECT_EQ(convert(from, Scalar::f16, std::span(out).first(7)).error().code(),
            ErrorCode::invalid_argument);
  EXPECT_EQ(convert(from, Scalar::f16, std::span(out).subspan(1)).error().code(),
            ErrorCode::invalid_argument);
  EXPECT_EQ(convert(from, static_cast<Scalar>(9), out).error().code(), ErrorCode::invalid_argument);
  EXPECT_TRUE(convert(from, Scalar::f16, out));
}

}  // namespace
}  // namespace cairn
