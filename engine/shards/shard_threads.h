// SPDX-License-Identifier: Apache-2.0
//
// The threads of a set: started once, for the first search that is worth them. One call at a time
// has them; who comes meanwhile does all of its parts itself, and so does a child of the process.
#pragma once

#include <atomic>
#include <cstddef>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>

#include <cairn/shard_set.h>

#include "engine/base/workers.h"
#include "format/io/fork_watch.h"

namespace cairn {

class ShardThreads {
 public:
  // `threads`, that of the caller among them; 0: one a core. `host` takes their place; may be null.
  ShardThreads(unsigned threads, ShardExecutor* host);
  ShardThreads(const ShardThreads&) = delete;
  ShardThreads& operator=(const ShardThreads&) = delete;
  ~ShardThreads();

  // body(i) for each i < n, in any order; returns when all have returned. `body` throws nothing.
  using Body = std::function<void(std::size_t)>;
  void run(std::size_t n, const Body& body);
  // How many parts may run at once.
  unsigned width() const { return width_; }

 private:
  ShardExecutor* const host_;
  const unsigned width_;
  const format::HomeProcess home_;
  std::mutex mutex_;  // whoever has it has the workers
  std::unique_ptr<Workers> workers_;
};

}  // namespace cairn
