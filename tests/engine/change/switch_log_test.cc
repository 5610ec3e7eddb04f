// SPDX-License-Identifier: Apache-2.0
//
// Keys whose vectors are replaced while searches run.
#include "engine/store/switch_log.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <optional>
#include <thread>
#include <vector>

#include <cairn/cairn.h>

#include "engine/base/commit_mutex.h"
#include "engine/base/table_mutex.h"
#include "engine/change/writer.h"
#include "engine/search/pager.h"
#include "engine/search/search.h"
#include "tests/support/temporary_directory.h"
#include "tests/support/vectors.h"

namespace cairn {
namespace {

using format::Region;

std::vector<std::uint32_t> seen_since(const SwitchLog& log, const SwitchLog::Position& position) {
  std::vector<std::uint32_t> nodes;
  log.for_each(position, log.since(position), [&](NodeId node) { nodes.push_back(node.index); });
  return nodes;
}

TEST(SwitchLog, TellsWhatHadNotEndedAndWhatBeganLater) {
  Epochs epochs;
  SwitchLog log;
  const auto replace = [&](std::uint32_t node) {
    log.reserve(epochs);
    log.begin({node});
  };
  replace(7);
  log.end();
  replace(8);
  const SwitchLog::Position during = log.position();
  EXPECT_EQ(seen_since(log, during), (std::vector<std::uint32_t>{8}));
  log.end();
  const SwitchLog::Position behind = log.position();
  EXPECT_EQ(seen_since(log, behind), std::vector<std::uint32_t>());
  replace(9);
  EXPECT_EQ(seen_since(log, during), (std::vector<std::uint32_t>{8, 9}));
  EXPECT_EQ(seen_since(log, behind), (std::vector<std::uint32_t>{9}));
}

TEST(SwitchLog, KeepsAsMuchAsAReaderNeedsHoweverMuchThatIs) {
  Epochs epochs;
  SwitchLog log;
  std::vector<std::uint32_t> expected;
  for (const std::uint32_t begun : {0u, 119u, 120u, 121u}) {
    for (std::uint32_t node = 0; node < begun; ++node) {
      log.reserve(epochs);
      log.begin({node});
      log.end();
      (void)epochs.advance();
    }
    const Epochs::Guard guard(epochs);
    const SwitchLog::Position position = log.position();
    expected.clear();
    for (std::uint32_t node = 0; node < 3000; ++node) {
      log.reserve(epochs);
      log.begin({node});
      log.end();
      (void)epochs.advance();
      expected.push_back(node);
    }
    ASSERT_EQ(seen_since(log, position), expected) << begun;
  }
}

TEST(SwitchLog, AReplacementOfManyNodesIsOne) {
  Epochs epochs;
  SwitchLog log;
  std::uint32_t next = 0;
  for (const std::uint32_t nodes : {1u, 119u, 120u, 121u, 1u, 500u, 3u}) {
    const Epochs::Guard guard(epochs);
    const SwitchLog::Position before = log.position();
    std::vector<std::uint32_t> expected(nodes);
    log.reserve(epochs, nodes);
    for (std::uint32_t& node : expected) log.begin({node = next++});
    EXPECT_EQ(seen_since(log, log.position()), expected);
    log.end();
    EXPECT_EQ(seen_since(log, before), expected);
    EXPECT_EQ(seen_since(log, log.position()), std::vector<std::uint32_t>());
    log.reserve(epochs);
    log.begin({next});
    expected.push_back(next++);
    log.end();
    EXPECT_EQ(seen_since(log, before), expected);
  }
}

constexpr std::size_t kDims = 4;
constexpr Key kKeys = 300;
constexpr Key kChosen = 7;

// An index without the public class, so that a search can begin and change after change be made
// before it goes on.
class Replaced {
 public:
  explicit Replaced(Traversal traversal) : store_(NodeStore::create(layout(traversal)).value()) {
    for (Key key = 0; key < kKeys; ++key) put(key, vectors_.row(key));
  }

  void put(Key key, const float* vector) { ASSERT_TRUE(writer_.upsert(key, vector)); }
  void remove(Key key) { ASSERT_TRUE(writer_.remove(key)); }

  struct Begun {
    Epochs::Guard guard;
    Space space;
  };
  Begun begin() { return {Epochs::Guard(epochs_), Space(store_.parameters(), store_.view())}; }

  // The distance at which a search for `query` finds the chosen key; nothing if it does not.
  std::optional<float> find(const Space& space, const std::vector<float>& query) {
    std::vector<Match> matches(10);
    matches.resize(knn_search(space, VectorView(query), {.k = 10, .ef = 64}, scratch_, matches));
    std::optional<float> found;
    for (const Match& match : matches) {
      if (match.key != kChosen) continue;
      EXPECT_FALSE(found) << "twice";
      found = match.distance;
    }
    return found;
  }
  std::optional<float> find_now(const std::vector<float>& query) {
    return find(Space(store_.parameters(), store_.view()), query);
  }
  std::vector<float> vector(Key key) const {
    return {vectors_.row(key), vectors_.row(key) + kDims};
  }

 private:
  static format::Parameters layout(Traversal traversal) {
    IndexParams params;
    params.dimensions = kDims;
    params.metric = Metric::l2sq;
    params.m = 6;
    params.ef_construction = 40;
    params.traversal = traversal;
    return NodeStore::layout(params);
  }
  static Region region() { return Region::reserve(4096, format::kHugePage).value(); }

  test::Vectors vectors_ = test::random_vectors(kKeys, kDims, 5);
  NodeStore store_;
  Region hash_ = region();
  Region overflow_ = region();
  KeyTable table_{&hash_, &overflow_, store_.key_region(), 42};
  CommitMutex commit_;
  TableMutex table_mutex_;
  Epochs epochs_;
  Writer writer_{store_, table_, commit_, table_mutex_, epochs_};
  SearchScratch scratch_;
};

class Switching : public testing::TestWithParam<Traversal> {};

TEST_P(Switching, ASearchThatHasBegunFindsTheVectorThatIsReplacedMeanwhile) {
  Replaced index(GetParam());
  const std::vector<float> old = index.vector(kChosen);
  const std::vector<float> far(kDims, 100.0f);
  const auto begun = index.begin();
  index.put(kChosen, old.data());
  EXPECT_EQ(index.find(begun.space, old), 0.0f);
  index.put(kChosen, far.data());
  EXPECT_EQ(index.find(begun.space, old), 0.0f);
  for (int i = 0; i < 400; ++i) index.put(kChosen, (i % 2 == 0 ? old : far).data());
  EXPECT_EQ(index.find(begun.space, old), 0.0f);
  EXPECT_EQ(index.find_now(old), std::nullopt);
  EXPECT_EQ(index.find_now(far), 0.0f);
}

TEST_P(Switching, OfThoseThatAreReplacedMeanwhileEachIsFound) {
  Replaced index(GetParam());
  const auto begun = index.begin();
  const std::vector<float> far(kDims, 100.0f);
  for (Key key = 0; key < kKeys; ++key) index.put(key, far.data());
  EXPECT_EQ(index.find(begun.space, index.vector(kChosen)), 0.0f);
}

TEST_P(Switching, ASearchThatBeginsLaterDoesNotFindTheOldVector) {
  Replaced index(GetParam());
  const std::vector<float> old = index.vector(kChosen);
  const std::vector<float> far(kDims, 100.0f);
  for (int i = 0; i < 300; ++i) {
    index.put(kChosen, far.data());
    ASSERT_EQ(index.find_now(old), std::nullopt);
    index.put(kChosen, old.data());
    ASSERT_EQ(index.find_now(old), 0.0f);
  }
}

TEST_P(Switching, ARemovedKeyIsNotFoundByASearchThatBeginsLater) {
  Replaced index(GetParam());
  const std::vector<float> old = index.vector(kChosen);
  const auto begun = index.begin();
  index.put(kChosen, old.data());
  index.remove(kChosen);
  EXPECT_EQ(index.find(begun.space, old), 0.0f);  // it was there when the search began
  EXPECT_EQ(index.find_now(old), std::nullopt);
}

// The next page of ten.
std::vector<Match> page_of(Pager& pager, const Space& space, const std::vector<float>& query,
                           Order order, Plan plan) {
  space.view().slot_log->keep();
  SearchParams params{.k = 1, .ef = 32};
  params.plan = plan;
  std::vector<Match> page(10);
  page.resize(pager.next(space, VectorView(query), params, order, nullptr, page));
  pager.confirm();
  return page;
}

std::vector<float> distances_of_chosen(const std::vector<Match>& page) {
  std::vector<float> distances;
  for (const Match& match : page) {
    if (match.key == kChosen) distances.push_back(match.distance);
  }
  return distances;
}

TEST_P(Switching, APageThatHasBegunHasTheVectorThatIsReplacedMeanwhile) {
  for (const Plan plan : {Plan::walk, Plan::exact}) {
    for (const Order order : {Order::relaxed, Order::strict}) {
      Replaced index(GetParam());
      const std::vector<float> old = index.vector(kChosen);
      const std::vector<float> far(kDims, 100.0f);
      const auto begun = index.begin();
      for (int i = 0; i < 100; ++i) {
        index.put(kChosen, (i % 2 == 0 ? old : far).data());
        Pager pager;
        EXPECT_EQ(distances_of_chosen(page_of(pager, begun.space, old, order, plan)),
                  std::vector<float>{0});
      }
    }
  }
}

TEST_P(Switching, AKeyThatIsReplacedWhileAPageIsMadeIsOnOneOfThePages) {
  for (const Plan plan : {Plan::walk, Plan::exact}) {
    for (const bool is_near : {true, false}) {
      Replaced index(GetParam());
      const std::vector<float> far(kDims, 100.0f);
      const std::vector<float> query = is_near ? index.vector(kChosen) : far;
      std::vector<float> nearer = index.vector(kChosen);
      for (float& x : nearer) x *= 0.9f;
      Pager pager;
      std::vector<float> found;
      for (bool is_first = true;; is_first = false) {
        const auto begun = index.begin();
        if (is_first) index.put(kChosen, nearer.data());
        const auto page = page_of(pager, begun.space, query, Order::relaxed, plan);
        if (page.empty()) break;
        for (const float distance : distances_of_chosen(page)) found.push_back(distance);
      }
      ASSERT_EQ(found.size(), 1u);
      double expected = 0;
      for (std::size_t i = 0; i < kDims && !is_near; ++i) {
        expected += (query[i] - nearer[i]) * (query[i] - nearer[i]);
      }
      EXPECT_NEAR(found[0], expected, 1e-5 * expected);  // on the first page it is the old one's
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Traversals, Switching, testing::Values(Traversal::code, Traversal::exact),
                         [](const auto& one) {
                           return std::string(one.param == Traversal::code ? "code" : "exact");
                         });

IndexParams some_params() {
  IndexParams params;
  params.dimensions = kDims;
  params.metric = Metric::l2sq;
  params.m = 6;
  params.ef_construction = 40;
  return params;
}

// Searches for the chosen key in `searched` while `changed` replaces its vector again and again.
void expect_found_beside_replacements(const Index& searched, Index& changed,
                                      const test::Vectors& vectors) {
  constexpr int kSearches = 1500;
  const VectorView chosen = vectors.vector(kChosen);
  std::atomic<bool> stop{false};
  std::atomic<int> missing{0};
  std::atomic<int> twice{0};
  const auto count = [&](std::span<const Match> matches) {
    const auto found = std::count_if(matches.begin(), matches.end(),
                                     [](const Match& match) { return match.key == kChosen; });
    missing += found == 0;
    twice += found > 1;
  };
  std::thread writer([&] {
    while (!stop) ASSERT_TRUE(changed.upsert(kChosen, chosen));
  });
  std::vector<Match> matches(40);
  std::vector<std::size_t> counts(4);
  const std::vector<float> queries = [&] {
    std::vector<float> rows;
    for (int i = 0; i < 4; ++i)
      rows.insert(rows.end(), vectors.row(kChosen), vectors.row(kChosen + 1));
    return rows;
  }();
  for (int i = 0; i < kSearches; ++i) {
    const auto found = searched.search(chosen, {.k = 10, .ef = 32}, matches);
    ASSERT_TRUE(found);
    count(std::span(matches).first(*found));
    if (i % 10 != 0) continue;
    ASSERT_TRUE(searched.search_batch(MatrixView::f32(queries.data(), 4, kDims),
                                      {.k = 10, .ef = 32}, matches, counts, 2));
    for (std::size_t row = 0; row < counts.size(); ++row) {
      count(std::span(matches).subspan(row * 10, counts[row]));
    }
  }
  stop = true;
  writer.join();
  EXPECT_EQ(missing, 0);
  EXPECT_EQ(twice, 0);
}

TEST(ReplacedBesideSearches, EverySearchFindsAKeyThatIsThereThroughout) {
  const test::Vectors vectors = test::random_vectors(kKeys, kDims, 6);
  Index index = Index::create(some_params()).value();
  for (std::size_t i = 0; i < vectors.rows(); ++i) {
    ASSERT_TRUE(index.add(i, vectors.vector(i)));
  }
  expect_found_beside_replacements(index, index, vectors);
}

// Its vectors are replaced by one, and that gets company again.
TEST(ReplacedBesideSearches, EverySearchFindsAKeyWithSeveralVectors) {
  IndexParams params = some_params();
  params.several_per_key = true;
  const test::Vectors vectors = test::random_vectors(kKeys, kDims, 6);
  Index index = Index::create(params).value();
  for (std::size_t i = 0; i < vectors.rows(); ++i) {
    ASSERT_TRUE(index.add(i, vectors.vector(i)));
    ASSERT_TRUE(index.add(i, vectors.vector((i + 1) % kKeys)));
  }
  const VectorView chosen = vectors.vector(kChosen);
  const std::vector<float> far(kDims, 100.0f);
  std::atomic<bool> stop{false};
  std::thread writer([&] {
    while (!stop) {
      ASSERT_TRUE(index.upsert(kChosen, chosen));
      for (int i = 0; i < 7; ++i) ASSERT_TRUE(index.add(kChosen, i % 2 == 0 ? chosen : far));
    }
  });
  int missing = 0;
  int twice = 0;
  int wrong = 0;
  for (const Plan plan : {Plan::walk, Plan::exact}) {
    SearchParams search{.k = 10, .ef = 32};
    search.plan = plan;
    for (int i = 0; i < 700; ++i) {
      const auto found = index.search(chosen, search);
      ASSERT_TRUE(found);
      int times = 0;
      for (const Match& match : *found) {
        times += match.key == kChosen;
        wrong += match.key == kChosen && match.distance != 0;
      }
      missing += times == 0;
      twice += times > 1;
    }
  }
  stop = true;
  writer.join();
  EXPECT_EQ(missing, 0);
  EXPECT_EQ(twice, 0);
  EXPECT_EQ(wrong, 0);
}

TEST(ReplacedBesideSearches, SoDoesOneOfAReaderOfTheFile) {
  const test::TemporaryDirectory directory;
  const test::Vectors vectors = test::random_vectors(kKeys, kDims, 6);
  Index index =
      Index::create(directory / "a", some_params(), {.durability = Durability::none}).value();
  for (std::size_t i = 0; i < vectors.rows(); ++i) {
    ASSERT_TRUE(index.add(i, vectors.vector(i)));
  }
  ASSERT_TRUE(index.sync());  // before that a reader need not see any of them
  Index reader = Index::open(directory / "a").value();
  std::atomic<bool> stop{false};
  std::thread refresher([&] {
    while (!stop) ASSERT_TRUE(reader.refresh());
  });
  expect_found_beside_replacements(reader, index, vectors);
  stop = true;
  refresher.join();
}

}  // namespace
}  // namespace cairn
