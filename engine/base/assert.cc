// SPDX-License-Identifier: Apache-2.0
#include "engine/base/assert.h"

#ifdef CAIRN_ASSERTIONS

#include <cstdio>
#include <cstdlib>

namespace cairn {

void assertion_failed(const char* condition, const char* file, int line) noexcept {
  std::fprintf(stderr, "%s:%d: assertion failed: %s\n", file, line, condition);
  std::abort();
}

}  // namespace cairn

#endif
