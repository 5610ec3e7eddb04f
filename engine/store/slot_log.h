// SPDX-License-Identifier: Apache-2.0
//
// Which slots have got another vector, or lost theirs, in the order in which that happened: what a
// prepared filter follows. Only the last ones are kept, and none before somebody asks for them; who
// has fallen behind begins anew. Where all slots get other meanings at once, there is a new layout.
//
// Thread-safety: one writer at a time; any number of readers, each inside an epoch.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>

#include "engine/store/node_id.h"

namespace cairn {

class SlotLog {
 public:
  static constexpr std::size_t kKept = std::size_t{1} << 15;

  SlotLog() { renumber(); }
  SlotLog(const SlotLog&) = delete;
  SlotLog& operator=(const SlotLog&) = delete;
  ~SlotLog() { delete entries_.load(std::memory_order_acquire); }

  // --- one writer

  // After the change, and after the key table tells of it.
  void changed(NodeId slot) {
    const std::uint64_t number = end_.load(std::memory_order_relaxed);
    if (Entries* entries = entries_.load(std::memory_order_acquire)) {
      (*entries)[number % kKept].store(number << 32 | slot.index, std::memory_order_relaxed);
    }
    end_.store(number + 1, std::memory_order_release);
  }
  void renumber() {
    static std::atomic<std::uint64_t> next{1};
    layout_.store(next.fetch_add(1, std::memory_order_relaxed), std::memory_order_release);
  }

  // --- readers

  struct Position {
    std::uint64_t layout;   // a number that no other layout has had, larger than those before
    std::uint64_t changes;  // how many there have been
  };
  Position position() const {
    const std::uint64_t layout = layout_.load(std::memory_order_acquire);
    return {layout, end_.load(std::memory_order_acquire)};
  }
  // The slot of a change, if it is kept. REQUIRES: number < position().changes
  std::optional<NodeId> slot(std::uint64_t number) const {
    const Entries* entries = entries_.load(std::memory_order_acquire);
    if (entries == nullptr) return std::nullopt;
    const std::uint64_t entry = (*entries)[number % kKept].load(std::memory_order_relaxed);
    if (entry >> 32 != (number & 0xFFFFFFFFu)) return std::nullopt;  // another one's
    return NodeId{static_cast<std::uint32_t>(entry)};
  }
  // Changes are kept from now on. May throw std::bad_alloc.
  void keep() const {
    if (entries_.load(std::memory_order_acquire) != nullptr) return;
    auto fresh = std::make_unique<Entries>();
    for (auto& entry : *fresh) entry.store(kNone, std::memory_order_relaxed);
    Entries* none = nullptr;
    if (entries_.compare_exchange_strong(none, fresh.get(), std::memory_order_acq_rel)) {
      (void)fresh.release();
    }
  }

 private:
  using Entries = std::array<std::atomic<std::uint64_t>, kKept>;  // number, in 32 bits, and slot
  static constexpr std::uint64_t kNone = ~std::uint64_t{0};

  std::atomic<std::uint64_t> layout_{0};
  std::atomic<std::uint64_t> end_{0};
  mutable std::atomic<Entries*> entries_{nullptr};
};

}  // namespace cairn
