// SPDX-License-Identifier: Apache-2.0
#include "churn.d/setup.h"

#include <sys/resource.h>

#include <algorithm>
#include <atomic>
#include <ctime>
#include <exception>
#include <mutex>
#include <numeric>
#include <thread>

namespace bench {

double process_cpu_seconds() {
  timespec time{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
}

double process_sleeps() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<double>(usage.ru_nvcsw);
}

double quantile(std::vector<double> values, double share) {
  if (values.empty()) return 0;
  std::sort(values.begin(), values.end());
  return values[static_cast<std::size_t>(share * static_cast<double>(values.size() - 1) + 0.5)];
}

cairn::IndexParams params_of(const Options& options, std::size_t dims) {
  cairn::IndexParams params;
  params.dimensions = dims;
  params.metric = options.metric == "l2" ? cairn::Metric::l2sq : cairn::Metric::cosine;
  params.m = options.m;
  params.ef_construction = options.ef_construction;
  return params;
}

cairn::Index built(const Options& options, const FloatMatrix& base, std::size_t rows) {
  auto index = checked(cairn::Index::create(params_of(options, base.dims)), "create");
  std::vector<cairn::Key> keys(rows);
  std::iota(keys.begin(), keys.end(), cairn::Key{0});
  cairn::BuildOptions build;
  build.threads = options.threads;
  checked(index.build(keys, cairn::MatrixView::f32(base.values.data(), rows, base.dims), build),
          "build");
  return index;
}

void on_threads(unsigned threads, std::size_t n, const std::function<void(std::size_t)>& body) {
  std::atomic<std::size_t> next{0};
  std::mutex mutex;
  std::exception_ptr failure;
  const auto work = [&] {
    try {
      for (std::size_t i; (i = next.fetch_add(1)) < n;) body(i);
    } catch (...) {
      next = n;
      const std::lock_guard lock(mutex);
      failure = std::current_exception();
    }
  };
  std::vector<std::thread> others;
  for (unsigned t = 1; t < threads; ++t) others.emplace_back(work);
  work();
  for (std::thread& other : others) other.join();
  if (failure) std::rethrow_exception(failure);
}

}  // namespace bench
