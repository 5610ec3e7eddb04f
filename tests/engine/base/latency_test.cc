// SPDX-License-Identifier: Apache-2.0
#include "engine/base/latency.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <random>
#include <thread>
#include <vector>

namespace cairn {
namespace {

LatencyHistogram histogram_of(const std::vector<std::uint64_t>& times) {
  LatencyHistogram histogram;
  histogram.buckets.resize(LatencyHistogram::kBuckets);
  for (const std::uint64_t ns : times) {
    ++histogram.buckets[LatencyHistogram::bucket_of(ns)];
    ++histogram.count;
    histogram.sum_ns += ns;
  }
  return histogram;
}

TEST(LatencyHistogram, BucketsFollowEachOtherAndNoneIsWiderThanASixtyFourth) {
  for (std::size_t bucket = 0; bucket < LatencyHistogram::kBuckets; ++bucket) {
    const std::uint64_t first = LatencyHistogram::least_ns(bucket);
    const std::uint64_t end = LatencyHistogram::least_ns(bucket + 1);
    ASSERT_LT(first, end);
    ASSERT_EQ(LatencyHistogram::bucket_of(first), bucket);
    ASSERT_EQ(LatencyHistogram::bucket_of(end - 1), bucket);
    ASSERT_LE((end - first - 1) * 64, first) << bucket;
  }
  EXPECT_EQ(LatencyHistogram::least_ns(0), 0u);
  EXPECT_EQ(LatencyHistogram::bucket_of(std::numeric_limits<std::uint64_t>::max()),
            LatencyHistogram::kBuckets - 1);
}

TEST(LatencyHistogram, QuantilesAreWithinOnePercentOfThoseOfAllTimes) {
  std::mt19937_64 random(3);
  for (const double spread : {0.2, 1.0, 3.0}) {
    std::lognormal_distribution<double> times_of(std::log(40e3), spread);
    std::vector<std::uint64_t> times;
    for (int i = 0; i < 20000; ++i) times.push_back(static_cast<std::uint64_t>(times_of(random)));
    const LatencyHistogram histogram = histogram_of(times);
    std::sort(times.begin(), times.end());
    for (const double q : {0.0, 0.001, 0.1, 0.5, 0.9, 0.99, 0.999, 1.0}) {
      const auto rank = static_cast<std::size_t>(std::ceil(q * 20000.0));
      const double exact = static_cast<double>(times[rank == 0 ? 0 : rank - 1]) / 1e3;
      EXPECT_NEAR(histogram.quantile_us(q), exact, 0.01 * exact) << q << ", spread " << spread;
    }
  }
}

TEST(LatencyHistogram, AnyQuantileHasAnAnswer) {
  EXPECT_EQ(LatencyHistogram().quantile_us(0.5), 0);
  const LatencyHistogram one = histogram_of({50});
  const double nan = std::numeric_limits<double>::quiet_NaN();
  for (const double q : {-1.0, 0.0, 0.5, 1.0, 7.0, nan}) EXPECT_EQ(one.quantile_us(q), 0.05);
  const LatencyHistogram two = histogram_of({50, 100});
  EXPECT_EQ(two.quantile_us(nan), 0.05);
  EXPECT_EQ(two.quantile_us(0.5), 0.05);
  EXPECT_EQ(two.quantile_us(0.51), 0.1);
}

TEST(LatencyRecorder, CountsNothingUntilItIsTurnedOn) {
  LatencyRecorder recorder;
  const LatencyRecorder::Timer early(recorder);
  EXPECT_TRUE(recorder.read().buckets.empty());
  recorder.turn(true);
  early.end();
  EXPECT_EQ(recorder.read().count, 0u);
  const LatencyRecorder::Timer timer(recorder);
  timer.end();
  timer.end(3);
  EXPECT_EQ(recorder.read().count, 4u);
  recorder.turn(false);
  LatencyRecorder::Timer(recorder).end();
  EXPECT_EQ(recorder.read().count, 4u);
  recorder.turn(true);
  LatencyRecorder::Timer(recorder).end();
  EXPECT_EQ(recorder.read().count, 5u);
}

TEST(LatencyRecorder, LosesNothingOfManyThreads) {
  LatencyRecorder recorder;
  recorder.turn(true);
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 2000; ++i) LatencyRecorder::Timer(recorder).end();
    });
  }
  for (int i = 0; i < 50; ++i) EXPECT_LE(recorder.read().count, 8000u);
  for (std::thread& thread : threads) thread.join();
  const LatencyHistogram all = recorder.read();
  EXPECT_EQ(all.count, 8000u);
  std::uint64_t sum = 0;
  for (const std::uint64_t n : all.buckets) sum += n;
  EXPECT_EQ(sum, 8000u);
}

}  // namespace
}  // namespace cairn
