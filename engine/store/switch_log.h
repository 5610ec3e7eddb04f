// SPDX-License-Identifier: Apache-2.0
//
// Which nodes have been replaced by another one of the same key. A search can pass the old node's
// place after it was unlinked and the new one's before it was linked; so it looks here for the old
// nodes of all replacements that it overlapped. Those were live when it began, and they keep their
// contents until it has ended.
//
// Thread-safety: one writer at a time; any number of readers, each inside an epoch from taking a
// position to its last use.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>

#include "engine/base/assert.h"
#include "engine/base/epochs.h"
#include "engine/store/node_id.h"

namespace cairn {

class SwitchLog {
 private:
  struct Chunk {
    explicit Chunk(std::uint64_t number) : first(number) {}
    std::array<std::atomic<NodeId>, 120> nodes{};
    const std::uint64_t first;  // number of the node that nodes[0] is
    std::atomic<const Chunk*> next{nullptr};
    std::uint64_t retired = 0;  // epoch in which another became current; of the writer alone

    std::uint64_t end() const { return first + nodes.size(); }
  };

 public:
  // Between two replacements. Numbers are those of old nodes.
  struct Position {
    const Chunk* chunk = nullptr;
    std::uint64_t number = 0;  // the replacements of those before had ended
  };

  SwitchLog() : chunks_(1), begun_(0) {
    chunks_.front() = std::make_unique<Chunk>(0);
    current_.store(chunks_.front().get(), std::memory_order_relaxed);
  }

  // --- one writer

  // Makes room for the old nodes of one more replacement, and gives back what no reader needs. May
  // throw std::bad_alloc. REQUIRES: the replacements that have begun have ended.
  void reserve(const Epochs& epochs, std::size_t nodes = 1) {
    for (; at_ > 0 && epochs.passed(chunks_.front()->retired); --at_) chunks_.pop_front();
    const std::uint64_t number = begun_.load(std::memory_order_relaxed);
    while (chunks_.back()->end() < number + nodes) {
      chunks_.push_back(std::make_unique<Chunk>(chunks_.back()->end()));
      chunks_[chunks_.size() - 2]->next.store(chunks_.back().get(), std::memory_order_release);
    }
    while (chunks_[at_]->end() <= number) {
      Chunk& last = *chunks_[at_++];
      current_.store(chunks_[at_].get(), std::memory_order_release);
      last.retired = epochs.now();
    }
  }
  // Before the new node becomes live, for each of the old ones. REQUIRES: reserve().
  void begin(NodeId old) {
    const std::uint64_t number = begun_.load(std::memory_order_relaxed);
    const std::uint64_t ahead = number - chunks_[at_]->first;
    Chunk& chunk = *chunks_[at_ + ahead / chunks_[at_]->nodes.size()];
    CAIRN_ASSERT(number >= chunk.first && number < chunk.end());
    chunk.nodes[number - chunk.first].store(old, std::memory_order_relaxed);
    begun_.store(number + 1, std::memory_order_release);
    // Whoever meets a store of the replacement, to a flag or a list, sees that it has begun: pairs
    // with the one in since().
    std::atomic_thread_fence(std::memory_order_release);
  }
  // After the old nodes were unlinked.
  void end() { ended_.store(begun_.load(std::memory_order_relaxed), std::memory_order_release); }

  // --- readers

  Position position() const {
    // In this order: all replacements before the chunk's first had ended when it became current.
    const Chunk* chunk = current_.load(std::memory_order_acquire);
    return {chunk, ended_.load(std::memory_order_acquire)};
  }
  // How many old nodes there are whose replacement had not ended then or has begun since, of those
  // that this thread can have met traces of.
  std::uint64_t since(const Position& position) const {
    std::atomic_thread_fence(std::memory_order_acquire);
    return begun_.load(std::memory_order_acquire) - position.number;
  }
  // Calls visit(old node) for the first `n` of them. REQUIRES: n is at most since(position).
  template <class Visit>
  void for_each(Position position, std::uint64_t n, Visit&& visit) const {
    CAIRN_ASSERT(n <= since(position));
    for (; n > 0; --n, ++position.number) {
      while (position.number - position.chunk->first >= position.chunk->nodes.size()) {
        position.chunk = position.chunk->next.load(std::memory_order_acquire);
      }
      const std::uint64_t at = position.number - position.chunk->first;
      visit(position.chunk->nodes[at].load(std::memory_order_relaxed));
    }
  }

 private:
  std::deque<std::unique_ptr<Chunk>> chunks_;  // oldest first; of the writer alone
  std::size_t at_ = 0;                         // which of them is current
  std::atomic<const Chunk*> current_{nullptr};
  std::atomic<std::uint64_t> begun_{0};
  std::atomic<std::uint64_t> ended_{0};
};

}  // namespace cairn
