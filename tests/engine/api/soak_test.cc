// SPDX-License-Identifier: Apache-2.0
//
// Everything at once on one index in a file, compared with a model: five seconds, or as many as
// CAIRN_TEST_SOAK_SECONDS says.
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include <cairn/cairn.h>

#include "tests/support/temporary_directory.h"
#include "tests/support/vectors.h"

namespace cairn {
namespace {

constexpr std::size_t kDims = 12;
constexpr Key kKeys = 400;  // of each writer
constexpr Key kWriters = 2;

// The vector of the n-th version of a key: no two are equal, and its distances tell it from others.
std::vector<float> vector_of(Key key, std::uint32_t version) {
  std::vector<float> vector(kDims);
  std::uint64_t random = (key << 32 | version) + 1;
  for (float& component : vector) {
    random = random * 6364136223846793005u + 1442695040888963407u;
    component = static_cast<float>(random >> 40) / 8388608.0f - 1.0f;
  }
  return vector;
}

double distance(const std::vector<float>& a, const std::vector<float>& b) {
  return test::reference_distance(Metric::l2sq, a.data(), b.data(), kDims);
}

// What a writer knows of one of its keys: versions, 0 where it is not there. Around a change both
// may be seen. Versions grow, so that a searcher knows which were there while it searched.
struct Known {
  std::atomic<std::uint32_t> before{0};  // acknowledged when the change began
  std::atomic<std::uint32_t> now{0};     // of the change that is under way, or the last one
};

class Soak {
 public:
  Soak() {
    IndexParams params;
    params.dimensions = kDims;
    params.metric = Metric::l2sq;
    params.m = 8;
    params.ef_construction = 60;
    CreateOptions options;
    options.durability = Durability::group;
    index_ = std::make_unique<Index>(Index::create(directory_ / "a", params, options).value());
  }

  void run(std::chrono::seconds time) {
    const auto end = std::chrono::steady_clock::now() + time;
    std::vector<std::thread> threads;
    const auto start = [&](std::function<void(std::uint64_t)> body) {
      threads.emplace_back([this, end, body = std::move(body)] {
        for (std::uint64_t i = 0; std::chrono::steady_clock::now() < end && !what_.load(); ++i) {
          body(i);
        }
      });
    };
    for (Key writer = 0; writer < kWriters; ++writer) {
      start([this, writer](std::uint64_t i) { change(writer, i); });
    }
    start([this](std::uint64_t i) { search(i); });
    start([this](std::uint64_t i) { search_batch(i); });
    start([this](std::uint64_t i) { maintain(i); });
    for (std::thread& thread : threads) thread.join();
    if (what_ != nullptr) ADD_FAILURE() << what_.load();
  }

  void expect_quiet_state();
  void close_and_reopen() {
    index_.reset();
    OpenOptions options;
    options.mode = Mode::read_write;
    index_ = std::make_unique<Index>(Index::open(directory_ / "a", options).value());
  }
  std::uint64_t changes() const { return changes_; }
  std::uint64_t searches() const { return searches_; }

 private:
  void expect(bool good, const char* what) {
    if (!good) what_.store(what);
  }

  // Keys of its own: it knows what must be there.
  void change(Key writer, std::uint64_t i) {
    std::uint64_t random = (i * kWriters + writer + 1) * 0x9E3779B97F4A7C15u;
    random ^= random >> 29;
    const Key key = writer * kKeys + random % kKeys;
    Known& known = known_[key];
    std::atomic<std::uint32_t>& newest = newest_[key];
    const std::uint32_t old = known.now;
    known.before = old;
    switch (random >> 32 & 3) {
      case 0:
        known.now = 0;
        expect(index_->remove(key).has_value() == (old != 0), "remove() of what is there");
        break;
      case 1:
        if (old == 0) known.now = ++newest;
        expect(index_->add(key, vector_of(key, newest)).has_value() == (old == 0),
               "add() of what is not there");
        break;
      default:
        known.now = ++newest;
        expect(index_->upsert(key, vector_of(key, newest)).has_value(), "upsert() failed");
    }
    known.before = known.now.load();
    ++changes_;
    std::vector<float> out(kDims);
    const auto got = index_->get(key, out);
    expect(got.has_value() == (known.now != 0), "get() finds what is there");
    expect(index_->contains(key) == got.has_value(), "contains() disagrees");
    if (got) expect(out == vector_of(key, known.now), "get() gives another vector");
    if (i % 16 == 0) {
      expect(index_->set_applied_up_to(i).has_value(), "set_applied_up_to() failed");
    }
  }

  // Of every key, what was acknowledged before a search began.
  using Versions = std::vector<std::uint32_t>;

  // Distances belong to a version that the key had at some moment of the search.
  void check(const std::vector<float>& query, const Match* matches, std::size_t count,
             const Versions& before) {
    for (std::size_t i = 0; i < count; ++i) {
      const Match& match = matches[i];
      if (match.key >= kKeys * kWriters) return expect(false, "a key that nobody added");
      expect(i == 0 || matches[i - 1].distance <= match.distance, "not the nearest first");
      for (std::size_t j = 0; j < i; ++j) expect(matches[j].key != match.key, "a key twice");
      const std::uint32_t newest = newest_[match.key].load();
      bool right = false;
      for (std::uint32_t v = std::max(1u, before[match.key]); v <= newest && !right; ++v) {
        right = std::abs(double{match.distance} - distance(query, vector_of(match.key, v))) < 1e-4;
      }
      expect(right, "a distance to no vector that the key has had meanwhile");
    }
  }

  Versions versions_before() {
    Versions before(known_.size());
    for (std::size_t i = 0; i < before.size(); ++i) {
      // Where it is not there, an add that has begun since may be adding the newest one.
      const std::uint32_t newest = newest_[i];
      const std::uint32_t acknowledged = known_[i].before;
      before[i] = acknowledged != 0 ? acknowledged : newest;
    }
    return before;
  }

  void search(std::uint64_t i) {
    const Versions before = versions_before();
    const auto query = vector_of(i % (kKeys * kWriters), static_cast<std::uint32_t>(i % 7));
    const auto found = index_->search(query, {10, 48});
    expect(found.has_value(), "search() failed");
    if (found) check(query, found->data(), found->size(), before);
    ++searches_;
  }

  void search_batch(std::uint64_t i) {
    constexpr std::size_t kRows = 20;
    constexpr std::size_t kMatches = 5;
    const Versions before = versions_before();
    std::vector<float> rows;
    for (std::size_t row = 0; row < kRows; ++row) {
      const auto query = vector_of(i + row, 1);
      rows.insert(rows.end(), query.begin(), query.end());
    }
    std::vector<Match> out(kRows * kMatches);
    std::vector<std::size_t> counts(kRows);
    const auto done = index_->search_batch(MatrixView::f32(rows.data(), kRows, kDims),
                                           {kMatches, 32}, out, counts, 2);
    expect(done.has_value(), "search_batch() failed");
    for (std::size_t row = 0; done && row < kRows; ++row) {
      const auto begin = rows.begin() + static_cast<std::ptrdiff_t>(row * kDims);
      check(std::vector<float>(begin, begin + kDims), out.data() + row * kMatches, counts[row],
            before);
    }
    searches_ += kRows;
  }

  void maintain(std::uint64_t i) {
    BuildOptions options;
    options.threads = 2;
    switch (i % 8) {
      case 0: return expect(index_->checkpoint().has_value(), "checkpoint() failed");
      case 1: return check_copy(index_->save(directory_ / "saved"), directory_ / "saved");
      case 2: return check_copy(index_->backup(directory_ / "backup"), directory_ / "backup");
      case 3: return expect(index_->compact().has_value(), "compact() failed");
      case 4: return expect(index_->sync().has_value(), "sync() failed");
      case 5: {
        const Stats stats = index_->stats();
        return expect(stats.live <= kKeys * kWriters && stats.live <= stats.slots, "stats()");
      }
      case 6: return expect(index_->applied_up_to().has_value(), "applied_up_to() failed");
      default: {
        const auto report = index_->verify(options);
        expect(report && report->ok(), "the index has findings");
        expect(report && report->unreachable == 0, "the index has orphans");
      }
    }
  }

  void check_copy(const Result<void>& saved, const std::filesystem::path& path) {
    expect(saved.has_value(), "save() failed");
    const auto copy = Index::open(path);
    expect(copy.has_value(), "what was saved does not open");
    if (!copy) return;
    const auto report = copy->verify();
    expect(report && report->ok() && report->unreachable == 0, "the copy has findings");
  }

  test::TemporaryDirectory directory_;
  std::unique_ptr<Index> index_;
  std::vector<Known> known_ = std::vector<Known>(kKeys * kWriters);
  std::vector<std::atomic<std::uint32_t>> newest_ =
      std::vector<std::atomic<std::uint32_t>>(kKeys * kWriters);  // versions so far
  std::atomic<std::uint64_t> changes_{0};
  std::atomic<std::uint64_t> searches_{0};
  std::atomic<const char*> what_{nullptr};
};

// Nobody changes it: every live vector can be reached, and finds itself.
void Soak::expect_quiet_state() {
  std::size_t live = 0;
  std::size_t found = 0;
  std::vector<float> out(kDims);
  for (Key key = 0; key < known_.size(); ++key) {
    const std::uint32_t version = known_[key].now;
    ASSERT_EQ(index_->contains(key), version != 0) << key;
    if (version == 0) continue;
    ++live;
    ASSERT_TRUE(index_->get(key, out));
    ASSERT_EQ(out, vector_of(key, version)) << key;
    const auto matches = index_->search(out, {1, 64});
    ASSERT_TRUE(matches);
    found += !matches->empty() && matches->front().key == key && matches->front().distance == 0;
  }
  EXPECT_EQ(index_->size(), live);
  EXPECT_GT(live, kKeys);
  EXPECT_GE(1000 * found, 999 * live);
  const auto report = index_->verify();
  ASSERT_TRUE(report);
  EXPECT_EQ(report->findings, std::vector<std::string>());
  EXPECT_EQ(report->unreachable, 0u);
}

TEST(Soak, EverythingAtOnceLosesAndMixesUpNothing) {
  const char* const wanted = std::getenv("CAIRN_TEST_SOAK_SECONDS");
  Soak soak;
  soak.run(std::chrono::seconds(wanted != nullptr ? std::atoi(wanted) : 5));
  if (HasFailure()) return;
  ASSERT_NO_FATAL_FAILURE(soak.expect_quiet_state());
  soak.close_and_reopen();
  ASSERT_NO_FATAL_FAILURE(soak.expect_quiet_state());
  std::printf("%llu changes, %llu searches\n", static_cast<unsigned long long>(soak.changes()),
              static_cast<unsigned long long>(soak.searches()));
}

}  // namespace
}  // namespace cairn
