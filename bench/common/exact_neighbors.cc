// SPDX-License-Identifier: Apache-2.0
#include "common/exact_neighbors.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <limits>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

namespace bench {
namespace {

constexpr std::size_t kBlock = 64;   // base rows per tile, along the vector lanes
constexpr std::size_t kPanel = 6;    // queries per tile: 6 x 64 floats fill 24 AVX-512 registers
constexpr std::size_t kSpare = 28;   // candidates kept beyond k, for the ranking in doubles
constexpr std::size_t kChunk = 240;  // queries a thread takes at a time
constexpr std::size_t kBuffer = 1024;

struct Candidate {
  float distance;
  std::uint32_t id;
};

bool nearer(const Candidate& a, const Candidate& b) {
  return a.distance < b.distance || (a.distance == b.distance && a.id < b.id);
}

// The `keep` nearest seen so far, cut back whenever the buffer is full.
class Best {
 public:
  explicit Best(std::size_t keep) : keep_(keep) { items_.reserve(kBuffer + kBlock); }
  float bound() const { return bound_; }
  void push(float distance, std::uint32_t id) { items_.push_back({distance, id}); }
  void cut() {
    if (items_.size() < kBuffer) return;
    shrink();
    bound_ = std::max_element(items_.begin(), items_.end(), nearer)->distance;
  }
  std::vector<Candidate>& shrink() {
    if (items_.size() > keep_) {
      std::nth_element(items_.begin(), items_.begin() + static_cast<std::ptrdiff_t>(keep_) - 1,
                       items_.end(), nearer);
      items_.resize(keep_);
    }
    return items_;
  }

 private:
  std::size_t keep_;
  float bound_ = std::numeric_limits<float>::max();
  std::vector<Candidate> items_;
};

// distance = scale[j] * dot + offset[j], up to a term of the query alone, which does not change the
// order.
struct BaseTerms {
  std::vector<float> scale, offset;
};

double dot(const float* a, const float* b, std::size_t dims) {
  double sum = 0;
  for (std::size_t i = 0; i < dims; ++i) sum += static_cast<double>(a[i]) * b[i];
  return sum;
}

BaseTerms base_terms(const FloatMatrix& base, TruthMetric metric) {
  BaseTerms t;
  t.scale.resize(base.rows);
  t.offset.resize(base.rows);
  for (std::size_t i = 0; i < base.rows; ++i) {
    const double norm = dot(base.row(i), base.row(i), base.dims);
    const bool cosine = metric == TruthMetric::cosine;
    t.scale[i] = cosine ? static_cast<float>(norm > 0 ? -1.0 / std::sqrt(norm) : 0.0) : -2.0F;
    t.offset[i] = cosine ? 0.0F : static_cast<float>(norm);
  }
  return t;
}

double exact_distance(const float* a, const float* b, std::size_t dims, TruthMetric metric) {
  if (metric == TruthMetric::cosine) {
    const double norms = dot(a, a, dims) * dot(b, b, dims);
    return norms > 0 ? 1.0 - dot(a, b, dims) / std::sqrt(norms) : 1.0;
  }
  double sum = 0;
  for (std::size_t i = 0; i < dims; ++i) {
    const double d = static_cast<double>(a[i]) - b[i];
    sum += d * d;
  }
  return sum;
}

// tile[d][kBlock] = transposed rows [first, first + count), zero-padded.
void pack(const FloatMatrix& m, std::size_t first, std::size_t count, std::size_t width,
          float* tile) {
  std::fill(tile, tile + m.dims * width, 0.0F);
  for (std::size_t r = 0; r < count; ++r) {
    const float* row = m.row(first + r);
    for (std::size_t d = 0; d < m.dims; ++d) tile[d * width + r] = row[d];
  }
}

using Lane = float __attribute__((vector_size(64), aligned(4)));

// out[kPanel][kBlock] = products of the two tiles.
void multiply(const float* panel, const float* block, std::size_t dims, float* out) {
  Lane acc[kPanel][4] = {};
  for (std::size_t d = 0; d < dims; ++d) {
    const Lane* b = reinterpret_cast<const Lane*>(block + d * kBlock);
    const Lane b0 = b[0], b1 = b[1], b2 = b[2], b3 = b[3];
    for (std::size_t q = 0; q < kPanel; ++q) {
      const float a = panel[d * kPanel + q];
      acc[q][0] += a * b0;
      acc[q][1] += a * b1;
      acc[q][2] += a * b2;
      acc[q][3] += a * b3;
    }
  }
  for (std::size_t q = 0; q < kPanel; ++q) {
    for (std::size_t v = 0; v < 4; ++v)
      *reinterpret_cast<Lane*>(out + q * kBlock + v * 16) = acc[q][v];
  }
}

class Search {
 public:
  Search(const FloatMatrix& base, const FloatMatrix& queries, TruthMetric metric, std::size_t k,
         IdMatrix& out)
      : base_(base),
        queries_(queries),
        metric_(metric),
        k_(k),
        terms_(base_terms(base, metric)),
        out_(out) {}

  void work() {
    for (;;) {
      const std::size_t first = next_.fetch_add(kChunk);
      if (first >= queries_.rows) return;
      chunk(first, std::min(kChunk, queries_.rows - first));
    }
  }

 private:
  void chunk(std::size_t first, std::size_t count) {
    const std::size_t panels = (count + kPanel - 1) / kPanel;
    std::vector<float> packed(panels * queries_.dims * kPanel), block(base_.dims * kBlock);
    for (std::size_t p = 0; p < panels; ++p) {
      pack(queries_, first + p * kPanel, std::min(kPanel, count - p * kPanel), kPanel,
           packed.data() + p * queries_.dims * kPanel);
    }
    std::vector<Best> best(count, Best(k_ + kSpare));
    for (std::size_t b = 0; b < base_.rows; b += kBlock) {
      const std::size_t rows = std::min(kBlock, base_.rows - b);
      pack(base_, b, rows, kBlock, block.data());
      for (std::size_t p = 0; p < panels; ++p) {
        float products[kPanel * kBlock];
        multiply(packed.data() + p * queries_.dims * kPanel, block.data(), base_.dims, products);
        for (std::size_t q = 0; q < kPanel && p * kPanel + q < count; ++q) {
          offer(best[p * kPanel + q], products + q * kBlock, b, rows);
        }
      }
    }
    for (std::size_t i = 0; i < count; ++i) rank(best[i].shrink(), first + i);
  }

  void offer(Best& best, float* d, std::size_t first, std::size_t rows) const {
    float low = std::numeric_limits<float>::max();
    for (std::size_t i = 0; i < rows; ++i) {
      d[i] = terms_.scale[first + i] * d[i] + terms_.offset[first + i];
      low = d[i] < low ? d[i] : low;
    }
    if (low >= best.bound()) return;
    for (std::size_t i = 0; i < rows; ++i) {
      if (d[i] < best.bound()) best.push(d[i], static_cast<std::uint32_t>(first + i));
    }
    best.cut();
  }

  void rank(std::vector<Candidate>& found, std::size_t query) {
    std::vector<std::pair<double, std::uint32_t>> exact;
    for (const Candidate& c : found) {
      exact.emplace_back(exact_distance(queries_.row(query), base_.row(c.id), base_.dims, metric_),
                         c.id);
    }
    std::sort(exact.begin(), exact.end());
    for (std::size_t i = 0; i < k_; ++i) out_.row(query)[i] = exact[i].second;
  }

  const FloatMatrix& base_;
  const FloatMatrix& queries_;
  TruthMetric metric_;
  std::size_t k_;
  BaseTerms terms_;
  IdMatrix& out_;
  std::atomic<std::size_t> next_{0};
};

}  // namespace

TruthMetric parse_metric(std::string_view name) {
  if (name == "cosine") return TruthMetric::cosine;
  if (name == "l2") return TruthMetric::l2;
  throw std::runtime_error("unknown metric '" + std::string(name) + "' (cosine, l2)");
}

IdMatrix exact_neighbors(const FloatMatrix& base, const FloatMatrix& queries, TruthMetric metric,
                         std::size_t k, unsigned threads) {
  if (base.dims != queries.dims)
    throw std::runtime_error("base and queries have different dimensions");
  if (k > base.rows) throw std::runtime_error("fewer base rows than neighbors wanted");
  IdMatrix out{queries.rows, k, std::vector<std::uint32_t>(queries.rows * k)};
  Search search(base, queries, metric, k, out);
  std::vector<std::thread> workers;
  for (unsigned t = 0; t < std::max(1U, threads); ++t) workers.emplace_back([&] { search.work(); });
  for (std::thread& w : workers) w.join();
  return out;
}

}  // namespace bench
