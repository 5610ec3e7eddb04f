// SPDX-License-Identifier: Apache-2.0
//
// Removing and replacing vectors, seen from outside: a map that is searched by brute force knows
// what must be there.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <random>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include <cairn/cairn.h>

#include "tests/support/file_image.h"
#include "tests/support/temporary_directory.h"
#include "tests/support/vectors.h"

namespace cairn {
namespace {

using test::Vectors;
using Vector = std::vector<float>;

IndexParams params_of(std::size_t dims, Metric metric, std::uint32_t m,
                      Traversal traversal = Traversal::automatic) {
  IndexParams params;
  params.dimensions = dims;
  params.metric = metric;
  params.m = m;
  params.ef_construction = std::max(10u, 3 * m);
  params.traversal = traversal;
  return params;
}

void expect_sound(const Index& index, std::size_t live, const std::string& when) {
  const auto report = index.verify();
  ASSERT_TRUE(report);
  ASSERT_EQ(report->findings, std::vector<std::string>{}) << when;
  ASSERT_EQ(report->unreachable, 0u) << when;
  ASSERT_EQ(index.size(), live) << when;
  ASSERT_EQ(index.stats().live, live) << when;
}

class Model {
 public:
  Model(const IndexParams& params, std::uint64_t seed, int values, std::size_t keys)
      : params_(params),
        index_(Index::create(params).value()),
        random_(seed),
        values_(values),
        keys_(keys) {}

  // Integers in a small range: copies and ties.
  Vector vector() {
    Vector v(params_.dimensions);
    for (float& component : v) {
      component = static_cast<float>(random_() % static_cast<unsigned>(values_)) -
                  static_cast<float>(values_ / 2);
    }
    return v;
  }

  void step(unsigned adds, unsigned removes, unsigned upserts) {
    const Key key = random_() % keys_;
    const std::uint64_t what = random_() % (adds + removes + upserts);
    const bool there = map_.contains(key);
    if (what < adds) {
      const Vector v = vector();
      const auto done = index_.add(key, v);
      ASSERT_EQ(done.has_value(), !there);
      if (!done) {
        ASSERT_EQ(done.error().code(), ErrorCode::key_exists);
      }
      if (done) map_[key] = v;
    } else if (what < adds + removes) {
      const auto done = index_.remove(key);
      ASSERT_EQ(done.has_value(), there);
      if (!done) {
        ASSERT_EQ(done.error().code(), ErrorCode::key_not_found);
      }
      map_.erase(key);
    } else {
      const Vector v = vector();
      ASSERT_TRUE(index_.upsert(key, v));
      map_[key] = v;
    }
    ASSERT_EQ(index_.size(), map_.size());
    ASSERT_EQ(index_.contains(key), map_.contains(key));
  }

  void search() {
    const Vector query = vector();
    const std::size_t ef = std::max<std::size_t>(1, map_.size());
    const auto found = index_.search(query, {10, ef});
    ASSERT_TRUE(found);
    ASSERT_EQ(found->size(), std::min<std::size_t>(10, map_.size()));
    std::set<Key> seen;
    for (const Match& match : *found) {
      ASSERT_TRUE(map_.contains(match.key)) << "removed key " << match.key;
      ASSERT_TRUE(seen.insert(match.key).second);
      const Vector& vector = map_.at(match.key);
      const double exact =
          test::reference_distance(params_.metric, query.data(), vector.data(), params_.dimensions);
      const double off =
          test::tolerance(params_.metric, query.data(), vector.data(), params_.dimensions);
      ASSERT_NEAR(match.distance, exact, off + 1e-6);
    }
  }

  void check(const std::string& when) {
    expect_sound(index_, map_.size(), when);
    Vector out(params_.dimensions);
    for (Key key = 0; key < keys_; ++key) {
      const auto known = map_.find(key);
      ASSERT_EQ(index_.contains(key), known != map_.end());
      ASSERT_EQ(index_.get(key, out).has_value(), known != map_.end());
      if (known != map_.end()) {
        ASSERT_EQ(out, known->second);
      }
    }
  }

  Index& index() { return index_; }
  std::map<Key, Vector>& map() { return map_; }

 private:
  IndexParams params_;
  Index index_;
  std::map<Key, Vector> map_;
  std::mt19937_64 random_;
  int values_;
  std::size_t keys_;
};

TEST(Remove, RandomCallsAgreeWithAMap) {
  std::uint64_t seed = 0;
  for (const Metric metric : {Metric::cosine, Metric::l2sq, Metric::inner_product}) {
    for (const std::uint32_t m : {2u, 4u, 16u}) {
      for (const std::size_t dims : {std::size_t{1}, std::size_t{3}}) {
        for (const int values : {2, 33}) {
          const std::string what = "metric " + std::to_string(static_cast<int>(metric)) + ", m " +
                                   std::to_string(m) + ", dims " + std::to_string(dims) +
                                   ", values " + std::to_string(values);
          Model model(params_of(dims, metric, m), ++seed, values, 300);
          for (int phase = 0; phase < 6; ++phase) {
            // Growing, mixed, shrinking.
            const unsigned adds = phase % 3 == 0 ? 8 : phase % 3 == 1 ? 3 : 1;
            const unsigned removes = phase % 3 == 0 ? 1 : phase % 3 == 1 ? 3 : 8;
            for (int i = 0; i < 400; ++i) {
              ASSERT_NO_FATAL_FAILURE(model.step(adds, removes, 2)) << what;
              if (i % 8 == 0) {
                ASSERT_NO_FATAL_FAILURE(model.search()) << what;
              }
              if (i % 130 == 77) {
                ASSERT_TRUE(model.index().compact()) << what;
              }
              if (i % 50 == 0) {
                ASSERT_NO_FATAL_FAILURE(model.check(what + ", phase " + std::to_string(phase) +
                                                    ", step " + std::to_string(i)));
              }
            }
          }
        }
      }
    }
  }
}

TEST(Remove, WhatIsGoneIsNotFound) {
  const Vectors vectors = test::random_vectors(500, 8, 1);
  Index index = test::built(params_of(8, Metric::l2sq, 8), vectors);
  for (std::size_t i = 0; i < 500; i += 3) {
    ASSERT_TRUE(index.remove(vectors.keys[i]));
    EXPECT_FALSE(index.contains(vectors.keys[i]));
    const auto matches = index.search(vectors.vector(i), {5, 64});
    ASSERT_TRUE(matches);
    EXPECT_EQ(matches->size(), 5u);
    for (const Match& match : *matches) EXPECT_NE(match.key, vectors.keys[i]);
  }
  const auto again = index.remove(vectors.keys[0]);
  ASSERT_FALSE(again);
  EXPECT_EQ(again.error().code(), ErrorCode::key_not_found);
  EXPECT_NE(again.error().message().find("1000"), std::string::npos) << again.error().message();
  expect_sound(index, 333, "after removing a third");
  EXPECT_EQ(index.stats().removes, 167u);
}

TEST(Remove, SlotsAreUsedAgain) {
  const Vectors vectors = test::random_vectors(400, 6, 2);
  Index index = test::built(params_of(6, Metric::cosine, 4), vectors);
  for (int round = 0; round < 5; ++round) {
    for (std::size_t i = 0; i < 400; ++i) {
      ASSERT_TRUE(index.remove(vectors.keys[i]));
      ASSERT_TRUE(index.add(vectors.keys[i], vectors.vector(i)));
    }
  }
  expect_sound(index, 400, "after five rounds");
  const Stats stats = index.stats();
  EXPECT_LE(stats.slots, 400u + 100u) << stats.deleted << " deleted";
  EXPECT_GE(stats.slots, stats.live + stats.deleted);
  EXPECT_EQ(stats.adds, 2000u);
}

TEST(Remove, TheEntryPointAgainAndAgain) {
  for (const std::uint32_t m : {2u, 16u}) {
    const Vectors vectors = test::random_vectors(600, 4, 3);
    Index index = test::built(params_of(4, Metric::l2sq, m), vectors);
    // Keys of the highest levels first: each removal takes the entry point.
    std::vector<Key> order = vectors.keys;
    const auto hash = [](Key key) {
      const auto mix = [](std::uint64_t x) {
        x += 0x9E3779B97F4A7C15u;
        x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9u;
        x = (x ^ (x >> 27)) * 0x94D049BB133111EBu;
        return x ^ (x >> 31);
      };
      return mix(mix(key ^ mix(42)) ^ 0x6C6576656C000000u);
    };
    std::sort(order.begin(), order.end(), [&](Key a, Key b) { return hash(a) < hash(b); });
    std::uint32_t level = index.stats().max_level;
    EXPECT_GE(level, 1u);
    for (std::size_t i = 0; i < order.size(); ++i) {
      ASSERT_TRUE(index.remove(order[i]));
      EXPECT_LE(index.stats().max_level, level);
      level = index.stats().max_level;
      if (i % 20 == 0) expect_sound(index, order.size() - i - 1, "after " + std::to_string(i));
    }
    EXPECT_EQ(level, 0u);
  }
}

TEST(Remove, AnEmptiedIndexIsFilledAgain) {
  const Vectors vectors = test::random_vectors(200, 5, 4);
  Index index = test::added(params_of(5, Metric::l2sq, 4), vectors);
  for (int round = 0; round < 3; ++round) {
    for (const Key key : vectors.keys) ASSERT_TRUE(index.remove(key));
    expect_sound(index, 0, "emptied");
    const auto nothing = index.search(vectors.vector(0), {10, 64});
    ASSERT_TRUE(nothing);
    EXPECT_TRUE(nothing->empty());
    for (std::size_t i = 0; i < 200; ++i) {
      ASSERT_TRUE(round == 1 ? index.upsert(vectors.keys[i], vectors.vector(i))
                             : index.add(vectors.keys[i], vectors.vector(i)));
    }
    expect_sound(index, 200, "filled again");
    EXPECT_LE(index.stats().slots, 210u);
  }
  for (const Key key : vectors.keys) ASSERT_TRUE(index.remove(key));
  ASSERT_TRUE(index.build(vectors.keys, vectors.matrix()));
  expect_sound(index, 200, "built in an emptied index");
  EXPECT_EQ(index.stats().slots, 200u);
}

TEST(Remove, CopiesOfOneVector) {
  for (const std::uint32_t m : {2u, 16u}) {
    Index index = Index::create(params_of(3, Metric::cosine, m)).value();
    const Vector vector = {1, 2, 3};
    std::mt19937 random(m);
    std::set<Key> there;
    for (int i = 0; i < 4000; ++i) {
      const Key key = random() % 700;
      if (there.erase(key) == 1) {
        ASSERT_TRUE(index.remove(key));
      } else {
        ASSERT_TRUE(index.add(key, vector));
        there.insert(key);
      }
      if (i % 200 == 0) expect_sound(index, there.size(), "m " + std::to_string(m));
    }
    expect_sound(index, there.size(), "m " + std::to_string(m));
    const auto all = index.search(vector, {there.size(), there.size()});
    ASSERT_TRUE(all);
    EXPECT_EQ(all->size(), there.size());
  }
}

TEST(Upsert, GivesAKeyAnotherVector) {
  const Vectors vectors = test::random_vectors(300, 8, 5);
  const Vectors others = test::random_vectors(300, 8, 6);
  Index index = test::built(params_of(8, Metric::l2sq, 8), vectors);
  Vector out(8);
  for (std::size_t i = 0; i < 300; ++i) {
    ASSERT_TRUE(index.upsert(vectors.keys[i], others.vector(i)));
    ASSERT_TRUE(index.get(vectors.keys[i], out));
    EXPECT_TRUE(std::equal(out.begin(), out.end(), others.row(i)));
    const auto matches = index.search(others.vector(i), {1, 64});
    ASSERT_TRUE(matches);
    ASSERT_EQ(matches->size(), 1u);
    EXPECT_EQ(matches->front().key, vectors.keys[i]);
    EXPECT_NEAR(matches->front().distance, 0, 1e-4);
  }
  ASSERT_TRUE(index.upsert(7, vectors.vector(0)));
  expect_sound(index, 301, "after replacing everything");
  EXPECT_EQ(index.stats().upserts, 301u);
  EXPECT_EQ(index.upsert(1, Vector(7)).error().code(), ErrorCode::dimension_mismatch);
}

TEST(Remove, ASavedIndexWithTombstonesAnswersTheSame) {
  const test::TemporaryDirectory directory;
  const Vectors vectors = test::random_vectors(500, 8, 7);
  Index index = test::built(params_of(8, Metric::cosine, 6), vectors);
  for (std::size_t i = 0; i < 500; i += 2) ASSERT_TRUE(index.remove(vectors.keys[i]));
  for (std::size_t i = 0; i < 100; i += 2) {
    ASSERT_TRUE(index.add(vectors.keys[i] + 1, vectors.vector(i)));
  }
  for (std::size_t i = 1; i < 10; i += 2) ASSERT_TRUE(index.remove(vectors.keys[i]));
  EXPECT_GT(index.stats().deleted, 0u);
  ASSERT_TRUE(index.save(directory / "a"));
  const auto opened = Index::open(directory / "a");
  ASSERT_TRUE(opened);
  expect_sound(*opened, 295, "opened");
  EXPECT_EQ(opened->stats().deleted, index.stats().deleted);
  for (std::size_t i = 0; i < 500; ++i) {
    const auto here = index.search(vectors.vector(i), {10, 40});
    const auto there = opened->search(vectors.vector(i), {10, 40});
    ASSERT_TRUE(here && there);
    ASSERT_EQ(here->size(), there->size());
    for (std::size_t j = 0; j < here->size(); ++j) {
      EXPECT_EQ((*here)[j].key, (*there)[j].key);
      EXPECT_EQ((*here)[j].distance, (*there)[j].distance);
    }
  }
}

std::vector<std::byte> bytes_of(const Index& index, const std::filesystem::path& path) {
  EXPECT_TRUE(index.save(path));
  return test::read_bytes(path);
}

TEST(Compact, LeavesTheLiveVectorsAndGivesMemoryBack) {
  const test::TemporaryDirectory directory;
  const Vectors vectors = test::random_vectors(6000, 32, 8);
  Index index = test::built(params_of(32, Metric::cosine, 8), vectors);
  const std::uint64_t full = index.stats().private_bytes;
  Vectors left;
  left.dims = vectors.dims;
  for (std::size_t i = 0; i < vectors.rows(); ++i) {
    if (i % 10 == 0) {
      left.append(vectors.keys[i], {vectors.row(i), vectors.dims});
    } else {
      ASSERT_TRUE(index.remove(vectors.keys[i]));
    }
  }
  const double before = test::recall(index, left, left, {10, 64});
  ASSERT_TRUE(index.compact());
  expect_sound(index, 600, "compacted");
  const Stats stats = index.stats();
  EXPECT_EQ(stats.slots, 600u);
  EXPECT_EQ(stats.deleted, 0u);
  EXPECT_LT(stats.private_bytes, full / 4);
  EXPECT_GE(test::recall(index, left, left, {10, 64}), before - 0.005);
  Vector out(32);
  for (std::size_t i = 0; i < vectors.rows(); ++i) {
    ASSERT_EQ(index.get(vectors.keys[i], out).has_value(), i % 10 == 0);
    if (i % 10 == 0) {
      EXPECT_TRUE(std::equal(out.begin(), out.end(), vectors.row(i)));
    }
  }
  // It lives on.
  for (std::size_t i = 0; i < 600; ++i) {
    ASSERT_TRUE(index.upsert(vectors.keys[i], vectors.vector(i + 1)));
    ASSERT_TRUE(index.remove(vectors.keys[i]));
  }
  expect_sound(index, 540, "changed afterwards");
}

TEST(Compact, IsDeterministicAndDoesNothingTwice) {
  const test::TemporaryDirectory directory;
  const Vectors vectors = test::random_vectors(800, 6, 9);
  std::vector<std::byte> first;
  for (int run = 0; run < 2; ++run) {
    Index index = test::built(params_of(6, Metric::l2sq, 4), vectors);
    const auto built = bytes_of(index, directory / "a");
    ASSERT_TRUE(index.compact());
    EXPECT_EQ(bytes_of(index, directory / "a"), built) << "nothing to leave out";
    for (std::size_t i = 0; i < 500; ++i) ASSERT_TRUE(index.remove(vectors.keys[i]));
    ASSERT_TRUE(index.compact());
    const auto once = bytes_of(index, directory / "a");
    ASSERT_TRUE(index.compact());
    EXPECT_EQ(bytes_of(index, directory / "a"), once);
    if (run == 0) first = once;
    EXPECT_EQ(once, first);
  }
}

TEST(Compact, AnEmptyAndAnEmptiedIndex) {
  Index index = Index::create(params_of(3, Metric::l2sq, 4)).value();
  ASSERT_TRUE(index.compact());
  const Vectors vectors = test::random_vectors(50, 3, 10);
  for (std::size_t i = 0; i < 50; ++i) ASSERT_TRUE(index.add(vectors.keys[i], vectors.vector(i)));
  for (const Key key : vectors.keys) ASSERT_TRUE(index.remove(key));
  ASSERT_TRUE(index.compact());
  expect_sound(index, 0, "compacted");
  EXPECT_EQ(index.stats().slots, 0u);
  ASSERT_TRUE(index.build(vectors.keys, vectors.matrix()));
  expect_sound(index, 50, "built");
}

}  // namespace
}  // namespace cairn
