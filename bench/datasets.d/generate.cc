// SPDX-License-Identifier: Apache-2.0
//
// Clustered vectors of any number and dimension, the same bytes for the same arguments on any
// machine and any number of threads: every row has a random stream of its own, and the arithmetic
// is IEEE adds and multiplies only.
//
// A row is  mean + center[c] + sum_j scale_j * z_j * direction[subspace(c, j)] + noise,  c a random
// cluster. All directions come from one shared pool, so that clusters overlap; `rank` of them span
// a cluster, which bounds its intrinsic dimension.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <string>
#include <thread>
#include <vector>

#include "common/vector_file.h"

namespace {

// SplitMix64 (Steele, Lea, Flood 2014).
class Random {
 public:
  explicit Random(std::uint64_t seed) : state_(seed) {}
  std::uint64_t bits() {
    std::uint64_t z = (state_ += 0x9E3779B97F4A7C15ULL);
    z = (z ^ (z >> 30U)) * 0xBF58476D1CE4E5B9ULL;
    z = (z ^ (z >> 27U)) * 0x94D049BB133111EBULL;
    return z ^ (z >> 31U);
  }
  std::size_t below(std::size_t n) { return static_cast<std::size_t>(bits() % n); }
  // Sum of eight uniform 16-bit numbers, scaled to mean 0 and variance 1: close to a normal and
  // exact everywhere.
  float normal() {
    std::int64_t sum = 0;
    for (int i = 0; i < 2; ++i) {
      for (std::uint64_t b = bits(), j = 0; j < 4; ++j, b >>= 16U)
        sum += static_cast<std::int64_t>(b & 0xFFFFU);
    }
    constexpr float kUnit = 1.0F / 53509.6F;  // sqrt(8 * 65536^2 / 12)
    return static_cast<float>(sum - 4 * 65535) * kUnit;
  }

 private:
  std::uint64_t state_;
};

struct Shape {
  std::size_t rows = 0, queries = 5000, dims = 128;
  std::size_t clusters = 1000;
  std::size_t pool = 256;  // shared directions
  std::size_t rank = 32;   // directions of one cluster
  float spread = 1.0F;     // distance scale of the centers, against 1 for the inside of a cluster
  float decay = 1.0F;      // scale of a cluster's j-th direction is decay^j
  float noise = 0.1F;      // full-dimensional
  float mean = 0.0F;       // length of the offset common to all rows, per component
  std::uint64_t seed = 1;
  std::size_t distinct = 0;  // rows repeat after so many; 0: never
  bool normalize = false;
};

class Generator {
 public:
  explicit Generator(const Shape& shape)
      : s_(shape), directions_(s_.pool * s_.dims), centers_(s_.clusters * s_.dims) {
    Random random(s_.seed);
    const float unit = 1.0F / std::sqrt(static_cast<float>(s_.dims));
    for (float& v : directions_) v = random.normal() * unit;
    mean_.resize(s_.dims);
    for (float& v : mean_) v = random.normal() * s_.mean;
    subspace_.resize(s_.clusters * s_.rank);
    for (std::size_t& j : subspace_) j = random.below(s_.pool);
    // Centers lie in the span of the pool too, so that they are not farther apart in high
    // dimensions than in low ones.
    for (std::size_t c = 0; c < s_.clusters; ++c) {
      for (std::size_t j = 0; j < s_.rank; ++j) {
        const float scale = random.normal() * s_.spread;  // drawn in this order on every compiler
        const std::size_t direction = random.below(s_.pool);
        axpy(scale, direction, centers_.data() + c * s_.dims);
      }
    }
    float scale = 1.0F;
    for (std::size_t j = 0; j < s_.rank; ++j, scale *= s_.decay) scales_.push_back(scale);
  }

  void row(std::uint64_t number, float* out) const {
    if (s_.distinct != 0) number %= s_.distinct;
    Random random(s_.seed * 0xD1342543DE82EF95ULL + (number + 1) * 0x2545F4914F6CDD1DULL);
    const std::size_t c = random.below(s_.clusters);
    const float* center = centers_.data() + c * s_.dims;
    for (std::size_t d = 0; d < s_.dims; ++d) out[d] = mean_[d] + center[d];
    for (std::size_t j = 0; j < s_.rank; ++j)
      axpy(random.normal() * scales_[j], subspace_[c * s_.rank + j], out);
    for (std::size_t d = 0; d < s_.dims; ++d) out[d] += random.normal() * s_.noise;
    if (!s_.normalize) return;
    double norm = 0;
    for (std::size_t d = 0; d < s_.dims; ++d) norm += static_cast<double>(out[d]) * out[d];
    const double inverse = norm > 0 ? 1.0 / std::sqrt(norm) : 0.0;
    for (std::size_t d = 0; d < s_.dims; ++d) out[d] = static_cast<float>(out[d] * inverse);
  }

 private:
  void axpy(float a, std::size_t direction, float* out) const {
    const float* v = directions_.data() + direction * s_.dims;
    for (std::size_t d = 0; d < s_.dims; ++d) out[d] += a * v[d];
  }

  Shape s_;
  std::vector<float> directions_, centers_, mean_, scales_;
  std::vector<std::size_t> subspace_;
};

bench::FloatMatrix rows(const Generator& g, std::size_t first, std::size_t count,
                        std::size_t dims) {
  bench::FloatMatrix m{count, dims, std::vector<float>(count * dims)};
  const std::size_t threads = std::max(1U, std::thread::hardware_concurrency());
  std::vector<std::thread> workers;
  for (std::size_t t = 0; t < threads; ++t) {
    workers.emplace_back([&, t] {
      for (std::size_t i = count * t / threads; i < count * (t + 1) / threads; ++i)
        g.row(first + i, m.row(i));
    });
  }
  for (std::thread& w : workers) w.join();
  return m;
}

}  // namespace

int main(int argc, char** argv) {
  Shape s;
  std::string folder;
  CLI::App app{"Generates clustered vectors: FOLDER/base.fbin and FOLDER/query.fbin"};
  app.option_defaults()->always_capture_default();
  app.add_option("folder", folder)->required()->check(CLI::ExistingDirectory);
  app.add_option("--rows", s.rows)->required();
  app.add_option("--queries", s.queries);
  app.add_option("--dims", s.dims);
  app.add_option("--clusters", s.clusters);
  app.add_option("--pool", s.pool, "directions that all clusters share");
  app.add_option("--rank", s.rank, "directions inside one cluster");
  app.add_option("--spread", s.spread, "scale of the cluster centers");
  app.add_option("--decay", s.decay, "ratio of one direction's scale to the one before");
  app.add_option("--noise", s.noise, "standard deviation per component");
  app.add_option("--mean", s.mean, "common offset per component");
  app.add_option("--seed", s.seed);
  app.add_option("--distinct", s.distinct, "rows repeat after so many; 0: they do not");
  app.add_flag("--normalize", s.normalize, "rows of length 1");
  CLI11_PARSE(app, argc, argv);
  try {
    const Generator g(s);
    bench::write_matrix(folder + "/query.fbin", rows(g, s.rows, s.queries, s.dims));
    bench::write_matrix(folder + "/base.fbin", rows(g, 0, s.rows, s.dims));
  } catch (const std::exception& e) {
    std::fprintf(stderr, "generate: %s\n", e.what());
    return 1;
  }
  return 0;
}
