// SPDX-License-Identifier: Apache-2.0
#include "engine/base/latency.h"

#include <algorithm>
#include <bit>
#include <cmath>

#include "engine/base/thread_number.h"

namespace cairn {

namespace {

// Below 2^kLinearBits each nanosecond has a bucket, above it each octave has half as many.
constexpr unsigned kLinearBits = 7;
constexpr std::uint64_t kHalf = std::uint64_t{1} << (kLinearBits - 1);
constexpr std::uint64_t kMostNs = (std::uint64_t{1} << 36) - 1;
constexpr std::size_t kBuckets = LatencyHistogram::kBuckets;
static_assert(kBuckets == kHalf * (36 - kLinearBits + 2));

}  // namespace

std::size_t LatencyHistogram::bucket_of(std::uint64_t ns) noexcept {
  const std::uint64_t value = std::min(ns, kMostNs);
  const auto width = static_cast<unsigned>(std::bit_width(value));
  const unsigned shift = width <= kLinearBits ? 0 : width - kLinearBits;
  return static_cast<std::size_t>(shift * kHalf + (value >> shift));
}

std::uint64_t LatencyHistogram::least_ns(std::size_t bucket) noexcept {
  if (bucket < 2 * kHalf) return bucket;
  const std::uint64_t shift = std::min<std::uint64_t>(bucket / kHalf - 1, 64 - kLinearBits);
  return (bucket - shift * kHalf) << shift;
}

double LatencyHistogram::quantile_us(double q) const {
  if (count == 0) return 0;
  const double part = q > 0 ? std::min(q, 1.0) : 0.0;
  const auto wanted = std::max<std::uint64_t>(
      1, static_cast<std::uint64_t>(std::ceil(part * static_cast<double>(count))));
  std::uint64_t seen = 0;
  std::size_t at = 0;
  for (std::size_t i = 0; i < buckets.size() && seen < wanted; ++i) {
    seen += buckets[i];
    at = i;
  }
  const auto first = static_cast<double>(least_ns(at));
  const auto last = static_cast<double>(least_ns(at + 1) - 1);
  return (first + last) / 2 / 1000;
}

struct alignas(64) LatencyRecorder::Timer::Stripe {
  std::array<std::atomic<std::uint64_t>, kBuckets> buckets{};
  std::atomic<std::uint64_t> sum_ns{0};
};

struct LatencyRecorder::Timer::Counts {
  std::array<Stripe, 8> stripes;
};

LatencyRecorder::LatencyRecorder() = default;
LatencyRecorder::~LatencyRecorder() = default;

void LatencyRecorder::turn(bool on) {
  const std::lock_guard lock(mutex_);
  if (on && !counts_) counts_ = std::make_unique<Timer::Counts>();
  active_.store(on ? counts_.get() : nullptr, std::memory_order_release);
}

void LatencyRecorder::Timer::add(Counts& counts, Clock::duration time, std::uint64_t n) {
  const auto passed = std::chrono::duration_cast<std::chrono::nanoseconds>(time).count();
  const auto ns = static_cast<std::uint64_t>(std::max<std::int64_t>(passed, 0));
  Stripe& mine = counts.stripes[thread_number() % counts.stripes.size()];
  mine.buckets[LatencyHistogram::bucket_of(ns)].fetch_add(n, std::memory_order_relaxed);
  mine.sum_ns.fetch_add(n * ns, std::memory_order_relaxed);
}

LatencyHistogram LatencyRecorder::read() const {
  LatencyHistogram all;
  const std::lock_guard lock(mutex_);
  if (!counts_) return all;
  all.buckets.resize(kBuckets);
  for (const Timer::Stripe& stripe : counts_->stripes) {
    for (std::size_t i = 0; i < kBuckets; ++i) {
      const std::uint64_t some = stripe.buckets[i].load(std::memory_order_relaxed);
      all.buckets[i] += some;
      all.count += some;
    }
    all.sum_ns += stripe.sum_ns.load(std::memory_order_relaxed);
  }
  return all;
}

}  // namespace cairn
