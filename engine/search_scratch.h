// SPDX-License-Identifier: Apache-2.0
//
// The working memory of one search, and a place where idle ones wait to be used again. Taking and
// giving back is lock-free; there are as many as searches run at once, without a limit.
#pragma once

#include <array>
#include <atomic>
#include <memory>
#include <vector>

#include <cairn/params.h>

#include "engine/distance.h"
#include "engine/neighbor_pool.h"
#include "engine/visited_set.h"

namespace cairn {

struct SearchScratch {
  NeighborPool pool;
  VisitedSet visited;
  QueryBuffer query;
  std::vector<float> distances;  // of one neighbor list, or of the candidates being reranked
  std::vector<NodeId> ids;
  std::vector<Match> matches;

  void make_room(std::size_t n) {
    if (distances.size() < n) distances.resize(n);
    if (ids.size() < n) ids.resize(n);
  }
};

class ScratchPool {
 public:
  ScratchPool() = default;
  ScratchPool(const ScratchPool&) = delete;
  ScratchPool& operator=(const ScratchPool&) = delete;
  ~ScratchPool() {
    for (auto& slot : idle_) delete slot.load(std::memory_order_acquire);
  }

  class Lease {
   public:
    Lease(ScratchPool& pool, std::unique_ptr<SearchScratch> scratch)
        : pool_(&pool), scratch_(std::move(scratch)) {}
    Lease(const Lease&) = delete;
    Lease& operator=(const Lease&) = delete;
    Lease(Lease&&) noexcept = default;
    Lease& operator=(Lease&&) = delete;
    ~Lease() {
      if (scratch_) pool_->give_back(std::move(scratch_));
    }
    SearchScratch& operator*() { return *scratch_; }
    SearchScratch* operator->() { return scratch_.get(); }

   private:
    ScratchPool* pool_;
    std::unique_ptr<SearchScratch> scratch_;
  };

  Lease take() {
    for (auto& slot : idle_) {
      if (slot.load(std::memory_order_relaxed) == nullptr) continue;
      if (SearchScratch* scratch = slot.exchange(nullptr, std::memory_order_acquire)) {
        return {*this, std::unique_ptr<SearchScratch>(scratch)};
      }
    }
    return {*this, std::make_unique<SearchScratch>()};
  }

 private:
  void give_back(std::unique_ptr<SearchScratch> scratch) noexcept {
    for (auto& slot : idle_) {
      SearchScratch* empty = nullptr;
      // release: the next owner sees what this search wrote.
      if (slot.compare_exchange_strong(empty, scratch.get(), std::memory_order_release,
                                       std::memory_order_relaxed)) {
        (void)scratch.release();
        return;
      }
    }
  }

  std::array<std::atomic<SearchScratch*>, 64> idle_{};
};

}  // namespace cairn
