// SPDX-License-Identifier: Apache-2.0
#include "engine/base/workers.h"

#include <algorithm>
#include <exception>

namespace cairn {

Workers::Workers(unsigned threads, std::size_t most) {
  if (threads == 0) threads = std::max(1u, std::thread::hardware_concurrency());
  const std::size_t wanted = std::min<std::size_t>({threads, most, kMostThreads});
  threads_.reserve(wanted);
  try {
    for (unsigned worker = 1; worker < wanted; ++worker) {
      threads_.emplace_back([this, worker] { serve(worker); });
    }
  } catch (const std::exception&) {
    // No more threads, or no memory for one: those that there are do the same work.
  }
}

Workers::~Workers() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  wake_.notify_all();
  for (std::thread& thread : threads_) thread.join();
}

void Workers::run(std::size_t n, std::size_t grain, const Body& body) {
  grain = std::max<std::size_t>(1, grain);
  if (n <= grain || threads_.empty()) {  // one piece is not worth waking anybody
    for (std::size_t begin = 0; begin < n; begin += grain) {
      body(0, begin, std::min(begin + grain, n));
    }
    return;
  }
  {
    const std::lock_guard lock(mutex_);
    body_ = &body;
    n_ = n;
    grain_ = grain;
    next_.store(0, std::memory_order_relaxed);
    busy_ = threads_.size();
    failure_ = nullptr;
    ++round_;
  }
  wake_.notify_all();
  work(0);
  std::unique_lock lock(mutex_);
  done_.wait(lock, [this] { return busy_ == 0; });
  if (failure_) std::rethrow_exception(failure_);
}

void Workers::serve(unsigned worker) {
  std::size_t seen = 0;
  for (;;) {
    {
      std::unique_lock lock(mutex_);
      wake_.wait(lock, [&] { return stop_ || round_ != seen; });
      if (stop_) return;
      seen = round_;
    }
    work(worker);
    const std::lock_guard lock(mutex_);
    if (--busy_ == 0) done_.notify_one();
  }
}

void Workers::work(unsigned worker) {
  try {
    for (;;) {
      const std::size_t begin = next_.fetch_add(grain_, std::memory_order_relaxed);
      if (begin >= n_) return;
      (*body_)(worker, begin, std::min(begin + grain_, n_));
    }
  } catch (...) {
    next_.store(n_, std::memory_order_relaxed);  // the others stop at their next piece
    const std::lock_guard lock(mutex_);
    if (!failure_) failure_ = std::current_exception();
  }
}

}  // namespace cairn
