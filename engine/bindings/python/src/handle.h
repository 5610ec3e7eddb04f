// SPDX-License-Identifier: Apache-2.0
//
// cairn._core.Index: an index that can be closed while others still refer to it.
#pragma once

#include <cairn/index.h>

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

class Handle {
 public:
  explicit Handle(Index index) : index_(std::move(index)) {}

  // A call under way: close() waits for its end.
  class Use {
   public:
    explicit Use(const Handle& handle) : handle_(handle), forks_(handle.begin_use()) {}
    ~Use() { handle_.end_use(forks_); }
    Use(const Use&) = delete;
    Use& operator=(const Use&) = delete;
    Index* operator->() const { return &*handle_.index_; }
    Index& operator*() const { return *handle_.index_; }

   private:
    const Handle& handle_;
    unsigned forks_;
  };
  Use get() const { return Use(*this); }

  bool is_closed() const {
    const std::lock_guard lock(mutex_);
    return is_closed_;
  }

  // Refuses new calls, waits for those under way, and ends the index. A signal's handler that
  // raises leaves it open. From a callback of a call under way it is an error: it would wait for
  // itself.
  void close();

 private:
  unsigned begin_use() const;
  void end_use(unsigned forks) const;

  mutable std::mutex mutex_;
  mutable std::condition_variable idle_;
  mutable std::size_t uses_ = 0;
  mutable unsigned forks_ = fork_count();  // uses_ counts those that began since then
  bool is_closed_ = false;
  mutable std::optional<Index> index_;
};

}  // namespace cairn::python
