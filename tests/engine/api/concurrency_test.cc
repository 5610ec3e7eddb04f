// SPDX-License-Identifier: Apache-2.0
//
// Many threads on one index. Each test is a fact about results, and under ThreadSanitizer one about
// races too.
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cmath>
#include <functional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <cairn/cairn.h>

#include "tests/support/sanitizers.h"
#include "tests/support/temporary_directory.h"
#include "tests/support/vectors.h"

namespace cairn {
namespace {

using test::TemporaryDirectory;
using test::Vectors;

constexpr std::size_t kRows = 1200;
constexpr std::size_t kDims = 12;

IndexParams some_params(Traversal traversal = Traversal::code) {
  IndexParams params;
  params.dimensions = kDims;
  params.metric = Metric::l2sq;
  params.m = 8;
  params.ef_construction = 40;
  params.traversal = traversal;
  return params;
}

Index empty_index(Traversal traversal = Traversal::code) {
  return Index::create(some_params(traversal)).value();
}

// Threads that are waited for.
class Threads {
 public:
  Threads() = default;
  Threads(const Threads&) = delete;
  Threads& operator=(const Threads&) = delete;
  ~Threads() { join(); }

  void start(std::function<void()> body) { threads_.emplace_back(std::move(body)); }
  void join() {
    for (std::thread& thread : threads_) thread.join();
    threads_.clear();
  }

 private:
  std::vector<std::thread> threads_;
};

// Failures seen by threads, told by the test's own.
class Complaints {
 public:
  void expect(bool good, const char* what) {
    if (!good) what_.store(what);
  }
  ~Complaints() {
    if (what_ != nullptr) ADD_FAILURE() << what_.load();
  }

 private:
  std::atomic<const char*> what_{nullptr};
};

// Sorted, no key twice, and each distance that of the key's vector. Keys are those of `vectors`.
bool is_valid(const std::vector<Match>& matches, const Vectors& vectors, const float* query) {
  for (std::size_t i = 0; i < matches.size(); ++i) {
    const Match match = matches[i];
    if (match.key < 1000 || (match.key - 1000) % 7 != 0) return false;
    const std::size_t row = (match.key - 1000) / 7;
    if (row >= vectors.rows()) return false;
    const double exact = test::reference_distance(Metric::l2sq, query, vectors.row(row), kDims);
    const double off = test::tolerance(Metric::l2sq, query, vectors.row(row), kDims);
    if (!(std::abs(double{match.distance} - exact) <= off)) return false;
    for (std::size_t j = 0; j < i; ++j) {
      if (matches[j].key == match.key) return false;
    }
    if (i == 0) continue;
    const Match before = matches[i - 1];
    if (before.distance > match.distance) return false;
    if (before.distance == match.distance && before.key > match.key) return false;
  }
  return true;
}

void expect_every_key_finds_itself(const Index& index, const Vectors& vectors) {
  std::size_t found = 0;
  for (std::size_t i = 0; i < vectors.rows(); ++i) {
    const auto matches = index.search(vectors.vector(i), {1, 64});
    ASSERT_TRUE(matches);
    found += !matches->empty() && matches->front().key == vectors.keys[i];
    EXPECT_TRUE(index.contains(vectors.keys[i]));
  }
  EXPECT_EQ(found, vectors.rows());
  const auto report = index.verify();
  ASSERT_TRUE(report);
  EXPECT_EQ(report->findings, std::vector<std::string>());
  EXPECT_EQ(report->unreachable, 0u);
}

TEST(Concurrency, SearchesBesideOneAdderAreValidAndFindWhatHasBeenAdded) {
  for (const Traversal traversal : {Traversal::code, Traversal::exact}) {
    const Vectors vectors = test::random_vectors(kRows, kDims, 1);
    Index index = empty_index(traversal);
    std::atomic<std::size_t> added{0};
    std::atomic<std::size_t> searched{0};
    std::atomic<std::size_t> missed{0};
    {
      Complaints complaints;
      Threads threads;
      for (std::size_t t = 0; t < 3; ++t) {
        threads.start([&, t] {
          for (std::size_t i = t; added < kRows; i += 7) {
            const std::size_t there = added;
            if (there == 0) continue;
            const std::size_t row = i * 31 % there;
            const auto matches = index.search(vectors.vector(row), {10, 64});
            complaints.expect(matches.has_value(), "a search failed");
            if (!matches) return;
            complaints.expect(is_valid(*matches, vectors, vectors.row(row)), "a wrong result");
            missed += matches->empty() || matches->front().key != vectors.keys[row];
            ++searched;
          }
        });
      }
      threads.start([&] {
        for (std::size_t i = 0; i < kRows; ++i) {
          complaints.expect(index.add(vectors.keys[i], vectors.vector(i)).has_value(),
                            "add failed");
          added = i + 1;
        }
      });
      threads.join();
    }
    // A list that is replaced while a search reads it shows some of the old links and some of the
    // new ones.
    EXPECT_LE(missed.load(), searched / 100) << "of " << searched;
    EXPECT_EQ(index.size(), kRows);
    expect_every_key_finds_itself(index, vectors);
  }
}

// Each time that it looks at candidates another thread has added one.
TEST(Concurrency, SearchesForMoreThanThereIsEndBesideAnAdder) {
  Index index = empty_index();
  const Vectors vectors = test::random_vectors(kRows, kDims, 1);
  constexpr Key kFirst = 50;
  for (Key key = 0; key < kFirst; ++key) ASSERT_TRUE(index.add(key, vectors.vector(key)));
  Key next = kFirst;
  std::uint64_t searches = 0;
  const std::function<float(Key, VectorView)> add_one = [&](Key key, VectorView) {
    if (const std::uint64_t now = index.stats().searches; now != searches && next < 2 * kFirst) {
      searches = now;
      std::thread([&] { EXPECT_TRUE(index.add(next, vectors.vector(next))); }).join();
      ++next;
    }
    return static_cast<float>(key);
  };
  const auto found = index.search(vectors.vector(0), {.k = kRows, .ef = 200, .rerank = &add_one});
  ASSERT_TRUE(found);
  EXPECT_GE(found->size(), kFirst);
  EXPECT_LE(index.stats().searches, 2u);
}

TEST(Concurrency, LookUpsBesideAnAdderAreRight) {
  const Vectors vectors = test::random_vectors(kRows, kDims, 2);
  Index index = empty_index();
  std::atomic<std::size_t> added{0};
  Complaints complaints;
  Threads threads;
  for (std::size_t t = 0; t < 2; ++t) {
    threads.start([&, t] {
      std::vector<float> out(kDims);
      for (std::size_t i = t; added < kRows; i += 3) {
        const std::size_t there = added;
        const std::size_t size = index.size();
        complaints.expect(size >= there, "size() forgets");
        const Stats stats = index.stats();
        complaints.expect(stats.live >= there && stats.deleted <= 1, "stats() forget");
        complaints.expect(!index.contains(999), "a key that nobody added");
        if (there == 0) continue;
        const std::size_t row = i * 13 % there;
        complaints.expect(index.contains(vectors.keys[row]), "a key is not there");
        complaints.expect(index.get(vectors.keys[row], out).has_value(), "get() failed");
        complaints.expect(std::equal(out.begin(), out.end(), vectors.row(row)), "another vector");
      }
    });
  }
  for (std::size_t i = 0; i < kRows; ++i) {
    EXPECT_TRUE(index.add(vectors.keys[i], vectors.vector(i)));
    added = i + 1;
  }
}

// Buckets split and merge, chains grow and shrink, nodes of keys change; the keys stay.
// A thread that waits for another one gives its processor up; one that lost it does not count.
TEST(Concurrency, AnAdderNeverWaitsForLookUps) {
  if (CAIRN_TEST_SANITIZED) GTEST_SKIP() << "a sanitizer has locks of its own";
  const Vectors vectors = test::random_vectors(kRows, kDims, 11);
  Index index = empty_index();
  for (std::size_t i = 0; i < 200; ++i) ASSERT_TRUE(index.add(vectors.keys[i], vectors.vector(i)));
  std::atomic<bool> stop{false};
  Threads threads;
  for (std::size_t t = 0; t < 8; ++t) {
    threads.start([&, t] {
      std::vector<float> vector(kDims);
      for (std::size_t i = t; !stop; ++i) {
        (void)index.contains(vectors.keys[i % 200]);
        (void)index.get(vectors.keys[i % 200], vector);
        (void)index.size();
      }
    });
  }
  rusage before{};
  rusage after{};
  getrusage(RUSAGE_THREAD, &before);
  for (std::size_t i = 200; i < kRows; ++i) {
    EXPECT_TRUE(index.add(vectors.keys[i], vectors.vector(i)));
  }
  getrusage(RUSAGE_THREAD, &after);
  stop = true;
  threads.join();
  // The allocator and the kernel's page tables have locks too.
  EXPECT_LT(after.ru_nvcsw - before.ru_nvcsw, 20);
}

TEST(Concurrency, LookUpsBesideAllKindsOfChangesFindWhatIsThereThroughout) {
  constexpr std::size_t kStable = 100;
  const Vectors vectors = test::random_vectors(300, kDims, 31);
  Index index = empty_index();
  for (std::size_t i = 0; i < kStable; ++i) {
    ASSERT_TRUE(index.add(vectors.keys[i], vectors.vector(i)));
  }
  std::atomic<bool> stop{false};
  Complaints complaints;
  Threads threads;
  for (std::size_t t = 0; t < 3; ++t) {
    threads.start([&, t] {
      std::vector<float> seen(kDims);
      for (std::size_t i = t; !stop; i = (i + 7) % kStable) {
        complaints.expect(index.contains(vectors.keys[i]), "a key is not there");
        complaints.expect(!index.contains(vectors.keys[i] + 1), "a key is there");
        const auto got = index.get(vectors.keys[i], seen);
        complaints.expect(got.has_value(), "a vector is not there");
        complaints.expect(std::equal(seen.begin(), seen.end(), vectors.row(i)), "another vector");
        complaints.expect(index.size() >= kStable, "too few keys");
      }
    });
  }
  for (int round = 0; round < 2; ++round) {
    for (std::size_t i = kStable; i < vectors.rows(); ++i) {
      ASSERT_TRUE(index.add(vectors.keys[i], vectors.vector(i)));
    }
    for (std::size_t i = 0; i < kStable; ++i) {
      ASSERT_TRUE(index.upsert(vectors.keys[i], vectors.vector(i)));
    }
    for (std::size_t i = kStable; i < vectors.rows(); ++i) {
      ASSERT_TRUE(index.remove(vectors.keys[i]));
    }
    ASSERT_TRUE(index.compact());
  }
  stop = true;
}

TEST(Concurrency, SavingAndVerifyingBesideAnAdderSeeWholeStates) {
  const TemporaryDirectory directory;
  const Vectors vectors = test::random_vectors(kRows, kDims, 3);
  Index index = empty_index();
  std::atomic<std::size_t> added{0};
  std::atomic<int> rounds{0};
  Complaints complaints;
  Threads threads;
  threads.start([&] {
    do {
      const std::size_t before = added;
      complaints.expect(index.save(directory / "a").has_value(), "save() failed");
      const std::size_t after = added;
      const auto opened = Index::open(directory / "a");
      complaints.expect(opened.has_value(), "what was saved does not open");
      if (!opened) return;
      complaints.expect(opened->size() >= before && opened->size() <= after + 1, "another size");
      const auto report = opened->verify();
      complaints.expect(report && report->ok(), "the saved file has findings");
      complaints.expect(report && report->unreachable == 0, "the saved file has orphans");
      ++rounds;
    } while (added < kRows);
  });
  threads.start([&] {
    do {
      BuildOptions options;
      options.threads = 2;
      const auto report = index.verify(options);
      complaints.expect(report && report->ok(), "the index has findings");
      complaints.expect(report && report->unreachable == 0, "the index has orphans");
      ++rounds;
    } while (added < kRows);
  });
  for (std::size_t i = 0; i < kRows; ++i) {
    EXPECT_TRUE(index.add(vectors.keys[i], vectors.vector(i)));
    added = i + 1;
  }
  threads.join();
  EXPECT_GE(rounds.load(), 2);
  expect_every_key_finds_itself(index, vectors);
}

TEST(Concurrency, TwoAddersAndASearcher) {
  const Vectors vectors = test::random_vectors(kRows, kDims, 4);
  Index index = empty_index();
  std::atomic<int> adders{2};
  {
    Complaints complaints;
    Threads threads;
    for (std::size_t t = 0; t < 2; ++t) {
      threads.start([&, t] {
        for (std::size_t i = t; i < kRows; i += 2) {
          complaints.expect(index.add(vectors.keys[i], vectors.vector(i)).has_value(),
                            "add failed");
        }
        --adders;
      });
    }
    threads.start([&] {
      for (std::size_t i = 0; adders > 0; ++i) {
        const std::size_t row = i % kRows;
        const auto matches = index.search(vectors.vector(row), {5, 20});
        complaints.expect(matches && is_valid(*matches, vectors, vectors.row(row)),
                          "a wrong result");
      }
    });
  }
  EXPECT_EQ(index.size(), kRows);
  expect_every_key_finds_itself(index, vectors);
}

TEST(Concurrency, OfAddersOfTheSameKeyOneSucceeds) {
  const Vectors vectors = test::random_vectors(300, kDims, 5);
  Index index = empty_index();
  std::vector<std::atomic<int>> successes(300);
  {
    Complaints complaints;
    Threads threads;
    for (int t = 0; t < 3; ++t) {
      threads.start([&] {
        for (std::size_t i = 0; i < 300; ++i) {
          const auto added = index.add(vectors.keys[i], vectors.vector(i));
          if (added) {
            ++successes[i];
          } else {
            complaints.expect(added.error().code() == ErrorCode::key_exists, "another error");
          }
        }
      });
    }
  }
  for (const auto& count : successes) EXPECT_EQ(count.load(), 1);
  EXPECT_EQ(index.size(), 300u);
  expect_every_key_finds_itself(index, vectors);
}

TEST(Concurrency, BesideABuildTheIndexIsEmptyOrComplete) {
  const Vectors vectors = test::random_vectors(kRows, kDims, 6);
  Index index = empty_index();
  std::atomic<bool> ended{false};
  std::atomic<std::size_t> seen_empty{0};
  {
    Complaints complaints;
    Threads threads;
    for (std::size_t t = 0; t < 2; ++t) {
      threads.start([&, t] {
        bool last = false;
        for (std::size_t i = t; !last; i = (i + 5) % kRows) {
          last = ended;
          const auto matches = index.search(vectors.vector(i), {10, 64});
          complaints.expect(matches && (matches->empty() || matches->size() == 10), "a part of it");
          complaints.expect(matches && is_valid(*matches, vectors, vectors.row(i)),
                            "a wrong result");
          complaints.expect(!last || matches->size() == 10, "nothing after the end");
          const std::size_t size = index.size();
          complaints.expect(size == 0 || size == kRows, "a part of the keys");
          complaints.expect(size == 0 || index.contains(vectors.keys[i]), "a key is not there");
          (void)index.stats();
          seen_empty += matches->empty();
        }
      });
    }
    BuildOptions options;
    options.threads = 2;
    options.progress = [&](std::size_t, std::size_t) {
      // The build waits for somebody to see it.
      while (seen_empty == 0) std::this_thread::yield();
    };
    const auto built = index.build(vectors.keys, vectors.matrix(), options);
    ended = true;
    ASSERT_TRUE(built);
  }
  EXPECT_GT(seen_empty.load(), 0u);
  expect_every_key_finds_itself(index, vectors);
}

TEST(Concurrency, ManyThreadsSearchOneFile) {
  const TemporaryDirectory directory;
  const Vectors vectors = test::random_vectors(kRows, kDims, 7);
  ASSERT_TRUE(test::built(some_params(), vectors).save(directory / "a"));
  const auto index = Index::open(directory / "a");
  ASSERT_TRUE(index);
  std::vector<std::vector<Match>> expected;
  for (std::size_t i = 0; i < 50; ++i) {
    expected.push_back(*index->search(vectors.vector(i), {10, 64}));
  }
  Complaints complaints;
  Threads threads;
  for (std::size_t t = 0; t < 80; ++t) {  // more than working memories wait to be used again
    threads.start([&, t] {
      std::vector<Match> out(10);
      for (std::size_t i = 0; i < 50; ++i) {
        const std::size_t row = (i + t) % 50;
        const auto found = index->search(vectors.vector(row), {10, 64}, out);
        complaints.expect(found && *found == expected[row].size(), "another number of results");
        for (std::size_t j = 0; j < expected[row].size(); ++j) {
          complaints.expect(out[j].key == expected[row][j].key, "another result");
        }
      }
    });
  }
}

TEST(Concurrency, BatchesOfSeveralThreadsRunAtOnce) {
  const Vectors vectors = test::random_vectors(kRows, kDims, 8);
  const Index index = test::built(some_params(), vectors);
  Complaints complaints;
  Threads threads;
  for (int t = 0; t < 3; ++t) {
    threads.start([&] {
      std::vector<Match> out(kRows);
      std::vector<std::size_t> counts(kRows);
      const auto searched = index.search_batch(vectors.matrix(), {1, 64}, out, counts, 2);
      complaints.expect(searched.has_value(), "search_batch() failed");
      for (std::size_t i = 0; i < kRows; ++i) {
        complaints.expect(counts[i] == 1 && out[i].key == vectors.keys[i], "another result");
      }
    });
  }
}

// Every thread changes keys of its own, so that it knows what must be there; all search everything.
TEST(Concurrency, AddersUpsertersRemoversAndSearchersAtOnce) {
  constexpr std::size_t kKeys = 240;  // of each thread
  constexpr std::size_t kThreads = 3;
  constexpr int kSteps = 500;
  // Row 2 i and row 2 i + 1 are the vectors that the i-th key has in turn.
  const Vectors vectors = test::random_vectors(2 * kKeys * kThreads, kDims, 9);
  for (const Traversal traversal : {Traversal::code, Traversal::exact}) {
    Index index = empty_index(traversal);
    std::vector<int> state(kKeys * kThreads);  // 0: not there, else 1 + which of its vectors
    std::atomic<std::size_t> changing{kThreads};
    {
      Complaints complaints;
      Threads threads;
      for (std::size_t t = 0; t < kThreads; ++t) {
        threads.start([&, t] {
          std::vector<float> out(kDims);
          std::uint64_t random = t + 1;
          for (int step = 0; step < kSteps; ++step) {
            random = random * 6364136223846793005u + 1442695040888963407u;
            const Key key = t * kKeys + (random >> 33) % kKeys;
            const std::size_t which = (random >> 60) % 2;
            int& now = state[key];
            switch ((random >> 20) % 5) {
              case 0:
              case 1: {
                const bool done = index.remove(key).has_value();
                complaints.expect(done == (now != 0), "remove() of a key that is there");
                now = 0;
                break;
              }
              case 2: {
                const bool done = index.add(key, vectors.vector(2 * key + which)).has_value();
                complaints.expect(done == (now == 0), "add() of a key that is not there");
                if (done) now = static_cast<int>(1 + which);
                break;
              }
              default: {
                const auto done = index.upsert(key, vectors.vector(2 * key + which));
                complaints.expect(done.has_value(), "upsert() failed");
                now = static_cast<int>(1 + which);
              }
            }
            const bool there = index.get(key, out).has_value();
            complaints.expect(there == (now != 0), "get() disagrees");
            complaints.expect(there == index.contains(key), "contains() disagrees");
            if (there) {
              const float* row = vectors.row(2 * key + static_cast<std::size_t>(now - 1));
              complaints.expect(std::equal(out.begin(), out.end(), row), "another vector");
            }
            const auto matches = index.search(vectors.vector(2 * key + which), {8, 32});
            complaints.expect(matches.has_value(), "a search failed");
            for (std::size_t i = 0; matches && i < matches->size(); ++i) {
              const Match& match = (*matches)[i];
              // Its own keys have not changed since the search began.
              if (match.key / kKeys == t) {
                complaints.expect(state[match.key] != 0, "a removed key is found");
                const std::size_t row =
                    2 * match.key + static_cast<std::size_t>(std::max(1, state[match.key]) - 1);
                const double exact = test::reference_distance(
                    Metric::l2sq, vectors.row(2 * key + which), vectors.row(row), kDims);
                complaints.expect(std::abs(double{match.distance} - exact) < 1e-3,
                                  "a new key with the old vector");
              }
              for (std::size_t j = 0; j < i; ++j) {
                complaints.expect((*matches)[j].key != match.key, "a key twice");
              }
            }
          }
          --changing;
        });
      }
      threads.start([&] {
        std::vector<Match> out(10);
        for (std::size_t i = 0; changing > 0; ++i) {
          const std::size_t row = i % vectors.rows();
          const auto found = index.search(vectors.vector(row), {10, 40}, out);
          complaints.expect(found.has_value(), "a search failed");
          for (std::size_t j = 0; found && j < *found; ++j) {
            // One of the two vectors of the key.
            bool right = false;
            for (const std::size_t which : {std::size_t{0}, std::size_t{1}}) {
              const double exact = test::reference_distance(
                  Metric::l2sq, vectors.row(row), vectors.row(2 * out[j].key + which), kDims);
              right = right || std::abs(double{out[j].distance} - exact) < 1e-3;
            }
            complaints.expect(right, "a distance to no vector of the key");
            for (std::size_t other = 0; other < j; ++other) {
              complaints.expect(out[other].key != out[j].key, "a key twice");
            }
          }
        }
      });
      threads.start([&] {
        BuildOptions options;
        options.threads = 1;
        while (changing > 0) {
          const auto report = index.verify(options);
          complaints.expect(report && report->ok(), "the index has findings");
          complaints.expect(report && report->unreachable == 0, "the index has orphans");
          complaints.expect(index.compact().has_value(), "compact() failed");
          std::this_thread::sleep_for(std::chrono::milliseconds(5));
        }
      });
      threads.join();
    }
    const auto live = static_cast<std::size_t>(
        std::count_if(state.begin(), state.end(), [](int now) { return now != 0; }));
    EXPECT_EQ(index.size(), live);
    std::size_t found = 0;
    for (Key key = 0; key < state.size(); ++key) {
      ASSERT_EQ(index.contains(key), state[key] != 0);
      if (state[key] == 0) continue;
      const std::size_t row = 2 * key + static_cast<std::size_t>(state[key] - 1);
      const auto matches = index.search(vectors.vector(row), {1, 64});
      ASSERT_TRUE(matches);
      found += !matches->empty() && matches->front().key == key;
    }
    EXPECT_GE(found, live - live / 100);  // a graph of few, badly known neighbors
    const auto report = index.verify();
    ASSERT_TRUE(report);
    EXPECT_EQ(report->findings, std::vector<std::string>());
    EXPECT_EQ(report->unreachable, 0u);
  }
}

}  // namespace
}  // namespace cairn
