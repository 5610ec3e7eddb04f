// SPDX-License-Identifier: Apache-2.0
#include "tests/support/failing_allocations.h"

#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <new>

namespace {

std::atomic<std::size_t> made{0};
std::atomic<std::size_t> first_failure{SIZE_MAX};
std::atomic<bool> fails_for_ever{false};

void* counted(std::size_t size) {
  const std::size_t number = made.fetch_add(1, std::memory_order_relaxed);
  const std::size_t first = first_failure.load(std::memory_order_relaxed);
  if (number == first || (number > first && fails_for_ever.load(std::memory_order_relaxed))) {
    return nullptr;
  }
  return std::malloc(size == 0 ? 1 : size);
}

void* counted_or_throw(std::size_t size) {
  if (void* memory = counted(size)) return memory;
  throw std::bad_alloc();
}

}  // namespace

void* operator new(std::size_t size) { return counted_or_throw(size); }
void* operator new[](std::size_t size) { return counted_or_throw(size); }
void* operator new(std::size_t size, const std::nothrow_t&) noexcept { return counted(size); }
void* operator new[](std::size_t size, const std::nothrow_t&) noexcept { return counted(size); }
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete[](void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
void operator delete[](void* memory, std::size_t) noexcept { std::free(memory); }
void operator delete(void* memory, const std::nothrow_t&) noexcept { std::free(memory); }
void operator delete[](void* memory, const std::nothrow_t&) noexcept { std::free(memory); }

namespace cairn::test {

std::size_t allocations() { return made.load(); }

void fail_allocation(std::size_t n, bool forever) {
  fails_for_ever = forever;
  first_failure = made.load() + n;
}

bool stop_failing_allocations() { return made.load() > first_failure.exchange(SIZE_MAX); }

}  // namespace cairn::test
