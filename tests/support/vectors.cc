// SPDX-License-Identifier: Apache-2.0
#include "tests/support/vectors.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <numeric>
#include <random>
#include <string>

namespace cairn::test {
namespace {

constexpr double kUnit = 0x1p-24;  // unit roundoff of float

struct Products {
  double dot = 0;
  double a_squares = 0;
  double b_squares = 0;
  double difference_squares = 0;
  double magnitudes = 0;  // sum of |a_i b_i|
};

Products products(const float* a, const float* b, std::size_t dims) {
  Products sums;
  for (std::size_t i = 0; i < dims; ++i) {
    const double x = double{a[i]};
    const double y = double{b[i]};
    sums.dot += x * y;
    sums.a_squares += x * x;
    sums.b_squares += y * y;
    sums.difference_squares += (x - y) * (x - y);
    sums.magnitudes += std::fabs(x * y);
  }
  return sums;
}

// What the bits mean, independently of the library's conversions.
double meaning(Scalar scalar, const std::byte* vector, std::size_t i) {
  const auto half = [&] {
    std::uint16_t bits;
    std::memcpy(&bits, vector + 2 * i, 2);
    return bits;
  };
  switch (scalar) {
    case Scalar::f32: {
      float value;
      std::memcpy(&value, vector + 4 * i, 4);
      return double{value};
    }
    case Scalar::f16: {
      const int exponent = half() >> 10 & 31;
      const int units = (half() & 1023) + (exponent == 0 ? 0 : 1024);
      return std::ldexp((half() & 0x8000) != 0 ? -units : units, std::max(exponent, 1) - 25);
    }
    case Scalar::bf16: {
      const int exponent = half() >> 7 & 255;
      const int units = (half() & 127) + (exponent == 0 ? 0 : 128);
      return std::ldexp((half() & 0x8000) != 0 ? -units : units, std::max(exponent, 1) - 134);
    }
    case Scalar::i8: return double(static_cast<std::int8_t>(vector[i]));
    case Scalar::b1: return double(std::to_integer<unsigned>(vector[i / 8]) >> i % 8 & 1);
  }
  return 0;
}

void die(const char* what, const Error& error) {
  std::fprintf(stderr, "%s: %s\n", what, error.message().c_str());
  std::abort();
}

Index created(const IndexParams& params) {
  auto index = Index::create(params);
  if (!index) die("create", index.error());
  return std::move(*index);
}

}  // namespace

void Vectors::append(Key key, std::span<const float> row) {
  if (row.size() != dims) std::abort();
  keys.push_back(key);
  values.insert(values.end(), row.begin(), row.end());
}

Vectors random_vectors(std::size_t rows, std::size_t dims, std::uint64_t seed) {
  return clustered_vectors(rows, dims, 0, seed, 0);
}

Vectors clustered_vectors(std::size_t rows, std::size_t dims, std::size_t clusters,
                          std::uint64_t seed, std::uint64_t center_seed) {
  std::normal_distribution<float> normal;
  std::mt19937_64 random(center_seed);
  std::vector<float> centers(clusters * dims);
  for (float& value : centers) value = normal(random);
  random.seed(seed);
  normal.reset();
  Vectors vectors{dims, std::vector<float>(rows * dims), std::vector<Key>(rows)};
  for (std::size_t i = 0; i < rows; ++i) {
    vectors.keys[i] = 1000 + 7 * i;
    const std::size_t center = i * clusters / rows * dims;
    for (std::size_t j = 0; j < dims; ++j) {
      float& value = vectors.values[i * dims + j];
      value = normal(random);
      if (clusters > 0) value = centers[center + j] + 0.2f * value;
    }
  }
  return vectors;
}

Vectors shuffled(const Vectors& vectors, std::uint64_t seed) {
  std::vector<std::size_t> order(vectors.rows());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::shuffle(order.begin(), order.end(), std::mt19937_64(seed));
  Vectors out{vectors.dims, {}, {}};
  for (const std::size_t i : order) out.append(vectors.keys[i], {vectors.row(i), vectors.dims});
  return out;
}

StoredVectors stored(Scalar scalar, const Vectors& vectors) {
  StoredVectors out{scalar, {}, vectors};
  out.bytes.resize(vectors.rows() * out.stride());
  for (std::size_t i = 0; i < vectors.rows(); ++i) {
    std::vector<float> row(vectors.row(i), vectors.row(i) + vectors.dims);
    if (scalar == Scalar::i8) {
      for (float& value : row) value = std::fmax(-127.0f, std::fmin(127.0f, value * 30));
    }
    const auto at = std::span(out.bytes).subspan(i * out.stride());
    if (auto ok = convert(row, scalar, at); !ok) die("convert", ok.error());
    for (std::size_t j = 0; j < vectors.dims; ++j) {
      out.floats.values[i * vectors.dims + j] = static_cast<float>(meaning(scalar, at.data(), j));
    }
  }
  return out;
}

double reference_distance(Metric metric, const float* a, const float* b, std::size_t dims) {
  const Products sums = products(a, b, dims);
  switch (metric) {
    case Metric::cosine: {
      const double norms = std::sqrt(sums.a_squares) * std::sqrt(sums.b_squares);
      return norms > 0 ? 1.0 - sums.dot / norms : 1.0;
    }
    case Metric::l2sq: return sums.difference_squares;
    default: return 1.0 - sums.dot;
  }
}

double tolerance(Metric metric, const float* a, const float* b, std::size_t dims) {
  const Products sums = products(a, b, dims);
  const double gamma = static_cast<double>(dims + 16) * kUnit;
  switch (metric) {
    case Metric::cosine: {
      const double norms = std::sqrt(sums.a_squares) * std::sqrt(sums.b_squares);
      return norms > 0 ? gamma * sums.magnitudes / norms + 4 * kUnit : 0.0;
    }
    case Metric::l2sq: return gamma * sums.difference_squares;
    default: return gamma * (sums.magnitudes + 1.0);
  }
}

std::vector<TrueMatch> scan(Metric metric, const Vectors& vectors, const float* query,
                            std::size_t k) {
  std::vector<TrueMatch> matches(vectors.rows());
  for (std::size_t i = 0; i < matches.size(); ++i) {
    matches[i] = {vectors.keys[i], reference_distance(metric, query, vectors.row(i), vectors.dims)};
  }
  const std::size_t wanted = std::min(k, matches.size());
  std::partial_sort(matches.begin(), matches.begin() + static_cast<std::ptrdiff_t>(wanted),
                    matches.end(), [](const TrueMatch& a, const TrueMatch& b) {
                      return a.distance != b.distance ? a.distance < b.distance : a.key < b.key;
                    });
  matches.resize(wanted);
  return matches;
}

double recall(const Index& index, const Vectors& vectors, const Vectors& queries,
              const SearchParams& params) {
  std::size_t found = 0;
  std::size_t wanted = 0;
  for (std::size_t i = 0; i < queries.rows(); ++i) {
    const float* query = queries.row(i);
    const auto truth = scan(index.params().metric, vectors, query, params.k);
    const auto matches = index.search(queries.vector(i), params);
    if (!matches) die("search", matches.error());
    const double last = truth.back().distance;
    const double limit = last + 1e-5 * std::max(1e-3, std::fabs(last));
    for (const Match& match : *matches) found += double{match.distance} <= limit;
    wanted += truth.size();
  }
  return static_cast<double>(found) / static_cast<double>(wanted);
}

Index built(const IndexParams& params, const Vectors& vectors, unsigned threads) {
  Index index = created(params);
  BuildOptions options;
  options.threads = threads;
  if (auto ok = index.build(vectors.keys, vectors.matrix(), options); !ok) die("build", ok.error());
  return index;
}

Index added(const IndexParams& params, const Vectors& vectors) {
  Index index = created(params);
  for (std::size_t i = 0; i < vectors.rows(); ++i) {
    if (auto ok = index.add(vectors.keys[i], vectors.vector(i)); !ok) die("add", ok.error());
  }
  return index;
}

}  // namespace cairn::test
