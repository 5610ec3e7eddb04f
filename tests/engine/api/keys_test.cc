// SPDX-License-Identifier: Apache-2.0
//
// Listing keys: exactly once what is there throughout, whatever happens to the index meanwhile.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdint>
#include <filesystem>
#include <string>
#include <thread>
#include <vector>

#include <cairn/cairn.h>

#include "tests/support/sanitizers.h"
#include "tests/support/temporary_directory.h"
#include "tests/support/vectors.h"

namespace cairn {
namespace {

using test::TemporaryDirectory;

constexpr std::size_t kDims = 4;

IndexParams some_params() {
  IndexParams params;
  params.dimensions = kDims;
  params.metric = Metric::l2sq;
  params.m = 4;
  params.ef_construction = 10;
  return params;
}

std::vector<float> vector_of(Key key) {
  std::vector<float> vector(kDims);
  for (std::size_t i = 0; i < kDims; ++i) vector[i] = static_cast<float>(key >> (4 * i) & 15);
  return vector;
}

OpenOptions to_write() {
  OpenOptions options;
  options.mode = Mode::read_write;
  options.durability = Durability::none;
  return options;
}

Index create(const std::filesystem::path& path) {
  CreateOptions options;
  options.durability = Durability::none;
  return Index::create(path, some_params(), options).value();
}

// The rest of a listing, `room` keys at a time.
std::vector<Key> rest_of(const Index& index, KeyScan scan, std::size_t room) {
  std::vector<Key> all;
  std::vector<Key> some(room);
  while (!scan.done) {
    const auto found = index.keys(scan, some);
    EXPECT_TRUE(found) << found.error().message();
    if (!found) break;
    all.insert(all.end(), some.begin(), some.begin() + static_cast<std::ptrdiff_t>(*found));
  }
  return all;
}

std::vector<Key> sorted(std::vector<Key> keys) {
  std::sort(keys.begin(), keys.end());
  return keys;
}

TEST(Keys, EveryKeyIsListedOnceWithAnyRoom) {
  const auto vectors = test::random_vectors(3000, kDims, 1);
  const Index index = test::built(some_params(), vectors);
  for (const std::size_t room : {1u, 2u, 100u, 1024u, 3000u, 5000u}) {
    EXPECT_EQ(sorted(rest_of(index, {}, room)), vectors.keys) << room;
  }
}

TEST(Keys, RoomIsFilledAsLongAsThereAreKeys) {
  const Index index = test::built(some_params(), test::random_vectors(3000, kDims, 1));
  KeyScan scan;
  std::vector<Key> some(1400);
  EXPECT_EQ(index.keys(scan, some).value(), 1400u);
  EXPECT_EQ(index.keys(scan, some).value(), 1400u);
  EXPECT_FALSE(scan.done);
  EXPECT_EQ(index.keys(scan, some).value(), 200u);
  EXPECT_TRUE(scan.done);
  EXPECT_EQ(index.keys(scan, some).value(), 0u);
  EXPECT_TRUE(scan.done);
}

TEST(Keys, AnEmptyIndexHasNone) {
  const Index index = Index::create(some_params()).value();
  KeyScan scan;
  std::array<Key, 4> some{};
  EXPECT_EQ(index.keys(scan, some).value(), 0u);
  EXPECT_TRUE(scan.done);
}

TEST(Keys, WithoutRoomIsAnErrorThatChangesNothing) {
  const Index index = test::built(some_params(), test::random_vectors(10, kDims, 1));
  KeyScan scan;
  EXPECT_EQ(index.keys(scan, {}).error().code(), ErrorCode::invalid_argument);
  EXPECT_EQ(scan.position, 0u);
  EXPECT_FALSE(scan.done);
}

TEST(Keys, AnyPositionIsGoodForKeysOnlyOnce) {
  const Index index = test::built(some_params(), test::random_vectors(500, kDims, 1));
  for (std::uint64_t shift = 0; shift < 64; ++shift) {
    const auto some = sorted(rest_of(index, {~std::uint64_t{0} >> shift, false}, 33));
    EXPECT_EQ(std::adjacent_find(some.begin(), some.end()), some.end());
  }
}

TEST(Keys, RemovedOnesAreNotListedAndReplacedOnesOnce) {
  Index index = test::added(some_params(), test::random_vectors(400, kDims, 1));
  std::vector<Key> wanted;
  for (Key key = 1000, i = 0; i < 400; ++i, key += 7) {
    if (i % 3 == 0) {
      ASSERT_TRUE(index.remove(key));
      continue;
    }
    if (i % 3 == 1) {
      ASSERT_TRUE(index.upsert(key, vector_of(key + 1)));
    }
    wanted.push_back(key);
  }
  EXPECT_EQ(sorted(rest_of(index, {}, 50)), wanted);
}

TEST(Keys, APositionStaysGoodThroughCompactClosingSavingAndReading) {
  const TemporaryDirectory directory;
  const auto path = directory.path() / "index.cairn";
  const auto vectors = test::random_vectors(900, kDims, 1);
  KeyScan scan;
  std::vector<Key> seen(100);
  const auto take = [&](const Index& index) {
    std::vector<Key> some(100);
    ASSERT_EQ(index.keys(scan, some).value(), 100u);
    seen.insert(seen.end(), some.begin(), some.end());
  };
  {
    Index index = create(path);
    ASSERT_TRUE(index.build(vectors.keys, vectors.matrix()));
    ASSERT_EQ(index.keys(scan, seen).value(), 100u);
    for (Key key = 0; key < 900; ++key) ASSERT_TRUE(index.add(key, vector_of(key)));
    for (Key key = 0; key < 900; ++key) ASSERT_TRUE(index.remove(key));
    take(index);
    ASSERT_TRUE(index.compact());
    take(index);
    const Index reader = Index::open(path).value();
    take(reader);
  }
  Index index = Index::open(path, to_write()).value();
  take(index);
  const auto copy = directory.path() / "copy.cairn";
  ASSERT_TRUE(index.save(copy));
  const Index other = Index::open(copy).value();
  take(other);
  const auto rest = rest_of(other, scan, 64);
  seen.insert(seen.end(), rest.begin(), rest.end());
  std::erase_if(seen, [](Key key) { return key < 900; });
  EXPECT_EQ(sorted(seen), vectors.keys);
}

TEST(Keys, AGuardedReaderListsToo) {
  const TemporaryDirectory directory;
  const auto path = directory.path() / "index.cairn";
  const auto vectors = test::random_vectors(300, kDims, 1);
  ASSERT_TRUE(test::built(some_params(), vectors).save(path));
  OpenOptions options;
  options.guard = true;
  EXPECT_EQ(sorted(rest_of(Index::open(path, options).value(), {}, 7)), vectors.keys);
}

constexpr Key kStay = CAIRN_TEST_SANITIZED ? 150 : 400;
constexpr Key kChurn = CAIRN_TEST_SANITIZED ? 200 : 600;

void add_what_stays(Index& index) {
  for (Key key = 0; key < kStay; ++key) ASSERT_TRUE(index.add(2 * key, vector_of(key)));
}

// One thread lists again and again, while the other one adds, replaces, removes, and compacts.
void list_beside(Index& index, const Index& listed) {
  std::atomic<bool> stop{false};
  std::atomic<int> listings{0};
  std::string problem;
  std::thread reader([&] {
    std::vector<Key> some(37);
    while (problem.empty() && (!stop || listings < 3)) {
      std::vector<int> times(2 * (kStay + kChurn));
      KeyScan scan;
      while (!scan.done) {
        const auto found = listed.keys(scan, some);
        if (!found) {
          problem = found.error().message();
          return;
        }
        for (std::size_t i = 0; i < *found; ++i) ++times.at(some[i]);
      }
      for (Key key = 0; key < times.size(); ++key) {
        const bool stays = key % 2 == 0 && key < 2 * kStay;
        if (stays ? times[key] == 1 : times[key] <= 1) continue;
        problem = std::to_string(key) + " is listed " + std::to_string(times[key]) + " times";
      }
      ++listings;
    }
  });
  for (int round = 0; round < 3 || listings < 3; ++round) {
    if (!problem.empty()) break;
    for (Key key = 0; key < kChurn; ++key) {
      EXPECT_TRUE(index.upsert(2 * key + 1, vector_of(key)));
      EXPECT_TRUE(index.upsert(2 * (key % kStay), vector_of(key + 3)));
    }
    for (Key key = 0; key < kChurn; ++key) EXPECT_TRUE(index.remove(2 * key + 1));
    EXPECT_TRUE(index.compact());
    EXPECT_TRUE(index.checkpoint());
  }
  stop = true;
  reader.join();
  EXPECT_EQ(problem, "");
}

TEST(Keys, BesideAWriterThoseThatStayAreListedOnce) {
  Index index = Index::create(some_params()).value();
  add_what_stays(index);
  list_beside(index, index);
}

TEST(Keys, InAReaderOfAFileThatIsWrittenThoseThatStayAreListedOnce) {
  const TemporaryDirectory directory;
  const auto path = directory.path() / "index.cairn";
  Index index = create(path);
  add_what_stays(index);
  ASSERT_TRUE(index.checkpoint());
  list_beside(index, Index::open(path).value());
}

TEST(Keys, AReaderListsThoseOfTheMomentThatItShows) {
  const TemporaryDirectory directory;
  const auto path = directory.path() / "index.cairn";
  Index index = create(path);
  add_what_stays(index);
  ASSERT_TRUE(index.sync());
  const Index reader = Index::open(path).value();
  for (Key key = 0; key < kStay; ++key) ASSERT_TRUE(index.remove(2 * key));
  // The reader shows those of before until pages in place are changed.
  EXPECT_EQ(rest_of(reader, {}, 10).size(), kStay);
  ASSERT_TRUE(index.checkpoint());
  EXPECT_EQ(rest_of(reader, {}, 10).size(), 0u);
}

}  // namespace
}  // namespace cairn
