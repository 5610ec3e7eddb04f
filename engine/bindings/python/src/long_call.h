// SPDX-License-Identifier: Apache-2.0
//
// Calls that take long run on a thread of their own, without Python's lock, while the calling
// thread looks for signals and reports progress ten times a second. So Ctrl-C ends a build, and
// nothing of Python runs on a thread of the library.
#pragma once

#include <nanobind/nanobind.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <functional>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>

namespace cairn::python {

// What a long call is given: a flag that ends it, and where it tells how far it has come.
struct Watch {
  std::atomic<bool> stop{false};
  std::atomic<std::size_t> done{0};
  std::atomic<std::size_t> total{0};
  std::function<void(std::size_t, std::size_t)> progress = [this](std::size_t d, std::size_t t) {
    total.store(t, std::memory_order_relaxed);
    done.store(d, std::memory_order_relaxed);
  };
};

// Whether this thread is in a callback of a call.
inline bool& in_report() {
  thread_local bool is = false;
  return is;
}

// As long as it lives this thread is in one.
class InReport {
 public:
  InReport() : before_(std::exchange(in_report(), true)) {}
  ~InReport() { in_report() = before_; }
  InReport(const InReport&) = delete;
  InReport& operator=(const InReport&) = delete;

 private:
  bool before_;
};

// report(done, total), unless there is none.
inline void tell(const nanobind::object& report, std::size_t done, std::size_t total) {
  if (report.is_none()) return;
  const InReport inside;
  report(done, total);
}

// call(watch) -> Result<T>. `report`: None, or a callable that is given (done, total). What it
// raises, or a signal's handler, ends the call and is raised when it has ended.
template <class Call>
auto run_long(const nanobind::object& report, Call&& call) {
  namespace nb = nanobind;
  using std::chrono::milliseconds;
  Watch watch;
  std::optional<decltype(call(watch))> result;
  std::mutex mutex;
  std::condition_variable ended;
  bool has_ended = false;
  std::optional<nb::python_error> raised;
  {
    std::thread worker([&] {
      result.emplace(call(watch));
      const std::lock_guard lock(mutex);
      has_ended = true;
      ended.notify_one();
    });
    const nb::gil_scoped_release released;
    // Short at first: most calls end at once.
    for (milliseconds pause(1);; pause = std::min(pause * 2, milliseconds(100))) {
      {
        std::unique_lock lock(mutex);
        if (ended.wait_for(lock, pause, [&] { return has_ended; })) break;
      }
      if (raised) continue;
      const nb::gil_scoped_acquire acquired;
      try {
        if (PyErr_CheckSignals() != 0) throw nb::python_error();
        tell(report, watch.done.load(), watch.total.load());
      } catch (nb::python_error& error) {
        raised.emplace(std::move(error));
        watch.stop = true;
      }
    }
    worker.join();
  }
  if (raised) throw std::move(*raised);
  if (*result) tell(report, watch.total.load(), watch.total.load());
  return std::move(*result);
}

}  // namespace cairn::python
