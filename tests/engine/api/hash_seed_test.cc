// SPDX-License-Identifier: Apache-2.0
//
// The seed with which a file hashes its keys.
#include <gtest/gtest.h>

#include <cstdint>
#include <filesystem>
#include <optional>
#include <set>
#include <vector>

#include <cairn/cairn.h>

#include "engine/base/hash.h"
#include "format/container/container.h"
#include "tests/support/file_image.h"
#include "tests/support/temporary_directory.h"
#include "tests/support/vectors.h"

namespace cairn {
namespace {

using test::TemporaryDirectory;
using test::Vectors;

constexpr std::size_t kDims = 4;

IndexParams some_params() {
  IndexParams params;
  params.dimensions = kDims;
  params.metric = Metric::l2sq;
  params.m = 4;
  params.ef_construction = 20;
  return params;
}

struct Seen {
  std::optional<std::uint64_t> hash_seed;
  format::Counters counters;
  std::uint64_t seed;
};

Seen look_at(const std::filesystem::path& path) {
  const auto container = format::Container::open(format::default_file_system(), path,
                                                 Residency::map, Verify::metadata);
  EXPECT_TRUE(container);
  return {container->hash_seed(), container->counters(), container->parameters().seed};
}

void expect_sound(const Index& index) {
  const auto report = index.verify();
  ASSERT_TRUE(report);
  EXPECT_EQ(report->findings, std::vector<std::string>());
}

std::uint64_t unmixed(std::uint64_t x) {
  const auto inverse = [](std::uint64_t odd) {
    std::uint64_t y = odd;
    for (int i = 0; i < 6; ++i) y *= 2 - odd * y;
    return y;
  };
  const auto unshifted = [](std::uint64_t y, int shift) {
    std::uint64_t before = y;
    for (int i = 0; i < 64 / shift; ++i) before = y ^ (before >> shift);
    return before;
  };
  x = unshifted(x, 31) * inverse(0x94D049BB133111EBu);
  x = unshifted(x, 27) * inverse(0xBF58476D1CE4E5B9u);
  return unshifted(x, 30) - 0x9E3779B97F4A7C15u;
}

// Keys that all have one home for whoever knows the seed.
Vectors of_chosen_keys(std::size_t n, std::uint64_t seed) {
  Vectors vectors = test::random_vectors(n, kDims, 3);
  for (std::size_t i = 0; i < n; ++i) {
    vectors.keys[i] = unmixed(std::uint64_t{i} << 32) ^ mix64(seed);
    EXPECT_EQ(key_hash(vectors.keys[i], seed), std::uint64_t{i} << 32);
  }
  return vectors;
}

TEST(HashSeed, SeededHashesAreThoseOfTheSpecification) {
  EXPECT_EQ(seeded_key_hash(0, 0), 0x68ADD75279AEBDF2u);
  EXPECT_EQ(seeded_key_hash(1, 42), 0x9B0296BE85751DD5u);
  EXPECT_EQ(seeded_key_hash(0x1122334455667788u, 0xFEDCBA9876543210u), 0xC8D07220D0F75C57u);
  EXPECT_EQ(KeyHash(42)(7), key_hash(7, 42));
  EXPECT_EQ(KeyHash(42, 43)(7), seeded_key_hash(7, 43));
  std::set<std::uint64_t> hashes;
  for (Key key = 0; key < 1000; ++key) hashes.insert(seeded_key_hash(key, 42) % 1024);
  EXPECT_GT(hashes.size(), 600u);
}

TEST(HashSeed, AFileThatIsCreatedHasOneThatNobodyChose) {
  const TemporaryDirectory directory;
  std::set<std::uint64_t> seeds;
  for (const char* name : {"a", "b", "c"}) {
    ASSERT_TRUE(Index::create(directory / name, some_params()));
    const Seen seen = look_at(directory / name);
    ASSERT_TRUE(seen.hash_seed);
    EXPECT_EQ(seen.seed, some_params().seed);
    seeds.insert(*seen.hash_seed);
  }
  EXPECT_EQ(seeds.size(), 3u);
}

TEST(HashSeed, OfABuiltIndexItFollowsFromParametersAndContent) {
  const TemporaryDirectory directory;
  const Vectors vectors = test::random_vectors(50, kDims, 1);
  const auto seed_of = [&](const Vectors& rows, const IndexParams& params) {
    Index index = Index::create(params).value();
    EXPECT_TRUE(index.build(rows.keys, rows.matrix()));
    EXPECT_TRUE(index.save(directory / "a"));
    return look_at(directory / "a").hash_seed;
  };
  const auto seed = seed_of(vectors, some_params());
  ASSERT_TRUE(seed);
  EXPECT_EQ(seed_of(vectors, some_params()), seed);
  Vectors other = vectors;
  other.values.back() += 1.0f;
  EXPECT_NE(seed_of(other, some_params()), seed);
  other = vectors;
  other.keys.back() += 1;
  EXPECT_NE(seed_of(other, some_params()), seed);
  IndexParams params = some_params();
  ++params.seed;
  EXPECT_NE(seed_of(vectors, params), seed);
}

TEST(HashSeed, KeysThatCollideWithoutItDoNotWithIt) {
  constexpr std::size_t kKeys = 1500;
  const TemporaryDirectory directory;
  const Vectors vectors = of_chosen_keys(kKeys, some_params().seed);
  {
    Index index =
        Index::create(directory / "a", some_params(), {.durability = Durability::none}).value();
    for (std::size_t i = 0; i < kKeys; ++i) {
      ASSERT_TRUE(index.add(vectors.keys[i], vectors.vector(i)));
    }
  }
  Index built = Index::create(some_params()).value();
  ASSERT_TRUE(built.build(vectors.keys, vectors.matrix()));
  ASSERT_TRUE(built.save(directory / "b"));
  Index added = Index::create(some_params()).value();
  for (std::size_t i = 0; i < kKeys; ++i) {
    ASSERT_TRUE(added.add(vectors.keys[i], vectors.vector(i)));
  }
  ASSERT_TRUE(added.save(directory / "c"));
  for (const char* name : {"a", "b", "c"}) {
    EXPECT_LT(look_at(directory / name).counters.overflow_used, kKeys / 20) << name;
    const Index index = Index::open(directory / name).value();
    for (const Key key : vectors.keys) ASSERT_TRUE(index.contains(key));
    expect_sound(index);
  }
}

TEST(HashSeed, CompactingBackupsAndReadersKeepIt) {
  const TemporaryDirectory directory;
  const Vectors vectors = test::random_vectors(200, kDims, 2);
  Index index =
      Index::create(directory / "a", some_params(), {.durability = Durability::none}).value();
  Index reader = Index::open(directory / "a").value();
  const auto seed = look_at(directory / "a").hash_seed;
  for (std::size_t i = 0; i < vectors.rows(); ++i) {
    ASSERT_TRUE(index.add(vectors.keys[i], vectors.vector(i)));
  }
  ASSERT_TRUE(index.compact());
  EXPECT_EQ(look_at(directory / "a").hash_seed, seed);
  ASSERT_TRUE(reader.refresh());
  for (const Key key : vectors.keys) ASSERT_TRUE(reader.contains(key));
  ASSERT_TRUE(index.backup(directory / "b"));
  EXPECT_EQ(look_at(directory / "b").hash_seed, seed);
  ASSERT_TRUE(reader.save(directory / "c"));
  EXPECT_EQ(look_at(directory / "c").hash_seed, seed);

  Index memory = Index::create(some_params()).value();
  ASSERT_TRUE(memory.build(vectors.keys, vectors.matrix()));
  ASSERT_TRUE(memory.save(directory / "d"));
  ASSERT_TRUE(memory.remove(vectors.keys[0]));
  ASSERT_TRUE(memory.compact());
  ASSERT_TRUE(memory.contains(vectors.keys[1]));
  ASSERT_TRUE(memory.save(directory / "e"));
  EXPECT_EQ(look_at(directory / "e").hash_seed, look_at(directory / "d").hash_seed);
  expect_sound(memory);
}

TEST(HashSeed, ABuildThatFailsLeavesTheOneBefore) {
  const TemporaryDirectory directory;
  Vectors vectors = test::random_vectors(20, kDims, 2);
  Index index = Index::create(some_params()).value();
  ASSERT_TRUE(index.save(directory / "a"));
  vectors.keys[1] = vectors.keys[0];
  ASSERT_FALSE(index.build(vectors.keys, vectors.matrix()));
  ASSERT_TRUE(index.save(directory / "b"));
  EXPECT_EQ(test::read_bytes(directory / "a"), test::read_bytes(directory / "b"));
}

TEST(HashSeed, AnOlderFileStaysWithoutOne) {
  const TemporaryDirectory directory;
  const std::filesystem::path path = directory / "a";
  std::filesystem::copy_file(CAIRN_SOURCE_DIR "/tests/golden/ten_l2sq_d3.cairn", path);
  ASSERT_EQ(look_at(path).hash_seed, std::nullopt);
  std::vector<float> vector = {1.0f, 2.0f, 3.0f};
  {
    Index index = Index::open(path, {.mode = Mode::read_write}).value();
    for (Key key = 1000000; key < 1000100; ++key) {
      vector[0] += 1.0f;
      ASSERT_TRUE(index.add(key, VectorView(vector)));
    }
    ASSERT_TRUE(index.compact());
    ASSERT_TRUE(index.remove(1000001));
    expect_sound(index);
  }
  EXPECT_EQ(look_at(path).hash_seed, std::nullopt);
  const Index index = Index::open(path, {.verify = Verify::full}).value();
  for (Key key = 1000002; key < 1000100; ++key) ASSERT_TRUE(index.contains(key));
  expect_sound(index);
}

}  // namespace
}  // namespace cairn
