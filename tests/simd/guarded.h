// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/mman.h>
#include <unistd.h>

#include <cstddef>
#include <new>

namespace cairn::simd {

enum class Flush { kEnd, kBegin };

// An array of T between two pages that no one may touch: flush with the one behind it or the one
// before it, so that a read of one byte too many ends the process. Zeroed.
template <class T>
class Guarded {
 public:
  explicit Guarded(std::size_t count, Flush flush = Flush::kEnd) : count_(count) {
    const auto page = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
    const std::size_t used = (count * sizeof(T) + page - 1) / page * page;
    mapped_ = used + 2 * page;
    void* map = mmap(nullptr, mapped_, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (map == MAP_FAILED) throw std::bad_alloc();
    map_ = static_cast<std::byte*>(map);
    if (used != 0 && mprotect(map_ + page, used, PROT_READ | PROT_WRITE) != 0) {
      munmap(map_, mapped_);
      throw std::bad_alloc();
    }
    std::byte* first = map_ + page;
    if (flush == Flush::kEnd) first += used - count * sizeof(T);
    data_ = static_cast<T*>(static_cast<void*>(first));
  }
  ~Guarded() { munmap(map_, mapped_); }
  Guarded(const Guarded&) = delete;
  Guarded& operator=(const Guarded&) = delete;

  T* data() const { return data_; }
  std::size_t size() const { return count_; }
  T& operator[](std::size_t i) const { return data_[i]; }
  T* begin() const { return data_; }
  T* end() const { return data_ + count_; }

 private:
  std::size_t count_;
  std::size_t mapped_ = 0;
  std::byte* map_ = nullptr;
  T* data_ = nullptr;
};

}  // namespace cairn::simd
