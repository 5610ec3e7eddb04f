// SPDX-License-Identifier: Apache-2.0
#include "simd/cpu.h"

#if defined(__aarch64__) && defined(__linux__)
#include <sys/auxv.h>
#endif
#if defined(__x86_64__)
#include <cpuid.h>
#endif

namespace cairn::simd {

#if defined(__x86_64__)

namespace {

// clang 14's builtin does not know its name.
bool has_f16c() noexcept {
  unsigned a = 0;
  unsigned b = 0;
  unsigned c = 0;
  unsigned d = 0;
  return __get_cpuid(1, &a, &b, &c, &d) != 0 && (c & bit_F16C) != 0;
}

}  // namespace

// The builtin reports AVX and AVX-512 only if XGETBV says that the system saves their registers.
bool has_avx2() noexcept {
  __builtin_cpu_init();
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && has_f16c() &&
         __builtin_cpu_supports("popcnt") && __builtin_cpu_supports("bmi") &&
         __builtin_cpu_supports("bmi2");
}

bool has_avx512() noexcept {
  return has_avx2() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
         __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
         __builtin_cpu_supports("avx512cd");
}

bool has_avx512vnni() noexcept { return has_avx512() && __builtin_cpu_supports("avx512vnni"); }

bool loses_prefetches() noexcept {
  __builtin_cpu_init();
  return __builtin_cpu_is("amd") != 0;
}

bool reads_on() noexcept {
  __builtin_cpu_init();
  return __builtin_cpu_is("intel") != 0;
}

#else

bool has_avx2() noexcept { return false; }
bool has_avx512() noexcept { return false; }
bool has_avx512vnni() noexcept { return false; }
bool loses_prefetches() noexcept { return false; }
bool reads_on() noexcept { return false; }

#endif

#if defined(__aarch64__)
bool has_neon() noexcept { return true; }
#else
bool has_neon() noexcept { return false; }
#endif

bool has_neon_dotprod() noexcept {
#if defined(__aarch64__) && defined(__linux__)
  constexpr unsigned long kDotprod = 1UL << 20;  // HWCAP_ASIMDDP
  return (getauxval(AT_HWCAP) & kDotprod) != 0;
#else
  return false;
#endif
}

}  // namespace cairn::simd
