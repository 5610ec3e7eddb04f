// SPDX-License-Identifier: Apache-2.0
//
// The flag with which a caller ends something long: null, or set at any time by any thread.
#pragma once

#include <atomic>

#include <cairn/error.h>

namespace cairn::format {

using StopFlag = const std::atomic<bool>*;

inline bool is_stopped(StopFlag stop) {
  return stop != nullptr && stop->load(std::memory_order_relaxed);
}

inline Error stopped() { return Error(ErrorCode::cancelled, "stopped by the caller"); }

}  // namespace cairn::format
