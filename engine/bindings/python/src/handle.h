// SPDX-License-Identifier: Apache-2.0
//
// cairn._core.Index and ShardSet: what can be closed while others still refer to it.
#pragma once

#include <cairn/index.h>
#include <cairn/shard_set.h>

#include <nanobind/nanobind.h>

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <filesystem>
#include <mutex>
#include <optional>
#include <string>
#include <utility>

#include "errors.h"

namespace cairn::python {

// A path as Python's os.fsencode() gives it.
inline std::filesystem::path path_of(const nanobind::bytes& name) {
  return std::string(name.c_str(), name.size());
}

// How many forks lie between this process and the one that loaded the module.
unsigned fork_count();
void watch_forks();

// The calls under way on something that may be closed meanwhile.
class Uses {
 public:
  // `what` is what errors call it: a literal.
  explicit Uses(const char* what) : what_(what) {}
  Uses(const Uses&) = delete;
  Uses& operator=(const Uses&) = delete;

  bool is_closed() const {
    const std::lock_guard lock(mutex_);
    return is_closed_;
  }
  // invalid_argument: it is closed. What it returns belongs to end().
  unsigned begin();
  void end(unsigned forks);
  // Refuses new calls, and waits for those under way; false: it was closed before. A signal's
  // handler that raises leaves it open. From a callback of a call under way it is an error: it
  // would wait for itself.
  bool close();

 private:
  const char* const what_;
  mutable std::mutex mutex_;
  std::condition_variable idle_;
  std::size_t uses_ = 0;
  unsigned forks_ = fork_count();  // uses_ counts those that began since then
  bool is_closed_ = false;
};

// What is held, in words.
template <class T>
inline constexpr const char* kHeld = "index";
template <>
inline constexpr const char* kHeld<ShardSet> = "set";

template <class T>
class HandleOf {
 public:
  explicit HandleOf(T held) : held_(std::move(held)) {}

  // A call under way: close() waits for its end.
  class Use {
   public:
    explicit Use(const HandleOf& handle) : handle_(handle), forks_(handle.uses_.begin()) {}
    ~Use() { handle_.uses_.end(forks_); }
    Use(const Use&) = delete;
    Use& operator=(const Use&) = delete;
    T* operator->() const { return &*handle_.held_; }
    T& operator*() const { return *handle_.held_; }

   private:
    const HandleOf& handle_;
    unsigned forks_;
  };
  Use get() const { return Use(*this); }

  bool is_closed() const { return uses_.is_closed(); }

  // Refuses new calls, waits for those under way, and ends what is held: Uses::close().
  void close() {
    if (!uses_.close()) return;
    const nanobind::gil_scoped_release released;
    held_.reset();
  }

 private:
  mutable Uses uses_{kHeld<T>};
  mutable std::optional<T> held_;
};

using Handle = HandleOf<Index>;

}  // namespace cairn::python
