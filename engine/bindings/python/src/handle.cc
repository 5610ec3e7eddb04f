// SPDX-License-Identifier: Apache-2.0
#include "handle.h"

#include <pthread.h>

#include <atomic>
#include <string>

#include "long_call.h"

namespace cairn::python {

namespace {
std::atomic<unsigned> g_forks{0};
}

unsigned fork_count() { return g_forks.load(std::memory_order_relaxed); }

void watch_forks() {
  pthread_atfork(nullptr, nullptr, [] { g_forks.fetch_add(1, std::memory_order_relaxed); });
}

unsigned Uses::begin() {
  const std::lock_guard lock(mutex_);
  if (is_closed_) {
    throw Failure(Error(ErrorCode::invalid_argument, std::string("the ") + what_ + " is closed"));
  }
  // Threads of the parent that were in a call do not exist in a child.
  if (forks_ != fork_count()) uses_ = 0;
  forks_ = fork_count();
  ++uses_;
  return forks_;
}

void Uses::end(unsigned forks) {
  const std::lock_guard lock(mutex_);
  if (forks != forks_ || uses_ == 0) return;
  if (--uses_ == 0) idle_.notify_all();
}

bool Uses::close() {
  if (in_report()) {
    throw Failure(Error(ErrorCode::invalid_argument, "close() in a callback of one of its calls"));
  }
  const nanobind::gil_scoped_release released;
  std::unique_lock lock(mutex_);
  if (is_closed_) return false;
  is_closed_ = true;
  while (forks_ == fork_count() &&
         !idle_.wait_for(lock, std::chrono::milliseconds(100), [&] { return uses_ == 0; })) {
    lock.unlock();
    bool raised = false;
    {
      const nanobind::gil_scoped_acquire acquired;
      raised = PyErr_CheckSignals() != 0;
    }
    lock.lock();
    if (!raised) continue;
    is_closed_ = false;
    lock.unlock();
    const nanobind::gil_scoped_acquire acquired;
    throw nanobind::python_error();
  }
  return true;
}

}  // namespace cairn::python
