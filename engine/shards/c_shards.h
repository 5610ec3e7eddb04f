// SPDX-License-Identifier: Apache-2.0
//
// Sets as the C interface has them.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include <cairn/c.h>
#include <cairn/shard_set.h>

#include "engine/api/c_call.h"

namespace cairn::c {

// Threads of a host, given as a function.
class HostThreads : public ShardExecutor {
 public:
  HostThreads(cairn_run_parts run_parts, void* context, unsigned width)
      : run_(run_parts), context_(context), width_(width == 0 ? 1 : width) {}

  void run(std::size_t n, const std::function<void(std::size_t)>& body) override {
    run_(
        context_, n,
        [](void* one, std::size_t i) {
          (*static_cast<const std::function<void(std::size_t)>*>(one))(i);
        },
        const_cast<void*>(static_cast<const void*>(&body)));
  }
  unsigned width() const override { return width_; }

 private:
  const cairn_run_parts run_;
  void* const context_;
  const unsigned width_;
};

}  // namespace cairn::c

struct cairn_shards {
  std::optional<cairn::c::HostThreads> host;  // outlives the set
  std::optional<cairn::ShardSet> set;         // always there once it is handed out
  std::vector<std::string> problems;
};

struct cairn_shards_filter {
  cairn::ShardFilter filter;
};

struct cairn_shards_cursor {
  cairn::ShardCursor cursor;
  std::uint64_t deadline_us;  // of each page
};

namespace cairn::c {

// The body of a call on a set. `handle`: const or not, NULL among them.
template <class Handle, class Body>
int on_set(const char* call, Handle* handle, const Body& body) noexcept {
  return guarded(call, [&]() -> Result<void> {
    if (handle == nullptr) return null_argument(call, "set");
    return body(*handle->set);
  });
}

}  // namespace cairn::c
