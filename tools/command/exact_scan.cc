// SPDX-License-Identifier: Apache-2.0
#include "tools/command/exact_scan.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <cmath>
#include <cstdint>
#include <exception>
#include <mutex>
#include <thread>
#include <utility>

namespace cairn::tools {
namespace {

// The scan runs in float, many rows at a time, and keeps this many more than k; these are then
// compared in double. A true neighbour is lost only if rounding (relative 1e-6) puts it behind that
// many others.
constexpr std::size_t kMargin = 32;
// Queries that share one pass over the rows.
constexpr std::size_t kQueriesPerPass = 8;
// Independent sums, so that the compiler may use vector registers without reordering a sum.
constexpr std::size_t kLanes = 16;

template <class Term>
float lane_sum(const float* a, const float* b, std::size_t dims, Term term) {
  std::array<float, kLanes> sums = {};
  std::size_t i = 0;
  for (; i + kLanes <= dims; i += kLanes) {
    for (std::size_t lane = 0; lane < kLanes; ++lane) sums[lane] += term(a[i + lane], b[i + lane]);
  }
  for (; i < dims; ++i) sums[i % kLanes] += term(a[i], b[i]);
  for (std::size_t half = kLanes / 2; half > 0; half /= 2) {
    for (std::size_t lane = 0; lane < half; ++lane) sums[lane] += sums[lane + half];
  }
  return sums[0];
}

float dot(const float* a, const float* b, std::size_t dims) {
  return lane_sum(a, b, dims, [](float x, float y) { return x * y; });
}

float squared_distance(const float* a, const float* b, std::size_t dims) {
  return lane_sum(a, b, dims, [](float x, float y) { return (x - y) * (x - y); });
}

struct Candidate {
  float distance;
  std::size_t row;
  bool operator<(const Candidate& other) const { return distance < other.distance; }
};

// The `capacity` smallest candidates seen so far, as a max-heap.
class Nearest {
 public:
  explicit Nearest(std::size_t capacity) : capacity_(capacity) { heap_.reserve(capacity); }

  void offer(float distance, std::size_t row) {
    if (heap_.size() == capacity_) {
      if (!(distance < heap_.front().distance)) return;
      std::pop_heap(heap_.begin(), heap_.end());
      heap_.pop_back();
    }
    heap_.push_back({distance, row});
    std::push_heap(heap_.begin(), heap_.end());
  }

  const std::vector<Candidate>& candidates() const { return heap_; }

 private:
  std::size_t capacity_;
  std::vector<Candidate> heap_;
};

class Scan {
 public:
  Scan(Metric metric, std::span<const float> rows, std::span<const float> queries, std::size_t dims,
       std::size_t k, std::span<const std::size_t> ends)
      : metric_(metric),
        rows_(rows),
        queries_(queries),
        dims_(dims),
        ends_(ends),
        row_count_(rows.size() / dims),
        k_(std::min(k, ends.empty() ? rows.size() / dims : ends.size())) {
    if (metric_ != Metric::cosine) return;
    inverse_norms_.resize(row_count_);
    for (std::size_t row = 0; row < row_count_; ++row) {
      const float* data = rows_.data() + row * dims_;
      const float norm = std::sqrt(dot(data, data, dims_));
      inverse_norms_[row] = norm > 0 ? 1 / norm : 0;
    }
  }

  // Queries [first, last) into `out`.
  void run(std::size_t first, std::size_t last, double* out) const {
    std::vector<Nearest> nearest(last - first, Nearest(std::min(row_count_, k_ + kMargin)));
    if (!ends_.empty()) return run_of_keys(first, last, out, nearest);
    for (std::size_t row = 0; row < row_count_; ++row) {
      for (std::size_t query = first; query < last; ++query) {
        nearest[query - first].offer(rough_distance(query, row), row);
      }
    }
    for (std::size_t query = first; query < last; ++query)
      out[query] = refine(query, nearest[query - first]);
  }

 private:
  // The same of keys: of each its nearest row is a candidate.
  void run_of_keys(std::size_t first, std::size_t last, double* out,
                   std::vector<Nearest>& nearest) const {
    std::size_t begin = 0;
    for (const std::size_t end : ends_) {
      for (std::size_t query = first; query < last; ++query) {
        Candidate best{rough_distance(query, begin), begin};
        for (std::size_t row = begin + 1; row < end; ++row)
          best = std::min(best, Candidate{rough_distance(query, row), row});
        nearest[query - first].offer(best.distance, best.row);
      }
      begin = end;
    }
    for (std::size_t query = first; query < last; ++query)
      out[query] = refine(query, nearest[query - first]);
  }

  // Orders the rows of one query as the distance does: for cosine, the query's own norm is left
  // out.
  float rough_distance(std::size_t query, std::size_t row) const {
    const float* a = queries_.data() + query * dims_;
    const float* b = rows_.data() + row * dims_;
    switch (metric_) {
      case Metric::l2sq:
      case Metric::hamming: return squared_distance(a, b, dims_);
      case Metric::cosine: return -dot(a, b, dims_) * inverse_norms_[row];
      default: return -dot(a, b, dims_);
    }
  }

  double refine(std::size_t query, const Nearest& nearest) const {
    std::vector<double> distances;
    distances.reserve(nearest.candidates().size());
    for (const Candidate& candidate : nearest.candidates()) {
      distances.push_back(exact_distance(metric_, queries_.subspan(query * dims_, dims_),
                                         rows_.subspan(candidate.row * dims_, dims_)));
    }
    const auto kth = distances.begin() + static_cast<std::ptrdiff_t>(k_ - 1);
    std::nth_element(distances.begin(), kth, distances.end());
    return *kth;
  }

  Metric metric_;
  std::span<const float> rows_;
  std::span<const float> queries_;
  std::size_t dims_;
  std::span<const std::size_t> ends_;  // of the rows of each key; empty: each row is one
  std::size_t row_count_;
  std::size_t k_;
  std::vector<float> inverse_norms_;
};

}  // namespace

double exact_distance(Metric metric, std::span<const float> a, std::span<const float> b) {
  double product = 0;
  double a_squared = 0;
  double b_squared = 0;
  double difference = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    const double x = static_cast<double>(a[i]);
    const double y = static_cast<double>(b[i]);
    product += x * y;
    a_squared += x * x;
    b_squared += y * y;
    difference += (x - y) * (x - y);
  }
  switch (metric) {
    case Metric::l2sq:
    case Metric::hamming: return difference;
    case Metric::cosine: {
      const double norms = std::sqrt(a_squared) * std::sqrt(b_squared);
      return norms > 0 ? 1 - product / norms : 1;
    }
    default: return 1 - product;
  }
}

std::vector<double> kth_distances(Metric metric, std::span<const float> rows,
                                  std::span<const float> queries, std::size_t dims, std::size_t k,
                                  unsigned threads,
                                  const std::function<void(std::size_t done)>& progress,
                                  std::span<const std::size_t> ends) {
  const Scan scan(metric, rows, queries, dims, k, ends);
  const std::size_t query_count = queries.size() / dims;
  std::vector<double> out(query_count);
  std::atomic<std::size_t> next{0};
  std::mutex mutex;
  std::size_t done = 0;        // under mutex
  std::exception_ptr failure;  // under mutex
  const auto work = [&] {
    try {
      for (;;) {
        const std::size_t first = next.fetch_add(kQueriesPerPass);
        if (first >= query_count) return;
        const std::size_t last = std::min(first + kQueriesPerPass, query_count);
        scan.run(first, last, out.data());
        const std::lock_guard lock(mutex);
        done += last - first;
        if (progress) progress(done);
      }
    } catch (...) {
      const std::lock_guard lock(mutex);
      failure = std::current_exception();
      next.store(query_count);
    }
  };
  std::vector<std::jthread> workers;
  try {
    for (unsigned i = 1; i < threads; ++i) workers.emplace_back(work);
  } catch (const std::exception&) {
    // No more threads to be had: those that there are do the same work.
  }
  work();
  workers.clear();
  if (failure) std::rethrow_exception(failure);
  return out;
}

}  // namespace cairn::tools
