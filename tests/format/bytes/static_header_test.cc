// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <cstring>
#include <string>

#include "format/bytes/header_layout.h"
#include "format/bytes/limits.h"
#include "format/bytes/parameters.h"
#include "format/bytes/record_layout.h"
#include "format/bytes/superblock.h"
#include "tests/support/file_image.h"

namespace cairn::format {
namespace {

using test::Bytes;
using namespace header_at;

Bytes good_header() {
  StaticHeader header;
  header.parameters = test::ToyIndex(100, 0).parameters;
  header.uuid = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16};
  Bytes bytes(StaticHeader::kEncodedSize);
  header.encode(std::span<std::byte, StaticHeader::kEncodedSize>(bytes));
  return bytes;
}

Result<StaticHeader> decode(const Bytes& bytes) {
  return StaticHeader::decode(std::span<const std::byte, StaticHeader::kEncodedSize>(bytes));
}

// Stores a value in a field of a good header and makes the checksum right again.
template <Field kField>
Result<StaticHeader> decode_with(std::uint64_t value) {
  Bytes bytes = good_header();
  store<kField>(bytes.data(), static_cast<UintOfSize<kField.size>>(value));
  test::repair_header(bytes);
  return decode(bytes);
}

template <Field kField>
void expect_error(std::uint64_t value, ErrorCode code, const char* part) {
  const auto header = decode_with<kField>(value);
  ASSERT_FALSE(header) << part << " " << value;
  EXPECT_EQ(header.error().code(), code) << header.error().message();
  EXPECT_NE(header.error().message().find(part), std::string::npos) << header.error().message();
}

TEST(StaticHeader, DecodesWhatWasEncoded) {
  const auto header = decode(good_header());
  ASSERT_TRUE(header) << header.error().message();
  EXPECT_EQ(header->parameters, test::ToyIndex(100, 0).parameters);
  EXPECT_EQ(header->uuid[15], 16);
  EXPECT_EQ(header->section_count, format::kSectionCount);
}

TEST(StaticHeader, AnotherMagicIsNotACairnFile) {
  Bytes bytes = good_header();
  bytes[4] = std::byte{'\n'};
  EXPECT_EQ(decode(bytes).error().code(), ErrorCode::not_a_cairn_file);
}

TEST(StaticHeader, AWrongChecksumIsToldWithBothValues) {
  Bytes bytes = good_header();
  bytes[2000] = std::byte{1};
  const auto header = decode(bytes);
  ASSERT_FALSE(header);
  EXPECT_EQ(header.error().code(), ErrorCode::corrupt);
  EXPECT_NE(header.error().message().find("header at 0: checksum 0x"), std::string::npos);
  EXPECT_NE(header.error().message().find(", stored 0x"), std::string::npos);
}

TEST(StaticHeader, OtherVersionsAreUnsupported) {
  expect_error<header_at::kFormatMajor>(1, ErrorCode::version_unsupported, "format version 1.1");
  expect_error<header_at::kFormatMinor>(0, ErrorCode::version_unsupported, "format version 0.0");
  expect_error<header_at::kFormatMinor>(2, ErrorCode::version_unsupported, "format version 0.2");
}

TEST(StaticHeader, EveryFieldIsChecked) {
  expect_error<header_at::kEndianTag>(0x04030201, ErrorCode::corrupt, "endian_tag");
  expect_error<kPageSizeField>(8192, ErrorCode::corrupt, "page_size");
  expect_error<header_at::kHugePageSize>(4096, ErrorCode::corrupt, "huge_page_size");
  expect_error<kDimensions>(0, ErrorCode::corrupt, "dimensions");
  expect_error<kDimensions>(65536, ErrorCode::corrupt, "dimensions");
  expect_error<kDimensions>(101, ErrorCode::corrupt, "must be");
  expect_error<kMetric>(0, ErrorCode::feature_unsupported, "metric 0");
  expect_error<kMetric>(5, ErrorCode::feature_unsupported, "metric 5");
  expect_error<kScalar>(0, ErrorCode::feature_unsupported, "scalar 0");
  expect_error<kScalar>(6, ErrorCode::feature_unsupported, "scalar 6");
  expect_error<kTraversal>(0, ErrorCode::feature_unsupported, "traversal 0");
  expect_error<kTraversal>(3, ErrorCode::feature_unsupported, "traversal 3");
  expect_error<kM>(1, ErrorCode::corrupt, "m is 1");
  expect_error<kM>(257, ErrorCode::corrupt, "m is 257");
  expect_error<kMMax0>(48, ErrorCode::corrupt, "m_max0");
  expect_error<kEfConstruction>(0, ErrorCode::corrupt, "ef_construction");
  expect_error<kEfConstruction>(65537, ErrorCode::corrupt, "ef_construction");
  expect_error<kHotFactorOffset>(104, ErrorCode::corrupt, "hot_factor_offset");
  expect_error<kHotStride>(384, ErrorCode::corrupt, "hot_stride");
  expect_error<kExactStride>(404, ErrorCode::corrupt, "exact_stride");
  expect_error<kUpperStride>(64, ErrorCode::corrupt, "upper_stride");
  expect_error<header_at::kSectionCount>(6, ErrorCode::corrupt, "section_count");
  expect_error<header_at::kSectionCount>(17, ErrorCode::corrupt, "section_count");
}

// As the encoder never writes them.
Result<StaticHeader> decode_kinds(Metric metric, Scalar scalar, Traversal traversal) {
  StaticHeader header;
  header.parameters = test::ToyIndex(100, 0).parameters;
  header.parameters.metric = metric;
  header.parameters.scalar = scalar;
  header.parameters.traversal = traversal;
  derive_strides(header.parameters);
  Bytes bytes(StaticHeader::kEncodedSize);
  header.encode(std::span<std::byte, StaticHeader::kEncodedSize>(bytes));
  return decode(bytes);
}

TEST(StaticHeader, EachScalarHasItsMetricsAndTraversals) {
  for (const Scalar scalar : {Scalar::f32, Scalar::f16, Scalar::bf16, Scalar::i8, Scalar::b1}) {
    for (const Metric metric :
         {Metric::cosine, Metric::l2sq, Metric::inner_product, Metric::hamming}) {
      for (const Traversal traversal : {Traversal::code, Traversal::exact}) {
        const bool bits = scalar == Scalar::b1;
        const bool small = bits || scalar == Scalar::i8;
        const auto header = decode_kinds(metric, scalar, traversal);
        if (bits == (metric == Metric::hamming) && (!small || traversal == Traversal::exact)) {
          EXPECT_TRUE(header) << header.error().message();
        } else {
          ASSERT_FALSE(header);
          EXPECT_EQ(header.error().code(), ErrorCode::corrupt) << header.error().message();
          EXPECT_NE(header.error().message().find("does not have"), std::string::npos);
        }
      }
    }
  }
}

TEST(StaticHeader, EveryFieldOfTheSectionTableIsChecked) {
  for (std::size_t section = 0; section < format::kSectionCount; ++section) {
    for (const std::size_t at : {0u, 2u, 4u}) {
      Bytes bytes = good_header();
      bytes[kSections.offset + section * section_entry_at::kSize + at] ^= std::byte{0x40};
      test::repair_header(bytes);
      const auto header = decode(bytes);
      ASSERT_FALSE(header);
      EXPECT_EQ(header.error().code(), ErrorCode::corrupt);
      EXPECT_NE(header.error().message().find("section " + std::to_string(section + 1)),
                std::string::npos)
          << header.error().message();
    }
  }
}

TEST(StaticHeader, UnknownSectionsAreIgnoredOnlyIfTheySaySo) {
  Bytes bytes = good_header();
  store<header_at::kSectionCount>(bytes.data(), 8);
  std::byte* const entry = bytes.data() + kSections.offset + 7 * section_entry_at::kSize;
  store<section_entry_at::kId>(entry, 8);
  test::repair_header(bytes);
  EXPECT_EQ(decode(bytes).error().code(), ErrorCode::feature_unsupported);
  store<section_entry_at::kFlags>(entry, kSectionIgnorable);
  test::repair_header(bytes);
  const auto header = decode(bytes);
  ASSERT_TRUE(header) << header.error().message();
  EXPECT_EQ(header->section_count, 8u);
}

TEST(StaticHeader, ReservedBytesAreIgnored) {
  Bytes bytes = good_header();
  bytes[96] = std::byte{1};
  bytes[90] = std::byte{1};
  bytes[1000] = std::byte{1};
  test::repair_header(bytes);
  EXPECT_TRUE(decode(bytes));
}

TEST(Strides, FollowFromDimensionsScalarTraversalAndM) {
  struct Case {
    std::uint32_t dimensions, m;
    Scalar scalar;
    Traversal traversal;
    std::uint32_t factor_offset, hot, m_max0, exact;
  };
  const Case cases[] = {
      {100, 16, Scalar::f32, Traversal::code, 100, 320, 50, 400},
      {1, 2, Scalar::f32, Traversal::code, 4, 64, 10, 4},
      {128, 16, Scalar::f32, Traversal::code, 128, 384, 59, 512},
      {101, 16, Scalar::f32, Traversal::code, 104, 320, 49, 404},
      {100, 16, Scalar::f32, Traversal::exact, 400, 640, 55, 0},
      {101, 16, Scalar::f16, Traversal::code, 104, 320, 49, 202},
      {101, 16, Scalar::bf16, Traversal::exact, 204, 448, 56, 0},
      {101, 16, Scalar::i8, Traversal::exact, 104, 320, 49, 0},
      {101, 16, Scalar::b1, Traversal::exact, 16, 256, 55, 0},
      {65535, 256, Scalar::f32, Traversal::exact, 262140, 265280, 780, 0},
  };
  for (const Case& expected : cases) {
    Parameters p{};
    p.dimensions = expected.dimensions;
    p.m = expected.m;
    p.scalar = expected.scalar;
    p.traversal = expected.traversal;
    derive_strides(p);
    EXPECT_EQ(p.hot_factor_offset, expected.factor_offset) << expected.dimensions;
    EXPECT_EQ(p.hot_stride, expected.hot) << expected.dimensions;
    EXPECT_EQ(p.m_max0, expected.m_max0) << expected.dimensions;
    EXPECT_EQ(p.exact_stride, expected.exact) << expected.dimensions;
    EXPECT_EQ(p.upper_stride, 8 + 4 * expected.m);
    EXPECT_GE(p.m_max0, 3 * p.m);
    EXPECT_LT(p.hot_stride - p.hot_factor_offset - hot::kLinks - 12 * p.m, 64u);
  }
}

}  // namespace
}  // namespace cairn::format
