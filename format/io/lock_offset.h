// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/types.h>

namespace cairn::format {

// Locks are on one byte far behind the end of any file, so that they never meet locks which other
// programs take.
inline constexpr off_t kLockOffset = off_t{1} << 62;

}  // namespace cairn::format
