// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <set>
#include <utility>

#include "engine/base/hash.h"
#include "engine/store/level_generator.h"

namespace cairn {
namespace {

// Computed from docs/format.md ("Hashes of a key") by another program.
TEST(LevelGenerator, HashesAreThoseOfTheSpecification) {
  EXPECT_EQ(key_hash(0, 42), 0x57E1FABA65107204u);
  EXPECT_EQ(level_hash(0, 42), 0x9EE0625AD1113A0Cu);
  EXPECT_EQ(level_hash(1, 0), 0xC21A9DD0D7C9403Bu);
}

TEST(LevelGenerator, LevelsAreThoseOfTheSpecification) {
  const std::array<std::uint32_t, 40> at_m_2 = {0, 1, 0, 0, 1, 1, 0, 1, 2, 2, 2, 0, 1, 2,
                                                1, 3, 0, 1, 1, 0, 0, 0, 6, 3, 0, 1, 0, 2,
                                                0, 0, 0, 1, 1, 2, 1, 0, 0, 1, 0, 0};
  const LevelGenerator two(2, 42);
  for (Key key = 0; key < at_m_2.size(); ++key) EXPECT_EQ(two.level(key), at_m_2[key]) << key;

  const LevelGenerator sixteen(16, 42);
  for (const Key key : {12070u, 15387u, 24294u, 65130u}) EXPECT_EQ(sixteen.level(key), 3u) << key;
  EXPECT_EQ(sixteen.level(62691), 4u);
  EXPECT_EQ(sixteen.level(22), 1u);
}

// Keys whose level hash (seed 42) stands beside a bound: "level_hash < floor(2^64 / m^l)".
TEST(LevelGenerator, BoundsBelongToTheLevelBelow) {
  struct Case {
    Key key;
    std::uint64_t hash;
    std::array<std::uint32_t, 4> levels;  // m = 2, 7, 16, 256
  };
  const Case cases[] = {
      {0x99CD2FCA2BA035ABu, 0x0000000000000000u, {15, 15, 15, 8}},
      {0xDFC1DA21810352DFu, 0x0000000000000001u, {15, 15, 15, 7}},
      {0xECF37D62128E1084u, 0x0FFFFFFFFFFFFFFFu, {4, 1, 1, 0}},
      {0xF508A842E6F7FBEEu, 0x1000000000000000u, {3, 1, 0, 0}},
      {0x73D032487F84AA9Fu, 0x00FFFFFFFFFFFFFFu, {8, 2, 2, 1}},
      {0xF3F7C03DBC37EB42u, 0x0100000000000000u, {7, 2, 1, 0}},
      {0x4B06A77F45FC909Cu, 0x2492492492492491u, {2, 1, 0, 0}},
      {0x943A62CA6AB28DECu, 0x2492492492492492u, {2, 0, 0, 0}},
      {0x4C325E2DAD9DF007u, 0xFFFFFFFFFFFFFFFFu, {0, 0, 0, 0}},
  };
  const std::array<std::uint32_t, 4> ms = {2, 7, 16, 256};
  for (const Case& c : cases) {
    ASSERT_EQ(level_hash(c.key, 42), c.hash);
    for (std::size_t i = 0; i < ms.size(); ++i) {
      EXPECT_EQ(LevelGenerator(ms[i], 42).level(c.key), c.levels[i])
          << "m " << ms[i] << ", hash " << c.hash;
    }
  }
}

TEST(LevelGenerator, ANodeReachesLevelLWithProbabilityMToTheMinusL) {
  constexpr double kKeys = 1000000;
  for (const std::uint32_t m : {2u, 5u, 16u, 256u}) {
    const LevelGenerator generator(m, 7);
    std::array<double, format::kMaxLevels> reached{};
    for (Key key = 0; key < static_cast<Key>(kKeys); ++key) {
      for (std::uint32_t l = generator.level(key); l > 0; --l) ++reached[l];
    }
    for (std::size_t l = 1; l < reached.size(); ++l) {
      const double p = std::pow(double(m), -double(l));
      const double sigma = std::sqrt(kKeys * p * (1 - p));
      EXPECT_NEAR(reached[l], kKeys * p, 5 * sigma + 1) << "m " << m << ", level " << l;
    }
  }
}

TEST(LevelGenerator, AnotherSeedDrawsOtherLevels) {
  const LevelGenerator one(2, 1);
  const LevelGenerator again(2, 1);
  const LevelGenerator other(2, 2);
  std::size_t different = 0;
  for (Key key = 0; key < 10000; ++key) {
    EXPECT_EQ(one.level(key), again.level(key));
    different += one.level(key) != other.level(key);
  }
  // Two independent draws are equal with probability sum over l of 4^-(l+1) = 1 / 3.
  EXPECT_NEAR(static_cast<double>(different), 10000 * 2.0 / 3, 5 * 48);
}

TEST(LevelGenerator, LevelsSayNothingAboutThePlaceInTheKeyTable) {
  // Keys of a high level spread over 64 buckets like all others: each is hit.
  const LevelGenerator generator(16, 3);
  std::set<std::uint64_t> buckets;
  for (Key key = 0; key < 40000; ++key) {
    if (generator.level(key) > 0) buckets.insert(key_hash(key, 3) % 64);
  }
  EXPECT_EQ(buckets.size(), 64u);
}

}  // namespace
}  // namespace cairn
