// SPDX-License-Identifier: Apache-2.0
#include "compare.d/recall.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <stdexcept>
#include <thread>

namespace bench {

void normalize(FloatMatrix& m) {
  for (std::size_t i = 0; i < m.rows; ++i) {
    float* row = m.row(i);
    double norm = 0;
    for (std::size_t d = 0; d < m.dims; ++d) norm += static_cast<double>(row[d]) * row[d];
    const double inverse = norm > 0 ? 1.0 / std::sqrt(norm) : 0.0;
    for (std::size_t d = 0; d < m.dims; ++d) row[d] = static_cast<float>(row[d] * inverse);
  }
}

QuerySet QuerySet::read(const std::string& queries, const std::string& truth,
                        const std::string& metric) {
  QuerySet q;
  q.raw = read_matrix<float>(queries);
  if (metric == "cosine") {
    q.unit = q.raw;
    normalize(q.unit);
  }
  if (!truth.empty()) {
    q.truth = read_matrix<std::uint32_t>(truth);
    if (q.truth.rows != q.raw.rows) throw std::runtime_error("queries and truth differ in number");
  }
  return q;
}

double measure_recall(Engine& engine, const QuerySet& queries, std::size_t k, std::size_t ef,
                      unsigned threads) {
  const FloatMatrix& rows = queries.rows_for(engine);
  if (queries.truth.dims < k) throw std::runtime_error("the truth holds fewer than k neighbors");
  engine.set_ef(ef);
  std::atomic<std::size_t> next{0}, hits{0};
  std::vector<std::thread> workers;
  for (unsigned t = 0; t < threads; ++t) {
    workers.emplace_back([&, t] {
      std::vector<std::uint32_t> found(k);
      for (std::size_t i; (i = next.fetch_add(1)) < rows.rows;) {
        const std::size_t n = engine.search(rows.row(i), k, t, found.data());
        const std::uint32_t* truth = queries.truth.row(i);
        std::size_t good = 0;
        for (std::size_t j = 0; j < n; ++j)
          good += std::find(truth, truth + k, found[j]) != truth + k;
        hits += good;
      }
    });
  }
  for (std::thread& w : workers) w.join();
  return static_cast<double>(hits) / static_cast<double>(rows.rows * k);
}

double Bracket::interpolate(double target, double qps_low, double qps_high) const {
  if (low == high || recall_high <= recall_low) return qps_high;
  const double w = (target - recall_low) / (recall_high - recall_low);
  return std::exp(std::log(qps_low) * (1 - w) + std::log(qps_high) * w);
}

Contestant::Contestant(std::string name, std::unique_ptr<Engine> engine, const QuerySet& queries,
                       std::size_t k)
    : name_(std::move(name)), engine_(std::move(engine)), queries_(queries), k_(k) {}

double Contestant::recall(std::size_t ef) {
  const auto known = recalls_.find(ef);
  if (known != recalls_.end()) return known->second;
  const unsigned threads = std::min(8U, std::max(1U, std::thread::hardware_concurrency()));
  return recalls_[ef] = measure_recall(*engine_, queries_, k_, ef, threads);
}

Bracket Contestant::bracket(double target, const std::vector<std::size_t>& efs) {
  Bracket b;
  if (recall(efs.front()) >= target) {
    b.state = Bracket::State::exceeded;
    b.low = b.high = efs.front();
    b.recall_low = b.recall_high = recall(efs.front());
    return b;
  }
  const auto high =
      std::find_if(efs.begin(), efs.end(), [&](std::size_t ef) { return recall(ef) >= target; });
  if (high == efs.end()) {
    b.state = Bracket::State::never;
    b.low = b.high = efs.back();
    b.recall_low = b.recall_high = recall(efs.back());
    return b;
  }
  b.low = *(high - 1);
  b.high = *high;
  while (b.high - b.low > std::max<std::size_t>(1, b.low / 16)) {
    const std::size_t middle = (b.low + b.high) / 2;
    (recall(middle) >= target ? b.high : b.low) = middle;
  }
  b.recall_low = recall(b.low);
  b.recall_high = recall(b.high);
  return b;
}

}  // namespace bench
