// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "simd/kernels.h"
#include "tests/simd/each_isa.h"
#include "tests/simd/guarded.h"

namespace cairn::simd {
namespace {

using CodePanels = EachIsa;
CAIRN_FOR_EACH_ISA(CodePanels);

// Codes, each at a place of its own that ends at a page nobody may read.
class Codes {
 public:
  Codes(std::size_t count, std::size_t dim, std::mt19937& random) {
    for (std::size_t i = 0; i < count; ++i) {
      held_.push_back(std::make_unique<Guarded<std::int8_t>>(dim));
      for (auto& c : *held_.back()) {
        c = static_cast<std::int8_t>(static_cast<int>(random() % 255) - 127);
      }
      pointers_.push_back(held_.back()->data());
    }
  }
  const std::int8_t* const* data() const { return pointers_.data(); }
  std::int8_t* operator[](std::size_t i) const { return held_[i]->data(); }

 private:
  std::vector<std::unique_ptr<Guarded<std::int8_t>>> held_;
  std::vector<const std::int8_t*> pointers_;
};

PanelQueries some_queries(std::mt19937& random) {
  std::uniform_real_distribution<float> any(-2.0F, 2.0F);
  PanelQueries queries{};
  for (std::size_t c = 0; c < kPanelColumns; ++c) {
    queries.c0[c] = any(random);
    queries.k[c] = any(random) * 0.01F;
    queries.limit[c] = any(random);
  }
  queries.w = any(random);
  return queries;
}

std::vector<RowFactors> some_factors(std::mt19937& random) {
  std::uniform_real_distribution<float> any(-2.0F, 2.0F);
  std::vector<RowFactors> factors(kTileRows);
  for (RowFactors& f : factors) f = {any(random), any(random)};
  return factors;
}

// Score of one row for one query by the list kernel of another instruction set.
float score_of(const KernelTable& kernels, const std::int8_t* row, RowFactors factors,
               const std::int8_t* query, std::size_t dim, const PanelQueries& queries,
               std::size_t c) {
  const std::size_t at = (dim + 3) / 4 * 4;
  std::vector<std::byte> record(at + sizeof(RowFactors));
  std::memcpy(record.data(), row, dim);
  std::memcpy(record.data() + at, &factors, sizeof(factors));
  const CodeQuery asked{query, dim, at, queries.c0[c], queries.k[c], queries.w, 0};
  const std::uint32_t id = 0;
  float score;
  kernels.score_codes(asked, {record.data(), record.size()}, &id, 1, &score);
  return score;
}

TEST_P(CodePanels, ScoresOfEveryLengthAreTheBitsOfTheListKernelAndReadNothingOutside) {
  std::mt19937 random(1);
  for (const std::size_t dim : lengths()) {
    if (dim == 0) continue;
    SCOPED_TRACE(dim);
    const std::size_t n = dim % kTileRows + 1;
    const std::size_t m = dim % kPanelColumns + 1;
    const Codes rows(n, dim, random);
    const Codes asked(m, dim, random);
    const PanelQueries queries = some_queries(random);
    const std::vector<RowFactors> factors = some_factors(random);
    const Guarded<std::byte> tile(row_tile_bytes(dim));
    const Guarded<std::byte> panel(column_panel_bytes(dim));
    kernels().pack_rows(rows.data(), n, dim, tile.data());
    kernels().pack_columns(asked.data(), m, dim, panel.data());
    const std::size_t stride = kPanelColumns + 5;
    const Guarded<float> out((n - 1) * stride + kPanelColumns);
    std::uint32_t near[kTileRows] = {};
    kernels().score_tile(tile.data(), n, factors.data(), panel.data(), queries, dim, out.data(),
                         stride, near);
    for (std::size_t r = 0; r < n; ++r) {
      for (std::size_t c = 0; c < m; ++c) {
        const float want = score_of(scalar(), rows[r], factors[r], asked[c], dim, queries, c);
        const float got = out[r * stride + c];
        ASSERT_EQ(std::memcmp(&got, &want, sizeof(got)), 0) << r << " " << c;
        ASSERT_EQ((near[r] >> c & 1U) != 0, !(want > queries.limit[c])) << r << " " << c;
      }
    }
  }
}

TEST_P(CodePanels, ExtremeCodesAreExactAtTheLargestDimension) {
  constexpr std::size_t dim = 65535;
  constexpr int kValues[] = {-128, -127, 127};
  std::mt19937 random(2);
  const Codes rows(std::size(kValues), dim, random);
  const Codes asked(2, dim, random);
  for (std::size_t r = 0; r < std::size(kValues); ++r) std::memset(rows[r], kValues[r], dim);
  std::memset(asked[0], -127, dim);
  std::memset(asked[1], 127, dim);
  PanelQueries queries{};
  std::fill(std::begin(queries.k), std::end(queries.k), 1.0F);
  const std::vector<RowFactors> factors(kTileRows, RowFactors{1.0F, 0.0F});
  std::vector<std::byte> tile(row_tile_bytes(dim));
  std::vector<std::byte> panel(column_panel_bytes(dim));
  kernels().pack_rows(rows.data(), std::size(kValues), dim, tile.data());
  kernels().pack_columns(asked.data(), 2, dim, panel.data());
  float out[std::size(kValues) * kPanelColumns];
  std::uint32_t near[kTileRows];
  kernels().score_tile(tile.data(), std::size(kValues), factors.data(), panel.data(), queries, dim,
                       out, kPanelColumns, near);
  for (std::size_t r = 0; r < std::size(kValues); ++r) {
    const auto product = std::int64_t{127} * kValues[r] * std::int64_t{dim};
    EXPECT_EQ(out[r * kPanelColumns], static_cast<float>(-product));
    EXPECT_EQ(out[r * kPanelColumns + 1], static_cast<float>(product));
  }
}

TEST_P(CodePanels, NanIsNearWhateverTheLimitAndStaysInItsRow) {
  constexpr std::size_t dim = 100;
  std::mt19937 random(3);
  const Codes rows(kTileRows, dim, random);
  const Codes asked(kPanelColumns, dim, random);
  PanelQueries queries = some_queries(random);
  std::fill(std::begin(queries.limit), std::end(queries.limit),
            -std::numeric_limits<float>::infinity());
  std::vector<RowFactors> factors = some_factors(random);
  factors[5].a = std::numeric_limits<float>::quiet_NaN();
  std::vector<std::byte> tile(row_tile_bytes(dim));
  std::vector<std::byte> panel(column_panel_bytes(dim));
  kernels().pack_rows(rows.data(), kTileRows, dim, tile.data());
  kernels().pack_columns(asked.data(), kPanelColumns, dim, panel.data());
  std::vector<float> out(kTileRows * kPanelColumns);
  std::uint32_t near[kTileRows];
  kernels().score_tile(tile.data(), kTileRows, factors.data(), panel.data(), queries, dim,
                       out.data(), kPanelColumns, near);
  for (std::size_t r = 0; r < kTileRows; ++r) {
    EXPECT_EQ(near[r], r == 5 ? ~0U : 0U);
    for (std::size_t c = 0; c < kPanelColumns; ++c) {
      EXPECT_EQ(std::isnan(out[r * kPanelColumns + c]), r == 5);
    }
  }
}

}  // namespace
}  // namespace cairn::simd
