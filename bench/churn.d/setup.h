// SPDX-License-Identifier: Apache-2.0
//
// What the experiments share: options, data, clocks and small statistics. These are programs, not
// the library: errors are exceptions.
#pragma once

#include <cairn/cairn.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <vector>

#include "common/vector_file.h"

namespace bench {

struct Options {
  std::string base;
  std::string queries;
  std::string metric = "cosine";
  std::size_t rows = 0;  // of the base; 0: all
  std::size_t query_rows = 2000;
  std::size_t count = 8000;  // adds: vectors that are added
  std::size_t slice = 200;   // adds: how many of them in turn
  std::size_t rounds = 10;   // replace
  std::size_t gone = 5000;   // cluster: how many are removed
  std::size_t ef = 64;
  std::uint32_t m = 16;
  std::uint32_t ef_construction = 200;
  unsigned threads = 2;
  std::uint64_t seed = 1;
  std::string folder = "/tmp";  // for files whose size is measured
};

void measure_adds(const Options& options);
void measure_cluster(const Options& options);
void measure_replacing(const Options& options);

template <class T>
T checked(cairn::Result<T> result, const char* what) {
  if (!result) throw std::runtime_error(std::string(what) + ": " + result.error().message());
  if constexpr (!std::is_void_v<T>) return std::move(*result);
}

using Clock = std::chrono::steady_clock;
inline double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}
double process_cpu_seconds();
double process_sleeps();  // how often its threads gave up the processor to wait

// The value below which the given share of the values lies.
double quantile(std::vector<double> values, double share);

cairn::IndexParams params_of(const Options& options, std::size_t dims);

// An index of rows [0, rows); the key of a row is its number.
cairn::Index built(const Options& options, const FloatMatrix& base, std::size_t rows);

inline cairn::VectorView view_of(const FloatMatrix& matrix, std::size_t row) {
  return {matrix.row(row), matrix.dims};
}

// Calls body(i) for i in [0, n) from that many threads, each of which takes the next one.
void on_threads(unsigned threads, std::size_t n, const std::function<void(std::size_t)>& body);

}  // namespace bench
