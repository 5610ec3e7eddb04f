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

#include "engine/search/nearest_keys.h"
#include "engine/search/search_layer.h"
#include "engine/vectors/distance.h"

namespace cairn {

// A match before its distance is rounded.
struct Ranked {
  Key key;
  double distance;
  NodeId node;
};
inline bool is_nearer(const Ranked& a, const Ranked& b) {
  return a.distance != b.distance ? a.distance < b.distance : a.key < b.key;
}

struct SearchScratch : WalkState {
  QueryBuffer query;
  std::vector<Nearest> near;  // of a scan: what may be among the nearest (engine/search/exact.h)
  NodeId scanned_to{0};       // of a scan: slots below it have been looked at, and ranked
  NearestKeys keys;           // of a scan where a key may have several vectors
  std::vector<double> exact;  // distances of the candidates being reranked
  std::vector<NodeId> more;   // candidates of the walk before
  std::vector<Ranked> matches;
  std::array<std::vector<Ranked>, 2> first_matches;  // of scans that are made again
  // Of the caller's own metric: the one that it is asked for, and all nodes of its key.
  std::vector<std::byte> vector;
  std::vector<NodeId> of_key;
};

template <class Scratch>
class IdlePool {
 public:
  IdlePool() = default;
  IdlePool(const IdlePool&) = delete;
  IdlePool& operator=(const IdlePool&) = delete;
  ~IdlePool() {
    for (auto& slot : idle_) delete slot.load(std::memory_order_acquire);
  }

  class Lease {
   public:
    Lease(IdlePool& pool, std::unique_ptr<Scratch> scratch)
        : pool_(&pool), scratch_(std::move(scratch)) {}
    Lease(const Lease&) = delete;
    Lease& operator=(const Lease&) = delete;
    Lease(Lease&&) noexcept = default;
    Lease& operator=(Lease&&) = delete;
    ~Lease() {
      if (scratch_) pool_->give_back(std::move(scratch_));
    }
    Scratch& operator*() { return *scratch_; }
    Scratch* operator->() { return scratch_.get(); }

   private:
    IdlePool* pool_;
    std::unique_ptr<Scratch> scratch_;
  };

  Lease take() {
    for (auto& slot : idle_) {
      if (slot.load(std::memory_order_relaxed) == nullptr) continue;
      if (Scratch* scratch = slot.exchange(nullptr, std::memory_order_acquire)) {
        return {*this, std::unique_ptr<Scratch>(scratch)};
      }
    }
    return {*this, std::make_unique<Scratch>()};
  }

 private:
  void give_back(std::unique_ptr<Scratch> scratch) noexcept {
    for (auto& slot : idle_) {
      Scratch* empty = nullptr;
      // release: the next owner sees what this search wrote.
      if (slot.compare_exchange_strong(empty, scratch.get(), std::memory_order_release,
                                       std::memory_order_relaxed)) {
        (void)scratch.release();
        return;
      }
    }
  }

  std::array<std::atomic<Scratch*>, 64> idle_{};
};

}  // namespace cairn
