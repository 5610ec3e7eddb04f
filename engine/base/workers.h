// SPDX-License-Identifier: Apache-2.0
//
// A few threads that live as long as a bulk operation and run its loops. Which thread runs which
// part is left to chance, so a body must not let results depend on it.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <exception>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace cairn {

class Workers {
 public:
  // `threads` of them, the caller's own among them; 0: one a core. No more than `most`, the number
  // of pieces that there will be to work on, and no more than 1,024. Fewer where the system
  // refuses.
  explicit Workers(unsigned threads, std::size_t most = kMostThreads);
  Workers(const Workers&) = delete;
  Workers& operator=(const Workers&) = delete;
  ~Workers();

  unsigned size() const { return static_cast<unsigned>(threads_.size()) + 1; }

  // Calls body(worker, begin, end) for pieces of [0, n) of at most `grain`, worker < size(), and
  // waits for all. What a body throws is thrown here, after all have stopped.
  using Body = std::function<void(unsigned worker, std::size_t begin, std::size_t end)>;
  void run(std::size_t n, std::size_t grain, const Body& body);

 private:
  static constexpr std::size_t kMostThreads = 1024;

  void serve(unsigned worker);
  void work(unsigned worker);

  std::vector<std::thread> threads_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::condition_variable done_;
  // Guarded by mutex_; constant while a loop runs.
  std::size_t round_ = 0;
  std::size_t busy_ = 0;
  bool stop_ = false;
  const Body* body_ = nullptr;
  std::size_t n_ = 0;
  std::size_t grain_ = 1;
  std::exception_ptr failure_;

  std::atomic<std::size_t> next_{0};
};

}  // namespace cairn
