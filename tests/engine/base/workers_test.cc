// SPDX-License-Identifier: Apache-2.0
#include "engine/base/workers.h"

#include <gtest/gtest.h>

#include <atomic>
#include <stdexcept>
#include <string>
#include <vector>

namespace cairn {
namespace {

TEST(Workers, EveryIndexIsWorkedOnExactlyOnce) {
  for (const unsigned threads : {1u, 2u, 5u}) {
    Workers workers(threads);
    for (const std::size_t n : {0u, 1u, 7u, 64u, 1000u}) {
      for (const std::size_t grain : {0u, 1u, 3u, 64u, 5000u}) {
        std::vector<std::atomic<int>> done(n);
        std::atomic<bool> sound{true};
        workers.run(n, grain, [&](unsigned worker, std::size_t begin, std::size_t end) {
          const std::size_t piece = end - begin;
          if (worker >= workers.size() || begin >= end || end > n) sound = false;
          if (piece > (grain == 0 ? 1 : grain)) sound = false;
          for (std::size_t i = begin; i < end; ++i) ++done[i];
        });
        EXPECT_TRUE(sound) << threads << " threads, " << n << " by " << grain;
        for (const auto& count : done) ASSERT_EQ(count.load(), 1);
      }
    }
  }
}

TEST(Workers, AWorkerRunsOneBodyAtATime) {
  Workers workers(4);
  std::vector<std::atomic<int>> inside(workers.size());
  std::atomic<int> overlaps{0};
  workers.run(2000, 1, [&](unsigned worker, std::size_t, std::size_t) {
    if (inside[worker].fetch_add(1) != 0) ++overlaps;
    inside[worker].fetch_sub(1);
  });
  EXPECT_EQ(overlaps.load(), 0);
}

TEST(Workers, RunReturnsAfterAllBodiesHaveEnded) {
  Workers workers(4);
  for (int round = 0; round < 200; ++round) {
    std::size_t sum = 0;  // not atomic: run() must order the workers' writes before what follows
    std::vector<std::size_t> parts(64);
    workers.run(64, 1, [&](unsigned, std::size_t begin, std::size_t) { parts[begin] = begin; });
    for (const std::size_t part : parts) sum += part;
    ASSERT_EQ(sum, 64u * 63 / 2);
  }
}

TEST(Workers, WhatABodyThrowsIsThrownByRun) {
  for (const unsigned threads : {1u, 3u}) {
    Workers workers(threads);
    for (int round = 0; round < 20; ++round) {
      try {
        workers.run(500, 1, [](unsigned, std::size_t begin, std::size_t) {
          if (begin % 100 == 37) throw std::runtime_error("piece");
        });
        FAIL() << "nothing was thrown";
      } catch (const std::runtime_error& e) {
        EXPECT_EQ(e.what(), std::string("piece"));
      }
      // And the next loop runs as if nothing had been.
      std::atomic<std::size_t> done{0};
      workers.run(500, 7,
                  [&](unsigned, std::size_t begin, std::size_t end) { done += end - begin; });
      EXPECT_EQ(done.load(), 500u);
    }
  }
}

TEST(Workers, ThereIsAtLeastOneAndAsManyAsAskedFor) {
  EXPECT_GE(Workers(0).size(), 1u);
  EXPECT_EQ(Workers(1).size(), 1u);
  EXPECT_EQ(Workers(6).size(), 6u);
}

TEST(Workers, ThereAreNoMoreThanThereIsWorkFor) {
  EXPECT_EQ(Workers(6, 4).size(), 4u);
  EXPECT_EQ(Workers(6, 0).size(), 1u);
  EXPECT_EQ(Workers(3, 100).size(), 3u);
  EXPECT_LE(Workers(~0u).size(), 1024u);
}

}  // namespace
}  // namespace cairn
