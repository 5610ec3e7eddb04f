// SPDX-License-Identifier: Apache-2.0
#include "engine/shards/shard_threads.h"

#include <algorithm>
#include <thread>

namespace cairn {

namespace {

unsigned width_of(unsigned threads, const ShardExecutor* host) {
  constexpr unsigned kMost = 1024;
  if (host != nullptr) return std::clamp(host->width(), 1u, kMost);
  if (threads == 0) threads = std::thread::hardware_concurrency();
  return std::clamp(threads, 1u, kMost);
}

}  // namespace

ShardExecutor::~ShardExecutor() = default;

ShardThreads::ShardThreads(unsigned threads, ShardExecutor* host)
    : host_(host), width_(width_of(threads, host)) {}

ShardThreads::~ShardThreads() {
  // In a child there are no threads to wait for.
  if (!home_.is_here()) (void)workers_.release();
}

void ShardThreads::run(std::size_t n, const Body& body) {
  const auto alone = [&] {
    for (std::size_t i = 0; i < n; ++i) body(i);
  };
  if (n <= 1 || width_ <= 1 || !home_.is_here()) return alone();
  if (host_ != nullptr) return host_->run(n, body);
  const std::unique_lock lock(mutex_, std::try_to_lock);
  if (!lock) return alone();
  if (workers_ == nullptr) workers_ = std::make_unique<Workers>(width_);
  workers_->run(n, 1, [&body](unsigned, std::size_t begin, std::size_t end) {
    for (std::size_t i = begin; i < end; ++i) body(i);
  });
}

}  // namespace cairn
