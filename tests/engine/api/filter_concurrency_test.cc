// SPDX-License-Identifier: Apache-2.0
//
// Filtered searches beside a writer, with filters that are shared, made and dropped meanwhile.
#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <iterator>
#include <numeric>
#include <random>
#include <set>
#include <thread>
#include <vector>

#include <cairn/cairn.h>

#include "tests/support/vectors.h"

namespace cairn {
namespace {

using test::Vectors;

constexpr std::size_t kDims = 8;
constexpr Key kStaying = 400;  // keys below are replaced, and never gone
constexpr Key kKeys = 600;

bool is_wanted(Key key) { return key % 3 == 0; }

constexpr std::ptrdiff_t kWantedStaying = (kStaying + 2) / 3;

// Every search beside the writer finds all wanted keys that stay, each once, and no other key.
void search_on(const Index& index, const Filter& filter, const Vectors& queries, Plan plan,
               const std::atomic<bool>& is_over, std::atomic<int>& wrong,
               std::atomic<int>& missed) {
  const SearchParams params{.k = kKeys, .ef = kKeys, .filter = &filter, .plan = plan};
  std::vector<Match> out(kKeys);
  for (std::size_t turn = 0; !is_over; ++turn) {
    const auto found = index.search(queries.vector(turn % queries.rows()), params, out);
    if (!found) {
      ++wrong;
      return;
    }
    std::set<Key> seen;
    for (std::size_t i = 0; i < *found; ++i) {
      if (!is_wanted(out[i].key) || !seen.insert(out[i].key).second) ++wrong;
    }
    const auto staying = std::distance(seen.begin(), seen.lower_bound(kStaying));
    if (staying != kWantedStaying) ++missed;
  }
}

TEST(FilterConcurrency, ReadersFindOnlyWhatPassesBesideAWriter) {
  IndexParams params;
  params.dimensions = kDims;
  params.metric = Metric::l2sq;
  params.ef_construction = 40;
  Index index = Index::create(params).value();
  const Vectors vectors = test::random_vectors(kKeys, kDims, 1);
  for (Key key = 0; key < kKeys; ++key) ASSERT_TRUE(index.add(key, vectors.vector(key)));
  const Vectors queries = test::random_vectors(16, kDims, 2);
  std::vector<Key> wanted;
  for (Key key = 0; key < kKeys; key += 3) wanted.push_back(key);
  const Filter shared = Filter::where(index, is_wanted).value();
  std::atomic<bool> is_over{false};
  std::atomic<int> wrong{0};
  std::array<std::atomic<int>, 3> missed{};  // by plan
  std::vector<std::thread> readers;
  for (const Plan plan : {Plan::automatic, Plan::walk, Plan::exact}) {
    std::atomic<int>& missing = missed[static_cast<std::size_t>(plan)];
    readers.emplace_back(
        [&, plan] { search_on(index, shared, queries, plan, is_over, wrong, missing); });
  }
  readers.emplace_back([&] {  // a filter of its own, again and again
    const SearchParams few{.k = 10};
    while (!is_over) {
      const Filter own = Filter::only(index, wanted).value();
      SearchParams asked = few;
      asked.filter = &own;
      const auto found = index.search(queries.vector(0), asked);
      if (!found || found->size() != 10) ++wrong;
    }
  });
  std::mt19937_64 random(3);
  for (int change = 0; change < 1500; ++change) {
    const Key key = random() % kKeys;
    if (key < kStaying || random() % 2 == 0) {
      EXPECT_TRUE(index.upsert(key, vectors.vector(random() % kKeys)));
    } else {
      (void)index.remove(key);
    }
    if (change == 700) {
      EXPECT_TRUE(index.compact());
    }
  }
  is_over = true;
  for (std::thread& reader : readers) reader.join();
  EXPECT_EQ(wrong, 0);
  for (const std::atomic<int>& of_a_plan : missed) EXPECT_EQ(of_a_plan, 0);
}

// As many as a list, and as many as bits.
TEST(FilterConcurrency, AKeyThatIsOnlyReplacedIsFoundWithAsManyResultsAsPass) {
  IndexParams params;
  params.dimensions = kDims;
  params.metric = Metric::l2sq;
  params.ef_construction = 40;
  Index index = Index::create(params).value();
  const Vectors vectors = test::random_vectors(kKeys, kDims, 4);
  for (Key key = 0; key < kKeys; ++key) ASSERT_TRUE(index.add(key, vectors.vector(key)));
  const Vectors queries = test::random_vectors(16, kDims, 5);
  constexpr std::size_t kListed = 8;
  constexpr std::size_t kBits = 60;
  std::atomic<bool> is_over{false};
  std::array<std::atomic<int>, 4> missed{};
  std::vector<std::thread> readers;
  std::size_t reader = 0;
  for (const std::size_t n : {kListed, kBits}) {
    for (const Plan plan : {Plan::walk, Plan::exact}) {
      readers.emplace_back([&, n, plan, at = reader++] {
        std::vector<Key> keys(n);
        std::iota(keys.begin(), keys.end(), Key{0});
        const Filter filter = Filter::only(index, keys).value();
        std::vector<Match> out(n);
        for (std::size_t turn = 0; !is_over; ++turn) {
          const SearchParams all{.k = n, .ef = n, .filter = &filter, .plan = plan};
          const auto found = index.search(queries.vector(turn % queries.rows()), all, out);
          std::set<Key> seen;
          for (std::size_t i = 0; found && i < *found; ++i) seen.insert(out[i].key);
          if (seen.size() != n || *seen.rbegin() >= n) ++missed[at];
        }
      });
    }
  }
  std::mt19937_64 random(6);
  for (int change = 0; change < 800; ++change) {
    EXPECT_TRUE(index.upsert(random() % (2 * kBits), vectors.vector(random() % kKeys)));
    if (change == 400) {
      EXPECT_TRUE(index.compact());
    }
  }
  is_over = true;
  for (std::thread& thread : readers) thread.join();
  for (const std::atomic<int>& of_a_reader : missed) EXPECT_EQ(of_a_reader, 0);
}

}  // namespace
}  // namespace cairn
