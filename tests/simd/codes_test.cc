// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <random>
#include <vector>

#include "simd/kernels.h"
#include "tests/simd/each_isa.h"
#include "tests/simd/guarded.h"

namespace cairn::simd {
namespace {

using Codes = EachIsa;
CAIRN_FOR_EACH_ISA(Codes);

constexpr std::size_t kFactorBytes = 2 * sizeof(float);

struct Factors {
  float a;
  float b;
};

// A table of codes whose last row's factors end at the guard.
class CodeTable {
 public:
  CodeTable(std::size_t row_count, std::size_t dim, std::size_t gap, std::size_t padding,
            std::mt19937& random)
      : dim_(dim),
        factor_offset_((dim + 3) / 4 * 4 + gap),
        stride_(factor_offset_ + kFactorBytes + padding),
        bytes_(row_count * stride_ - padding) {
    std::uniform_real_distribution<float> factor(-2.0F, 2.0F);
    for (auto& byte : bytes_) byte = static_cast<std::byte>(random());
    for (std::size_t r = 0; r < row_count; ++r) {
      set_factors(r, {factor(random), factor(random)});
    }
  }

  Rows rows() const { return {bytes_.data(), stride_}; }
  std::size_t factor_offset() const { return factor_offset_; }
  std::byte* row(std::size_t r) const { return bytes_.data() + r * stride_; }
  void set_factors(std::size_t r, Factors f) const {
    std::memcpy(row(r) + factor_offset_, &f, kFactorBytes);
  }
  Factors factors(std::size_t r) const {
    Factors f;
    std::memcpy(&f, row(r) + factor_offset_, kFactorBytes);
    return f;
  }
  std::int64_t dot(std::size_t r, const std::int8_t* query) const {
    std::int64_t sum = 0;
    for (std::size_t i = 0; i < dim_; ++i) {
      sum += std::int64_t{query[i]} * static_cast<std::int8_t>(row(r)[i]);
    }
    return sum;
  }

 private:
  std::size_t dim_;
  std::size_t factor_offset_;
  std::size_t stride_;
  Guarded<std::byte> bytes_;
};

void fill_query(std::int8_t* code, std::size_t dim, std::mt19937& random) {
  for (std::size_t i = 0; i < dim; ++i) {
    code[i] = static_cast<std::int8_t>(static_cast<int>(random() % 255) - 127);
  }
}

// Six roundings: k a, times the dot product, that to float, two additions and w b.
void expect_score(float got, const CodeQuery& q, const CodeTable& table, std::size_t r) {
  const Factors f = table.factors(r);
  const double product = double{q.k} * double{f.a} * static_cast<double>(table.dot(r, q.code));
  const double offset = double{q.w} * double{f.b};
  const double magnitude = std::abs(double{q.c0}) + std::abs(product) + std::abs(offset);
  EXPECT_NEAR(double{got}, double{q.c0} + product + offset, magnitude * 6 * 0x1.00001p-24);
}

TEST_P(Codes, ScoresOfEveryLengthAreRightInOrderOfIdsAndReadNothingOutside) {
  std::mt19937 random(1);
  constexpr std::size_t row_count = 9;
  for (const std::size_t dim : lengths()) {
    SCOPED_TRACE(dim);
    const CodeTable table(row_count, dim, dim % 3 * 4, dim % 2 * 64, random);
    const Guarded<std::int8_t> code(dim);
    fill_query(code.data(), dim, random);
    for (std::size_t n = 0; n <= 14; ++n) {
      const CodeQuery query{code.data(),
                            dim,
                            table.factor_offset(),
                            1.25F,
                            0.01F,
                            -0.75F,
                            static_cast<std::uint32_t>(n % 6)};
      const Guarded<std::uint32_t> ids(n);
      for (auto& id : ids) id = static_cast<std::uint32_t>(random() % row_count);
      if (n != 0) ids[n - 1] = row_count - 1;  // the one at the guard
      const Guarded<float> out(n);
      kernels().score_codes(query, table.rows(), ids.data(), n, out.data());
      for (std::size_t i = 0; i < n; ++i) expect_score(out[i], query, table, ids[i]);
    }
  }
}

TEST_P(Codes, ScoresAreTheBitsOfTheScalarOnes) {
  std::mt19937 random(2);
  constexpr std::size_t row_count = 50;
  std::vector<std::uint32_t> ids(row_count);
  for (std::size_t i = 0; i < row_count; ++i) {
    ids[i] = static_cast<std::uint32_t>((i * 7) % row_count);
  }
  for (const std::size_t dim : lengths()) {
    SCOPED_TRACE(dim);
    const CodeTable table(row_count, dim, 0, 0, random);
    std::vector<std::int8_t> code(dim);
    fill_query(code.data(), dim, random);
    const CodeQuery query{code.data(), dim, table.factor_offset(), 3.1F, -0.0037F, 1.7F, 4};
    std::vector<float> got(row_count);
    std::vector<float> want(row_count);
    kernels().score_codes(query, table.rows(), ids.data(), row_count, got.data());
    scalar().score_codes(query, table.rows(), ids.data(), row_count, want.data());
    EXPECT_EQ(std::memcmp(got.data(), want.data(), row_count * sizeof(float)), 0);
  }
}

TEST_P(Codes, EveryMisalignmentOfTheTableAndTheQueryIsRight) {
  std::mt19937 random(3);
  constexpr std::size_t dim = 100;
  constexpr std::size_t stride = 128;
  alignas(64) std::byte space[64 + 5 * stride];
  alignas(64) std::int8_t query_space[64 + dim];
  const std::vector<std::uint32_t> ids = {4, 0, 2, 3, 1};
  std::vector<std::byte> rows(5 * stride);
  for (auto& byte : rows) byte = static_cast<std::byte>(random());
  for (std::size_t r = 0; r < 5; ++r) {
    const Factors f{static_cast<float>(r), 0.5F};
    std::memcpy(rows.data() + r * stride + dim, &f, kFactorBytes);
  }
  std::vector<std::int8_t> code(dim);
  fill_query(code.data(), dim, random);
  std::vector<float> want(ids.size());
  CodeQuery query{code.data(), dim, dim, 1.0F, 0.125F, 2.0F, 2};
  scalar().score_codes(query, {rows.data(), stride}, ids.data(), ids.size(), want.data());
  for (std::size_t at = 0; at < 64; at += 4) {
    for (std::size_t query_at = 0; query_at < 64; ++query_at) {
      std::memcpy(space + at, rows.data(), rows.size());
      std::memcpy(query_space + query_at, code.data(), dim);
      query.code = query_space + query_at;
      std::vector<float> got(ids.size());
      kernels().score_codes(query, {space + at, stride}, ids.data(), ids.size(), got.data());
      EXPECT_EQ(got, want) << at << " " << query_at;
    }
  }
}

TEST_P(Codes, ExtremeCodesAreExactAtTheLargestDimension) {
  std::mt19937 random(4);
  constexpr std::size_t dim = 65535;
  const CodeTable table(3, dim, 0, 0, random);
  std::memset(table.row(0), 0x80, dim);  // -128
  std::memset(table.row(1), 0x81, dim);  // -127
  std::memset(table.row(2), 0x7F, dim);
  for (std::size_t r = 0; r < 3; ++r) table.set_factors(r, {1.0F, 0.0F});
  const std::uint32_t ids[] = {0, 1, 2};
  for (const int value : {-127, 127}) {
    const std::vector<std::int8_t> code(dim, static_cast<std::int8_t>(value));
    const CodeQuery query{code.data(), dim, table.factor_offset(), 0.0F, 1.0F, 0.0F, 0};
    float out[3];
    kernels().score_codes(query, table.rows(), ids, 3, out);
    for (std::size_t r = 0; r < 3; ++r) {
      EXPECT_EQ(out[r], static_cast<float>(table.dot(r, code.data()))) << value << " " << r;
    }
  }
}

TEST_P(Codes, HowFarToPrefetchDoesNotChangeTheScores) {
  std::mt19937 random(5);
  constexpr std::size_t row_count = 40;
  const CodeTable table(row_count, 128, 300, 0, random);  // factors far behind the code
  std::vector<std::int8_t> code(128);
  fill_query(code.data(), code.size(), random);
  std::vector<std::uint32_t> ids(row_count);
  for (std::size_t i = 0; i < row_count; ++i) ids[i] = static_cast<std::uint32_t>(i);
  std::vector<float> want;
  for (const std::uint32_t ahead : {0U, 1U, 3U, 4U, 17U, 1000U}) {
    const CodeQuery query{code.data(), 128, table.factor_offset(), 0.5F, 0.1F, 1.0F, ahead};
    std::vector<float> got(row_count);
    kernels().score_codes(query, table.rows(), ids.data(), row_count, got.data());
    if (want.empty()) want = got;
    EXPECT_EQ(got, want) << ahead;
  }
}

TEST_P(Codes, WhatComesNextDoesNotChangeTheScores) {
  std::mt19937 random(7);
  constexpr std::size_t row_count = 23;
  for (const std::size_t gap : {std::size_t{0}, std::size_t{300}}) {
    const CodeTable table(row_count, 100, gap, 0, random);
    std::vector<std::int8_t> code(100);
    fill_query(code.data(), code.size(), random);
    std::vector<std::uint32_t> ids(row_count);
    for (std::size_t i = 0; i < row_count; ++i) ids[i] = static_cast<std::uint32_t>(i);
    CodeQuery query{code.data(), 100, table.factor_offset(), 0.5F, 0.1F, 1.0F, 2};
    for (const std::size_t n : {0U, 1U, 4U, 5U, 23U}) {
      query.coming_count = 0;
      std::vector<float> want(n);
      kernels().score_codes(query, table.rows(), ids.data(), n, want.data());
      for (std::size_t coming = 0; coming <= row_count; ++coming) {
        query.coming = ids.data() + (row_count - coming);
        query.coming_count = coming;
        std::vector<float> got(n);
        kernels().score_codes(query, table.rows(), ids.data(), n, got.data());
        EXPECT_EQ(got, want) << n << ", " << coming;
      }
    }
  }
}

TEST_P(Codes, HowRowsAreAskedForDoesNotChangeTheScores) {
  std::mt19937 random(8);
  constexpr std::size_t row_count = 23;
  for (const std::size_t dim : {std::size_t{100}, std::size_t{250}, std::size_t{1600}}) {
    for (const std::size_t gap : {std::size_t{0}, std::size_t{300}}) {
      const CodeTable table(row_count, dim, gap, 0, random);
      const Guarded<std::int8_t> code(dim);
      fill_query(code.data(), dim, random);
      std::vector<std::uint32_t> ids(row_count);
      for (std::size_t i = 0; i < row_count; ++i) ids[i] = static_cast<std::uint32_t>(i);
      CodeQuery query{code.data(), dim, table.factor_offset(), 0.5F, 0.1F, 1.0F, 2};
      for (const std::size_t n : {1U, 5U, 23U}) {
        std::vector<float> want(n);
        kernels().score_codes(query, table.rows(), ids.data(), n, want.data());
        for (const std::size_t coming : {0U, 3U, 23U}) {
          for (const bool spreads : {false, true}) {
            CodeQuery asking = query;
            asking.coming = ids.data() + (row_count - coming);
            asking.coming_count = coming;
            asking.prefetch_bytes = 384;
            asking.spreads_coming = spreads;
            std::vector<float> got(n);
            kernels().score_codes(asking, table.rows(), ids.data(), n, got.data());
            EXPECT_EQ(got, want) << dim << ", " << n << ", " << coming;
          }
        }
      }
    }
  }
}

TEST_P(Codes, NanAndInfiniteFactorsShowInTheirRowAlone) {
  std::mt19937 random(6);
  constexpr float kInf = std::numeric_limits<float>::infinity();
  const CodeTable table(6, 100, 0, 0, random);
  table.set_factors(2, {std::numeric_limits<float>::quiet_NaN(), 1.0F});
  table.set_factors(4, {1.0F, kInf});
  std::vector<std::int8_t> code(100);
  fill_query(code.data(), code.size(), random);
  const CodeQuery query{code.data(), 100, table.factor_offset(), 0.5F, 0.1F, 1.0F, 2};
  const std::uint32_t ids[] = {0, 1, 2, 3, 4, 5};
  float out[6];
  kernels().score_codes(query, table.rows(), ids, 6, out);
  EXPECT_TRUE(std::isnan(out[2]));
  EXPECT_EQ(out[4], kInf);
  for (const unsigned r : {0U, 1U, 3U, 5U}) expect_score(out[r], query, table, r);
}

}  // namespace
}  // namespace cairn::simd
