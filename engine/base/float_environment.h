// SPDX-License-Identifier: Apache-2.0
//
// How the processor rounds, and what becomes of denormal numbers, belongs to the thread. A program
// that is linked with -Ofast flushes them to zero, which would make distances between small vectors
// 0; others let overflows trap. Results here do not depend on that.
#pragma once

#if defined(__SSE2__)
#include <xmmintrin.h>
#elif defined(__aarch64__)
#include <cstdint>
#endif

namespace cairn {

// The default of IEEE 754 for as long as it lives: nearest, denormals kept, no traps.
class DefaultFloats {
 public:
#if defined(__SSE2__)
  DefaultFloats() : before_(_mm_getcsr()) {
    if ((before_ & kControl) != kDefault) _mm_setcsr(kDefault);
  }
  ~DefaultFloats() {
    if ((before_ & kControl) != kDefault) _mm_setcsr(before_);
  }
#elif defined(__aarch64__)
  DefaultFloats() : before_(read()) {
    if ((before_ & kControl) != 0) write(before_ & ~kControl);
  }
  ~DefaultFloats() {
    if ((before_ & kControl) != 0) write(before_);
  }
#else
  DefaultFloats() = default;
  ~DefaultFloats() = default;
#endif
  DefaultFloats(const DefaultFloats&) = delete;
  DefaultFloats& operator=(const DefaultFloats&) = delete;

 private:
#if defined(__SSE2__)
  static constexpr unsigned kControl = 0xFFC0;  // of MXCSR: all but the flags of what has happened
  static constexpr unsigned kDefault = 0x1F80;  // all exceptions masked
  unsigned before_;
#elif defined(__aarch64__)
  // Of FPCR: AHP, DN, FZ, RMode, FZ16, and the traps.
  static constexpr std::uint64_t kControl = 0x7C89F00;
  static std::uint64_t read() {
    std::uint64_t value;
    asm volatile("mrs %0, fpcr" : "=r"(value));
    return value;
  }
  static void write(std::uint64_t value) { asm volatile("msr fpcr, %0" : : "r"(value)); }
  std::uint64_t before_;
#endif
};

}  // namespace cairn
