// SPDX-License-Identifier: Apache-2.0
//
// CAIRN_ASSERT(condition): what only a mistake of ours can break, above all what a function
// REQUIRES of its callers. Checked in the build type Debug (presets dev, quick, clang, asan, tsan,
// fuzz, coverage): one that does not hold is printed, and the process aborted. In other build types
// the condition is not evaluated. It has no side effects, and says nothing about bytes of a mapped
// file, which may hold anything: those get an error or a bound.
#pragma once

#ifdef CAIRN_ASSERTIONS
#define CAIRN_ASSERT(condition) \
  ((condition) ? void() : ::cairn::assertion_failed(#condition, __FILE__, __LINE__))
#else
#define CAIRN_ASSERT(condition) void(sizeof(!(condition)))
#endif

namespace cairn {

[[noreturn]] void assertion_failed(const char* condition, const char* file, int line) noexcept;

}  // namespace cairn
